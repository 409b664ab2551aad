"""`clean` deletes what no run names any longer, and nothing else."""

import json
import logging
import os
from pathlib import Path

import pytest
from tests.pipeline import files_below
from tests.scored import write_record

from pixelplay import clean
from pixelplay.cli import load_config
from pixelplay.errors import InUseError, PixelPlayError
from pixelplay.run.atomic import HOST
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.locks import lock

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"
USED = f"cache/ped2-{KEY}"
SETTINGS = {"seed": 0}


def write(path: str, size: int = 1) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(size))
    return file


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has train/01 as 8x8 frames, restored and with boxes, and pseudo-anomalies."""
    monkeypatch.chdir(tmp_path)
    video, restored = f"{USED}/train/01", f"{USED}/train/01/restored-{KEY}"
    pseudo = f"{USED}/pseudo-{KEY}"
    needed = [f"{video}/8x8-gray.npy", f"{video}/objects-motion-{KEY}.parquet", f"{restored}/8x8-gray.npy"]
    needed += [f"{video}/features-{KEY}.npy", f"{video}/flow-{KEY}.npy"]
    for file in [*needed, f"{video}/decoded.json", f"{pseudo}/clips/a/frames/0.png", f"{pseudo}/pseudo/a/decoded.json"]:
        write(file)
    write(f"{USED}/digests")
    write("cache/weights/yolov8n.pt")
    folder = Path("outputs/ped2")
    (folder / "stages").mkdir(parents=True)
    videos = [{"folder": video, "restored": restored}, {"folder": f"{pseudo}/pseudo/a", "restored": None}]
    (folder / "index.json").write_text(json.dumps({"train": videos}))
    (folder / "stages/prepare.json").write_text(json.dumps({"outputs": [{"path": path} for path in needed]}))
    write_record(folder / "stages/train-conv_ae.json", settings=SETTINGS)
    write(f"checkpoints/ped2/conv_ae/training-{fingerprint(1, SETTINGS)}/last.ckpt")
    write(f"checkpoints/ped2/st_ae/training-{OTHER}/last.ckpt")  # unfinished


def litter() -> list[Path]:
    return [
        write(f"cache/ped2-{OTHER}/train/01/decoded.json"),
        write(f"{USED}/train/02/decoded.json"),
        write(f"{USED}/train/02/8x8-gray.npy", 3 * 2**20),
        write(f"{USED}/train/01/16x16-gray.npy"),
        write(f"{USED}/train/01/objects-yolo-{OTHER}.parquet"),
        write(f"{USED}/train/01/features-{OTHER}.npy"),
        write(f"{USED}/train/01/flow-{OTHER}.npy"),
        write(f"{USED}/train/01/restored-{OTHER}/8x8-gray.npy"),
        write(f"{USED}/pseudo-{OTHER}/pseudo/a/decoded.json"),
        write(f"checkpoints/ped2/conv_ae/training-{OTHER}/last.ckpt"),
        write(f"outputs/ped2/.fused.parquet.{HOST}.999999999.tmp"),
    ]


def test_all_that_no_run_names_is_deleted_and_nothing_else(caplog: pytest.LogCaptureFixture):
    before = list(files_below(Path()))
    unneeded = litter()
    with caplog.at_level(logging.INFO):
        clean.run(load_config([]), dry_run=True)
    assert all(path.exists() for path in unneeded)
    listed = caplog.messages
    assert len(listed) == 11 and f"       3.0 MB  {USED}/train/02/: no run uses this video" in listed
    assert listed[-1] == "       3.0 MB  would be deleted (--dry-run)"
    clean.run(load_config([]))
    assert list(files_below(Path())) == before


def test_kinds_of_files_that_no_record_names_are_left_alone():
    """Boxes, for instance, where records of the stage that finds them are missing."""
    boxes = write(f"{USED}/train/01/objects-yolo-{OTHER}.parquet")
    Path(f"{USED}/train/01/objects-motion-{KEY}.parquet").unlink()
    clean.run(load_config([]))
    assert boxes.is_file()


def test_files_of_living_processes_stay():
    mine = write(f"outputs/ped2/.x.{HOST}.{os.getpid()}.tmp")
    clean.run(load_config([]))
    assert mine.is_file()


def test_links_that_lead_out_of_the_folders_are_not_followed(tmp_path_factory: pytest.TempPathFactory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "train/01").mkdir(parents=True)
    (elsewhere / "train/01/decoded.json").touch()
    Path(f"cache/old-{OTHER}").symlink_to(elsewhere)
    clean.run(load_config([]))
    assert (elsewhere / "train/01/decoded.json").is_file() and Path(f"cache/old-{OTHER}").is_symlink()


def test_without_any_run_nothing_is_deleted():
    unneeded = litter()
    with pytest.raises(PixelPlayError, match=r"no run in nowhere/.* set paths\.outputs=FOLDER"):
        clean.run(load_config(["paths.outputs=nowhere"]))
    Path("outputs/ped2/index.json").write_text("damaged")
    with pytest.raises(PixelPlayError, match=r"index\.json can't be read"):
        clean.run(load_config([]))
    assert all(path.exists() for path in unneeded)


def test_a_run_in_progress_is_not_disturbed():
    unneeded = litter()
    in_use = pytest.raises(InUseError, match=r"the run outputs/ped2/ is in use")
    with lock(Path("outputs/ped2/.lock"), "the run"), in_use:
        clean.run(load_config([]))
    assert all(path.exists() for path in unneeded)
