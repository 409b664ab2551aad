"""`pixelplay COMMAND`: as a wheel installs it, and beside the scripts in src/, which hide no other package."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.pipeline import ROOT, files_below, run, run_python, user_environment

from pixelplay.cli import main
from pixelplay.command_line import as_started
from pixelplay.commands import COMMANDS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel unpacks to."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", folder, "build_py", "--build-lib", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def installed(wheel: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = user_environment() | {"PYTHONPATH": str(wheel)}
    return run(sys.executable, "-P", "-m", "pixelplay", *arguments, cwd=cwd, env=environment)


def test_a_wheel_has_the_templates_of_all_pages(wheel: Path):
    files = [*(ROOT / "src").glob("pixelplay/**/templates/*")]
    assert {"page.html", "live.html", "contact_sheet.html"} <= {file.name for file in files}
    for file in files:
        assert (wheel / file.relative_to(ROOT / "src")).read_bytes() == file.read_bytes()


def test_a_wheel_has_the_configuration_and_its_commands_work_in_any_folder(wheel: Path, tmp_path: Path):
    for file in [*ROOT.glob("configs/**/*.yaml"), ROOT / "pyproject.toml"]:
        assert (wheel / "pixelplay" / file.relative_to(ROOT)).read_bytes() == file.read_bytes()
    done = installed(wheel, "status", "experiment=tiny", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines()[1] == "detect    waits for prepare"
    assert not list(tmp_path.iterdir())


def test_the_whole_pipeline_starts_the_wheel_s_own_stages_and_ends_with_the_status_of_one_that_fails(
    wheel: Path, tmp_path: Path
):
    options = ["experiment=folder", "dataset.root=my videos", "run=first"]
    done = installed(wheel, "run", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert "error: data set 'folder' not found: no such folder: my videos\n" in done.stderr
    assert "dataset.root=FOLDER" in done.stderr and "Traceback" not in done.stderr and "train:" not in done.stdout
    assert [path.relative_to(tmp_path) for path in files_below(tmp_path)] == [Path("outputs/folder/first/.lock")]


def test_other_packages_are_found_in_a_command_though_a_script_in_src_has_their_name(tmp_path: Path):
    """At the command's end, by a module that Python imports at its start."""
    (tmp_path / "evaluate.py").touch()
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit\nfrom importlib.util import find_spec\n"
        "atexit.register(lambda: print('found', *(getattr(find_spec(n), 'origin', n) for n in ('evaluate', 'mine'))))"
    )
    environment = user_environment() | {"PYTHONPATH": str(tmp_path)}
    done = run_python("evaluate.py", "--version", cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    evaluate, mine = done.stdout.splitlines()[-1].removeprefix("found ").split()
    assert evaluate == str(tmp_path / "evaluate.py")
    assert not mine.startswith(str(ROOT))


def test_the_list_of_commands_has_a_line_for_each(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pixelplay", "--help"])
    main()
    _, listed = capsys.readouterr().out.split("commands:\n")
    assert [line.split()[0] for line in listed.strip().splitlines()] == list(COMMANDS)
    assert {path.stem for path in (ROOT / "src").glob("*.py")} == {*COMMANDS, "environment"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_that_proposes_what_can_be_typed(
    command: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", ["/opt/no/such/place/pixelplay", command, "--help"])
    try:
        main()
    except SystemExit as end:  # argparse's
        assert end.code == 0
    text = capsys.readouterr().out
    assert f"/opt/no/such/place/pixelplay {command}" in text
    assert "src/" not in text and "run_all.sh" not in text


def test_an_unknown_command_ends_with_status_1_and_the_likely_one(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", ["pixelplay", "trian"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith("error: trian: no such command; did you mean 'train'? allowed here: ")


@pytest.mark.parametrize(
    ("argv", "pipeline", "train", "submit"),
    [
        ("src/score.py", "", "python src/train.py", "python src/submit.py"),
        ("score.py", "", "python train.py", "python submit.py"),
        ("/a b/src/score.py", "", "python '/a b/src/train.py'", "python '/a b/src/submit.py'"),
        ("/x/pixelplay/__main__.py", "", "python -m pixelplay train", "python -m pixelplay submit"),
        ("/x/bin/pixelplay", "", "/x/bin/pixelplay train", "/x/bin/pixelplay submit"),
        ("/x/pixelplay/__main__.py", "pixelplay run", "pixelplay train", "pixelplay submit"),
        ("/x/src/score.py", "./run_all.sh", "./run_all.sh", "python /x/src/submit.py"),
    ],
)
def test_messages_propose_commands_as_this_one_was_started(
    argv: str, pipeline: str, train: str, submit: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", [argv])
    monkeypatch.setenv("PIXELPLAY_COMMAND", pipeline)
    text = "run `python src/train.py` with the same options; `python src/submit.py` shows them; python src/other.py"
    assert as_started(text) == f"run `{train}` with the same options; `{submit}` shows them; python src/other.py"
