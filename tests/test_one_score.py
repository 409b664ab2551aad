"""One name is one score: metrics, thresholds and histograms of a detector all measure what enters the fusion."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from tests.patchcore import FRAMES, NAME, config

from pixelplay.config import Config
from pixelplay.report import gather as reporting
from pixelplay.report.outcome import load_outcome
from pixelplay.run.artifacts import read_table
from pixelplay.run.files import RunFiles
from pixelplay.stages import detect, evaluate, events, extract, fuse, prepare, score, train

STRANGE = range(11, 16)
SHARES = {"spatial": 0.49, "temporal": 0.21, "global": 0.3}


@pytest.fixture(scope="module", autouse=True)
def labelled(patchcore_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A finished run of VideoPatchCore, with labels of its test videos, as the working folder."""
    folder = shutil.copytree(patchcore_run, tmp_path_factory.mktemp("labelled") / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        label()
        yield


def label() -> None:
    Path("data/test_labels").mkdir()
    for video in ("strange", "still"):
        rows = "".join(f"{t},{int(video == 'strange' and t in STRANGE)}\n" for t in range(FRAMES))
        Path(f"data/test_labels/{video}.csv").write_text("frame,label\n" + rows)
    for stage in (prepare, detect, extract, train, score):
        stage.run(config())
    shutil.rmtree("data")  # what comes next needs the outputs alone


def evaluated(*overrides: str) -> Config:
    made = config(*overrides)
    for stage in (fuse, events, evaluate):
        stage.run(made)
    return made


def test_thresholds_and_histograms_are_of_the_scores_that_the_metrics_measure():
    made = evaluated()
    files = RunFiles.of(made)
    table = pd.read_parquet(files.fused).query("stream == @NAME")
    metrics = json.loads(files.metrics.read_text())
    labels = [int(r.video == "strange" and r.frame in STRANGE) for r in table.query("split == 'test'").itertuples()]
    scores = table.query("split == 'test'")["score"]
    assert metrics["detectors"][NAME]["ap"] == pytest.approx(average_precision_score(labels, scores))
    normal = table.query("split == 'calibration'")["score"].to_numpy()
    assert metrics["thresholds"][NAME]["percentile"]["value"] == pytest.approx(np.percentile(normal, 95))
    outcome = load_outcome(made, prepare.load_index(made))
    shown = reporting._distributions(made, outcome)[NAME]
    assert sorted(shown["held-out normal"]) == pytest.approx(sorted(normal))
    assert sorted(np.concatenate([shown["test, normal"], shown["test, anomalous"]])) == pytest.approx(sorted(scores))


def test_unsmoothed_figures_of_a_composite_are_of_the_same_composite():
    parts = ",".join(f"{NAME}/{part}:{{weight:{share},normalise:{{method:minmax}}}}" for part, share in SHARES.items())
    composite = f"+fusion.composites.{NAME}={{method:power_mean,power:4.0,streams:{{{parts}}}}}"
    made = evaluated(composite)
    raw = read_table(RunFiles.of(made).scores(NAME), "score").query("split == 'test'")
    wide = raw.pivot_table(index=["video", "frame"], columns="stream", values="score", sort=False)
    unit = (wide - wide.min()) / (wide.max() - wide.min())
    composed = sum(share * unit[f"{NAME}/{stream}"] ** 4 for stream, share in SHARES.items())
    labels = [int(video == "strange" and frame in STRANGE) for video, frame in composed.index]
    metrics = json.loads(RunFiles.of(made).metrics.read_text())["detectors"][NAME]
    assert metrics["unsmoothed"]["ap"] == pytest.approx(average_precision_score(labels, composed))
    own = average_precision_score(labels, wide[NAME].loc[composed.index])
    assert metrics["unsmoothed"]["ap"] != pytest.approx(own)  # the detector's own rule is another
