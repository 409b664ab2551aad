"""Clip scores: what they are, that nothing but the clip decides them, and runs that are stopped or meet bad clips."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.footage import encoded, picture, write_frames, write_video
from tests.mining import FRAMES, lines, mine, write_videomae

from pixelplay.cli import load_config
from pixelplay.detectors.settings import MaskConfig
from pixelplay.errors import ConfigError, DataError, PixelPlayError, WeightsError
from pixelplay.mining import files
from pixelplay.mining.clip_model import ClipModel, ModelSettings
from pixelplay.mining.clips import Clip, ClipReader, read_clips
from pixelplay.mining.score import in_order
from pixelplay.mining.score_file import read_scores

ROTATING = ["mine.mask.kind=rotating", "mine.mask.count=4"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Footage of three scenes, its manifest of 12 clips in `out`, and weights."""
    root = tmp_path_factory.mktemp("mining")
    write_frames(root / "footage/a", range(24), seed=1)
    write_frames(root / "footage/b", range(3), seed=2)
    write_video(root / "footage/c.avi", 20, seed=3)
    write_videomae(root / "weights")
    mine("manifest", root / "out", f"mine.source={root}/footage")
    assert len(lines(root / "out/clips_manifest.jsonl")) == 12
    return root


def scored(place: Path, folder: Path, *overrides: str) -> bytes:
    """The bytes of a new file of scores."""
    options = [f"weights.videomae={place}/weights", f"mine.manifest={place}/out/clips_manifest.jsonl"]
    mine("score", folder, *options, *overrides)
    return (folder / "scores.jsonl").read_bytes()


