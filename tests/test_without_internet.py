"""Without internet, as on Kaggle: the run stops before any work, with one message that says what is missing."""

import re
import shlex
from pathlib import Path

import pytest
from huggingface_hub import get_session
from tests.footage import write_frames
from tests.pipeline import files_below, run_python, user_environment

from pixelplay import preconditions
from pixelplay.backbones.state_dict import from_hub
from pixelplay.cli import load_config
from pixelplay.errors import DataError, WeightsError
from pixelplay.objects import yolo_weights as weights
from pixelplay.stages import prepare

PLUGGED_OUT = "http://127.0.0.1:9"  # nothing listens there
BACKBONE = r"weights\.backbone=clip_rn101: no weights found"
VIDEOMAE = r"weights\.videomae=MCG-NJU/videomae-base: no weights found"
DETECTOR = r"weights\.yolo=yolov5lu\.pt: YOLO weights not found"
ALL_MODELS = "detector=[videopatchcore,videomae_profile,videomae_reconstruction]"


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    for name in ("train/a", "train/b", "test/c"):
        write_frames(tmp_path / "data" / name, range(12))
    return tmp_path


@pytest.fixture
def unplugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub and Ultralytics out of reach of this process, their caches empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", PLUGGED_OUT)
    monkeypatch.setattr(weights, "RELEASE", PLUGGED_OUT)
    return tmp_path


def offline(folder: Path, **more: str) -> dict[str, str]:
    """An environment without network, and with empty caches."""
    environment = {name: value for name, value in user_environment().items() if not name.lower().endswith("_proxy")}
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), PLUGGED_OUT)
    return environment | proxies | {"HF_HOME": str(folder / "hub"), **more}


@pytest.mark.parametrize("told", [{"HF_HUB_OFFLINE": "1"}, {}], ids=["told to be offline", "cut off"])
def test_the_first_stage_stops_before_it_decodes_anything_and_names_all_weights_at_once(
    footage: Path, told: dict[str, str]
):
    options = ["experiment=folder", "dataset.root=data", "weights=hub", "detector=[videopatchcore]"]
    done = run_python("prepare.py", *options, cwd=footage, env=offline(footage, **told))
    assert done.returncode == 1
    assert re.search(f"(?s)error: {BACKBONE}.*{DETECTOR}", done.stderr), done.stderr
    assert "Traceback" not in done.stderr and "Retrying" not in done.stdout + done.stderr
    assert "to decode" not in done.stdout
    assert {path.name for path in footage.iterdir() if path.name != "hub"} == {"data", "outputs"}
    assert [path.name for path in files_below(footage / "outputs")] == [".lock"]


@pytest.mark.parametrize("experiment", ["pixelplay26", "avenue", "ped2", "shanghaitech"])
def test_data_set_and_all_weights_are_named_at_once_the_data_set_first(experiment: str, unplugged: Path):
    config = load_config([f"experiment={experiment}", "dataset.root=nowhere", ALL_MODELS])
    with pytest.raises(DataError) as error:
        prepare.run(config)
    message = str(error.value)
    expected = f"^data set '{experiment}' not found: no such folder: nowhere\n.*{BACKBONE}.*{VIDEOMAE}.*{DETECTOR}"
    assert re.search(f"(?s){expected}", message), message
    assert message.count("where there is internet:") == 4 and message.count("no weights found") == 2
    assert message.endswith(preconditions.WITHOUT)
    assert not list(unplugged.iterdir())


def test_what_the_message_advises_is_accepted_and_enough(footage: Path, unplugged: Path):
    """Each `curl` is replaced by a file at the place that it names; each `then:` by the option that it names."""
    options = ["experiment=folder", "dataset.root=data", "weights=hub", ALL_MODELS]
    with pytest.raises(WeightsError) as error:
        preconditions.require_all(load_config(options))
    message = str(error.value)
    for command in re.findall(r"where there is internet: +(curl .*)", message):
        *_, place, url = shlex.split(command)
        names = re.findall(r"\{(.*)\}", url)
        for name in names[0].split(",") if names else [""]:
            path = Path(place.replace("#1", name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    advised = re.findall(r"then: +(weights\.\S+)", message)
    backbone, videomae = "weights/resnet101_clip.openai.safetensors", "weights/videomae-base"
    assert advised == [f"weights.backbone_file={backbone}", f"weights.videomae={videomae}"]
    preconditions.require_all(load_config([*options, *advised]))
    preconditions.require_all(load_config([*options, "weights=in_domain"]))  # the last line's
    preconditions.require_all(load_config([*options, *advised, "weights.yolo=motion"]))


def test_a_hub_out_of_reach_is_asked_once_and_nothing_is_said_of_retries(
    unplugged: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    asked = []
    client = type(get_session())
    send = client.request

    def counted(*arguments, **options):
        asked.append(arguments)
        return send(*arguments, **options)

    monkeypatch.setattr(client, "request", counted)
    with pytest.raises(WeightsError, match=f"{PLUGGED_OUT} can't be reached"):
        from_hub("timm/resnet18.a1_in1k", ["model.safetensors", "pytorch_model.bin"])
    assert len(asked) == 1
    assert "Retrying" not in caplog.text


def test_mining_with_weights_of_the_hub_stops_with_one_message(footage: Path):
    options = ["mine.source=data", "weights=hub"]
    done = run_python("mine.py", *options, cwd=footage, env=offline(footage))
    assert done.returncode == 1
    end = r"then: +weights\.videomae=weights/videomae-base\nor a model that a run has trained: .*\n"
    assert re.fullmatch(rf"error: {VIDEOMAE}.* curl .*{end}", done.stderr, re.DOTALL)
    assert done.stderr.count("no weights found") == 1
    assert "Retrying" not in done.stdout


def test_with_one_of_the_two_at_hand_the_other_alone_is_named(footage: Path, unplugged: Path):
    options = ["experiment=folder", "dataset.root=data", "weights=hub", "detector=[videopatchcore]"]
    with pytest.raises(WeightsError, match=BACKBONE) as error:
        prepare.run(load_config([*options, "weights.yolo=motion"]))
    assert "yolov5lu" not in str(error.value)


def test_autoencoders_need_no_weights_and_no_internet(footage: Path):
    options = ["experiment=folder", "dataset.root=data", "weights=hub", "detector=[conv_ae_tiny]", "restore.flip=none"]
    options += ["dataset.heldout.gap=2", "detectors.conv_ae.training.window=2"]
    done = run_python("prepare.py", *options, cwd=footage, env=offline(footage, HF_HUB_OFFLINE="1"))
    assert done.returncode == 0, done.stderr
    assert (footage / "outputs/folder/index.json").is_file()
