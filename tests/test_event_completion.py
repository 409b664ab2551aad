"""Event completion: what a cube holds, that the erased patch is not seen, losses and scores by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.fitted import Frames
from tests.pipeline import CPU, shipped, trainer_config
from torch.nn import init

from pixelplay.detectors.object_streams.completion.cubes import Cubes, cut, flow_patch, resized
from pixelplay.detectors.object_streams.completion.detector import EventCompletion, check
from pixelplay.detectors.object_streams.completion.network import CompletionNet, Scale
from pixelplay.detectors.object_streams.completion.raw_scores import STREAMS, full_batches, raw_scores
from pixelplay.detectors.object_streams.completion.settings import CompletionSettings, CubeConfig
from pixelplay.detectors.object_streams.completion.store import Batch, StoredCubes, drawn, stored_cubes
from pixelplay.detectors.object_streams.completion.training import Training
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.errors import ConfigError, DataError
from pixelplay.objects import boxes as box_tables
from pixelplay.objects.boxes import Boxes
from pixelplay.objects.tracks import Tracks, tracks_of
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video

NAME = "event_completion"
SMALL = ("training.cube.side=8", "training.widths=[4,8]", "training.every=1")
WIDTH, HEIGHT, BOX = 64, 48, 16


def config_of(*overrides: str) -> DetectorConfig:
    """Boxes are not enlarged."""
    return shipped(NAME, *SMALL, *overrides, run=["objects.tubes.enlarge=1.0"])


def settings_of(*overrides: str) -> CompletionSettings:
    return CompletionSettings.model_validate(config_of(*overrides).training)


def cube_of(*overrides: str) -> CubeConfig:
    return settings_of(*(f"training.cube.{one}" for one in overrides)).cube


without_trainer = pytest.mark.filterwarnings("ignore:.*self.trainer")  # which Lightning logs to


# --- footage --------------------------------------------------------------------------------------------------------


def video_of(place: Path, frames: np.ndarray, boxes: Mapping[int, Mapping[int, Sequence[float]]]) -> Video:
    """A video of frames (T, H, W, 3), numbered from 10; boxes: by track and position."""
    place.mkdir(parents=True)
    rows = sorted((position, track, box) for track, every in boxes.items() for position, box in every.items())
    position, track = (np.array([row[i] for row in rows], np.int64) for i in (0, 1))
    xyxy = np.array([row[2] for row in rows], np.float32).reshape(-1, 4)
    label, one = np.array(["person"] * len(rows), np.str_), np.ones(len(rows), np.float32)
    box_tables.save(Boxes(position, xyxy, label, one), place / "boxes.parquet")
    box_tables.save(Tracks(position, xyxy, label, one, track, one == 0, np.arange(len(rows))), place / "tracks.parquet")
    originals: Any = Frames(frames)
    size = frames.shape[2], frames.shape[1]
    numbers = np.arange(10, 10 + len(frames))
    return Video(
        *(place.name, "test", numbers, size, place),
        originals=originals,
        objects=(place / "boxes.parquet",),
        tracks=place / "tracks.parquet",
        key=place.name,
    )


def walking(place: Path, length: int, seed: int, odd: int | None = None) -> Video:
    """A textured square that walks 2 pixels a frame; from the position `odd` on it is another one in each frame."""
    rng = np.random.default_rng(seed)
    frames = np.full((length, HEIGHT, WIDTH, 3), 90, np.uint8)
    texture = np.random.default_rng(1).integers(120, 255, (4, 4, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    left, top = (np.arange(length) * 2 + 5 * seed) % (WIDTH - BOX), (7 * seed) % (HEIGHT - BOX)
    for t, (frame, x) in enumerate(zip(frames, left, strict=True)):
        other = rng.integers(0, 255, (4, 4, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        frame[top : top + BOX, x : x + BOX] = texture if odd is None or t < odd else other
    boxes = {t: [int(x), top, int(x) + BOX, top + BOX] for t, x in enumerate(left)}
    return video_of(place, frames, {1: boxes})


def of_levels(place: Path, levels: Sequence[int], boxes: Mapping[int, Mapping[int, Sequence[float]]]) -> Video:
    """Each frame of one brightness."""
    frames = np.ones((len(levels), HEIGHT, WIDTH, 3), np.uint8) * np.array(levels, np.uint8)[:, None, None, None]
    return video_of(place, frames, boxes)


# --- cubes ----------------------------------------------------------------------------------------------------------


def test_a_cube_has_the_frames_around_the_object_s_own_in_order(tmp_path: Path):
    """Erased steps 2 and 4 of 5: from 4 frames before to 2 after."""
    box = [8, 8, 24, 24]
    video = of_levels(tmp_path / "v", range(10, 100, 10), {1: {1: box, 5: box}, 2: {5: box, 8: box}})
    tracks = tracks_of(video)
    parts = list(cut(video, tracks, np.arange(4), cube_of(), after=2))
    assert [part.rows.tolist() for part in parts] == [[0], [1, 2], [3]]
    levels = [part.patches[:, :, 3, 3, 0].tolist() for part in parts]
    assert levels[0] == [[10, 10, 10, 10, 20, 30, 40]]
    assert levels[1] == [[20, 30, 40, 50, 60, 70, 80]] * 2
    assert levels[2] == [[50, 60, 70, 80, 90, 90, 90]]
    assert all(part.patches.shape[2:] == (8, 8, 3) and part.patches.dtype == np.uint8 for part in parts)
    only = list(cut(video, tracks, np.array([2]), cube_of(), after=0))
    assert [part.patches[:, :, 0, 0, 0].tolist() for part in only] == [[[20, 30, 40, 50, 60]]]


def test_the_box_stays_where_it_is_at_the_object_s_own_frame(tmp_path: Path):
    """A dot that has just come into the box is in none of the patches before."""
    frames = np.zeros((4, HEIGHT, WIDTH, 3), np.uint8)
    for t in range(4):
        frames[t, 10:18, 8 * t : 8 * t + 8] = 200
    boxes = {t: [8 * t, 10, 8 * t + 8, 18] for t in range(4)}
    video = video_of(tmp_path / "v", frames, {1: boxes})
    (part,) = cut(video, tracks_of(video), np.array([3]), cube_of(), after=0)
    assert part.patches.mean(axis=(2, 3, 4)).tolist() == [[0, 0, 0, 0, 200]]


def test_larger_boxes_are_averaged_and_smaller_ones_interpolated():
    image = np.arange(64, dtype=np.uint8)[None, :, None].repeat(20, 0) * 4
    assert resized(image, np.array([8, 2, 16, 10]), 4)[0].ravel().tolist() == [34, 42, 50, 58]
    assert resized(image, np.array([8, 2, 10, 4]), 4)[0].ravel().tolist() == [32, 33, 35, 36]


def test_flow_is_in_widths_and_heights_of_the_box():
    """At half the size, 3 and -6 pixels are 6 and -12 of the full-size frame."""
    field = np.full((20, 30, 2), (3, -6), np.float32)
    found = flow_patch(field, np.array([10, 4, 22, 28]), 0.5, 8)
    assert found.shape == (8, 8, 2)
    assert found.reshape(-1, 2) == pytest.approx(np.tile([0.5, -0.5], (64, 1)))


@pytest.mark.parametrize("scale", [1, 2])
def test_flow_leads_from_the_frame_before_and_the_first_frame_has_no_cubes(tmp_path: Path, scale: int):
    """A texture that moves an eighth of a box to the right; the larger frame is reduced to half its size."""
    ground = np.random.default_rng(0).integers(0, 255, (12, 20), np.uint8).repeat(4 * scale, 0).repeat(4 * scale, 1)
    frames = np.stack([np.roll(ground, 2 * scale * t, axis=1) for t in range(3)])[..., None].repeat(3, -1)
    box = [side * scale for side in (24, 16, 40, 32)]
    video = video_of(tmp_path / "v", frames, {1: {0: box, 1: box, 2: box}})
    parts = list(cut(video, tracks_of(video), np.arange(3), cube_of("flow.longest_side=80"), after=0))
    assert [part.rows.tolist() for part in parts] == [[1], [2]]
    for part in parts:
        assert part.flow.dtype == np.float16
        assert np.median(part.flow[..., 0]) == pytest.approx(2 / 16, abs=0.01)
        assert np.median(part.flow[..., 1]) == pytest.approx(0, abs=0.01)


def test_every_nth_row_of_a_track_is_learnt_from_and_at_most_so_many(tmp_path: Path):
    """Rows 0, 2, 4 of track 1 are at positions 0, 2, 4, the first of which has no cube; of track 2 at 3 and 5."""
    box = [8, 8, 24, 24]
    place = {1: {t: box for t in range(6)}, 2: {t: box for t in range(3, 6)}}
    videos = [of_levels(tmp_path / name, [0] * 6, place) for name in "ab"]
    tracks = tracks_of(videos[0])
    for rows in drawn(videos, 2, 100, 0):
        assert list(zip(tracks.position[rows], tracks.track[rows], strict=True)) == [(2, 1), (3, 2), (4, 1), (5, 2)]
    few = drawn(videos, 2, 5, 0)
    assert sum(map(len, few)) == 5
    assert all(np.isin(some, rows).all() for some, rows in zip(few, drawn(videos, 2, 100, 0), strict=True))
    assert [rows.tolist() for rows in few] == [rows.tolist() for rows in drawn(videos, 2, 5, 0)]
    seeds = {tuple(map(tuple, (rows.tolist() for rows in drawn(videos, 2, 5, seed)))) for seed in range(5)}
    assert len(seeds) > 1
    assert drawn([], 2, 5, 0) == []


def run_in(folder: Path) -> TrainingRun:
    return TrainingRun(NAME, trainer_config(loggers=[]), folder, CPU, 0)


def test_stored_cubes_are_those_that_are_cut_and_are_found_again(tmp_path: Path):
    settings, videos = settings_of(), [walking(tmp_path / f"v{i}", 6, i) for i in range(2)]
    found = stored_cubes("cubes", videos, settings, run_in(tmp_path / "run"))
    assert len(found) == 10  # but the first frame of each
    batch = found[[7, 0]]
    (second,) = cut(videos[1], tracks_of(videos[1]), np.array([3]), settings.cube, settings.cube.after)
    assert np.array_equal(batch.patches[0], second.patches[0]) and np.array_equal(batch.flow[0], second.flow[0])
    files = sorted((tmp_path / "run").rglob("*.npy"))
    files[0].write_bytes(b"damaged")
    times = [file.stat().st_mtime_ns for file in files]
    again = stored_cubes("cubes", videos, settings, run_in(tmp_path / "run"))
    assert [file.stat().st_mtime_ns == time for file, time in zip(files, times, strict=True)] == [False] * 2 + [
        True
    ] * 2
    assert np.array_equal(again[[7, 0]].patches, batch.patches)


def test_the_scale_is_that_of_the_objects_own_patches_and_their_flow(tmp_path: Path):
    """Own patches black and white: mean and deviation 0.5. Flow of 0.1 and 0.7: root of (0.01 + 0.49) / 2."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, level, flow in zip(folders, (0, 255), (0.1, 0.7), strict=True):
        folder.mkdir()
        patches = np.full((1, 7, 8, 8, 3), 77, np.uint8)
        patches[:, 4] = level
        np.save(folder / "patches.npy", patches)
        np.save(folder / "flow.npy", np.full((1, 8, 8, 2), flow, np.float16))
    scale = StoredCubes(folders).scale(4)
    assert (scale.mean, scale.std, scale.flow) == pytest.approx((0.5, 0.5, 0.5), rel=1e-3)


