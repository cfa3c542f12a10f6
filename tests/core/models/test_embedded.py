"""The embedded model is one model, whatever version of transformers makes it of its file."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from harness.core.digest import digest
from harness.core.files import cache_folder
from harness.core.models.embedded import EMBEDDED, write_in_one_way
from harness.core.models.loading import contents_of

WORDS = {name: i for i, name in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "b", "Ġ", "ab"])}
MERGES = [["a", "b"]]
PLAIN = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False)
SPECIAL = [{"id": i, "content": name, **PLAIN, "special": True} for name, i in list(WORDS.items())[:3]]
MARKS = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
LATER = {
    "pre_tokenizer": {**BYTES, "trim_offsets": True},
    "normalizer": None,
    "decoder": {**BYTES, "trim_offsets": True},
    "model": {"type": "BPE", "unk_token": None, "fuse_unk": False, "byte_fallback": False},
}
EARLIER = {  # as transformers 5.17 writes it
    "pre_tokenizer": {**BYTES, "trim_offsets": False},
    "normalizer": {"type": "Sequence", "normalizers": []},
    "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}, MARKS, BYTES]},
    "model": {"type": "BPE", "unk_token": "<|endoftext|>", "fuse_unk": True, "byte_fallback": True},
}


def written(folder: Path, version: str, of: dict, eos: str) -> Path:
    folder.mkdir()
    for name in ("config.json", "generation_config.json"):
        (folder / name).write_text(json.dumps({"eos_token_id": 2, "transformers_version": version}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": eos, "pad_token_id": None}))
    model = {**of["model"], "vocab": WORDS, "merges": MERGES}
    (folder / "tokenizer.json").write_text(json.dumps({**of, "model": model, "added_tokens": SPECIAL}))
    return folder


def test_versions_of_transformers_write_the_same_files(tmp_path):
    earlier = written(tmp_path / "earlier", "5.17.0", EARLIER, "<|im_start|>")
    later = written(tmp_path / "later", "5.24.0", LATER, "<|im_end|>")
    for folder in (earlier, later):
        write_in_one_way(folder)
    assert {path.name: path.read_bytes() for path in earlier.iterdir()} == {
        path.name: path.read_bytes() for path in later.iterdir()
    }
    assert json.loads((earlier / "tokenizer_config.json").read_text())["eos_token"] == "<|im_end|>"
    tokenizer = Tokenizer.from_file(str(earlier / "tokenizer.json"))
    assert tokenizer.encode("ab ab<|im_end|>").ids == [6, 5, 6, 2]
    assert tokenizer.decode([6, 5, 6]) == "ab ab"


@pytest.mark.slow
def test_the_embedded_model_is_the_one_of_stored_runs():
    """Under any version: a run, or an aligned folder, of one is that model's of another."""
    run = json.loads(Path("results/runs/ifeval-a88d7339e5/run.json").read_text())
    assert digest(contents_of(EMBEDDED, cache_folder()))[:16] == run["model_fingerprint"]
