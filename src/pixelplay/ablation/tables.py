"""The tables of an ablation: what each choice is worth on pseudo-anomalies, and on labels where those are known.

Figures on labels (columns `on_labels_*`) are only reported: they are computed after everything has been chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pixelplay.ablation.bench import Bench
from pixelplay.ablation.measure import METRICS, rank_correlations
from pixelplay.ablation.search import Choice, search
from pixelplay.ablation.settings import AblateConfig
from pixelplay.ablation.variants import STEPS, Variant, alone, leave_one_out, shares_of, variants_of
from pixelplay.scores.settings import FusionConfig

CONFIGURED = "configured fusion"
PSEUDO, LABELLED = "pseudo", "test"

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
    twins = {stream: first for stream, first in bench.twins(PSEUDO).items() if stream not in fusion.members}
    streams = [stream for stream in streams if stream not in twins]
    variants = {
        "alone": alone(fusion, streams),
        "leave_one_out": leave_one_out(fusion),
        **{step: variants_of(step, fusion, streams, config) for step in STEPS},
    }
    configured = Variant(CONFIGURED, fusion)
    judge = _Judge(bench, config, fusion)
    tables = {
        name: judge.table([configured, *(one for one in of if name == "alone" or not _same(one.fusion, fusion))])
        for name, of in variants.items()
        if of
    }
    if "weights" in tables:
        tables["weights"] = _with_shares(tables["weights"], [configured, *variants["weights"]])
    choice = search(bench, fusion, streams, config)
    tables["comparison"] = _comparison(judge, tables["alone"], variants["alone"], configured, choice)
    rows = [configured, Variant("equal weights", choice.start), *variants["alone"]]
    tables |= {f"kinds_{metric}": _by_kind(bench, rows, metric) for metric in ("ap", "auc")}
    if LABELLED in bench.truths:
        ranked = {name: tables[name] for name in variants if name in tables}
        tables["rank_correlation"] = rank_correlations(ranked)
    return Ablation({n: tables[n] for n in TITLES if n in tables}, choice, len(variants["weights"]), twins)


class _Judge:
    """Measures variants and their gains over the configured fusion."""

    def __init__(self, bench: Bench, config: AblateConfig, fusion: FusionConfig):
        self.bench, self.config = bench, config
        self.configured = bench.measured(fusion, config, PSEUDO)

    def table(self, variants: Sequence[Variant]) -> pd.DataFrame:
        """A row for each: figures and gains over the configured fusion with standard errors; figures on labels."""
        rows = {variant.name: self._row(variant.fusion) for variant in variants}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fusion")

    def _row(self, fusion: FusionConfig) -> dict[str, float]:
        one = self.bench.measured(fusion, self.config, PSEUDO)
        gain, noise = one.gain_over(self.configured)
        row = {}
        for metric in ("ap", "auc"):
            i = METRICS.index(metric)
            row |= {metric: one.figures[i], f"{metric}_error": one.errors[i]}
            row |= {f"{metric}_gain": gain[i], f"{metric}_gain_error": noise[i]}
        if LABELLED in self.bench.truths:
            on_labels = self.bench.figures(fusion, LABELLED)
            row |= {f"on_labels_{metric}": on_labels[METRICS.index(metric)] for metric in ("ap", "auc")}
        return {key: float(value) for key, value in row.items()}


def _comparison(
    judge: _Judge, singles: pd.DataFrame, alone: Sequence[Variant], configured: Variant, choice: Choice
) -> pd.DataFrame:
    """The choice without labels and its alternatives; errors on labels are over resampled videos."""
    metric = judge.config.metric
    streams = singles.drop(index=CONFIGURED)
    fusions = {one.name: one.fusion for one in alone}
    best = streams[metric].idxmax()
    rows = [
        Variant("search", choice.fusion),
        Variant("equal weights", choice.start),
        configured,
        Variant(f"best stream on pseudo-anomalies: {best}", fusions[best]),
    ]
    if LABELLED in judge.bench.truths:
        best = streams[f"on_labels_{metric}"].idxmax()
        rows.append(Variant(f"chosen on labels, so no fair figure: {best}", fusions[best]))
    table = judge.table(rows)
    if LABELLED in judge.bench.truths:
        on_labels = [judge.bench.measured(one.fusion, judge.config, LABELLED) for one in rows]
        base = on_labels[1]  # equal weights
        for name in ("ap", "auc"):
            i = METRICS.index(name)
            table[f"on_labels_{name}_error"] = [one.errors[i] for one in on_labels]
            table[f"on_labels_{name}_over_equal"] = [one.gain_over(base)[0][i] for one in on_labels]
            table[f"on_labels_{name}_over_equal_error"] = [one.gain_over(base)[1][i] for one in on_labels]
    return table


def _by_kind(bench: Bench, variants: Sequence[Variant], metric: str) -> pd.DataFrame:
    """A row for each variant, a column for each kind of planted anomaly: one figure over the clips of that kind."""
    of_kinds, i = bench.truths[PSEUDO].kinds, METRICS.index(metric)
    kinds = list(dict.fromkeys(of_kinds.tolist()))
    rows = {
        one.name: {kind: bench.figures(one.fusion, PSEUDO, of_kinds == kind)[i] for kind in kinds} for one in variants
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fusion")


def _with_shares(table: pd.DataFrame, variants: Sequence[Variant]) -> pd.DataFrame:
    """The sweep's table with the members' shares of the weight before its figures."""
    shares = {variant.name: shares_of(variant.fusion) for variant in variants}
    columns = [f"{WEIGHT}{one}" for one in variants[0].fusion.members]
    own = pd.DataFrame([shares[name] for name in table.index], index=table.index, columns=columns)
    return pd.concat([own, table], axis=1)


def _same(one: FusionConfig, other: FusionConfig) -> bool:
    return one.model_dump() == other.model_dump()
