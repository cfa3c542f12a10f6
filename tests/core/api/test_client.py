"""The client against a server that misbehaves: how long, how much, where the key goes, and what is asked again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.core.api.client import Client, Patience, Request
from harness.core.api.failures import NoAnswer
from tests import fault_server as faults

QUICK = Patience(timeout=0.4, tries=2, wait=0.01)
KEY = "sk-planted-0123456789abcdef"


def asked(url: str, patience: Patience = QUICK, variable: str | None = None) -> str:
    return Client(url, "planted", patience, variable).get(Request("/chat/completions", {"model": "m"}, str))


def test_a_reply_that_dribbles_ends_at_the_deadline_however_often_bytes_come():
    """`--timeout 2` was outlasted by a minute, as each byte began the wait anew."""
    with faults.faulty(faults.dribble) as (url, seen), pytest.raises(NoAnswer, match=r"no answer within 0.4 s"):
        asked(url)
    assert len(seen) == 2


@pytest.mark.parametrize("fault", [faults.cut, faults.truncated, faults.dribble])
def test_a_reply_that_was_cut_off_is_asked_for_again(fault):
    with faults.faulty(fault, faults.whole) as (url, seen):
        assert "whole" in asked(url)
    assert len(seen) == 2


@pytest.mark.parametrize(
    "fault, says",
    [
        (faults.endless, "longer than 1 MB"),
        (faults.bomb, "compressed, though none such was asked for"),
        (faults.nested, "no answer of an OpenAI-compatible server|cut off"),
    ],
)
def test_a_reply_that_would_fill_the_memory_is_refused(fault, says):
    """6.5 MB of gzip took 4.7 GB."""
    with faults.faulty(fault) as (url, _), pytest.raises(NoAnswer, match=says):
        asked(url, Patience(timeout=20, tries=1, wait=0.01, most_bytes=2**20))


def test_no_redirect_is_followed_so_that_none_carries_the_key(monkeypatch):
    monkeypatch.setenv("PLANTED_KEY", KEY)
    with faults.faulty(faults.whole) as (elsewhere, seen_there):

        def moved(handler, over):
            faults.head(handler, 0, 307, Location=f"{elsewhere}/chat/completions")

        with faults.faulty(moved) as (url, seen), pytest.raises(NoAnswer, match="status 307"):
            asked(url, variable="PLANTED_KEY")
    assert seen[0]["Authorization"] == f"Bearer {KEY}" and not seen_there


def test_what_the_library_finds_in_the_environment_is_not_sent(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, KEY)
    with faults.faulty(faults.whole) as (url, seen):
        asked(url)
    assert not [name for name, value in seen[0].items() if KEY in value]


def test_when_one_request_fails_those_under_way_are_kept_and_no_other_is_asked():
    def slow(handler, over):
        over.wait(0.2)
        faults.whole(handler, over)

    def refuse(handler, over):
        faults.head(handler, 0, 400)

    kept: list[int] = []
    with faults.faulty(slow, refuse, slow) as (url, seen), pytest.raises(NoAnswer, match="status 400"):
        requests = [Request("/chat/completions", {"model": "m"}, str)] * 8
        Client(url, "planted", Patience(timeout=5, parallel=2)).ask(requests, lambda i, _: kept.append(i))
    assert len(seen) == 2 and len(kept) == 1


def test_what_is_not_admitted_waits_for_those_under_way():
    under_way, most, kept = set[int](), list[int](), list[int]()

    def admit(i: int) -> bool:
        if len(under_way) == 2:
            return False
        under_way.add(i)
        most.append(len(under_way))
        return True

    def keep(i: int, _: str) -> None:
        under_way.remove(i)
        kept.append(i)

    def fail(i: int, _: NoAnswer) -> None:
        under_way.remove(i)

    with faults.faulty(faults.whole, lambda handler, over: faults.head(handler, 0, 400), faults.whole) as (url, seen):
        requests = [Request("/chat/completions", {"model": "m"}, str)] * 12
        Client(url, "planted", Patience(timeout=5, parallel=8)).ask(requests, keep, admit, fail)
    assert len(seen) == 12 and len(kept) == 11 and max(most) == 2 and not under_way


ASK_FOR_EVER = """
import sys
from harness.core.api.client import Client, Patience, Request
print("asking", flush=True)
request, admitted = Request("/chat/completions", {"model": "m"}, str), []
admit = lambda i: not admitted and not admitted.append(i)  # the other one waits for it
Client(sys.argv[1], "planted", Patience(timeout=60)).ask([request] * 2, print, admit)
"""


def test_ctrl_c_ends_it_while_a_reply_dribbles():
    """It took another minute."""
    with faults.faulty(faults.dribble) as (url, seen):
        command = [sys.executable, "-c", ASK_FOR_EVER, url]
        child = subprocess.Popen(command, cwd=Path(__file__).parents[3], stderr=subprocess.PIPE, env=os.environ)
        until = time.monotonic() + 60
        while not seen and time.monotonic() < until:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=20)
    assert child.returncode != 0 and b"KeyboardInterrupt" in said
