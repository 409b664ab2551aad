"""Damaged artefacts of a finished run: every command ends well or says which one mends them, and that one does."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import DamagedArtifactError, PixelPlayError
from pixelplay.evaluation.members import streams_of
from pixelplay.run.files import RunFiles
from pixelplay.stages import (
    ablate,
    detect,
    evaluate,
    events,
    explain,
    extract,
    fuse,
    prepare,
    report,
    score,
    status,
    train,
)

STAGES = {
    "prepare": prepare,
    "detect": detect,
    "extract": extract,
    "train": train,
    "score": score,
    "fuse": fuse,
    "events": events,
    "evaluate": evaluate,
    "ablate": ablate,
    "explain": explain,
    "report": report,
}
DAMAGED = (  # of a run, as patterns: the first file of each that there is
    "outputs/tiny/index.json",
    "outputs/tiny/restoration.csv",
    "outputs/tiny/pseudo_anomalies.csv",
    "outputs/tiny/frame_problems.csv",
    "outputs/tiny/scores/conv_ae.parquet",
    "outputs/tiny/fused.parquet",
    "outputs/tiny/events.json",
    "outputs/tiny/metrics.json",
    "outputs/tiny/ablation/comparison.csv",
    "outputs/tiny/ablation/summary.md",
    "outputs/tiny/explain/manifest.json",
    "outputs/tiny/explain/moment-01.jpg",
    "outputs/tiny/stages/prepare.json",
    "outputs/tiny/stages/score-conv_ae.json",
    "outputs/tiny/stages/fuse.json",
    "outputs/tiny/stages/evaluate.json",
    "outputs/tiny/stages/train-conv_ae.json",
    "checkpoints/tiny/conv_ae/detector.json",
    "checkpoints/tiny/conv_ae/weights.safetensors",
    "checkpoints/tiny/conv_ae/training-*/best.ckpt",
    "submissions/tiny.csv",
    "cache/*/test/*/decoded.json",
    "cache/*/pseudo-*/clips/*/clip.json",
)
AT_ONCE = 4  # files damaged before all is mended
WRONG: tuple[Any, ...] = (None, "x", [], {}, -1, True, float("inf"), 10**30)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """The configuration of a run whose stages have all run; its folder is the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("finished"))
        config = load_config(
            [
                *("experiment=tiny", "detector=[conv_ae_tiny]", "workers=1", "device=cpu", "restore.flip=background"),
                *("dataset.sample.min_frames=30", "dataset.sample.max_frames=36", "ablate.n_bootstrap=20"),
                *("trainer.precision=fp32", "trainer.max_epochs=1", "trainer.loggers=[]", "pseudo.kinds=[freeze]"),
                "evaluate.bootstrap.n_bootstrap=20",
            ]
        )
        for stage in STAGES.values():
            stage.run(config)
        yield config


def mend(name: str, config: Config, left: int = 12) -> None:
    """Run a command, and, while it ends with an error, the one that the error names."""
    try:
        STAGES[name].run(config)
    except PixelPlayError as error:
        named = re.search(r"python src/(\w+)\.py", str(error))
        assert named, f"{name}: no command in: {error}"
        assert left, f"{name}: still {error}"
        mend(named[1], config, left - 1)
        mend(name, config, left - 1)


