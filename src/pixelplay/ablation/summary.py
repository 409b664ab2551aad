"""An ablation in words, and its tables as Markdown."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.ablation.measure import Truth
from pixelplay.ablation.search import Choice, Trial
from pixelplay.ablation.settings import AblateConfig
from pixelplay.ablation.tables import LABELLED, PSEUDO, TITLES, WEIGHT, Ablation
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
    start = "Equal weights" if "weights" in config.choose else "The configured fusion"
    kept = f"{start} {'are' if start.endswith('weights') else 'is'} kept."
    name = config.metric.upper()
    if not choice.trials:
        return f"{start}: there is nothing to choose between."
    steps = " ".join(_told(trial, config, points) for trial in choice.trials)
    unseen = ", ".join(f"{one.kind} {one.gain:+.3f}" for one in choice.unseen)
    repeated = (
        f" Repeated without each kind of anomaly in turn, the search gains {choice.unseen_gain:+.3f} {name} on the "
        f"kind that it has not seen, on average ({unseen})."
    )
    if choice.changed:
        return f"The search, by {name}, starts from {start[0].lower()}{start[1:]}. {steps}{repeated}"
    if any(trial.taken for trial in choice.trials):
        alone = "" if choice.unseen else " With a single clip this can't be checked on another."
        why = repeated if choice.unseen else alone
        return f"{kept} {steps}{why} That is no gain to count on."
    return f"{kept} {steps}"


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
    best = f"{trial.step}: the best{among}, {trial.best}, gains {trial.gain:.3f} ± {trial.error:.3f}"
    if trial.taken is None:
        beyond = "which is not beyond the noise" if trial.gain > 0 else "so nothing is better"
        return f"{_upper(best)}, {beyond}."
    if trial.taken == trial.best:
        return f"{_upper(best)}, and is taken."
    return (
        f"{_upper(best)}; taken is {trial.taken}, which gains {trial.taken_gain:.3f} and is nearest to equal weights "
        "among those that are not worse beyond the noise."
    )


def _on_labels(ablation: Ablation, truth: Truth) -> str:
    table = ablation.tables["comparison"]
    videos = len(set(truth.videos.tolist()))
    found, equal = (table.loc[name] for name in ("search", "equal weights"))
    text = (
        f"Figures on labels ({videos} test videos, {len(truth):,} frames) are for reporting only: nothing was chosen "
        f"on them. The search's fusion has AP {found['on_labels_ap']:.3f} and AUC {found['on_labels_auc']:.3f} there, "
        f"equal weights {equal['on_labels_ap']:.3f} and {equal['on_labels_auc']:.3f}."
    )
    ranks = ablation.tables["rank_correlation"]
    known = ranks.loc[ranks["spearman_ap"].notna()]
    if known.empty:
        return text
    pairs = "; ".join(f"{name} {_rank(row)}" for name, row in known.iterrows())
    return (
        f"{text} Spearman's rank correlation between AP on pseudo-anomalies and AP on labels (1: the same order, "
        f"0: none, -1: reversed), of n fusions, with their AP on labels: {pairs}."
    )


def _rank(row: pd.Series) -> str:
    span = f"{row['lowest_on_labels_ap']:.3f} to {row['highest_on_labels_ap']:.3f}"
    return f"{row['spearman_ap']:+.2f} (n = {int(row['n'])}, {span})"


def _highest(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Its first row and the highest others; all of a table with a column per kind, which nothing ranks."""
    if len(table) <= SHOWN + 1 or metric not in table:
        return table
    rest = table.iloc[1:].nlargest(SHOWN, metric)
    return pd.concat([table.iloc[:1], rest])


def _table(table: pd.DataFrame) -> str:
    """Figures with their errors as one column each."""
    columns = [c for c in table if not (str(c).endswith("_error") and str(c).removesuffix("_error") in table)]
    head = ["", *(str(c) if str(c).startswith(WEIGHT) else str(c).replace("_", " ") for c in columns)]
    lines = [head, ["---"] * len(head)]
    for name, row in table.iterrows():
        lines.append([str(name), *(_figure(row[c], row.get(f"{c}_error"), str(c)) for c in columns)])
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)


def _figure(value: float, error: float | None, column: str) -> str:
    if not np.isfinite(value):
        return "-"
    if column == "n":
        return str(int(value))
    text = f"{value:+.3f}" if column.endswith(("_gain", "_over_equal")) else f"{value:.3f}"
    return text if error is None or not np.isfinite(error) else f"{text} ± {error:.3f}"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
