"""Where an answer ends by what it says: stop strings, found in its text whatever tokens write them.

    ends = StopStrings(("\\n\\n", "Q:"))
    ends.cut("4\\n\\nQ: 3 + 3")          # "4"
    ends.cut("four")                    # None: it goes on

An answer ends with the first stop string that it completes, and its text before that one; of several that are completed
together, before the longest. So it is the same answer whether it was cut as it was written or afterwards.
"""

from collections.abc import Sequence

_MARGIN = 8  # tokens: the first letters of a tail that begins inside a character or a word are others in the text


class StopStrings:
    """Falsy where there are none."""

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = tuple(strings)
        longest = max((len(one.encode("utf-8", "surrogatepass")) for one in strings), default=0)
        self.tail = longest + _MARGIN  # last tokens that hold a stop string that was just completed

    def __bool__(self) -> bool:
        return bool(self._strings)

    def cut(self, text: str) -> str | None:
        """What stands before the stop string that is completed first; None where none is said."""
        said = [(start + len(one), start) for one in self._strings if (start := text.find(one)) >= 0]
        return text[: min(said)[1]] if said else None

    def may_end(self, tail: str) -> bool:
        """Whether a longer text must be looked at whose last `tail` tokens are this text, read without the others.

        It says a stop string, or holds too little: tokens are a byte of text at least, but for special ones.
        """
        return self.cut(tail) is not None or len(tail.encode("utf-8", "surrogatepass")) < self.tail
