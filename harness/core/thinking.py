"""Where the thinking of a model that shows it ends, and its answer begins."""

import re

_THINKING = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)


def after_thinking(text: str) -> str | None:
    """What stands after a model's thinking, the whole text where there is none; None where the thinking never ends."""
    marks = list(_THINKING.finditer(text))
    if not marks:
        return text
    return text[marks[-1].end() :] if marks[-1][1] else None
