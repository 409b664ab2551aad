"""The contracts of `detectors/base.py` and `detectors/stream.py`, which every registered algorithm keeps, and the
detectors of docs/examples.
"""

import gc
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import timm
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from tests.pipeline import CPU, ROOT, trainer_config
from tests.small_videomae import SIDE, saved_videomae

import pixelplay.detectors
from pixelplay.backbones.object_maps import neighbours
from pixelplay.cli import load_config
from pixelplay.detectors import registry
from pixelplay.detectors.base import Calibrates, Detector, Scores
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.stream import MomentScores, Stream, StreamFormat, Streams
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.objects import boxes as box_tables
from pixelplay.objects.boxes import Boxes
from pixelplay.objects.features import writing
from pixelplay.objects.flow import flow_in_boxes
from pixelplay.objects.moments import Moment, moments_of
from pixelplay.objects.tracks import Tracks, cropped
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Maps, Video, format_name

EXAMPLES = ROOT / "docs/examples"
WIDTH, HEIGHT, BOX = 96, 64, 20
OBJECT_COLUMNS = ["frame", "track", "x1", "y1", "x2", "y2", "class", "stream", "score"]


@dataclass(frozen=True)
class Case:
    """A detector made small and fast.

    overrides: of its shipped configuration. rescored: changes of its scoring, which must change nothing that is
    learned. streams: beside its own. looks_ahead: whether later frames change scores that are not causal.
    """

    overrides: tuple[str, ...] = ()
    rescored: dict[str, Any] = field(default_factory=dict)
    streams: tuple[str, ...] = ()
    looks_ahead: bool = True


