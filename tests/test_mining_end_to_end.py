"""The command itself on a NuScenes-shaped data set with a short scene and a missing file; and the two engines."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
from tests.mining import lines, mine, write_videomae
from tests.nuscenes import NuScenes
from tests.pipeline import ROOT, run_here

from pixelplay.errors import ConfigError
from pixelplay.mining import ray_engine


@pytest.fixture(scope="module")
def driving(tmp_path_factory: pytest.TempPathFactory) -> NuScenes:
    """Three scenes, one shorter than a clip; two cameras; a file that its tables name is missing. Weights beside it."""
    data = NuScenes(
        tmp_path_factory.mktemp("driving") / "nuscenes", {"scene-1": 12, "scene-2": 9, "scene-3": 3}
    ).write()
    (data.root / data.file("scene-1", "CAM_FRONT", 5)).unlink()
    write_videomae(data.root.parent / "weights")
    return data


def test_nuscenes_goes_through_all_steps_and_what_cannot_be_read_is_told(driving: NuScenes):
    place = driving.root.parent
    options = ["mine.source=nuscenes", "weights.videomae=weights", "mine.frames=4", "mine.stride=4"]
    options += ["mine.mask.ratio=0.5"]
    settings = ["mine.render.count=2", "mine.select.count=3", "mine.select.min_group=3", "device=cpu", "run=first"]
    done = run_here("mine.py", *options, *settings, cwd=place)
    assert done.returncode == 0, done.stderr
    out = place / "outputs/mining/first"
    assert "2 of 6 scenes are shorter than a clip of 4 frames: padded" in done.stdout
    assert "1 of 14 clips have no score, such as clip 4" in done.stdout
    clips, scores = lines(out / "clips_manifest.jsonl"), lines(out / "scores.jsonl")
    assert [line["step"] for line in scores] == list(range(14)) == list(range(len(clips)))
    (bad,) = [line for line in scores if line["score"] is None]
    missing = driving.root / driving.file("scene-1", "CAM_FRONT", 5)
    assert bad["error"] == f"{missing}: cannot be read (No such file or directory)"
    assert len(list((out / "renders").glob("*.png"))) == 2
    found = json.loads((out / "score_distribution_stats.json").read_text())
    assert {name: part["clips"] for name, part in found["cameras"].items()} == {"CAM_BACK": 7, "CAM_FRONT": 7}
    assert len(lines(out / "selected_manifest.jsonl")) == 3
    assert "contact_sheet.html" in done.stdout and (out / "score_distribution.png").is_file()


def test_a_step_that_cannot_begin_says_so_without_a_traceback(tmp_path: Path):
    done = run_here("mine.py", "step=select", "mine.select.diversify=none", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"outputs/mining/scores.jsonl is missing: run `python {ROOT}/src/mine.py step=score`" in done.stderr


# --- mine.engine=ray -------------------------------------------------------------------------------------------------


def test_where_ray_is_not_installed_the_error_says_what_to_install(
    driving: NuScenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mine("manifest", tmp_path, f"mine.source={driving.root}")
    monkeypatch.setattr(ray_engine.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ConfigError, match=r"mine\.engine=ray needs Ray: pip install 'ray\[data\]"):
        mine("score", tmp_path, f"weights.videomae={driving.root.parent}/weights", "mine.engine=ray")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch):
    """A cluster of this machine that several runs use: Ray takes long to start."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray[data] is not installed")
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    with ray_engine._cluster(2) as resources:
        yield resources
    assert not sys.modules["ray"].is_initialized()


def test_ray_gives_the_same_file_as_the_local_engine(driving: NuScenes, tmp_path: Path, cluster: dict[str, float]):
    """On a cluster that asks for a token; a clip that can't be read is among them."""
    assert os.environ["RAY_AUTH_MODE"] == "token" and len(os.environ["RAY_AUTH_TOKEN"]) == 64
    weights = f"weights.videomae={driving.root.parent}/weights"
    files = {}
    for name, options in {
        "local": [],
        "ray": ["mine.engine=ray", "mine.workers=2", "mine.batch_size=3"],  # the last batch is smaller
    }.items():
        mine("manifest", tmp_path / name, f"mine.source={driving.root}")
        mine("score", tmp_path / name, weights, *options)
        files[name] = (tmp_path / name / "scores.jsonl").read_bytes()
    assert files["local"].count(b"\n") == 14 and b"cannot be read" in files["local"]
    assert files["ray"] == files["local"]
    crowd = ["mine.engine=ray", "mine.workers=1000", f"mine.scores={tmp_path}/x.jsonl"]
    with pytest.raises(ConfigError, match=r"mine\.workers=1000: the Ray cluster has \d+ CPUs"):
        mine("score", tmp_path / "local", weights, *crowd)
