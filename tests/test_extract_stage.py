"""Stage `extract`: who asks for tracks, what decides them, kills and damage, and how they reach detectors."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.pipeline import files_below
from tests.test_detect_stage import FRAMES, options, prepared

from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.detectors.base import Spec
from pixelplay.errors import MissingArtifactError, PixelPlayError
from pixelplay.objects import tracker
from pixelplay.objects.tables import with_objects
from pixelplay.objects.tracks import tracks_of
from pixelplay.stages import detect, evaluate, events, explain, extract, fuse, prepare, report, score, status, train

__all__ = ["options"]  # a fixture

FOLLOWING = "{algorithm:following,frames:null,training:{},scoring:{}}"


@pytest.fixture
def asking(options: list[str]) -> list[str]:
    """The run of `options` with a second detector, which asks for tracks."""
    return [*options, f"+detectors.following={FOLLOWING}"]


def detected(asking: list[str], *more: str) -> Config:
    config = prepared(asking, *more)
    detect.run(config)
    return config


def tables(folder: str | Path = "cache") -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("tracks-*.parquet"))}


def interrupted_after_one(make: Callable) -> Callable:
    """The function, which can be called once, and the user's Ctrl-C after that."""
    calls = iter([make])

    def interrupted(*given: object) -> object:
        for call in calls:
            return call(*given)
        raise KeyboardInterrupt

    return interrupted


# --- who asks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "needs"),
    [
        ({}, ()),
        ({"boxes": True}, ("boxes",)),
        ({"tracks": True}, ("boxes", "tracks")),
        ({"features": True}, ("boxes", "tracks", "features")),
    ],
)
def test_what_a_detector_asks_for_implies_what_that_is_made_of(flags: dict[str, bool], needs: tuple[str, ...]):
    spec = Spec("any", 1, "any", **flags)
    assert spec.needs == needs
    assert (spec.boxes, spec.tracks, spec.features) == tuple(need in needs for need in ("boxes", "tracks", "features"))


def test_detectors_that_need_only_boxes_leave_the_stage_nothing_to_do(options: list[str], caplog):
    caplog.set_level("INFO")
    config = detected(options)
    assert registry.needing(config, "tracks") == []
    assert extract.pending(config) is None
    extract.run(config)
    assert "no detector of this run asks for tracks" in caplog.text
    assert tables() == {}
    train.run(config)


def test_tracks_wait_for_boxes_and_training_waits_for_tracks(asking: list[str]):
    config = prepared(asking)
    with pytest.raises(MissingArtifactError, match=r"detect: not done yet.*run `python src/detect\.py`"):
        extract.run(config)
    detect.run(config)
    assert extract.pending(config) == "extract-tracks: not done yet"
    with pytest.raises(MissingArtifactError, match=r"extract-tracks: not done yet.*run `python src/extract\.py`"):
        train.run(config)
    extract.run(config)
    train.run(config)


# --- what is followed -----------------------------------------------------------------------------------------------


def test_the_walker_is_one_track_and_a_still_video_has_an_empty_table(asking: list[str], caplog):
    caplog.set_level("INFO")
    config = detected(asking)
    extract.run(config)
    index = with_objects(config, prepare.load_index(config), ["boxes", "tracks"])
    for video in (*index.train, *index.test):
        tracks = tracks_of(video)
        assert tracks.position.tolist() == ([] if video.id == "still" else list(range(FRAMES)))
        assert set(tracks.track.tolist()) == (set() if video.id == "still" else {1})  # ids start anew in each video
    assert f"extract: 3 tracks, {3 * FRAMES} boxes in {4 * FRAMES} frames" in caplog.text
    held = next(iter(index.held))  # blocks of both training videos are held out
    assert held.tracks is not None and 0 < len(held) < FRAMES
    assert tracks_of(held).position.tolist() == list(range(len(held)))
    assert tracks_of(held).box.tolist() == list(range(held.start, held.start + len(held)))


def test_a_detector_gets_the_tracks_of_its_videos_in_training_and_scoring(asking: list[str]):
    config = detected(asking)
    for stage in (extract, train, score, fuse, events, evaluate, explain, report):
        stage.run(config)
    scored = pd.read_parquet("outputs/folder/scores/following-objects.parquet")
    of_test = scored[scored["split"] == "test"]
    assert of_test.groupby("video")["frame"].agg(list).to_dict() == {"c": list(range(FRAMES))}
    assert set(scored["track"]) == {1}
    assert all(not stage.pending(config) for stage in status.STAGES.values())


# --- when there is something to do ----------------------------------------------------------------------------------


def test_runs_share_tables_and_other_settings_have_their_own(asking: list[str], monkeypatch: pytest.MonkeyPatch):
    config = detected(asking)
    extract.run(config)
    assert extract.pending(config) is None
    first = tables()
    assert len(first) == 4
    with monkeypatch.context() as patched:
        patched.setattr(tracker, "follow", None)  # nobody calls it again
        extract.run(config)
        extract.run(detected(asking, "run=other"))
    changed = detected(asking, "objects.tracks.lost=1.5")
    assert extract.pending(changed) == "extract-tracks: objects.tracks.lost changed"
    extract.run(changed)
    assert len(tables()) == 8


def test_other_tracks_or_boxes_train_their_detectors_again_and_no_others(asking: list[str]):
    for stage in (detect, extract, train):
        stage.run(prepared(asking))
    changed = prepared(asking, "objects.tracks.fill=0.1")
    reasons = [task.name for task in train.tasks(changed) if task.pending()]
    assert reasons == ["train-following"]
    extract.run(changed)
    train.run(changed)
    boxes = prepared(asking, "objects.tracks.fill=0.1", "objects.motion.threshold=12.0")
    assert extract.pending(boxes) == "extract-tracks: detect: methods.motion.threshold changed"
    detect.run(boxes)
    before = len(tables())
    extract.run(boxes)
    assert len(tables()) == before + 4  # of other boxes


def test_a_table_that_was_damaged_is_named_and_made_again(asking: list[str]):
    config = detected(asking)
    extract.run(config)
    before = tables()
    [damaged] = (Path(name) for name in before if "/train/a/" in name)
    damaged.write_bytes(before[str(damaged)][:300])
    assert f"{damaged.name} has other contents than were written" in (extract.pending(config) or "")
    with pytest.raises(
        MissingArtifactError, match=rf"{damaged.name}: no objects followed.*run `python src/extract\.py`"
    ):
        train.run(config)
    extract.run(config)
    assert tables() == before


def test_interrupted_it_goes_on_with_the_next_video_and_ends_with_the_same_bytes(
    asking: list[str], monkeypatch: pytest.MonkeyPatch
):
    config = detected(asking)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(tracker, "follow", interrupted_after_one(tracker.follow))
        extract.run(config)
    done = {path: os.stat(path).st_mtime_ns for path in tables()}
    assert len(done) == 1
    extract.run(config)
    assert {path: os.stat(path).st_mtime_ns for path in done} == done  # not made twice
    resumed = tables()
    assert len(resumed) == 4
    for path in resumed:
        Path(path).unlink()
    extract.run(config)
    assert tables() == resumed
    assert not [path for path in files_below(Path("cache")) if path.name.endswith(".tmp")]


def test_a_full_disk_is_told_before_anything_is_followed(asking: list[str], monkeypatch: pytest.MonkeyPatch):
    config = detected(asking)
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=10))
    with pytest.raises(PixelPlayError, match=r"cache: .* MB are needed, .* set paths\.cache=FOLDER"):
        extract.run(config)
    assert tables() == {}
    assert extract.pending(config) == "extract-tracks: not done yet"
