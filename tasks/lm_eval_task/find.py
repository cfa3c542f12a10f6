"""Which file defines a task of lm-eval, without the index of all 14,000 files that lm-eval makes at its start.

file_of("gsm8k")                            # .../lm_eval/tasks/gsm8k/gsm8k.yaml
file_of("mine", Path("my/tasks"))           # a folder of one's own is looked through first
"""

import importlib.util
import os
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from harness.core.errors import UserError

_NAMED = r"^{key}:[ \t]*(?:['\"]?)([^'\"\s#\[{{]+)['\"]?[ \t]*(?:#.*)?\r?$"
_TASK, _GROUP = (re.compile(_NAMED.format(key=key).encode(), re.M) for key in ("task", "group"))
_TAGS = re.compile(rb"^tag:[ \t]*(.*(?:\n[ \t]*-.*)*)", re.M)
_MEMBERS = re.compile(rb"^[ \t]*-[ \t]*(?:task:[ \t]*)?['\"]?([\w./-]+)['\"]?[ \t]*\r?$", re.M)
_SHOWN = 8  # names that a message lists


def file_of(name: str, include: Path | None = None) -> Path:
    """Raises UserError, with the nearest, for a name that no file has, and for groups of tasks, with some of theirs."""
    if not name:
        raise UserError("--task lm_eval names no task; write --task lm_eval:NAME, for instance lm_eval:gsm8k")
    if include is not None and not include.is_dir():
        raise UserError(f"--include-path {str(include)!r} is no folder; give one that holds the task's YAML file")
    roots = ([include] if include is not None else []) + [shipped_folder()]
    for root in roots:
        for path in _likely_first(list(_files_in(root)), name):
            if name.encode() in (text := path.read_bytes()) and name.encode() in _TASK.findall(text):
                return path
    raise _not_there(name, roots)


def shipped_folder() -> Path:
    """The folder of lm-eval's own tasks; lm-eval is not imported. Raises UserError where it is not installed."""
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or spec.origin is None:
        raise UserError("this needs the package lm-eval, which is not installed; pip install lm-eval")
    return Path(spec.origin).parent / "tasks"


def _files_in(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(one for one in folders if one not in ("__pycache__", ".ipynb_checkpoints"))
        yield from (Path(folder, file) for file in sorted(files) if file.endswith(".yaml"))


def _likely_first(paths: Sequence[Path], name: str) -> list[Path]:
    """Files named like the task, then those in a folder that its name begins with, then all others."""

    def rank(path: Path) -> int:
        plain = name.replace("-", "_")
        if path.stem.replace("-", "_") == plain:
            return 0
        return 1 if plain.startswith(path.parent.name.replace("-", "_")) else 2

    return sorted(paths, key=rank)


def _not_there(name: str, roots: Sequence[Path]) -> UserError:
    """What is wrong with a name: it is that of a group or a tag, or of nothing."""
    tasks, tagged = [], []
    for root in roots:
        for path in _files_in(root):
            text = path.read_bytes()
            named = [one.decode(errors="replace") for one in _TASK.findall(text)]
            tasks += named
            if name.encode() in _GROUP.findall(text):
                members = [one.decode(errors="replace") for one in _MEMBERS.findall(text)]
                return _several("a group of tasks", name, members)
            if (tags := _TAGS.search(text)) and name.encode() in re.findall(rb"[\w.-]+", tags[1]):
                tagged += named
    if tagged:
        return _several("a tag of tasks", name, tagged)
    near = get_close_matches(name, sorted(set(tasks)), n=3)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return UserError(
        f"lm-eval has no task {name!r} among {len(set(tasks)):,}.{hint} `lm-eval ls tasks` lists them; "
        "--include-path DIR adds a folder of yours"
    )


def _several(what: str, name: str, members: Sequence[str]) -> UserError:
    names = list(dict.fromkeys(members))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return UserError(f"lm_eval:{name} is {what}; name one of them: {', '.join(names[:_SHOWN]) or 'see its file'}{more}")