POOLINGS = ("mean", "max", "topk", "patch_max")
SMALL_AE = ("frames.height=16", "frames.width=16", "training.window=4", "training.widths=[4,8]", "scoring.patch=4")
SMALL_VIDEOMAE = (f"frames.height={SIDE}", f"frames.width={SIDE}", "scoring.stride=3")
SMALL_PATCHES = ("training.patches.image_size=64", "training.patches.channels=8")
SMALL_VIDEOPATCHCORE = ("training.clip=4", "training.stride=2", *SMALL_PATCHES)
SMALL_TEMPORAL_MAE = (
    *("training.window=4", "training.stride=2", "scoring.stride=3", "training.heads.contrastive.size=4"),
    *(f"training.transformer.{size}" for size in ("width=8", "depth=1", "heads=2", "feed_forward=8")),
    *("training.max_epochs=2", "training.warmup_epochs=1"),
)
SMALL_COMPLETION = ("training.cube.side=8", "training.every=1", "training.widths=[4,4]", "training.max_epochs=2")
CASES = {  # by the detector's name in configs/detector/, or in docs/examples/
    "conv_ae": Case(SMALL_AE, {"batch_size": 2, "pooling": "mean", "patch": 3, "topk": 0.5}, POOLINGS),
    "st_ae": Case(SMALL_AE, {"batch_size": 2}, POOLINGS),
    "videomae_profile": Case(
        (*SMALL_VIDEOMAE, "training.stride=2"),
        {"stride": 2, "batch_size": 2, "distance": "mahalanobis", "variance_floor": 0.5},
        ("mse", "mahalanobis"),
    ),
    "videomae_reconstruction": Case(
        (*SMALL_VIDEOMAE, "scoring.masks.count=4", "scoring.masks.ratio=0.75"),
        {"stride": 2, "batch_size": 2, "pooling": "top", "top": 0.5},
        ("mean", "top"),
    ),
    "videopatchcore": Case(
        (*SMALL_VIDEOPATCHCORE, "training.folds=2", "training.noise.share=0.5", "scoring.stride=2"),
        {"stride": 1, "batch_size": 5, "quantile": 0.5, "power": 1, "spatial_weight": 0.5, "local_weight": 0.5},
        ("spatial", "temporal", "global"),
    ),
    "temporal_mae": Case(
        SMALL_TEMPORAL_MAE,
        {"stride": 2, "batch_size": 2, "alpha": 0.2, "quantile": 0.5, "decay": 0.5},
        ("reconstruction", "embedding"),
    ),
    "object_motion": Case(
        rescored={"quantile": 0.5, "weights": {"magnitude": 0.0, "direction": 1.0}},
        streams=("magnitude", "direction"),
        looks_ahead=False,
    ),
    "object_appearance": Case(),
    "object_place": Case(("training.folds=2", "training.count=20"), looks_ahead=False),
    "object_class": Case(("training.folds=2",)),
    "event_completion": Case(
        SMALL_COMPLETION,
        {"batch_size": 3, "quantile": 0.5, "weights": {"appearance": 0.0, "motion": 1.0}},
        ("appearance", "motion"),
    ),
    "frame_difference": Case(rescored={"blur": 1.0}, looks_ahead=False),
    "next_frame": Case(("training.steps=3",), looks_ahead=False),
}
# Detectors without `stream`, since they do not score causally, each with the reason.
NOT_YET: set[str] = set()


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the detectors of the documentation."""
    path = [*pixelplay.detectors.__path__, str(EXAMPLES / "detectors")]
    monkeypatch.setattr(pixelplay.detectors, "__path__", path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The pretrained networks, with random weights."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), folder / "backbone.safetensors")
    backbone = ["weights.backbone=timm:test_resnet", f"weights.backbone_file={folder}/backbone.safetensors"]
    return [*backbone, f"weights.videomae={saved_videomae(folder / 'videomae')}"]


def config_of(name: str, weights: list[str]) -> DetectorConfig:
    example = EXAMPLES / f"configs/detector/{name}.yaml"
    if example.is_file():
        values = OmegaConf.merge(OmegaConf.load(example), OmegaConf.from_dotlist(list(CASES[name].overrides)))
        return DetectorConfig.model_validate(OmegaConf.to_container(values))
    changes = [f"detectors.{name}.{override}" for override in CASES[name].overrides]
    return load_config([f"detector=[{name}]", *weights, *changes]).detectors[name]


@dataclass
class Fitted:
    """A detector that is fitted and saved once for all tests."""

    name: str
    config: DetectorConfig
    place: Path

    @cached_property
    def footage(self) -> list[Video]:
        return [self.video(f"fit{i}", *walk(16, i)) for i in range(2)]

    @cached_property
    def heldout(self) -> Heldout:
        """Footage for planting pseudo-anomalies, of which nothing may be learned, can't be read."""
        video = self.video("heldout", *walk(10, 3))
        gone = replace(video, folder=self.place / "gone", originals=None, objects=(), tracks=None, features=None)
        gone = replace(gone, crops=None, flow=None)
        return Heldout([video], [video], [gone])

    @cached_property
    def folder(self) -> Path:
        """Where it is saved."""
        self.fitted("training").save(self.place / "saved")
        return self.place / "saved"

    def new(self, **scoring: Any) -> Detector:
        """An unfitted one, with changes of its scoring."""
        config = self.config.model_copy(update={"scoring": self.config.scoring | scoring})
        return registry.create(self.name, config, CPU)

    def fitted(self, folder: str, **scoring: Any) -> Detector:
        detector = self.new(**scoring)
        run = TrainingRun(self.name, trainer_config(max_epochs=1, loggers=[]), self.place / folder, CPU, 0)
        detector.fit(self.footage, self.heldout, run)
        return detector

    def loaded(self, **scoring: Any) -> Detector:
        detector = self.new(**scoring)
        detector.load(self.folder)
        return detector

    def video(self, name: str, frames: np.ndarray, boxes: np.ndarray, odd_from: int = 1000) -> Video:
        """A video with one track: see `of_tracks`. From frame `odd_from` on the boxes are another class's."""
        rows, ids = np.arange(len(frames)), np.ones(len(frames), np.int64)
        known = Boxes.of(rows, boxes, ["person"] * len(frames), ids)
        tracks = Tracks(known.position, known.xyxy, known.label, known.confidence, ids, ids == 0, rows)
        return self.of_tracks(name, frames, tracks, ["person" if t < odd_from else "bicycle" for t in rows])

    def of_tracks(self, name: str, frames: np.ndarray, tracks: Tracks, labels: list[str]) -> Video:
        """A video as `prepare`, `detect` and `extract` hand it to this detector; its frame numbers start at 10.

        labels: of the boxes that were detected, in their order.
        """
        folder = self.place / name
        folder.mkdir(parents=True, exist_ok=True)
        if form := self.config.frames:
            small = [cv2.resize(frame, (form.width, form.height), interpolation=cv2.INTER_AREA) for frame in frames]
            gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small]
            np.save(folder / f"{format_name(form)}.npy", np.stack(gray if form.gray else small))
        count, table, found = len(frames), folder / "boxes.parquet", tracks[~tracks.interpolated]
        box_tables.save(Boxes.of(found.position, found.xyxy, labels, found.confidence), table)
        originals: Any = Frames(frames)
        video = Video(name, "test", np.arange(10, 10 + count), (WIDTH, HEIGHT), folder, originals=originals)
        return followed(replace(video, objects=(table,)), frames, tracks)

    def moments(self, video: Video) -> Iterator[Moment]:
        """What this detector gets of a video frame by frame."""
        formats = [self.config.frames] if self.config.frames else []
        needs = registry.specs()[self.config.algorithm].needs
        return moments_of(video, formats, needs)

    def stream(self, video: Video) -> Stream:
        detector = self.loaded()
        assert isinstance(detector, Streams)
        return detector.stream(StreamFormat(video.size, 25.0, video.id))

    def online(self, video: Video) -> list[MomentScores]:
        stream = self.stream(video)
        return [stream.step(moment) for moment in self.moments(video)]


