"""Progress of a stage on stderr: a bar with rate and ETA on a terminal, a plain line now and then elsewhere."""

import sys
import time
from typing import Self

from tqdm import tqdm

_EVERY = 20.0  # seconds between plain lines


class Progress:
    """with Progress("rollouts 1", total=16, unit="batch") as progress: ... progress.step()"""

    def __init__(self, name: str, total: int, unit: str = "batch", quiet: bool = False) -> None:
        self.name, self.total, self.unit, self.quiet = name, total, unit, quiet
        self._done, self._ready = 0, 0
        self._start = self._said = time.monotonic()
        self._bar = tqdm(total=total, desc=name, unit=unit, leave=False) if sys.stderr.isatty() and not quiet else None

    def __enter__(self) -> Self:
        return self

    def skip(self, n: int) -> None:
        """Count what was there already: it says nothing about the rate."""
        self._ready += n
        if self._bar is not None:
            self._bar.initial = self._ready
            self._bar.update(n)

    def step(self, n: int = 1) -> None:
        self._done += n
        if self._bar is not None:
            self._bar.update(n)
        elif time.monotonic() - self._said > _EVERY:
            self._said = time.monotonic()
            rate = self._done / (self._said - self._start)
            left = (self.total - self._ready - self._done) / rate
            self._say(f"{self._ready + self._done}/{self.total} {self.unit}, {rate:.2g}/s, {left:.0f} s left")

    def __exit__(self, kind: type | None, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and self._done:
            self._say(f"{self.total} {self.unit} in {time.monotonic() - self._start:.0f} s")

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(f"{self.name}: {text}", file=sys.stderr, flush=True)
