"""python -m harness"""

import os

# before anything imports a BLAS: one thread a process (see workers.py)
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from harness.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