def followed(video: Video, frames: np.ndarray, tracks: Tracks) -> Video:
    """With these tracks, maps of three channels, the colours in their boxes, the same of crops, and flow."""
    path, objects = video.folder / "tracks.parquet", load_config(["objects=default"]).objects
    box_tables.save(tracks, path)
    boxes = tracks.xyxy.astype(int).tolist()
    inside = (frames[t][y1:y2, x1:x2] for t, (x1, y1, x2, y2) in zip(tracks.position, boxes, strict=True))
    small = [cv2.resize(one, (3, 3), interpolation=cv2.INTER_AREA) for one in inside]
    colours = np.stack(small).transpose(0, 3, 1, 2) / 255
    video = replace(video, tracks=path)
    near = neighbours(tracks, cropped(video, objects.features.every, None))
    between = colours[near.before] + (colours[near.after] - colours[near.before]) * near.weight[:, None, None, None]
    flow = np.concatenate(list(flow_in_boxes(video, tracks, np.arange(len(frames)) / 25, objects.flow)))
    of_boxes = colours[~tracks.interpolated]
    stored = {"maps": (video.objects[0], of_boxes), "crops": (path, between), "flow": (path, flow)}
    for name, (table, values) in stored.items():
        dtype = np.float32 if name == "flow" else np.float16
        with writing(video.folder / f"{name}.npy", table, values.shape[1:], dtype) as writer:
            writer.extend(values.astype(dtype))
    every = {"maps": 1, "crops": objects.features.every, "flow": 1}
    found = {name: Maps(video.folder / f"{name}.npy", name == "maps", every[name]) for name in stored}
    return replace(video, features=found["maps"], crops=found["crops"], flow=found["flow"])


class Frames:
    """What `Video.originals` is in these tests: frames in memory, none of which was turned."""

    def __init__(self, frames: np.ndarray):
        self._frames = frames
        self.flipped = np.zeros(len(frames), bool)

    def frames(self) -> Iterator[np.ndarray]:
        return iter(self._frames)


