"""Scores fused frame by frame, against the fusion of tables with the same raw scores and causal smoothers."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.held import held_bytes
from tests.online_run import LENGTH, SIZE, NewFootage, fuse_again, index_of, tracks_at, written_run

from pixelplay.config import Config
from pixelplay.detectors.stream import MomentScores
from pixelplay.errors import ConfigError, DataError
from pixelplay.evaluation.members import read_members
from pixelplay.evaluation.score_tables import object_streams, read_object_streams, read_scores, scored_names
from pixelplay.objects.moments import Moment
from pixelplay.online.fusion import Fused, OnlineFusion
from pixelplay.run.artifacts import write_text
from pixelplay.scores.fuse import compose, fuse
from pixelplay.scores.objects import frame_scores, fuse_objects
from pixelplay.scores.resmoothed import causal
from pixelplay.scores.settings import FUSED, OBJECTS
from pixelplay.scores.table import NEW

WITH_GAPS = np.delete(np.arange(3, LENGTH + 3), [10, 11, 40])
ALL = ("conv_ae", "st_ae", "videopatchcore", "object_motion", "object_appearance")
FEW = ("conv_ae", "object_motion")


def offline(config: Config, new: NewFootage, weights: dict) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The fused table and that of objects, as `predict` makes them, with the causal counterpart of the fusion."""
    index, fusion = index_of(), causal(config.fusion)
    tables = {str(s): t for name in scored_names(config) for s, t in read_scores(config, name, index).groupby("stream")}
    frames, objects = dict(new.frames), None
    if object_streams(config):
        known = read_object_streams(config, index)
        rows = {s: new.boxes.assign(split=NEW, stream=s, score=new.objects[s]) for s in known}
        joined = {s: pd.concat([known[s], rows[s]], ignore_index=True) for s in known}
        objects = fuse_objects(joined, fusion.objects)
        objects = objects[objects["split"] == NEW]
        frames[OBJECTS] = frame_scores(objects, [(NEW, "x", new.numbers)], fusion.objects)["score"].to_numpy()
    for stream, scores in frames.items():
        rows = {"split": NEW, "video": "x", "frame": new.numbers, "stream": stream, "score": scores}
        tables[stream] = pd.concat([tables[stream], pd.DataFrame(rows)], ignore_index=True)
    tables |= compose(tables, fusion, weights)
    members, _, _ = read_members(config, tables)
    named = {stream: member for stream, member in fusion.members.items() if stream in members}
    fused = fuse(members, fusion.model_copy(update={"members": named}), weights)
    return fused[fused["split"] == NEW], objects


def online(config: Config, new: NewFootage) -> list[Fused]:
    stream = OnlineFusion(config, index_of()).stream()
    return [stream.step(moment, scores) for moment, scores in new.moments(config)]


@pytest.mark.parametrize(
    ("detectors", "overrides"),
    [
        (ALL, []),
        (ALL, ["fusion=source"]),
        (ALL, ["fusion=source", "fusion.default.smooth.method=median", "fusion.bounds=[-1.0,1.0]"]),
        (FEW, ["fusion.method=rank_mean", "fusion.default.normalise.method=rank", "fusion.default.smooth.method=ema"]),
        (FEW, ["fusion.method=power_mean", "fusion.default.normalise.method=calibrated_tail"]),
        (FEW, ["fusion.default.normalise.method=calibrated_z", "fusion.default.smooth.method=savitzky_golay"]),
        (FEW, ["fusion.default.normalise.method=percentile", "fusion.method=product", "fusion.objects.top=1"]),
        (
            FEW,
            ["fusion.objects.normalise.method=minmax", "fusion.objects.smooth.method=median", "fusion.method=maximum"],
        ),
        (
            FEW,
            ["+fusion.members={conv_ae/mean:{weight:2.0,normalise:{method:robust_z,clip:[-2.0,2.0]}},objects:{}}"],
        ),
    ],
)
def test_frame_by_frame_scores_are_those_of_the_tables_with_causal_smoothers(
    tmp_path: Path, detectors: Sequence[str], overrides: list[str]
):
    config = written_run(tmp_path, *overrides, detectors=detectors)
    new = NewFootage.of(config, WITH_GAPS)
    table, objects = offline(config, new, {})
    found = online(config, new)
    scores = table[table["stream"] == FUSED]["score"].to_numpy()
    np.testing.assert_allclose([one.score for one in found], scores, rtol=1e-9, atol=1e-9)
    for stream in found[0].members:
        wanted = table[table["stream"] == stream]["score"].to_numpy()
        np.testing.assert_allclose([one.members[stream] for one in found], wanted, rtol=1e-9, atol=1e-9)
    assert {*found[0].members, FUSED} == set(table["stream"])
    if objects is not None:
        ordered = objects.sort_values(["frame", "track"])["score"].to_numpy()
        every = np.concatenate([one.objects for one in found if one.objects is not None])
        np.testing.assert_allclose(every, ordered, rtol=1e-9, atol=1e-9)
    else:
        assert all(one.objects is None for one in found)


