"""Whether a model's rows are what the model says: tried once, when it is loaded, against unpadded plain forwards.

    tried(forward, "shared prefix", vocabulary)
    Trial(error=2e-06, agrees=True, states=True, take_back=True)

Three prompts of different lengths become four rows, which are copied, dropped, looked ahead of, written on and taken
back. Behind every token the next-token log-probabilities must be those of a forward pass over that text alone, without
cache and padding. A path costs about 20 passes over 2 to 18 tokens; weights, settings and random state stay as they
are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from harness.core.models.forward import Forward, Path

LONGEST = 12  # positions that a row reaches in the trial: windows that are as long do not show in it
_LENGTHS = (6, 2, 4)  # of the prompts
_OWNERS = (0, 1, 1, 2)  # the prompt of each row
_MOVED = (1, 3, 3, 0)  # what each row was before the second token
_BACK = (2, 0, 1, 3)  # tokens that each row takes back
# what a model's code raises where it knows no such cache, argument or length
_UNFIT = (TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError, LookupError, AssertionError)

_Text = tuple[int, ...]


@dataclass(frozen=True)
class Trial:
    """What came of one path."""

    error: float  # nats: the largest difference of a next-token log-probability; inf where the model raised
    agrees: bool  # whether that is rounding
    states: bool  # whether the states of candidates are those of a plain forward
    take_back: bool  # whether rows that took tokens back go on rightly
    reason: str = ""  # why, where it disagrees


@torch.inference_mode()
def tried(forward: Forward, path: Path, vocabulary: Sequence[int]) -> Trial:
    """Try one path with tokens of a vocabulary; what the model raises counts as disagreement."""
    try:
        continued = _Try(forward, path, vocabulary)
        continued.goes_on()
        found = continued.compared()
    except torch.OutOfMemoryError:
        raise
    except _UNFIT as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        return _disagrees(f"its rows cannot be kept in transformers' cache and go on ({type(error).__name__}: {first})")
    if not found.agrees:
        return found
    try:
        back = _Try(forward, path, vocabulary)
        back.goes_back()
        return replace(found, take_back=back.compared().agrees)
    except torch.OutOfMemoryError:
        raise
    except _UNFIT:
        return found


def _disagrees(reason: str, error: float = float("inf")) -> Trial:
    return Trial(error, False, False, False, reason)


class _Try:
    """Rows that are written through a cache, what they should be, and what was read behind them."""

    def __init__(self, forward: Forward, path: Path, vocabulary: Sequence[int]) -> None:
        self._forward, self._path, self._vocabulary = forward, path, vocabulary
        self._layer = forward.depth // 2
        self._drawn = 0
        self._rows: list[_Text] = []
        self._logits: list[tuple[_Text, torch.Tensor]] = []  # a text, and (V,) behind it
        self._states: list[tuple[_Text, torch.Tensor]] = []  # a text, and (H,) of its last token
        self._truth: dict[_Text, torch.Tensor] = {}

    def goes_on(self) -> None:
        """Copy and drop rows, write on them, look at candidates, and read them all anew."""
        self._start(revocable=False)
        self._write()
        self._select(_MOVED)
        self._write()
        chosen = [self._token() for _ in self._rows]
        self._look_ahead(chosen)
        self._write(chosen)
        behind = self._forward.logits_behind(self._rows, keep=2)  # (rows, 2, V)
        self._logits += [(row[:-1], two[0]) for row, two in zip(self._rows, behind, strict=True)]
        self._logits += [(row, two[1]) for row, two in zip(self._rows, behind, strict=True)]

    def goes_back(self) -> None:
        """Write tokens, take back different numbers of them, and write on."""
        self._start(revocable=True)
        for _ in range(3):
            self._write()
        self._logits.clear()  # so far it went as in the trial before
        self._cache.forget(self._tensor(_BACK))
        self._rows = [row[: len(row) - n] for row, n in zip(self._rows, _BACK, strict=True)]
        for _ in range(2):
            self._write()

    def compared(self) -> Trial:
        """What was read so far against plain forwards, a text each."""
        error, relative = 0.0, []
        for text, logits in sorted(self._logits, key=lambda pair: -len(pair[0])):  # the longest hold their beginnings
            exact = self._read(text)[0, len(text) - 1].float()
            known = ~exact.isneginf()  # a model may rule tokens out
            got, exact = logits.float()[known], exact[known]
            if not (len(exact) and exact.isfinite().all()):
                return _disagrees("its logits are no finite numbers; check its weights, or try --dtype float32")
            error = max(error, float((got.log_softmax(0) - exact.log_softmax(0)).abs().max().nan_to_num(torch.inf)))
            relative.append(_relative(got - got.mean(), exact - exact.mean()))
        half = self._forward.model.dtype in (torch.float16, torch.bfloat16)
        # In half precision a token now and then goes to another expert, or rounds far; a fault of places or masks shows
        # in most rows. In float32 all must agree.
        worst = float(torch.tensor(relative).median()) if half else max(relative)
        limit = 0.1 if half else 1e-4
        if not worst < limit:
            return _disagrees(
                "rows that are copied and written on have next-token log-probabilities up to "
                f"{error:.2g} nats off those of a plain forward pass",
                error,
            )
        states = [_relative(state.float(), self._state(text)) for text, state in self._states]
        return Trial(error, True, max(states, default=torch.inf) < limit, False)

    def _start(self, revocable: bool) -> None:
        prompts = [tuple(self._token() for _ in range(n)) for n in _LENGTHS]
        reading = self._forward.read_prompts(prompts, (), self._path, revocable)
        self._cache, self._rows = reading.cache, prompts
        self._logits += zip(prompts, reading.fed.logits, strict=True)
        self._select(_OWNERS)

    def _select(self, index: Sequence[int]) -> None:
        self._cache.select(self._tensor(index))
        self._rows = [self._rows[i] for i in index]

    def _write(self, tokens: Sequence[int] | None = None) -> None:
        """One token on every row, given or drawn."""
        tokens = [self._token() for _ in self._rows] if tokens is None else tokens
        self._rows = [(*row, token) for row, token in zip(self._rows, tokens, strict=True)]
        fed = self._forward.feed(self._cache, self._tensor([row[-1] for row in self._rows]), ())
        self._logits += zip(self._rows, fed.logits, strict=True)

    def _look_ahead(self, chosen: Sequence[int]) -> None:
        """The states of two candidates a row, the second of which is written next; none where the model shows none."""
        pairs = [(self._token(), token) for token in chosen]
        try:
            peeked = self._forward.peek(self._cache, self._tensor(pairs), (self._layer,))[self._layer]  # (rows, 2, H)
        except torch.OutOfMemoryError:
            raise
        except _UNFIT:
            return
        if peeked.shape != (len(pairs), 2, self._forward.config.hidden_size):
            return
        self._states += [((*row, token), two[1]) for row, token, two in zip(self._rows, chosen, peeked, strict=True)]

    def _token(self) -> int:
        self._drawn += 1
        return self._vocabulary[self._drawn * 7919 % len(self._vocabulary)]

    def _tensor(self, values: Sequence[int] | Sequence[tuple[int, int]]) -> torch.Tensor:
        return torch.tensor(values, device=self._forward.model.device)

    def _read(self, text: _Text) -> torch.Tensor:
        """Logits (1, n, V) of a text, or of a longer one that begins with it."""
        for longer, known in self._truth.items():
            if longer[: len(text)] == text:
                return known
        logits: torch.Tensor = self._forward.model(input_ids=self._tensor(text)[None], use_cache=False).logits
        self._truth[text] = logits
        return logits

    def _state(self, text: _Text) -> torch.Tensor:
        """(H,) float32 of a text's last token, by itself."""
        fed = self._forward.states_of(self._tensor(text)[None], (self._layer,), {"use_cache": False})
        return fed.states[self._layer][0, -1].float()


def _relative(got: torch.Tensor, exact: torch.Tensor) -> float:
    """Size of the difference over the size of what is right; inf for NaN."""
    return float(((got - exact).norm() / exact.norm()).nan_to_num(torch.inf))
