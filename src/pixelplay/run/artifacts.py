"""What stages hand on as files: JSON, tables and CSVs, checked when they are read; and how a stage knows that it has
nothing to do.

A stage that has finished leaves a record with the fingerprint of what it read. What is found damaged loses its record,
so that the command which an error names writes it again.
"""

import csv
import hashlib
import io
import json
import math
import re
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, ValidationError

from pixelplay.errors import DamagedArtifactError, MissingArtifactError, PixelPlayError
from pixelplay.run.atomic import atomic

FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # what a cell of a CSV starts with that is more than text
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
DIGESTED = {".csv", ".json", ".md", ".yaml"}  # small outputs, whose bytes are compared
RECORDS_ABOVE = 3  # folders above an output in which its record may lie

Model = TypeVar("Model", bound=BaseModel)


# --- reading and writing --------------------------------------------------------------------------------------------


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def append_json(path: Path, value: Any) -> None:
    """Add a line to a log of JSON lines."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(value, allow_nan=False) + "\n")


def read_json(path: Path, made_by: str) -> Any:
    """Read what stage `made_by` wrote; MissingArtifactError or DamagedArtifactError name the command that writes it."""
    try:
        return parse_json(path.read_bytes())
    except FileNotFoundError:
        raise missing(path, made_by) from None
    except ValueError as error:
        raise damaged(path, made_by, error) from None


def parse_json(data: bytes | str) -> Any:
    """The value of UTF-8 JSON; raises ValueError for anything else, also for numbers that are not finite."""
    try:
        return json.loads(data, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def read_model(path: Path, model: type[Model], made_by: str) -> Model:
    """Read JSON that stage `made_by` wrote, as a pydantic model; raises as `read_json` does."""
    value = read_json(path, made_by)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise damaged(path, made_by, explained(error)) from None


def explained(error: ValidationError) -> str:
    """The first thing that is wrong, on one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: Path, made_by: str) -> pd.DataFrame:
    """Read a parquet that stage `made_by` wrote; raises as `read_json` does."""
    try:
        with open(path, "rb") as file:
            return pd.read_parquet(file)
    except FileNotFoundError:
        raise missing(path, made_by) from None
    except Exception as error:  # pyarrow raises all kinds for damaged files
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's: the file itself may be sound
        raise damaged(path, made_by, error) from None


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """CSV of a header and rows; NaN is an empty cell.

    Text that a spreadsheet would take for a formula gets an apostrophe, which `csv_rows` takes away.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def csv_rows(text: str) -> list[list[str]]:
    """The rows of what `csv_text` wrote, its apostrophes taken away again; raises ValueError for what is no CSV."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return [[cell.removeprefix("'") for cell in row] for row in rows]


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return "" if isinstance(value, float) and math.isnan(value) else value


def read_csv(path: Path, columns: Mapping[str, type], made_by: str) -> pd.DataFrame:
    """Read a CSV that stage `made_by` wrote with `csv_text`: these columns as str, int or float; raises as `read_json`.

    Text stays as it is: a video may be called NA. Numbers are finite.
    """
    try:
        head, *rows = csv_rows(path.read_bytes().decode("utf-8"))
        if head != list(columns):
            raise ValueError(f"its columns are {', '.join(head)}, not {', '.join(columns)}")
        if any(len(row) != len(head) for row in rows):
            raise ValueError("rows of different lengths")
        table = pd.DataFrame(rows, columns=head, dtype="str").astype(dict(columns))
        numbers = table.select_dtypes("number")
        if not np.isfinite(numbers.to_numpy(np.float64)).all():
            raise ValueError("a number that is not finite")
    except FileNotFoundError:
        raise missing(path, made_by) from None
    except (ValueError, OverflowError) as error:
        raise damaged(path, made_by, error) from None
    return table


def missing(path: Path, made_by: str) -> MissingArtifactError:
    return MissingArtifactError(f"{path} is missing: run `python src/{made_by}.py` with the same options")


