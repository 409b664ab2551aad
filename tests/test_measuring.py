"""Pixel, region and object metrics of object tables against masks and track files on disk, worked out by hand."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.test_object_tables import COLUMNS

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import DamagedArtifactError, DataError
from pixelplay.evaluation.objects import measure_objects
from pixelplay.run.artifacts import write_table
from pixelplay.run.files import RunFiles
from pixelplay.videos.mask_files import Masks, encode
from pixelplay.videos.truth import Truth, VideoTruth
from pixelplay.videos.truth_files import TrackBoxes
from pixelplay.videos.video import Video

FRAMES, WIDTH, HEIGHT = 6, 20, 10
SQUARE = (2, 2, 6, 6)  # of the anomaly in each frame of video a


def settings(tmp_path: Path, *overrides: str) -> Config:
    return load_config(["experiment=tiny", "detector=[conv_ae_tiny]", f"paths.outputs={tmp_path}/outputs", *overrides])


def video(
    name: str, masks: bool = True, tracks: TrackBoxes | None = None, first: int = 0, labels: np.ndarray | None = None
) -> tuple[Video, VideoTruth]:
    """A video whose frames 1..4 have one square anomaly; video b has none at all."""
    found = None
    if masks:
        stack = np.zeros((FRAMES, HEIGHT, WIDTH), bool)
        x1, y1, x2, y2 = SQUARE
        stack[1:5, y1:y2, x1:x2] = name != "b"
        found = Masks((WIDTH, HEIGHT), [encode(mask) for mask in stack])
    numbers = np.arange(first, first + FRAMES)
    return Video(name, "test", numbers, (WIDTH, HEIGHT), Path("none")), VideoTruth(name, numbers, labels, found, tracks)


def tracks(*rows: tuple[int, int, int, int, int, int]) -> TrackBoxes:
    """Of rows of track, frame, x1, y1, x2, y2."""
    values = np.array(rows)
    return TrackBoxes(values[:, 0], values[:, 1], values[:, 2:].astype(float))


Row = tuple[str, int, tuple[float, ...], float]  # video, frame, box, score


def report(config: Config, *rows: Row, normal: tuple[float, ...] = tuple(range(20)), stream: str = "conv_ae") -> None:
    """Write an object table: test rows, and held-out normal objects with these scores."""
    test = [("test", name, frame, -1, *box, stream, score) for name, frame, box, score in rows]
    held = [("calibration", "x", i, -1, 0, 0, 5, 5, stream, score) for i, score in enumerate(normal)]
    table = pd.DataFrame([*test, *held], columns=COLUMNS)
    write_table(RunFiles.of(config).object_scores("conv_ae"), table)


def objects(config: Config, *videos: tuple[Video, VideoTruth]) -> dict:
    return measure_objects(config, RunFiles.of(config), [v for v, _ in videos], Truth([t for _, t in videos]))


def measured(config: Config, *videos: tuple[Video, VideoTruth], stream: str = "conv_ae") -> dict:
    found = objects(config, *videos)
    return {**found, **found["detectors"]["conv_ae"]["streams"][stream]}


def test_boxes_that_are_the_truth_find_everything(tmp_path: Path):
    config = settings(tmp_path)
    report(config, *(("a", frame, SQUARE, 100.0) for frame in range(1, 5)))
    found = measured(config, video("a"), video("b"))
    assert (found["frames"], found["regions"], found["tracks"]) == (12, 4, 1)
    assert found["videos"] == {"tracks": 0, "masks": 2, "normal": 0}
    assert (found["region"]["rbdc"], found["region"]["tbdc"]) == (1.0, 1.0)
    assert found["pixel"]["auroc"] == found["pixel"]["ap"] == found["pixel"]["best_f1"] == 1.0
    assert found["pixel"]["aupro_0.3"] == pytest.approx(1.0)
    assert found["pixel"]["prevalence"] == pytest.approx(4 * 16 / (12 * WIDTH * HEIGHT))
    every = {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert found["tao"]["percentile"] == {"threshold": pytest.approx(18.05), "tao_region": every, "tao_track": every}


def test_frames_of_every_video_with_masks_share_the_false_positives(tmp_path: Path):
    # Two false positives above all else in video b: 2 / 12 false positives a frame before anything is found.
    config = settings(tmp_path)
    false = [("b", frame, SQUARE, 200.0 + frame) for frame in (0, 3)]
    report(config, *false, *(("a", frame, SQUARE, 100.0) for frame in range(1, 5)))
    found = measured(config, video("a"), video("b"))
    assert found["region"]["rbdc"] == pytest.approx(1 - 2 / 12)
    assert found["region"]["detections"] == 6
    normal = 12 * WIDTH * HEIGHT - 64
    assert found["pixel"]["auroc"] == pytest.approx(1 - 32 / normal)


def test_videos_without_masks_and_tracks_do_not_count(tmp_path: Path):
    config = settings(tmp_path)
    report(config, *(("a", frame, SQUARE, 100.0) for frame in range(1, 5)), ("c", 0, SQUARE, 500.0))
    found = measured(config, video("c", masks=False), video("a"))
    assert (found["frames"], found["region"]["rbdc"]) == (6, 1.0)


def test_a_video_labelled_normal_throughout_counts_with_its_false_alarms(tmp_path: Path):
    # Video c has neither masks nor tracks, but is known to be normal: its three boxes are false alarms, found first.
    config = settings(tmp_path)
    false = [("c", frame, SQUARE, 500.0) for frame in (0, 1, 2)]
    report(config, *false, *(("a", frame, SQUARE, 100.0) for frame in range(1, 5)))
    found = measured(config, video("c", masks=False, labels=np.zeros(FRAMES, np.uint8)), video("a"))
    assert (found["frames"], found["videos"]) == (12, {"tracks": 0, "masks": 1, "normal": 1})
    assert found["region"]["rbdc"] == found["region"]["tbdc"] == pytest.approx(1 - 3 / 12)
    normal = 12 * WIDTH * HEIGHT - 64
    assert found["pixel"]["auroc"] == pytest.approx(1 - 48 / normal)
    assert found["pixel"]["frames"] == 12


def test_a_track_file_wins_over_masks_for_regions_and_masks_stay_for_pixels(tmp_path: Path):
    boxes = tracks((7, 1, 2, 2, 6, 6), (7, 2, 2, 2, 6, 6), (9, 2, 12, 2, 16, 6), (9, 99, 12, 2, 16, 6))  # no frame 99
    config = settings(tmp_path)
    report(config, ("a", 1, SQUARE, 100.0), ("a", 2, SQUARE, 100.0))
    found = measured(config, video("a", tracks=boxes))
    assert (found["regions"], found["tracks"], found["videos"]) == (3, 2, {"tracks": 1, "masks": 0, "normal": 0})
    assert (found["region"]["rbdc"], found["region"]["tbdc"]) == (pytest.approx(2 / 3), 0.5)
    assert found["pixel"]["prevalence"] == pytest.approx(64 / (FRAMES * WIDTH * HEIGHT))


def test_tracks_alone_have_regions_and_no_pixels(tmp_path: Path):
    config = settings(tmp_path)
    report(config, ("a", 1, SQUARE, 100.0))
    found = measured(config, video("a", masks=False, tracks=tracks((7, 1, 2, 2, 6, 6))))
    assert found["region"]["rbdc"] == 1.0
    assert found["pixel"] == {"reason": "no pixel of 0 frames is anomalous: pixel metrics need both classes"}


def test_frame_numbers_of_videos_tracks_and_tables_belong_together(tmp_path: Path):
    config = settings(tmp_path)
    report(config, ("a", 101, SQUARE, 100.0))
    found = measured(config, video("a", tracks=tracks((0, 101, 2, 2, 6, 6)), first=100))
    assert (found["region"]["rbdc"], found["pixel"]["ap"]) == (1.0, pytest.approx(0.25 + 0.75 * 64 / 1200))


def test_tracks_of_two_videos_are_two(tmp_path: Path):
    config = settings(tmp_path)
    report(config, *((name, frame, SQUARE, 100.0) for name in "ac" for frame in range(1, 5)))
    found = measured(config, video("a"), video("c"))
    assert (found["tracks"], found["regions"]) == (2, 8)
    assert found["tao"]["percentile"]["tao_track"]["precision"] == 1.0
    # With one of the videos left out, one of two tracks is found: they were not counted as one.
    report(config, *(("a", frame, SQUARE, 100.0) for frame in range(1, 5)))
    assert measured(config, video("a"), video("c"))["region"]["tbdc"] == 0.5


def test_detected_tracks_of_two_videos_are_two_and_boxes_without_a_track_are_none_that_has_a_number(tmp_path: Path):
    config, elsewhere = settings(tmp_path), (12, 2, 16, 6)
    right = [("a", frame, SQUARE, 100.0) for frame in range(1, 5)]
    report(config, *right, *(("c", frame, elsewhere, 100.0) for frame in range(1, 5)))
    found = measured(config, video("a"), video("c"))["tao"]["percentile"]["tao_track"]
    assert (found["precision"], found["recall"]) == (0.5, 0.5)
    report(config, *right, *(("a", frame, elsewhere, 100.0) for frame in range(1, 5)))
    path = RunFiles.of(config).object_scores("conv_ae")
    table = pd.read_parquet(path)
    write_table(path, table.assign(track=np.where(table["x1"] == 2, 0, -1)))  # the right ones are track 0
    assert measured(config, video("a"))["tao"]["percentile"]["tao_track"]["precision"] == 0.5


def test_each_stream_is_measured_by_itself(tmp_path: Path):
    config = settings(tmp_path)
    columns = {"track": -1, "x1": 2.0, "y1": 2.0, "x2": 6.0, "y2": 6.0, "split": "test", "video": "a"}
    right = pd.DataFrame({"frame": range(1, 5), "stream": "conv_ae/good", "score": 1.0, **columns})
    wrong = pd.DataFrame({"frame": [0, 5], "stream": "conv_ae/bad", "score": 1.0, **columns})
    write_table(RunFiles.of(config).object_scores("conv_ae"), pd.concat([right, wrong]))
    streams = measured(config, video("a"), stream="conv_ae/good")["detectors"]["conv_ae"]["streams"]
    assert {name: s["region"]["rbdc"] for name, s in streams.items()} == {"conv_ae/good": 1.0, "conv_ae/bad": 0.0}
    assert streams["conv_ae/bad"]["pixel"]["auroc"] < 0.5 < streams["conv_ae/good"]["pixel"]["auroc"]


def test_the_threshold_of_tao_is_of_normal_objects_and_scores_on_it_are_below(tmp_path: Path):
    config = settings(tmp_path)
    report(config, *(("a", f, SQUARE, 5.0 if f == 1 else 5.5) for f in range(1, 5)), normal=(0.0, 5.0, 5.0, 5.0))
    found = measured(config, video("a"))["tao"]
    assert found["percentile"]["threshold"] == 5.0
    assert found["percentile"]["tao_region"] == {"precision": 1.0, "recall": 0.75, "f1": pytest.approx(6 / 7)}
    assert found["evt"]["threshold"] == 5.0  # too few for a tail: the greatest
    assert found["fixed"] == {"reason": "events.thresholds.fixed names none for data set 'tiny'"}


def test_only_what_is_asked_for_is_measured(tmp_path: Path):
    config = settings(tmp_path, "evaluate.metrics=[region]")
    report(config, ("a", 1, SQUARE, 100.0))
    streams = objects(config, video("a"))["detectors"]["conv_ae"]["streams"]
    assert set(streams["conv_ae"]) == {"region"}
    single = settings(tmp_path, "evaluate.metrics=[pixel_ap,rbdc,tao_track]")
    found = objects(single, video("a"))["detectors"]["conv_ae"]["streams"]["conv_ae"]
    assert {"ap", "ap_per_frame"} <= set(found["pixel"]) and not {
        "auroc",
        "auroc_per_frame",
        "aupro_0.3",
        "best_f1",
    } & set(found["pixel"])
    assert "rbdc" in found["region"] and "tbdc" not in found["region"]
    assert set(found["tao"]["evt"]) == {"threshold", "tao_track"}
    nothing = settings(tmp_path, "evaluate.metrics=[thresholds]")
    assert objects(nothing, video("a")) == {}


def test_without_a_table_or_truth_or_an_anomaly_there_is_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    config = settings(tmp_path)
    assert objects(config, video("a")) == {}
    report(config, ("a", 1, SQUARE, 100.0))
    assert objects(config, video("a", masks=False)) == {}
    report(config, ("b", 1, SQUARE, 100.0))
    assert objects(config, video("b")) == {}
    assert "no anomalous region in the masks and tracks of 1 videos" in caplog.text


def test_bad_boxes_are_refused(tmp_path: Path):
    config = settings(tmp_path)
    report(config, ("a", 1, (6, 2, 6, 6), 100.0))
    with pytest.raises(DataError, match="detections are no boxes"):
        measured(config, video("a"))
    report(config, ("a", 1, SQUARE, float("nan")))
    with pytest.raises(DamagedArtifactError, match="a score that is not finite"):
        measured(config, video("a"))
    report(config, ("a", FRAMES, SQUARE, 1.0))
    with pytest.raises(DamagedArtifactError, match="video 'a' has no frame 6"):
        measured(config, video("a"))
