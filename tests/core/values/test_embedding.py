"""The frozen sentence embedding that a value of the text may read beside n-grams."""

import numpy as np
import pytest

from harness.core.streams import Streams
from harness.core.types import Prompt
from harness.core.values.embedding import Embedding
from harness.core.values.fitting import ValueSettings
from harness.core.values.kind_settings import TextSettings
from harness.core.values.stored import load_value
from harness.core.values.text_fitting import fit_text
from tests.core.values.test_text import rollouts

pytestmark = pytest.mark.slow  # all-MiniLM-L6, which is fetched


def booked(ledger):
    return sum(row["prefill_tokens"] for row in ledger.drain() if row["role"] == "value")


def test_like_texts_lie_near_each_other_and_every_token_is_booked(tiny_handle, ledger):
    embedding, texts = Embedding(tiny_handle), ["a good film", "a great movie", "the price of steel fell in March"]
    ledger.drain()
    vectors = embedding.of(texts)
    assert booked(ledger) == sum(embedding.lengths(texts))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert vectors[0] @ vectors[1] > 0.6 > vectors[0] @ vectors[2]
    long = "one two three " * 200
    assert np.allclose(embedding.of([long + "good"])[0], embedding.of(["more before " + long + "good"])[0], atol=1e-5)


def test_a_value_that_reads_it_is_saved_loaded_and_counted(tiny_handle, ledger, tmp_path):
    data = rollouts(tiny_handle, ledger, [Prompt(f"f{i}", text="abc"[i % 3]) for i in range(10)], 2)
    settings = ValueSettings(kind="text", text=TextSettings(embedding="minilm", columns=64))
    value = fit_text(data, settings, tiny_handle).value
    value.save(tmp_path)
    again = load_value(tmp_path, tiny_handle)
    assert np.allclose(again.predict(data).value, value.predict(data).value, atol=1e-5)
    assert value.flops_of_token() > 1e6
    rows = tiny_handle.decode([Prompt("p", text="hello")], 3, Streams(0))
    reader = again.start(rows)
    ledger.drain()
    reader.advance(rows.extend(4))
    assert booked(ledger) == reader.tokens_read.sum() > 0
