"""Exported networks: what they compute is PyTorch's, whatever the batch, and old or damaged files are refused."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
import timm
import torch
from safetensors.torch import save_file
from tests.fitted import CASES, Fitted, walk
from tests.patchcore import write_video
from tests.pipeline import CPU, run_here
from torch import nn

from pixelplay.backbones.exports import Exported, Exports, in_place_of, of_backbone
from pixelplay.backbones.frozen import Backbone, hash_of_weights
from pixelplay.cli import load_config
from pixelplay.detectors import registry
from pixelplay.detectors.base import Scores
from pixelplay.detectors.stream import Stream, StreamFormat, Streams
from pixelplay.errors import ConfigError, DamagedArtifactError, MissingArtifactError
from pixelplay.export.backend import use_onnx
from pixelplay.export.network_file import About, ParityError, UnexportableError, read, write
from pixelplay.export.parity import inputs_of, largest_difference
from pixelplay.export.session import Session
from pixelplay.run.files import RunFiles
from pixelplay.stages.extract import extractor_of
from pixelplay.videos.video import Video

NETWORKS = {
    "conv_ae": ["autoencoder"],
    "st_ae": ["autoencoder"],
    "videopatchcore": ["backbone"],
    "event_completion": ["completion"],
    "temporal_mae": ["tokens", "encoder", "reconstruction", "embedding"],
    "videomae_profile": ["encoder"],
    "videomae_reconstruction": ["prediction"],
}


def exported(fitted: Fitted, folder: Path) -> dict[str, About]:
    """The networks of a detector in `folder`, as the command writes them."""
    detector = fitted.loaded()
    assert isinstance(detector, Exports)
    networks = detector.networks()
    seen = inputs_of(networks, detector.score, fitted.heldout.calibration)
    return {name: write(folder, name, one, seen.get(name), "run", fitted.name) for name, one in networks.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compute_what_they_do_in_pytorch_and_scores_stay(
    prepared: Callable[[str], Fitted], name: str, tmp_path: Path
):
    fitted = prepared(name)
    abouts = exported(fitted, tmp_path)
    assert list(abouts) == NETWORKS[name]
    for about in abouts.values():
        assert about.parity.random <= 1e-4 and about.parity.heldout is not None and about.parity.heldout <= 1e-4
    plain, other, calls = fitted.loaded(), fitted.loaded(), set[str]()
    for network, one in networks_of(other).items():
        one.use(counted(network, read(tmp_path, network, one), calls))
    video = fitted.video("new", *walk(13, 5))
    for causal in (False, True):
        require_close(plain.score(video, causal), other.score(video, causal))
    if isinstance(plain, Streams) and isinstance(other, Streams):
        form = StreamFormat(video.size, 25.0, video.id)
        for one, exported_one in zip(
            *(steps(fitted, each.stream(form), video) for each in (plain, other)), strict=True
        ):
            assert exported_one == pytest.approx(one, rel=1e-4, abs=1e-4)
    assert calls == set(NETWORKS[name])  # scores were ONNX Runtime's


def steps(fitted: Fitted, stream: Stream, video: Video) -> list[dict[str, float]]:
    return [dict(stream.step(moment).streams) for moment in fitted.moments(video)]


def networks_of(detector: Any) -> dict[str, Exported]:
    assert isinstance(detector, Exports)
    return dict(detector.networks())


def counted(name: str, session: Session, calls: set[str]) -> Callable[..., Any]:
    def call(*inputs: torch.Tensor) -> Any:
        calls.add(name)
        return session(*inputs)

    return call


def require_close(first: Scores, second: Scores) -> None:
    for stream, values in first.streams.items():
        np.testing.assert_allclose(second.streams[stream], values, rtol=1e-4, atol=1e-4, err_msg=stream)
    if first.objects is not None and second.objects is not None:
        np.testing.assert_allclose(second.objects["score"], first.objects["score"], rtol=1e-4, atol=1e-4)


def test_every_detector_with_a_network_is_tested_here(prepared: Callable[[str], Fitted]):
    examples = ("frame_difference", "next_frame")  # of the documentation
    others = [name for name in CASES if name not in (*NETWORKS, *examples)]
    assert not [name for name in others if isinstance(prepared(name).new(), Exports)]


def test_a_loop_that_knows_the_json_and_not_pixelplay_gives_the_scores(
    prepared: Callable[[str], Fitted], tmp_path: Path
):
    fitted = prepared("conv_ae")
    exported(fitted, tmp_path)
    frames, boxes = walk(9, 5)
    about = json.loads((tmp_path / "autoencoder.json").read_text())
    session = onnxruntime.InferenceSession(tmp_path / about["file"])
    (given,), before, after = about["inputs"], about["preprocessing"], about["postprocessing"]
    _, window, height, width = given["shape"]
    small = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    gray = np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in small]).astype(np.float32) / 255  # as in `Fitted`
    scores, patch = [], after["patch"]
    for t in range(len(gray)):
        if t % before["stride"] == 0:
            clip = gray[np.maximum(np.arange(t - window + 1, t + 1), 0)]
            (output,) = session.run(None, {given["name"]: clip[None]})
            error = (output[0, -1] - clip[-1]) ** 2
            rows, columns = (range(0, side - patch // 2, patch // 2) for side in error.shape)
            means = [error[y : y + patch, x : x + patch].mean() for y in rows for x in columns]
        scores.append(max(means))
    assert after["pooling"] == "patch_max"
    found = fitted.loaded().score(fitted.video("by hand", frames, boxes), causal=True)
    np.testing.assert_allclose(scores, found.streams["conv_ae"], rtol=1e-4)


def test_a_backbone_that_computes_in_bf16_is_exported_in_float32_for_any_batch(tmp_path: Path):
    torch.manual_seed(0)
    stages = timm.create_model("test_resnet", features_only=True, out_indices=(2, 3))
    slow, fast = (Backbone("timm:test_resnet", stages, [0.5] * 3, [0.2] * 3, bf16) for bf16 in (False, True))
    images = torch.rand(3, 3, 48, 48)
    network = of_backbone(fast, 48, {}, {})
    about = write(tmp_path, "crops", network, (images,), "run", "object_appearance")
    assert [one.shape[0] for one in (*about.inputs, *about.outputs)] == ["N", "N", "N"]
    network.use(read(tmp_path, "crops", network))
    for own, other in zip(slow(images), fast(images), strict=True):
        torch.testing.assert_close(other, own, rtol=1e-4, atol=1e-4)


@pytest.fixture
def network() -> Exported:
    torch.manual_seed(0)
    return simple(nn.Linear(3, 2))


def simple(module: nn.Module) -> Exported:
    about = {"x": "(N, 3)"}, {"y": "(N, 2)"}
    return Exported(
        module, *about, lambda count: (torch.rand(count, 3),), in_place_of(module), hash_of_weights(module), {}, {}
    )


def test_an_export_of_other_weights_is_refused_with_the_command_that_renews_it(network: Exported, tmp_path: Path):
    write(tmp_path, "linear", network, None, "run", "detector")
    with pytest.raises(MissingArtifactError, match=r"linear\.onnx is an old export.*run `python src/export.py`"):
        read(tmp_path, "linear", simple(nn.Linear(3, 2)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "linear.onnx").write_bytes(b"\0"), r"linear\.onnx is damaged \(not the file that"),
        (lambda folder: (folder / "linear.onnx").unlink(), r"linear\.onnx is damaged \(the file is gone"),
        (lambda folder: (folder / "linear.json").write_text("{}"), r"linear\.json is damaged"),
    ],
)
def test_damaged_files_are_refused(network: Exported, tmp_path: Path, damage: Callable[[Path], Any], message: str):
    write(tmp_path, "linear", network, None, "run", "detector")
    damage(tmp_path)
    with pytest.raises(DamagedArtifactError, match=f"{message}.*src/export.py"):
        read(tmp_path, "linear", network)


class Branches(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input) if float(input.min()) >= 0 else input[:, :2]  # a trace has only one of the two


def test_a_network_that_is_not_the_same_on_footage_leaves_no_file(tmp_path: Path):
    network = simple(Branches(3, 2))
    write(tmp_path, "branches", network, (torch.ones(1, 3),), "run", "detector")
    with pytest.raises(ParityError, match=r"detector/branches: .* on held-out footage, and 0\.0001 is allowed"):
        write(tmp_path, "branches", network, (-torch.ones(1, 3),), "run", "detector")
    assert not list(tmp_path.iterdir())


class Inverse(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return torch.linalg.pinv(input)


def test_a_network_that_onnx_has_no_words_for_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    with pytest.raises(UnexportableError, match=r"cannot be exported to ONNX: .*pinv"):
        write(tmp_path, "inverse", simple(Inverse(3, 3)), None, "run", "detector")
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_the_difference_is_relative_above_1_and_infinite_for_what_is_no_number():
    network = simple(nn.Identity())
    inputs = (torch.tensor([[0.5, 2.0, 100.0]]),)
    assert largest_difference(network, lambda x: x + 0.25, inputs) == 0.25
    assert largest_difference(network, lambda x: x * 1.25, inputs) == 0.25
    assert largest_difference(network, lambda x: x * torch.nan, inputs) == float("inf")
    assert largest_difference(network, lambda x: x[:, :2], inputs) == float("inf")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run `a` of an autoencoder and two detectors of objects, trained."""
    folder = tmp_path_factory.mktemp("trained")
    for i in range(4):
        write_video(folder / f"data/train/{i}", seed=i)
    write_video(folder / "data/test/strange", seed=1, strange=range(11, 16))
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), folder / "backbone.safetensors")
    detectors = "detector=[conv_ae_tiny,object_motion,object_appearance]"
    run = ["experiment=folder", "dataset.root=data", "restore.flip=none", detectors, "workers=1", "trainer=tiny"]
    backbone = ["weights.backbone=timm:test_resnet", "weights.backbone_file=backbone.safetensors"]
    small = ["objects.motion.frames.width=96", "objects.motion.frames.height=64", "objects.features.image_size=48"]
    held = ["dataset.heldout.share=0.1", "dataset.heldout.gap=4", "trainer.precision=fp32", "device=cpu"]
    small += ["objects.features.precision=fp32", "detectors.conv_ae.training.window=4", "pseudo=none"]
    for command in ("prepare.py", "detect.py", "extract.py", "train.py"):
        done = run_here(command, *run, *backbone, *small, *held, "run=a", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_the_command_exports_a_run_s_detectors_and_they_are_used(
    trained: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.chdir(trained)
    one = run_here("export.py", "experiment=folder", "run=a", "detector=conv_ae", "format=onnx", cwd=trained)
    assert one.returncode == 0, one.stderr
    assert sorted(path.name for path in trained.glob("checkpoints/folder/a/*/onnx/*")) == [
        "autoencoder.json",
        "autoencoder.onnx",
    ]
    done = run_here("export.py", "experiment=folder", "run=a", cwd=trained)
    assert done.returncode == 0, done.stderr
    assert "object_motion is not exported: it has no network" in done.stdout
    wrong = run_here("export.py", "experiment=folder", "run=a", "detector=[conv_ea]", cwd=trained)
    assert wrong.returncode == 1 and "did you mean 'conv_ae'?" in wrong.stderr
    assert run_here("train.py", "experiment=folder", "run=a", cwd=trained).stdout.count("up to date") == 3

    config = load_config(["experiment=folder", "run=a", "backend=onnx"])
    detectors = {name: [registry.create(name, one, CPU)] for name, one in config.detectors.items()}
    for name, (detector,) in detectors.items():
        detector.load(RunFiles.of(config).detector(name))
    maps = extractor_of(config)
    images = torch.rand(2, 3, 48, 48)
    before = maps.backbone(images)
    with caplog.at_level(logging.INFO):
        use_onnx(config, detectors, maps.backbone)
    assert "in ONNX Runtime: conv_ae/autoencoder, object_appearance/crops" in caplog.text
    assert "in PyTorch: object_motion (it has no network" in caplog.text
    assert isinstance(maps.backbone.forward, Session)
    torch.testing.assert_close(maps.backbone(images), before, rtol=1e-4, atol=1e-4)


def test_a_run_without_exports_names_the_command_that_writes_them(trained: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(trained)
    config = load_config(["experiment=folder", "run=a", f"checkpoint={trained}/other"])
    with pytest.raises(MissingArtifactError, match=r"backend=onnx: none of .* run `python src/export.py`"):
        use_onnx(config, {"object_motion": [registry.create("object_motion", config.detectors["object_motion"], CPU)]})
    last = load_config(["experiment=folder", "run=a", "checkpoint=last"])
    with pytest.raises(ConfigError, match="the best epoch is exported"):
        use_onnx(last, {})
