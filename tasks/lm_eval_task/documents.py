"""Files of the user's in place of a data set on the hub: `--dataset-file split=FILE`, a file a split.

files = split_files(("train=train.jsonl", "test=test.jsonl"))      # {"train": Path("train.jsonl"), ...}
dataset_of(files)                                                  # what lm-eval would have loaded
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.data.rows import rows_of
from harness.core.errors import UserError


def split_files(given: Sequence[str]) -> dict[str, Path]:
    """Raises UserError for what is no split=FILE, and for a split that is given twice."""
    found: dict[str, Path] = {}
    for one in given:
        split, equals, file = one.partition("=")
        if not (split.strip() and equals and file.strip()):
            raise UserError(f"--dataset-file {one!r}: write split=FILE, for instance test=questions.jsonl")
        if split.strip() in found:
            raise UserError(f"--dataset-file {one!r}: the split {split.strip()} has {found[split.strip()]} already")
        found[split.strip()] = Path(file.strip()).expanduser()
    return found


def dataset_of(files: Mapping[str, Path]) -> Any:
    """A `datasets.DatasetDict`; a column that a row lacks is None there. Raises UserError for files that hold none."""
    from datasets import Dataset, DatasetDict

    made = {}
    for split, path in files.items():
        rows = [row.columns for row in rows_of(path)]
        names = dict.fromkeys(name for row in rows for name in row)
        try:
            made[split] = Dataset.from_dict({name: [row.get(name) for row in rows] for name in names})
        except Exception as error:  # of pyarrow, which has a class for every kind of mixture
            first = str(error).splitlines()[0][:120]
            raise UserError(
                f"{path} is no table ({first}); write the same kind of value into a column of every row"
            ) from error
    return DatasetDict(made)
