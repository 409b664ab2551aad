"""Reads what wandb wrote offline: files of records in LevelDB's log format."""

import json
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from wandb.proto.wandb_internal_pb2 import Record

HEADER, BLOCK = 7, 32768  # bytes: checksum, length and kind; a record does not cross the end of a block


def records(folder: Path) -> list[Record]:
    """Of all W&B runs below a folder, the oldest run's first."""
    return [record for path in sorted(folder.rglob("run-*.wandb")) for record in _finished(path)]


def _finished(path: Path) -> list[Record]:
    """All records of a finished run: wandb's own process may still write when the run is closed."""
    for _ in range(1200):
        with suppress(struct.error, DecodeError):
            found = list(_records(path))
            if any(record.HasField("exit") for record in found):
                return found
        time.sleep(0.1)
    raise AssertionError(f"{path}: not finished after two minutes")


def _records(path: Path) -> Iterator[Record]:
    data, place, parts = path.read_bytes(), HEADER, b""
    assert data[:4] == b":W&B"
    while place < len(data):
        if BLOCK - place % BLOCK < HEADER:  # filled with zeros
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        parts += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield Record.FromString(parts)
            parts = b""


def rows(found: list[Record]) -> list[dict[str, Any]]:
    """What was logged step by step."""
    return [_values(record.history.item) for record in found if record.HasField("history")]


def summary(found: list[Record]) -> dict[str, Any]:
    """What was written to the summary, without what wandb adds."""
    values: dict[str, Any] = {}
    for record in found:
        values |= _values(record.summary.update) if record.HasField("summary") else {}
    return values


def artifacts(found: list[Record]) -> dict[str, dict[str, Path]]:
    """By the names of artifacts, their types and what is in them: the files that these stand for."""
    return {
        f"{record.artifact.type}: {record.artifact.name}": {
            entry.path: Path(entry.local_path) for entry in record.artifact.manifest.contents
        }
        for record in found
        if record.HasField("artifact")
    }


def _values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
