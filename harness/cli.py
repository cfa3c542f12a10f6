"""The command line: run, ablate, tune, generate, report, figure, judge, leaderboard, bench, rewards, list, completion.

python -m harness run --method iro
python -m harness report imdb-3f2a
python -m harness list
"""

import argparse
import errno
import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import shtab

import harness
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.registry import require_one_checkout
from harness.evidence.figure_command import add_figure_options, draw_figure
from harness.judging.options import add_judge_options, chosen_judge, require_import_alone
from harness.serve.generate import add_generate_options, generated

_UNWRITABLE = {
    errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.EPERM, errno.ENAMETOOLONG,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0: it worked, 1: a check found something, 2: a mistake that the user can mend, 130: Ctrl-C.

    141 where nobody reads what is printed any more, as `harness list | head -1` leaves it.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 lacks letters of texts
    try:
        try:
            return _answer(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # python flushes once more when it ends
        return 141


def _answer(argv: Sequence[str] | None) -> int:
    arguments = _parser(_program()).parse_args(argv)
    try:
        require_one_checkout()
        return arguments.command(arguments) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted. Finished batches are kept: run the same command again to go on.", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        print(
            f"error: cannot write {error.filename or 'a file'}: {error.strerror}. Mend that (HARNESS_CACHE and "
            "--out name other folders) and run the same command again; finished batches are kept.",
            file=sys.stderr,
        )
        return 2


def _program() -> str:
    """How the command was called: by its own name, or as a module."""
    return "harness" if Path(sys.argv[0]).stem == "harness" else "python -m harness"


def _parser(program: str = "python -m harness") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=str(harness.__doc__).splitlines()[0])
    parser.add_argument("--version", action="version", version=f"iro-harness {harness.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="fit methods, evaluate them on the same prompts, write tables and figures")
    _add_run_options(run)
    run.add_argument("--only", action="store_true", default=None, help="leave base and best_of_n out unless named")
    run.add_argument("--fresh", action="store_true", default=None, help="recompute without the cache and compare")
    run.set_defaults(command=_run)

    ablate = commands.add_parser("ablate", help="the same run at several values of one setting, side by side")
    ablate.add_argument("--axis", required=True, help="what is varied, or two of them by comma: METHOD.SETTING, or "
                        "an axis that `list` shows")  # fmt: skip
    ablate.add_argument("--values", help="by comma, those of a second axis after a semicolon (default: the axis's own)")
    _add_run_options(ablate)
    ablate.set_defaults(command=_ablate)

    tune = commands.add_parser("tune", help="search settings of methods on development prompts, as many tries for each")
    tune.add_argument("--tries", type=int, default=8, help="settings tried for each method (default: 8)")
    tune.add_argument("--most-tries", type=int, help="of a method whose best lies at an end of a range, which then "
                      "grows (default: 3 times --tries)")  # fmt: skip
    _add_run_options(tune)
    tune.set_defaults(command=_tune)

    generate = commands.add_parser("generate", help="answer new prompts with what a run fitted")
    add_generate_options(generate)
    generate.set_defaults(command=_generate)

    report = commands.add_parser("report", help="rebuild table and figures of stored runs, without torch")
    report.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="path, id, or the beginning of an id, of a run or an ablation; several runs that differ in the seed alone "
        "make one table over prompts and seeds",
    )
    report.add_argument("--html", action="store_true", help="also write report.html: a page with every answer")
    _add_out(report)
    report.set_defaults(command=_report)

    figure = commands.add_parser("figure", help="one figure of a stored run, as a paper needs it, without torch")
    add_figure_options(figure)
    figure.set_defaults(command=draw_figure)

    judge = commands.add_parser("judge", help="win rates of a stored run's answers over an opponent's, without torch")
    add_judge_options(judge)
    judge.set_defaults(command=_judge)

    board = commands.add_parser("leaderboard", help="one table of all stored runs, without torch")
    board.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 where the files are out of date"
    )
    board.add_argument("--rescore", type=int, metavar="N", help="score N stored completions of each task once more")
    _add_out(board)
    board.set_defaults(command=_leaderboard)

    bench = commands.add_parser("bench", help="speed of the engine, as ratios within one process on one thread")
    bench.add_argument("--model", default="smollm2-135m-instruct", help="folder, hub id or embedded name")
    bench.add_argument("--repeats", type=int, default=3, help="turns; figures are medians (default: 3)")
    _add_out(bench)
    bench.set_defaults(command=_bench)

    rewards = commands.add_parser(
        "rewards", help="the rewards that ship with the task imdb, and how to train them anew"
    )
    rewards.add_argument("--rebuild", action="store_true", help="train them anew, and say how far both agree")
    help_ = "write the rebuilt ones there, as rewards ship"
    _completed(rewards.add_argument("--export", type=Path, metavar="FOLDER", help=help_), shtab.DIRECTORY)
    _add_out(rewards)
    rewards.set_defaults(command=_rewards)

    listing = commands.add_parser("list", help="methods, tasks, their settings, defaults and sources")
    listing.add_argument("--method", help="of these alone: names or FILE.py:Class, by comma")
    listing.add_argument("--task", help="of this one alone: a name or FILE.py:Class")
    listing.set_defaults(command=_list)

    completion = commands.add_parser("completion", help="what a shell needs to complete the command `harness`")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    completion.set_defaults(command=_completion)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--method", help="method, several by comma, or all (default: iro); one of your own is FILE.py:Class"
    )
    parser.add_argument("--task", help="task (default: imdb); one of your own is FILE.py:Class")
    parser.add_argument("--model", help="folder, hub id or embedded name (default: the task's)")
    parser.add_argument("--profile", help="quick, standard or paper (default: quick)")
    parser.add_argument("--preset", help="published: the settings of IRO's paper, over the profile's")
    parser.add_argument("--seed", type=int, help="seed of every stream (default: 0)")
    parser.add_argument("--limit", type=int, help="number of prompts evaluated")
    parser.add_argument("--refits", type=int, help="fit everything so often and show the spread (default: once)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, e.g. iro.width=4")
    _completed(parser.add_argument("--config", type=Path, help="any of these in a YAML file; the command line wins"))
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--dtype", help="auto, float32, bfloat16, float16 (default: auto)")
    parser.add_argument("--workers", type=int, help="processes on a CPU (default: its cores, as far as memory allows)")
    _completed(parser.add_argument("--out", type=Path, help="folder of results (default: results)"), shtab.DIRECTORY)


