"""Mixed requests to a server that runs, some of them broken: all must be answered or refused in form, memory bounded.

found = soaked("http://127.0.0.1:8000", psutil.Process(pid), count=1000, at_once=32, again=40)
found.problems                  # a line each
"""

import json
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psutil
import requests

BROKEN_SHARE = 0.05
EARLY = 5  # a fifth of the requests, after which memory must be what it is after all,
MEMORY = 1.05  # but for so much
MANY = 1000  # requests from which on that must hold: fewer still meet what is loaded at its first use
BROKEN: list[tuple[str, bytes]] = [
    ("/v1/completions", b'{"model"'),
    ("/v1/completions", b'{"model": "gpt-4", "prompt": "topic 0"}'),
    ("/v1/completions", b'{"model": "MODEL", "prompt": [1, 2]}'),
    ("/v1/completions", b'{"model": "MODEL", "prompt": "topic 0", "n": 1000}'),
    ("/v1/completions", b'{"model": "MODEL", "prompt": "topic 0", "temperature": "hot"}'),
    ("/v1/completions", b'{"model": "MODEL", "prompt": "topic 0", "unheard_of": 1}'),
    ("/v1/chat/completions", b'{"model": "MODEL", "messages": []}'),
    ("/v1/chat/completions", b'{"model": "MODEL", "messages": [{"role": "robot", "content": "x"}]}'),
    ("/v1/chat/completions", b'{"model": "MODEL", "messages": "x"}'),
    ("/v1/nothing", b"{}"),
    ("/v1/completions", b"x" * 3_000_000),
]


def request(i: int, names: list[str], rng: random.Random) -> tuple[str, bytes, bool]:
    """Path, body, and whether it is broken."""
    model = rng.choice(names)
    if rng.random() < BROKEN_SHARE:
        path, body = rng.choice(BROKEN)
        return path, body.replace(b"MODEL", model.encode()), True
    prompt = f"question {i}, {'word ' * rng.randrange(20)}about topic {i % 2}"
    body: dict[str, Any] = {"model": model, "seed": i, "n": rng.choice([1, 1, 1, 2, 3])}
    body["max_tokens"] = rng.choice([4, 8, 12])
    if rng.random() < 0.3:
        body["stream"] = True
    if rng.random() < 0.3:
        body["stop"] = rng.choice([["b"], ["ca", "\n"], "zz"])
    if rng.random() < 0.2:
        body["temperature"] = rng.choice([0, 0.7, 1])
    if rng.random() < 0.1 and body["n"] == 1:
        body["iro"] = {"trace": True}
    if rng.random() < 0.5:
        return (
            "/v1/chat/completions",
            json.dumps({**body, "messages": [{"role": "user", "content": prompt}]}).encode(),
            False,
        )
    return "/v1/completions", json.dumps({**body, "prompt": prompt}).encode(), False


def asked(url: str, path: str, body: bytes) -> tuple[int, Any]:
    """Status, and the texts of the answer, or the error."""
    headers = {"Content-Type": "application/json"}
    for _ in range(100):
        reply = requests.post(url + path, data=body, headers=headers, timeout=600)
        if reply.status_code != 429:
            break
        time.sleep(float(reply.headers["Retry-After"]))
    if reply.status_code != 200:
        return reply.status_code, reply.json()["error"]
    if reply.headers["content-type"].startswith("text/event-stream"):
        return 200, _streamed(reply.content.decode())
    return 200, [choice.get("text", choice.get("message", {}).get("content")) for choice in reply.json()["choices"]]


def _streamed(text: str) -> list[str]:
    said: dict[int, str] = {}
    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert events[-1] == "[DONE]", events[-1]
    for event in map(json.loads, events[:-1]):
        for choice in event["choices"]:
            piece = choice["text"] if "text" in choice else choice["delta"]["content"]
            said[choice["index"]] = said.get(choice["index"], "") + piece
    return [said[i] for i in sorted(said)]


@dataclass
class Soaked:
    """What became of the requests."""

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)  # after a fifth of them, and after all
    again: int = 0  # texts that were asked for once more, alone
    others: int = 0  # of which came out as other texts


def soaked(url: str, server: psutil.Process, count: int, at_once: int, again: int) -> Soaked:
    """Ask `count` of them, `at_once` at a time, and `again` of the whole ones once more, one by one."""
    names = [model["id"] for model in requests.get(f"{url}/v1/models", timeout=60).json()["data"]]
    rng = random.Random(0)
    planned = [request(i, names, rng) for i in range(count)]
    found, answers, early = Soaked(), dict[int, Any](), max(1, count // EARLY)
    with ThreadPoolExecutor(at_once) as pool:
        for part in (range(early), range(early, count)):
            jobs = {i: pool.submit(asked, url, *planned[i][:2]) for i in part}
            for i, job in jobs.items():
                status, said = job.result()
                broken = planned[i][2]
                found.outcomes[f"{'broken' if broken else 'whole'}: {status}"] += 1
                in_form = isinstance(said, list) if status == 200 else {"message", "type", "param", "code"} == set(said)
                if not in_form or broken == (status == 200):
                    found.problems.append(f"request {i}: status {status}, {said}"[:300])
                answers[i] = said
            found.memory_mb.append(round(server.memory_info().rss / 2**20, 1))
    grown = found.memory_mb[1] / found.memory_mb[0]
    if count >= MANY and grown > MEMORY:
        found.problems.append(f"memory after all is {grown:.3f} times that after {early}")
    whole = [i for i in answers if not planned[i][2]]
    chosen = whole[:: max(1, len(whole) // again)][:again]
    found.again, found.others = len(chosen), sum(asked(url, *planned[i][:2])[1] != answers[i] for i in chosen)
    return found
