"""The command line, `harness` or `python -m harness`: a command is a file here, and program.py lists them."""

from harness.cli.program import main as main
