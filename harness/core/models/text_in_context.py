"""The text of tokens behind others: decode(prompt + answer) less decode(prompt), and tokens of a text that goes on.

    behind = TextBehind(decode, prompt_tokens)
    behind(tokens)                     # " good", where decode(tokens) alone is "good"

Decoders of the kind of Llama 2's and Mistral's strip the blank before the first word, which in the middle of a text is
part of it; and a character of several bytes may begin in the prompt and end in the answer. Only as much of the prompt
is decoded with the answer as makes no difference: what methods ask for at every token must not cost a whole prompt.
"""

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
Encode = Callable[[str], tuple[int, ...]]

_UNREADABLE = "\ufffd"  # what decoders put for bytes that are no character
_TAIL = 8  # tokens: a character has at most four bytes, and so at most four tokens
_ANCHORS = ("a", "\n", ".")  # texts to tokenize others behind


class TextBehind:
    """Text of tokens written behind one prompt, special tokens left out."""

    def __init__(self, decode: Decode, prompt: Sequence[int]) -> None:
        self._decode = decode
        self._tail = _tail(decode, prompt)
        self._head = decode(self._tail)

    def __call__(self, tokens: Sequence[int]) -> str:
        return _remainder(self._head, self._decode([*self._tail, *tokens]), self._decode, tokens)


def text_behind_all(decode: Decode, prompt: Sequence[int], tokens: Sequence[int]) -> str:
    """The same with the whole prompt decoded: what `TextBehind` must equal."""
    return _remainder(decode(prompt), decode([*prompt, *tokens]), decode, tokens)


def _remainder(head: str, whole: str, decode: Decode, tokens: Sequence[int]) -> str:
    if whole.startswith(head):
        return whole[len(head) :]
    common = next(i for i in range(len(head)) if head[i : i + 1] != whole[i : i + 1])
    if not head[common:].strip(_UNREADABLE):  # the answer completed a character, which is its own
        return whole[common:]
    return decode(tokens)  # the answer made unreadable what the prompt ended with: it can only stand alone


def _tail(decode: Decode, prompt: Sequence[int]) -> Sequence[int]:
    """The last tokens of a prompt, so many that they decode to the end of its text and hold more than blanks."""
    text, size = decode(prompt), _TAIL
    while size < len(prompt):
        tail = prompt[-size:]
        decoded = decode(tail)
        # a tail that begins inside a character, or inside a word of pieces, decodes to something else
        if decoded.strip() and text.endswith(decoded) and not decoded.startswith(_UNREADABLE):
            return tail
        size *= 2
    return prompt


def head_of(text: str, tokens: int, encode: Encode, decode: Decode) -> str:
    """The text of the first tokens of a text, at most so many: never cut inside a character."""
    ids = encode(text)[:tokens]
    while ids:
        head = decode(ids)
        if head.count(_UNREADABLE) <= text[: len(head)].count(_UNREADABLE):  # a text may hold the sign itself
            return head
        ids = ids[:-1]
    return ""


def puts_a_blank_first(encode: Encode, decode: Decode) -> bool:
    """Whether a tokenizer puts a blank before the first word of every text, wherever the text stands."""
    word = encode("a")
    return text_behind_all(decode, word, word) == " a"


def tokens_behind(text: str, encode: Encode) -> tuple[int, ...]:
    """Tokens of a text that goes on from another one, for a tokenizer that would put a blank before its first word."""
    for anchor in _ANCHORS:
        first, both = encode(anchor), encode(anchor + text)
        if both[: len(first)] == first:
            return both[len(first) :]
    return encode(text)
