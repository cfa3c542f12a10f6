"""The key of a server: read from the environment when it is needed, sent to that server, and shown nowhere."""

import os
from dataclasses import dataclass, field

from harness.core.api.url import OPENAI
from harness.core.errors import UserError

OPENAI_KEY = "OPENAI_API_KEY"
_SECRET_LENGTH = 8  # shorter keys ("none", "x") are no secrets, and words of answers


@dataclass(frozen=True)
class Key:
    """A key and the variable it came from; both None where none is sent."""

    variable: str | None
    key: str | None = field(repr=False)

    def hide(self, text: str) -> str:
        """What a server said, without the key in it."""
        return text.replace(self.key, "***") if self.key is not None and len(self.key) >= _SECRET_LENGTH else text

    def explain(self) -> str:
        if self.variable is None:
            return "and no key was sent; name its environment variable with --key-variable"
        return f"the key in the environment variable {self.variable} was refused"


def key_for(url: str, variable: str | None) -> Key:
    """Of the variable that was named; of OPENAI_API_KEY only for OpenAI itself, so that no other server gets it.

    Raises UserError where the variable holds no key, and where the URL holds the key.
    """
    variable = variable or (OPENAI_KEY if url.rstrip("/") == OPENAI else None)
    if variable is None:
        return Key(None, None)
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(f"the environment variable {variable} holds no key; export it, or name another one")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UserError(f"the environment variable {variable} holds no key: it has blanks or letters no key has")
    if len(key) >= _SECRET_LENGTH and key in url:
        raise UserError(
            f"the URL of the server holds the key of {variable}; leave it out there, it is sent as a header"
        )
    return Key(variable, key)
