"""What a server can do, as a probe found it; part of what names a run, and stored beside the replies.

dialect.in_words()          # {"goes on by": "completions", "choices a request": "16", ...}
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from harness.core.models.sampling import Sampler

GoesOn = Literal["template", "continue_final_message", "trailing", "prefix", "none"]
"""How an answer to messages is continued. template: the server renders messages, and /completions goes on. The others
end the messages with what was written: continue_final_message with two flags (vLLM, SGLang), trailing without any
(llama.cpp, Ollama), prefix with "prefix": true (DeepSeek, Mistral)."""
Limit = Literal["max_tokens", "max_completion_tokens"]
Temperature = Literal["any", "positive", "its own"]
"""Which are taken. positive: all but 0. its own: the field is refused, as by reasoning models."""
Logprobs = Literal["raw", "tempered", "sampled", "unclear", "none"]
"""Of what a server tells log-probabilities, as a probe measured it. raw: of the model itself, whatever the sampling
rule. tempered: at the temperature of the request, before top-k and top-p. sampled: of what the whole rule leaves.
unclear: of something else, or nothing that could be measured."""


@dataclass(frozen=True)
class Dialect:
    texts: bool  # /completions goes on from a text
    messages: bool  # /chat/completions answers messages
    goes_on: GoesOn
    echoes: bool  # a continued answer comes back from its beginning
    choices: int  # most answers that one request brings
    seeds: bool  # the same seed gives the same text
    varies: bool  # texts at temperature 1 differ
    temperature: Temperature
    top_p: bool  # is taken
    top_k: bool  # top_k and min_p are taken, and followed
    top_k_off: int  # the top_k that stands for none: 0, or -1 (SGLang, early vLLM)
    limit: Limit  # the field that bounds an answer
    text_logprobs: Logprobs  # of /completions
    chat_logprobs: Logprobs  # of /chat/completions
    token_ids: bool
    cached_tokens: bool  # the server says how much of a prompt it had read before

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self | None:
        """From `data()`; None where another version wrote it."""
        names = {f.name for f in fields(cls)}
        return cls(**data) if set(data) == names else None

    def data(self) -> dict[str, Any]:
        return asdict(self)

    def requests_for(self, rows: int) -> int:
        """How many requests bring so many rows of one prefix."""
        return -(-rows // self.choices)

    def tells_base(self, sampler: Sampler, is_chat: bool) -> bool:
        """Whether log-probabilities of texts that are drawn by this rule are the model's own, at temperature 1."""
        is_whole = sampler.top_p == 1 and not (sampler.top_k and self.top_k)
        match self.chat_logprobs if is_chat else self.text_logprobs:
            case "raw":
                return True
            case "tempered":
                return sampler.temperature == 1
            case "sampled":
                return sampler.temperature == 1 and is_whole
        return False

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
        taken = {"temperature": self.temperature != "its own", "top_p": self.top_p, "top_k": self.top_k}
        rule = ", ".join(name for name in taken if taken[name]) or "the server's own"
        left_out = ", ".join(name for name in taken if not taken[name])
        return {
            "texts": "continued by completions" if self.texts else "no completions",
            "messages": "answered by chat" if self.messages else "no chat",
            "answers go on by": ways[self.goes_on] if self.messages else "n/a",
            "answers a request": str(self.choices),
            "samples": draws if self.varies else "all alike: the server ignores temperature",
            "sampling rule": rule + (f"; no {left_out}" if left_out else ""),
            "log-probabilities": self._logprobs_in_words(),
            "token ids": "told (not used)" if self.token_ids else "not told",
            "cached tokens": "told" if self.cached_tokens else "not told",
        }

    def _logprobs_in_words(self) -> str:
        of = {
            "raw": "of the model itself",
            "tempered": "at the temperature of a sample, so that base NLL is known at 1",
            "sampled": "after top-k and top-p, so that base NLL is known without these",
            "unclear": "of what is unclear, so that base NLL is n/a",
            "none": "not told: base NLL is n/a",
        }
        found = {"texts": of[self.text_logprobs]} if self.texts else {}
        found |= {"messages": of[self.chat_logprobs]} if self.messages else {}
        if len(set(found.values())) == 1:
            return next(iter(found.values()))
        return "; ".join(f"{what}: {words}" for what, words in found.items())
