"""Plots of an ablation's tables, which are its CSVs; notebooks call these functions, too."""

from collections.abc import Iterator, Mapping
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pixelplay.ablation.tables import CHANGES, TITLES, WEIGHT

RANKED = ("alone", *CHANGES, "weights")
ROW, WIDTH = 0.22, 6.6  # inches
COLUMNS = 3  # panels in a row, at most
PLANTED, TRUE, BEST = "#0072b2", "#d55e00", "#008a64"  # Okabe and Ito's, as the report has them


def draw_all(tables: Mapping[str, pd.DataFrame], metric: str) -> Iterator[tuple[str, Figure]]:
    """Name and figure of each picture that these tables give. `metric`: ap or auc."""
    yield "streams_alone", draw_alone(tables["alone"], metric)
    if any(name in tables for name in CHANGES):
        yield "one_choice_changed", draw_changes(tables, metric)
    if "weights" in tables:
        yield "weights", draw_weights(tables["weights"], metric)
    yield f"kinds_{metric}", draw_kinds(tables[f"kinds_{metric}"], metric)
    if "rank_correlation" in tables:
        yield "planted_and_labelled", draw_agreement(tables, metric)


def draw_alone(table: pd.DataFrame, metric: str) -> Figure:
    """Each stream's figure on pseudo-anomalies with its standard error; and on labels, where those are known."""
    figure = Figure(figsize=(WIDTH, 1.4 + ROW * len(table)), layout="constrained")
    axis = figure.subplots()
    ordered = pd.concat([table.iloc[:1], table.iloc[1:].sort_values(metric, ascending=False)])
    dots(axis, ordered, metric, f"{metric}_error", PLANTED, "pseudo-anomalies ± standard error")
    if (column := f"on_labels_{metric}") in ordered:
        at = np.arange(len(ordered))
        axis.plot(ordered[column], at, "D", color=TRUE, markersize=4, label="labels, for reporting only")
    axis.set_xlabel(f"{metric.upper()} of each stream alone; first row: the configured fusion")
    axis.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return figure


def draw_changes(tables: Mapping[str, pd.DataFrame], metric: str) -> Figure:
    """What each change of one choice gains or costs on pseudo-anomalies, with standard errors; a panel for each."""
    shown = [(name, tables[name].iloc[1:]) for name in CHANGES if name in tables and len(tables[name]) > 1]
    heights = [len(table) + 1.5 for _, table in shown]
    figure = Figure(figsize=(WIDTH, 0.6 + ROW * sum(heights) + 0.25 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (name, table) in zip(axes, shown, strict=True):
        dots(axis, table, f"{metric}_gain", f"{metric}_gain_error", PLANTED, "")
        axis.axvline(0, color="0.4", linewidth=1)
        axis.set_title(TITLES[name], fontsize=9, loc="left")
    axes[-1].set_xlabel(f"gain in {metric.upper()} over the configured fusion,\non pseudo-anomalies, ± standard error")
    return figure


def draw_weights(table: pd.DataFrame, metric: str) -> Figure:
    """The sweep: a panel for each member, its share of the weight against the figure; the line is the best for it.

    Of two members one is shown: the other's picture is its mirror image.
    """
    members = [str(c) for c in table if str(c).startswith(WEIGHT)]
    equal = np.flatnonzero(np.ptp(table[members].to_numpy(), axis=1) < 1e-4)[:1]
    values = table[metric].to_numpy()
    best = int(values.argmax())
    members = members[:1] if len(members) == 2 else members
    columns = min(COLUMNS, len(members))
    size = max(4.5, WIDTH * columns / COLUMNS + 0.6), 2.3 * ceil(len(members) / columns) + 0.6
    figure, axes = _panels(len(members), size, shared=True)
    for axis, member in zip(axes, members, strict=True):
        at = table[member].to_numpy()
        axis.scatter(at, values, s=9, color=PLANTED, alpha=0.35, linewidths=0)
        axis.plot(*_highest(at, values), color=PLANTED, linewidth=1.4)
        axis.plot(at[equal], values[equal], "D", color=TRUE, markersize=6, label="equal weights")
        axis.plot(at[best], values[best], "*", color=BEST, markersize=11, label="highest")
        axis.set_xlabel(f"share of {member.removeprefix(WEIGHT)}", parse_math=False)
    for axis in axes[::columns]:
        axis.set_ylabel(f"{metric.upper()} on pseudo-anomalies")
    axes[0].legend(fontsize=7)
    return figure


def draw_kinds(table: pd.DataFrame, metric: str) -> Figure:
    """A row for each fusion and stream, a column for each kind of planted anomaly."""
    values = table.to_numpy(np.float64)
    figure = Figure(figsize=(2.6 + 0.66 * values.shape[1], 1.2 + 0.26 * len(values)), layout="constrained")
    axis = figure.subplots()
    picture = axis.imshow(values, cmap="viridis", vmin=0.0, vmax=1.0, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        color = "w" if value < 0.6 else "k"
        axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7.5, color=color)
    columns = [str(kind).replace("_", "\n") for kind in table.columns]
    axis.set_xticks(range(len(columns)), columns, fontsize=8, parse_math=False)
    axis.set_yticks(range(len(table)), [str(name) for name in table.index], fontsize=8, parse_math=False)
    figure.colorbar(picture, ax=axis, fraction=0.04, pad=0.02, label=metric.upper())
    return figure


def draw_tried(own: Mapping[str, float], tried: Mapping[str, float], metric: str) -> Figure:
    """A fusion's figure for each kind of planted anomaly as a bar, and that of the run's own fusion as a line in it."""
    figure = Figure(figsize=(WIDTH, 0.7 + ROW * len(tried)), layout="constrained")
    axis = figure.subplots()
    at = np.arange(len(tried))
    axis.barh(at, list(tried.values()), height=0.7, color=PLANTED, alpha=0.5, label="as set above")
    axis.vlines([own[kind] for kind in tried], at - 0.4, at + 0.4, color=TRUE, label="the run's own fusion")
    axis.set_yticks(at, [kind.replace("_", " ") for kind in tried], fontsize=8, parse_math=False)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1), xlabel=f"{metric.upper()} by kind of pseudo-anomaly")
    axis.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return figure


