"""`harness lm-eval`: lm-eval's own command, which knows aligned models as `--model harness`."""

import argparse
import logging
import os
import sys

from harness.cli.command import Command


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "lm-eval's own command, which knows aligned folders as a model: "
        "lm-eval run --model harness --model_args path=DIR --tasks gsm8k"
    )
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="...", help="as lm-eval takes them: run, ls, validate"
    )


def run(arguments: argparse.Namespace) -> None:
    from harness.tasks.lm_eval_task.find import shipped_folder

    shipped_folder()
    for switch in ("TQDM_DISABLE", "DATASETS_VERBOSITY", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        os.environ.pop(switch, None)  # what lm-eval shows is what was asked for
    logging.getLogger("lm_eval").setLevel(logging.NOTSET)
    from lm_eval.__main__ import cli_evaluate
    from lm_eval.api.registry import register_model

    from harness.core.files import cache_folder
    from harness.core.punkt import instead_of_download
    from harness.serve.lm_eval_model import NAME, HarnessLM

    register_model(NAME)(HarnessLM)
    before = sys.argv
    sys.argv = ["lm-eval", *arguments.words]
    try:
        with instead_of_download(cache_folder()):
            cli_evaluate()
    finally:
        sys.argv = before


COMMAND = Command(
    "lm-eval",
    "score an aligned model by lm-eval",
    "lm-eval run --help",
    add_options,
    run,
)
