"""What every engine must do, in this process or behind an API: the same checks over all of them."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.policy import Policy
from harness.core.models.sampling import Sampler
from harness.core.models.stopping import StopStrings
from harness.core.streams import Streams
from harness.core.types import Message, Prompt
from tests.conftest import TINY_SAMPLER, TOY_SAMPLER, tiny_prompts, toy_prompts
from tests.core.models.served.test_probe import opened
from tests.served_model import Manner, served_model

ROWS = 4
TEXTS = [Prompt(f"p{i}", text=text) for i, text in enumerate(["abc", "head. ", "fade a cab", "gg", "he"])]
CHATS = [Prompt(p.id, messages=(Message("user", p.text or ""),)) for p in TEXTS]


@dataclass
class Engine:
    policy: Policy
    sampler: Sampler
    prompts: list[Prompt]
    ledger: Ledger
    chunk: int

    def decode(self, prompts=None, sampler=None):
        handle = PolicyHandle(self.policy, sampler or self.sampler, self.ledger)
        return handle.decode(self.prompts if prompts is None else prompts, ROWS, Streams(0))

    def finished(self, prompts=None, sampler=None):
        rows = self.decode(prompts, sampler)
        while not rows.finished.all():
            rows.extend(self.chunk)
        return rows


@pytest.fixture(params=["toy", "tiny", "served texts", "served chats", "served without n or seeds"])
def engine(request, toy, tiny, ledger, tmp_path):
    sampler = Sampler(temperature=1.0, top_k=6, top_p=1.0, max_new_tokens=12)
    match request.param:
        case "toy":
            yield Engine(toy, TOY_SAMPLER, toy_prompts(5), ledger, 1)
            return
        case "tiny":
            yield Engine(tiny, TINY_SAMPLER, tiny_prompts(), ledger, 3)
            return
        case "served without n or seeds":
            manner, prompts = Manner(ignores_n=True, ignores_seed=True), TEXTS
        case "served chats":
            manner, prompts = Manner(texts=False, echoes=True), CHATS
        case _:
            manner, prompts = Manner(cached=True), TEXTS
    with served_model(manner) as server:
        yield Engine(opened(server, tmp_path), sampler, prompts, ledger, 3)


def texts_by_prompt(rows):
    found: dict[str, list[str]] = {}
    for c in rows.completions():
        found.setdefault(c.prompt.id, []).append(c.text)
    return found


def test_rows_of_a_prompt_stand_together_in_the_order_of_the_prompts(engine):
    rows = engine.finished()
    assert rows.owner.tolist() == [p for p in range(len(engine.prompts)) for _ in range(ROWS)]
    assert [c.prompt.id for c in rows.completions()] == [p.id for p in engine.prompts for _ in range(ROWS)]


def test_neither_the_order_of_prompts_nor_asking_again_changes_an_answer(engine):
    """Anew in this process, from what is kept behind an API."""
    plain = texts_by_prompt(engine.finished())
    assert texts_by_prompt(engine.finished(engine.prompts[::-1])) == plain
    assert texts_by_prompt(engine.finished(engine.prompts[1:2])) == {engine.prompts[1].id: plain[engine.prompts[1].id]}


def test_no_row_is_longer_than_the_limit_and_each_says_how_it_ended(engine):
    limit = engine.sampler.max_new_tokens
    for c in engine.finished().completions():
        assert c.stop in ("eos", "length") and 0 < c.length <= limit
        assert c.stop == "eos" or c.length == limit
    short = engine.finished(sampler=replace(engine.sampler, max_new_tokens=2))
    assert all(c.length <= 2 for c in short.completions())


def test_a_chunk_is_no_longer_than_asked_and_leaves_finished_rows_as_they_are(engine):
    rows, lengths = engine.decode(), np.zeros(len(engine.prompts) * ROWS, dtype=int)
    while not rows.finished.all():
        before, over = [c.text for c in rows.completions()], rows.finished.clone()
        chunk = rows.extend(engine.chunk)
        assert chunk.mask.shape[1] <= max(1, engine.chunk) and not chunk.moved[over].any()
        lengths += chunk.mask.sum(1).numpy()
        for was, c, done in zip(before, rows.completions(), over.tolist(), strict=True):
            assert c.text == was if done else c.text.startswith(was.rstrip())
    assert [c.length for c in rows.completions()] == lengths.tolist()
    assert not rows.extend(engine.chunk).moved.any()


def test_rows_that_are_selected_go_on_from_what_they_were(engine):
    rows = engine.decode()
    rows.extend(engine.chunk)
    index = torch.tensor([p * ROWS + row for p in range(len(engine.prompts)) for row in (2, 2, 0)])
    chosen = [rows.completions()[i] for i in index.tolist()]
    keys = [rows.keys()[i] for i in index.tolist()]
    rows.select(index, torch.tensor([0, 1, 2] * len(engine.prompts)))
    assert rows.completions() == chosen and list(rows.keys()) == keys
    rows.extend(engine.chunk)
    assert all(c.text.startswith(was.text.rstrip()) for c, was in zip(rows.completions(), chosen, strict=True))
    assert all(c == was for c, was in zip(rows.completions(), chosen, strict=True) if was.stop is not None)


def test_keys_are_equal_where_two_rows_wrote_the_same(engine):
    rows = engine.finished()
    for key, c in zip(rows.keys(), rows.completions(), strict=True):
        for other_key, other in zip(rows.keys(), rows.completions(), strict=True):
            if c.prompt.id == other.prompt.id:
                assert (key == other_key) == ((c.tokens, c.text, c.stop) == (other.tokens, other.text, other.stop))


def test_what_was_written_and_read_is_booked_and_nothing_more(engine):
    engine.ledger.drain()
    rows = engine.finished()
    [usage] = engine.ledger.drain()
    assert usage["role"] == "policy" and usage["calls"] > 0
    assert usage["tokens"] == sum(c.length for c in rows.completions())
    assert usage["prefill_tokens"] >= len(engine.prompts) and usage["cached_tokens"] <= usage["prefill_tokens"]
    assert rows.policy_tokens().sum() == usage["prefill_tokens"] - usage["cached_tokens"] + usage["tokens"]
    assert (rows.steps() > 0).all()
    rows.extend(engine.chunk)
    assert not [row for row in engine.ledger.drain() if row["tokens"] or row["prefill_tokens"]]


def test_at_temperature_0_all_rows_of_a_prompt_are_one_text(engine):
    for texts in texts_by_prompt(engine.finished(sampler=replace(engine.sampler, temperature=0.0))).values():
        assert len(set(texts)) == 1


@pytest.mark.parametrize("size", [1, 2])
def test_an_answer_ends_before_a_stop_string_as_if_it_were_cut_afterwards(engine, size, request):
    """Behind an API a stop string may come in two pieces, and what a piece has beyond it was paid for.

    A blank at the end of a piece is written anew there, so that a stop string of blanks may be said and taken back.
    """
    plain = [c.text for c in engine.finished().completions()]
    middles = dict.fromkeys(text[len(text) // 2 :][:size] for text in plain if len(text) > size)
    stops = tuple(one for one in middles if " " not in one)[:5]
    ends = StopStrings(stops)
    found = engine.finished(sampler=replace(engine.sampler, stop=stops)).completions()
    assert all(c.stop is not None and ends.cut(c.text) is None for c in found)
    if "without" not in request.node.name:  # a server that ignores seeds says something else each time
        assert [c.text for c in found] == [text if ends.cut(text) is None else ends.cut(text) for text in plain]
        assert sum(c.stop == "string" for c in found) > 2
