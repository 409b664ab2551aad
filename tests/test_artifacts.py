"""Artefacts: written whole or not at all, and checked when they are read."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel
from tests.pipeline import run_here

from pixelplay.cli import load_config
from pixelplay.errors import DamagedArtifactError, InUseError, MissingArtifactError, PixelPlayError
from pixelplay.run.artifacts import (
    csv_text,
    read_csv,
    read_json,
    read_model,
    write_json,
    write_text,
)
from pixelplay.run.atomic import HOST, atomic, remove_leftovers, require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.locks import lock

SOURCE = Path(__file__).resolve().parents[1] / "src"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def dead_process() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


# --- atomic writes --------------------------------------------------------------------------------------------------


def test_a_file_appears_whole_and_its_folder_with_it(tmp_path: Path):
    path = tmp_path / "a/b/file.txt"
    with atomic(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent  # a rename is atomic within one file system only
    assert path.read_text() == "half"
    assert names(tmp_path) == ["a/b/file.txt"]


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary_one(tmp_path: Path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic(path) as temporary:
        temporary.write_text("half of the new")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_write_that_is_killed_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    script = """
import os, signal, sys
from pathlib import Path
from pixelplay.run.atomic import atomic
with atomic(Path(sys.argv[1])) as temporary:
    temporary.write_text("half of the new")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(names(tmp_path)) == 2
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["file.txt"]


def test_leftovers_of_dead_processes_go_and_everything_else_stays(tmp_path: Path):
    (tmp_path / "below").mkdir()
    dead = dead_process()
    stays = [f".a.{HOST}.{os.getpid()}.tmp", f"below/.b.{HOST}.1.tmp", f".c.another-machine.{dead}.tmp"]
    stays += [".hidden.tmp", f"visible.{HOST}.{dead}.tmp", "data.npy"]
    goes = [f".a.npy.{HOST}.{dead}.tmp", f"below/.b.json.{HOST}.{dead}.tmp"]
    for name in stays + goes:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(stays)
    remove_leftovers(tmp_path / "nowhere")  # nothing to do


def test_text_is_the_same_bytes_on_every_system(tmp_path: Path):
    write_text(tmp_path / "a.csv", "ä,1\nb,2\n")
    assert (tmp_path / "a.csv").read_bytes() == b"\xc3\xa4,1\nb,2\n"


def test_json_comes_back_and_numbers_that_json_has_not_are_refused(tmp_path: Path):
    value = {"a": [1, 2.5, None], "ü": "x"}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", "prepare") == value
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json", "prepare") == value


def test_a_missing_or_damaged_artefact_names_the_command_that_writes_it(tmp_path: Path):
    with pytest.raises(MissingArtifactError, match=r"a\.json is missing: run `python src/train\.py`"):
        read_json(tmp_path / "a.json", "train")
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(PixelPlayError, match=r"a\.json is damaged .*python src/train\.py"):
        read_json(tmp_path / "a.json", "train")


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"\xff", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_json_that_cannot_be_ours_is_damaged(tmp_path: Path, text: bytes):
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(DamagedArtifactError, match=r"a\.json is damaged .*python src/train\.py"):
        read_json(tmp_path / "a.json", "train")


class Sizes(BaseModel):
    sizes: dict[str, int]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "valid dictionary"),
        ("{}", "sizes: Field required"),
        ('{"sizes": null}', "sizes: Input should be a valid dictionary"),
        ('{"sizes": {"a": "x"}}', "sizes.a: Input should be a valid integer"),
    ],
)
def test_json_of_another_form_is_damaged_and_the_message_says_where(tmp_path: Path, text: str, message: str):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DamagedArtifactError, match=message):
        read_model(tmp_path / "a.json", Sizes, "train")
    write_json(tmp_path / "a.json", {"sizes": {"a": 3}})
    assert read_model(tmp_path / "a.json", Sizes, "train").sizes == {"a": 3}


# --- CSV ------------------------------------------------------------------------------------------------------------

TEXTS = ["NA", "nan", "", "01", "=1+1", "+a", "-a", "@a", "'a", "'=a", "\ta", 'a"b', "a,b", "ä\n", "-0.5", "a'"]


