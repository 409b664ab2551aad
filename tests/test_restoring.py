"""Restoration as a part of `prepare`: what corrupted frames become, what is listed, and what is left alone."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests.street import SMALL, drawn, street, turned

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.run.files import RunFiles
from pixelplay.stages import prepare
from pixelplay.videos.corruption import corrupt
from pixelplay.videos.index import Index

FRAMES = 60
FLIPPED = drawn(FRAMES, 0.1)
NOISY = drawn(FRAMES, 0.3, seed=1) & ~FLIPPED


def write(folder: Path, frames: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{number:03d}.png"), frame)


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A data set of one scene; of its test frames some are flipped and others noisy."""
    monkeypatch.chdir(tmp_path)
    for seed in range(4):
        write(tmp_path / f"data/train/{seed}", street(FRAMES, seed=seed))
    write(tmp_path / "data/test/clean", street(FRAMES, seed=5))
    noise = load_config(["experiment=tiny"]).restore.corruption
    rng = np.random.default_rng(0)
    bad = turned(street(FRAMES, seed=6), FLIPPED)
    bad[NOISY] = [corrupt(frame, "heavy", noise, rng) for frame in bad[NOISY]]
    write(tmp_path / "data/test/corrupted", bad)
    run = ["experiment=folder", "dataset.root=data", "restore=tiny", "pseudo=none", "detector=conv_ae_tiny"]
    return [*run, "restore.flip=background"]  # which needs no training


def prepared(options: list[str]) -> tuple[Config, Index, pd.DataFrame]:
    config = load_config(options)
    prepare.run(config)
    table = pd.read_csv(RunFiles.of(config).restoration, keep_default_na=False)
    return config, prepare.load_index(config), table


@pytest.mark.parametrize("judge", ["both", "network", "background"])
def test_flipped_frames_are_turned_back_and_no_other_is_touched(options: list[str], judge: str):
    _, index, table = prepared([*options, f"restore.flip={judge}"])
    clean, corrupted = index.test
    rows = table[table.video == "corrupted"]
    assert rows.flipped.tolist() == FLIPPED.astype(int).tolist()
    assert not table[table.video == "clean"].flipped.any()
    on_disk = np.stack([cv2.imread(f"data/test/corrupted/{t:03d}.png", 0) for t in range(FRAMES)])
    assert (corrupted.frames(SMALL) == turned(on_disk, FLIPPED)).all()
    assert (np.load(corrupted.folder / "32x32-gray.npy") == on_disk).all()  # the decode itself stays as it was
    assert clean.restored is None


def test_noisy_frames_are_listed_with_their_level_and_denoised_on_request(options: list[str]):
    _, index, table = prepared([*options, "restore.denoise.method=median"])
    rows = table[table.video == "corrupted"]
    assert ((rows.noise_level > 8) == NOISY).all()
    assert (rows.denoised == np.where(NOISY, "median", "")).all()
    before, after = (np.load(folder / "32x32-gray.npy") for folder in (index.test[1].folder, index.test[1].restored))
    sizes = [5 if level >= 20 else 3 for level in rows.noise_level]
    expected = [cv2.medianBlur(frame, size) for frame, size in zip(before, sizes, strict=True)]
    assert (after[NOISY] == np.stack(expected)[NOISY]).all()
    untouched = ~NOISY & ~FLIPPED
    assert (after[untouched] == before[untouched]).all()


def test_every_test_frame_is_in_the_table_in_order(options: list[str]):
    _, index, table = prepared(options)
    assert table.columns.tolist() == ["video", "frame", "flip_probability", "noise_level", "flipped", "denoised"]
    assert table.video.tolist() == ["clean"] * FRAMES + ["corrupted"] * FRAMES
    assert table.frame.tolist() == 2 * list(range(FRAMES))
    assert [video.id for video in index.test] == ["clean", "corrupted"]


def test_without_flip_detection_nothing_is_turned_and_no_network_is_trained(options: list[str]):
    other_size = ["restore.frames.height=24", "restore.frames.width=24"]  # that no detector asks for
    config, index, table = prepared([*options, "restore.flip=none", *other_size])
    assert not table.flipped.any()
    assert not RunFiles.of(config).doubtful.exists()
    assert all(video.restored is None for video in index.test)
    assert not RunFiles.of(config).flip_network.exists()


def test_a_run_without_restoration_shares_the_decode_with_one_that_has_it(options: list[str]):
    _, restored, _ = prepared(options)
    _, plain, _ = prepared([*options, "restore.flip=none", "run=plain"])
    assert [video.folder for video in plain.test] == [video.folder for video in restored.test]
    assert plain.test_key != restored.test_key  # so that scores of the one never pass for the other's
    assert plain.train_key == restored.train_key


def test_restored_frames_are_saved_in_their_original_size_on_request(options: list[str]):
    config, _, _ = prepared([*options, "restore.save_images=true"])
    folder = RunFiles.of(config).restored_images
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png")) == [
        f"corrupted/{t:05d}.png" for t in np.flatnonzero(FLIPPED)
    ]
    first = int(np.flatnonzero(FLIPPED)[0])
    saved = cv2.imread(str(folder / f"corrupted/{first:05d}.png"), 0)
    assert (saved == cv2.imread(f"data/test/corrupted/{first:03d}.png", 0)[::-1]).all()


def test_the_most_doubtful_frames_are_shown(options: list[str]):
    config, _, _ = prepared(options)
    picture = cv2.imread(str(RunFiles.of(config).doubtful))
    assert picture is not None and picture.shape[0] > picture.shape[1] > 400  # eight rows of two
    assert picture.std() > 30


def test_restored_frames_that_were_deleted_are_made_again(options: list[str]):
    config, index, _ = prepared(options)
    path = index.test[1].restored / "32x32-gray.npy"
    before = path.read_bytes()
    path.unlink()
    assert prepare.pending(config)
    prepared(options)
    assert path.read_bytes() == before


def test_changed_footage_does_not_keep_the_restored_frames_of_the_old(options: list[str]):
    _, index, _ = prepared(options)
    for t in np.flatnonzero(~FLIPPED):
        path = f"data/test/corrupted/{t:03d}.png"
        cv2.imwrite(path, cv2.add(cv2.imread(path, 0), 3))
    _, again, _ = prepared(options)
    assert again.test[1].restored == index.test[1].restored  # the same frames are turned
    t = int(np.flatnonzero(~FLIPPED & ~NOISY)[0])
    assert (again.test[1].frames(SMALL)[t] == cv2.imread(f"data/test/corrupted/{t:03d}.png", 0)).all()
