"""New prompts for a model that was aligned on a file of data, in any form that such a file may have.

asked_like_the_file(["Where is my parcel?", {"question": "Is it open?", "answer": "yes"}], is_chat=True)
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from harness.core.data.asked import RULES
from harness.core.data.prompts import prompt_of
from harness.core.data.rows import DataRow
from harness.core.errors import UserError
from harness.core.given_prompts import prompts_of
from harness.core.types import Message, Prompt


def asked_like_the_file(given: Iterable[Any], is_chat: bool) -> list[Prompt]:
    """Texts, messages, rows or Prompts. A text is what the user says where the file's prompts were messages.

    Raises UserError for what is none of these.
    """
    if isinstance(given, str | bytes | Mapping):
        raise UserError(f"prompts is a {type(given).__name__}; give a list of prompts")
    return [_said(_prompt(one, f"prompt {i}"), is_chat) for i, one in enumerate(given)]


def is_row(given: Any) -> bool:
    """Whether it is a row as files of data have them."""
    return isinstance(given, Mapping) and any(rule in given for rule in RULES)


def _prompt(one: Any, where: str) -> Prompt:
    return prompt_of(DataRow(where, one)) if is_row(one) else prompts_of([one])[0]


def _said(prompt: Prompt, is_chat: bool) -> Prompt:
    if prompt.text is None or not is_chat:
        return prompt
    return replace(prompt, text=None, messages=(Message("user", prompt.text),))
