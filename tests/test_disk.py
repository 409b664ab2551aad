"""What the disk refuses: every writer says which file it was, and commands end with what to do about it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.pipeline import ROOT, run_here

from pixelplay.cli import _explained

# Writes with each library, under a limit of 20 kB for a file, which a full disk looks like to all of them.
WRITERS = """
import resource, signal, sys
from pathlib import Path
import numpy as np, pandas as pd, torch
from matplotlib.figure import Figure
from safetensors.torch import save_file
from pixelplay.run.atomic import atomic, atomic_folder
from pixelplay.run.artifacts import write_table, write_text
from pixelplay.drawing.annotate import write_clip, write_sheet
from pixelplay.training.fit import _AtomicCheckpoints

tensors = {"a": torch.zeros(100_000)}
images = np.random.default_rng(0).integers(0, 256, (20, 200, 200, 3), dtype=np.uint8)
figure = Figure()
figure.subplots().imshow(images[0])

def safetensors(path):
    with atomic(path) as temporary:
        save_file(tensors, temporary)

def folder(path):
    with atomic_folder(path) as temporary:
        save_file(tensors, temporary / "model.safetensors")

def picture(path):
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=200)

def array(path):
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.save(file, np.zeros(100_000))

writers = {
    "last.ckpt": lambda path: _AtomicCheckpoints().save_checkpoint(tensors, path),
    "weights.safetensors": safetensors,
    "videomae": folder,
    "plot.png": picture,
    "a.npy": array,
    "a.parquet": lambda path: write_table(path, pd.DataFrame({"a": np.random.default_rng(0).random(100_000)})),
    "a.csv": lambda path: write_text(path, "x" * 100_000),
    "sheet.png": lambda path: write_sheet(path, images),
    "clip.mp4": lambda path: write_clip(path, images, 10.0),
}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for name, write in writers.items():
    try:
        write(Path(sys.argv[1]) / name)
        print(name, "was written")
    except OSError as error:
        print(name, error.errno, error.filename)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits")
def test_every_writer_names_its_file_where_the_disk_takes_no_more(tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", WRITERS, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    for line in lines:
        name = line.split()[0]
        assert line == f"{name} {errno.EFBIG} {tmp_path / name}"
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
