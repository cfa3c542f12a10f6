"""What becomes of bad graders: each makes NaN of its own row, is named, and the rows that follow are graded."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time

import psutil
import pytest

from harness.core.graders.grade import Item
from harness.core.graders.load import load_grader
from harness.core.graders.worker import Limits

pytestmark = pytest.mark.slow

RUNTIME, UNRESPONSIVE = "python_grader_runtime_error", "unresponsive_reward_error"
LIMITS = Limits(seconds=30.0, memory_gib=0.25)
SHORT = Limits(seconds=2.0)  # for what hangs

# body, run for the response "bad" -> error, what its detail says
BAD = {
    "hangs": ("time.sleep(600)", UNRESPONSIVE, "no answer within 2 seconds"),
    "hangs, deaf to signals": (
        "[signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGINT)]; time.sleep(600)",
        UNRESPONSIVE,
        "no answer within 2 seconds",
    ),
    "computes without end": ("len([0 for _ in iter(int, 1)])", UNRESPONSIVE, "no answer"),
    "exits": ("os._exit(3)", RUNTIME, "exited with code 3"),
    "exits well": ("os._exit(0)", RUNTIME, "exited with code 0"),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", RUNTIME, "was ended by SIGKILL"),
    "raises": ("1 / 0", RUNTIME, "ZeroDivisionError: division by zero (line 4 of bad.py)"),
    "raises SystemExit": ("sys.exit('enough')", RUNTIME, "SystemExit: enough (line 4 of bad.py)"),
    "raises KeyboardInterrupt": ("raise KeyboardInterrupt", RUNTIME, "KeyboardInterrupt (line 4 of bad.py)"),
    "recurses": ("deeper = lambda: deeper(); deeper()", RUNTIME, "RecursionError: maximum recursion depth exceeded"),
    "leaks memory": ("kept.append(b'x' * 2**29); time.sleep(5)", RUNTIME, "more than 0.25 GiB of memory"),
    "returns None": ("return None", UNRESPONSIVE, "it returned None"),
    "returns a text": ("return '0.5'", RUNTIME, "it returned the text '0.5'"),
    "returns inf": ("return float('inf')", RUNTIME, "it returned inf"),
    "returns NaN": ("return float('nan')", RUNTIME, "it returned nan"),
    "returns an object": ("return object()", RUNTIME, "which is no number"),
    "returns a dict of nothing": ("return {'mark': 1}", RUNTIME, "it returned a dict with mark; give score"),
    "writes to a closed stdout": (
        "sys.stdout.close(); print('x')",
        RUNTIME,
        "ValueError: I/O operation on closed file",
    ),
    "closes every file": ("os.closerange(0, 256)", RUNTIME, "exited"),
    "prints much, then raises": (
        "print('first\\n' * 9); print('\\x1b[31mlast'); 1 / 0",
        RUNTIME,
        "it printed: first / first / [31mlast",
    ),
}


def written(tmp_path, body: str, head: str = "def") -> str:
    source = (
        f"import asyncio, os, signal, sys, time; kept = []\n{head} f(prompt, response):\n"
        f"    if response == 'bad':\n        {body}\n    return len(response)\n"
    )
    (tmp_path / "bad.py").write_text(source)
    return str(tmp_path / "bad.py")


def items(*responses: str) -> list[Item]:
    return [Item("p", response) for response in responses]


@pytest.mark.parametrize("what", BAD)
def test_a_bad_grader_is_nan_for_its_row_alone(what, tmp_path, capfd):
    body, error, detail = BAD[what]
    grader = load_grader(written(tmp_path, body), limits=SHORT if error == UNRESPONSIVE else LIMITS)
    before, bad, after = grader.grade(items("a", "bad", "abcd"))
    grader.close()
    assert (before.score, after.score) == (1.0, 4.0)
    assert bad.score != bad.score and bad.error == error
    assert detail in bad.detail and "\n" not in bad.detail and bad.detail.isprintable()
    assert capfd.readouterr() == ("", ""), "what a grader prints stays off the screen"


def test_a_coroutine_that_hangs_is_ended_like_any_other(tmp_path):
    grader = load_grader(written(tmp_path, "await asyncio.sleep(600)", "async def"), limits=SHORT)
    assert [grade.error for grade in grader.grade(items("a", "bad", "b"))] == [None, UNRESPONSIVE, None]
    grader.close()


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds, or is a zombie, which only its parent can remove."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    "body",
    [
        "pid = os.fork(); open(FILE, 'a').write(f'{os.getpid()}\\n'); time.sleep(600)",
        "pid = os.fork(); pid or os.setsid(); open(FILE, 'a').write(f'{os.getpid()}\\n'); time.sleep(600)",
    ],
)
def test_what_a_grader_forked_is_ended_with_it(tmp_path, body):
    file = tmp_path / "pids"
    grader = load_grader(written(tmp_path, body.replace("FILE", repr(str(file)))), limits=SHORT)
    assert [grade.error for grade in grader.grade(items("bad", "a"))] == [UNRESPONSIVE, None]
    pids = [int(line) for line in file.read_text().split()]
    assert len(pids) == 2 and all(map(gone, pids))
    grader.close()


def test_an_answer_is_read_to_its_end_though_its_process_has_ended(tmp_path):
    """An answer of more than one reading was taken for none where the process was gone by then."""
    (tmp_path / "g.py").write_text(
        "import os, threading, time\ndef f(prompts, responses):\n"
        "    threading.Thread(target=lambda: (time.sleep(0.5), os._exit(0)), daemon=True).start()\n"
        "    return [{'score': 1.0, **{f'metric {i}': 1.0 for i in range(20)}} for _ in responses]\n"
    )
    grader = load_grader(str(tmp_path / "g.py"))
    assert {grade.score for grade in grader.grade(items(*["a"] * 1000))} == {1.0}
    time.sleep(1)
    assert grader.grade(items("a"))[0].score == 1.0  # a process that ended between two calls is no error
    grader.close()


def test_a_fork_that_comes_back_answers_once(tmp_path):
    grader = load_grader(written(tmp_path, "os.fork()"), limits=LIMITS)
    assert [grade.score for grade in grader.grade(items("bad", "a", "bad", "ab"))] == [3, 1, 3, 2]
    grader.close()


def test_prints_and_warnings_of_a_good_grader_are_kept_off_the_screen(tmp_path, capfd):
    body = "print('out'); print('err', file=sys.stderr); os.write(1, b'raw'); os.system('echo shell')"
    grader = load_grader(written(tmp_path, body))
    assert grader.grade(items("bad"))[0].score == 3.0
    assert capfd.readouterr() == ("", "")
    grader.close()


def test_a_slow_leak_is_nobodys_fault_and_no_score_depends_on_batches(tmp_path):
    """A row that finds the memory nearly full was NaN, and its neighbours in another order were not."""
    grader = load_grader(written(tmp_path, "kept.append(b'x' * (80 * 2**20)); time.sleep(0.25)"), limits=LIMITS)
    asked = items(*["bad"] * 5)
    together = grader.grade(asked)
    one_by_one = [grader.grade([item])[0] for item in asked]
    assert [grade.score for grade in together] == [grade.score for grade in one_by_one] == [3.0] * 5
    grader.close()


def test_a_row_that_fails_in_a_batch_is_nan_alone(tmp_path):
    (tmp_path / "bad.py").write_text(
        "import os\ndef f(prompts, responses):\n    if 'bad' in responses: os._exit(1)\n"
        "    if 'few' in responses: return [1.0]\n    return [len(r) for r in responses]\n"
    )
    grader = load_grader(str(tmp_path / "bad.py"), limits=LIMITS)
    assert [grade.error for grade in grader.grade(items("a", "bad", "b", "ab"))] == [None, RUNTIME, None, None]
    assert [grade.score for grade in grader.grade(items("a", "ab"))] == [1.0, 2.0]
    assert "returned 1 numbers for 2 responses" in grader.grade(items("few", "a"))[0].detail
    grader.close()


@pytest.mark.parametrize("head", ["def", "async def"])
def test_an_exception_over_one_row_of_a_batch_costs_the_others_nothing(tmp_path, head):
    (tmp_path / "g.py").write_text(
        f"{head} f(completions, answer, **kwargs):\n"
        "    return [float(c.split('####')[1].strip() == a) for c, a in zip(completions, answer)]\n"
    )
    grader = load_grader(str(tmp_path / "g.py"))
    grades = grader.grade([Item("p", text, {"answer": "4"}) for text in ("x #### 4", "no", "#### 4", "#### 5", "")])
    assert [grade.score for grade in grades if grade.error is None] == [1.0, 1.0, 0.0]
    assert [grade.error for grade in grades] == [None, RUNTIME, None, None, RUNTIME]
    assert "IndexError" in grades[1].detail
    grader.close()


def test_a_row_without_a_column_is_not_asked(tmp_path):
    (tmp_path / "g.py").write_text("def f(prompts, responses, answer):\n    return [float(a == '4') for a in answer]\n")
    grader = load_grader(str(tmp_path / "g.py"))
    grades = grader.grade(
        [Item("p", "r", {"answer": "4"}), Item("p", "r", {"key": "4"}), Item("p", "r", {"answer": "5"})]
    )
    assert [grade.error for grade in grades] == [None, "invalid_variable_error", None]
    assert [grades[0].score, grades[2].score] == [1.0, 0.0] and "asks for answer" in grades[1].detail
    grader.close()


def _score_in_child(grader, queue):
    queue.put((grader.grade(items("abc"))[0].score, grader._worker._running.process.pid))


def test_a_forked_process_has_a_worker_of_its_own_and_leaves_the_others_alone(tmp_path):
    grader = load_grader(written(tmp_path, "pass"))
    assert grader.grade(items("a"))[0].score == 1.0
    mine = grader._worker._running.process.pid
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_score_in_child, args=(grader, queue), daemon=True)  # as the workers of a run are
    process.start()
    score, theirs = queue.get(timeout=60)
    process.join()
    assert score == 3.0 and theirs != mine and gone(theirs)
    assert grader.grade(items("ab"))[0].score == 2.0 and grader._worker._running.process.pid == mine
    grader.close()


@pytest.mark.parametrize("busy", ["time.sleep(600)", "while True: pass"])
def test_a_grader_dies_with_the_process_that_asked_it(tmp_path, busy):
    path = written(tmp_path, f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); {busy}")
    code = (
        "from harness.core.graders.load import load_grader; from harness.core.graders.grade import Item; "
        f"load_grader({path!r}).grade([Item('p', 'bad')])"
    ).replace("; while", "\nwhile")
    if busy.startswith("while"):
        source = (tmp_path / "bad.py").read_text().replace("; while True", "\n        while True")
        (tmp_path / "bad.py").write_text(source)
    parent = subprocess.Popen([sys.executable, "-c", code])
    for _ in range(600):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_grader_can_be_sent_to_another_process(tmp_path):
    grader = load_grader(written(tmp_path, "pass"))
    again = pickle.loads(pickle.dumps(grader))
    assert again.grade(items("ab"))[0].score == 2.0 and again.identity == grader.identity
    again.close()
    grader.close()


def test_a_closed_grader_starts_again_and_leaves_no_process(tmp_path):
    grader = load_grader(written(tmp_path, "pass"))
    grader.grade(items("a"))
    pid = grader._worker._running.process.pid
    grader.close()
    assert gone(pid) and not os.path.exists(f"/proc/{pid}")
    assert grader.grade(items("ab"))[0].score == 2.0
    grader.close()
