"""`harness generate`: answer new prompts with what a run fitted."""

import argparse

from harness.cli.command import Command
from harness.cli.options import add_key_option, add_out, add_verify, read_all_again
from harness.serve.generate import add_generate_options, generated


def add_options(parser: argparse.ArgumentParser) -> None:
    add_generate_options(parser)
    add_key_option(parser)
    add_verify(parser)
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    read_all_again(arguments)
    for line in generated(arguments):
        print(line, flush=True)


COMMAND = Command(
    "generate",
    "answer new prompts",
    'generate latest --prompt "topic 1"',
    add_options,
    run,
)
