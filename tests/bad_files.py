"""The tables of bad files and bad graders in harness/docs/formats.md, each with what is said of it today.

    python -m tests.bad_files          # writes both anew, between their markers

Files are read and graders are run as a run does it; what is printed is the message as users get it.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from harness.core.data.prompts import read_data
from harness.core.errors import UserError
from harness.core.graders.grade import Item
from harness.core.graders.load import load_grader
from harness.core.graders.worker import Limits
from harness.core.types import Prompt
from harness.evidence.markdown import markdown_table
from harness.tasks.data import Data, DataConfig

PAGE = Path(__file__).parents[1] / "harness" / "docs" / "formats.md"
LIMITS = Limits(seconds=2.0, memory_gib=0.25)  # of the graders in the table
CONTEXT, ANSWER = 8192, 128  # tokens of a model
_ROWS = [{"prompt": "one", "answer": "1"}, {"prompt": "two", "answer": "2"}]


def _lines(*rows: Mapping[str, object]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _parquet(**columns: Sequence[object]) -> Callable[[Path], None]:
    return lambda path: pl.DataFrame(columns).write_parquet(path)


def _user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


_TWO = _lines(*_ROWS)
_PHOTO = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}

# what is wrong -> the file's name, and its bytes or who writes it
FILES: dict[str, tuple[str, bytes | Callable[[Path], None]]] = {
    "empty": ("bad.jsonl", b""),
    "blank lines alone": ("bad.jsonl", b"\n \n"),
    "a header alone": ("bad.csv", b"prompt,answer\n"),
    "no column with prompts": ("bad.jsonl", _lines({"text": "one", "answer": "1"})),
    "a row without the prompt's column": ("bad.jsonl", _TWO + _lines({"text": "three"})),
    "mixed types: a text, then messages": ("bad.jsonl", _TWO + _lines({"prompt": [_user("three")]})),
    "mixed types: a number for a prompt": ("bad.jsonl", _TWO + _lines({"prompt": 3})),
    "mixed types: texts and numbers in a column that graders read": (
        "good.jsonl",
        _TWO + _lines({"prompt": "three", "answer": 3}),
    ),
    "null for a prompt": ("bad.jsonl", _TWO + _lines({"prompt": None})),
    "an empty prompt": ("bad.jsonl", _TWO + _lines({"prompt": " "})),
    "a line of 20 MB": ("bad.jsonl", _TWO + _lines({"prompt": "x" * 20 * 2**20})),
    "invalid UTF-8": ("bad.jsonl", _TWO + b'{"prompt": "caf\xe9"}\n'),
    "UTF-16": ("bad.csv", b"\xff\xfe" + "prompt\nx\n".encode("utf-16-le")),
    "half a character": ("bad.jsonl", b'{"prompt": "x \\ud83d"}'),
    "a byte order mark": ("good.jsonl", b"\xef\xbb\xbf" + _TWO),
    "duplicates": ("good.jsonl", _TWO + _lines(_ROWS[0])),
    "one prompt in two splits": (
        "bad.jsonl",
        _lines({"prompt": "one", "split": "train"}, {"prompt": "one", "split": "test", "answer": "1"}),
    ),
    "a split in some rows": ("bad.jsonl", _lines({"prompt": "one", "split": "train"}, {"prompt": "two"})),
    "a split of another name": ("bad.jsonl", _lines({"prompt": "one", "split": "holdout"})),
    "a prompt longer than the context": ("bad.jsonl", _TWO + _lines({"prompt": "three " * 9000})),
    "cut off": ("bad.jsonl", _TWO[:-9]),
    "no JSON": ("bad.jsonl", _TWO + b"hello\n"),
    "JSON lines named .json": ("bad.json", _TWO),
    "a list named .jsonl": ("bad.jsonl", json.dumps(_ROWS).encode()),
    "NaN": ("bad.jsonl", _TWO + b'{"prompt": "three", "n": NaN}\n'),
    "a whole number beyond 64 bits": ("bad.jsonl", _TWO + b'{"prompt": "three", "n": 9223372036854775808}\n'),
    "CSV of unequal rows": ("bad.csv", b"prompt,answer\none,1\ntwo,2,3\n"),
    "one name for two columns": ("bad.csv", b"prompt,prompt\na,b\n"),
    "NaN in parquet": ("bad.parquet", _parquet(prompt=["one", "two"], n=[1.0, float("nan")])),
    "bytes in parquet": ("bad.parquet", _parquet(prompt=["one"], picture=[b"\x00"])),
    "another kind of file": ("bad.txt", b"one\ntwo\n"),
    "the assistant's message last": (
        "bad.jsonl",
        _lines({"messages": [_user("one"), {"role": "assistant", "content": "1"}]}),
    ),
    "an image": ("bad.jsonl", _lines({"messages": [_user([_PHOTO])]})),
    "tools": ("bad.jsonl", _lines({"messages": [_user("one")], "tools": [{"type": "function"}]})),
}

# what it does with the answer "bad" -> its body there
GRADERS: dict[str, str] = {
    "hangs": "time.sleep(600)",
    "hangs, deaf to signals": (
        "[signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGINT)]; time.sleep(600)"
    ),
    "forks, and both hang": "os.fork(); time.sleep(600)",
    "forks, and both come back": "os.fork()",
    "exits": "os._exit(3)",
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "raises": "1 / 0",
    "raises SystemExit": "sys.exit('enough')",
    "prints": "print('seen: ' + response)",
    "prints, then raises": "print('seen: ' + response); 1 / 0",
    "returns None": "return None",
    "returns a text": "return '0.5'",
    "returns inf": "return float('inf')",
    "returns NaN": "return float('nan')",
    "returns a list": "return [1, 2]",
    "returns a dict without a score": "return {'mark': 1}",
    "says that its score is not valid": "return {'score': 1.0, 'is_score_valid': False, 'reason': 'no tests ran'}",
    "leaks memory": "kept.append(b'x' * 2**29); time.sleep(5)",
    "closes every file that it has": "os.closerange(0, 256)",
}
# what its file does while it is imported -> the line
IMPORTED: dict[str, str] = {
    "raises while it is imported": "import no_such_module",
    "exits while it is imported": "os._exit(1)",
}


def written_anew(page: str) -> str:
    """The page with both tables as they are today."""
    return _between(_between(page, "bad files", table_of_files()), "bad graders", table_of_graders())


def table_of(page: str, name: str) -> str:
    """What stands between the markers of a table."""
    return page.split(f"<!--{name}-->\n")[1].split(f"<!--/{name}-->")[0]


def table_of_files() -> str:
    return _table("a file", {what: said_of_file(*FILES[what]) for what in FILES})


def table_of_graders() -> str:
    said = {what: said_of_grader(body) for what, body in GRADERS.items()}
    said |= {"reads a column that the row lacks": said_of_missing_column()}
    return _table("a grader that", said | {what: said_of_import(line) for what, line in IMPORTED.items()})


def said_of_file(name: str, content: bytes | Callable[[Path], None]) -> str:
    """The error, or what the screen says of a file that is taken."""
    with _folder() as folder:
        path = Path(name)
        content(path) if callable(content) else path.write_bytes(content)
        (folder / "checks.py").write_text("def correct(prompt, response):\n    return 0.0\n", encoding="utf-8")
        try:
            read_data(path)
            task = Data(DataConfig(file=name, grader="checks.py:correct"), None, folder)  # type: ignore[arg-type]
            try:
                line = task.introduction(_words, CONTEXT, ANSWER)[0]
            finally:
                task.grader.close()
        except UserError as error:
            return f"error: {error}"
    return f"taken: {line.partition('; ')[0].removeprefix('data: ')}"


def said_of_grader(body: str) -> str:
    """What becomes of the row: its score, or the name of the error with its detail. The rows beside it have scores."""
    with _folder():
        Path("bad.py").write_text(
            "import os, signal, sys, time; kept = []\ndef f(prompt, response):\n"
            f"    if response == 'bad':\n        {body}\n    return len(response)\n",
            encoding="utf-8",
        )
        grader = load_grader("bad.py", limits=LIMITS)
        before, bad, after = grader.grade([Item("p", "a"), Item("p", "bad"), Item("p", "abcd")])
        grader.close()
        assert (before.score, after.score) == (1.0, 4.0), "what is wrong with a row is no other's fault"
        return f"its score, {bad.score:g}" if bad.error is None else f"`{bad.error}`: {bad.detail}"


def said_of_missing_column() -> str:
    with _folder():
        Path("bad.py").write_text("def f(prompt, response, answer):\n    return 1.0\n", encoding="utf-8")
        grader = load_grader("bad.py", limits=LIMITS)
        good, bad = grader.grade([Item("p", "a", {"answer": "1"}), Item("p", "a", {"key": "1"})])
        grader.close()
        assert good.score == 1.0
        return f"`{bad.error}`: {bad.detail}"


def said_of_import(line: str) -> str:
    with _folder():
        source = f"import os, time\n{line}\ndef f(prompt, response):\n    return 1.0\n"
        Path("bad.py").write_text(source, encoding="utf-8")
        try:
            load_grader("bad.py", limits=LIMITS).close()
        except UserError as error:
            return f"error before anything is graded: {error}".replace(f"{Path.cwd()}/", "")
    return "nothing is wrong"


def _words(prompt: Prompt) -> int:
    return len(str(prompt.text or prompt.messages).split())


@contextmanager
def _folder() -> Iterator[Path]:
    """An empty folder to be in, so that messages hold names without paths."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(here)


def _table(what: str, said: Mapping[str, str]) -> str:
    rows = [{what: name, "what comes of it": " ".join(text.split()).replace("|", "\\|")} for name, text in said.items()]
    return "\n".join(markdown_table(rows)) + "\n"


def _between(page: str, name: str, table: str) -> str:
    before, _, rest = page.partition(f"<!--{name}-->\n")
    _, end, after = rest.partition(f"<!--/{name}-->")
    assert end, f"the page has no <!--{name}--> ... <!--/{name}-->"
    return f"{before}<!--{name}-->\n{table}{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(written_anew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
