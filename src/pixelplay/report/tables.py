"""Tables of the page: figures of metrics.json and CSV files as text in a pandas DataFrame."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from pixelplay.run.artifacts import NUMBER, read_rows

NONE = "\N{EN DASH}"
ACRONYMS = {"ap", "auc", "auroc", "aupro", "eer", "evt", "f1", "fpr", "iou", "pr", "rbdc", "rbdr", "roc", "tbdc", "tpr"}
INTERVALS = "intervals"  # a group of pairs, each of the figure of the same name
STREAMS = "streams"  # of a detector: rows of their own
POOLING = {"pixel": "pixels of all frames pooled, except per frame and per video"}  # by kind of figures

Figures = Mapping[str, Any]
Rows = Sequence[tuple[str, Figures, str]]  # name, figures, CSS class


@dataclass(frozen=True)
class Table:
    """Cells as text: a row for each name in the index, a column for each heading."""

    title: str
    cells: pd.DataFrame
    below: pd.DataFrame  # small print under each cell, such as its interval; '' for none
    numeric: Sequence[bool]  # of each column, whether it has numbers alone
    styles: Sequence[str]  # CSS class of each row
    alike: Sequence[str] = ()  # counts that are the same in every row, and how intervals were drawn: given once

    def html(self) -> Markup:
        """The <table>; all text from data is escaped, web addresses are links."""
        kinds = ["number" if numeric else "text" for numeric in self.numeric]
        shown = [
            [_span(kind, _linked(text), below) for kind, text, below in zip(kinds, cells, small, strict=True)]
            for cells, small in zip(self.cells.to_numpy(), self.below.to_numpy(), strict=True)
        ]
        names, heads = map(_span, self.styles, self.cells.index), map(_span, kinds, self.cells)
        table = pd.DataFrame(shown, index=list(names), columns=list(heads), dtype=object)
        with pd.option_context("display.max_colwidth", None):
            return Markup(table.to_html(escape=False, border=0, justify="unset"))


def score_tables(metrics: Figures, speeds: Mapping[str, float] | None = None) -> list[Table]:
    """Of metrics.json: a row per detector, stream, and the fusion; then one table more per group of figures in them.

    Any number, pair of numbers or text under any key is shown. Pairs in a group called `intervals` stand below the
    figures of the same names. `speeds`: frames per second, by detector.
    """
    measured = {name: {"frames/s": speed} for name, speed in (speeds or {}).items()}
    rows = [(n, {**of, **measured.get(n, {})}, style) for n, of, style in score_rows(metrics)]
    names = dict.fromkeys(key for _, figures, _ in rows for key, value in figures.items() if _is_group(key, value))
    groups = {key: [(n, f[key], style) for n, f, style in rows if _is_group(key, f.get(key))] for key in names}
    return [figures_table("", rows), *(figures_table(heading(key), of_group) for key, of_group in groups.items())]


def object_tables(objects: Figures) -> list[Table]:
    """Figures of boxes, of metrics.json: a table for each kind, such as those of regions, with a row per stream."""
    streams = {s: of for detector in objects.get("detectors", {}).values() for s, of in detector[STREAMS].items()}
    tables = []
    for kind in dict.fromkeys(kind for of in streams.values() for kind in of):
        rows = [row for stream, of in streams.items() if kind in of for row in _leaves(of[kind], [stream])]
        note = f" ({POOLING[kind]})" if kind in POOLING else ""
        tables.append(figures_table(f"objects: {heading(kind)}{note}", rows))
    if tables:
        measured = {key: value for key, value in objects.items() if key != "detectors"}
        (known,) = pd.json_normalize(measured, sep=" ").to_dict("records")
        about = [f"{heading(str(key))} {_text(value)}" for key, value in known.items()]
        tables[0] = replace(tables[0], alike=[*about, *tables[0].alike])
    return tables


def csv_table(path: Path, made_by: str) -> Table:
    """A CSV with a header whose first column has the rows' names; raises DamagedArtifactError for any other content.

    A column `x_error` beside `x` is its standard error, shown below its figures.
    """
    head, *lines = read_rows(path, made_by)
    errors = {key: f"{key}_error" for key in head if f"{key}_error" in head}
    keys = [key for key in head[1:] if key not in errors.values()]
    rows = [(name, dict(zip(head[1:], map(_parsed, values), strict=True)), "") for name, *values in lines]
    below = [
        {key: f"\N{PLUS-MINUS SIGN} {_text(of[error])}" for key, error in errors.items() if of[error] is not None}
        for _, of, _ in rows
    ]
    return _of_cells("", keys, rows, below)


def intervals_text(drawn: Figures) -> str:
    """`95 % intervals from 1,000 bootstrap draws of whole videos`; '' where none were drawn."""
    if "level" not in drawn:
        return ""
    count = f"{drawn['draws']:,} " if "draws" in drawn else ""
    return f"{100 * drawn['level']:.0f} % intervals from {count}bootstrap draws of whole videos"


def heading(key: str) -> str:
    """A key of a JSON or CSV file as people read it: `pixel_auroc` as 'pixel AUROC'."""
    words = key.replace("_", " ").split()
    return " ".join(word.upper() if word in ACRONYMS else word for word in words) or key


def number_text(value: float) -> str:
    """A figure with three decimals, or two significant digits when tiny; integers with thousands separators."""
    if isinstance(value, int):
        return f"{value:,}" if not isinstance(value, bool) else "yes" if value else "no"
    if not math.isfinite(value):
        return NONE
    if value and abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3f}"


def score_rows(metrics: Figures) -> Iterator[tuple[str, Figures, str]]:
    """Name, figures and CSS class of each detector and its streams, of external members, and of the fusion."""
    for name, figures in metrics["detectors"].items():
        yield name, figures, "detector"
        for stream, of_stream in figures.get(STREAMS, {}).items():
            yield stream, of_stream, "stream"
    for name, figures in metrics.get("external", {}).items():
        yield name, figures, "detector"
    yield "fused", metrics["fused"], "total"


def _leaves(value: Figures, path: list[str]) -> list[tuple[str, Figures, str]]:
    """A row for each group that holds a figure itself, named by the keys on the way to it.

    Groups beside its figures are one text each if they hold nothing but figures, else rows of their own.
    """
    own, nested = _without_groups(value), {key: one for key, one in value.items() if isinstance(one, Mapping)}
    if own and all(_without_groups(one) == one for one in nested.values()):
        as_text = {key: one if key == INTERVALS else _text(one) for key, one in nested.items()}
        return [(", ".join(path), own | as_text, "")]
    rows: list[tuple[str, Figures, str]] = [(", ".join(path), own, "")] if own else []
    return rows + [row for key, one in nested.items() for row in _leaves(one, [*path, key])]


def _without_groups(value: Figures) -> dict[str, Any]:
    return {key: one for key, one in value.items() if not isinstance(one, Mapping)}


def figures_table(title: str, rows: Rows) -> Table:
    """A row for each name, a column for each figure; those in `intervals` stand below the figures.

    Counts that are the same in every row are given once, and so is how intervals were drawn.
    """
    figures = [of for _, of, _ in rows]
    keys = dict.fromkeys(key for of in figures for key in _without_groups(of) if key != INTERVALS)
    values = {key: [of[key] for of in figures if key in of] for key in keys}
    alike = {key for key, of in values.items() if _is_alike(key, of)}
    drawn = [of.get(INTERVALS) or {} for of in figures]
    below = [{key: _text(value) for key, value in of.items() if value is not None} for of in drawn]
    about = [f"{heading(key)} {_text(of[0])}" for key, of in values.items() if key in alike]
    about += [*filter(None, map(intervals_text, drawn))][:1]
    return replace(_of_cells(title, [key for key in values if key not in alike], rows, below), alike=about)


def _of_cells(title: str, keys: Sequence[str], rows: Rows, below: Sequence[Mapping[str, str]]) -> Table:
    """A table of the figures `keys` of each row, with the texts that stand below them."""
    cells = [[_text(of.get(key)) for key in keys] for _, of, _ in rows]
    small = [[texts.get(key, "") for key in keys] for texts in below]
    index, head = [name for name, _, _ in rows], list(map(heading, keys))
    shown, beneath = (pd.DataFrame(of, index=index, columns=head, dtype=object) for of in (cells, small))
    numeric = [all(_is_number(of.get(key)) for _, of, _ in rows) for key in keys]
    return Table(title, shown, beneath, numeric, [style for _, _, style in rows])


def _is_group(key: str, value: Any) -> bool:
    return key not in (INTERVALS, STREAMS) and isinstance(value, Mapping)


def _is_alike(key: str, values: Sequence[Any]) -> bool:
    """Whether this is a count, or the prevalence, with the same value in every row that has it."""
    counts = key == "prevalence" or (isinstance(values[0], int) and not isinstance(values[0], bool))
    return counts and len(values) > 1 and all(value == values[0] for value in values)


def _text(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{heading(key)} {_text(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return (" to " if _is_number(value) else ", ").join(map(_text, value))
    return str(value)


def _is_number(value: Any) -> bool:
    """Whether this is a number, a missing one, or a pair of them."""
    if isinstance(value, list | tuple):
        return len(value) == 2 and all(map(_is_number, value))
    return value is None or isinstance(value, int | float)


def _parsed(text: str) -> str | int | float | None:
    if re.fullmatch(r"[+-]?\d{1,15}", text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text or None


def _span(style: str, text: str, below: str = "") -> Markup:
    small = Markup("<small>{}</small>").format(below) if below else ""
    return Markup('<span class="{}">{}{}</span>').format(style, text, small)


def _linked(text: str) -> Markup:
    if not text.startswith(("https://", "http://")):
        return escape(text)
    return Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(text)