def walk(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames, uint8 (T, H, W, 3), of a square that walks over a patterned ground, and its boxes, (T, 4)."""
    ground = np.random.default_rng(7).integers(40, 90, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    frames = np.repeat(ground.repeat(8, 0).repeat(8, 1)[None], count, axis=0)
    left, top = (np.arange(count) * 3 + 11 * seed) % (WIDTH - BOX), (4 + 9 * seed) % (HEIGHT - BOX)
    for frame, x in zip(frames, left, strict=True):
        frame[top : top + BOX, x : x + BOX] = (220, 140, 60)
    return frames, np.stack([left, np.full(count, top), left + BOX, np.full(count, top + BOX)], axis=1)


@pytest.fixture(scope="module")
def prepared(weights: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Fitted]:
    return cache(lambda name: Fitted(name, config_of(name, weights), tmp_path_factory.mktemp(name)))


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


def test_every_registered_algorithm_is_tested_here(weights: list[str]):
    missing = set(registry.specs()) - {config_of(name, weights).algorithm for name in CASES}
    assert not missing, f"add a Case to CASES in {Path(__file__).name}, small and fast, for: {', '.join(missing)}"


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("count", [1, 2, 13])
def test_every_frame_has_a_finite_float32_score_in_every_stream(case: Fitted, count: int, causal: bool):
    video = case.video(f"{count} frames", *walk(count, 5))
    scores = case.loaded().score(video, causal)
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
    detector, videos = case.loaded(), [case.video("as it is", frames, boxes), case.video("changed", changed, moved, 8)]
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
    detector = case.loaded()
    if isinstance(detector, Calibrates):
        for scores, video in zip(detector.calibrate(case.footage), case.footage, strict=True):
            scores.check(video, case.name)


def test_a_detector_that_was_not_saved_is_reported_with_the_command_that_makes_it(case: Fitted, tmp_path: Path):
    with pytest.raises(MissingArtifactError, match=r"detector\.json is missing.*src/train\.py"):
        case.new().load(tmp_path)


# --- frame by frame ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=[name for name in CASES if name not in NOT_YET])
def online(request: pytest.FixtureRequest, prepared: Callable[[str], Fitted]) -> Fitted:
    return prepared(request.param)


def crossing(case: Fitted, name: str, changed_from: int = 1000) -> Video:
    """A video with noisy and lost frames, whose objects come and go and are missed at times; from `changed_from` on
    its frames, boxes and classes are others.
    """
    frames, boxes = walk(18, 5)
    frames[4:, 40:56, 70:86] = (40, 90, 200)
    frames[13:] = frames[13:, :, :, ::-1]
    frames[changed_from:] = 255 - frames[changed_from:]
    rows = [  # position, track, box, interpolated, class
        *((t, 1, boxes[t], t in (5, 6, 9), "person") for t in range(1, 12)),
        *((t, 2, (70, 40, 86, 56), t == 10, "bicycle") for t in range(4, 13)),
        *((t, 7, boxes[t], False, "person") for t in range(13, 16)),  # and nothing in the last frames
    ]
    rows.sort(key=lambda row: row[:2])
    position, track, xyxy, interpolated, label = (np.array(column) for column in zip(*rows, strict=True))
    late = position >= changed_from
    xyxy[late] += [2, 1, 2, 1]
    label[late & ~interpolated] = "person"
    box = np.where(interpolated, -1, np.cumsum(~interpolated) - 1)
    sure = np.linspace(0.5, 0.9, len(rows)).astype(np.float32)
    tracks = Tracks(position, xyxy.astype(np.float32), label, sure, track, interpolated, box)
    video = case.of_tracks(name, frames, tracks, label[~interpolated].tolist())
    noise = np.where(np.isin(np.arange(18), [0, 6, 7, 14]), 20.0, 1.0).astype(np.float32)
    return replace(video, noise=noise, numbers=video.numbers + 3 * (np.arange(18) >= 8))


def require_equal(first: list[MomentScores], second: list[MomentScores]) -> None:
    for one, other in zip(first, second, strict=True):
        assert one.streams == other.streams
        for stream, scores in (one.objects or {}).items():
            assert np.array_equal(scores, (other.objects or {})[stream]), stream


def test_every_detector_scores_frame_by_frame_but_for_those_that_say_why_not(prepared: Callable[[str], Fitted]):
    assert {name for name in CASES if not isinstance(prepared(name).new(), Streams)} == NOT_YET


def test_online_scores_are_the_causal_scores_of_the_video(online: Fitted):
    video = crossing(online, "crossing")
    expected, found = online.loaded().score(video, causal=True), online.online(video)
    assert all(list(one.streams) == list(expected.streams) for one in found)
    for stream, values in expected.streams.items():
        of_frames = [one.streams[stream] for one in found]
        np.testing.assert_allclose(of_frames, values, rtol=1e-5, err_msg=stream)
        assert len(set(values)) > 2, "a video whose scores differ, or equality says little"
    if expected.objects is None:
        assert all(one.objects is None for one in found)
        return
    parts = []
    for moment, scores in zip(online.moments(video), found, strict=True):
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
    detector, video = case.new(), crossing(case, "crossing")
    detector.load(folder)
    assert isinstance(detector, Streams)
    stream = detector.stream(StreamFormat(video.size, 25.0, video.id))
    found = [stream.step(moment).streams for moment in case.moments(video)]
    exact = case.loaded().score(video, causal=True).streams
    for key, values in detector.score(video, causal=True).streams.items():
        np.testing.assert_allclose([one[key] for one in found], values, rtol=1e-2, err_msg=key)
        assert not np.array_equal(values, exact[key]), "computed in bf16"


def test_random_masks_of_a_stream_are_those_of_the_video_that_it_is_named_after(prepared: Callable[[str], Fitted]):
    case = prepared("videomae_reconstruction")
    detector, video = case.loaded(masks=case.config.scoring["masks"] | {"kind": "random"}), crossing(case, "crossing")
    assert isinstance(detector, Streams)
    expected = detector.score(video, causal=True).streams[case.name]
    for name, same in ((video.id, True), ("another", False)):
        stream = detector.stream(StreamFormat(video.size, 25.0, name))
        found = [stream.step(moment).streams[case.name] for moment in case.moments(video)]
        assert np.allclose(found, expected, rtol=1e-5, atol=0) is same


def test_an_online_score_stays_between_the_strides(online: Fitted):
    video = crossing(online, "crossing")
    stride, found = online.stream(video).stride, online.online(video)
    for t, one in enumerate(found):
        assert one.streams == found[t - t % stride].streams


def test_later_frames_change_no_online_score(online: Fitted):
    before, after = (online.online(crossing(online, *as_told)) for as_told in (("crossing",), ("changed", 8)))
    require_equal(before[:8], after[:8])
    assert [one.streams for one in before[8:]] != [one.streams for one in after[8:]]


def test_streams_do_not_influence_each_other(online: Fitted):
    videos = [crossing(online, "crossing"), online.video("walk", *walk(18, 2), 9)]
    alone, detector = [online.online(video) for video in videos], online.loaded()
    assert isinstance(detector, Streams)
    streams = [detector.stream(StreamFormat(video.size, 25.0, video.id)) for video in videos]
    found: list[list[MomentScores]] = [[], []]
    for moments in zip(*map(online.moments, videos), strict=True):
        for of_stream, stream, moment in zip(found, streams, moments, strict=True):
            of_stream.append(stream.step(moment))
    for one, expected in zip(found, alone, strict=True):
        require_equal(one, expected)


def test_a_stream_keeps_no_more_however_long_it_is(online: Fitted):
    moments = list(online.moments(crossing(online, "crossing")))
    stream, kept = online.stream(crossing(online, "crossing")), []
    for again in range(24):
        for moment in moments:
            stream.step(repeated(moment, again, len(moments)))
        kept.append(held(stream))
    assert kept[11] == kept[23]  # after 216 and 432 frames, in bytes and objects


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
