"""Tables of the report: metrics.json and CSV files, whatever figures they hold, as text in rows and columns."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pixelplay.run.artifacts import csv_rows, damaged

NONE = "\N{EN DASH}"
ACRONYMS = {"ap", "auc", "auroc", "aupro", "eer", "evt", "f1", "fpr", "iou", "pr", "rbdc", "rbdr", "roc", "tbdc", "tpr"}
INTERVALS = {"intervals", "interval", "bootstrap"}  # groups of pairs, each of the figure of the same name
STREAMS = "streams"  # of a detector: rows of their own
POOLING = {"pixel": "pixels of all frames pooled, but per frame and per video"}  # by kind of figures
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan")

Figures = Mapping[str, Any]
Rows = Sequence[tuple[str, Figures, str]]  # name, figures, CSS class


@dataclass(frozen=True)
class Cell:
    text: str
    number: bool = False
    below: str = ""  # an interval, in small print


@dataclass(frozen=True)
class Row:
    name: str
    cells: Sequence[Cell]
    style: str = ""  # CSS class


@dataclass(frozen=True)
class Table:
    title: str
    head: Sequence[str]  # of the cells; the names' column has none
    rows: Sequence[Row]
    alike: Sequence[tuple[str, str]] = ()  # what is the same in every row, told once

    @property
    def text_columns(self) -> set[int]:
        """Positions of the cells that are no figures in some row."""
        return {i for row in self.rows for i, cell in enumerate(row.cells) if not cell.number}


def score_tables(metrics: Figures) -> list[Table]:
    """Of metrics.json: a row per detector, stream, and the fusion; then one table more per group of figures in them.

    Any number, pair of numbers or text under any key is shown. Pairs in a group called `intervals` stand below the
    figures of the same names.
    """
    rows = list(_score_rows(metrics))
    names = dict.fromkeys(key for _, figures, _ in rows for key, value in figures.items() if _is_group(key, value))
    groups = {key: [(n, f[key], style) for n, f, style in rows if _is_group(key, f.get(key))] for key in names}
    return [_table("", rows), *(_table(heading(key), of_group) for key, of_group in groups.items())]


def other_tables(metrics: Figures, shown: Sequence[str] = ("detectors", "external", "fused")) -> list[Table]:
    """What metrics.json holds beside the scores, such as published figures: tables for each list or group."""
    tables: list[Table] = []
    for key, value in metrics.items():
        if key in shown or not value:
            continue
        if isinstance(value, Mapping):
            tables += _of_streams(key, value) if "detectors" in value else [_table(heading(key), _leaves(value, []))]
        elif isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
            tables.append(_table(heading(key), list(_listed(value))))
    return tables


def csv_table(path: Path, made_by: str) -> Table:
    """Any CSV with a header, its first column as names; raises DamagedArtifactError when it can't be read as one.

    A column `x_error` beside `x` is its standard errors, which stand below its figures.
    """
    try:
        head, *rows = csv_rows(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise damaged(path, made_by, f"byte {error.start} is not UTF-8") from None
    except ValueError as error:
        raise damaged(path, made_by, f"no table: {error}") from None
    for number, row in enumerate(rows, 2):
        if len(row) != len(head):
            raise damaged(path, made_by, f"row {number} has {len(row)} fields, the header {len(head)}")
    errors = {i: head.index(f"{key}_error") for i, key in enumerate(head) if f"{key}_error" in head}
    columns = [i for i in range(1, len(head)) if i not in errors.values()]
    shown = [Row(row[0], [_csv_cell(row[i], row[errors[i]] if i in errors else "") for i in columns]) for row in rows]
    return Table("", [heading(head[i]) for i in columns], shown)


def heading(key: str) -> str:
    """A key of a JSON or CSV file as people read it: `pixel_auroc` as 'pixel AUROC'."""
    words = key.replace("_", " ").split()
    return " ".join(word.upper() if word in ACRONYMS else word for word in words) or key


def number_text(value: float) -> str:
    """A figure in the digits that a table needs: three decimals, none of a count, two significant ones when tiny."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return NONE
    if value and abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3f}"


def _score_rows(metrics: Figures) -> Iterator[tuple[str, Figures, str]]:
    for name, figures in metrics["detectors"].items():
        yield name, figures, "detector"
        for stream, of_stream in figures.get(STREAMS, {}).items():
            yield stream, of_stream, "stream"
    for name, figures in metrics.get("external", {}).items():
        yield name, figures, "detector"
    yield "fused", metrics["fused"], "total"


