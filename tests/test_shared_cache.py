"""Two runs at once on one cold cache: nothing is made twice, nothing of one is deleted by the other."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.footage import COLOR, GRAY, folder_video, write_frames
from tests.pipeline import ROOT, files_below, run_python, user_environment
from tests.test_detect_stage import write_video as write_walk

from pixelplay.artifacts import turn
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
done = FrameCache(root / "cache").fill([folder_video(root / name) for name in ("1", "2", "3")], [GRAY, COLOR], 1.0, 2, slow)
assert all(one.video.has_frames([GRAY, COLOR]) for one in done)
print(sum(counted))
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
    other = "import sys, time; from pathlib import Path; from pixelplay.artifacts import turn\n"
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


def test_two_runs_prepare_and_detect_on_one_cold_cache_with_the_same_result(tmp_path: Path):
    for name in ("train/a", "train/b", "test/c"):
        write_walk(tmp_path / "data" / name, walks=True)
    small = ["objects.motion.frames.width=96", "objects.motion.frames.height=64", "restore=tiny", "pseudo=tiny"]
    options = ["experiment=folder", "dataset.root=data", "detector=[videopatchcore]", "weights=in_domain", *small]

    def both(script: str) -> None:
        command = [sys.executable, str(ROOT / "src" / script), *options]
        runs = [
            subprocess.Popen(
                [*command, f"run={name}"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment()
            )
            for name in "ab"
        ]
        errors = [process.communicate(timeout=300)[1] for process in runs]
        assert [process.returncode for process in runs] == [0, 0], errors

    both("prepare.py")
    both("detect.py")
    indices = [json.loads((tmp_path / f"outputs/folder/{name}/index.json").read_text()) for name in "ab"]
    assert indices[0] == indices[1]
    shared = arrays(tmp_path / "cache")
    assert any("restored-" in name for name in shared) and any("pseudo-" in name for name in shared)
    for script in ("prepare.py", "detect.py"):
        assert "up to date" in run_python(script, *options, "run=a", cwd=tmp_path).stdout
        alone = run_python(script, *options, "run=c", "paths.cache=alone", cwd=tmp_path)
        assert alone.returncode == 0, alone.stderr
    assert {name: data for name, data in arrays(tmp_path / "alone").items() if not name.endswith(".json")} == {
        name: data for name, data in shared.items() if not name.endswith(".json")
    }
