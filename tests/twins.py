"""Two equal commands at once, of which the first is held inside its work until the second says that it waits for it.

twins(lambda: cli.main([...]), judge, "_write", monkeypatch)        # Twins(codes, made, said)
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.core import lock

_LIMIT = 300.0  # seconds


@dataclass
class Twins:
    codes: list[int] = field(default_factory=list)
    made: int = 0  # how often the work was done
    said: list[str] = field(default_factory=list)  # by who waits


def twins(command: Callable[[], int], module: Any, work: str, monkeypatch: Any) -> Twins:
    """Call `command` twice; `module.work` is what it does inside its lock."""
    found, inside, waits, plain = Twins(), threading.Event(), threading.Event(), getattr(module, work)

    def held(*given: Any, **named: Any) -> Any:
        found.made += 1
        inside.set()
        assert waits.wait(_LIMIT), "the second did not wait"
        return plain(*given, **named)

    def say(text: str) -> None:
        found.said.append(text)
        waits.set()

    monkeypatch.setattr(module, work, held)
    monkeypatch.setattr(lock, "_say", say)
    first, second = (threading.Thread(target=lambda: found.codes.append(command())) for _ in range(2))
    first.start()
    assert inside.wait(_LIMIT), "the first did not begin"
    second.start()
    for one in (first, second):
        one.join(_LIMIT)
    assert len(found.codes) == 2, "one of them did not end"
    return found
