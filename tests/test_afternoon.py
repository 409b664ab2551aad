"""A competitor's afternoon: a full run, three fusion variants, one more detector; nothing is lost or made twice."""

import csv
import json
from pathlib import Path

import pytest
from tests.pipeline import files_below, run_here

from pixelplay.stages import status

GIVEN = ("experiment=tiny", "device=cpu", "workers=1", "report.gallery=1")  # what is not recalled
FIRST = (
    *("detector=[conv_ae_tiny,st_ae_tiny]", "dataset.sample.min_frames=30", "dataset.sample.max_frames=40"),
    *("pseudo.kinds=[freeze,foreign_patch]", "trainer.max_epochs=1", "ablate.n_bootstrap=2", "ablate.weight_steps=2"),
    "evaluate.bootstrap.n_bootstrap=20",
)
VARIANTS = {
    "smooth": "fusion.default.smooth.sigma=9.0",
    "highest": "fusion.method=maximum",
    "alone": "+fusion.members.st_ae.weight=0.0",
}
COMPARE = "report.compare=[first,first:smooth,first:highest,first:alone]"
STAGES = [name for name in status.STAGES if name != "prepare"]
KEPT = (".parquet", ".csv", ".json", ".yaml", ".safetensors", ".html", ".png", ".jpg")  # of what a run has written


def command(script: str, *options: str, cwd: Path) -> str:
    done = run_here(script, *GIVEN, *options, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(folder: Path) -> dict[Path, bytes]:
    files = [path for top in ("outputs", "checkpoints", "submissions") for path in files_below(folder / top)]
    return {path: path.read_bytes() for path in files if path.suffix in KEPT and not path.name.startswith(".")}


@pytest.fixture(scope="module")
def afternoon(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder after it, and what the stages of the run with one more detector printed."""
    folder = tmp_path_factory.mktemp("afternoon")
    command("prepare.py", "run=first", *FIRST, cwd=folder)
    for stage in STAGES:  # its options are typed once
        command(f"{stage}.py", "run=first", cwd=folder)
    before = contents(folder)
    for name, option in VARIANTS.items():
        command("fuse.py", "run=first", f"name={name}", option, cwd=folder)
        for stage in ("events", "evaluate"):
            command(f"{stage}.py", "run=first", f"name={name}", cwd=folder)
    assert_only_the_ledger_has_changed(before, folder)
    before = contents(folder)
    more = [option.replace("st_ae_tiny]", "st_ae_tiny,denoising_ae_tiny]") for option in FIRST]
    command("prepare.py", "run=second", *more, cwd=folder)
    printed = [command(f"{stage}.py", "run=second", COMPARE, cwd=folder) for stage in STAGES]
    assert_only_the_ledger_has_changed(before, folder)
    return folder, "".join(printed)


def assert_only_the_ledger_has_changed(before: dict[Path, bytes], folder: Path) -> None:
    """Its rows are still there, with figures that `evaluate` has filled in."""
    after = contents(folder)
    changed = [path for path, content in before.items() if after.get(path) != content]
    assert [path.name for path in changed] in ([], ["LEDGER.csv"])
    rows = ledger(folder)
    for path in changed:
        for row in csv.DictReader(before[path].decode().splitlines()):
            [same] = [one for one in rows if one["sha256"] == row["sha256"]]
            assert {**same, "ap_labels": ""} == {**row, "ap_labels": ""}


def ledger(folder: Path) -> list[dict[str, str]]:
    with open(folder / "submissions/LEDGER.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_ledger_has_every_submission_with_its_options_and_figures(afternoon: tuple[Path, str]):
    folder, _ = afternoon
    rows = ledger(folder)
    names = ["tiny/first.csv", *(f"tiny-first-{name}.csv" for name in VARIANTS), "tiny/second.csv"]
    assert [row["file"] for row in rows] == names
    assert all((folder / "submissions" / name).is_file() for name in names)
    assert all(row["ap_pseudo"] and row["ap_labels"] and row["leaderboard"] == "" for row in rows)
    assert "trainer.max_epochs=1" in rows[0]["options"] and "report." not in rows[0]["options"]
    assert rows[2]["options"] == f"{rows[0]['options']} fusion.method=maximum"
    assert len({row["sha256"] for row in rows}) == len(rows)


def test_one_more_detector_is_the_only_one_that_is_trained_and_scored(afternoon: tuple[Path, str]):
    folder, printed = afternoon
    assert "train: denoising_ae on " in printed and "score: denoising_ae -> " in printed
    for name in ("conv_ae", "st_ae"):
        assert f"train-{name}: that of outputs/tiny/first/, made with the same settings" in printed
        assert f"score-{name}-pseudo: that of outputs/tiny/first/, made with the same settings" in printed
        assert f"train: {name} on " not in printed and f"score: {name} -> " not in printed
        paths = [folder / f"outputs/tiny/{run}/scores/{name}.parquet" for run in ("first", "second")]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_runs_and_the_page_hold_them_all(afternoon: tuple[Path, str]):
    folder, _ = afternoon
    names = ["tiny/first", *(f"tiny/first:{name}" for name in VARIANTS), "tiny/second"]
    rows = list(csv.DictReader(command("runs.py", "--csv", cwd=folder).splitlines()))
    assert [row["run"] for row in rows] == names
    for row in rows:
        run, _, variant = row["run"].partition(":")
        place = folder / "outputs" / run / (f"fusions/{variant}" if variant else "")
        assert float(row["ap"]) == json.loads((place / "metrics.json").read_text())["fused"]["ap"]
        assert int(row["events"]) == len(json.loads((place / "events.json").read_text())["events"])
    page = (folder / "outputs/tiny/second/report/index.html").read_text()
    compared = page[page.index('<section id="comparison">') :].partition("</section>")[0]
    assert all(f'<th scope="row">{name}\n' in compared for name in names)
    assert all(option in compared for option in VARIANTS.values())


def test_nothing_is_left_to_do(afternoon: tuple[Path, str]):
    for options in (["run=first"], ["run=second", COMPARE]):
        done = command("status.py", *options, cwd=afternoon[0])
        assert all(line.endswith(" up to date") for line in done.splitlines()), done
