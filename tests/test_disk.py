"""What the disk refuses: every writer says which file it was, and commands end with what to do about it."""

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from safetensors.torch import save_file
from tests.pipeline import run_here

from pixelplay.cli import _explained
from pixelplay.drawing.annotate import write_clip, write_sheet
from pixelplay.run.artifacts import write_table, write_text
from pixelplay.run.atomic import atomic, atomic_folder
from pixelplay.training.fit import _AtomicCheckpoints

LIMIT = 20_000  # bytes of a file, beyond which the system refuses to write, as on a full disk
NOISE = np.random.default_rng(0)
TENSORS = {"a": torch.zeros(100_000)}
IMAGES = NOISE.integers(0, 256, (20, 200, 200, 3), dtype=np.uint8)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may have more than LIMIT bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, former)


def write_array(path: Path) -> None:
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.save(file, np.zeros(100_000))


def write_weights(path: Path) -> None:
    with atomic(path) as temporary:
        save_file(TENSORS, temporary)


def write_folder(path: Path) -> None:
    with atomic_folder(path) as temporary:
        save_file(TENSORS, temporary / "model.safetensors")


def write_plot(path: Path) -> None:
    figure = Figure()
    figure.subplots().imshow(IMAGES[0])
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=200)


@pytest.mark.parametrize(
    ("name", "write"),
    {
        "last.ckpt": lambda path: _AtomicCheckpoints().save_checkpoint(TENSORS, path),
        "weights.safetensors": write_weights,
        "videomae": write_folder,
        "plot.png": write_plot,
        "a.npy": write_array,
        "a.parquet": lambda path: write_table(path, pd.DataFrame({"a": NOISE.random(100_000)})),
        "a.csv": lambda path: write_text(path, "x" * 100_000),
        "sheet.png": lambda path: write_sheet(path, IMAGES),
        "clip.mp4": lambda path: write_clip(path, IMAGES, 10.0),
    }.items(),
)
def test_every_writer_names_its_file_where_the_disk_takes_no_more(
    name: str, write: Callable[[Path], object], tmp_path: Path, small_files: None
):
    with pytest.raises(OSError) as error:
        write(tmp_path / name)
    assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EFBIG, "ulimit -f"),
        (errno.ENOTDIR, "in the place of"),
        (errno.EISDIR, "in the place of"),
        (errno.ENAMETOOLONG, "shorten"),
        (errno.ELOOP, "links"),
        (errno.EIO, "check the disk"),
        (errno.ENOENT, "removed during the run"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_errors_of_the_system_end_a_command_with_the_file_and_what_to_do(number: int, remedy: str, capsys):
    with pytest.raises(SystemExit) as end, _explained():
        raise OSError(number, os.strerror(number), "outputs/tiny/x")
    assert end.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ") and "outputs/tiny/x" in told and remedy in told


@pytest.mark.parametrize("place", ["outputs/tiny/index.json/", "outputs/tiny/stages"])
def test_a_folder_for_a_file_and_a_file_for_a_folder_are_told_without_a_traceback(tmp_path: Path, place: str):
    path = tmp_path / place
    if place.endswith("/"):
        (path / "below").mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True)
        path.touch()
    done = run_here("prepare.py", "experiment=tiny", "workers=1", "restore.flip=none", "pseudo=none", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert place.rstrip("/") in done.stderr and "move away" in done.stderr