def assert_current(config: Config) -> None:
    assert {name: stage.pending(config) for name, stage in STAGES.items()} == dict.fromkeys(STAGES)


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of JSON."""
    if not isinstance(value, dict | list):
        return []
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    return [(value, key) for key, _ in pairs] + [place for _, one in pairs for place in places_in(one)]


def damage(path: Path, rng: np.random.Generator) -> str:
    """Change a file in one of the ways that files get damaged; says how."""
    data = path.read_bytes()
    ways = ["bit", "cut", "empty", "garbage"]
    ways += ["null", "drop", "wrong", "deep"] * 2 if path.suffix == ".json" else []
    way = str(rng.choice(ways))
    if way in ("null", "drop", "wrong"):
        value = json.loads(data)
        places = places_in(value)
        container, key = places[int(rng.integers(len(places)))]
        if way == "drop":
            del container[key]
        else:
            container[key] = None if way == "null" else WRONG[int(rng.integers(len(WRONG)))]
        path.write_text(json.dumps(value))
        return f"{path}: {way} {key}"
    at = int(rng.integers(len(data)))
    changed = {
        "bit": data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :],
        "cut": data[:at],
        "empty": b"",
        "garbage": rng.bytes(len(data)),
        "deep": b"[" * 100_000,
    }
    path.write_bytes(changed[way])
    return f"{path}: {way} at {at}"


@pytest.mark.parametrize(
    "path", ["outputs/tiny/scores/conv_ae.parquet", "outputs/tiny/fused.parquet", "outputs/tiny/index.json"]
)
def test_what_is_found_damaged_is_to_be_made_again(finished: Config, path: str, capsys: pytest.CaptureFixture[str]):
    before = Path(path).read_bytes()
    Path(path).write_bytes(before[: len(before) // 2])
    stage = {"scores": "score", "fused": "fuse", "index": "prepare"}[re.split(r"[/.]", path)[2]]
    with pytest.raises(SystemExit):
        status.run(finished)
    assert re.search(r"(is damaged|have changed|to score|waits for)", capsys.readouterr().out)
    for name in STAGES:
        mend(name, finished)
    assert stage in STAGES and Path(path).read_bytes() == before
    assert_current(finished)


@pytest.mark.parametrize("change", ["other video", "NaN", "row missing"])
def test_scores_that_do_not_fit_the_index_are_refused_and_made_again(finished: Config, change: str):
    path = RunFiles.of(finished).scores("conv_ae")
    table = pd.read_parquet(path)
    if change == "other video":
        table["video"] = table["video"].replace("01", "99")
    elif change == "NaN":
        table.loc[3, "score"] = np.nan
    else:
        table = table.drop(index=5)
    table.to_parquet(path, index=False)
    with pytest.raises(DamagedArtifactError, match=r"conv_ae\.parquet is damaged .*python src/score\.py"):
        streams_of(finished, prepare.load_index(finished))
    assert score.pending(finished) == f"score-conv_ae: {path} has other contents than were written"
    for name in STAGES:
        mend(name, finished)
    assert_current(finished)


@pytest.mark.parametrize("change", [lambda text: text[: len(text) // 2], lambda text: "", lambda text: text + "\n"])
def test_a_submission_that_is_cut_emptied_or_altered_is_written_again(finished: Config, change):
    path = RunFiles.of(finished).submission
    before = path.read_text()
    path.write_text(change(before))
    assert fuse.pending(finished)
    fuse.run(finished)
    assert path.read_text() == before


def test_what_the_user_put_among_a_run_s_files_stays(finished: Config):
    files = RunFiles.of(finished)
    own = [
        Path("data/tiny.old/notes.txt"),
        Path("data/tiny.new/notes.txt"),
        Path("data/.tiny.unfinished/notes.txt"),
        files.detector("conv_ae") / "training-notes/notes.txt",
        files.thresholds / "own.png",
        files.ablation / "own.csv",
        files.restored_images / "own.png",
        files.scores("conv_ae").parent / ".conv_ae.parts-own/notes.txt",
    ]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("name,ap\nmine,1\n")
    Path("data/tiny/.rendered.json").write_text("{}")
    for again in (files.record("train-conv_ae"), files.metrics):
        again.unlink()
    for record in files.record("ablate").parent.iterdir():
        record.unlink()
    for name in STAGES:
        mend(name, finished)
    assert [path for path in own if not path.is_file()] == []
    for path in own:
        path.unlink()
    shutil.rmtree(files.detector("conv_ae") / "training-notes")


@pytest.mark.parametrize("seed", [0, 1])
def test_whatever_is_damaged_is_mended_by_the_commands_that_the_errors_name(finished: Config, seed: int):
    rng = np.random.default_rng(seed)
    files = [next(iter(sorted(Path().glob(pattern)))) for pattern in rng.permutation(DAMAGED)]
    for start in range(0, len(files), AT_ONCE):
        ways = [damage(path, rng) for path in files[start : start + AT_ONCE]]
        try:
            for name in STAGES:
                mend(name, finished)
            assert_current(finished)
        except Exception as error:
            pytest.fail(f"{ways}: {error!r}")