def test_corrupted_frames_count_less_as_in_the_tables(tmp_path: Path):
    weight = ["fusion.corrupted_frames.weight=0.2", "fusion.corrupted_frames.noise_above=5.0"]
    rows = [f"{v},{n},0.0,0.0,0,none" for v in "vw" for n in range(LENGTH)]
    text = "\n".join(["video,frame,flip_probability,noise_level,flipped,denoised", *rows])
    write_text(tmp_path / "sample/restoration.csv", text + "\n")
    config = written_run(tmp_path, *weight, detectors=ALL)
    new = NewFootage.of(config, WITH_GAPS)
    own = {NEW: {"x": np.where(new.corrupted, 0.2, 1.0)}, "test": {v: np.ones(LENGTH) for v in "vw"}}
    scores = offline(config, new, own)[0].query(f"stream == '{FUSED}'")["score"].to_numpy()
    np.testing.assert_allclose([one.score for one in online(config, new)], scores, rtol=1e-9, atol=1e-9)
    plain = offline(config, new, {})[0].query(f"stream == '{FUSED}'")["score"].to_numpy()
    assert np.abs(scores - plain).max() > 0.01


def test_members_that_cannot_stream_are_left_out_by_name_and_the_others_weigh_as_without_them(tmp_path: Path):
    config = written_run(tmp_path / "all", detectors=ALL)
    fusion = OnlineFusion(config, index_of(), ["conv_ae", "object_motion"])
    assert fusion.remarks == [
        "object_appearance is left out of the scores of objects: object_appearance can't score frame by frame",
        "videopatchcore/spatial is left out of the scores of objects: videopatchcore can't score frame by frame",
        "st_ae is left out of the fusion: st_ae can't score frame by frame",
        "videopatchcore/global is left out of the fusion: videopatchcore can't score frame by frame",
    ]
    assert fusion.detectors == {"conv_ae", "object_motion"}
    few = written_run(tmp_path / "few")
    new = NewFootage.of(config, WITH_GAPS)
    for name in ("conv_ae", "object_motion"):  # the same raw scores
        for kind in ("", "-objects"):
            if (path := tmp_path / f"all/sample/scores/{name}{kind}.parquet").exists():
                shutil.copyfile(path, tmp_path / f"few/sample/scores/{name}{kind}.parquet")
    fuse_again(few)
    stream, alone = fusion.stream(), OnlineFusion(few, index_of())
    found = [stream.step(moment, scores).score for moment, scores in new.moments(config)]
    only = alone.stream()
    np.testing.assert_allclose(found, [only.step(*of).score for of in new.moments(config)], rtol=1e-12)
    pd.testing.assert_frame_equal(fusion.run.fused, alone.run.fused)


def test_nothing_left_a_scale_of_whole_videos_and_external_files_are_refused(tmp_path: Path):
    config = written_run(tmp_path, detectors=ALL)
    with pytest.raises(ConfigError, match=r"no member can be scored frame by frame .*conv_ae"):
        OnlineFusion(config, index_of(), [])
    scoped = written_run(tmp_path, "fusion.default.normalise.scope=video", detectors=ALL)
    with pytest.raises(ConfigError, match=r"conv_ae: normalise.scope=video"):
        OnlineFusion(scoped, index_of())
    (tmp_path / "best.csv").write_text("Id,Predicted\n")
    with pytest.raises(ConfigError, match=r"best.csv: scores of the run's test videos alone"):
        OnlineFusion(written_run(tmp_path).model_copy(update={"fusion": external(config, tmp_path)}), index_of())


