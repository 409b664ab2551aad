"""Two runs at once on one cold cache: nothing is made twice, nothing of one is deleted by the other."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.footage import COLOR, GRAY, folder_video, write_frames
from tests.pipeline import ROOT, files_below, user_environment
from tests.test_detect_stage import write_video as write_walk

from pixelplay.cli import load_config
from pixelplay.run.locks import turn
from pixelplay.stages import detect, prepare
from pixelplay.videos.cache import FrameCache

FILL = """
import sys, time
from pathlib import Path
from pixelplay.videos.cache import FrameCache
from tests.footage import COLOR, GRAY, folder_video
counted = []
def slow(frames):
    counted.append(frames)
    time.sleep(0.05 * frames)
root = Path(sys.argv[1])
while not (root / "start").exists():
    time.sleep(0.001)
videos = [folder_video(root / name) for name in ("1", "2", "3")]
done = FrameCache(root / "cache").fill(videos, [GRAY, COLOR], 1.0, 2, slow)
assert all(len(one.video.frames(form)) == len(one.video) for one in done for form in (GRAY, COLOR))
print(sum(counted))
"""

STAGES = """
import sys
from pixelplay.cli import load_config
from pixelplay.stages import detect, prepare
for stage in (prepare, detect):
    stage.run(load_config(sys.argv[1:]))
"""


def environment() -> dict[str, str]:
    """That of a user, with the tests' own modules at hand."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), *sys.path])
    return {**user_environment(), "PYTHONPATH": path}


def arrays(folder: Path) -> dict[str, bytes]:
    paths = [path for path in files_below(folder) if path.suffix in (".npy", ".json", ".png", ".parquet")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_two_processes_fill_one_cold_cache_and_decode_each_video_once(tmp_path: Path):
    for name in "123":
        write_frames(tmp_path / name, range(8), seed=int(name))
    command = [sys.executable, "-c", FILL, str(tmp_path)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        for _ in range(2)
    ]
    (tmp_path / "start").touch()
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum(int(out) for out, _ in outputs) == 24
    FrameCache(tmp_path / "alone").fill([folder_video(tmp_path / name) for name in "123"], [GRAY, COLOR], 1.0, 1)
    assert arrays(tmp_path / "cache") == arrays(tmp_path / "alone")


def test_who_waits_says_for_whom_and_can_give_up(tmp_path: Path, caplog):
    caplog.set_level("INFO")
    other = "import sys, time; from pathlib import Path; from pixelplay.run.locks import turn\n"
    other += "with turn(Path(sys.argv[1]), 'x'): print(flush=True); time.sleep(60)"
    command = [sys.executable, "-c", other, str(tmp_path / "video")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        process.stdout.readline()
        waited = []

        def give_up() -> None:
            waited.append(1)
            if len(waited) == 2:
                process.kill()  # the system frees its lock

        with turn(tmp_path / "video", "cached video v", waiting=give_up):
            pass
    assert len(waited) == 2
    assert caplog.text.count("waiting: cached video v is in use by process") == 1
    assert str(process.pid) in caplog.text


def test_two_runs_prepare_and_detect_on_one_cold_cache_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("train/a", "train/b", "train/d", "test/c"):
        write_walk(tmp_path / "data" / name, walks=True)
    for path in sorted((tmp_path / "data/test/c").iterdir())[5:9]:
        noise = np.random.default_rng(0).normal(0, 40, (64, 96))
        cv2.imwrite(str(path), np.clip(cv2.imread(str(path), 0) + noise, 0, 255).astype(np.uint8))
    small = ["objects.motion.frames.width=96", "objects.motion.frames.height=64", "pseudo=tiny"]
    noisy = ["restore.flip=none", "restore.denoise.method=median"]
    options = ["experiment=folder", "dataset.root=data", "detector=[videopatchcore]", "weights=in_domain"]
    clips = [f"detectors.videopatchcore.{name}=2" for name in ("training.clip", "training.stride", "scoring.stride")]
    options += [*small, *noisy, *clips, "dataset.heldout.gap=2"]
    command = [sys.executable, "-c", STAGES, *options]
    runs = [
        subprocess.Popen([*command, f"run={name}"], stderr=subprocess.PIPE, text=True, env=environment())
        for name in "ab"
    ]
    errors = [process.communicate(timeout=300)[1] for process in runs]
    assert [process.returncode for process in runs] == [0, 0], errors
    assert Path("outputs/folder/a/index.json").read_bytes() == Path("outputs/folder/b/index.json").read_bytes()
    shared = arrays(tmp_path / "cache")
    for stage in (prepare, detect):
        assert all(not stage.pending(load_config([*options, f"run={name}"])) for name in "ab")
        stage.run(load_config([*options, "run=alone", "paths.cache=alone"]))
    alone = arrays(tmp_path / "alone")
    assert shared == alone
    for part in ("/train/a/96x64-gray.npy", "/restored-", "/pseudo-", "/objects-motion-"):
        assert any(part in name for name in shared), part