def draw_agreement(tables: Mapping[str, pd.DataFrame], metric: str) -> Figure:
    """Figures on pseudo-anomalies against those on labels, a panel for each table, with its rank correlations."""
    ranks = tables["rank_correlation"]
    shown = [name for name in RANKED if name in tables and name in ranks.index]
    columns = min(COLUMNS, len(shown))
    size = WIDTH * columns / COLUMNS + 0.4, 2.2 * ceil(len(shown) / columns) + 0.3
    figure, axes = _panels(len(shown), size)
    for axis, name in zip(axes, shown, strict=True):
        planted, true, row = tables[name][metric], tables[name][f"on_labels_{metric}"], ranks.loc[name]
        axis.scatter(planted, true, s=14, color=PLANTED, alpha=0.6, linewidths=0)
        axis.plot(planted.iloc[0], true.iloc[0], "D", color=TRUE, markersize=6)
        pair = row[f"spearman_{metric}"], row[f"kendall_{metric}"]
        told = "Spearman {:+.2f}, Kendall {:+.2f}".format(*pair) if np.isfinite(pair).all() else "too few to rank"
        axis.set_title(f"{name.replace('_', ' ')}, n = {int(row['n'])}\n{told}", fontsize=8)
    figure.supxlabel(f"{metric.upper()} on pseudo-anomalies; diamond: the configured fusion", fontsize=9)
    figure.supylabel(f"{metric.upper()} on labels, for reporting only", fontsize=9)
    return figure


def _panels(count: int, size: tuple[float, float], shared: bool = False) -> tuple[Figure, np.ndarray]:
    """A figure of `size` in inches with `count` panels in rows of up to three; axes (count,)."""
    figure = Figure(figsize=size, layout="constrained")
    columns = min(COLUMNS, count)
    axes = figure.subplots(ceil(count / columns), columns, squeeze=False, sharex=shared, sharey=shared).ravel()
    for axis in axes[:count]:
        axis.tick_params(labelsize=7)
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def _highest(shares: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest of `values` (P,) at each share of the grid: shares of a single point are off it."""
    of_share = pd.Series(values).groupby(np.round(shares, 6))
    highest = of_share.max()
    if of_share.size().max() > 1 and len(highest) > 2:
        on_grid = of_share.size() > 1
        on_grid.iloc[-1] = True  # all the weight: a corner, which is one point
        highest = highest[on_grid]
    return highest.index.to_numpy(), highest.to_numpy()


def dots(axis: Axes, table: pd.DataFrame, value: str, error: str | None, color: str, label: str) -> None:
    """A row for each of the table's, the first one on top; `error`: the column of what stands after ±, if any."""
    at, errors = np.arange(len(table)), table[error].fillna(0.0) if error else None
    axis.errorbar(table[value], at, xerr=errors, fmt="o", color=color, markersize=4, linewidth=1.2, label=label)
    axis.set_yticks(at, [str(name) for name in table.index], fontsize=8, parse_math=False)
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
