"""The contracts of `detectors/base.py` and `detectors/stream.py`, which every registered algorithm keeps, and the
detectors of docs/examples.
"""

import gc
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FunctionType, ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from tests.fitted import CASES, EXAMPLES, Fitted, crossing, walk

import pixelplay.detectors
from pixelplay.detectors import registry
from pixelplay.detectors.base import Calibrates, Scores
from pixelplay.detectors.stream import MomentScores, StreamFormat, Streams
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.objects.moments import Moment

OBJECT_COLUMNS = ["frame", "track", "x1", "y1", "x2", "y2", "class", "stream", "score"]


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the detectors of the documentation."""
    path = [*pixelplay.detectors.__path__, str(EXAMPLES / "detectors")]
    monkeypatch.setattr(pixelplay.detectors, "__path__", path)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, prepared: Callable[[str], Fitted]) -> Fitted:
    return prepared(request.param)


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def require_same(first: Scores, second: Scores) -> None:
    assert list(first.streams) == list(second.streams)
    for stream, values in first.streams.items():
        assert values.tobytes() == second.streams[stream].tobytes(), stream
    if first.objects is not None:
        pd.testing.assert_frame_equal(first.objects, second.objects, check_exact=True)


def test_every_registered_algorithm_is_tested_here(prepared: Callable[[str], Fitted]):
    missing = set(registry.specs()) - {prepared(name).config.algorithm for name in CASES}
    assert not missing, f"add a Case to CASES in tests/fitted.py, small and fast, for: {', '.join(missing)}"


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("count", [1, 2, 13])
def test_every_frame_has_a_finite_float32_score_in_every_stream(case: Fitted, count: int, causal: bool):
    video = case.video(f"{count} frames", *walk(count, 5))
    scores = case.detector.score(video, causal)
    assert list(scores.streams) == [case.name, *(f"{case.name}/{stream}" for stream in CASES[case.name].streams)]
    for values in scores.streams.values():
        assert (values.dtype, values.shape) == (np.float32, (count,))
        assert np.isfinite(values).all() and (values >= 0).all()  # of these detectors: errors and distances
    if (table := scores.objects) is not None:
        assert list(table.columns) == OBJECT_COLUMNS
        assert set(table["frame"]) <= set(video.numbers) and set(table["stream"]) <= set(scores.streams)
        assert np.isfinite(table["score"]).all()


def test_a_loaded_detector_gives_the_same_scores_and_saves_the_same_bytes(case: Fitted):
    first, video = case.fitted("training"), case.video("v", *walk(13, 5))  # goes on from what is in its folder
    second = case.loaded()
    require_same(first.score(video), second.score(video))
    second.save(case.place / "again")
    assert bytes_below(case.place / "again") == bytes_below(case.folder)


def test_a_seed_decides_what_is_learned_and_scoring_settings_do_not(case: Fitted):
    case.fitted("other training", **CASES[case.name].rescored).save(case.place / "rescored")
    assert bytes_below(case.place / "rescored") == bytes_below(case.folder)


def test_scores_of_a_video_depend_on_no_other_video_and_no_order(case: Fitted):
    videos = [case.video(f"v{i}", *walk(count, 5 + i)) for i, count in enumerate((13, 9))]
    first, second = case.loaded(), case.loaded()
    forth = [first.score(video) for video in videos]
    back = [second.score(video) for video in reversed(videos)][::-1]
    for one, other, again in zip(forth, back, map(first.score, videos), strict=True):
        require_same(one, other)
        require_same(one, again)


def test_causal_scores_do_not_change_when_later_frames_do(case: Fitted):
    frames, boxes = walk(14, 5)
    changed, moved = frames.copy(), boxes.copy()
    changed[8:] = 255 - changed[8:]
    moved[8:] += [2, 1, 2, 1]
    detector, videos = case.detector, [case.video("as it is", frames, boxes), case.video("turned", changed, moved, 8)]
    before, after = (detector.score(video, causal=True).streams for video in videos)
    for stream in before:
        assert np.array_equal(before[stream][:8], after[stream][:8]), stream
        assert not np.array_equal(before[stream][8:], after[stream][8:]), stream
    before, after = (detector.score(video).streams[case.name] for video in videos)
    assert np.array_equal(before[:8], after[:8]) is not CASES[case.name].looks_ahead


def test_another_detector_s_checkpoint_is_refused(case: Fitted, prepared: Callable[[str], Fitted]):
    names = list(CASES)
    other = prepared(names[names.index(case.name) - 1])
    with pytest.raises(ConfigError, match=f"{re.escape(str(other.folder))}.*train again"):
        case.new().load(other.folder)


def test_footage_that_was_fitted_on_is_scored_by_who_can(case: Fitted):
    detector = case.detector
    if isinstance(detector, Calibrates):
        for scores, video in zip(detector.calibrate(case.footage), case.footage, strict=True):
            scores.check(video, case.name)


def test_a_detector_that_was_not_saved_is_reported_with_the_command_that_makes_it(case: Fitted, tmp_path: Path):
    with pytest.raises(MissingArtifactError, match=r"detector\.json is missing.*src/train\.py"):
        case.new().load(tmp_path)


# --- frame by frame ---------------------------------------------------------------------------------------------------


def require_equal(first: list[MomentScores], second: list[MomentScores]) -> None:
    for one, other in zip(first, second, strict=True):
        assert one.streams == other.streams
        for stream, scores in (one.objects or {}).items():
            assert np.array_equal(scores, (other.objects or {})[stream]), stream


def test_online_scores_are_the_causal_scores_of_the_video(case: Fitted):
    expected, found = case.detector.score(case.crossing, causal=True), case.online_scores
    assert all(list(one.streams) == list(expected.streams) for one in found)
    for stream, values in expected.streams.items():
        of_frames = [one.streams[stream] for one in found]
        np.testing.assert_allclose(of_frames, values, rtol=1e-5, err_msg=stream)
        assert len(set(values)) > 2, "a video whose scores differ, or equality says little"
    if expected.objects is None:
        assert all(one.objects is None for one in found)
        return
    parts = []
    for moment, scores in zip(case.moments(case.crossing), found, strict=True):
        for stream, values in scores.objects.items():
            assert (values.dtype, values.shape) == (np.float32, (len(moment.tracks),))
            row = {"stream": stream, "frame": moment.number, "track": moment.tracks.track, "score": values}
            parts.append(pd.DataFrame(row))
    keys = ["stream", "frame", "track"]
    table = pd.concat(parts).sort_values(keys, ignore_index=True)
    rows = expected.objects.sort_values(keys, ignore_index=True)[list(table.columns)]
    pd.testing.assert_frame_equal(table, rows, rtol=1e-5, atol=0, check_dtype=False)


@pytest.mark.parametrize("name", ["conv_ae", "st_ae"])
def test_online_scores_in_bf16_are_the_causal_scores_within_a_percent(
    name: str, prepared: Callable[[str], Fitted], tmp_path: Path
):
    """A percent is what bf16 itself changes scores by; on a CPU, batches of all sizes gave the same bits."""
    case = prepared(name)
    folder = Path(shutil.copytree(case.folder, tmp_path / "bf16"))
    about = (folder / "detector.json").read_text()
    (folder / "detector.json").write_text(about.replace('"bf16": false', '"bf16": true'))
    detector, video = case.new(), case.crossing
    detector.load(folder)
    assert isinstance(detector, Streams)
    stream = detector.stream(StreamFormat(video.size, 25.0, video.id))
    found = [stream.step(moment).streams for moment in case.moments(video)]
    exact = case.detector.score(video, causal=True).streams
    for key, values in detector.score(video, causal=True).streams.items():
        np.testing.assert_allclose([one[key] for one in found], values, rtol=1e-2, err_msg=key)
        assert not np.array_equal(values, exact[key]), "computed in bf16"


def test_random_masks_of_a_stream_are_those_of_the_video_that_it_is_named_after(prepared: Callable[[str], Fitted]):
    case = prepared("videomae_reconstruction")
    detector, video = case.loaded(masks=case.config.scoring["masks"] | {"kind": "random"}), case.crossing
    assert isinstance(detector, Streams)
    expected = detector.score(video, causal=True).streams[case.name]
    for name, same in ((video.id, True), ("another", False)):
        stream = detector.stream(StreamFormat(video.size, 25.0, name))
        found = [stream.step(moment).streams[case.name] for moment in case.moments(video)]
        assert np.allclose(found, expected, rtol=1e-5, atol=0) is same


def test_an_online_score_stays_between_the_strides(case: Fitted):
    stride, found = case.stream(case.crossing).stride, case.online_scores
    for t, one in enumerate(found):
        assert one.streams == found[t - t % stride].streams


def test_later_frames_change_no_online_score(case: Fitted):
    before, after = case.online_scores, case.online(crossing(case, "changed", 8))
    require_equal(before[:8], after[:8])
    assert [one.streams for one in before[8:]] != [one.streams for one in after[8:]]


def test_streams_do_not_influence_each_other(case: Fitted):
    videos = [case.crossing, case.video("walk", *walk(18, 2), 9)]
    alone = [case.online_scores, case.online(videos[1])]
    streams = [case.stream(video) for video in videos]
    found: list[list[MomentScores]] = [[], []]
    for moments in zip(*map(case.moments, videos), strict=True):
        for of_stream, stream, moment in zip(found, streams, moments, strict=True):
            of_stream.append(stream.step(moment))
    for one, expected in zip(found, alone, strict=True):
        require_equal(one, expected)


def test_a_stream_keeps_no_more_however_long_it_is(case: Fitted):
    moments, stream, kept = list(case.moments(case.crossing)), case.stream(case.crossing), []
    for again in range(12):
        for moment in moments:
            stream.step(repeated(moment, again, len(moments)))
        if again in (5, 11):
            kept.append(held(stream))
    assert kept[0] == kept[1]  # after 108 and 216 frames, in bytes and objects


def repeated(moment: Moment, again: int, frames: int) -> Moment:
    """A moment of a video that is shown over and over again, whose objects are new ones each time."""
    tracks = moment.tracks
    position, track = tracks.position + again * frames, tracks.track + 10 * again
    return replace(
        moment,
        position=moment.position + again * frames,
        number=moment.number + again * 30,
        seconds=moment.seconds + again * 1.2,
        tracks=replace(tracks, position=position, track=track),
        ended=tuple(one + 10 * again for one in moment.ended),
    )


def held(root: object) -> tuple[int, int]:
    """Bytes, and number, of all arrays, tensors and other objects that can be reached from one."""
    seen: dict[int, object] = {}
    left = [root]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, type | ModuleType):
            continue
        seen[id(one)] = one
        if isinstance(one, FunctionType):
            left += one.__closure__ or ()  # not its module
        elif isinstance(one, np.ndarray) and one.base is not None:
            left.append(one.base)
        elif isinstance(one, torch.Tensor):
            left.append(one.untyped_storage())
        else:
            left += gc.get_referents(one)
    return sum(map(size, seen.values())), len(seen)


def size(one: object) -> int:
    if isinstance(one, torch.UntypedStorage):
        return one.nbytes()
    measured = isinstance(one, torch.Tensor | pd.DataFrame | pd.Series | pd.Index)  # by what they are made of
    return 0 if measured else sys.getsizeof(one)
