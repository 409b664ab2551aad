"""Perception of a stream: moments equal those of the same footage, recorded, whatever comes later; ids and memory."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.held import held_bytes
from tests.moments import (
    FORMATS,
    FPS,
    HEIGHT,
    WIDTH,
    arriving,
    corrupted,
    expected,
    footage,
    object_maps,
    objects_config,
    online,
    recorded,
    same_moment,
    walkers,
)
from tests.street import restore_config
from tests.test_real_data import PED2, needs_ped2
from tests.test_yolo import CPU, SHARED, random_weights

from pixelplay.cli import load_config
from pixelplay.detectors.stream import StreamFormat
from pixelplay.errors import ConfigError
from pixelplay.objects import motion
from pixelplay.objects.yolo import Yolo
from pixelplay.online.frame import Arrived
from pixelplay.online.perception import Models, Perception
from pixelplay.restoration.background import backgrounds
from pixelplay.restoration.flip_classifier import FlipClassifier
from pixelplay.restoration.flip_network import Accuracy, FlipNetwork
from pixelplay.restoration.restore import FrameJudge
from pixelplay.stages import prepare
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.video import Video

OBJECTS = objects_config()
NEEDS = ("boxes", "tracks", "crops", "flow")
Judges = tuple[FlipNetwork, list[np.ndarray]]


@pytest.fixture(scope="module")
def normal(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    folder = tmp_path_factory.mktemp("normal")
    return [footage(folder, f"{seed}", walkers(50, seed=seed), "train") for seed in (1, 2)]


@pytest.fixture(scope="module")
def judges(normal: list[Video]) -> Judges:
    """An untrained network, and backgrounds that know better."""
    config = restore_config()
    torch.manual_seed(0)
    network = FlipNetwork(FlipClassifier([4, 8], 4), config.frames, config.network, Accuracy(10, 0.9, None))
    return network, backgrounds(normal, config.frames)


@pytest.fixture(scope="module")
def blobs(normal: list[Video], judges: Judges) -> Models:
    """Of moving blobs, with flow and crops; noisy frames are denoised, and flips are judged."""
    config = restore_config(denoise=load_config(["restore.denoise.method=median"]).restore.denoise)
    return Models(
        needs=NEEDS,
        formats=FORMATS,
        restore=config,
        objects=OBJECTS,
        judge=FrameJudge(*judges, config),
        blobs=True,
        scenes=motion.scenes(normal, OBJECTS.motion),
        backbone=object_maps(OBJECTS),
    )


@pytest.fixture(scope="module")
def yolo(tmp_path_factory: pytest.TempPathFactory) -> Yolo:
    """A network of random weights that finds something everywhere."""
    folder = tmp_path_factory.mktemp("weights")
    return Yolo(random_weights(folder / "random.pt", bias=-1.0), OBJECTS.yolo, CPU, False, folder)


def check(video: Video, models: Models, judges: Judges) -> None:
    found, wanted = online(models, arriving(video)), expected(recorded(video, models, *judges), models)
    for one, other in zip(found, wanted, strict=True):
        same_moment(one, other)
    rows = [int(number) for one in found for number in one.tracks.track]
    assert len(rows) >= len(found)  # or this would show nothing
    ended = [number for one in found for number in one.ended]
    assert len(set(ended)) == len(ended) and set(ended) <= set(rows)
    for t, one in enumerate(found):
        assert not {int(k) for later in found[t:] for k in later.tracks.track} & set(one.ended)


# --- as in recorded footage -----------------------------------------------------------------------------------------


def test_moments_of_blobs_are_those_of_recorded_footage(blobs: Models, judges: Judges, tmp_path: Path):
    check(footage(tmp_path, "clean", walkers(110)), blobs, judges)


def test_moments_of_corrupted_frames_are_those_of_causally_restored_footage(
    blobs: Models, judges: Judges, tmp_path: Path
):
    clean, bad = walkers(90), corrupted(walkers(90))
    video = footage(tmp_path, "bad", bad)
    check(video, blobs, judges)
    found = online(blobs, arriving(video))
    turned = [t for t, frame in enumerate(bad) if np.array_equal(frame, clean[t][::-1])]
    assert len(turned) > 8 and all(np.array_equal(found[t].image, clean[t]) for t in turned)
    noisy = [one for one in found if one.noise > 8]
    assert len(noisy) > 8
    assert all(np.abs(one.image - clean[one.position].astype(float)).mean() < 12 for one in noisy)  # 17 as they come
    assert all(np.isnan(one.crops).all() for one in noisy)  # no crop is taken of them


def test_moments_of_yolo_have_its_own_maps(yolo: Yolo, judges: Judges, tmp_path: Path):
    config = restore_config(flip="none")
    models = Models(("boxes", "tracks", "features"), FORMATS, config, OBJECTS, yolo=yolo, pools=True)
    check(footage(tmp_path, "clean", walkers(12)), models, judges)


def test_boxes_of_both_methods_are_followed_together(yolo: Yolo, blobs: Models, judges: Judges, tmp_path: Path):
    models = replace(blobs, yolo=yolo, judge=None)
    video = footage(tmp_path, "clean", walkers(12))
    check(video, models, judges)
    assert "motion" in {label for one in online(models, arriving(video)) for label in one.labels.tolist()}


def test_only_what_is_needed_is_looked_for(blobs: Models):
    frames = [Arrived(t, t / FPS, image) for t, image in enumerate(walkers(6))]
    for needs, fields in (((), set()), (("boxes", "tracks"), set()), (("boxes", "tracks", "flow"), {"flow"})):
        last = online(replace(blobs, needs=needs, backbone=None), frames)[-1]
        assert {name for name in ("flow", "crops", "maps") if getattr(last, name) is not None} == fields
        assert (len(last.tracks) > 0) == ("tracks" in needs)


# --- streams --------------------------------------------------------------------------------------------------------


def test_later_frames_alter_nothing_nor_does_a_source_that_writes_into_its_frames(blobs: Models):
    images = walkers(40)
    first = online(blobs, [Arrived(t, t / FPS, image.copy()) for t, image in enumerate(images)])
    altered = images.copy()
    altered[25:] = 255 - altered[25:]
    perception, found = Perception(blobs, StreamFormat((WIDTH, HEIGHT), FPS)), []
    for t, image in enumerate(altered):
        found.append(perception.step(Arrived(t, t / FPS, image)))
        image[:] = 0
    for one, other in zip(found[:25], first[:25], strict=True):
        same_moment(one, other, places=0)
    assert not np.array_equal(found[30].image, first[30].image)


def test_a_frame_may_be_looked_at_while_the_one_before_is_followed(blobs: Models):
    frames = [Arrived(t, t / FPS, image) for t, image in enumerate(walkers(20))]
    perception = Perception(blobs, StreamFormat((WIDTH, HEIGHT), FPS))
    with ThreadPoolExecutor(1) as thread:
        looks = list(thread.map(perception.look, frames))  # all of them ahead
        found = [perception.follow(look) for look in looks]
    for one, other in zip(found, online(blobs, frames), strict=True):
        same_moment(one, other, places=0)


def test_ids_are_never_used_again_and_memory_is_flat_over_a_looped_clip(blobs: Models):
    small = walkers(100)[:, ::2, ::2].copy()  # at the end of a round everybody jumps
    models = replace(blobs, needs=("boxes", "tracks", "flow"), judge=None, backbone=None)
    perception = Perception(models, StreamFormat((WIDTH // 2, HEIGHT // 2), FPS))
    last_seen: dict[int, int] = {}
    ended: set[int] = set()
    before, most = 0, 0
    for t in range(2000):
        moment = perception.step(Arrived(t, t / FPS, small[t % 100]))
        now = set(moment.tracks.track.tolist())
        assert not now & ended and all(t - last_seen.get(k, t) <= 10 for k in now)  # `lost` is 0.4 s
        last_seen |= dict.fromkeys(now, t)
        ended |= set(moment.ended)
        most = max(most, len(perception._tracks._known))
        if t == 1200:  # everything that is replaced by and by has been replaced
            before = held_bytes(perception)
    assert len(last_seen) > 60 and max(last_seen) == len(last_seen)
    assert len(ended) > len(last_seen) - 10 and most < 10
    assert held_bytes(perception) - before < 100_000  # 800 frames in grey, of 3 kB, have 2.5 MB


def test_a_stream_that_begins_anew_goes_on_with_its_ids(blobs: Models):
    frames = [Arrived(t, t / FPS, image) for t, image in enumerate(walkers(10))]
    models = replace(blobs, needs=("boxes", "tracks"), backbone=None)
    ids, seen = count(1), []
    for _ in range(2):
        perception = Perception(models, StreamFormat((WIDTH, HEIGHT), FPS), ids)
        seen.append({int(number) for frame in frames for number in perception.step(frame).tracks.track})
    assert seen[0] and min(seen[1]) == max(seen[0]) + 1


def test_frames_of_another_size_or_of_no_later_time_are_told(blobs: Models):
    perception = Perception(replace(blobs, needs=()), StreamFormat((WIDTH, HEIGHT), FPS))
    frame = walkers(1)[0]
    perception.step(Arrived(0, 1.0, frame))
    assert perception.change(Arrived(1, 1.04, frame[1:])) == "frame 1: 128x95 pixels, after frames of 128x96"
    assert perception.change(Arrived(2, 1.0, frame)) == "frame 2: at 1 s, after one at 1 s"
    assert perception.change(Arrived(3, 1.08, frame)) is None


# --- of a run -------------------------------------------------------------------------------------------------------


def test_what_a_run_has_prepared_is_loaded(tmp_path: Path):
    for split, names in (("train", "123"), ("test", "4")):
        for name in names:
            footage(tmp_path, name, walkers(40, seed=int(name)), split)
    sides = [f"objects.motion.frames.{side}={value}" for side, value in (("height", 72), ("width", 96))]
    folders = [f"paths.{name}={tmp_path / 'run' / name}" for name in ("outputs", "cache", "checkpoints", "submissions")]
    options = ["experiment=folder", f"dataset.root={tmp_path}", "weights=in_domain", "pseudo=none", *sides, *folders]
    config = load_config([*options, "restore=tiny", "restore.flip=background", "detector=[object_place]"])
    prepare.run(config)
    models = Models.load(config, ["boxes", "tracks", "flow"])
    assert set(models.scenes) == {(WIDTH, HEIGHT)} and models.blobs and not models.yolo and not models.backbone
    assert models.formats == prepare.formats(config)
    source = ImageFolder.scan(tmp_path / "test/4")
    frames = [Arrived(one.number, one.number / FPS, one.color, one.gray) for one in source.read(True, True)]
    assert sum(len(one.tracks) for one in online(models, frames)) > 40


def test_boxes_from_files_are_refused(tmp_path: Path):
    config = load_config(["experiment=folder", "objects.method=file", "weights=in_domain", f"dataset.root={tmp_path}"])
    with pytest.raises(ConfigError, match=r"objects\.method=file: of a stream nobody brings boxes in files"):
        Models.load(config, ["boxes", "tracks"])


@needs_ped2
@pytest.mark.skipif(not (SHARED / "weights/yolov8n.pt").is_file(), reason="no yolov8n.pt in ../shared/weights")
def test_moments_of_ped2_by_yolov8n_are_those_of_its_tables(judges: Judges, tmp_path: Path):
    """Test004, 180 frames of 360 x 240."""
    objects = load_config(["experiment=ped2"]).objects
    objects = objects.model_copy(update={"yolo": objects.yolo.model_copy(update={"batch_size": 1})})
    source = ImageFolder.scan(PED2 / "Test/Test004")
    images = np.stack([one.color for one in source.read(False, True)])
    network = Yolo(SHARED / "weights/yolov8n.pt", objects.yolo, CPU, False, tmp_path)
    models = Models(NEEDS, FORMATS, restore_config(flip="none"), objects, yolo=network, backbone=object_maps(objects))
    check(footage(tmp_path, "Test004", images), models, judges)
