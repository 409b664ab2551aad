"""A run's fusion tuned by hand: its figures are those of an independent library, and a file of it fuses the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score
from tests.planted_run import CLIPS, FRAMES, LABELS, Run, planted, planted_run

from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.evaluation.fusion_tuner import FusionTuner
from pixelplay.evaluation.members import FRAMES as OF_FRAMES
from pixelplay.evaluation.members import as_judged, submitted_frames
from pixelplay.run.files import RunFiles
from pixelplay.scores import fusion_file
from pixelplay.stages import fuse, prepare

LABELS_OF_CLIPS = np.tile(LABELS, len(CLIPS))


@pytest.fixture
def run(small_run: list[str]) -> Run:
    return planted_run(small_run)


def raw(stream: str, signal: float) -> np.ndarray:
    """(clips, frames), as the run's tables have them."""
    return np.stack([planted(i, signal, len(stream)) for i in range(len(CLIPS))]).astype(np.float32).astype(np.float64)


def minmax(scores: np.ndarray) -> np.ndarray:
    return (scores - scores.min()) / (scores.max() - scores.min())


def ap(scores: np.ndarray) -> float:
    return float(average_precision_score(LABELS_OF_CLIPS, scores.ravel()))


def test_figures_follow_weights_smoothing_and_normalisation(run: Run):
    config = run()
    fuse.run(config)
    tuner = FusionTuner(config)
    a, b = raw("conv_ae", 3.0), raw("st_ae", 0.0)
    assert tuner.weights == {"conv_ae": 1.0, "st_ae": 1.0} and tuner.external == []
    own = tuner.measure(tuner.configured)
    assert (own.figure, own.gain, own.error) == (pytest.approx(ap(minmax(a) + minmax(b))), 0.0, 0.0)

    weights = {"conv_ae": 0.5, "st_ae": 2.0}
    weighed = 0.5 * minmax(a) + 2 * minmax(b)
    found = tuner.measure(tuner.fusion(weights))
    assert found.figure == pytest.approx(ap(weighed)) and found.gain == pytest.approx(found.figure - own.figure)
    assert found.error > 0
    frozen = [i for i, clip in enumerate(CLIPS) if clip.startswith("freeze")]
    expected = average_precision_score(np.tile(LABELS, len(frozen)), weighed[frozen].ravel())
    assert found.kinds == {"freeze": pytest.approx(float(expected)), "reversal": found.kinds["reversal"]}

    alone = tuner.measure(tuner.fusion({"conv_ae": 1.0, "st_ae": 0.0}, sigma=2.0))
    smooth = gaussian_filter1d(minmax(a), 2.0, axis=1, mode="constant")
    smooth /= gaussian_filter1d(np.ones(FRAMES), 2.0, mode="constant")  # over the frames that exist
    assert alone.figure == pytest.approx(ap(smooth))
    assert tuner.measure(tuner.fusion({"conv_ae": 1.0, "st_ae": 0.0}, sigma=0.0)).figure == pytest.approx(ap(a))

    ranked = tuner.measure(tuner.fusion(weights, normalise="rank"))
    ranks = [rankdata(scores).reshape(scores.shape) for scores in (a, b)]
    assert ranked.figure == pytest.approx(ap(0.5 * ranks[0] + 2 * ranks[1]))
    with pytest.raises(ConfigError, match="all fusion weights are 0"):
        tuner.measure(tuner.fusion({"conv_ae": 0.0, "st_ae": 0.0}))


def test_a_written_fusion_fuses_as_it_was_measured_and_external_files_keep_their_weight(run: Run, tmp_path: Path):
    index = prepare.load_index(run())
    rows = [f"{int(v)}_{n},{i / 10}" for i, (v, n) in enumerate(submitted_frames(index))]
    (tmp_path / "old.csv").write_text("\n".join(["Id,Predicted", *rows]) + "\n")
    config = run(f"fusion.external=[{tmp_path}/old.csv]", "+fusion.members.old.weight=3.0")
    fuse.run(config)
    tuner = FusionTuner(config)
    assert tuner.external == ["old"] and list(tuner.weights) == ["conv_ae", "st_ae"]
    with pytest.raises(ConfigError, match=r"name=: no name: choose another one"):
        tuner.save(tuner.configured, config)
    w2 = config.model_copy(update={"name": "w2"})
    file = tuner.save(tuner.fusion({"conv_ae": 1.5, "st_ae": 0.5}, sigma=1.0), w2)
    assert file == RunFiles.of(config).outputs / "fusions/w2/fusion.yaml"
    written = fusion_file.read(file)
    assert {name: member.weight for name, member in written.members.items()} == {"conv_ae": 1.5, "st_ae": 0.5, "old": 3}
    assert written.members["conv_ae"].smooth.sigma == 1.0 and not written.select_members

    config = run()
    fuse.run(config)
    tuner = FusionTuner(config)
    fusion = tuner.fusion({"conv_ae": 1.5, "st_ae": 0.5}, sigma=1.0)
    w3 = config.model_copy(update={"name": "w3"})
    file = tuner.save(fusion, w3)
    fuse.run(w3.model_copy(update={"fusion": fusion_file.read(file), "fusion_file": file}))
    fused = pd.read_parquet(RunFiles.of(w3).fused).query("split == 'pseudo' and stream == 'fused'")
    assert tuner.measure(fusion).figure == pytest.approx(ap(fused["score"].to_numpy()))


def test_what_judges_left_out_stays_out_of_frames_and_of_objects(run: Run):
    fusion = run("+fusion.members.st_ae.weight=2.0").fusion
    judged = pd.DataFrame(
        [
            ("conv_ae", OF_FRAMES, True),
            ("st_ae", OF_FRAMES, False),
            ("object_place", "objects", True),
            ("object_motion/magnitude", "objects", False),
        ],
        columns=["member", "of", "left_out"],
    )
    found = as_judged(fusion, judged)
    assert {name: member.weight for name, member in found.members.items()} == {"conv_ae": 0, "st_ae": 2}
    assert found.objects.streams == {**fusion.objects.streams, "object_place": 0} and not found.select_members


def test_a_run_without_pseudo_anomalies_is_told_what_to_do(run: Run):
    config = run()
    replace(prepare.load_index(config), pseudo=[]).save(RunFiles.of(config).index)
    with pytest.raises(MissingArtifactError, match="pseudo=none"):
        FusionTuner(config)
