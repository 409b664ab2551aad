"""A submission's file as it is found: its rows, and the number that a field holds, or what is wrong with them."""

import csv
import io
import math
import re
from pathlib import Path
from typing import NamedTuple

HEADER = ["Id", "Predicted"]
EXAMPLES = 5  # how many ids or lines a problem names
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
NAN = re.compile(r"[+-]?nan|n/?a|null|none", re.IGNORECASE)
INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)


class Line(NamedTuple):
    """One data row of a submission, with its line number in the file (the header's is 1)."""

    number: int
    id: str
    value: str


def rows_of(path: Path) -> tuple[list[Line], list[str]]:
    """Data rows of a two-column CSV and what is wrong with its form; no rows when it can't be read at all."""
    try:
        if path.exists() and not path.is_file():
            return [], ["the file can't be read: not a regular file"]
        text = path.read_bytes().decode("utf-8")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(reader, [])
        rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        return [], [f"the file can't be read: {error.strerror or error}"]
    except UnicodeDecodeError as error:
        return [], [f"not a text file: byte {error.start} is not UTF-8; a submission is a plain CSV, not compressed"]
    except csv.Error as error:
        return [], [f"not a CSV: {error}"]
    if header != HEADER:
        return [], [f"line 1: the header is {','.join(header)[:80]!r}; it must be {','.join(HEADER)!r}"]
    odd = [number for number, row in rows if len(row) != len(HEADER)]
    problems = [f"{at_lines(odd)}: not two fields, Id and Predicted"] if odd else []
    return [Line(number, *row) for number, row in rows if len(row) == len(HEADER)], problems


def finite(text: str) -> float:
    """The number that a field Predicted holds; raises ValueError that says why it holds no finite one."""
    value = text.strip(" \t")  # other blanks are no blanks to float()
    if not value:
        raise ValueError("Predicted is empty")
    if NAN.fullmatch(value):
        raise ValueError("Predicted is NaN")
    if not INFINITE.fullmatch(value):
        if not NUMBER.fullmatch(value):  # float() alone would let 1_000 and other scripts' digits through
            raise ValueError("Predicted is not a number")
        number = float(value)
        if math.isfinite(number):
            return number
    raise ValueError("Predicted is infinite")


def at_lines(numbers: list[int]) -> str:
    """The first few line numbers in words: `line 3`, `2 lines (3, 7)`."""
    shown = ", ".join(map(str, numbers[:EXAMPLES]))
    return (
        f"line {shown}"
        if len(numbers) == 1
        else f"{len(numbers)} lines ({shown}{', ...' if len(numbers) > EXAMPLES else ''})"
    )