def test_text_comes_back_from_a_csv_as_it_was(tmp_path: Path):
    rows = [[text, i, 0.1 * i] for i, text in enumerate(TEXTS)]
    write_text(tmp_path / "a.csv", csv_text([["video", "frame", "score"], *rows]))
    table = read_csv(tmp_path / "a.csv", {"video": str, "frame": int, "score": float}, "prepare")
    assert table.to_numpy().tolist() == rows


def test_only_text_that_looks_like_a_formula_gets_an_apostrophe():
    cells = ["=1+1", "+a", "-a", "@a", "\ta", "'a", "-0.5", "+1e-5", -0.5, -3, float("nan"), None, "a=1"]
    written = ["'=1+1", "'+a", "'-a", "'@a", "'\ta", "''a", "-0.5", "+1e-5", "-0.5", "-3", "", "", "a=1"]
    assert csv_text([cells]) == ",".join(written) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        *("", "video\na\n", "video,frame\na\n", "video,frame\na,x\n", "video,frame\na,1.5\n", "video,frame\na,\n"),
        *('video,frame\n"a,1\n', f"video,frame\na,{'9' * 30}\n", f"video,frame\n{'a' * 200_000},1\n"),
    ],
)
def test_a_csv_that_cannot_be_ours_is_damaged(tmp_path: Path, text: str):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DamagedArtifactError, match=r"a\.csv is damaged .*python src/prepare\.py"):
        read_csv(tmp_path / "a.csv", {"video": str, "frame": int}, "prepare")


# --- folders --------------------------------------------------------------------------------------------------------


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path):
    require_writable(tmp_path / "a/b", "paths.outputs")
    assert (tmp_path / "a/b").is_dir()
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", ["file/below", "file"])
def test_a_folder_that_cannot_be_made_is_refused_with_its_key(tmp_path: Path, place: str):
    (tmp_path / "file").touch()
    with pytest.raises(PixelPlayError, match=r"cannot write to .*name another folder with paths\.outputs=FOLDER"):
        require_writable(tmp_path / place, "paths.outputs")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc here")
def test_a_file_system_that_takes_no_files_is_refused():
    with pytest.raises(PixelPlayError, match=r"cannot write to /proc/pixelplay/"):
        require_writable(Path("/proc/pixelplay"), "paths.cache")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path):
    (tmp_path / "sealed").mkdir(mode=0o500)
    with pytest.raises(PixelPlayError, match="Permission denied"):
        require_writable(tmp_path / "sealed", "paths.cache")


def test_a_run_s_files_lie_below_its_experiment_and_its_name():
    base = RunFiles.of(load_config(["experiment=ped2", "dataset.root=x"]))
    assert base.index == Path("outputs/ped2/index.json")
    assert base.submission == Path("submissions/ped2.csv")
    named = RunFiles.of(load_config(["experiment=ped2", "dataset.root=x", "run=wide"]))
    assert named.index == Path("outputs/ped2/wide/index.json")
    assert named.detector("conv_ae") == Path("checkpoints/ped2/wide/conv_ae")
    assert named.submission == Path("submissions/ped2/wide.csv")
    assert named.cache == base.cache  # shared


def test_what_follows_from_a_variant_of_the_fusion_lies_in_a_folder_of_its_own_and_nothing_else_does():
    options = ["experiment=ped2", "dataset.root=x", "run=wide"]
    run, variant = (RunFiles.of(load_config([*options, *name])) for name in ([], ["name=w2"]))
    own = Path("outputs/ped2/wide/fusions/w2")
    assert variant.submission == Path("submissions/ped2-wide-w2.csv")
    assert RunFiles.of(load_config([*options[:2], "name=w2"])).submission == Path("submissions/ped2-w2.csv")
    moved = [variant.fused, variant.metrics, variant.events, variant.report, variant.scores("objects", pseudo=True)]
    moved += [variant.record(name) for name in ("fuse-objects", "fuse", "events", "evaluate", "ablate", "report")]
    assert all(path.is_relative_to(own) for path in moved)
    for path in ("index", "truth", "restoration", "pseudo_clips", "checkpoints", "cache"):
        assert getattr(variant, path) == getattr(run, path)
    assert variant.scores("conv_ae") == run.scores("conv_ae") and variant.record("prepare") == run.record("prepare")


