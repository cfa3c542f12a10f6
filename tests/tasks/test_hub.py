"""Prompts of a data set and reward models, here in files and folders."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

from harness.core.errors import UserError
from harness.core.task import GOLD
from harness.core.types import Completion, Message, Prompt
from harness.tasks.hub import Hub, HubConfig, RewardModel

WORDS = ["<pad>", "<eos>", "user", "assistant", *"abcdefgh"]


@pytest.fixture
def reward(tmp_path):
    """A folder with a random reward model over a dozen words."""

    def made(name: str, labels: int = 1) -> str:
        inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<pad>"))
        inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<pad>")
        tokenizer.chat_template = "{% for m in messages %}{{ m.role }} {{ m.content }} <eos> {% endfor %}"
        torch.manual_seed(len(name))
        config = LlamaConfig(
            vocab_size=len(WORDS), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
            num_labels=labels, pad_token_id=0, initializer_range=0.5,
        )  # fmt: skip
        LlamaForSequenceClassification(config).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        return str(tmp_path / name)

    return made


def write(path: Path, *texts: str, column: str = "prompt") -> str:
    path.write_text("".join(json.dumps({column: text}) + "\n" for text in texts), encoding="utf-8")
    return str(path)


def asked(prompts: list[Prompt]) -> set[str]:
    return {prompt.text or prompt.messages[0].content for prompt in prompts}


def test_slices_share_no_prompt_whatever_the_files_share(tmp_path):
    data = write(tmp_path / "fit.jsonl", *(f"question {i}" for i in range(100)), "question 1", "tested too")
    test = write(tmp_path / "test.jsonl", "tested too", "and this", column="instruction")
    config = HubConfig(data=data, test=test, test_column="instruction", proxy="p", gold="g", chat=True)
    task = Hub(config, None, tmp_path)
    fit, kept, tested = (task.prompts(part) for part in ("fit", "development", "test"))
    assert asked(tested) == {"tested too", "and this"}
    assert asked(fit) | asked(kept) == {f"question {i}" for i in range(100)} and len(fit) + len(kept) == 100 > len(fit)
    assert all(p.messages[0].role == "user" for p in fit)
    fewer = Hub(HubConfig(data=data, test=test, test_column="instruction", proxy="p", gold="g", most=5), None, tmp_path)
    assert len(fewer.prompts("fit")) == 5 and all(p.text is not None for p in fewer.prompts("fit"))


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"column": "text"}, r"fit\.jsonl, row 1 has no column 'text'; its columns: prompt"),
        ({"proxy": ""}, r"the task hub needs hub\.proxy"),
        ({"data": "gone.jsonl"}, "there is no such file"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, settings, says):
    data = write(tmp_path / "fit.jsonl", "a")
    with pytest.raises(UserError, match=says):
        Hub(HubConfig(**{"data": data, "proxy": "p", "gold": "g", **settings}), None, tmp_path).prompts("fit")


def test_a_reward_model_reads_one_text_two_or_a_chat(reward):
    folder = reward("proxy")
    prompt = Prompt("p", text="a b ")
    model = LlamaForSequenceClassification.from_pretrained(folder).eval().requires_grad_(False)
    expected = {"text": "a b c d", "pair": "a b c d", "chat": "user a b <eos> assistant c d <eos>"}
    for reads, text in expected.items():
        ids = torch.tensor([[WORDS.index(word) for word in text.split()]])
        (score,) = RewardModel(folder, reads)([Completion(prompt, (1,), "c d", "eos")])
        assert score == pytest.approx(float(model(input_ids=ids).logits[0, 0]), abs=1e-5), reads


def test_scores_of_one_text_do_not_depend_on_its_neighbours_and_proxy_is_not_gold(reward, tmp_path):
    data = write(tmp_path / "fit.jsonl", "a")
    task = Hub(HubConfig(data=data, proxy=reward("p"), gold=reward("gold"), gold_reads="chat"), None, tmp_path)
    said = Prompt("p", messages=(Message("user", "a b"),))
    completions = [Completion(said, (1,), text, "eos") for text in ("c", "c d e f g h", "d")]
    proxy, gold = task.reward()(completions), task.score(completions)[GOLD]
    assert task.reward()(completions[:1])[0] == proxy[0]
    assert np.isfinite(proxy).all() and not np.allclose(proxy, gold)


def test_a_classifier_of_two_and_a_missing_model_are_refused(reward, tmp_path):
    completion = Completion(Prompt("p", text="a"), (1,), "b", "eos")
    with pytest.raises(UserError, match="gives 2 numbers for a text"):
        RewardModel(reward("two", labels=2), "text")([completion])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="could not be loaded"):
        RewardModel(str(tmp_path / "empty"), "text")([completion])


def test_another_content_of_a_file_or_model_is_another_task(reward, tmp_path):
    data, folder = write(tmp_path / "fit.jsonl", "a"), reward("proxy")
    config = HubConfig(data=data, proxy=folder, gold="org/name")
    before = Hub(config, None, tmp_path).key_settings
    write(tmp_path / "fit.jsonl", "b")
    assert Hub(config, None, tmp_path).key_settings["data"] != before["data"]
    assert before["gold"] == "org/name" and before["proxy"] != folder
