"""`plan`: a run of the hub's models and data, told from its configuration alone."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from harness import cli
from harness.core.errors import UserError
from harness.running.config import resolve
from harness.running.options import options_from, parse_setting
from harness.running.sizes import size_of
from harness.running.unloaded import unloaded

SETUPS = Path(__file__).parents[2] / "tasks" / "setups"


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def found(name: str, *settings: str):
    options = options_from({}, [parse_setting(text) for text in settings], SETUPS / f"{name}.yaml")
    return unloaded(resolve(options.request))


def test_parameters_are_counted_and_are_those_that_were_published():
    """The table of Pythia's model cards, and the size of Llama 3's files."""
    assert size_of("vwxyzjn/EleutherAI_pythia-6.9b-deduped__sft__tldr", False).parameters == 6_857_302_016
    llama = size_of("meta-llama/Meta-Llama-3-8B-Instruct", False)
    assert llama.parameters == 8_030_261_248
    assert llama.cache_bytes == 2 * 2 * 32 * 8 * 128  # keys and values, two bytes, blocks, heads, width


def test_a_model_in_a_folder_is_counted_from_its_own_configuration_and_is_not_downloaded(tmp_path):
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    )
    model.save_pretrained(tmp_path)
    size = size_of(str(tmp_path), False)
    assert size.parameters == sum(p.numel() for p in model.parameters()) and size.download == 0
    assert size_of(str(tmp_path), True).parameters == size.parameters - 50 * 16 + 16  # a head for one number
    assert not any(p.is_meta for p in model.parameters()) and torch.get_default_device().type == "cpu"


def test_an_unknown_model_and_another_task_are_refused(tmp_path):
    with pytest.raises(UserError, match="the size of model 'no/such' is not known"):
        size_of("no/such", False)
    options = options_from({"task": "toy", "model": "toy"}, [])
    with pytest.raises(UserError, match="plan is for runs of the task hub, and this is toy"):
        unloaded(resolve(options.request))


@pytest.mark.parametrize("name", ["tldr-pythia", "alpaca-eval-llama3"])
def test_the_set_ups_have_no_problem_and_fit_one_card(name):
    one = found(name)
    assert one.problems == [] and one.memory < 80e9 and one.hours > 0.1
    assert len({size.name for size in (one.policy, one.proxy, one.gold)}) == 3
    iterations = [s.label for s in one.stages if s.kind == "fit" and s.method == "iro"]
    assert len(iterations) == 3


@pytest.mark.parametrize(
    "settings, says",
    [
        (["hub.column=posts"], "has no column 'posts'; its columns: id, subreddit"),
        (["hub.split=training"], "has no split 'training'; its splits: train, validation, test"),
        (["evaluate.prompts=7000"], "evaluate.prompts=7000, and cleanrl/"),
        (["fit.prompts=5000"], "3 iterations of fit.prompts=5000 need 15,000 fit prompts; the task takes 8,192"),
        (["sampler.max_new_tokens=1600"], "the policy reads 2,048 tokens"),
    ],
)
def test_what_the_run_would_end_at_is_said_before(settings, says):
    problems = found("tldr-pythia", *settings).problems
    assert len(problems) == 1 and says in problems[0]


def test_more_rows_take_more_memory_and_more_prompts_more_hours():
    few, many = found("tldr-pythia"), found("tldr-pythia", "batch.rows=128")
    assert few.memory - many.memory == (few.rows - many.rows) * few.row_bytes > 0
    assert found("tldr-pythia", "fit.prompts=512").hours < few.hours


def test_the_command_prints_it_and_ends_with_1_at_a_problem(capsys):
    assert cli.main(["plan", str(SETUPS / "tldr-pythia.yaml")]) == 0
    said = capsys.readouterr().out
    assert "13.7 GB" in said and "one H100 SXM" in said and max(map(len, said.splitlines())) <= 80
    assert cli.main(["plan", str(SETUPS / "tldr-pythia.yaml"), "--set", "hub.column=posts"]) == 1
    assert "problem" in capsys.readouterr().out
    assert cli.main(["plan", str(SETUPS / "tldr-pythia.yaml"), "--set", "hub.colum=posts"]) == 2
    assert "Did you mean 'hub.column'?" in capsys.readouterr().err
