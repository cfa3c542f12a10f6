"""Logs of inspect: one JSON file, or .eval, a zip of JSON whose parts are compressed with zstandard.

A sample that ran in several epochs has the mean of its scores, as inspect's own default has it. C, I, P and N are 1, 0,
0.5 and 0, inspect's own numbers for them; a score with parts is a metric a part, `scorer.part`.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from harness.comparing.json_file import LARGEST, content_of, number, parsed, said_by
from harness.comparing.records import TEXT, Record, Records
from harness.core.errors import UserError

KIND = "inspect log"
ID = "sample id"
_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_ZSTANDARD = 93  # of a part of a zip, which Python's own reader does not know
_UTF8 = 0x800  # flag of a part whose name is UTF-8
_ATTACHED = "attachment://"  # a long text, which stands once in the sample


def is_log(data: Any) -> bool:
    return isinstance(data, Mapping) and "eval" in data and "samples" in data and "version" in data


def read_archive(path: Path) -> Records:
    """Raises UserError where the file is no .eval, or of a run that did not end."""
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            parts = {part.filename: part for part in archive.infolist()}
            if "header.json" not in parts:
                what = "did not end" if "_journal/start.json" in parts else "is no log of inspect"
                raise UserError(f"{path} {what}: it has no header.json; finish it with `inspect eval-retry`, and "
                                "give that log")  # fmt: skip
            if sum(part.file_size for part in parts.values()) > LARGEST:
                raise UserError(f"{path} holds more than 1 GB; give a log with fewer samples")
            for part in parts.values():  # of a part with a damaged name nobody would know that it is a sample
                _start(file, part)
            header = parsed(_content(file, parts["header.json"]), f"{path}, header.json")
            names = [name for name in parts if name.startswith("samples/") and name.endswith(".json")]
            samples = [parsed(_content(file, parts[name]), f"{path}, {name}") for name in names]
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error, OSError) as error:
        raise UserError(f"{path} is no whole .eval file ({error}); copy it again from where it came") from error
    return read(path.name, {**header, "samples": samples})


def read(source: str, log: Mapping[str, Any]) -> Records:
    """The samples of a log, epochs of one sample together."""
    samples = log["samples"]
    if not isinstance(samples, list) or not samples:
        raise UserError(f"{source} holds no samples (status {log.get('status')!r}); give a log that has them")
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for n, sample in enumerate(samples, 1):
        if not isinstance(sample, Mapping) or "id" not in sample:
            raise UserError(f"{source}: sample {n} has no id; that is no log of inspect")
        by_id.setdefault(str(sample["id"]), []).append(sample)
    for own, same in by_id.items():
        if len({one.get("epoch") for one in same}) < len(same):
            raise UserError(f"{source} has sample {own!r} more than once in an epoch; keep one of them")
    records = [_record(own, same) for own, same in by_id.items()]
    notes = [] if log.get("status") == "success" else [f"the log's status is {log.get('status')}"]
    notes += ["the log is marked as invalid"] if log.get("invalidated") else []
    epochs = max(map(len, by_id.values()))
    return Records(source, KIND, records, None, [*notes, *([f"means over {epochs} epochs"] if epochs > 1 else [])])


def _record(own: str, epochs: Sequence[Mapping[str, Any]]) -> Record:
    first = epochs[0]
    text = _text(first)
    scored = [dict(_scores(epoch)) for epoch in epochs]
    metrics = dict.fromkeys(name for scores in scored for name in scores)
    # an epoch without a score is missing, and a mean over the others would be that of an easier task
    means = {name: float(np.mean([scores.get(name, nan) for scores in scored])) for name in metrics}
    output = first.get("output")
    answer = output.get("completion") if isinstance(output, Mapping) and len(epochs) == 1 else None
    failed = any(epoch.get("error") for epoch in epochs)
    names = {ID: own, **({TEXT: text} if text is not None else {})}
    return Record(f"sample {own}", names, means, answer if isinstance(answer, str) else None,
                  "the sample ended in an error" if failed else None)  # fmt: skip


def _scores(sample: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    scores = sample.get("scores")
    for scorer, score in scores.items() if isinstance(scores, Mapping) else ():
        value = score.get("value") if isinstance(score, Mapping) else None
        parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else None
        for name, part in [(scorer, value)] if parts is None else [(f"{scorer}.{name}", p) for name, p in parts]:
            if (found := _number(part)) is not None:
                yield name, found


def _number(value: Any) -> float | None:
    if not isinstance(value, str):
        return nan if value is None else number(value)
    if value in _LETTERS or value.lower() in _WORDS:
        return _LETTERS.get(value, _WORDS.get(value.lower()))
    try:
        return float(value)
    except ValueError:
        return None


def _text(sample: Mapping[str, Any]) -> str | None:
    asked, attached = sample.get("input"), sample.get("attachments")
    if isinstance(asked, list) and isinstance(attached, Mapping):
        asked = [{**m, "content": _whole(content_of(m.get("content")), attached)} for m in asked if isinstance(m, dict)]
    return _whole(said_by(asked), attached if isinstance(attached, Mapping) else {})


def _whole(text: str | None, attached: Mapping[str, Any]) -> str | None:
    if text is None or not text.startswith(_ATTACHED):
        return text
    found = attached.get(text.removeprefix(_ATTACHED))
    return found if isinstance(found, str) else None


def _start(file: BinaryIO, part: zipfile.ZipInfo) -> int:
    """Where a part's bytes begin. Raises OSError where it is called otherwise than in the list of parts."""
    file.seek(part.header_offset)
    flags, name, extra = struct.unpack("<6xH18xHH", file.read(30))
    if file.read(name).decode("utf-8" if flags & _UTF8 else "cp437") != part.orig_filename:
        raise OSError(f"{part.filename} is called otherwise where it stands")
    return file.tell() + int(extra)


def _content(file: BinaryIO, part: zipfile.ZipInfo) -> str:
    """A part's text, whatever it is compressed with. Raises OSError where it is not what was written."""
    file.seek(_start(file, part))
    raw = file.read(part.compress_size)
    if part.compress_type == _ZSTANDARD:
        import pyarrow

        with pyarrow.CompressedInputStream(pyarrow.BufferReader(raw), "zstd") as stream:
            raw = stream.read(part.file_size + 1)
    elif part.compress_type == zipfile.ZIP_DEFLATED:
        try:
            raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, part.file_size + 1)
        except zlib.error as error:
            raise OSError(f"{part.filename}: {error}") from error
    elif part.compress_type != zipfile.ZIP_STORED:
        raise OSError(f"{part.filename} is compressed by method {part.compress_type}, which inspect does not use")
    if len(raw) != part.file_size or zlib.crc32(raw) != part.CRC:
        raise OSError(f"{part.filename} has another checksum than it was written with")
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise OSError(f"{part.filename} is no UTF-8") from error
