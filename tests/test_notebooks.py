"""The notebooks run from top to bottom, and are stored without outputs."""

import json
from pathlib import Path
from textwrap import dedent

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient
from tests.footage import write_frames
from tests.pipeline import ROOT, run_here

from pixelplay.cli import load_config
from pixelplay.scores import fusion_file
from pixelplay.stages import evaluate, events, fuse, prepare, score, train

QUICK = ("experiment=tiny", "workers=1", "trainer.max_epochs=1", "ablate.n_bootstrap=20", "ablate.weight_steps=3")
FEW = ("dataset.sample.min_frames=30", "dataset.sample.max_frames=40", "pseudo.kinds=[freeze]")
TINY = {'"experiment=sample"': ", ".join(map(json.dumps, QUICK))}
FUSED = "outputs/tiny/fused.parquet"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def executed(name: str, folder: Path, then: str = "", **replacements: str) -> nbformat.NotebookNode:
    """A notebook after all of its cells have run in `folder`, and `then` as a last one; each key of `replacements` in
    their source replaced."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    source = "\n".join(cell.source for cell in notebook.cells)
    assert all(old in source for old in replacements), f"{name} has none of {list(replacements)} any more"
    for cell in notebook.cells:
        for old, new in replacements.items():
            cell.source = cell.source.replace(old, new)
    if then:
        notebook.cells.append(nbformat.v4.new_code_cell(then))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def shown(notebook: nbformat.NotebookNode, kind: str) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.data[kind] for output in outputs if kind in output.get("data", {})]


def printed(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def repository(folder: Path) -> Path:
    """Make a folder one that a notebook takes for the repository's, to write into."""
    (folder / "run_all.sh").touch()  # by which a notebook knows the repository's folder
    (folder / "src").symlink_to(ROOT / "src")
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return repository(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which `experiment=tiny` has run up to `evaluate`."""
    folder = repository(tmp_path_factory.mktemp("finished"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage in (prepare, train, score, fuse, events, evaluate):
            stage.run(load_config([*QUICK]))
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path):
    cells = nbformat.read(path, as_version=4).cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")


def test_explore_data_lists_every_video_and_draws_brightness_noise_and_frames(finished: Path):
    notebook = executed("01_explore_data", finished, **TINY)
    assert len(shown(notebook, "image/png")) == 4  # brightness, noise, restored frames, normal and anomalous ones
    videos, totals = shown(notebook, "text/html")
    names = [path.name for path in sorted((finished / "data/tiny/test").iterdir())]
    assert all(f"<td>{name}</td>" in videos for name in names)
    frames = len(list((finished / "data/tiny/test").glob("*/*.jpg")))
    assert f"<td>{frames}</td>" in totals


def test_inspect_scores_shows_a_table_an_error_map_for_each_detector_and_the_chosen_frame(finished: Path):
    """Of the second video there is another picture, and at another position in it another one again."""
    use = """
        pictures = [picture.value]
        video.value = list(view.videos)[1]
        pictures.append(picture.value)
        position.value = position.max
        pictures.append(picture.value)
        print(video.value, position.max + 1, len(set(pictures)))
    """
    notebook = executed("02_inspect_scores", finished, dedent(use), **TINY)
    assert len(shown(notebook, "image/png")) == 3
    table = shown(notebook, "text/html")[0]
    assert all(name in table for name in ("conv_ae", "denoising_ae", "st_ae", "fused"))
    second = sorted((finished / "data/tiny/test").iterdir())[1]
    frames = len(list(second.glob("*.jpg")))
    assert printed(notebook).splitlines()[-1] == f"{second.name} {frames} 3"


def test_ablate_ensemble_shows_what_each_part_is_worth_and_its_sliders_what_another_fusion_would_be(finished: Path):
    use = """
        import json
        seen = [(told.value, bars.value)]
        for control, value in ((weights["conv_ae"], 0), (smoothing, 0), (normalisation, "rank")):
            control.value = value
            seen.append((told.value, bars.value))
        name.value = "by-hand"
        button.click()
        for slider in weights.values():
            slider.value = 0
        print(json.dumps([text for text, _ in [*seen, (told.value, None)]]), len({data for _, data in seen}))
    """
    own_files = {path: path.read_bytes() for path in map(finished.joinpath, ("submissions/tiny.csv", FUSED))}
    notebook = executed("03_ablate_ensemble", finished, dedent(use), **TINY)
    assert len(shown(notebook, "image/png")) == 5  # alone, kinds, changes, weights, agreement with labels
    comparison, ranks = shown(notebook, "text/html")
    assert all(name in comparison for name in ("search", "equal weights", "configured fusion", "chosen on labels"))
    assert "spearman_ap" in ranks and "leave_one_out" in ranks
    assert printed(notebook).startswith("Measured on 6 clips of held-out normal footage")
    texts, bars = printed(notebook).splitlines()[-1].rsplit(" ", 1)
    own, *others, none = json.loads(texts)
    measured = pd.read_csv(finished / "outputs/tiny/ablation/comparison.csv", index_col=0)
    assert own == f"<b>AP {measured['ap']['configured fusion']:.3f}</b>, +0.000 ± 0.000 over the run's fusion"
    without = pd.read_csv(finished / "outputs/tiny/ablation/leave_one_out.csv", index_col=0)
    assert others[0].startswith(f"<b>AP {without['ap']['without conv_ae']:.3f}</b>")
    assert len({own, *others}) == 4 and int(bars) > 1 and none == "Give at least one member a weight."
    saved = fusion_file.read(finished / "outputs/tiny/fusions/by-hand/fusion.yaml")
    assert {member.normalise.method for member in saved.members.values()} == {"rank"}
    assert saved.members["conv_ae"].weight == 0 and saved.members["st_ae"].smooth.method == "none"
    variant = (finished / "submissions/tiny-by-hand.csv").read_bytes()
    main = own_files[finished / "submissions/tiny.csv"]
    assert variant != main and variant.count(b"\n") == main.count(b"\n")
    assert {path: path.read_bytes() for path in own_files} == own_files


def test_submit_from_kaggle_writes_a_valid_submission_of_the_tiny_data_set_elsewhere(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
    few = ", ".join(map(json.dumps, ("experiment=tiny", "workers=1", "detector=[conv_ae_tiny]", *FEW)))
    notebook = executed(
        "04_submit_from_kaggle",
        checkout,
        **{
            'Path("/kaggle")': f'Path("{checkout}/no-kaggle")',
            '"experiment=tiny", "workers=1"': few,
            "OMP_NUM_THREADS=4": "OMP_NUM_THREADS=1",
        },
    )
    rows = len((checkout / "submission.csv").read_text().splitlines()) - 1
    assert f"is valid: {rows} rows" in printed(notebook)
    done = run_here("validate.py", "submission.csv", "--run", "outputs/tiny", cwd=checkout)
    assert (done.returncode, done.stdout) == (0, f"valid: {rows} rows\n")
    assert "report: outputs/tiny/report/index.html" in printed(notebook)


def test_submit_from_kaggle_takes_the_competition_s_frames_and_sample_where_kaggle_mounts_them(tmp_path: Path):
    """Kaggle's folders in small: what is attached can only be read, what is written goes to `working`, or the cache."""
    kaggle, cache = tmp_path / "kaggle", tmp_path / "tmp/pixelplay-cache"
    data = kaggle / "input/competitions/pixel-play-26"
    inside = data / "Avenue_Corrupted/Dataset"
    for i in range(3):
        write_frames(inside / f"training_videos/{i + 1:02d}", range(24), name="frame_{:05d}.jpg", seed=i)
    for video, numbers in (("01", range(939, 951)), ("02", [0, 1, 4, 5])):
        write_frames(inside / "testing_videos" / video, numbers, name="frame_{:05d}.jpg", seed=9)
    ids = [*(f"1_{n}" for n in range(939, 951)), *(f"2_{n}" for n in (0, 1, 4, 5))]
    (data / "sample_submission.csv").write_text("Id,Predicted\n" + "".join(f"{one},0\n" for one in ids))
    owned = kaggle / "input/datasets/somebody"
    for slug in ("anything", "pixelplay-wheels", "pixelplay-weights"):
        (owned / slug).mkdir(parents=True)
    (owned / "anything/src").symlink_to(ROOT / "src")
    (kaggle / "working").mkdir()
    before = sorted((kaggle / "input").rglob("*"))
    quick = '"weights=in_domain", "detector=[conv_ae_tiny]", "trainer=tiny", "restore=tiny", "workers=1"'
    notebook = executed(
        "04_submit_from_kaggle",
        kaggle / "working",
        **{
            'Path("/kaggle")': f'Path("{kaggle}")',
            '"/tmp/pixelplay-cache"': f'"{cache}"',
            '"weights=in_domain"': quick,
            "OMP_NUM_THREADS=4": "OMP_NUM_THREADS=1",
        },
    )
    assert f"is valid: {len(ids)} rows, as {data}/sample_submission.csv wants them" in printed(notebook)
    working = kaggle / "working"
    lines = (working / "submission.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["Id", *ids]
    assert (working / "outputs/pixelplay26/report/index.html").is_file()
    assert sorted(path.name for path in working.iterdir()) == [
        "checkpoints",
        "outputs",
        "submission.csv",
        "submissions",
    ]
    assert list(cache.rglob("*.npy")) and not list(working.rglob("*.npy"))  # decoded frames
    assert sorted((kaggle / "input").rglob("*")) == before
