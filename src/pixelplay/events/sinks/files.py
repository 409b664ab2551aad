"""Events in files: a line of JSON each, or a row of a CSV each, added to what is there."""

import json
import os
from pathlib import Path

from pixelplay.events.event import Event
from pixelplay.events.event_table import event_rows
from pixelplay.events.sinks.delivery import NotDeliveredError, Sent
from pixelplay.run.artifacts import csv_text


class JsonLines:
    """Each event is on the disk when `write` returns: whatever ends the process loses none before it."""

    def __init__(self, path: Path):
        self.name, self._path = f"jsonl {path}", path

    def write(self, event: Sent) -> None:
        """Raises OSError where the disk takes no more; no part of the line stays then."""
        append(self._path, json.dumps(event, allow_nan=False).encode() + b"\n")


class CsvRows:
    """A target that adds rows as in events.csv: of events that are over, where a `state` says that."""

    def __init__(self, path: Path):
        self.name, self._path = f"csv {path}", path

    def deliver(self, event: Sent) -> None:
        if event.get("state", "ended") != "ended":  # `started`: its row comes when it is over
            return
        header, row = event_rows([Event.model_validate({name: event[name] for name in Event.model_fields})])
        head = csv_text([header]).encode()
        try:
            if self._path.exists() and self._path.stat().st_size:
                with open(self._path, "rb") as file:
                    if file.read(len(head)) != head:
                        raise NotDeliveredError("the file has other columns: name another one", final=True)
                head = b""
            append(self._path, head + csv_text([row]).encode())
        except OSError as error:
            raise NotDeliveredError(error.strerror or str(error)) from None

    def close(self) -> None:
        """Nothing is open."""


def append(path: Path, data: bytes, synced: bool = True) -> None:
    """Add whole lines to a file; raises OSError, the file is as before then.

    synced: wait until the disk has them, so that they outlast the machine, not only the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":  # what a killed process left of its last line stays a line of its own
                data = b"\n" + data
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[file.write(rest) :]
            if synced:
                os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise
