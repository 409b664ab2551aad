"""An ablation in words, and its tables as Markdown."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.ablation.measure import LABELLED, PSEUDO, Truth
from pixelplay.ablation.search import Choice, Trial
from pixelplay.ablation.settings import AblateConfig
from pixelplay.ablation.tables import TITLES, WEIGHT, Ablation
from pixelplay.run.artifacts import damaged
from pixelplay.run.files import RunFiles

SHOWN = 15  # rows of a table, those with the highest figures, and the first one; the CSV has them all


def summary_file(files: RunFiles) -> Path:
    return files.ablation / "summary.md"


def read_introduction(files: RunFiles) -> list[str]:
    """The paragraphs of the summary on disk that stand before its first table; [] if there is no summary."""
    path = summary_file(files)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise damaged(path, "ablate", error) from None
    return [part.strip() for part in text.partition("\n## ")[0].split("\n\n")[1:]]


def introduction(
    ablation: Ablation, truths: dict[str, Truth], config: AblateConfig, left_out: Sequence[str]
) -> list[str]:
    """Paragraphs: what was measured on, what was chosen and why, and how far pseudo-anomalies can be trusted."""
    planted = truths[PSEUDO]
    kinds, clips = len(set(planted.kinds.tolist())), len(set(planted.videos.tolist()))
    told = [
        f"Measured on {clips} clips of held-out normal footage in which anomalies of {kinds} kinds are planted "
        f"({len(planted):,} frames, {planted.labels.mean():.0%} of them anomalous), without any label. After ±: one "
        f"standard error, over {config.n_bootstrap} draws of whole clips. Gains are over the configured fusion.",
        explanation(ablation.choice, config, ablation.points),
    ]
    if ablation.twins:
        pairs = ", ".join(f"{stream} (it is {first})" for stream, first in ablation.twins.items())
        told.append(f"Left out: {pairs}.")
    if left_out:
        told.append(
            f"Left out: {', '.join(left_out)}: an external file has no scores of pseudo-anomalies. In the fusion that "
            "the search writes, external files keep their weight."
        )
    if LABELLED in truths:
        told.append(_on_labels(ablation, truths[LABELLED]))
    return told


def explanation(choice: Choice, config: AblateConfig, points: int) -> str:
    """What the search chose, and why."""
    start, are = ("Equal weights", "are") if "weights" in config.choose else ("The configured fusion", "is")
    if not choice.trials:
        return f"{start}: there is nothing to choose between."
    steps = " ".join(_told(trial, config, points) for trial in choice.trials)
    unseen = ", ".join(f"{kind} {gain:+.3f}" for kind, gain in choice.unseen.items())
    name = config.metric.upper()
    repeated = (
        f" Repeated without each kind of anomaly in turn, the search gains {choice.unseen_gain:+.3f} {name} on the "
        f"kind that it has not seen, on average ({unseen})."
    )
    if choice.changed:
        return f"The search, by {name}, starts from {start[0].lower()}{start[1:]}. {steps}{repeated}"
    kept = f"{start} {are} kept. {steps}"
    if any(trial.taken for trial in choice.trials):
        why = repeated if choice.unseen else " With a single clip this can't be checked on another."
        return f"{kept}{why} That is no gain to count on."
    return kept


def markdown(title: str, told: Sequence[str], tables: dict[str, pd.DataFrame], metric: str) -> str:
    """The whole summary: `told`, then every table, long ones by their highest rows."""
    parts = [f"# {title}", *told]
    for name, heading in TITLES.items():
        if name in tables:
            table, shown = tables[name], _highest(tables[name], metric)
            more = [f"All {len(table)} rows: `{name}.csv`"] if len(shown) < len(table) else []
            parts += [f"## {heading}", _table(shown), *more]
    return "\n\n".join(parts) + "\n"


def _told(trial: Trial, config: AblateConfig, points: int) -> str:
    among = f" of {points}" if trial.step == "weights" else ""
    step = trial.step[:1].upper() + trial.step[1:]
    best = f"{step}: the best{among}, {trial.best}, gains {trial.gain:.3f} ± {trial.error:.3f}"
    if trial.taken is None:
        return f"{best}, {'which is not beyond the noise' if trial.gain > 0 else 'so nothing is better'}."
    if trial.taken == trial.best:
        return f"{best}, and is taken."
    return (
        f"{best}; taken is {trial.taken}, which gains {trial.taken_gain:.3f} and is nearest to equal weights among "
        "those that are not worse beyond the noise."
    )


def _on_labels(ablation: Ablation, truth: Truth) -> str:
    table, ranks = ablation.tables["comparison"], ablation.tables["rank_correlation"]
    found, equal = (table.loc[name] for name in ("search", "equal weights"))
    text = (
        f"Figures on labels ({len(set(truth.videos.tolist()))} test videos, {len(truth):,} frames) are for reporting "
        f"only: nothing was chosen on them. The search's fusion has AP {found['on_labels_ap']:.3f} and AUC "
        f"{found['on_labels_auc']:.3f} there, equal weights {equal['on_labels_ap']:.3f} and "
        f"{equal['on_labels_auc']:.3f}."
    )
    pairs = "; ".join(
        f"{name} {row['spearman_ap']:+.2f} (n = {int(row['n'])}, {row['lowest_on_labels_ap']:.3f} to "
        f"{row['highest_on_labels_ap']:.3f})"
        for name, row in ranks[ranks["spearman_ap"].notna()].iterrows()
    )
    correlated = (
        " Spearman's rank correlation between AP on pseudo-anomalies and AP on labels (1: the same order, 0: none, -1: "
        f"reversed), of n fusions, with their AP on labels: {pairs}."
    )
    stable = ranks["spearman_stability_ap"].get("alone", np.nan) if "spearman_stability_ap" in ranks else np.nan
    steady = f" Of single streams, between stability on normal footage and AP on labels: {stable:+.2f}."
    return text + (correlated if pairs else "") + (steady if np.isfinite(stable) else "")


def _highest(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Its first row and the highest others; all of a table with a column per kind, which nothing ranks."""
    if len(table) <= SHOWN + 1 or metric not in table:
        return table
    return pd.concat([table.iloc[:1], table.iloc[1:].nlargest(SHOWN, metric)])


def _table(table: pd.DataFrame) -> str:
    """Figures with their errors as one column each."""
    columns = [str(c) for c in table if not (str(c).endswith("_error") and str(c).removesuffix("_error") in table)]
    head = ["", *(column if column.startswith(WEIGHT) else column.replace("_", " ") for column in columns)]
    lines = [head, ["---"] * len(head)]
    for name, row in table.iterrows():
        lines.append([str(name), *(_figure(row[c], row.get(f"{c}_error", np.nan), c) for c in columns)])
    escaped = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def _figure(value: float, error: float, column: str) -> str:
    if not np.isfinite(value):
        return "-"
    if column == "n":
        return str(int(value))
    text = f"{value:+.3f}" if column.endswith(("_gain", "_over_equal")) else f"{value:.3f}"
    return f"{text} ± {error:.3f}" if np.isfinite(error) else text
