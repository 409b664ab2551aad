"""`weights=hub` where nothing can be downloaded, as on Kaggle: the run stops before any work and says what to do."""

import re
from pathlib import Path

import pytest
from tests.footage import write_frames
from tests.pipeline import ROOT, files_below, run, run_python, user_environment

from pixelplay.commands import load_config
from pixelplay.errors import WeightsError
from pixelplay.objects import weights
from pixelplay.stages import prepare

PLUGGED_OUT = "http://127.0.0.1:9"  # nothing listens there
BACKBONE = (
    r"no weights for weights\.backbone=clip_rn101: .*Two ways to get them:"
    r".*with internet: weights\.backbone_file=null"
    r".*without: download .*https://huggingface\.co/timm/resnet101_clip\.openai.*weights\.backbone_file=FILE"
)
DETECTOR = (
    r"weights\.detector=yolov5lu\.pt: .*Two ways to get them:"
    r".*with internet: +weights=hub weights\.detector=yolov5lu\.pt"
    r".*without internet: +download https://.*/yolov5lu\.pt .*weights\.detector=FOLDER/yolov5lu\.pt"
)


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    for name in ("train/a", "train/b", "test/c"):
        write_frames(tmp_path / "data" / name, range(12))
    return tmp_path


def offline(folder: Path, **more: str) -> dict[str, str]:
    """An environment without network, and with empty caches."""
    environment = {name: value for name, value in user_environment().items() if not name.lower().endswith("_proxy")}
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), PLUGGED_OUT)
    return environment | proxies | {"HF_HOME": str(folder / "hub"), **more}


@pytest.mark.parametrize("told", [{"HF_HUB_OFFLINE": "1"}, {}], ids=["told to be offline", "cut off"])
def test_the_pipeline_stops_before_it_decodes_anything_and_names_all_weights_at_once(
    footage: Path, told: dict[str, str]
):
    options = ["experiment=folder", "dataset.root=data", "weights=hub", "detector=[videopatchcore]"]
    done = run("bash", ROOT / "run_all.sh", *options, cwd=footage, env=offline(footage, **told))
    assert done.returncode == 1
    assert re.search(f"(?s)error: {BACKBONE}.*{DETECTOR}", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert "detect:" not in done.stdout and "to decode" not in done.stdout
    assert {path.name for path in footage.iterdir() if path.name != "hub"} == {"data", "outputs"}
    assert [path.name for path in files_below(footage / "outputs")] == [".lock"]


@pytest.mark.parametrize("experiment", ["pixelplay26", "avenue", "ped2", "shanghaitech"])
def test_each_experiment_with_weights_of_the_hub_stops_likewise(experiment: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(weights, "RELEASE", PLUGGED_OUT)
    config = load_config([f"experiment={experiment}", "dataset.root=data", "detector=[videopatchcore]"])
    with pytest.raises(WeightsError, match=f"(?s){BACKBONE}.*weights\\.detector=yolov5lu\\.pt: .*Two ways to get them"):
        prepare.run(config)
    assert not list(tmp_path.iterdir())


def test_with_one_of_the_two_at_hand_the_other_alone_is_named(footage: Path):
    options = ["experiment=folder", "dataset.root=data", "weights=hub", "detector=[videopatchcore]"]
    done = run_python("prepare.py", *options, "weights.detector=motion", cwd=footage, env=offline(footage))
    assert done.returncode == 1
    assert re.search(f"(?s)error: {BACKBONE}", done.stderr) and "yolov5lu" not in done.stderr


def test_autoencoders_need_no_weights_and_no_internet(footage: Path):
    options = ["experiment=folder", "dataset.root=data", "weights=hub", "detector=[conv_ae_tiny]", "restore.flip=none"]
    options += ["dataset.heldout.gap=2", "detectors.conv_ae.settings.window=2"]
    done = run_python("prepare.py", *options, cwd=footage, env=offline(footage, HF_HUB_OFFLINE="1"))
    assert done.returncode == 0, done.stderr
    assert (footage / "outputs/folder/index.json").is_file()
