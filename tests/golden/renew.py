"""Write the pinned files anew, where what they pin was changed on purpose.

    python -m tests.golden.renew

It refuses where numbers changed and no version was raised: raise the stage's in VERSIONS (harness/running/stages.py),
the method's `version`, or SCHEMA (harness/running/config.py), and renew then.
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.golden import settings, toy_stages


def main() -> int:
    """0: both files are as the code gives; 1: something changed that no version says."""
    now = settings.today()
    if settings.STORED.exists():
        stored = json.loads(settings.STORED.read_text(encoding="utf-8"))
        if found := settings.problems(stored, now):
            print("\n".join(found), file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory() as folder:
        made = toy_stages.made_now(Path(folder))
    if toy_stages.STORED.exists():
        stored = json.loads(toy_stages.STORED.read_text(encoding="utf-8"))
        changed = toy_stages.difference(stored["payloads"], made["payloads"])
        if changed and stored["versions"] == made["versions"]:
            print(f"{changed}, and no version was raised", file=sys.stderr)
            return 1
    settings.STORED.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    toy_stages.STORED.write_text(json.dumps(made, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