# --- network --------------------------------------------------------------------------------------------------------


@pytest.fixture
def network() -> CompletionNet:
    torch.manual_seed(0)
    return CompletionNet(5, [4, 8, 8]).eval()


@torch.inference_mode()
def test_the_erased_patch_changes_nothing_and_each_of_the_others_does(network: CompletionNet):
    cubes = torch.randn(1, 5, 3, 8, 8)
    for erased in range(5):
        before = network(cubes, torch.tensor([erased]))
        for step in range(5):
            changed = cubes.clone()
            changed[:, step] = torch.randn(3, 8, 8)
            after = network(changed, torch.tensor([erased]))
            same = [torch.equal(one, other) for one, other in zip(before, after, strict=True)]
            assert same == [step == erased] * 2


@torch.inference_mode()
def test_the_network_sees_the_steps_around_the_erased_one(network: CompletionNet):
    """Patches at t - 4 .. t + 2 with levels 0, 51, .. 306 / 255: with step 2 erased the cube is t - 2 .. t + 2."""
    seen: list[torch.Tensor] = []
    network.first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][:, ::3, 0, 0]))
    network.standardise(Scale(0.0, 1.0, 1.0))
    patches = torch.arange(7, dtype=torch.uint8)[None, :, None, None, None].expand(2, 7, 8, 8, 3) * 25 + 25
    network.errors(patches, torch.zeros(2, 8, 8, 2), torch.tensor([2, 4]))
    levels = (seen[0] * 255).round().int().tolist()
    assert levels == [[75, 100, 0, 150, 175], [25, 50, 75, 100, 0]]


