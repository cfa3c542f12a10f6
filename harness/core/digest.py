"""The hash that names runs, stored batches, judgements and answers."""

import hashlib
import json
from typing import Any


def digest(data: Any) -> str:
    """Hash of plain data, independent of the order of keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
