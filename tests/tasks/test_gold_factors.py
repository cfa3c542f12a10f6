"""The low-rank file of a gold, on a small encoder of the same shape: exact where the change has that rank."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

from harness.tasks.imdb.gold import Gold
from harness.tasks.imdb.gold_factors import with_factors, write_factors


def small_gold() -> Gold:
    """A gold over a tiny random encoder, always the same one, without MiniLM's files."""
    torch.manual_seed(0)
    gold = Gold.__new__(Gold)
    torch.nn.Module.__init__(gold)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    gold.encoder = BertModel(BertConfig(vocab_size=50, max_position_embeddings=32, **shape), add_pooling_layer=False)
    gold.head = torch.nn.Linear(16, 1)
    return gold.eval()


def trained(rank: int) -> Gold:
    """Its last layer changed by matrices of this rank (0.05 an entry or so), its biases, and its head."""
    gold, generator = small_gold(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in gold.named_parameters():
            if "layer.1." not in name and not name.startswith("head"):
                continue
            if weight.ndim == 2 and not name.startswith("head"):
                out, into = weight.shape
                left, right = torch.randn(out, rank, generator=generator), torch.randn(rank, into, generator=generator)
                weight += 0.05 * left @ right
            else:
                weight += torch.randn(weight.shape, generator=generator)
    return gold


def largest_difference(one: Gold, other: Gold) -> float:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


def test_a_change_of_the_kept_rank_comes_back_up_to_half_precision(tmp_path):
    gold = trained(rank=3)
    write_factors(gold, small_gold(), tmp_path / "gold.safetensors", rank=3)
    assert largest_difference(with_factors(small_gold(), tmp_path / "gold.safetensors"), gold) < 1e-3


def test_a_smaller_rank_loses_less_the_larger_it_is(tmp_path):
    gold, lost = trained(rank=8), []
    for rank in (1, 2, 4, 8):
        write_factors(gold, small_gold(), tmp_path / "gold.safetensors", rank)
        restored = with_factors(small_gold(), tmp_path / "gold.safetensors")
        name = "encoder.encoder.layer.1.output.dense.weight"
        lost.append(float((restored.state_dict()[name] - gold.state_dict()[name]).norm()))
    assert lost == sorted(lost, reverse=True) and lost[0] > 0.1 and lost[-1] < 5e-3


def test_only_what_changed_is_in_the_file(tmp_path):
    write_factors(trained(rank=3), small_gold(), tmp_path / "gold.safetensors", rank=3)
    kept = load_file(tmp_path / "gold.safetensors")
    assert all("layer.1." in name or name.startswith("head.") for name in kept)
    assert kept["encoder.encoder.layer.1.intermediate.dense.weight.left"].shape == (32, 3)
    assert kept["encoder.encoder.layer.1.intermediate.dense.weight.right"].shape == (3, 16)
    assert kept["encoder.encoder.layer.1.intermediate.dense.weight.left"].dtype == torch.float16
    assert kept["encoder.encoder.layer.1.output.LayerNorm.bias.change"].dtype == torch.float32


def test_an_untouched_gold_is_its_head_alone(tmp_path):
    write_factors(small_gold(), small_gold(), tmp_path / "gold.safetensors")
    assert set(load_file(tmp_path / "gold.safetensors")) == {"head.weight", "head.bias"}
    assert largest_difference(with_factors(small_gold(), tmp_path / "gold.safetensors"), small_gold()) == 0


def test_restoring_is_the_same_twice(tmp_path):
    write_factors(trained(rank=3), small_gold(), tmp_path / "gold.safetensors", rank=2)
    one, again = (with_factors(small_gold(), tmp_path / "gold.safetensors") for _ in range(2))
    assert largest_difference(one, again) == pytest.approx(0, abs=0)
