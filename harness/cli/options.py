"""Options that several commands have: those of what runs something, the folder of results, completion by files."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import shtab

from harness.core.files import cache_folder
from harness.core.printable import without_controls
from harness.core.results_folder import results_folder

_OUT = "folder of results (default: results, here or in a folder above, of the same project)"


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What `run`, `ablate` and `tune` take; running/options.py reads them."""
    parser.add_argument(
        "--method", help="method, several by comma, or all (default: iro); one of your own is FILE.py:Class"
    )
    parser.add_argument("--task", help="task (default: imdb); lm_eval:NAME; one of your own is FILE.py:Class")
    add_benchmark_options(parser)
    add_file_options(parser)
    parser.add_argument(
        "--model", help="folder, hub id, embedded name, or openai:BASE_URL#MODEL of a server (default: the task's)"
    )
    parser.add_argument("--profile", help="quick, standard or paper (default: quick)")
    parser.add_argument("--preset", help="published: the settings of IRO's paper, over the profile's")
    parser.add_argument("--seed", type=int, help="seed of every stream (default: 0)")
    parser.add_argument("--limit", type=int, help="number of prompts evaluated")
    parser.add_argument("--refits", type=int, help="fit everything so often and show the spread (default: once)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, e.g. iro.width=4")
    completed(parser.add_argument("--config", type=Path, help="any of these in a YAML file; the command line wins"))
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--dtype", help="auto, float32, bfloat16, float16 (default: auto)")
    parser.add_argument("--workers", type=int, help="processes on a CPU (default: its cores, as far as memory allows)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, what it costs, and do nothing")
    add_verify(parser)
    completed(parser.add_argument("--out", type=Path, help=_OUT), shtab.DIRECTORY)
    add_server_options(parser)


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """How a server is asked whose model is aligned; nothing of it changes a number."""
    server = parser.add_argument_group("--model openai:BASE_URL#MODEL")
    add_key_option(server)
    server.add_argument(
        "--budget-usd", type=float, help="dollars that its requests may take, by --set prices.input=..."
    )
    server.add_argument("--budget-tokens", type=float, help="tokens that its requests may take, read and written")
    server.add_argument("--parallel", type=int, help="requests at a time (default: 16)")
    server.add_argument("--timeout", type=float, help="seconds for one answer (default: 120)")


def add_key_option(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Of every command that asks a server for its model, where the run's own command named its key."""
    parser.add_argument("--key-variable", metavar="NAME", help="environment variable of the key of a server (default: "
                        "OPENAI_API_KEY for OpenAI's)")  # fmt: skip


def add_verify(parser: argparse.ArgumentParser) -> None:
    """For what loads models and other large files of the cache; see `read_all_again`."""
    parser.add_argument("--verify", action="store_true", help="read large files in full again, and believe no date")


def read_all_again(arguments: argparse.Namespace) -> None:
    """With --verify, forget which files were read before, so that their hashes are taken of what they hold now."""
    if arguments.verify:
        from harness.core.contents import forget

        forget(cache_folder())


def add_file_options(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """A file of prompts and what grades its answers."""
    completed(parser.add_argument("--data", metavar="FILE", required=required, help="prompts of your own in place of a "
              "task: .jsonl, .json, .csv, .parquet"))  # fmt: skip
    completed(parser.add_argument("--grader", required=required, help="what their answers are graded by: "
              "FILE.py:function, OpenAI's JSON, a weighted list"))  # fmt: skip
    completed(parser.add_argument("--gold", metavar="GRADER", help="another grader that judges, which no method sees "
              "(default: the same)"))  # fmt: skip
    parser.add_argument("--cluster", metavar="COLUMN", help="column of what belongs together, such as a customer: its "
                        "prompts are drawn whole for intervals")  # fmt: skip


def add_benchmark_options(parser: argparse.ArgumentParser) -> None:
    """What goes with --task lm_eval:NAME."""
    completed(parser.add_argument("--include-path", metavar="DIR", help="lm-eval: a folder of task files of your own"),
              shtab.DIRECTORY)  # fmt: skip
    completed(parser.add_argument("--dataset-file", action="append", metavar="SPLIT=FILE", help="lm-eval: a file in "
              "place of a split on the hub"))  # fmt: skip
    completed(parser.add_argument("--reward", help="lm-eval: what methods optimise, metric:NAME or a grader (default: "
              "the metric that judges)"))  # fmt: skip


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """What `grade` and `align` take of the options of a run: a file of prompts and its graders are needed."""
    add_file_options(parser, required=True)
    parser.add_argument("--method", help="method (default: iro)")
    parser.add_argument("--model", help="folder, hub id, embedded name, or openai:BASE_URL#MODEL of a server "
                        "(default: smollm2-135m-instruct)")  # fmt: skip
    parser.add_argument("--profile", help="quick or standard (default: quick)")
    parser.add_argument("--seed", type=int, help="seed of every stream (default: 0)")
    parser.add_argument("--limit", type=int, help="number of held-out prompts that are answered")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, e.g. iro.width=4")
    completed(parser.add_argument("--config", type=Path, help="any of these in a YAML file; the command line wins"))
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--dtype", help="auto, float32, bfloat16, float16 (default: auto)")
    parser.add_argument("--workers", type=int, help="processes on a CPU (default: its cores, as far as memory allows)")
    add_verify(parser)
    add_server_options(parser)


def add_out(parser: argparse.ArgumentParser) -> None:
    """The folder of results, for what reads or adds to it."""
    completed(parser.add_argument("--out", type=Path, default=results_folder(), help=_OUT), shtab.DIRECTORY)


def say_where(out: Path) -> None:
    """A line on the screen where a command will write above the folder that it was called in."""
    if out == results_folder() != Path("results"):
        print(f"results of this project: {out} (--out names another folder)", file=sys.stderr)


def say_report(report: Path, show: Callable[[Path], None], full: bool) -> None:
    """The screen of what lies in the report's folder, or all of report.md."""
    if full:
        print(without_controls(report.read_text(encoding="utf-8", errors="replace")))
    else:
        show(report.parent)


def completed(option: argparse.Action, what: Mapping[str, object] = shtab.FILE) -> None:
    """Have the shell complete an option's value by the names of files."""
    option.complete = what  # type: ignore[attr-defined]  # where shtab looks for it
