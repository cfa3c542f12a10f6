"""Prompts composed of a topic, what is to be written about it, and one to three instructions that code can check.

prompts = composed("fit")
prompts[0].messages[0].content       # "Write a riddle about old maps. Do not use any commas. Say ..."
prompts[0].row                       # {"instruction_id_list": ["punctuation:no_comma", ...], "kwargs": [{}, ...]}

Everything is drawn by a stream of slice and number. Slices share no topic. Which instructions go together is decided
here: no prompt asks for what another of its instructions forbids.
"""

import random
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations, count
from typing import Any

from harness.core.digest import digest
from harness.core.task import Slice
from harness.core.types import Message, Prompt
from harness.tasks.ifeval.asks import ASKS, Ask
from harness.tasks.ifeval.topics import TOPICS

COUNTS: Mapping[Slice, int] = {"fit": 720, "development": 160, "test": 300}

_FORMS = (
    "Write a short blog post about {}.", "Write an email to a friend about {}.", "Write a short story about {}.",
    "Write a poem about {}.", "Write a short speech about {}.", "Write a dialogue between two neighbours about {}.",
    "Tell me three things that few people know about {}.", "Write a letter to a newspaper about {}.",
    "Write a riddle about {}.", "Write a social media post about {}.", "Write a diary entry about {}.",
    "What should a child know about {}?", "Write a short lesson about {} for adults.",
    "Write the opening scene of a play about {}.", "Write the lyrics of a song about {}.", "Write a joke about {}.",
    "Describe what a painter might see in a picture about {}.", "Write a short review of a book about {}.",
)  # fmt: skip
_QUESTIONS = (
    "Would you read a book about {}?", "Is there much to learn about {}?", "Would a song about {} make people smile?",
    "Do most people like to talk about {}?",
)  # fmt: skip

_CONSTRAINED, _REPEAT = "detectable_format:constrained_response", "combination:repeat_prompt"
_JSON, _TWO, _TITLE = "detectable_format:json_format", "combination:two_responses", "detectable_format:title"
_LANGUAGE, _QUOTED, _END = "language:response_language", "startend:quotation", "startend:end_checker"
_POSTSCRIPT, _SECTIONS = "detectable_content:postscript", "detectable_format:multiple_sections"
_PARAGRAPHS, _FIRST = "length_constraints:number_paragraphs", "length_constraints:nth_paragraph_first_word"
_SENTENCES, _WORDS = "length_constraints:number_sentences", "length_constraints:number_words"
_CAPITAL, _LOWER = "change_case:english_capital", "change_case:english_lowercase"
_SHOUTED, _LETTER = "change_case:capital_word_frequency", "keywords:letter_frequency"
_KEYWORDS, _FREQUENCY, _FORBIDDEN = "keywords:existence", "keywords:frequency", "keywords:forbidden_words"
_PLACEHOLDERS, _HIGHLIGHTS = "detectable_content:number_placeholders", "detectable_format:number_highlighted_sections"
_BULLETS, _NO_COMMA = "detectable_format:number_bullet_lists", "punctuation:no_comma"

_ONE_OF = (  # of each group a prompt has at most one
    {_CONSTRAINED, _JSON, _TWO, _REPEAT, _SECTIONS, _PARAGRAPHS, _FIRST, _BULLETS},
    {_SENTENCES, _WORDS, _PARAGRAPHS, _FIRST, _SECTIONS, _TWO},
    {_CAPITAL, _LOWER, _SHOUTED, _LANGUAGE},
    {_END, _POSTSCRIPT, _QUOTED, _JSON, _TWO},
)
_NOT_WITH: Mapping[str, set[str]] = {
    _LANGUAGE: {_KEYWORDS, _FREQUENCY, _FORBIDDEN, _LETTER, _FIRST, _END, _SECTIONS, _REPEAT},
    _REPEAT: set(ASKS) - {_REPEAT, _TITLE, _POSTSCRIPT, _PLACEHOLDERS, _HIGHLIGHTS, _END},
    _CONSTRAINED: set(ASKS) - {_CONSTRAINED},
    _SECTIONS: {_CAPITAL, _LOWER},
    _JSON: {_NO_COMMA, _HIGHLIGHTS, _PLACEHOLDERS, _TITLE, _SENTENCES},
    _KEYWORDS: {_FREQUENCY},
    _LETTER: {_KEYWORDS, _FREQUENCY, _FIRST, _END, _FORBIDDEN},
    _FORBIDDEN: {_END},
}


def go_together(ids: Sequence[str]) -> bool:
    """Whether no instruction forbids what another one asks for."""
    return all(
        not any({a, b} <= group for group in _ONE_OF)
        and b not in _NOT_WITH.get(a, ())
        and a not in _NOT_WITH.get(b, ())
        for a, b in combinations(ids, 2)
    )


@cache
def composed(part: Slice) -> tuple[Prompt, ...]:
    """The prompts of a slice, by id; none for a slice that has no topics."""
    found: dict[str, Prompt] = {}
    numbers = count()
    while len(found) < COUNTS.get(part, 0):  # two draws may agree
        prompt = _drawn(random.Random(f"ifeval {part} {next(numbers)}"), TOPICS[part])
        found.setdefault(prompt.id, prompt)
    return tuple(sorted(found.values(), key=lambda prompt: prompt.id))


def prompt_of(text: str, ids: Sequence[str], kwargs: Sequence[Mapping[str, Any]]) -> Prompt:
    """A prompt of IFEval; its id is a hash of what it asks, so that prompts sorted by id are in no order of theirs."""
    row = {"instruction_id_list": list(ids), "kwargs": [dict(one) for one in kwargs]}
    return Prompt(digest([text, row])[:12], messages=(Message("user", text),), row=row)


def _drawn(rng: random.Random, topics: Sequence[str]) -> Prompt:
    ids = _together(rng, rng.choices((1, 2, 3), (5, 3, 1))[0])
    if _REPEAT in ids:  # it repeats what stands before it
        ids = [*(name for name in ids if name != _REPEAT), _REPEAT]
    forms = _QUESTIONS if ids == [_CONSTRAINED] else _FORMS
    text = rng.choice(forms).format(rng.choice(topics))
    kwargs: list[Mapping[str, Any]] = []
    for name in ids:
        ask: Ask = ASKS[name](rng)
        kwargs.append({"prompt_to_repeat": text} if name == _REPEAT else ask.kwargs)
        text = f"{text}\n{ask.text}" if name == _REPEAT else f"{text} {ask.text}"
    return prompt_of(text, ids, kwargs)


def _together(rng: random.Random, most: int) -> list[str]:
    """Up to `most` instructions that go together, the first of them any."""
    found: list[str] = []
    for name in rng.sample(list(ASKS), len(ASKS)):
        if len(found) < most and go_together([*found, name]):
            found.append(name)
    return found
