"""Figures that others have published, each with its source, from published.csv: to be shown beside ours."""

import csv
from dataclasses import dataclass
from importlib.resources import files

from pixelplay.errors import DataError

COLUMNS = ["dataset", "method", "metric", "value", "source"]


@dataclass(frozen=True)
class PublishedFigure:
    method: str
    metric: str  # as it is called in metrics.json: ap, auc_micro, rbdc, ...
    value: float  # in (0, 1]
    source: str  # the text that states it, and where to find that


def published_figures(dataset: str) -> list[PublishedFigure]:
    """The figures for a data set by its name in configs/dataset/, in the file's order; none is as good as many."""
    return [figure for name, figure in read_figures(_text()) if name == dataset]


def read_figures(text: str) -> list[tuple[str, PublishedFigure]]:
    """Data set and figure of each line; raises DataError for a line without a source or with an impossible value."""
    rows = csv.DictReader(text.splitlines(), strict=True)
    if rows.fieldnames != COLUMNS:
        raise DataError(f"published.csv: the columns are {rows.fieldnames}; they must be {COLUMNS}")
    figures = []
    for row in rows:
        if None in row or not all(row.values()):
            raise DataError(f"published.csv, line {rows.line_num}: needs {', '.join(COLUMNS)}, each; it is {row}")
        try:
            value = float(row["value"])
        except ValueError:
            raise DataError(f"published.csv, line {rows.line_num}: value {row['value']!r} is no number") from None
        if not 0 < value <= 1:
            raise DataError(f"published.csv, line {rows.line_num}: value {value} is not above 0 and at most 1")
        figures.append((row["dataset"], PublishedFigure(row["method"], row["metric"], value, row["source"])))
    return figures


def _text() -> str:
    return files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