def constant(*values: float) -> CompletionNet:
    """A network that completes everything by these colours and this flow."""
    network = CompletionNet(5, [4, 8])
    init.zeros_(network.last.weight)
    network.last.bias.data = torch.tensor(values, dtype=torch.float32)
    network.standardise(Scale(0.5, 0.25, 0.1))
    return network


def white() -> Batch:
    """White own patches are (1 - 0.5) / 0.25 = 2 deviations from the mean; their flow is 1 and -2 of the usual."""
    patches = torch.zeros(3, 7, 8, 8, 3, dtype=torch.uint8)
    patches[:, 4] = 255
    return Batch(patches, torch.tensor([0.1, -0.2]).expand(3, 8, 8, 2))


def test_errors_are_means_of_squares_in_units_of_the_normal_spread():
    """Colours: ((2 - 0)^2 + (2 - 2)^2 + (2 - 1)^2) / 3; flow: ((1 - 1)^2 + (-2 - 1)^2) / 2."""
    appearance, motion = constant(0, 2, 1, 1, 1).errors(white().patches, white().flow, torch.tensor([2, 4, 4]))
    assert appearance.tolist() == pytest.approx([5 / 3] * 3)
    assert motion.tolist() == pytest.approx([4.5] * 3, rel=1e-5)