# --- names ----------------------------------------------------------------------------------------------------------


def test_pictures_of_two_videos_never_share_a_name():
    files = RunFiles.of(load_config(["experiment=ped2", "dataset.root=x"]))
    videos = ["a b", "a_b", "a/b", "ä", "Ä"]
    for name in (lambda v: files.error_maps("d", v), lambda v: files.neighbours("d", v, 3), files.clip):
        assert len({name(video) for video in videos}) == len(videos)
    assert files.error_maps("d", "a_b").name == "d-a_b.png"


# --- locks ----------------------------------------------------------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from pixelplay.run.locks import lock
with lock(Path(sys.argv[1]), "the run"):
    print("held", flush=True)
    time.sleep(600)
"""


def holder_of(path: Path) -> subprocess.Popen[str]:
    """Another process that has taken the lock."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_is_refused_while_another_process_holds_it_and_names_that(tmp_path: Path):
    path = tmp_path / "run/.lock"
    other = holder_of(path)
    try:
        told = rf"the run is in use by process {other.pid} on .*-c .*stop it"
        with pytest.raises(InUseError, match=told), lock(path, "the run"):
            pytest.fail("two processes hold the lock")
    finally:
        other.kill()
        other.wait()
    with lock(path, "the run"):  # freed by the system, although the other was killed
        assert sorted(names(tmp_path)) == ["run/.lock", "run/.lock.json"]
    assert names(tmp_path) == ["run/.lock"]


def test_a_lock_is_free_again_after_a_block_that_failed(tmp_path: Path):
    with pytest.raises(RuntimeError, match="died"), lock(tmp_path / ".lock", "it"):
        raise RuntimeError("died")
    with lock(tmp_path / ".lock", "it"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_nobody_can_write_to_needs_no_lock(tmp_path: Path):
    (tmp_path / "sealed").mkdir(mode=0o500)
    with lock(tmp_path / "sealed/.lock", "it"):
        assert names(tmp_path) == []


def test_a_second_command_of_a_run_ends_at_once_and_names_the_first_one(tmp_path: Path):
    other = holder_of(tmp_path / "outputs/tiny/.lock")
    try:
        done = run_here("fuse.py", "experiment=tiny", cwd=tmp_path)
        assert done.returncode == 1
        assert f"error: the run outputs/tiny/ is in use by process {other.pid} on " in done.stderr
        elsewhere = run_here("fuse.py", "experiment=tiny", "run=other", cwd=tmp_path)
        looking = run_here("status.py", "experiment=tiny", cwd=tmp_path)
    finally:
        other.kill()
        other.wait()
    assert "outputs/tiny/other/index.json is missing" in elsewhere.stderr  # a run of its own
    assert looking.returncode == 3, looking.stderr


def test_a_command_removes_what_killed_ones_left_in_the_folders_of_its_run(tmp_path: Path):
    end = f"{HOST}.{dead_process()}.tmp"
    left = [
        f"outputs/tiny/report/clips/.01.mp4.{end}/01.mp4",
        f"outputs/tiny/scores/.conv_ae.parquet.{end}",
        f"checkpoints/tiny/conv_ae/training-{'0' * 16}/.last.ckpt.{end}",
        f"submissions/.tiny.csv.{end}",
    ]
    stays = ["outputs/tiny/report/clips/01.mp4", f"submissions/.ped2.csv.{end}", "submissions/tiny.csv"]
    for name in left + stays:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    run_here("fuse.py", "experiment=tiny", cwd=tmp_path)
    assert names(tmp_path) == sorted([*stays, "outputs/tiny/.lock"])


# --- fingerprints ---------------------------------------------------------------------------------------------------


def test_a_fingerprint_depends_on_the_values_and_not_on_the_order_of_keys():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    values = [{"a": 1, "b": [2]}, {"a": 1, "b": [3]}, {"a": "1", "b": [2]}, [1, 2], [2, 1], "12", None]
    assert len({fingerprint(value) for value in values}) == len(values)
    assert fingerprint(1, 2) != fingerprint([1, 2], None)
