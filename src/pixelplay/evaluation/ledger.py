"""`submissions/LEDGER.csv`: a row for every submission that was written, with a column for the leaderboard's figure.

The user's own entries, in that column or in further ones, stay as they are. A row is known by its file and the
checksum of the contents: the same submission written again is the same row.
"""

import csv
import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay import PACKAGE
from pixelplay.errors import ConfigError, DataError
from pixelplay.evaluation.figures import ap_on_pseudo
from pixelplay.run.artifacts import csv_text, write_text
from pixelplay.run.commit import git_commit
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests
from pixelplay.run.locks import turn
from pixelplay.run.options import read_options
from pixelplay.videos.index import Index

if TYPE_CHECKING:
    from pixelplay.config import Config

COLUMNS = ("file", "date", "run", "options", "commit", "ap_pseudo", "ap_labels", "leaderboard", "sha256")
DELIMITERS = (",", ";")  # a spreadsheet may have saved it with the second


@dataclass
class Ledger:
    """The table as it lies on disk: a cell that is not written by this module keeps its characters."""

    head: list[str]
    rows: list[list[str]]
    delimiter: str

    def cell(self, row: list[str], column: str) -> str:
        return row[self.head.index(column)]

    def row_of(self, file: str, digest: str) -> list[str] | None:
        """The row of a submission; None where there is none."""
        return next((row for row in self.of_file(file) if self.cell(row, "sha256") == digest), None)

    def of_file(self, file: str) -> list[list[str]]:
        """The rows of every submission that was written to a file."""
        return [row for row in self.rows if self.cell(row, "file").removeprefix("'") == file]

    def add(self, **cells: str) -> None:
        [guarded] = csv.reader([csv_text([[cells.get(column, "") for column in self.head]])])
        self.rows.append(guarded)

    def text(self) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.delimiter, lineterminator="\n").writerows([self.head, *self.rows])
        return text.getvalue()


def read_ledger(path: Path) -> Ledger:
    """The ledger, an empty one where there is no file; raises DataError for what is no ledger."""
    if not path.exists():
        return Ledger(list(COLUMNS), [], DELIMITERS[0])
    try:
        text = path.read_bytes().decode("utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = max(DELIMITERS, key=first.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        head, *rows = [row for row in reader if row] or [[]]
        if missing := [column for column in COLUMNS if column not in head]:
            raise ValueError(f"no column {missing[0]!r}")
        if long := [row for row in rows if len(row) > len(head)]:
            raise ValueError(f"a row with {len(long[0])} cells under {len(head)} columns")
    except (csv.Error, ValueError) as error:
        raise DataError(f"{path} is no ledger of submissions ({error}): repair it or move it away") from None
    return Ledger(head, [row + [""] * (len(head) - len(row)) for row in rows], delimiter)


def require_own(config: "Config") -> None:
    """Raise ConfigError if another run or variant has written a submission to this one's file; DataError likewise."""
    files = RunFiles.of(config)
    ledger = read_ledger(files.ledger)
    owners = [ledger.cell(row, "run").removeprefix("'") for row in ledger.of_file(_name(files))]
    if owners and config.full_name not in owners:
        raise ConfigError(
            f"{files.submission} is the submission of {owners[-1]} ({files.ledger}): name {config.full_name} otherwise"
        )


def note(config: "Config", index: Index, ap_on_labels: float | None = None) -> None:
    """Add the run's submission, unless it is there; write its AP on labels beside it where that is known."""
    files = RunFiles.of(config)
    [digest] = file_digests([files.submission])
    with turn(files.ledger, f"{files.ledger}"):
        ledger = read_ledger(files.ledger)
        before = ledger.text()
        if ledger.row_of(_name(files), digest) is None:
            ledger.add(
                file=_name(files),
                date=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                run=config.full_name,
                options=" ".join(options_of(files)),
                commit=git_commit(PACKAGE) or "",
                ap_pseudo=_figure(ap_on_pseudo(files, index)),
                sha256=digest,
            )
        row = ledger.row_of(_name(files), digest)
        if row is not None and ap_on_labels is not None:
            row[ledger.head.index("ap_labels")] = _figure(ap_on_labels)
        if ledger.text() != before or not files.ledger.exists():
            write_text(files.ledger, ledger.text())


def options_of(files: RunFiles) -> list[str]:
    """What was typed for a run, and for the variant of its fusion; [] where that was not kept."""
    paths = dict.fromkeys([files.options, files.variant_options if files.fusion != files.outputs else files.options])
    return [option for path in paths for option in read_options(path) or []]


def _name(files: RunFiles) -> str:
    return files.submission.relative_to(files.ledger.parent).as_posix()


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