@without_trainer
def test_the_loss_is_the_weighted_sum_of_both_errors():
    """2 * 4 + 0.5 * (1 + 4) / 2"""
    settings = settings_of("training.loss.appearance=2.0", "training.loss.motion=0.5")
    training = Training(constant(0, 0, 0, 0, 0), settings, trainer_config(), 0)
    assert training.loss(white(), None, 0).item() == pytest.approx(9.25, rel=1e-5)
    assert training.loss(white(), 0, 0).item() == pytest.approx(9.25, rel=1e-5)


@without_trainer
def test_held_out_loss_is_the_mean_over_all_erased_steps(network: CompletionNet):
    torch.manual_seed(1)
    batch = Batch(torch.randint(256, (4, 7, 8, 8, 3), dtype=torch.uint8), torch.randn(4, 8, 8, 2))
    each = [torch.stack(network.errors(batch.patches, batch.flow, torch.full((4,), step))).mean() for step in (2, 4)]
    found = Training(network, settings_of(), trainer_config(), 0).loss(batch, None, 0)
    assert found.item() == pytest.approx(sum(each).item(), rel=1e-5)  # two steps, two errors


# --- scores ---------------------------------------------------------------------------------------------------------


@torch.inference_mode()
@pytest.mark.parametrize("steps", [(2, 4), (4,)])
def test_a_row_s_score_is_the_mean_error_over_the_erased_steps(network, tmp_path: Path, steps: Sequence[int]):
    """Boxes of 8 pixels, as patches are, so that a patch is a part of the frame."""
    frames = np.random.default_rng(0).integers(0, 255, (9, HEIGHT, WIDTH, 3), np.uint8)
    boxes = {t: [3 * t, 5, 3 * t + 8, 13] for t in range(9)}
    video = video_of(tmp_path / "v", frames, {1: boxes, 2: {4: [40, 20, 48, 28]}})
    found = raw_scores(network, cut(video, tracks_of(video), np.arange(10), cube_of(), after=2), 10, steps, 4)
    for row, (t, x, y) in {3: (3, 9, 5), 5: (4, 40, 20)}.items():
        times = np.arange(t - 4, t + 3).clip(0, 8)
        patches = torch.from_numpy(frames[times, y : y + 8, x : x + 8][None])
        each = [network.errors(patches, torch.zeros(1, 8, 8, 2), torch.tensor([step]))[0].item() for step in steps]
        assert found["appearance"][row] == pytest.approx(np.mean(each), rel=1e-5)
    assert [np.isnan(found[stream]).tolist() for stream in STREAMS] == [[True] + [False] * 9] * 2


