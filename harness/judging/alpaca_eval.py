"""Judgements as the files of AlpacaEval (github.com/tatsu-lab/alpaca_eval), and its annotations as judgements.

output_1 is the opponent and output_2 the judged side, as on its leaderboard; preference = 1 + P(output_2 is better).
"""

import json
from collections.abc import Mapping
from math import isnan, nan
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import AfterValidator, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.slug import distinct_slugs
from harness.evidence.schema import Row
from harness.evidence.store import read_parquet


def _on_its_scale(preference: float | None) -> float | None:
    if preference is None or isnan(preference) or preference == 0 or 1 <= preference <= 2:
        return preference
    raise ValueError(f"{preference} is no preference")


@dataclass(frozen=True)
class Annotation:
    """One entry of AlpacaEval's annotations.json, as far as it is read."""

    instruction: str
    output_1: str
    output_2: str
    generator_1: str
    generator_2: str
    preference: Annotated[float | None, AfterValidator(_on_its_scale)]
    dataset: str | None = None
    annotator: str | None = None


def export(judgement: Path, folder: Path) -> list[Path]:
    """Write <generator>/model_outputs.json of both sides of a stored judgement and <judged side>/annotations.json.

    Returns the paths. Raises UserError where a file of another content is there.
    """
    annotations = read_parquet(judgement / "annotations.parquet")
    about = ("task", "prompt_id", "prompt")
    ours = annotations.select(*about, "generator", output="response")
    theirs = annotations.select(*about, generator="opponent", output="opponent_response")
    sides = pl.concat([ours, theirs]).unique(["generator", "prompt_id", "output"], maintain_order=True)
    names = {name for side in ("generator", "opponent") for name in annotations[side].unique().to_list()}
    folders = distinct_slugs(names)
    files = {
        folder / folders[generator] / "model_outputs.json": [_output(row) for row in part.to_dicts()]
        for (generator,), part in sides.partition_by("generator", as_dict=True, maintain_order=True).items()
    }
    for (generator,), part in annotations.partition_by("generator", as_dict=True, maintain_order=True).items():
        files[folder / folders[generator] / "annotations.json"] = [_annotation(row) for row in part.to_dicts()]
    contents = {path: json.dumps(rows, indent=1, ensure_ascii=False) + "\n" for path, rows in files.items()}
    for path, content in contents.items():
        if path.exists() and path.read_text(encoding="utf-8") != content:
            raise UserError(f"--export: {path} holds something else already; give another folder")
    for path, content in contents.items():
        with whole(path) as unfinished:
            unfinished.write_text(content, encoding="utf-8")
    return list(contents)


def read_annotations(path: Path) -> pl.DataFrame:
    """The annotations of a file as rows of annotations.parquet. Raises UserError that names the entry at fault.

    Preferences are 1 to 2; 0 is AlpacaEval's older draw, null gives no verdict.
    """
    if not path.is_file():
        raise UserError(f"--import {str(path)!r}: no such file")
    try:
        entries = TypeAdapter(list[Annotation]).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ", ".join(f"entry {part}" if isinstance(part, int) else part for part in first["loc"]) or "the file"
        raise UserError(
            f"--import {str(path)!r}: {where}: {first['msg']}; expected AlpacaEval's annotations, a list of "
            "objects with instruction, output_1, output_2, generator_1, generator_2 and preference (1 to 2, 0 or null)"
        ) from error
    if not entries:
        raise UserError(f"--import {str(path)!r} holds no annotation")
    return pl.DataFrame([_row(entry) for entry in entries], infer_schema_length=None)


def _output(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dataset": row["task"],
        "instruction": row["prompt"],
        "output": row["output"],
        "generator": row["generator"],
    }


def _annotation(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dataset": row["task"],
        "instruction": row["prompt"],
        "output_1": row["opponent_response"],
        "generator_1": row["opponent"],
        "output_2": row["response"],
        "generator_2": row["generator"],
        "annotator": row["judge"],
        "preference": None if isnan(row["preference"]) else 1 + row["preference"],
    }


def _row(entry: Annotation) -> dict[str, Any]:
    if entry.preference is None or isnan(entry.preference):
        preference = nan
    else:
        preference = entry.preference - 1 if entry.preference else 0.5
    return {
        "task": entry.dataset or "",
        "generator": entry.generator_2,
        **Row(entry.generator_2, 0, "")._asdict(),
        "opponent": entry.generator_1,
        "judge": entry.annotator or "",
        "prompt_id": digest(entry.instruction)[:12],
        "prompt": entry.instruction,
        "response": entry.output_2,
        "opponent_response": entry.output_1,
        "preference": preference,
        "flipped": None,
        "withheld": None,
    }
