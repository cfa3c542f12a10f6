"""Values that are models of their own: what is scored along a search is what scoring from scratch gives."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from harness.core.errors import UserError
from harness.core.ledger import Ledger
from harness.core.models.embedded import EMBEDDED
from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import Chunk
from harness.core.reward import RewardHandle, Scale
from harness.core.search.finalists import sample_rows
from harness.core.search.search import Guide, guided_search
from harness.core.search.selection import Search
from harness.core.streams import Streams
from harness.core.types import Completion, Message, Prompt
from harness.core.values.calibration import quality
from harness.core.values.fitting import ValueSettings
from harness.core.values.hidden import Head
from harness.core.values.kind_settings import LmSettings
from harness.core.values.lm import _ALONG, Following, LmValue
from harness.core.values.lm_fitting import _along, fit_lm
from harness.core.values.stored import load_value
from tests.conftest import TINY_SAMPLER, tiny_prompts
from tests.core.models.tokenizers_made_here import byte_level, sentencepiece_like, word_level, word_pieces
from tests.core.values.long_texts import word_policy

TOKENIZERS = {
    "bytes": byte_level,
    "sentencepiece": sentencepiece_like,
    "letters": word_level,
    "word pieces": word_pieces,
}
PIECES = [
    "the f",
    "ilm was",
    " go",
    "od",
    " no",
    "t",
    " b\u00e4",
    "\u6f22",
    "\u5b57 \U0001f600",
    " ",
    "  two",
    "three",
    ".",
    "\n",
]


def folder_with(tokenizer, path, layers=3, width=32):
    """A tiny random Llama with this tokenizer, as a folder."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 5, hidden_size=width, intermediate_size=48, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=600, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: folder_with(make(), tmp_path_factory.mktemp("model")) for name, make in TOKENIZERS.items()}


def value_of(handle, folder, pooling="mean_all", blocks=2):
    torch.manual_seed(0)
    width = {"last": 32, "mean_all": 32, "mean_response": 64}[pooling]
    head = Head(width + 1, 8)
    settings = LmSettings(folder, blocks)
    return LmValue(head, pooling, handle.value_model(folder, blocks), handle, settings)


def scored_from_scratch(value, prompt, text, ended):
    """One forward pass over the tokens of prompt and text, without a cache."""
    model = value.model
    question, answer = model.encode(prompt), model.encode_behind(text.rstrip("\ufffd"), ended)
    states = model.decoder(torch.tensor([[*question, *answer]])).last_hidden_state[0]
    with torch.no_grad():
        return float(value.head(_along(states, len(question), [len(answer)], value.pooling))[0])


class WrittenRows:
    """Rows that say given pieces: what a policy of any tokenizer might write, whole characters or not."""

    def __init__(self, prompts, each, rng):
        self.prompts, self._rng = prompts, rng
        self.owner = torch.arange(len(prompts)).repeat_interleave(each)
        self.texts, self.stops = [b""] * len(self.owner), [None] * len(self.owner)

    def extend(self):
        moved = []
        for i, stop in enumerate(self.stops):
            if stop is None:
                whole = "".join(self._rng.choice(PIECES, size=self._rng.integers(1, 4))).encode()
                # a piece may end inside a character, which the next one completes
                cut = self.texts[i] + whole
                self.texts[i] = cut if self._rng.random() < 0.7 else cut[: len(cut) - 1]
                self.stops[i] = "eos" if self._rng.random() < 0.15 else None
            moved.append([stop is None])
        return Chunk(torch.zeros(len(moved), 1, dtype=torch.long), torch.tensor(moved), {})

    def select(self, index):
        self.owner = self.owner[index]
        self.texts, self.stops = [self.texts[i] for i in index], [self.stops[i] for i in index]

    def completions(self):
        return [
            Completion(self.prompts[o], (), text.decode(errors="replace"), stop)
            for o, text, stop in zip(self.owner.tolist(), self.texts, self.stops, strict=True)
        ]


