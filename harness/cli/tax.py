"""`harness tax`: what an alignment costs on other tasks, base and aligned model side by side."""

import argparse
from collections.abc import Sequence

import shtab

from harness.cli.command import Command
from harness.cli.options import add_key_option, add_out, completed
from harness.core.errors import UserError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="path, id or its beginning, name, latest, or a folder of align")
    parser.add_argument("--tasks", required=True, help="generation tasks of lm-eval, by comma: gsm8k,ifeval")
    completed(parser.add_argument("--include-path", metavar="DIR", default="", help="a folder of task files of yours"),
              shtab.DIRECTORY)  # fmt: skip
    completed(parser.add_argument("--dataset-file", action="append", default=[], metavar="[TASK:]SPLIT=FILE", help="a "
              "file in place of a split on the hub"))  # fmt: skip
    parser.add_argument("--chat", action="store_true", help="through the chat template, as --apply_chat_template")
    parser.add_argument("--num-fewshot", type=int, help="examples in a prompt (default: the task's)")
    parser.add_argument("--limit", type=int, help="documents of each task, the first by id (default: all)")
    parser.add_argument("--max-new-tokens", type=int, help="of an answer, at most (default: the task's)")
    parser.add_argument("--method", help="whose answers (default: the one that fitted something)")
    parser.add_argument("--iteration", type=int, help="after how many fits (default: all)")
    parser.add_argument("--pick", help="who chooses among the finalists (default: the cheapest)")
    parser.add_argument("--model", help="where the model lies now (default: where it lay)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add_key_option(parser)
    add_out(parser)


def run(arguments: argparse.Namespace) -> int:
    for name in ("limit", "max_new_tokens"):
        if (value := vars(arguments)[name]) is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} {value}: give at least 1")
    if (arguments.num_fewshot or 0) < 0:
        raise UserError(f"--num-fewshot {arguments.num_fewshot}: give at least 0")
    names = [name.strip().removeprefix("lm_eval:") for name in arguments.tasks.split(",") if name.strip()]
    files = _by_task(arguments.dataset_file, names)
    from harness.core.files import cache_folder
    from harness.serve.opening import load
    from harness.serve.tax import tax
    from harness.serve.tax_report import show_tax, write_tax
    from harness.tasks.lm_eval_task.opened import Asked

    asked = [
        Asked(name, arguments.include_path, tuple(files[name]), arguments.num_fewshot, arguments.chat) for name in names
    ]
    where = {name: vars(arguments)[name] for name in ("model", "device", "out", "key_variable")}
    aligned = load(arguments.run, arguments.method, arguments.iteration, **where)
    found = tax(aligned, asked, cache_folder(), arguments.limit, arguments.max_new_tokens, arguments.pick)
    show_tax(found, write_tax(found, aligned, arguments.out))
    return 1 if found.worse else 0


def _by_task(given: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Files of each task. Raises UserError for a file that names none of several tasks, and for no task at all."""
    if not names:
        raise UserError("--tasks names no task; give generation tasks of lm-eval, such as gsm8k,ifeval")
    found: dict[str, list[str]] = {name: [] for name in names}
    for one in given:
        split, _, file = one.partition("=")
        task, colon, rest = split.rpartition(":")
        if not colon and len(names) > 1:
            raise UserError(f"--dataset-file {one!r}: say of which task, {names[0]}:{one}")
        if colon and task not in found:
            raise UserError(f"--dataset-file {one!r}: --tasks has no {task}; its tasks: {', '.join(names)}")
        found[task if colon else names[0]].append(f"{rest}={file}")
    return found


COMMAND = Command(
    "tax",
    "what an alignment costs elsewhere",
    "tax aligned --tasks gsm8k",
    add_options,
    run,
)
