"""The commands as a user runs them: the whole pipeline, killed and not, and what they say when something is missing."""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.pipeline import ROOT, files_below, run, run_here, stages_here, user_environment

from pixelplay.commands import COMMANDS
from pixelplay.stages.status import STAGES

RUN_ALL = ("bash", str(ROOT / "run_all.sh"))
# Long enough to be killed in the middle: small steps in training, one window at a time in scoring.
TINY = (
    "experiment=tiny",
    "detector=[conv_ae_tiny]",  # whatever else the experiment has
    "dataset.sample.min_frames=30",
    "dataset.sample.max_frames=40",
    "pseudo.kinds=[freeze]",
    "workers=1",
    "trainer.max_epochs=20",
    "trainer.patience=20",
    "trainer.batch_size=8",
    "detectors.conv_ae.training.stride=1",
    "detectors.conv_ae.scoring.batch_size=1",
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the whole pipeline ran once, and what it printed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(*RUN_ALL, *TINY, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def kill_when(happened: Callable[[], bool], folder: Path, *command: str, sign: int = signal.SIGKILL) -> tuple[int, str]:
    """Start a command, send its process group `sign` as soon as something has `happened`; its status and errors."""
    with open(folder / "errors", "w+") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=user_environment(),
            start_new_session=True,
            stdout=errors,
            stderr=errors,
            preexec_fn=_hear_interrupts,
        )
        deadline = time.monotonic() + 600
        try:
            while not happened():
                assert process.poll() is None, f"{command} ended too early:\n{(folder / 'errors').read_text()}"
                assert time.monotonic() < deadline, "it never happened"
                time.sleep(0.002)
            os.killpg(process.pid, sign)
            status = process.wait(300)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # where the test has failed
    text = (folder / "errors").read_text()
    (folder / "errors").unlink()
    return status, text


def _hear_interrupts() -> None:
    """As in a terminal: what a shell starts in the background, such as a CI job, is born deaf to Ctrl+C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def summary_of(output: str) -> dict[str, str]:
    """The rows of the summary that a run ends with, by their heads."""
    lines = output.splitlines()
    start = max(i for i, line in enumerate(lines) if line.startswith("fusion "))
    assert len(lines[start:]) <= 8
    return {line[:14].rstrip(): line[14:] for line in lines[start:]}


def test_the_pipeline_counts_its_stages_and_ends_with_a_short_summary(undisturbed):
    folder, output = undisturbed
    assert (folder / "submissions/tiny.csv").read_text().startswith("Id,Predicted\n")
    headings = [line for line in output.splitlines() if line.startswith("[")]
    assert [line.split(":")[0] for line in headings] == [
        f"[{number}/{len(STAGES)}] {name}" for number, name in enumerate(STAGES, start=1)
    ]
    found, metrics = summary_of(output), json.loads((folder / "outputs/tiny/metrics.json").read_text())
    assert found["fusion"].startswith(f"AP {metrics['fused']['ap']:.3f} (")
    assert f"AUC macro {metrics['fused']['auc_macro']:.3f}" in found["fusion"]
    assert found["submission"] == "submissions/tiny.csv"
    assert found["page"] == "outputs/tiny/report/index.html"
    assert re.fullmatch(r"\d+ (s|min), of which \w+ \d+ (s|min), .*", found["time"])


def test_what_stages_print_when_typed_alone_is_not_in_a_run(undisturbed):
    folder, output = undisturbed
    assert "best F1" not in output
    alone = run_here("evaluate.py", *TINY, cwd=folder)
    head, *rows = alone.stdout[alone.stdout.index("AP AUC micro AUC macro") :].splitlines()
    assert head.split()[:6] == ["AP", "AUC", "micro", "AUC", "macro", "EER"]
    first = next(i for i, row in enumerate(rows) if row.startswith(" "))  # the next columns stand below these
    figures = {row.split()[0]: row.split()[1:5] for row in rows[:first]}
    assert {"conv_ae", "conv_ae/mean", "conv_ae/patch_max", "fused"} <= set(figures)
    assert all(0 <= float(figure) <= 1 for row in figures.values() for figure in row)


def test_no_line_has_more_than_120_characters_and_none_is_written_over(undisturbed):
    folder, _ = undisturbed
    with stages_here():
        done = run_here("run.py", *TINY, "run=again", cwd=folder)
    alone = [run_here(f"{name}.py", *TINY, cwd=folder) for name in ("status", "doctor")]
    helped = [run_here(f"{name}.py", "--help", cwd=folder) for name in COMMANDS]
    mistaken = run_here("run.py", *(f"trainer.max_epoch={n}" for n in range(20)), cwd=folder)
    for one in (done, *alone, *helped, mistaken):
        for line in (one.stdout + one.stderr).splitlines():
            words = line.split()
            assert len(line) <= 120 or max(map(len, words)) > 100, line  # one path alone may be longer
        assert "\r" not in one.stdout + one.stderr
        assert "\x1b" not in one.stdout + one.stderr
    assert done.returncode == 0, done.stderr
    headings = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert [line.endswith(" left") for line in headings] == [False, *[True] * (len(STAGES) - 1)]  # as long as before


def test_a_second_run_says_that_all_is_up_to_date_and_does_nothing(undisturbed):
    folder, first = undisturbed
    before = {path: path.stat().st_mtime_ns for path in files_below(folder)}
    again = run_here("run.py", *TINY, cwd=folder)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(f"up to date: {', '.join(STAGES)}\nfusion ")
    told, known = summary_of(again.stdout), summary_of(first)
    assert told.pop("time").endswith(": everything was up to date")
    assert told == {head: text for head, text in known.items() if head != "time"}
    assert {path: path.stat().st_mtime_ns for path in files_below(folder)} == before


def test_killed_or_interrupted_in_any_stage_the_same_command_ends_with_the_same_submission(undisturbed, tmp_path: Path):
    def kill_where(pattern: str, *command: str, sign: int = signal.SIGKILL) -> tuple[int, str]:
        return kill_when(lambda: any(tmp_path.glob(pattern)), tmp_path, *command, *TINY, sign=sign)

    def script(name: str) -> tuple[str, str]:
        return sys.executable, str(ROOT / f"src/{name}.py")

    kill_where("data/.*.tmp/*/*/*.jpg", *RUN_ALL)  # rendering
    assert not (tmp_path / "data/tiny").exists()
    kill_where("cache/*/*/*/.*.tmp", *script("prepare"))  # decoding
    assert not (tmp_path / "outputs/tiny/index.json").exists()
    assert run(*script("prepare"), *TINY, cwd=tmp_path).returncode == 0
    trained = "checkpoints/tiny/conv_ae/training-*/last.ckpt"
    status, text = kill_where(trained, *script("train"), sign=signal.SIGINT)  # Ctrl+C
    assert status == 130 and "error: interrupted: the same command resumes from here" in text, text
    assert "Traceback" not in text
    assert not (tmp_path / "outputs/tiny/stages/train-conv_ae.json").exists()
    assert run(*script("train"), *TINY, cwd=tmp_path).returncode == 0
    kill_where("outputs/tiny/scores/.conv_ae.parts-*/*.parquet", *script("score"))
    assert not (tmp_path / "outputs/tiny/scores/conv_ae.parquet").exists()

    done = run(*RUN_ALL, *TINY, cwd=tmp_path)  # processes as before, since what else a process did may change sums
    assert done.returncode == 0, done.stderr
    folder, _ = undisturbed
    for name in ("submissions/tiny.csv", "outputs/tiny/metrics.json", "outputs/tiny/fused.parquet"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    hidden = {path.name for path in files_below(tmp_path) if path.name.startswith(".")}
    assert {name for name in hidden if ".lock" not in name} == {".rendered.json"}  # nothing half-written


def test_an_output_folder_that_cannot_be_written_is_told_by_its_key(tmp_path: Path):
    (tmp_path / "outputs").write_text("a file where the folder should be")
    done = run_here("prepare.py", "experiment=tiny", "workers=1", cwd=tmp_path)
    assert done.returncode == 1
    assert "error: cannot write to outputs/tiny/" in done.stderr
    assert "paths.outputs=FOLDER" in done.stderr
    assert "Traceback" not in done.stderr


class TestValidate:
    def test_a_submission_of_the_run_is_valid(self, undisturbed):
        folder, _ = undisturbed
        rows = len((folder / "submissions/tiny.csv").read_text().splitlines()) - 1
        done = run_here("validate.py", "submissions/tiny.csv", "--run", "outputs/tiny", cwd=folder)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"valid: {rows} rows\n", "")

    def test_it_is_valid_beside_itself_as_sample_submission(self, undisturbed):
        done = run_here("validate.py", "submissions/tiny.csv", "--sample", "submissions/tiny.csv", cwd=undisturbed[0])
        assert done.returncode == 0
        assert done.stdout.startswith("valid: ")

    def test_each_problem_has_a_line_and_the_status_is_1(self, undisturbed, tmp_path: Path):
        folder, _ = undisturbed
        head, first, second, *rows = (folder / "submissions/tiny.csv").read_text().splitlines()
        lines = [head, second, first.split(",")[0] + ",nan", *rows[:-1]]
        (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
        done = run_here("validate.py", "mine.csv", "--run", folder / "outputs/tiny", cwd=tmp_path)
        assert done.returncode == 1
        problems = done.stdout.splitlines()
        assert len(problems) == 3
        assert f"1 id ({rows[-1].split(',')[0]}) missing" in problems[0]
        assert "line 2" in problems[1]
        assert "line 3: Predicted is NaN" in problems[2]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["submissions/none.csv", "--run", "outputs/tiny"], "can't be read: No such file"),
            (["submissions/tiny.csv", "--run", "outputs/none"], "outputs/none/index.json is missing"),
            (["submissions/tiny.csv", "--sample", "none.csv"], "none.csv can't serve as a sample submission"),
        ],
    )
    def test_a_missing_file_is_named(self, undisturbed, options: list[str], message: str):
        done = run_here("validate.py", *options, cwd=undisturbed[0])
        assert done.returncode == 1
        assert message in done.stdout + done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("options", [[], ["--run", "outputs/tiny", "--sample", "submissions/tiny.csv"]])
    def test_it_takes_a_run_or_a_sample_submission_and_not_both(self, undisturbed, options: list[str]):
        done = run_here("validate.py", "submissions/tiny.csv", *options, cwd=undisturbed[0])
        assert done.returncode == 2
        assert "usage:" in done.stderr

    def test_help_shows_how_it_is_used(self, tmp_path: Path):
        done = run_here("validate.py", "--help", cwd=tmp_path)
        assert done.returncode == 0
        assert f"python {ROOT}/src/validate.py submissions/" in done.stdout


class TestEnvironment:
    """run_all.sh in an active environment that lacks packages: what it lacks is named, nothing is installed."""

    @pytest.fixture
    def bare(self, tmp_path: Path) -> Path:
        """A virtual environment without any package, not even pip."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
        return tmp_path / "bare"

    def packages(self, environment: Path) -> Path:
        return next(environment.glob("lib/python*/site-packages"))

    def run_in(self, environment: Path) -> subprocess.CompletedProcess[str]:
        env = user_environment() | {
            "VIRTUAL_ENV": str(environment),
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        for name in ("PYTHONPATH", "PYTHON"):
            env.pop(name, None)
        return run(*RUN_ALL, "experiment=tiny", cwd=environment.parent, env=env)

    def add(self, environment: Path, name: str, version: str) -> None:
        """What an installed package leaves: the folder that names it and its version."""
        folder = self.packages(environment) / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def test_lacking_and_outdated_packages_are_named_with_the_command_that_installs_them(self, bare: Path):
        (self.packages(bare) / "packaging").symlink_to(Path(sysconfig.get_path("purelib")) / "packaging")
        self.add(bare, "numpy", "1.26.4")
        self.add(bare, "scipy", "1.14.0")
        self.add(bare, "opencv-contrib-python-headless", "4.11.0.86")  # has the same module as opencv-python
        done = self.run_in(bare)
        assert done.returncode == 1
        assert str(bare) in done.stderr
        lines = dict(line.split(maxsplit=1) for line in done.stderr.splitlines() if line.startswith("  "))
        assert lines["torch>=2.6"] == "not installed"
        assert lines["numpy>=2.0"] == "has 1.26.4"
        assert not any(line.startswith(("scipy", "opencv")) for line in lines)
        assert "faiss-cpu" not in done.stderr and "ultralytics" not in done.stderr  # for some settings only
        commands = [line for line in done.stderr.splitlines() if "pip install" in line or "pip download" in line]
        assert len(commands) == 3 and commands[0].startswith(f"  {bare}/bin/python -m pip install ")
        assert all("'torch>=2.6'" in line and "'numpy>=2.0'" in line and "scipy" not in line for line in commands)
        assert any("--no-index --find-links" in line for line in commands)  # without internet
        assert "Traceback" not in done.stderr
        assert [path.name for path in bare.parent.iterdir()] == ["bare"]  # nothing was run

    def test_an_environment_without_pip_is_told_how_to_get_it(self, bare: Path):
        done = self.run_in(bare)
        assert done.returncode == 1
        assert "has neither pip nor the package packaging" in done.stderr
        assert "python -m ensurepip" in done.stderr
        assert "Traceback" not in done.stderr