@pytest.mark.parametrize("pooling", ["last", "mean_all", "mean_response"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_values_along_random_histories_are_those_from_scratch(tiny_handle, folders, tokenizer, pooling):
    """Rows are extended, copied, dropped and finished at random; words and characters go on across chunks."""
    value = value_of(tiny_handle, folders[tokenizer], pooling)
    prompts = [Prompt("p", text="the film was"), Prompt("q", text="i liked it and")]
    rows = WrittenRows(prompts, 3, np.random.default_rng(len(tokenizer)))
    reader = value.start(rows)
    for _ in range(6):
        got = reader.advance(rows.extend())
        for i, completion in enumerate(rows.completions()):
            exact = scored_from_scratch(value, completion.prompt, completion.text, completion.stop == "eos")
            assert float(got[i]) == pytest.approx(exact, abs=1e-4)
        owners = rows.owner.tolist()
        index = torch.tensor(
            [int(rows._rng.choice([j for j, o in enumerate(owners) if o == owner])) for owner in owners]
        )
        rows.select(index)
        reader.reorder(index)


def test_a_word_that_goes_on_is_read_again_and_nothing_else_is(tiny_handle, folders, ledger):
    """Byte-level pieces: ' go' + 'od' is one token ' good' of this tokenizer, so the last token alone is read again."""
    value = value_of(tiny_handle, folders["bytes"])
    model = value.model
    following = Following(model, [Prompt("p", text="the film was")], [0, 0])
    for so_far in (" good bad", " good"):
        assert len(model.encode_behind(so_far, False)) == len(so_far.split())
    before = len(model.encode_behind(" good b", False))
    assert following.move([0, 1], [" good b", " good bad"], [False, False]).tolist() == [before, 2]
    merged = model.encode_behind(" good bad and", False)
    assert following.move([0, 1], [" good bad and", " good bad and"], [False, False]).tolist() == [len(merged) - 1, 1]


def test_a_search_reads_each_token_once_and_the_prompt_once_for_all_rows(tmp_path):
    """400 + 53 tokens, chunk 8, U=16: about 1,250 tokens by the ledger, where reading prefixes anew takes 48,000."""
    policy = word_policy()
    folder = folder_with(policy.tokenizer, tmp_path, layers=2)
    made = Ledger()
    handle = PolicyHandle(policy, replace(TINY_SAMPLER, max_new_tokens=53, top_k=0), made)
    prompts = [Prompt("long", text=" ".join(["film"] * 400))]
    value = value_of(handle, folder, blocks=1)
    anew = [0]

    def observe(beam, choices, rows):
        anew[0] += sum(len(value.model.encode(c.prompt)) + len(c.tokens) for c in rows.completions())

    with made.phase("generate"):
        search = Search(width=4, successors=4, chunk=8)
        (answer,) = guided_search(handle, Guide([value], [1.0]), prompts, search, Streams(0), observe=observe)
    booked = {row["role"]: row for row in made.drain()}
    assert booked["value"]["prefill_tokens"] == answer.work["value"].value_tokens
    assert 400 + 16 * 53 <= booked["value"]["prefill_tokens"] <= 1250
    assert 47_000 < anew[0] < 50_000


def test_values_of_the_same_weights_share_what_is_read(tiny_handle, folders, ledger):
    """IRO's values over one frozen model: each says what it says alone, and the tokens are read once."""
    values = [value_of(tiny_handle, folders["bytes"], pooling) for pooling in ("mean_all", "last", "mean_response")]
    search = Search(width=2, successors=3, chunk=4)

    def searched(values):
        ledger.drain()
        answers = guided_search(
            tiny_handle, Guide(values, [1.0] * len(values)), tiny_prompts(), search, Streams(0), observe=said.append_of
        )
        booked = sum(row["prefill_tokens"] for row in ledger.drain() if row["role"] == "value")
        assert booked == sum(a.work["value"].value_tokens for a in answers)
        return booked

    said = Said()
    assert searched(values) == searched(values)
    alone = [value_of(tiny_handle, folders["bytes"], "mean_all")]
    together = said.values[0][:, 0]
    said.values.clear()
    one = searched(alone)
    assert np.allclose(said.values[0][:, 0], together, atol=1e-5)
    assert searched([alone[0], alone[0], alone[0]]) == one


def test_what_was_read_goes_with_the_rows(tiny_handle, folders):
    value = value_of(tiny_handle, folders["bytes"])
    rows = WrittenRows([Prompt("p", text="film")], 2, np.random.default_rng(0))
    before = set(_ALONG)
    reader = value.start(rows)
    assert len(set(_ALONG) - before) == 1
    del rows, reader
    gc.collect()
    assert set(_ALONG) <= before


class Said:
    """The values of every round of a search."""

    def __init__(self):
        self.values = []

    def append_of(self, beam, choices, rows):
        self.values.append(beam.values)


def rollouts_of(handle, ledger, prompts, each=4):
    reward = RewardHandle(lambda cs: np.array([c.text.count("a") - c.text.count("b") for c in cs]), ledger, Scale(0, 1))
    answers = sample_rows(handle, prompts, each, Streams(0), "first", reward)
    return [c for a in answers for c in a.finalists]


FIT_PROMPTS = [Prompt(f"f{i:02d}", text=f"{'abcdefghijkl'[i % 12]} day {'xyz'[i % 3]}") for i in range(20)]


@pytest.mark.parametrize("train", ["frozen", "lora", "full"])
def test_fitted_saved_and_loaded_it_says_the_same(tiny_handle, ledger, folders, train, tmp_path):
    data = rollouts_of(tiny_handle, ledger, FIT_PROMPTS)
    lm = LmSettings(folders["letters"], 2, train, learning_rate=1e-2, epochs=2, batch=8, rank=2)
    settings = ValueSettings(kind="lm", lm=lm, epochs=1, hidden=4)
    fitted = fit_lm(data, settings, tiny_handle, np.random.default_rng(0))
    assert fitted.report.choices["kind"] == "lm"
    assert (train == "frozen") == (fitted.value.weights is None), "training must have helped, or this tests nothing"
    fitted.value.save(tmp_path)
    again = load_value(tmp_path, tiny_handle)
    one, two = (value.predict(data[:6]) for value in (fitted.value, again))
    assert np.allclose(one.value, two.value, atol=1e-5) and (one.position == two.position).all()


def test_trained_weights_leave_the_frozen_model_as_it_is(tiny_handle, ledger, folders):
    data = rollouts_of(tiny_handle, ledger, FIT_PROMPTS)
    model = tiny_handle.value_model(folders["letters"], 2)
    before = {name: tensor.clone() for name, tensor in model.decoder.state_dict().items()}
    lm = LmSettings(folders["letters"], 2, "full", learning_rate=1e-2, epochs=1, batch=8)
    fit_lm(data, ValueSettings(kind="lm", lm=lm, epochs=1, hidden=4), tiny_handle, np.random.default_rng(0))
    after = tiny_handle.value_model(folders["letters"], 2).decoder.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_predictions_are_those_of_every_prefix_from_scratch(tiny_handle, ledger, folders):
    data = rollouts_of(tiny_handle, ledger, tiny_prompts(), 2)
    value = value_of(tiny_handle, folders["bytes"], "mean_response")
    found = value.predict(data, every=5)
    for i, candidate in enumerate(data):
        c = candidate.completion
        mine = found.rollout == i
        lengths = [*range(0, len(c.tokens), 5), len(c.tokens)]
        assert found.position[mine].tolist() == lengths
        for got, n, text in zip(found.value[mine], lengths, tiny_handle.prefix_texts(c, lengths), strict=True):
            ended = n == len(c.tokens) and c.stop == "eos"
            assert got == pytest.approx(scored_from_scratch(value, c.prompt, text, ended), abs=1e-4)


def test_reading_to_fit_is_booked_three_times_where_weights_are_trained(tiny_handle, ledger, folders):
    """Frozen: every token once, prompts once for their texts. Trained: three times an epoch, and held-out texts."""
    data = rollouts_of(tiny_handle, ledger, FIT_PROMPTS)
    model = tiny_handle.value_model(folders["letters"], 2)

    def booked(train):
        ledger.drain()
        lm = LmSettings(folders["letters"], 2, train, epochs=1)
        fit_lm(data, ValueSettings(kind="lm", lm=lm, epochs=0, hidden=4), tiny_handle, np.random.default_rng(0))
        return sum(row["prefill_tokens"] for row in ledger.drain() if row["role"] == "value")

    texts = [len(model.encode_behind(c.completion.text, c.completion.stop == "eos")) for c in data]
    frozen = booked("frozen")
    assert frozen >= sum(len(model.encode(p)) for p in FIT_PROMPTS) + sum(texts)
    rows = {c.completion.prompt.id for c in data}
    held = set(sorted(rows)[::5])
    with_prompt = [(n + len(model.encode(c.completion.prompt)), c) for n, c in zip(texts, data, strict=True)]
    trained = sum(3 * n for n, c in with_prompt if c.completion.prompt.id not in held)
    checked = sum(2 * n for n, c in with_prompt if c.completion.prompt.id in held)  # before and behind the epoch
    assert booked("full") == frozen + trained + checked


def test_the_offline_default_is_the_embedded_model():
    assert LmSettings().model == EMBEDDED


def test_chats_stand_as_text_where_the_value_model_has_no_template(tiny_handle, folders):
    model = tiny_handle.value_model(folders["bytes"], 1)
    chat = Prompt("c", messages=(Message("user", "the film"),))
    assert model.encode(chat) == model.encode(Prompt("t", text="user: the film\nassistant:"))


def test_what_a_value_model_cannot_be_is_said(tiny_handle, folders, tmp_path):
    with pytest.raises(UserError, match=r"value\.lm\.blocks=9: LlamaForCausalLM has 3"):
        tiny_handle.value_model(folders["bytes"], 9)
    with pytest.raises(UserError, match=r"value\.lm\.model='\./nowhere'"):
        tiny_handle.value_model("./nowhere", 1)
    value = value_of(tiny_handle, folders["bytes"])
    rows = WrittenRows([Prompt("l", text="film " * 700)], 1, np.random.default_rng(0))
    with pytest.raises(UserError, match="longer than the 600 that the value model"):
        value.start(rows)


def test_another_model_than_the_fitted_one_is_refused(tiny_handle, folders, tmp_path):
    value = value_of(tiny_handle, folders["bytes"])
    value.save(tmp_path / "value")
    other = folder_with(word_pieces(), tmp_path / "other")
    about = (tmp_path / "value" / "value.json").read_text()
    (tmp_path / "value" / "value.json").write_text(about.replace(folders["bytes"], other))
    with pytest.raises(UserError, match="is not the one that the value"):
        load_value(tmp_path / "value", tiny_handle)


def test_a_model_that_sees_what_comes_later_is_refused(tiny_handle, tmp_path):
    """Attention that looks ahead changes the states of what was read before, so carried keys are wrong."""
    from transformers import BertConfig, BertLMHeadModel

    torch.manual_seed(0)
    tokenizer = word_pieces()
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        is_decoder=False, initializer_range=0.5,
    )  # fmt: skip
    BertLMHeadModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="cannot be followed chunk by chunk"):
        tiny_handle.value_model(str(tmp_path), 1)


def test_held_out_quality_is_said_by_the_policys_positions(tiny_handle, ledger, folders):
    data = rollouts_of(tiny_handle, ledger, tiny_prompts(), 4)
    rows = quality(value_of(tiny_handle, folders["bytes"]), [replace(c, reward=float(i)) for i, c in enumerate(data)])
    longest = max(len(c.completion.tokens) for c in data)
    assert {row["position"] for row in rows} <= {*range(0, longest, max(1, longest // 4)), -1}
    assert rows[0]["position"] == 0 and rows[-1]["position"] == -1
