from copy import deepcopy

import polars as pl
import pytest
from transformers import LlamaForCausalLM

from harness.core.models.transformers_policy import TransformersPolicy
from harness.running.speed import flops_of, run_bench, table, write_bench


@pytest.mark.slow
def test_the_benchmark_runs_on_a_tiny_model_and_stores_every_figure(tiny, tmp_path):
    """Figures are looked at by people; here only that each exists, is positive, and is stored."""
    config = deepcopy(tiny.model.config)
    config.max_position_embeddings = 1024  # its tokenizer makes two tokens of a letter that was cut from a text
    policy = TransformersPolicy(LlamaForCausalLM(config), tiny.tokenizer, "tiny", "tiny")
    rows = run_bench(policy, LlamaForCausalLM(config), repeats=1)
    stored = pl.read_parquet(write_bench(policy, rows, tmp_path))
    assert len(stored) == len(rows) == 2 * 6 + 1
    assert (stored["share"] > 0).all() and set(stored["path"]) == {"shared prefix"}
    assert table(rows).count("\n") == len(rows) + 1


def test_flops_by_hand(tiny):
    """One prompt token, one new token, one row: the body once, the output layer once, one position attended to."""
    config = tiny.model.config
    output = 97 * 32
    body = tiny.parameters - output
    assert flops_of(tiny, 1, 1, 1, 1) == 2 * body + 4 * 4 * 32 + 2 * output
    assert config.num_attention_heads * config.head_dim == 32
