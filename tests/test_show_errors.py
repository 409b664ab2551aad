"""The three autoencoders in one run, and the error maps that show where their scores come from."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests.pipeline import CPU, run_here

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.explain.frames import chosen_frames, peaks_of, scores_of
from pixelplay.run.files import RunFiles
from pixelplay.stages import evaluate, events, explain, fuse, prepare, score, train
from pixelplay.videos.index import Index

FAMILY = ["conv_ae", "denoising_ae", "st_ae"]
SIZES = ("dataset.sample.min_frames=30", "dataset.sample.max_frames=40")
OPTIONS = ("workers=1", "pseudo.kinds=[freeze]", *SIZES)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `experiment=tiny` has run with all three."""
    folder = tmp_path_factory.mktemp("family")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage in (prepare, train, score, fuse, events, evaluate):
            stage.run(tiny())
    return folder


def tiny(*overrides: str) -> Config:
    return load_config(["experiment=tiny", *OPTIONS, *overrides])


@pytest.fixture(autouse=True)
def there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def raw_scores(stream: str) -> pd.DataFrame:
    table = pd.read_parquet(RunFiles.of(tiny()).scores(stream.partition("/")[0]))
    return table[(table["split"] == "test") & (table["stream"] == stream)]


def test_each_of_the_three_and_their_fusion_are_measured(place: Path):
    metrics = json.loads((place / "outputs/tiny/metrics.json").read_text())
    assert list(metrics["detectors"]) == FAMILY
    for figures in (*metrics["detectors"].values(), metrics["fused"]):
        assert 0 < figures["ap"] < 1
        assert 0 < figures["auc_micro"] < 1


@pytest.mark.parametrize("name", FAMILY)
def test_an_error_map_s_mean_is_the_frame_s_score_by_the_mean(name: str):
    config = tiny()
    detector = registry.create(name, config.detectors[name], CPU)
    detector.load(RunFiles.of(config).detector(name))
    video = Index.load(RunFiles.of(config).index).test[1]
    positions = [0, 7, len(video) - 1]
    outputs, errors = detector.reconstruct(video, positions)
    assert outputs.shape == errors.shape == (3, 32, 32)
    assert outputs.dtype == errors.dtype == np.float32
    assert 0 <= outputs.min() <= outputs.max() <= 1
    scores = raw_scores(f"{name}/mean").query("video == @video.id")["score"].to_numpy()
    np.testing.assert_allclose(errors.mean(axis=(1, 2)), scores[positions], rtol=1e-5)
    # The mean of squares is at least the square of the mean, over the windows that cover the frame.
    frames = video.frames(config.detectors[name].frames)[positions] / 255
    assert (errors >= (outputs - frames) ** 2 - 1e-6).all()


def test_the_command_draws_a_picture_for_each_detector(place: Path):
    done = run_here("explain.py", "experiment=tiny", *OPTIONS, "show.what=[errors]", "show.count=2", cwd=place)
    assert done.returncode == 0, done.stderr
    for name in FAMILY:
        path = f"outputs/tiny/explain/errors/{name}.png"
        assert path in done.stdout
        picture = cv2.imread(str(place / path))
        assert picture.shape[1] > 900  # frame, reconstruction and error side by side
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 200


def chosen(*overrides: str, stream: str = "conv_ae") -> list[tuple[str, int, float]]:
    """Video, frame number and score of the frames that would be shown."""
    config = tiny(*overrides)
    index = prepare.load_index(config)
    return [(v.id, int(v.numbers[t]), s) for v, t, s in chosen_frames(config, index, scores_of(config, stream, index))]


def test_the_frames_shown_are_each_video_s_peak_and_the_lowest_of_all():
    scores = raw_scores("conv_ae")
    peaks = scores.loc[scores.groupby("video")["score"].idxmax()].sort_values("score", ascending=False)
    lowest = scores.loc[[scores["score"].idxmin()]]
    expected = pd.concat([peaks.head(2), lowest])[["video", "frame", "score"]]
    assert chosen("show.count=2") == [tuple(row) for row in expected.itertuples(index=False)]


def test_the_frames_asked_for_are_shown_in_that_order():
    video = prepare.load_index(tiny()).test[0]
    numbers = [int(video.numbers[9]), int(video.numbers[3])]
    rows = chosen(f"show.video={video.id}", f"show.frames={numbers}")
    assert [row[:2] for row in rows] == [(video.id, number) for number in numbers]
    scores = raw_scores("conv_ae").query("video == @video.id")["score"].to_numpy()
    assert [row[2] for row in rows] == [scores[9], scores[3]]


def test_peaks_of_one_video_keep_their_distance():
    scores = np.zeros(60)
    scores[[10, 12, 26, 27, 59]] = [5, 4, 3, 4.5, 1]
    assert peaks_of(scores, 3, 16) == [10, 27, 59]  # 12 and 26 are within 16 frames of a higher one
    assert peaks_of(np.ones(5), 9, 16) == [2]  # the middle of a plateau


def test_a_video_or_frame_that_is_not_there_is_named_with_what_is():
    with pytest.raises(ConfigError, match=r"show\.video='nowhere'.*allowed here: "):
        chosen("show.video=nowhere")
    video = prepare.load_index(tiny()).test[0].id
    with pytest.raises(ConfigError, match=rf"show\.frames: video {video} has no frame 9999; it has frames \d+ to \d+"):
        chosen(f"show.video={video}", "show.frames=[9999]")
    with pytest.raises(ConfigError, match=r"of which video\? set show\.video"):
        tiny("show.frames=[1]")


def test_pictures_that_no_detector_of_the_run_offers_are_refused():
    for what, message in (("neighbours", "compares frames with normal footage"), ("boxes", "uses detected objects")):
        with pytest.raises(ConfigError, match=rf"none of {', '.join(FAMILY)} {message}.*videopatchcore"):
            explain.run(tiny(f"show.what=[{what}]"))


def test_error_maps_of_a_detector_that_has_not_scored_are_refused():
    with pytest.raises(MissingArtifactError, match=r"score-conv_ae: scoring\.pooling changed.*src/score\.py`"):
        explain.run(tiny("detectors.conv_ae.scoring.pooling=mean", "show.what=[errors]"))
