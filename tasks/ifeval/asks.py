"""The instruction classes of IFEval (Zhou et al. 2023, arXiv 2311.07911) in words of our own, parameters drawn.

ask = ASKS["length_constraints:number_words"](random.Random(0))
ask.text, ask.kwargs         # "Use at least 60 words.", {"relation": "at least", "num_words": 60}

`kwargs` are what lm-eval's checker of that class takes. Numbers are such that 256 tokens of English can meet them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from harness.tasks.ifeval.topics import COMMON, WORDS


@dataclass(frozen=True)
class Ask:
    """One instruction: how the prompt says it, and how the checker is told."""

    text: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)


_LANGUAGES = {
    "es": "Spanish", "fr": "French", "de": "German", "it": "Italian", "pt": "Portuguese", "pl": "Polish",
    "fi": "Finnish", "ru": "Russian", "hi": "Hindi", "sw": "Swahili",
}  # fmt: skip
_NAMES = ("[name]", "[address]", "[date]", "[phone number]")
_ENDINGS = (
    "That is all I know.", "Thank you for reading.", "Now it is your turn.", "And so it ends.", "What do you think?",
    "Let me know if this helps.",
)  # fmt: skip


def _exactly_or(rng: Random, low: int, high: int, most: int) -> tuple[str, int]:
    """A relation of IFEval and its number: at least one of low..high, or less than one of high + 1..most."""
    if rng.random() < 0.6:
        return "at least", rng.randint(low, high)
    return "less than", rng.randint(high + 1, most)


def _keywords(rng: Random) -> Ask:
    words = rng.sample(WORDS, rng.randint(1, 3))
    shown = " and ".join(f'"{word}"' for word in words) if len(words) < 3 else ", ".join(f'"{w}"' for w in words)
    said = ("Use the word{s} {shown}.", "Your answer has to mention {shown}.", "Work in the keyword{s} {shown}.")
    return Ask(rng.choice(said).format(s="s" * (len(words) > 1), shown=shown), {"keywords": words})


def _frequency(rng: Random) -> Ask:
    word = rng.choice(WORDS)
    relation, n = _exactly_or(rng, 2, 4, 6)
    said = ('The word "{word}" should come up {relation} {n} times.', 'Say "{word}" {relation} {n} times.')
    text = rng.choice(said).format(word=word, relation=relation, n=n)
    return Ask(text, {"relation": relation, "keyword": word, "frequency": n})


def _forbidden(rng: Random) -> Ask:
    words = rng.sample(COMMON, rng.randint(1, 3))
    shown = ", ".join(f'"{word}"' for word in words)
    said = ("Do not use any of these words: {shown}.", "Leave out the following: {shown}.", "Never say {shown}.")
    return Ask(rng.choice(said).format(shown=shown), {"forbidden_words": words})


def _letter(rng: Random) -> Ask:
    if rng.random() < 0.6:
        relation, letter, n = "at least", rng.choice("bcdfghjkmpvwxyz"), rng.randint(3, 12)
    else:
        relation, letter, n = "less than", rng.choice("abcdfgjkqvxyz"), rng.randint(3, 12)
    said = ("The letter {letter} should appear {relation} {n} times.", "Use the letter {letter} {relation} {n} times.")
    text = rng.choice(said).format(letter=letter, relation=relation, n=n)
    return Ask(text, {"let_relation": relation, "letter": letter, "let_frequency": n})


def _language(rng: Random) -> Ask:
    code = rng.choice(list(_LANGUAGES))
    said = ("Answer in {name} only.", "Write everything in {name} and in no other language.")
    return Ask(rng.choice(said).format(name=_LANGUAGES[code]), {"language": code})


def _sentences(rng: Random) -> Ask:
    relation, n = _exactly_or(rng, 3, 7, 10)
    said = ("Write {relation} {n} sentences.", "Your answer should have {relation} {n} sentences.")
    return Ask(rng.choice(said).format(relation=relation, n=n), {"relation": relation, "num_sentences": n})


def _paragraphs(rng: Random) -> Ask:
    n = rng.randint(2, 4)
    said = (
        "Write exactly {n} paragraphs, with *** between one and the next.",
        "There should be {n} paragraphs. Separate them with the markdown divider: ***",
    )
    return Ask(rng.choice(said).format(n=n), {"num_paragraphs": n})


def _words(rng: Random) -> Ask:
    relation = "at least" if rng.random() < 0.6 else "less than"
    n = 10 * (rng.randint(4, 12) if relation == "at least" else rng.randint(3, 10))
    said = ("Use {relation} {n} words.", "The answer should be {relation} {n} words long.")
    return Ask(rng.choice(said).format(relation=relation, n=n), {"relation": relation, "num_words": n})


def _first_word(rng: Random) -> Ask:
    n, word = rng.randint(2, 4), rng.choice(WORDS)
    k = rng.randint(1, n)
    said = (
        "Write {n} paragraphs with an empty line between them and nowhere else. Paragraph {k} must begin with the word "
        '"{word}".',
        'Give {n} paragraphs, separated by two line breaks. The first word of paragraph {k} has to be "{word}".',
    )
    text = rng.choice(said).format(n=n, k=k, word=word)
    return Ask(text, {"first_word": word, "num_paragraphs": n, "nth_paragraph": k})


def _placeholders(rng: Random) -> Ask:
    n, name = rng.randint(1, 4), rng.choice(_NAMES)
    said = (
        "Leave at least {n} placeholder{s} in square brackets, such as {name}.",
        "Include {n} or more placeholders like {name}, written in square brackets.",
    )
    return Ask(rng.choice(said).format(n=n, s="s" * (n > 1), name=name), {"num_placeholders": n})


def _postscript(rng: Random) -> Ask:
    marker = rng.choice(("P.S.", "P.P.S"))
    said = ("Add a postscript at the end that starts with {marker}", "Close with a postscript beginning with {marker}")
    return Ask(rng.choice(said).format(marker=marker), {"postscript_marker": marker})


def _bullets(rng: Random) -> Ask:
    n = rng.randint(2, 5)
    said = (
        "Include exactly {n} bullet points in markdown, such as:\n* This is a point.",
        "Use a markdown list with exactly {n} points, each on a line that begins with *.",
    )
    return Ask(rng.choice(said).format(n=n), {"num_bullets": n})


def _constrained(rng: Random) -> Ask:
    return Ask("Answer with one of these sentences: My answer is yes. My answer is no. My answer is maybe.")


def _highlights(rng: Random) -> Ask:
    n = rng.randint(1, 4)
    said = (
        "Highlight at least {n} part{s} of your answer with markdown, as in *highlighted part*.",
        "Put {n} or more parts between asterisks, *like this*.",
    )
    return Ask(rng.choice(said).format(n=n, s="s" * (n > 1)), {"num_highlights": n})


def _sections(rng: Random) -> Ask:
    n, mark = rng.randint(2, 4), rng.choice(("Section", "SECTION", "Part"))
    said = (
        "Divide the answer into {n} sections. Each begins with {mark} and its number, such as {mark} 1.",
        "Write {n} sections and mark where each begins with {mark} X, for example:\n{mark} 1\n...\n{mark} 2\n...",
    )
    return Ask(rng.choice(said).format(n=n, mark=mark), {"section_spliter": mark, "num_sections": n})


def _end(rng: Random) -> Ask:
    phrase = rng.choice(_ENDINGS)
    said = (
        'End with exactly these words: "{phrase}" Nothing may follow them.',
        'The very last sentence has to be: "{phrase}"',
    )
    return Ask(rng.choice(said).format(phrase=phrase), {"end_phrase": phrase})


def _capital_words(rng: Random) -> Ask:
    relation, n = _exactly_or(rng, 2, 6, 10)
    said = (
        "Write {relation} {n} words in capital letters only.",
        "Words in all capital letters should appear {relation} {n} times.",
    )
    text = rng.choice(said).format(relation=relation, n=n)
    return Ask(text, {"capital_relation": relation, "capital_frequency": n})


def _plain(*said: str) -> Callable[[Random], Ask]:
    """An instruction without parameters, said in one of several ways."""
    return lambda rng: Ask(rng.choice(said))


ASKS: Mapping[str, Callable[[Random], Ask]] = {
    "keywords:existence": _keywords,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letter,
    "language:response_language": _language,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": _words,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _constrained,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _plain(
        "The whole answer has to be valid JSON.", "Give your entire answer as JSON. You may use markdown ticks (```)."
    ),
    "detectable_format:title": _plain(
        "Give it a title in double angular brackets, such as <<a title>>.",
        "Your answer must have a title, written as <<title>>.",
    ),
    "combination:two_responses": _plain(
        "Give two different answers, with ****** (six asterisks) between them and nowhere else.",
        "Write two answers that differ. Separate them, and only them, with six asterisks: ******",
    ),
    "combination:repeat_prompt": _plain(
        "Before you answer, repeat the request above word for word; say nothing before it. Then give your answer.",
        "First copy the request above without any change, then answer it. Do not put anything before the copy.",
    ),
    "startend:end_checker": _end,
    "startend:quotation": _plain(
        "Put your whole answer in double quotation marks.", "The entire answer has to stand in double quotation marks."
    ),
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": _plain(
        "Write in English and in capital letters only.", "Your whole answer should be in English, all in capitals."
    ),
    "change_case:english_lowercase": _plain(
        "Write in English and in lowercase letters only.",
        "Use no capital letters at all; your whole answer should be lowercase English.",
    ),
    "punctuation:no_comma": _plain(
        "Do not use any commas.", "Leave out commas altogether.", "There must not be a single comma in your answer."
    ),
}