def damaged(path: Path, made_by: str, why: Exception | str) -> DamagedArtifactError:
    """The error for a file that stage `made_by` wrote and that can't be used.

    The records which list the file are removed, so that the stage is not up to date and writes it again.
    """
    for record in list(_records_of(path)):
        record.unlink(missing_ok=True)
    reason = textwrap.shorten(str(why), 200, placeholder=" …")
    return DamagedArtifactError(f"{path} is damaged ({reason}): run `python src/{made_by}.py` with the same options")


def not_made(path: Path, what: str, made_by: str) -> PixelPlayError:
    """The error for a file or folder that is not there as stage `made_by` makes it with these settings."""
    wanted = path.absolute()
    for output in [output for record in _records_of(path) for output in _parse_record(record).outputs]:
        ours = wanted == output.path.absolute() or wanted in output.path.absolute().parents
        if ours and not output.is_there() and output.path.exists():
            return damaged(output.path, made_by, "it is not as it was written")
    return MissingArtifactError(
        f"{path}: no {what} made with these settings: run `python src/{made_by}.py` with the same options"
    )


# --- records of finished stages -------------------------------------------------------------------------------------


class Output(BaseModel):
    """A file that a stage wrote, as it was then."""

    path: Path
    size: Annotated[int, Field(ge=0)] | None  # bytes; None for a file that later steps add to
    sha256: str | None = None  # of small files

    @classmethod
    def of(cls, path: Path) -> "Output":
        digest = _digest(path) if path.suffix in DIGESTED else None
        return cls(path=path, size=path.stat().st_size, sha256=digest)

    def is_there(self) -> bool:
        """Whether the file is there, and as it was."""
        if not self.path.is_file():
            return False
        same_size = self.size in (None, self.path.stat().st_size)
        return same_size and self.sha256 in (None, _digest(self.path))


class Record(BaseModel):
    """What a finished stage read, wrote, and how long it took."""

    fingerprint: str
    outputs: list[Output]
    finished: str
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


def is_current(record: Path, inputs: str) -> bool:
    """True when the stage finished with these `inputs` (a fingerprint) and all that it wrote is there as it was."""
    try:
        value = _parse_record(record)
        return value.fingerprint == inputs and all(output.is_there() for output in value.outputs)
    except (OSError, ValueError):
        return False


def read_record(record: Path, made_by: str) -> Record:
    """Raises MissingArtifactError, or DamagedArtifactError, with the command that writes it."""
    return read_model(record, Record, made_by)


def outputs_of(record: Path) -> list[Path]:
    """What the stage wrote, going by its record; [] without one that can be read."""
    try:
        return [output.path for output in _parse_record(record).outputs]
    except (OSError, ValueError):
        return []


def _parse_record(record: Path) -> Record:
    return Record.model_validate(parse_json(record.read_bytes()))


def _records_of(path: Path) -> Iterator[Path]:
    """The records, in the folders above a file or folder, that list it, or what is in it, among their outputs."""
    wanted = path.absolute()
    for folder in [wanted, *wanted.parents][: RECORDS_ABOVE + 1]:
        for record in [*folder.glob("stages/*.json"), folder / "trained.json"]:
            outputs = map(Path.absolute, outputs_of(record))
            if any(wanted == output or wanted in output.parents for output in outputs):
                yield record


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def recorded(record: Path, inputs: str, outputs: Iterable[Path], growing: Iterable[Path] = ()) -> Iterator[None]:
    """Write `record` when the block has ended well: what it read, what it wrote, how long it took.

    Of a folder among the outputs, all files count. `growing`: outputs that later steps add to, with records of their
    own, so that nothing but their presence can be checked.
    """
    record.unlink(missing_ok=True)
    start = time.monotonic()
    yield
    files = [file for path in outputs for file in (_files_below(path) if path.is_dir() else [path])]
    value = Record(
        fingerprint=inputs,
        outputs=[Output.of(path) for path in files] + [Output(path=path, size=None) for path in growing],
        finished=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        seconds=round(time.monotonic() - start, 1),
    )
    write_json(record, value.model_dump(mode="json"))


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