def _add_out(parser: argparse.ArgumentParser) -> None:
    help_ = "folder of results (default: results)"
    _completed(parser.add_argument("--out", type=Path, default=Path("results"), help=help_), shtab.DIRECTORY)


def _completed(option: argparse.Action, what: Mapping[str, object] = shtab.FILE) -> None:
    """Have the shell complete an option's value by the names of files."""
    option.complete = what  # type: ignore[attr-defined]  # where shtab looks for it


def _run(arguments: argparse.Namespace) -> None:
    from harness.running.options import read_options

    options = read_options(arguments)  # without torch: what is mistyped is answered at once
    from harness.running.config import resolve
    from harness.running.run import run_and_report

    run_and_report(resolve(options.request), options.workspace, options.fresh)


def _ablate(arguments: argparse.Namespace) -> None:
    from harness.running.options import read_options

    options = read_options(arguments)
    options.require_not_fresh("ablate")
    from harness.sweeps.ablate import ablate

    print(ablate(arguments.axis, arguments.values, options.request, options.workspace))


def _tune(arguments: argparse.Namespace) -> None:
    from harness.running.options import read_options

    if arguments.tries < 1:
        raise UserError(f"--tries {arguments.tries}: give at least 1")
    options = read_options(arguments)
    options.require_not_fresh("tune")
    from harness.sweeps.tune import tune

    print(tune(arguments.tries, arguments.most_tries, options.request, options.workspace))


def _generate(arguments: argparse.Namespace) -> None:
    for line in generated(arguments):
        print(line, flush=True)