def test_batches_are_full_and_the_last_one_says_how_many_are_real():
    def cubes(*rows: int) -> Cubes:
        return Cubes(np.array(rows), np.zeros((len(rows), 1)), np.zeros((len(rows), 1)))

    parts = [cubes(0, 1), cubes(2), cubes(3, 4, 5, 6, 7, 8, 9)]
    found = [(batch.rows.tolist(), real) for batch, real in full_batches(parts, 4)]
    assert found == [([0, 1, 2, 3], 4), ([4, 5, 6, 7], 4), ([8, 9, 9, 9], 2)]
    assert list(full_batches([], 4)) == []


# --- detector -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> EventCompletion:
    place = tmp_path_factory.mktemp("trained")
    videos = [walking(place / f"v{i}", 30, i) for i in range(5)]
    detector = EventCompletion(NAME, config_of("training.max_epochs=12", "training.batch_size=8"), CPU)
    detector.fit(videos[:3], Heldout(videos[3:4], videos[4:], []), run_in(place / "training"))
    return detector


def test_an_object_that_goes_on_otherwise_scores_above_one_that_goes_on_as_usual(trained, tmp_path: Path):
    scores = trained.score(walking(tmp_path / "odd", 24, 6, odd=12)).streams
    for stream in (NAME, f"{NAME}/appearance"):
        assert np.median(scores[stream][12:]) > scores[stream][:10].max()


def test_footage_that_follows_does_not_change_causal_scores(trained, tmp_path: Path):
    """Not even their rounding, though more cubes are scored."""
    whole = walking(tmp_path / "v", 16, 7)
    short, long = trained.score(whole.block(0, 7), causal=True), trained.score(whole, causal=True)
    for name, values in short.streams.items():
        assert values.tobytes() == long.streams[name][:7].tobytes()


def test_a_track_of_one_frame_a_video_of_one_and_one_without_objects_are_scored(trained, tmp_path: Path):
    box, normal = [8, 8, 24, 24], trained._calibrated
    one = trained.score(of_levels(tmp_path / "track", [90] * 5, {1: {3: box}})).streams
    assert np.isfinite(one[NAME]).all() and one[f"{NAME}/appearance"][0] == normal.lowest["appearance"][0].astype("f4")
    single = trained.score(of_levels(tmp_path / "single", [90], {1: {0: box}}), causal=True).streams
    assert single[f"{NAME}/motion"].tolist() == pytest.approx([np.median(normal.normal("motion"))])
    empty = trained.score(of_levels(tmp_path / "empty", [90] * 3, {}))
    assert empty.objects is not None and empty.objects.empty
    assert empty.streams[NAME].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("without", "message"), [("training", "training footage"), ("heldout", "held-out footage")])
def test_footage_without_objects_is_refused(tmp_path: Path, without: str, message: str):
    some = {"training": walking(tmp_path / "a", 6, 0), "heldout": walking(tmp_path / "b", 6, 1)}
    some[without] = of_levels(tmp_path / "c", [90] * 6, {})
    detector = EventCompletion(NAME, config_of(), CPU)
    with pytest.raises(DataError, match=f"no object was followed in {message}.*objects.tracks.high and .begin"):
        detector.fit([some["training"]], Heldout([some["heldout"]], [some["heldout"]], []), run_in(tmp_path / "run"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.cube.erased=[2]", r"erased=\[2\]: steps from 0 to 4; 4 among them, for causal scores"),
        ("training.cube.erased=[4,5]", r"erased=\[4, 5\]: steps from 0 to 4"),
        ("training.cube.erased=[4,4]", "listed more than once"),
        ("training.cube.side=9", "cube.side=9: 2 widths need one divisible by 2"),
    ],
)
def test_impossible_settings_are_refused(override: str, message: str):
    with pytest.raises(ConfigError, match=message):
        check(NAME, config_of(override))


def test_weights_of_unknown_streams_are_refused():
    config = config_of()
    scoring = config.scoring | {"weights": {"flow": 0.5}}
    with pytest.raises(ConfigError, match=r"weights=.*there must be one for each of appearance, motion"):
        check(NAME, config.model_copy(update={"scoring": scoring}))
