"""The tables of an ablation: what each choice is worth on pseudo-anomalies, and on labels where those are known.

Figures on labels (columns `on_labels_*`) are only reported: they are computed after everything has been chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pixelplay.ablation.measure import LABELLED, METRICS, PSEUDO, Bench, Measured, rank_correlations
from pixelplay.ablation.search import Choice, search
from pixelplay.ablation.settings import AblateConfig
from pixelplay.ablation.variants import STEPS, Variant, alone, leave_one_out, shares_of, variants_of
from pixelplay.scores.settings import FusionConfig

CONFIGURED = "configured fusion"

# Tables and pictures in the order shown: file names and headings.
TITLES = {
    "comparison": "The search's fusion and its alternatives",
    "alone": "Each stream alone",
    "leave_one_out": "Without each of the members",
    "pooling": "Another stream of a detector",
    "normalise": "Every member normalised differently",
    "smooth": "Every member smoothed differently",
    "method": "Members combined differently",
    "weights": "Weights",
    "kinds_ap": "AP by kind of planted anomaly",
    "kinds_auc": "AUC by kind of planted anomaly",
    "rank_correlation": "Do pseudo-anomalies rank fusions as labels do?",
}
PICTURES = {
    "streams_alone": "Each stream alone",
    "one_choice_changed": "One choice changed at a time",
    "weights": "Weights: the line is the best that a share of the weight allows",
    "kinds_ap": "AP by kind of planted anomaly",
    "kinds_auc": "AUC by kind of planted anomaly",
    "planted_and_labelled": "Do pseudo-anomalies rank fusions as labels do?",
}
CHANGES = ("leave_one_out", "pooling", "normalise", "smooth", "method")  # one choice changed at a time
WEIGHT = "weight "  # before a member's name: columns of the table `weights`


@dataclass(frozen=True)
class Ablation:
    tables: dict[str, pd.DataFrame]  # by name, in the order of TITLES; indexed by what was measured
    choice: Choice
    points: int  # of the sweep over weights
    twins: dict[str, str]  # streams left out as duplicates, and of which


def ablate(bench: Bench, fusion: FusionConfig, streams: Sequence[str], config: AblateConfig) -> Ablation:
    """All tables. `fusion`: every member named; `streams`: all that have scores of pseudo-anomalies.

    Raises DataError and ConfigError as the fusion itself does.
    """
    twins = {stream: first for stream, first in bench.twins().items() if stream not in fusion.members}
    streams = [stream for stream in streams if stream not in twins]
    variants = {
        "alone": alone(fusion, streams),
        "leave_one_out": leave_one_out(fusion),
        **{step: variants_of(step, fusion, streams, config) for step in STEPS},
    }
    configured, base = Variant(CONFIGURED, fusion), bench.measured(fusion, config)
    tables = {}
    for name, of in variants.items():
        others = [one for one in of if name == "alone" or one.fusion.model_dump() != fusion.model_dump()]
        if of:
            tables[name] = _table(bench, [configured, *others], base, config)
    stable = {one.name: bench.stability(one.fusion).share for one in variants["alone"]}
    tables["alone"].insert(0, "stability", [stable.get(str(name), float("nan")) for name in tables["alone"].index])
    if "weights" in tables:
        tables["weights"] = _with_shares(tables["weights"], [configured, *variants["weights"]])
    choice = search(bench, fusion, streams, config)
    equal = Variant("equal weights", choice.start)
    rows = [Variant("search", choice.fusion), equal, configured, *_best(variants["alone"], tables["alone"], config)]
    tables["comparison"] = _table(bench, rows, base, config)
    if LABELLED in bench.truths:
        _add_errors_on_labels(tables["comparison"], bench, rows, config)
        tables["rank_correlation"] = rank_correlations({name: tables[name] for name in variants if name in tables})
    rows = [configured, equal, *variants["alone"]]
    tables |= {f"kinds_{metric}": _by_kind(bench, rows, i) for i, metric in enumerate(METRICS)}
    return Ablation({n: tables[n] for n in TITLES if n in tables}, choice, len(variants["weights"]), twins)


def _table(bench: Bench, variants: Sequence[Variant], base: Measured, config: AblateConfig) -> pd.DataFrame:
    """A row for each variant: figures and gains over `base`, with standard errors; figures on labels."""
    rows = {}
    for variant in variants:
        one, row = bench.measured(variant.fusion, config), {}
        gain, noise = one.gain_over(base)
        for i, metric in enumerate(METRICS):
            row |= {metric: one.figures[i], f"{metric}_error": one.errors[i]}
            row |= {f"{metric}_gain": gain[i], f"{metric}_gain_error": noise[i]}
        if LABELLED in bench.truths:
            on_labels = bench.figures(variant.fusion, LABELLED)
            row |= {f"on_labels_{metric}": on_labels[i] for i, metric in enumerate(METRICS)}
        rows[variant.name] = {key: float(value) for key, value in row.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fusion")


def _best(alone: Sequence[Variant], table: pd.DataFrame, config: AblateConfig) -> list[Variant]:
    """The best single stream on pseudo-anomalies, and on labels where those are known."""
    names = {
        config.metric: "best stream on pseudo-anomalies",
        f"on_labels_{config.metric}": "chosen on labels, so no fair figure",
    }
    fusions, figures = {one.name: one.fusion for one in alone}, table.drop(index=CONFIGURED)
    best = {column: figures[column].idxmax() for column in names if column in figures}
    return [Variant(f"{names[column]}: {stream}", fusions[stream]) for column, stream in best.items()]


def _add_errors_on_labels(table: pd.DataFrame, bench: Bench, rows: Sequence[Variant], config: AblateConfig) -> None:
    """Standard errors over resampled test videos, and gains over equal weights, the second row."""
    found = [bench.measured(one.fusion, config, LABELLED) for one in rows]
    gains = [one.gain_over(found[1]) for one in found]
    for i, metric in enumerate(METRICS):
        table[f"on_labels_{metric}_error"] = [one.errors[i] for one in found]
        table[f"on_labels_{metric}_over_equal"] = [gain[i] for gain, _ in gains]
        table[f"on_labels_{metric}_over_equal_error"] = [error[i] for _, error in gains]


def _by_kind(bench: Bench, variants: Sequence[Variant], i: int) -> pd.DataFrame:
    """A row for each variant, a column for each kind of planted anomaly: the `i`-th figure of its clips."""
    of_frames = bench.truths[PSEUDO].kinds
    masks = {kind: of_frames == kind for kind in dict.fromkeys(of_frames.tolist())}
    rows = {v.name: {k: bench.figures(v.fusion, rows=mask)[i] for k, mask in masks.items()} for v in variants}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fusion")


def _with_shares(table: pd.DataFrame, variants: Sequence[Variant]) -> pd.DataFrame:
    """The sweep's table with the members' shares of the weight before its figures."""
    shares = {variant.name: shares_of(variant.fusion) for variant in variants}
    columns = [f"{WEIGHT}{one}" for one in variants[0].fusion.members]
    own = pd.DataFrame([shares[name] for name in table.index], index=table.index, columns=columns)
    return pd.concat([own, table], axis=1)