def _report(arguments: argparse.Namespace) -> None:
    from harness.evidence.ablation import find_ablation, write_ablation
    from harness.evidence.report import write_report
    from harness.evidence.store import find_run, load_run

    ablations = {name: found for name in arguments.runs if (found := find_ablation(arguments.out, name)) is not None}
    for name, ablation in ablations.items():
        if arguments.html:
            raise UserError(f"--html shows a run, and {name!r} is an ablation; name one of its runs")
        if len(arguments.runs) > 1:
            raise UserError(f"several runs make one table over seeds, and {name!r} is an ablation; report it alone")
        print(write_ablation(ablation, arguments.out).read_text(encoding="utf-8"))
        return
    if len(arguments.runs) > 1:
        _report_over_seeds(arguments)
        return
    run = load_run(find_run(arguments.out, arguments.runs[0]))
    path = write_report(run)
    print(path.read_text(encoding="utf-8"))
    if arguments.html:
        from harness.evidence.page import write_page

        path = write_page(run)
    print(f"written to {path.parent}", file=sys.stderr)


def _report_over_seeds(arguments: argparse.Namespace) -> None:
    from harness.evidence.seeds import write_seeds
    from harness.evidence.store import find_run, load_run

    if arguments.html:
        raise UserError(f"--html shows one run, and {len(arguments.runs)} are given; name one of them")
    path = write_seeds([load_run(find_run(arguments.out, name)) for name in arguments.runs], arguments.out)
    print(path.read_text(encoding="utf-8"))
    print(f"written to {path.parent}", file=sys.stderr)


def _judge(arguments: argparse.Namespace) -> None:
    from harness.judging.alpaca_eval import export
    from harness.judging.judge import import_judgement, judge_run
    from harness.judging.opponents import Selection

    if arguments.annotations is not None:
        require_import_alone(arguments)
        folder = import_judgement(arguments.out, arguments.annotations)
    elif arguments.run is None:
        raise UserError("name the run to judge (path, id, or the beginning of an id), or --import a file")
    else:
        rows = Selection(arguments.method, arguments.iteration, arguments.final_pick)
        theirs = Selection(arguments.opponent_method, arguments.opponent_iteration, arguments.opponent_final_pick)
        judge = chosen_judge(arguments)
        folder = judge_run(arguments.out, arguments.run, rows, arguments.opponent or "base", theirs, judge)
    print((folder / "report.md").read_text(encoding="utf-8"))
    print(f"written to {folder}", file=sys.stderr)
    if arguments.export is not None:
        export(folder, arguments.export)
        print(f"AlpacaEval's files: {arguments.export}", file=sys.stderr)


def _leaderboard(arguments: argparse.Namespace) -> int:
    if arguments.rescore is not None:
        return _rescore(arguments)
    from harness.evidence.leaderboard import difference, write_leaderboard

    if arguments.check:
        found = difference(arguments.out)
        print(found or f"the leaderboard in {arguments.out} is what its runs give")
        return 1 if found else 0
    print(write_leaderboard(arguments.out).read_text(encoding="utf-8"))
    return 0


def _rescore(arguments: argparse.Namespace) -> int:
    from harness.running.rescore import TOLERANCE, rescore

    if arguments.rescore < 1:
        raise UserError(f"--rescore {arguments.rescore}: give at least 1")
    found = rescore(arguments.out, arguments.rescore, cache_folder())
    print("\n".join(map(str, found)))
    return 1 if max(task.largest for task in found) > TOLERANCE else 0


def _bench(arguments: argparse.Namespace) -> None:
    from harness.core.models.loading import load_model, load_policy
    from harness.running.speed import run_bench, table, write_bench

    if arguments.repeats < 1:
        raise UserError(f"--repeats {arguments.repeats}: give at least 1")
    where = (arguments.model, "cpu", "float32", cache_folder())
    policy = load_policy(*where)
    rows = run_bench(policy, load_model(*where)[0], arguments.repeats)
    print(table(rows))
    print(f"path: {policy.path}; written to {write_bench(policy, rows, arguments.out)}", file=sys.stderr)


def _rewards(arguments: argparse.Namespace) -> None:
    from harness.running.rewards import rebuild, require_rebuild, shown

    require_rebuild(arguments.rebuild, arguments.export)
    print(rebuild(arguments.out, cache_folder(), arguments.export) if arguments.rebuild else shown())


def _list(arguments: argparse.Namespace) -> None:
    from harness.listing import listing

    print(listing(arguments.method, arguments.task))


def _completion(arguments: argparse.Namespace) -> None:
    print(shtab.complete(_parser("harness"), arguments.shell))
