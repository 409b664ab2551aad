"""Figures of measured runs, results/*.csv, and the tables of docs/RESULTS.md that show them.

python -m benchmarks.runs add outputs/sample results/sample.csv --run now --settings dataset.sample.seed=1
python -m benchmarks.runs tables
python -m benchmarks.runs judges outputs/sample

`add` appends a row per stream of a run, from its outputs folder; `tables` writes each table between its markers,
`judges` prints whether what judges a stream without labels ranks the streams as labels do.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.results import markdown
from pixelplay.run.commit import git_commit
from pixelplay.synthetic.pseudo import object_kinds
from pixelplay.videos.index import Index

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "RESULTS.md"
TABLE = re.compile(r"(<!-- (results/\w+\.csv) -->\n).*?(<!-- end -->)", re.DOTALL)
FIGURES = {  # column -> heading; `<name>_error` is shown behind `<name>`, minutes and frames/s in the CSV alone
    "ap": "AP",
    "auc_micro": "AUC micro",
    "auc_macro": "AUC macro",
    "eer": "EER",
    "rbdc": "RBDC",
    "tbdc": "TBDC",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "aupro": "AUPRO",
    "pixel_auroc_per_frame": "pixel AUROC by frame",
    "pixel_ap_per_frame": "pixel AP by frame",
    "pseudo_ap": "AP on pseudo-anomalies",
    "pseudo_ap_error": "",
    "pseudo_auc": "AUC on pseudo-anomalies",
    "pseudo_auc_error": "",
    "minutes": "",
    "fps": "",
}
ABOUT = ["run", "commit", "date", "dataset", "detectors", "settings", "stream"]
COLUMNS = [*ABOUT, *FIGURES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="append a run to a CSV")
    adding.add_argument("outputs", type=Path, help="outputs folder of the run")
    adding.add_argument("csv", type=Path)
    adding.add_argument("--run", default="", help="what the run is called in the table")
    adding.add_argument("--settings", default="", help="options of the run that its experiment does not have")
    commands.add_parser("tables", help="write the tables of docs/RESULTS.md")
    judging = commands.add_parser("judges", help="print rank correlations of the judges with labels")
    judging.add_argument("outputs", type=Path, help="outputs folder of a run with labels, with ablation/alone.csv")
    options = parser.parse_args()
    if options.command == "judges":
        alone = pd.read_csv(options.outputs / "ablation" / "alone.csv", index_col=0)
        if "on_labels_ap" not in alone:
            parser.error(
                f"{options.outputs}: its ablation has no figures on labels; run `python src/ablate.py` with them"
            )
        kinds = pd.read_csv(options.outputs / "ablation" / "kinds_ap.csv", index_col=0)
        print(agreement(alone, kinds))
    elif options.command == "tables":
        DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        add(options.csv, rows_of(options.outputs, options.run, options.settings))


def with_tables(text: str) -> str:
    """The document with every table as its CSV has it."""
    return TABLE.sub(lambda match: f"{match[1]}\n{table_of(ROOT / match[2])}\n\n{match[3]}", text)


def table_of(path: Path) -> str:
    """A CSV as a Markdown table: runs with a column per figure and run that has any, other tables as they are."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if list(table.columns) == COLUMNS:
        table = _wide(table)
    return markdown([list(table.columns), *table.to_numpy().tolist()])