def external(config: Config, folder: Path):
    return config.fusion.model_copy(update={"external": [folder / "best.csv"]})


def test_a_missing_stream_is_named(tmp_path: Path):
    config = written_run(tmp_path)
    moment, scores = next(NewFootage.of(config, np.arange(3)).moments(config))
    with pytest.raises(DataError, match="frame 0: no score of conv_ae"):
        OnlineFusion(config, index_of()).stream().step(moment, {"object_motion": scores["object_motion"]})
    with pytest.raises(DataError, match="frame 0: no scores of objects by object_motion"):
        OnlineFusion(config, index_of()).stream().step(moment, {"conv_ae": scores["conv_ae"]})


def test_state_is_bounded_and_a_frame_takes_less_than_a_millisecond(tmp_path: Path):
    """Ten objects at a time, each for 50 frames."""
    config = written_run(tmp_path, detectors=("conv_ae", "object_motion", "object_appearance"))
    stream = OnlineFusion(config, index_of()).stream()
    rows = pd.DataFrame({"x1": 1.0, "y1": 1.0, "x2": 9.0, "y2": 9.0, "track": np.arange(10)})
    rng = np.random.default_rng(0)
    raw = {
        s: rng.gamma(2.0, 1.0, 10).astype(np.float32) for s in ("object_motion/magnitude", "object_motion/direction")
    }
    of_objects = MomentScores({"object_motion": 1.0}, raw)
    looks = MomentScores({"object_appearance": 1.0}, {"object_appearance": raw["object_motion/direction"]})
    image, times = np.zeros((SIZE[1], SIZE[0], 3), np.uint8), []

    def step(t: int) -> None:
        first = 10 * (t // 50)
        tracks = tracks_at(t, rows.assign(track=rows["track"] + first + 1))
        gone = tuple(range(first - 9, first + 1)) if t % 50 == 0 and t else ()
        moment = Moment(t, t, t / 10, image, 0.0, {}, tracks, tracks.label, ended=gone)
        scores = {"conv_ae": MomentScores({"conv_ae": float(t % 7)})}
        began = time.thread_time()
        stream.step(moment, {**scores, "object_motion": of_objects, "object_appearance": looks})
        times.append(time.thread_time() - began)

    held = []
    for t in range(600):
        step(t)
        if t in (399, 599):
            held.append(held_bytes(stream))
    assert np.median(times) < 1e-3
    assert held[1] - held[0] < 50_000 and len(stream._tracks) == 10


def test_contributions_are_how_far_members_are_above_what_is_usual_by_weight(tmp_path: Path):
    plain = ["fusion.default.normalise.method=none", "fusion.objects.normalise.method=none", "fusion.bounds=null"]
    config = written_run(tmp_path, *plain)
    fusion = OnlineFusion(config, index_of())
    new = NewFootage.of(config, np.arange(30))
    found = online(config, new)[-1]
    usual = fusion.run.fused.query("split == 'calibration'").groupby("stream")["score"].median()
    added = {m: max(found.members[m] - usual[m], 0) * w for m, w in (("conv_ae", 1.0), (OBJECTS, 4.0))}
    total = sum(added.values())
    wanted = {m: value / total for m, value in added.items()} if total else dict.fromkeys(added, 0.5)
    assert found.contributions == pytest.approx(wanted, abs=1e-4)
    assert found.objects is not None and len(found.objects)
    assert sum(found.contributions_of(0).values()) == pytest.approx(1, abs=1e-3)
    assert set(found.contributions_of(0)) == {"object_motion/magnitude", "object_motion/direction"}


def test_streams_share_nothing(tmp_path: Path):
    config = written_run(tmp_path)
    fusion, new = OnlineFusion(config, index_of()), NewFootage.of(config, np.arange(30))
    first, second = fusion.stream(), fusion.stream()
    alone = [first.step(moment, scores).score for moment, scores in new.moments(config)]
    for moment, scores in new.moments(config):
        again = second.step(moment, scores).score
        first.step(replace(moment, number=moment.number + 100), scores)
        assert again == alone[moment.position]
