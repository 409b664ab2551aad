"""The files that stages pass on: JSON, tables and CSVs, checked when they are read."""

import csv
import io
import json
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.run.atomic import atomic

if TYPE_CHECKING:  # slow to import, and not needed to start a command
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # what a cell of a CSV starts with that is more than text
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

Model = TypeVar("Model", bound=BaseModel)


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
    with _reading(path, made_by):
        return parse_json(path.read_bytes())


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
    with _reading(path, made_by):
        return model.model_validate(parse_json(path.read_bytes()))


def explained(error: ValidationError) -> str:
    """The first thing that is wrong, on one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def write_table(path: Path, table: "pd.DataFrame") -> None:
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: Path, made_by: str) -> "pd.DataFrame":
    """Read a parquet that stage `made_by` wrote; raises as `read_json` does."""
    import pandas as pd

    with _reading(path, made_by), open(path, "rb") as file:
        return pd.read_parquet(file)


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """CSV of a header and rows: NaN as an empty cell, an apostrophe before what a spreadsheet takes for a formula."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return "" if isinstance(value, float) and math.isnan(value) else value


def read_csv(path: Path, columns: Mapping[str, type], made_by: str) -> "pd.DataFrame":
    """Read a CSV that stage `made_by` wrote with `csv_text`: these columns as str, int or float; raises as `read_json`.

    Text stays as it is: a video may be called NA. Numbers are finite.
    """
    import pandas as pd

    head, *rows = read_rows(path, made_by)
    with _reading(path, made_by):
        if head != list(columns):
            raise ValueError(f"its columns are {', '.join(head)}, not {', '.join(columns)}")
        table = pd.DataFrame(rows, columns=head, dtype="str").astype(dict(columns))
        if not np.isfinite(table.select_dtypes("number").to_numpy(np.float64)).all():
            raise ValueError("a number that is not finite")
        return table


def read_rows(path: Path, made_by: str) -> list[list[str]]:
    """Header and rows, as many fields in each, of what `csv_text` gave stage `made_by`; raises as `read_json`."""
    with _reading(path, made_by):
        read = csv.reader(io.StringIO(path.read_bytes().decode("utf-8"), newline=""), strict=True)
        rows = [[cell.removeprefix("'") for cell in row] for row in read]
        if not rows:
            raise ValueError("no table: it is empty")
        for number, row in enumerate(rows, 1):
            if len(row) != len(rows[0]):
                raise ValueError(f"row {number} has {len(row)} fields, the header {len(rows[0])}")
        return rows


@contextmanager
def _reading(path: Path, made_by: str) -> Iterator[None]:
    """Turn what reading a file of stage `made_by` raises into the error that names the command which writes it."""
    try:
        yield
    except FileNotFoundError:
        raise missing(path, made_by) from None
    except ValidationError as error:
        raise damaged(path, made_by, explained(error)) from None
    except Exception as error:  # pyarrow raises all kinds for damaged files
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's: the file itself may be sound
        raise damaged(path, made_by, error) from None


def missing(path: Path, made_by: str) -> MissingArtifactError:
    return MissingArtifactError(f"{path} is missing: {rerun(made_by)}")


def damaged(path: Path, made_by: str, why: Exception | str) -> DamagedArtifactError:
    """The error for a file that can't be used; stage `made_by` makes it again, since its record no longer holds."""
    reason = textwrap.shorten(str(why), 200, placeholder=" …")
    return DamagedArtifactError(f"{path} is damaged ({reason}): {rerun(made_by)}")


def rerun(stage: str) -> str:
    """What an error proposes to do."""
    return f"run `python src/{stage}.py` with the same options"
