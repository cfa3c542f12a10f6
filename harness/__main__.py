"""The command: `python -m harness ...`, and `harness ...`, which is `main` below.

What the current folder holds, tasks.py or datasets.py say, is nobody's import: `python -m` would look there first.
"""

import os
import sys

# before anything imports a BLAS: one thread a process (see workers.py)
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

_is_command = __name__ == "__main__"
_found_in = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # a checkout that nobody installed, it may be
if _is_command and not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()) and _found_in != os.getcwd():
    del sys.path[0]

from harness.core.quiet import silence_libraries, silence_warnings

silence_libraries()  # before they are imported
silence_warnings()

from harness.cli import main

if _is_command:
    raise SystemExit(main())
