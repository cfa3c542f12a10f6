"""Small tasks of lm-eval in files, as users write them, with their documents: nothing is asked of the hub."""

import json
from pathlib import Path
from typing import Any

import yaml

TOYQA: dict[str, Any] = {
    "task": "toyqa",
    "output_type": "generate_until",
    "dataset_path": "nobody/nowhere",
    "training_split": "train",
    "test_split": "test",
    "doc_to_text": "{{question}} topic {{topic}}",
    "doc_to_target": "{{answer}}",
    "generation_kwargs": {"until": ["cc"], "max_gen_toks": 4},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    "filter_list": [
        {"name": "first", "filter": [{"function": "regex", "regex_pattern": "^([abc])"}, {"function": "take_first"}]},
        {"name": "last", "filter": [{"function": "regex", "regex_pattern": "([abc])$"}, {"function": "take_first"}]},
    ],
}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def toy_rows(split: str, n: int) -> list[dict[str, Any]]:
    return [{"question": f"{split} question {i} about", "topic": i % 2, "answer": "ab"[i % 2]} for i in range(n)]


def write_toyqa(folder: Path, n: int = 40, **changed: Any) -> list[str]:
    """The task's file with changes, and its documents; the words of a command that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {name: value for name, value in {**TOYQA, **changed}.items() if value is not None}
    (folder / "toyqa.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    words = ["--include-path", str(folder)]
    for split in ("train", "test"):
        write_rows(folder / f"{split}.jsonl", toy_rows(split, n))
        words += ["--dataset-file", f"{split}={folder / split}.jsonl"]
    return words
