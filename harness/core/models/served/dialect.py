"""What a server can do, as a probe found it; part of what names a run, and stored beside the replies.

dialect.in_words()          # {"goes on by": "completions", "choices a request": "16", ...}
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

GoesOn = Literal["template", "continue_final_message", "trailing", "prefix", "none"]
"""How an answer to messages is continued. template: the server renders messages, and /completions goes on. The others
end the messages with what was written: continue_final_message with two flags (vLLM, SGLang), trailing without any
(llama.cpp, Ollama), prefix with "prefix": true (DeepSeek, Mistral)."""
Limit = Literal["max_tokens", "max_completion_tokens"]


@dataclass(frozen=True)
class Dialect:
    texts: bool  # /completions goes on from a text
    messages: bool  # /chat/completions answers messages
    goes_on: GoesOn
    echoes: bool  # a continued answer comes back from its beginning
    choices: int  # most answers that one request brings
    seeds: bool  # the same seed gives the same text
    varies: bool  # texts at temperature 1 differ
    top_k: bool  # top_k and min_p are taken
    limit: Limit  # the field that bounds an answer
    logprobs: bool
    token_ids: bool
    cached_tokens: bool  # the server says how much of a prompt it had read before

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self | None:
        """From `data()`; None where another version wrote it."""
        names = {f.name for f in fields(cls)}
        return cls(**data) if set(data) == names else None

    def data(self) -> dict[str, Any]:
        return asdict(self)

    def in_words(self) -> dict[str, str]:
        """What a user should know, a name and a phrase each."""
        ways = {
            "template": "its own chat template, then completions",
            "continue_final_message": "chat with continue_final_message",
            "trailing": "chat with a trailing assistant message",
            "prefix": 'chat with "prefix": true',
            "none": "no: an answer to messages is written in one piece",
        }
        draws = "drawn again by seeds" if self.seeds else "not drawn again: seeds are ignored, answers are kept"
        return {
            "texts": "continued by completions" if self.texts else "no completions",
            "messages": "answered by chat" if self.messages else "no chat",
            "answers go on by": ways[self.goes_on] if self.messages else "n/a",
            "answers a request": str(self.choices),
            "samples": draws if self.varies else "all alike: the server ignores temperature",
            "sampling rule": "temperature, top_p, top_k" if self.top_k else "temperature, top_p; no top_k",
            "log-probabilities": "told (not used yet)" if self.logprobs else "not told",
            "token ids": "told (not used yet)" if self.token_ids else "not told",
            "cached tokens": "told" if self.cached_tokens else "not told",
        }