@pytest.fixture(scope="module")
def finished(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all clips have their scores."""
    folder = tmp_path_factory.mktemp("finished")
    scored(place, folder)
    return folder


@pytest.fixture(scope="module")
def scores(finished: Path) -> bytes:
    return (finished / "scores.jsonl").read_bytes()


@pytest.fixture
def ended(finished: Path, tmp_path: Path) -> Path:
    """A copy of `finished`."""
    return shutil.copytree(finished, tmp_path / "ended")


# --- what a score is -------------------------------------------------------------------------------------------------


def test_a_line_has_the_clip_s_place_in_the_manifest_its_scene_camera_first_frame_and_score(place: Path, scores: bytes):
    clips = lines(place / "out/clips_manifest.jsonl")
    for step, (line, clip) in enumerate(zip(map(json.loads, scores.splitlines()), clips, strict=True)):
        assert list(line) == ["step", "scene", "camera", "first_frame", "score"]
        assert (line["step"], line["scene"], line["camera"]) == (step, clip["scene"], clip["camera"])
        assert line["first_frame"] == clip["frames"][0] and 0 < line["score"] < 10


def test_the_score_is_the_loss_that_transformers_computes_for_the_clip_under_its_mask(place: Path, scores: bytes):
    from transformers import AutoImageProcessor, VideoMAEForPreTraining

    network = VideoMAEForPreTraining.from_pretrained(place / "weights").eval()
    processor = AutoImageProcessor.from_pretrained(place / "weights")
    clip = next(read_clips(place / "out/clips_manifest.jsonl", FRAMES))
    whole = {"size": {"height": 32, "width": 32}, "do_center_crop": False}
    images = [picture(1000 + number) for number in range(FRAMES)]  # frames of a are PNGs: as they were drawn
    pixels = processor(images, return_tensors="pt", **whole)["pixel_values"]
    mask = model(place).masks(clip)
    with torch.no_grad():
        loss = network(pixels, bool_masked_pos=mask).loss
    assert mask.shape == (1, 8) and mask.sum() == 4
    assert json.loads(scores.splitlines()[0])["score"] == pytest.approx(loss.item(), abs=2e-6)


def model(place: Path, **mask: object) -> ClipModel:
    values = {"kind": "random", "ratio": 0.5, "count": 1, "tube": False} | mask
    return ClipModel(ModelSettings(str(place / "weights"), "cpu", False, MaskConfig(**values), 42, None), FRAMES)


@pytest.mark.parametrize("mask", [{"kind": "rotating", "count": 3}, {"kind": "random", "count": 3}])
def test_with_several_masks_the_score_is_the_mean_error_of_all_their_hidden_tokens(
    place: Path, mask: dict[str, object]
):
    made, clip = model(place, **mask), next(read_clips(place / "out/clips_manifest.jsonl", FRAMES))
    inputs, masks = made.model.inputs(ClipReader(None).read(clip)[None]), made.masks(clip)
    assert len(masks) == 3 and len({tuple(row) for row in masks.tolist()}) == 3
    errors = torch.cat([made.model.errors(inputs, row[None])[0][0, row] for row in masks])
    assert made.score(clip).score == pytest.approx(errors.mean().item(), abs=1e-6)
    if mask["kind"] == "rotating":
        assert (masks.sum(dim=0) == 2).all()  # every token is hidden by all masks but one


def test_a_clip_s_mask_follows_the_seed_and_the_clip_and_not_the_folder_that_it_lies_in(place: Path):
    made = model(place, kind="random")
    here, moved = Clip("s", "c", ("/data/x/01.jpg",), None), Clip("s", "c", ("elsewhere/01.jpg",), None)
    others = [
        Clip("s", "c", ("/data/x/02.jpg",), None),
        Clip("t", "c", ("01.jpg",), None),
        Clip("s", "d", ("01.jpg",), None),
    ]
    assert here.key == moved.key
    assert len({clip.key for clip in (here, *others)}) == 4
    assert made.masks(here).equal(made.masks(moved))
    assert any(not made.masks(here).equal(made.masks(clip)) for clip in others)


# --- nothing but the clip decides it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [["mine.workers=1", "mine.batch_size=1"], ["mine.workers=3", "mine.batch_size=5"]])
def test_neither_threads_nor_batch_size_change_a_byte(place: Path, scores: bytes, tmp_path: Path, options: list[str]):
    assert scored(place, tmp_path, *options) == scores


def test_the_order_of_the_manifest_changes_no_score(place: Path, scores: bytes, tmp_path: Path):
    text = (place / "out/clips_manifest.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "reversed.jsonl").write_text("".join(reversed(text)))
    backwards = [
        json.loads(x) for x in scored(place, tmp_path, f"mine.manifest={tmp_path}/reversed.jsonl").splitlines()
    ]
    forwards = [json.loads(x) for x in scores.splitlines()]
    assert [line["score"] for line in reversed(backwards)] == [line["score"] for line in forwards]
    assert [line["step"] for line in backwards] == list(range(12))


def test_the_environment_names_the_file_and_the_seed(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SCORES_OUT", str(tmp_path / "mine/own.jsonl"))
    monkeypatch.setenv("SEED", "43")
    options = [f"weights.videomae={place}/weights", f"mine.manifest={place}/out/clips_manifest.jsonl"]
    mine("score", tmp_path, *options, "mine.mask.kind=random")
    assert not (tmp_path / "scores.jsonl").exists()
    assert len(lines(tmp_path / "mine/own.jsonl")) == 12
    assert json.loads((tmp_path / "mine/own.settings.json").read_text())["seed"] == 43


# --- stopped, resumed, changed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 7, 1, -1, -30], ids=str)
def test_a_run_killed_at_any_byte_goes_on_and_ends_with_the_same_bytes(
    place: Path, scores: bytes, ended: Path, at: int
):
    """Nothing written, a torn first line, a whole one, all but the last line's end, a torn last line."""
    whole = scores.index(b"\n") + 1
    (ended / "scores.jsonl").write_bytes(scores[: whole if at == 1 else at])
    assert scored(place, ended) == scores


def test_a_run_with_nothing_left_to_score_changes_nothing(place: Path, scores: bytes, ended: Path):
    before = (ended / "scores.jsonl").stat().st_mtime_ns
    assert scored(place, ended) == scores
    assert (ended / "scores.jsonl").stat().st_mtime_ns == before


def test_scores_made_otherwise_are_not_gone_on_with(place: Path, scores: bytes, ended: Path, tmp_path: Path):
    for change, key in (
        (["mine.seed=1"], "seed was 42 and is 1"),
        (ROTATING, "mask was"),
        (["mine.precision=bf16"], "bf16 was False and is True"),
        ([f"weights.videomae={write_videomae(tmp_path / 'others', seed=1)}"], "model was"),
    ):
        with pytest.raises(PixelPlayError, match=rf"made with other settings \({key}.*mine\.scores=FILE"):
            scored(place, ended, *change)
    shorter = tmp_path / "shorter.jsonl"
    shorter.write_text("".join((place / "out/clips_manifest.jsonl").read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(PixelPlayError, match="manifest was"):
        scored(place, ended, f"mine.manifest={shorter}")
    (ended / "scores.settings.json").unlink()
    with pytest.raises(PixelPlayError, match="what it was made with is unknown"):
        scored(place, ended)
    assert (ended / "scores.jsonl").read_bytes() == scores


def test_a_line_that_is_no_score_or_of_another_clip_is_told_by_its_number(place: Path, scores: bytes, ended: Path):
    path, kept = ended / "scores.jsonl", scores.splitlines(keepends=True)
    path.write_bytes(b"".join([kept[0], b"nonsense\n", *kept[2:]]))
    with pytest.raises(DataError, match=r"scores\.jsonl, line 2: not a score of a clip \('nonsense'\)"):
        scored(place, ended)
    with pytest.raises(DataError, match=r"line 2: not a score of a clip"):
        read_scores(path)
    path.write_bytes(b"".join([kept[0], kept[2]]))
    with pytest.raises(DataError, match=r"line 2: not of clip 1 of the manifest"):
        scored(place, ended)


# --- clips that can't be read ----------------------------------------------------------------------------------------


def test_a_clip_that_cannot_be_read_is_recorded_with_its_error_and_the_others_have_their_scores(
    place: Path, scores: bytes, tmp_path: Path
):
    shutil.copytree(place / "footage", tmp_path / "footage")
    (tmp_path / "footage/a/009.png").unlink()
    torn = tmp_path / "footage/a/013.png"
    torn.write_bytes(torn.read_bytes()[:200])
    mine("manifest", tmp_path / "out", f"mine.source={place}/footage")
    text = (tmp_path / "out/clips_manifest.jsonl").read_text().replace(str(place / "footage"), "footage")
    (tmp_path / "relative.jsonl").write_text(text.replace("c.avi#19", "c.avi#99"))
    out = scored(place, tmp_path, f"mine.manifest={tmp_path}/relative.jsonl", f"mine.root={tmp_path}")
    found, clean = [json.loads(x) for x in out.splitlines()], [json.loads(x) for x in scores.splitlines()]
    errors = {line["step"]: line["error"] for line in found if "error" in line}
    assert errors == {
        2: "footage/a/009.png: cannot be read (No such file or directory)",
        3: "footage/a/013.png: truncated file",
        11: f"{tmp_path}/footage/c.avi#99: the video ends before, or can't be decoded beyond frame 20",
    }
    assert all(found[step]["score"] is None for step in errors)
    assert [x["score"] for x in found if x["step"] not in errors] == [
        x["score"] for x in clean if x["step"] not in errors
    ]


def test_a_run_that_can_read_no_clip_at_all_says_why(place: Path, tmp_path: Path):
    text = (place / "out/clips_manifest.jsonl").read_text().replace(str(place), "nowhere")
    (tmp_path / "gone.jsonl").write_text("".join(text.splitlines(keepends=True)[:3]))
    with pytest.raises(DataError, match=r"none of its 3 clips has a score; the first: nowhere/footage/a/000\.png"):
        scored(place, tmp_path, f"mine.manifest={tmp_path}/gone.jsonl")


def test_frames_of_different_sizes_are_an_error_of_their_clip(tmp_path: Path):
    for number, width in enumerate((20, 20, 30)):
        (tmp_path / f"{number}.png").write_bytes(encoded(".png", image=picture(number, width, 16)))
    names = tuple(f"{number}.png" for number in range(3))
    with pytest.raises(DataError, match=r"2\.png: 30x16 pixels, but 0\.png has 20x16 pixels"):
        ClipReader(tmp_path).read(Clip("", "", names, None))


def test_frames_of_a_video_are_the_same_in_any_order_of_clips(place: Path):
    video = place / "footage/c.avi"
    whole = ClipReader(None).read(Clip("", "", tuple(f"{video}#{i}" for i in range(20)), None))
    reader = ClipReader(None)
    for positions in ([4, 5, 6], [5, 6, 7, 7], [12, 13], [0, 1], [19, 3]):
        clip = Clip("", "", tuple(f"{video}#{i}" for i in positions), None)
        assert np.array_equal(reader.read(clip), whole[positions])


# --- weights, engines ------------------------------------------------------------------------------------------------


def test_weights_that_mining_cannot_use_are_told_with_what_to_do(place: Path, tmp_path: Path):
    trained = r"or a model that a run has trained: weights\.videomae=checkpoints/<experiment>/videomae_"
    curl = r"curl .*MCG-NJU/videomae-base/.*\n  then: +weights\.videomae=weights/videomae-base\n"
    for setting, why in (
        ("in_domain", r"in_domain: no weights found \(mining trains none\)\n.*" + curl),
        (tmp_path, r"\S+: no weights found \(the folder has no config\.json\)\n.*"),
    ):
        with pytest.raises(WeightsError, match=r"(?s)weights\.videomae=" + why + trained):
            scored(place, tmp_path, f"weights.videomae={setting}")
    missing = r"mine\.source=nowhere: not found .*\nweights\.videomae=in_domain: no weights found"
    with pytest.raises(DataError, match=missing):  # both at once, before any footage is listed
        files.run(load_config([f"mine.folder={tmp_path}/out", "mine.source=nowhere"]))
    mine("manifest", tmp_path, f"mine.source={place}/footage", "mine.frames=6")
    options = ["mine.frames=6", f"mine.manifest={tmp_path}/clips_manifest.jsonl"]
    with pytest.raises(ConfigError, match=r"mine\.frames=6: .*takes clips of 4; set mine\.frames=4"):
        scored(place, tmp_path, *options)
    with pytest.raises(ConfigError, match=r"mask ratio of 0\.01 hides 0 of 8 tokens"):
        scored(place, tmp_path, "mine.mask.ratio=0.01")


def test_the_local_engine_keeps_the_order_holds_few_and_hands_errors_on():
    taken, together = [], threading.Barrier(2, timeout=60)

    def given():
        for number in range(40):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        if number in (0, 3):  # of the first two batches: neither goes on without the other
            together.wait()
        if number == 30:
            raise DataError("clip 30")
        return number * number

    made = in_order(work, given(), batch_size=3, threads=2)
    assert next(made) == [(0, 0), (1, 1), (2, 4)]
    assert len(taken) <= 12  # two batches for each of two threads
    got = []
    with pytest.raises(DataError, match="clip 30"):
        for batch in made:
            got += batch
    assert got == [(number, number * number) for number in range(3, 30)]
