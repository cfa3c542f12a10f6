"""A thousand mixed requests, five in a hundred broken, 32 at a time: all answered or refused in form, memory bounded.

    python -m tests.serve.http.soak --port 8000 --pid PID                 # of a `harness serve` that runs
    python -m tests.serve.http.soak --port 8000 --pid PID --requests 200 --again 10

Prints what became of them, memory after the first 200 and after all, and how many of the texts that are asked for once
more, alone, are others: none on the toy. Exit code 1 where something is not as it should be.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import requests

BROKEN_SHARE, EARLY = 0.05, 200
MEMORY = 1.05  # memory after all requests, over that after the early ones
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="of the server, whose memory is watched")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--again", type=int, default=40, help="texts that are asked for once more, alone")
    arguments = parser.parse_args()
    url, server = f"http://127.0.0.1:{arguments.port}", psutil.Process(arguments.pid)
    names = [model["id"] for model in requests.get(f"{url}/v1/models", timeout=60).json()["data"]]
    rng = random.Random(0)
    planned = [request(i, names, rng) for i in range(arguments.requests)]
    outcomes, wrong, memory, started = Counter[str](), [], [], time.time()
    answers: dict[int, Any] = {}
    with ThreadPoolExecutor(arguments.at_once) as pool:
        for part in (range(EARLY), range(EARLY, len(planned))):
            jobs = {i: pool.submit(asked, url, *planned[i][:2]) for i in part if i < len(planned)}
            for i, job in jobs.items():
                status, said = job.result()
                broken = planned[i][2]
                outcomes[f"{'broken' if broken else 'whole'}: {status}"] += 1
                in_form = isinstance(said, list) if status == 200 else {"message", "type", "param", "code"} == set(said)
                if not in_form or broken == (status == 200):
                    wrong.append((i, status, said))
                answers[i] = said
            memory.append(server.memory_info().rss)
    seconds = time.time() - started
    again = [i for i in answers if not planned[i][2]][:: max(1, len(planned) // arguments.again)]
    other = sum(asked(url, *planned[i][:2])[1] != answers[i] for i in again)
    grown, (early, late) = memory[-1] / memory[0], (size / 2**20 for size in memory)
    became = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    print(f"{len(planned):,} requests, {arguments.at_once} at a time, {seconds:.0f} s: {became}")
    print(f"not as they should be: {len(wrong)}" + "".join(f"\n  {one}"[:300] for one in wrong[:5]))
    print(f"memory after {EARLY}: {early:.0f} MiB, after all: {late:.0f} MiB ({grown:.3f} times)")
    print(f"asked once more, alone: {len(again)}, of which other texts: {other}")
    return int(bool(wrong) or grown > MEMORY)


if __name__ == "__main__":
    sys.exit(main())
