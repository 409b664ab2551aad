"""Clips on disk: what is in them, from which footage, and that the same bytes come out however they are made."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.footage import COLOR
from tests.own_process import in_own_process, peak
from tests.plaza import CLEAN, HEIGHT, TALL, TOP, WIDTH, ground, settings, video_of, walk

from pixelplay.run.atomic import HOST, remove_leftovers
from pixelplay.synthetic.pseudo import motion_mask
from pixelplay.synthetic.pseudo.clips import Clip, render_clips
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.corruption import noise_level
from pixelplay.videos.settings import CorruptionConfig
from pixelplay.videos.truth import read_label_files, read_truth
from pixelplay.videos.video import Video

ALL = settings().kinds
CONFIG = settings(seeds=[0], frames=40, kinds=ALL[:6])  # without those of objects, for speed
NOISY = CorruptionConfig(flip=0.25, heavy=0.25, light=0.25, missing=0.0, heavy_sd=16.0, light_sd=11.0)


@pytest.fixture
def heldout(tmp_path: Path) -> list[Video]:
    return [video_of(tmp_path / "train/a", walk(64)), video_of(tmp_path / "train/b", walk(64, top=20))]


def rendered(
    folder: Path, heldout: list[Video], workers: int = 1, corruption=CLEAN, training=(), **changes
) -> list[Clip]:
    config = CONFIG.model_copy(update=changes)
    return render_clips(heldout, training or heldout, config, corruption, folder, workers)


def images(clip: Clip, what: str = "frames") -> list[np.ndarray]:
    return [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted((clip.folder / what).iterdir())]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".lock" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def original(heldout: list[Video], clip: Clip) -> list[np.ndarray]:
    """The frames of the source that a clip shows, BGR."""
    [video] = [video for video in heldout if video.id == clip.source]
    return [cv2.imread(str(video.folder / f"{number:04d}.png")) for number in clip.shown]


# --- what is in a clip ----------------------------------------------------------------------------------------------


def test_a_clip_is_its_source_but_for_what_its_masks_show(tmp_path: Path, heldout: list[Video]):
    clips = rendered(tmp_path / "clips", heldout, kinds=ALL)
    assert [(clip.kind, clip.seed, clip.left_out) for clip in clips] == [(kind, 0, None) for kind in ALL]
    for clip in clips:
        frames, before = images(clip), original(heldout, clip)
        assert len(frames) == len(before) == len(clip.shown)
        masks = {int(path.stem): cv2.imread(str(path), 0) > 0 for path in (clip.folder / "masks").iterdir()}
        assert sorted(masks) == list(range(clip.first, clip.stop))
        changed = 0
        for t, (frame, source) in enumerate(zip(frames, before, strict=True)):
            untouched = ~masks[t] if t in masks and clip.kind not in ("speed_up", "reversal", "freeze") else ...
            assert (frame[untouched] == source[untouched]).all()
            changed += t in masks and (frame != source).any()
        in_time = clip.kind in ("speed_up", "reversal", "freeze")
        assert changed == 0 if in_time else changed >= len(masks) - 1  # who goes back may hide himself once


def test_a_clip_becomes_a_video_with_labels_and_masks(tmp_path: Path, heldout: list[Video]):
    clips = rendered(tmp_path / "clips", heldout, kinds=["foreign_patch", "speed_up"])
    cached = FrameCache(tmp_path / "cache").fill([clip.raw() for clip in clips], [COLOR], 0.0, 1)
    for clip, one in zip(clips, cached, strict=True):
        video = one.video
        assert (video.id, video.split, video.size) == (f"{clip.kind}-0", "pseudo", (WIDTH, HEIGHT))
        assert video.numbers.tolist() == list(range(len(clip.shown)))
        raw = clip.raw()
        truth, _ = read_truth(raw, video, read_label_files([raw])[raw.id])
        assert np.flatnonzero(truth.labels).tolist() == list(range(clip.first, clip.stop))
        assert clip.first > 0 and clip.stop < len(video)
        for t in range(len(video)):
            assert truth.masks.at(t).any() == bool(truth.labels[t])
        assert video.noise is not None and len(video.noise) == len(video)
        assert one.problems == []
        shown = next(frame for t, frame in enumerate(video.full_size()) if t == clip.first)
        assert (shown[..., ::-1] == images(clip)[clip.first]).all()


def test_labels_in_the_middle_of_a_clip_leave_normal_frames_on_both_sides(tmp_path: Path, heldout: list[Video]):
    for clip in rendered(tmp_path / "clips", heldout, seeds=[0, 1, 2]):
        margin = round(0.1 * len(clip.shown))
        assert clip.first >= margin and len(clip.shown) - clip.stop >= margin


# --- which footage --------------------------------------------------------------------------------------------------


def test_a_clip_is_made_of_held_out_footage_alone(tmp_path: Path):
    """Frames of the footage that detectors are fitted on carry a mark, and no clip shows it."""
    frames = walk(128)
    frames[:32, :4, :4] = frames[96:, :4, :4] = (255, 0, 0)
    whole = video_of(tmp_path / "train/a", frames)
    block = whole.block(32, 96)
    clips = rendered(tmp_path / "clips", [block], training=[whole], seeds=[0, 1, 2, 3])
    assert not any(clip.left_out for clip in clips)
    for clip in clips:
        assert set(clip.shown) <= set(block.numbers.tolist())
        assert not any((frame[:4, :4] == (0, 0, 255)).all() for frame in images(clip))


def test_a_short_video_is_used_whole(tmp_path: Path):
    clips = rendered(tmp_path / "clips", [video_of(tmp_path / "train/a", walk(64)[20:32])])
    lengths = {clip.kind: len(clip.shown) for clip in clips if not clip.left_out}
    assert lengths["foreign_patch"] == lengths["freeze"] == 12
    assert lengths["speed_up"] == 8  # 8 + 2 * 2 frames
    assert all(0 < clip.first < clip.stop < len(clip.shown) for clip in clips if not clip.left_out)


def test_a_video_that_is_much_shorter_than_another_is_not_used(tmp_path: Path):
    long, short = video_of(tmp_path / "train/a", walk(64)), video_of(tmp_path / "train/b", walk(64)[10:29])
    clips = rendered(tmp_path / "clips", [long, short], seeds=list(range(8)), kinds=["foreign_patch"])
    assert {clip.source for clip in clips} == {"a"}
    alike = video_of(tmp_path / "train/c", walk(64)[10:30])  # half as long as a clip
    clips = rendered(tmp_path / "others", [long, alike], seeds=list(range(8)), kinds=["foreign_patch"])
    assert {clip.source for clip in clips} == {"a", "c"}


def test_too_little_footage_is_said(tmp_path: Path):
    clips = rendered(tmp_path / "clips", [video_of(tmp_path / "train/a", walk(5))], kinds=["freeze", "speed_up"])
    assert clips[0].left_out is None or "moves" in clips[0].left_out
    assert clips[1].left_out == "no held-out video has the 6 frames that it takes"
    [nothing] = rendered(tmp_path / "none", [], kinds=["freeze"])
    assert nothing.left_out == "no held-out video has the 4 frames that it takes"


def test_footage_in_which_nothing_moves_carries_the_foreign_patch_alone_and_the_reason_is_kept(tmp_path: Path):
    still = video_of(tmp_path / "train/a", np.repeat(ground()[None], 50, axis=0))
    clips = rendered(tmp_path / "clips", [still])
    assert {clip.kind for clip in clips if not clip.left_out} == {"foreign_patch"}
    for clip in clips[1:]:
        assert "moves" in clip.left_out and "a, frames" in clip.left_out
        assert [path.name for path in clip.folder.iterdir()] == ["clip.json"]
    before = contents(tmp_path / "clips")
    assert rendered(tmp_path / "clips", []) == clips  # nothing is looked for again
    assert contents(tmp_path / "clips") == before


def test_another_piece_is_taken_where_the_first_has_no_use(tmp_path: Path):
    still = [video_of(tmp_path / f"train/{i}", np.repeat(ground()[None], 50, axis=0)) for i in range(2)]
    clips = rendered(
        tmp_path / "clips", [*still, video_of(tmp_path / "train/c", walk(64))], kinds=["freeze", "wrong_size"]
    )
    assert [clip.source for clip in clips] == ["c", "c"]


# --- corruption -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gray", [False, True])
def test_corruption_comes_last_and_is_as_strong_as_it_is_found(tmp_path: Path, gray: bool):
    heldout = [video_of(tmp_path / "train/a", walk(64, gray=gray))]
    options = {"seeds": [0, 1, 2], "kinds": ["foreign_patch"]}
    clean = rendered(tmp_path / "clean", heldout, **options)
    corrupted = rendered(tmp_path / "corrupted", heldout, corruption=NOISY, **options)
    levels: dict[str, list[float]] = {"heavy": [], "light": []}
    for before, after in zip(clean, corrupted, strict=True):
        assert (before.shown, before.first) == (after.shown, after.first)
        assert contents(before.folder / "masks") == contents(after.folder / "masks")  # of the upright scene
        assert set(before.corruption) == {"none"}
        for kind, plain, seen in zip(after.corruption, images(before), images(after), strict=True):
            if kind == "flip":
                assert (seen == plain[::-1]).all()
            elif kind == "none":
                assert (seen == plain).all()
            else:
                levels[kind].append(noise_level(seen if gray else cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY)))
    kinds = np.concatenate([clip.corruption for clip in corrupted])
    for kind in ("none", "flip", "heavy", "light"):
        assert abs(np.mean(kinds == kind) - 0.25) < 5 * np.sqrt(0.25 * 0.75 / len(kinds))
    assert np.mean(levels["heavy"]) == pytest.approx(16, rel=0.08)
    assert np.mean(levels["light"]) == pytest.approx(11, rel=0.08)


def test_grey_footage_is_written_as_grey_images_and_colour_as_colour(tmp_path: Path, heldout: list[Video]):
    [gray] = rendered(tmp_path / "gray", [video_of(tmp_path / "train/g", walk(64, gray=True))], kinds=["wrong_place"])
    [color] = rendered(tmp_path / "color", heldout, kinds=["wrong_place"])
    assert images(gray)[0].shape == (HEIGHT, WIDTH)
    assert images(color)[0].shape == (HEIGHT, WIDTH, 3)


# --- the same bytes -------------------------------------------------------------------------------------------------


def test_the_same_bytes_come_out_with_any_number_of_workers_and_in_any_company(tmp_path: Path, heldout: list[Video]):
    rendered(tmp_path / "one", heldout, corruption=NOISY, kinds=ALL)
    rendered(tmp_path / "three", heldout, workers=3, corruption=NOISY, kinds=ALL)
    rendered(tmp_path / "alone", heldout, corruption=NOISY, kinds=["reversal"])
    expected = contents(tmp_path / "one")
    assert contents(tmp_path / "three") == expected
    assert contents(tmp_path / "alone") == {k: v for k, v in expected.items() if k.startswith("reversal-0/")}


def test_seeds_differ(tmp_path: Path, heldout: list[Video]):
    first, second = rendered(tmp_path / "clips", heldout, seeds=[0, 1], kinds=["foreign_patch"])
    assert contents(first.folder / "masks") != contents(second.folder / "masks")


SCRIPT = """
import os, signal
from pathlib import Path
from tests.plaza import CLEAN, settings, video_of, walk
from pixelplay.synthetic.pseudo.clips import render_clips

