"""Text files of ground truth (label tables, track files, MATLAB code), read so that a damaged one is a DataError."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pixelplay.errors import DataError

MAX_BYTES = 2**27  # of a text file; the largest published track file has less than 1 MB


def require_file(path: Path) -> None:
    """Raises DataError for what is no regular file: a FIFO would be waited for, and a device has no end."""
    try:
        if path.is_file():
            return
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    raise DataError(f"{path}: not a regular file, or a link to nothing; replace or remove it")


def read_text(path: Path) -> str:
    """The text of a file; bytes that are no UTF-8 become U+FFFD. Raises DataError for what is no text at all."""
    require_file(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: {size:,} bytes are too many for a text file of labels or tracks")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise DataError(f"{path}, line {line}: a zero byte; save the file as text in UTF-8 (not UTF-16)")
    return data.decode("utf-8-sig", errors="replace")  # spreadsheets write a byte-order mark


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells, stripped, of each row of a CSV file that is not empty; raises DataError with the line."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield rows.line_num, cells
    except csv.Error as error:  # a field over 131,072 characters, for instance
        raise DataError(f"{path}, line {rows.line_num}: {error}") from None


def whole_number(text: str) -> int | None:
    """A number of at most 18 digits, leading zeros aside, so that it fits into 64 bits; None for anything else."""
    return int(text.lstrip("0") or "0") if text.isdecimal() and len(text.lstrip("0")) <= 18 else None
