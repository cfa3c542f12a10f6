"""Which tokens a prompt is: a text as it stands, messages through the model's chat template.

    render(prompt, Rendering("name", tokenizer, eos_ids))

What a tokenizer puts before a text (a begin-of-text token) stays; an end-of-text token that it puts behind does not,
since the model would go on after the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import TemplateError

from harness.core.errors import UserError
from harness.core.types import Message, Prompt


@dataclass(frozen=True)
class Rendering:
    """How a model's prompts are rendered."""

    model: str  # its name, for messages
    tokenizer: Any
    eos_ids: frozenset[int]
    system_prompt: str = ""  # said before messages that have no system message of their own
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)  # what else the chat template is given


def render(prompt: Prompt, how: Rendering) -> tuple[int, ...]:
    """Raises UserError for a prompt without tokens, or one that the chat template cannot say."""
    if prompt.messages is not None:
        ids = _chat(prompt.id, prompt.messages, how)
    elif how.system_prompt:
        raise UserError(
            f"prompt {prompt.id!r} is a plain text, and a system prompt goes with messages only. Leave system_prompt "
            "empty, or give the task's prompts as messages"
        )
    else:
        ids = _text(prompt.text or "", how)
    if not ids:
        raise UserError(f"prompt {prompt.id!r} has no tokens; every prompt needs at least one of its own")
    return ids


def _text(text: str, how: Rendering) -> tuple[int, ...]:
    """Empty where the text has no tokens of its own."""
    ids = tuple(how.tokenizer(text).input_ids)
    own = tuple(how.tokenizer(text, add_special_tokens=False).input_ids)
    if not own:
        return ()
    added = min(_ends(ids, how.eos_ids) - _ends(own, how.eos_ids), len(ids) - len(own))
    return ids[: len(ids) - max(0, added)]


def _ends(ids: tuple[int, ...], eos_ids: frozenset[int]) -> int:
    """How many of the last ids end a text."""
    return next((n for n, i in enumerate(reversed(ids)) if i not in eos_ids), len(ids))


def _chat(prompt_id: str, messages: tuple[Message, ...], how: Rendering) -> tuple[int, ...]:
    if not how.tokenizer.chat_template:
        raise UserError(
            f"model {how.model!r} has no chat template, and prompt {prompt_id!r} is made of messages; choose an "
            "instruct model, or a task with plain-text prompts"
        )
    if how.system_prompt and all(message.role != "system" for message in messages):
        messages = (Message("system", how.system_prompt), *messages)
    said = [{"role": message.role, "content": message.content} for message in messages]
    try:
        ids = how.tokenizer.apply_chat_template(
            said, add_generation_prompt=True, return_dict=False, **how.template_kwargs
        )
    except (TemplateError, ValueError, TypeError) as error:
        roles = ", ".join(message.role for message in messages) or "none"
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"the chat template of model {how.model!r} refuses prompt {prompt_id!r} (roles: {roles}): {first}. Give "
            "messages of the roles that it knows, for instance without a system message, or choose another model"
        ) from error
    return tuple(ids)