made = []

def advance(clips):
    made.append(clips)
    if len(made) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

heldout = [video_of(Path(name), walk(64)) for name in ("train/a", "train/b")]
config = settings(seeds=[0, 1], frames=40, kinds=settings().kinds[:3])
render_clips(heldout, heldout, config, CLEAN, Path("clips"), 2, advance)
"""


def test_a_killed_run_leaves_no_half_clip_and_goes_on_to_the_same_bytes(tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    folder = tmp_path / "killed"
    folder.mkdir()
    killed = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    there = {path.name: path for path in (folder / "clips").iterdir() if not path.name.startswith(".")}
    assert 2 <= len(there) < 6
    kept = {file: file.stat().st_mtime_ns for path in there.values() for file in path.rglob("*.*")}
    remove_leftovers(folder)
    heldout = [video_of(tmp_path / "train" / name, walk(64)) for name in ("a", "b")]
    for place in (folder / "clips", tmp_path / "undisturbed"):
        assert len(rendered(place, heldout, seeds=[0, 1], kinds=ALL[:3])) == 6
    assert contents(folder / "clips") == contents(tmp_path / "undisturbed")
    assert {file: file.stat().st_mtime_ns for file in kept} == kept


def test_a_folder_that_a_dead_process_was_writing_is_removed(tmp_path: Path):
    left = tmp_path / "clips" / f".freeze-0.{HOST}.4194305.tmp" / "frames"  # above the largest process number
    left.mkdir(parents=True)
    (left / "00000.png").write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert list((tmp_path / "clips").iterdir()) == []


def test_a_clip_of_which_frames_were_deleted_is_made_again(tmp_path: Path, heldout: list[Video]):
    [clip] = rendered(tmp_path / "clips", heldout, kinds=["freeze"])
    before = contents(clip.folder)
    (clip.folder / "frames/00003.png").unlink()
    rendered(tmp_path / "clips", heldout, kinds=["freeze"])
    assert contents(clip.folder) == before


def test_nothing_but_the_clip_is_left_in_its_folder(tmp_path: Path, heldout: list[Video]):
    for clip in rendered(tmp_path / "clips", heldout, kinds=["foreign_patch", "freeze"]):
        assert sorted(path.name for path in clip.folder.iterdir()) == ["clip.json", "frames", "masks"]
        assert "nan" not in json.dumps(json.loads((clip.folder / "clip.json").read_text())).lower()


# --- where things usually move --------------------------------------------------------------------------------------


def usual(training: list[Video], block: Video, around: int = 1000) -> np.ndarray:
    return motion_mask.usual_motion(training, block, CONFIG.model_copy(update={"context_frames": around})).moved


def test_places_are_usual_where_somebody_walks_in_footage_of_the_same_scene(tmp_path: Path):
    own = video_of(tmp_path / "train/a", walk(64))
    neighbour = video_of(tmp_path / "train/b", walk(64, top=10))
    elsewhere = video_of(tmp_path / "train/c", walk(64, scene=1, top=70))
    rows = usual([own, neighbour, elsewhere], own.block(20, 40)).max(axis=1) > 0
    assert rows[TOP + 2 : TOP + TALL - 2].all() and rows[12:28].all()
    assert not rows[34:40].any() and not rows[70:].any()  # of the other scene nothing is known


def test_no_more_frames_are_looked_at_than_asked_for(tmp_path: Path):
    own = video_of(tmp_path / "train/a", np.concatenate([walk(64, top=10), walk(64)]))
    neighbour = video_of(tmp_path / "train/b", walk(64, top=20))
    near = usual([neighbour, own], own.block(96, 128), around=60).max(axis=1) > 0
    assert near[TOP + 2 : TOP + TALL - 2].all() and not near[:40].any()
    assert usual([own], own.block(96, 128), around=0).max() == 0


def test_a_shown_share_is_one_of_frames(tmp_path: Path):
    own = video_of(tmp_path / "train/a", np.concatenate([walk(50), np.repeat(ground()[None], 50, axis=0)]))
    share = usual([own], own)
    assert share[TOP + TALL // 2, 40] == pytest.approx(8 / 2 / 100, abs=0.04)  # 4 of 100 frames, of which 20 are seen
    assert share.max() <= 0.5


@in_own_process
def test_frames_of_a_clip_are_not_held_in_memory(tmp_path: Path):
    def of(count: int) -> int:
        video = video_of(tmp_path / f"train/{count}", np.concatenate([walk(50)] * (count // 50)))
        options = {"frames": count, "context_frames": 100, "kinds": ["freeze", "wrong_place"]}
        clips: list[Clip] = []
        most = peak(lambda: clips.extend(rendered(tmp_path / f"clips-{count}", [video], **options)))
        assert [len(clip.shown) for clip in clips] == [count, count]
        return most

    _, short, long = of(50), of(100), of(300)  # the first for what is kept once and for all
    assert long - short < 0.2 * 200 * WIDTH * HEIGHT * 3, (short, long)  # things are cut out, frames are not kept


def test_clips_do_not_depend_on_the_folder_they_are_made_in(tmp_path: Path, heldout: list[Video]):
    rendered(tmp_path / "here", heldout, kinds=["wrong_place"])
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    [moved] = rendered(tmp_path / "there", [], kinds=["wrong_place"])
    assert moved.folder == tmp_path / "there/wrong_place-0" and moved.left_out is None