def _of_streams(key: str, value: Figures) -> list[Table]:
    """Tables of a group with `detectors`, and `streams` in them: one for each kind of figures, as of boxes."""
    streams = {s: of for detector in value["detectors"].values() for s, of in detector.get(STREAMS, {}).items()}
    kinds = dict.fromkeys(kind for of in streams.values() for kind, one in of.items() if isinstance(one, Mapping))
    plain = [(s, figures, "") for s, of in streams.items() if (figures := _without_groups(of))]
    tables = [_table(heading(key), plain)] if plain else []
    for kind in kinds:
        rows = [row for s, of in streams.items() if isinstance(of.get(kind), Mapping) for row in _leaves(of[kind], [s])]
        title = f"{heading(key)}: {heading(kind)}"
        tables.append(_table(f"{title} ({POOLING[kind]})" if kind in POOLING else title, rows))
    about = [(heading(k), _cell(one).text) for k, one in _flat({**value, "detectors": {}}).items()]
    return [replace(one, alike=[*about, *one.alike]) if one is tables[0] else one for one in tables]


def _leaves(value: Figures, path: list[str]) -> list[tuple[str, Figures, str]]:
    """A row for each group that holds a figure itself, named by the keys on the way to it.

    Groups beside its figures are one text each where they hold nothing but figures, else rows of their own.
    """
    own, nested = _without_groups(value), {key: one for key, one in value.items() if isinstance(one, Mapping)}
    if own and all(_without_groups(one) == one for one in nested.values()):
        told = {key: one if key in INTERVALS else _cell(one).text for key, one in nested.items()}
        return [(", ".join(path), own | told, "")]
    rows: list[tuple[str, Figures, str]] = [(", ".join(path), own, "")] if own else []
    return rows + [row for key, one in nested.items() for row in _leaves(one, [*path, key])]


def _listed(values: Sequence[Figures]) -> Iterator[tuple[str, Figures, str]]:
    name = next((key for key in ("method", "name", "detector") if all(key in one for one in values)), None)
    for number, one in enumerate(values, 1):
        shown = {key: heading(str(value)) if key == "metric" else value for key, value in one.items() if key != name}
        yield str(one[name]) if name else str(number), shown, ""


def _flat(value: Figures, path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, one in value.items():
        name = f"{path} {key}".strip()
        flat |= _flat(one, name) if isinstance(one, Mapping) else {name: one}
    return flat


def _without_groups(value: Figures) -> dict[str, Any]:
    return {key: one for key, one in value.items() if not isinstance(one, Mapping)}


def _table(title: str, rows: Rows) -> Table:
    keys = list(dict.fromkeys(k for _, figures, _ in rows for k, value in figures.items() if _is_figure(k, value)))
    alike = [key for key in keys if _is_alike(key, [figures for _, figures, _ in rows])]
    columns = [key for key in keys if key not in alike]
    told = [(heading(key), _cell(next(f[key] for _, f, _ in rows if key in f)).text) for key in alike]
    for group in INTERVALS:
        about = next((f[group] for _, f, _ in rows if isinstance(f.get(group), Mapping)), {})
        told += [(f"{heading(group)}: {heading(k)}", _cell(v).text) for k, v in about.items() if k not in keys]
    shown = [Row(name, [_cell(f.get(key), _interval(f, key)) for key in columns], style) for name, f, style in rows]
    return Table(title, [heading(key) for key in columns], shown, told)


def _is_figure(key: str, value: Any) -> bool:
    return key not in INTERVALS and not isinstance(value, Mapping)


def _is_group(key: str, value: Any) -> bool:
    return key not in INTERVALS and key != STREAMS and isinstance(value, Mapping)


def _interval(figures: Figures, key: str) -> Any:
    return next((figures[group].get(key) for group in INTERVALS if isinstance(figures.get(group), Mapping)), None)


def _is_alike(key: str, rows: Sequence[Figures]) -> bool:
    """Whether this is a count, or the prevalence, that every row which has it repeats."""
    values = [figures[key] for figures in rows if key in figures]
    counts = key == "prevalence" or (isinstance(values[0], int) and not isinstance(values[0], bool))
    return counts and len(values) > 1 and all(value == values[0] for value in values)


def _cell(value: Any, interval: Any = None) -> Cell:
    below = "" if interval is None else _cell(interval).text
    if value is None:
        return Cell(NONE, True, below)
    if isinstance(value, int | float):
        return Cell(number_text(value), True, below)
    if isinstance(value, Mapping):
        return Cell(", ".join(f"{heading(key)} {_cell(one).text}" for key, one in value.items()), False, below)
    if isinstance(value, list | tuple):
        parts = [_cell(one) for one in value]
        pair = len(parts) == 2 and all(one.number for one in parts)
        return Cell((" to " if pair else ", ").join(one.text for one in parts), pair, below)
    return Cell(str(value), False, below)


def _csv_cell(value: str, error: str = "") -> Cell:
    below = f"\N{PLUS-MINUS SIGN} {_csv_cell(error).text}" if error else ""
    if re.fullmatch(r"[+-]?\d{1,15}", value):
        return Cell(number_text(int(value)), True, below)
    if NUMBER.fullmatch(value):
        return Cell(number_text(float(value)), True, below)
    return Cell(value or NONE, not value, below)
