"""Against llama.cpp's own server: what it can do is found, and rows are drawn, continued and found again.

With SERVER=openai:http://127.0.0.1:8000/v1#smollm2 against another program that has SmolLM2 in float32, such as vLLM.
"""

import os
from dataclasses import replace

import numpy as np
import pytest

from harness.core.api.client import Patience
from harness.core.api.spending import Prices
from harness.core.api.use import Use
from harness.core.files import cache_folder
from harness.core.models.embedded import EMBEDDED
from harness.core.models.loading import load_policy
from harness.core.models.served.asker import Speech
from harness.core.models.served.policy import open_served
from harness.core.search.search import Finish, Guide, guided_search
from harness.core.search.selection import Search
from harness.core.streams import Streams
from harness.core.types import Completion, Message, Prompt
from tests.core.models.served.test_rows import SAMPLER, handle_on, sampled, texts_of, vowels
from tests.llama_server import llama_server

pytestmark = pytest.mark.slow

ANOTHER = os.environ.get("SERVER", "")  # in place of llama.cpp's
NEAR = 1e-4 if ANOTHER else 0.15  # nats a token; llama.cpp and we read 4-bit weights each in its way

TEXTS = [Prompt("t0", text="The film begins with"), Prompt("t1", text="I never thought that")]
CHATS = [Prompt("c0", messages=(Message("user", "Name three colours."),))]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    if ANOTHER:
        yield ANOTHER, folder
        return
    with llama_server(folder, parallel=4) as url:
        yield f"openai:{url}#smollm2", folder


def opened(server):
    use = Use(patience=Patience(timeout=600, parallel=4))
    return open_served(server[0], server[1], use, Speech(), Prices())


@pytest.mark.skipif(bool(ANOTHER), reason="another program has another dialect")
def test_its_dialect_is_found(server):
    dialect = opened(server).dialect
    assert dialect.texts and dialect.messages and dialect.goes_on == "template"
    assert dialect.choices == 4 and dialect.seeds and dialect.varies and dialect.top_k and dialect.cached_tokens
    assert dialect.temperature == "any" and dialect.top_p and dialect.top_k_off == 0
    assert dialect.text_logprobs == dialect.chat_logprobs == "raw" and not dialect.token_ids


@pytest.mark.parametrize("prompts", [TEXTS, CHATS])
def test_the_log_probabilities_that_it_tells_are_the_models_own(server, prompts):
    """Of samples at another temperature and within a top-k, too."""
    cold = replace(SAMPLER, temperature=0.7, top_k=20)
    found, _ = sampled(opened(server), prompts, 2, cold)
    here = load_policy(EMBEDDED, "cpu", "float32", cache_folder())
    for completion in (c for of_prompt in found.values() for c in of_prompt):
        tokens = here.tokens_of(completion.text)
        [own] = here.logprobs([Completion(completion.prompt, tokens, completion.text, None)])
        assert len(completion.logprobs) - len(own) == (completion.stop == "eos")  # it tells the end, too
        assert np.abs(own - completion.logprobs[: len(own)]).mean() < NEAR


def test_the_base_is_the_first_of_its_samples_whichever_is_asked_first(server):
    """Choice i of a request has the seed plus i; numbers of its batches may tip a token now and then."""
    policy = opened(server)
    one, _ = sampled(policy, TEXTS, 1)
    four, _ = sampled(policy, TEXTS, 4)
    assert {name: texts[:1] for name, texts in texts_of(four).items()} == texts_of(one)
    assert all(len(set(texts)) > 1 for texts in texts_of(four).values())
    assert all(c.length <= SAMPLER.max_new_tokens for of_prompt in four.values() for c in of_prompt)


@pytest.mark.parametrize("prompts", [TEXTS, CHATS])
def test_a_search_goes_on_chunk_by_chunk_and_is_found_again(server, prompts):
    found = []
    for _ in range(2):
        policy = opened(server)
        handle, ledger = handle_on(policy)
        answers = guided_search(handle, Guide(), prompts, Search(2, 2, 4), Streams(0), Finish(vowels))
        found.append([[c.completion.text for c in a.finalists] for a in answers])
        [usage] = ledger.drain()
        assert usage["tokens"] > 0 and usage["prefill_tokens"] > usage["cached_tokens"]
        assert bool(usage["cached_tokens"]) == policy.dialect.cached_tokens  # llama.cpp tells them, see above
    assert found[0] == found[1] and policy.spending.requests == 0
    assert all(text.strip() for of_prompt in found[0] for text in of_prompt)