def add(path: Path, rows: list[dict[str, str]]) -> None:
    """Append rows to a CSV, which is made if it is not there."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    if path.exists():
        table = pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False), table])
    table.to_csv(path, index=False, lineterminator="\n")


def rows_of(outputs: Path, run: str, settings: str) -> list[dict[str, str]]:
    """A row per stream of the run in an outputs folder, figures with three decimals; '' for what is not known, such as
    those on labels where there are none.
    """
    measured, index = outputs / "metrics.json", Index.load(outputs / "index.json")
    metrics = json.loads(measured.read_text()) if measured.exists() else {"detectors": {}, "objects": {}, "fused": {}}
    records = {path.stem: json.loads(path.read_text()) for path in sorted((outputs / "stages").glob("*.json"))}
    scored = [name.removeprefix("score-") for name in records if name.startswith("score-")]
    about = {
        "run": run,
        "commit": git_commit(ROOT) or "",
        "date": max(record["finished"] for record in records.values())[:10],
        "dataset": index.dataset,
        "detectors": " ".join(name for name in scored if not name.endswith("-pseudo")),
        "settings": settings,
    }
    frames = sum(len(video) for video in [*index.test, *index.held.calibration])  # as pixelplay.evaluation.speed
    streams: dict[str, dict[str, Any]] = {}
    for name, figures in metrics["detectors"].items():
        scoring = records.get(f"score-{name}")  # none for objects, which are fused of others' scores
        fps = frames / max(scoring["seconds"], 0.1) if scoring else None
        streams |= {name: {**figures, "fps": fps}, **figures["streams"]}
    for detector in metrics["objects"].get("detectors", {}).values():
        for name, levels in detector["streams"].items():
            streams[name] = streams.get(name, {}) | _of_boxes(levels)
    streams["fused"] = {**metrics["fused"], "minutes": sum(record["seconds"] for record in records.values()) / 60}
    planted = outputs / "ablation" / "alone.csv"
    if planted.exists():
        for name, row in pd.read_csv(planted, index_col=0).iterrows():
            keys = [key for key in ("ap", "ap_error", "auc", "auc_error") if key in row]
            stream = "fused" if name == "configured fusion" else str(name)
            streams[stream] = streams.get(stream, {}) | {f"pseudo_{key}": row[key] for key in keys}
    return [
        {**about, "stream": name, **{key: _text(figures.get(key)) for key in FIGURES}}
        for name, figures in streams.items()
    ]


def agreement(alone: pd.DataFrame, kinds: pd.DataFrame) -> str:
    """Streams by what is known without labels and on labels, and Spearman's correlations of the two, as Markdown.

    alone: the ablation's table of single streams, by stream; without labels, it has no columns `on_labels_*`. kinds:
    its AP of each kind of pseudo-anomaly, a column each, of whose two sorts the means are judges, too. A judge that has
    no figure of some stream ranks the others; '' with fewer than three, or if all figures are equal.
    """
    judges = {"ap": "AP planted", "frames": "AP, kinds of frames", "objects": "AP, kinds of objects"}
    judges, labels = judges | {"stability": "stability"}, {"ap": "AP on labels", "auc": "AUC on labels"}
    of_objects = [hasattr(object_kinds, kind) for kind in kinds]
    table = alone.drop(index="configured fusion", errors="ignore")
    table = table.assign(
        frames=kinds.loc[:, [not of for of in of_objects]].mean(axis=1), objects=kinds.loc[:, of_objects].mean(axis=1)
    )
    figures = table[[*judges, *(f"on_labels_{name}" for name in labels)]].astype(float)
    streams = [[f"`{stream}`", *map(_text, row)] for stream, row in zip(figures.index, figures.to_numpy(), strict=True)]
    found = figures.corr("spearman", min_periods=3).loc[list(judges), figures.columns[len(judges) :]]
    correlations = [
        [heading, str(figures[judge].count()), *map(_text, found.loc[judge])] for judge, heading in judges.items()
    ]
    return "\n\n".join(
        [
            markdown([["stream", *judges.values(), *labels.values()], *streams]),
            markdown([["Spearman's correlation", "n", *labels.values()], *correlations]),
        ]
    )


def _of_boxes(levels: dict[str, Any]) -> dict[str, Any]:
    pixel, region = levels.get("pixel", {}), levels.get("region", {})
    aupro = next((value for name, value in pixel.items() if name.startswith("aupro_")), None)
    names = {"auroc": "pixel_auroc", "ap": "pixel_ap"}
    names |= {f"{name}_per_frame": f"{of_pixels}_per_frame" for name, of_pixels in names.items()}
    return {**region, "aupro": aupro, **{ours: pixel.get(theirs) for theirs, ours in names.items()}}


def _text(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.3f}"


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    """A row per data set, settings and stream, as far as they differ; `value ± error` for each figure and run."""
    shown = pd.DataFrame(index=table.index)
    for name, heading in FIGURES.items():
        if heading:
            error = table.get(f"{name}_error", pd.Series("", table.index))
            shown[heading] = table[name] + error.map(lambda text: f" ± {text}" if text else "")
    keys = [key for key in ("dataset", "stream", "settings") if table[key].nunique() > 1 or key == "stream"]
    shown = pd.concat([table[[*keys, "run"]], shown], axis=1)
    wide = shown.pivot_table(index=keys, columns="run", aggfunc="first", sort=False)
    runs = list(dict.fromkeys(table["run"]))
    columns = [(heading, run) for heading in filter(None, FIGURES.values()) for run in runs]
    wide = wide.reindex(columns=columns).fillna("")
    wide = wide.loc[:, (wide != "").any()]
    wide.columns = [f"{figure} {run}".strip() for figure, run in wide.columns]
    wide = wide.reset_index()
    wide["stream"] = "`" + wide["stream"] + "`"
    return wide


if __name__ == "__main__":
    main()
