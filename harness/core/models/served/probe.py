"""Finds out what a server can do, by some twenty short requests, before any work is given to it.

statement = stated(address, client)            # what it says of itself
dialect = probed(address, client, statement)

Whether an answer goes on is not judged by what it says, for small models say anything, and clever ones go on in a new
turn: the server writes a few tokens greedily, is given the first of them, and must write the others, blanks and all.
Nor is it believed what log-probabilities are of: the first token's likeliest choices are told at temperature 1, at a
half, and at 1 with a top-p that leaves one of them, and the distances between them are compared.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.api.client import Client, Request
from harness.core.api.failures import NoAnswer, StatusInBody
from harness.core.errors import UserError, unknown
from harness.core.models.served.address import Address
from harness.core.models.served.asking import (
    CHAT,
    COMPLETIONS,
    TEMPLATE,
    continued,
    likeliest,
    likeliest_but_drawn,
    logprob_fields,
    parsed,
    parsed_with_choices,
    reply_of,
    tells_cached_tokens,
)
from harness.core.models.served.dialect import Dialect, GoesOn, Limit, Logprobs, Temperature

_QUESTION = [{"role": "user", "content": "Count from 1 to 20, separated by commas."}]
_OPEN = [{"role": "user", "content": "Write a line of random words."}]  # no model is sure of what to say
_COUNTED, _NEXT = "1, 2, 3, 4,", " 5"
_TEXT = "The first thing that I saw in the morning was"
_HEAD, _WHOLE = 5, 10  # tokens: what is given back, and what is to come of it
_MOST_CHOICES = (16, 8, 4, 2)
_GATEWAY = {502, 503, 504}
VERSION = 3  # raised where it finds something else about the same server
_LIKELIEST = 5  # tokens; OpenAI's /completions tells no more
_LOOSE = 50  # a top-k that leaves all of them
_APART = 0.2  # nats between the first and the last of them, at least, to be measured by
_USUAL = ("temperature", "top_p")  # fields of the sampling rule that every server takes, but for reasoning models
_EXTRA = ("top_k", "min_p")
_COLD = 0.01  # a temperature for servers that refuse 0 alone
_WAYS: tuple[GoesOn, ...] = ("continue_final_message", "trailing", "prefix")
_OUT_OF_TOKENS = "max_tokens or model output limit was reached"  # a reasoning model that thought: it does answer
_OF_THE_MODEL = {  # in an entry of /models and its _PARTS: which model it is, and what shapes its texts
    "root", "parent", "owned_by", "canonical_slug", "hugging_face_id", "version", "revision", "digest", "sha",
    "quantization", "quant", "precision", "dtype", "arch", "tokenizer", "instruct_type",
    "chat_template", "prompt_template", "bos_token", "eos_token", "default_model_temperature", "rope_scale",
    "rope_alpha", "max_model_len", "context_length", "context_window", "max_context_length", "max_seq_len",
}  # fmt: skip
_PARTS = {"", "config", "architecture", "metadata", "parameters"}  # not prices, states, limits or who routes to it
_LLAMA_CPP, _FILE = "llamacpp", "meta"  # what is said of a file's weights, all of it
_VERSIONS = {
    "vllm": ("/version", "version"),
    _LLAMA_CPP: ("/props", "build_info"),
    "sglang": ("/server_info", "version"),
}


def stated(address: Address, client: Client) -> dict[str, str]:
    """What the server says of the model and of itself. Raises UserError where it does not know the model."""
    try:
        listed = client.get(Request("/models", None, parsed))
    except NoAnswer as error:
        if error.status not in (404, 405, 501):
            raise
        return {"name": address.name}
    models = listed.get("data")
    entries = [one for one in models if isinstance(one, dict)] if isinstance(models, list) else []
    named = {str(one.get("id")): one for one in reversed(entries)}
    for one in entries:
        aliases = one.get("aliases")
        named |= {str(alias): one for alias in (aliases if isinstance(aliases, list) else [])}
    if named and address.name not in named:
        raise unknown(f"model of {address.url}", address.name, list(named))
    entry = named.get(address.name, {})
    statement = {"name": address.name, **_of_the_model(entry)}
    path, field = _VERSIONS.get(str(entry.get("owned_by")), ("", ""))
    if path and (answer := _tried(client, f"{address.root}{path}", None)) is not None:
        statement["version"] = str(answer.get(field, ""))
    return statement


def probed(address: Address, client: Client) -> Dialect:
    """Raises UserError where the server answers neither texts nor messages."""
    return _Probe(address, client).dialect()


@dataclass
class _Probe:
    address: Address
    client: Client

    def dialect(self) -> Dialect:
        self._rule: dict[str, Any] = {"temperature": 0, "top_p": 0.99, "top_k": 1, "min_p": 0}  # 1 tells nothing
        self._limit: Limit = "max_tokens"
        self._cached = False
        why: list[str] = []
        texts = self._settle(COMPLETIONS, {"prompt": _TEXT}, why)
        messages = self._settle(CHAT, {"messages": _QUESTION}, why)
        if not texts and not messages:
            raise UserError(
                f"{self.address.url} completes no text with {self.address.name!r} and answers no message: "
                + "; ".join(why)
            )
        goes_on, echoes = self._goes_on(texts) if messages else ("none", False)
        path, asked = (CHAT, {"messages": _QUESTION}) if messages else (COMPLETIONS, {"prompt": _TEXT})
        draw = {"messages": _OPEN} if messages else asked
        drawn = self._drawn(path, {**draw, **self._rule_of(temperature=1, top_p=1, top_k=_LOOSE)}, (1, 1, 2, 3))
        if "top_k" in self._rule and len(set(drawn)) > 1:
            self._leave_out_what_is_ignored(path, draw)
        return Dialect(
            texts=texts,
            messages=messages,
            goes_on=goes_on,
            echoes=echoes,
            choices=self._choices(path, asked),
            seeds=drawn[0] is not None and drawn[0] == drawn[1] and len(set(drawn)) > 1,
            varies=len(set(drawn)) > 1,
            temperature=self._temperature,
            top_p="top_p" in self._rule,
            top_k="top_k" in self._rule,
            top_k_off=self._top_k_off(path, asked),
            limit=self._limit,
            text_logprobs=self._logprobs(COMPLETIONS, {"prompt": _TEXT}) if texts else "none",
            chat_logprobs=self._logprobs(CHAT, {"messages": _QUESTION}) if messages else "none",
            token_ids=self._tells(path, asked, {"return_token_ids": True}, "token_ids"),
            cached_tokens=self._cached,
        )

    @property
    def _temperature(self) -> Temperature:
        if "temperature" not in self._rule:
            return "its own"
        return "positive" if self._rule["temperature"] else "any"

    def _rule_of(self, **values: float) -> dict[str, float]:
        """Values of the sampling rule, as far as the server takes it."""
        return {name: value for name, value in values.items() if name in self._rule}

    def _settle(self, path: str, asked: Mapping[str, Any], why: list[str]) -> bool:
        """Whether an endpoint answers; leaves out of the sampling rule, and names the limit, as it wants it."""
        before = self._rule, self._limit
        while (reason := self._refused(path, asked)) is not None:
            named = [name for name in _USUAL if name in self._rule and name in reason]
            if self._limit == "max_tokens" and "max_completion_tokens" in reason:
                self._limit = "max_completion_tokens"
            elif "top_k" in self._rule and (not named or any(name in reason for name in _EXTRA)):
                self._rule = {name: self._rule[name] for name in self._rule if name not in _EXTRA}
            elif "temperature" in named and not self._rule["temperature"]:
                self._rule = {**self._rule, "temperature": _COLD}
            elif named:
                self._rule = {name: self._rule[name] for name in self._rule if name != named[0]}
            else:
                self._rule, self._limit = before
                why.append(f"{path}: {reason}")
                return False
        return True

    def _leave_out_what_is_ignored(self, path: str, asked: Mapping[str, Any]) -> None:
        """Some servers take any field and say nothing: texts drawn from the likeliest token alone must be one text.

        But for one in three, where two tokens are as likely as each other and numbers move with a server's batches.
        """
        alone = self._drawn(path, {**asked, **self._rule_of(temperature=1, top_p=1, top_k=1)}, (1, 2, 3))
        if len(set(alone)) == len(alone):
            self._rule = {name: self._rule[name] for name in self._rule if name not in _EXTRA}

    def _drawn(self, path: str, asked: Mapping[str, Any], seeds: Sequence[int]) -> list[str | None]:
        return [self._text(path, {**asked, "seed": seed}, _WHOLE) for seed in seeds]

    def _top_k_off(self, path: str, asked: Mapping[str, Any]) -> int:
        """The number that stands for no top-k: 0, or -1 where that is refused."""
        return -1 if "top_k" in self._rule and self._refused(path, {**asked, "top_k": 0}) is not None else 0

    def _refused(self, path: str, asked: Mapping[str, Any]) -> str | None:
        try:
            self._ask(path, asked, 1)
        except NoAnswer as error:
            if error.may_pass or error.status not in (400, 404, 405, 415, 422, 500, 501, None):
                raise
            return None if _OUT_OF_TOKENS in str(error) else str(error)
        return None

    def _goes_on(self, texts: bool) -> tuple[GoesOn, bool]:
        """The first way in which the server goes on with an answer to messages, and whether it repeats it."""
        head, whole = (self._text(CHAT, {"messages": _QUESTION}, most) or "" for most in (_HEAD, _WHOLE))
        head = head.rstrip()
        tried = [(head, whole), (_COUNTED, _COUNTED + _NEXT)]
        if texts and (prompt := self._rendered()) is not None:
            rest = self._text(COMPLETIONS, {"prompt": prompt + head}, _HEAD)
            if rest and _agree(head + rest, whole):
                return "template", False
        for way in _WAYS:
            for given, wanted in tried:
                if not given or len(wanted) <= len(given):
                    continue  # nothing was written, or nothing after it, and so nothing can be learnt
                reply = self._text(CHAT, continued(_QUESTION, given, way), _HEAD) or ""
                rest = reply.removeprefix(given)
                if rest and _agree(given + rest, wanted):
                    return way, reply != rest
        return "none", False

    def _rendered(self) -> str | None:
        """The question as the server's template says it, where it tells."""
        answer = _tried(self.client, f"{self.address.root}{TEMPLATE}", {"messages": _QUESTION})
        prompt = None if answer is None else answer.get("prompt")
        return prompt if isinstance(prompt, str) else None

    def _choices(self, path: str, asked: Mapping[str, Any]) -> int:
        for n in _MOST_CHOICES:
            answer = self._tried(path, {**asked, "n": n, **self._rule_of(temperature=1, top_p=1)}, 1)
            if answer is not None and isinstance(answer.get("choices"), list) and len(answer["choices"]) == n:
                return n
        return 1

    def _logprobs(self, path: str, asked: Mapping[str, Any]) -> Logprobs:
        """Of what an endpoint tells log-probabilities: the distances between the likeliest tokens say it."""
        if not self._tells(path, asked, logprob_fields(path), "logprobs"):
            return "none"
        if not {"temperature", "top_p"} <= self._rule.keys():
            return "unclear"
        rules = [
            self._rule_of(temperature=temperature, top_p=top_p, top_k=_LOOSE)
            for temperature, top_p in ((1, 1), (0.5, 1), (1, 0.01))
        ]
        plain, cold, narrow = (
            self._likeliest(path, {**asked, **rule}, read)
            for rule, read in zip(rules, (likeliest_but_drawn, likeliest, likeliest), strict=True)
        )
        order = sorted(plain, key=lambda token: -plain[token])
        if len(order) < 2 or (apart := plain[order[0]] - plain[order[-1]]) < _APART:
            return "unclear"

        def widened(other: Mapping[str, float]) -> float:
            """How many times as far apart they are; endlessly where one is not left."""
            return (other[order[0]] - other[order[-1]]) / apart if {order[0], order[-1]} <= other.keys() else math.inf

        if not 0.8 < widened(narrow) < 1.25:
            return "sampled" if order[0] in narrow else "unclear"
        return "raw" if 0.8 < widened(cold) < 1.25 else "tempered" if 1.6 < widened(cold) < 2.5 else "unclear"

    def _likeliest(
        self, path: str, asked: Mapping[str, Any], read: Callable[[Mapping[str, Any]], dict[str, float]]
    ) -> dict[str, float]:
        """The likeliest first tokens; drawn again where a text ended at once, of which some servers tell nothing."""
        asked = {**asked, **logprob_fields(path, _LIKELIEST)}
        answers = (self._tried(path, {**asked, "seed": seed}, 1) for seed in (1, 2, 3))
        return next((found for answer in answers if answer is not None and (found := read(answer))), {})

    def _tells(self, path: str, asked: Mapping[str, Any], more: Mapping[str, Any], field: str) -> bool:
        answer = self._tried(path, {**asked, **more}, 1)
        choices = None if answer is None else answer.get("choices")
        return (
            isinstance(choices, list) and bool(choices) and isinstance(choices[0], dict) and bool(choices[0].get(field))
        )

    def _text(self, path: str, asked: Mapping[str, Any], most: int) -> str | None:
        """None where the server refuses, or answers nothing."""
        answer = self._tried(path, asked, most)
        if answer is None:
            return None
        try:
            made = reply_of(answer, most, 1).choices
        except (NoAnswer, StatusInBody):
            return None
        return made[0].text if made else None

    def _tried(self, path: str, asked: Mapping[str, Any], most: int) -> dict[str, Any] | None:
        """None where the server cannot. Raises NoAnswer where that is not known, for what is found is kept."""
        try:
            return self._ask(path, asked, most)
        except NoAnswer as error:
            if error.may_pass:
                raise
            return None

    def _ask(self, path: str, asked: Mapping[str, Any], most: int) -> dict[str, Any]:
        body = {"model": self.address.name, **self._rule, self._limit: most, **asked}
        answer = self.client.get(Request(path, body, parsed_with_choices))
        self._cached = self._cached or tells_cached_tokens(answer)
        return answer


def _agree(one: str, other: str) -> bool:
    """Whether two texts are the same as far as both go."""
    return one.startswith(other) or other.startswith(one)


def _tried(client: Client, path: str, body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """None where there is no such thing. Raises NoAnswer where that is not known.

    Not where a gateway says so (502 to 504): some do of every path that they do not have.
    """
    try:
        return client.get(Request(path, body, parsed))
    except NoAnswer as error:
        if error.may_pass and error.status not in _GATEWAY:
            raise
        return None


def _of_the_model(entry: Mapping[str, Any]) -> dict[str, str]:
    """What names the model, and so its paid answers: no price, no hour, nor whether it is loaded now."""

    def counts(path: str) -> bool:
        part, _, name = path.rpartition("/")
        is_of_file = part == _FILE and entry.get("owned_by") == _LLAMA_CPP
        return is_of_file or (part in _PARTS and name in _OF_THE_MODEL)

    return {path: value for path, value in _flat(entry).items() if counts(path)}


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Numbers, words and truths of an entry, by their names; what is None, or a list, says nothing."""
    found: dict[str, str] = {}
    for name, value in sorted(tree.items()):
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{name}/")
        elif isinstance(value, str | int | float) and value != "":
            found[f"{before}{name}"] = str(value)
    return found
