"""Backbones: the stages of the full network, its own normalisation, and exactly the weights that were asked for."""

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.pipeline import ROOT
from torch import nn

from pixelplay.backbones.frozen import Backbone, fold_batch_norms
from pixelplay.backbones.pretrained import BackboneConfig, check_backbone, load_backbone
from pixelplay.errors import ConfigError, WeightsError

SMALL = "timm:test_resnet"  # timm's own small network for tests
RESNET18 = ROOT.parent / "shared/weights/resnet18_layers1to3.safetensors"


def weights(backbone: str, file: Path | None = None, source: str = "hub") -> BackboneConfig:
    return BackboneConfig(name=backbone, file=file, source=source)


def with_random_norms(network: nn.Module, forward: Callable[[torch.Tensor], object], size: int = 224) -> nn.Module:
    """Batch norms as training would leave them, with statistics of what they see: new ones do nothing at all, and
    CLIP's residual branches start at zero.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.3, 0.3)
        norm.momentum = 1.0  # the statistics of the one batch below
    with torch.no_grad():
        forward(torch.cat([network_input(photo(size)), torch.randn(1, 3, size, size)]))
    return network.eval().requires_grad_(False)


def network_input(image: Image.Image) -> torch.Tensor:
    return as_input(image) * 4 - 2  # about as normalised


def photo(size: int = 224) -> Image.Image:
    """Red grows to the right, green downwards, and blue is low: no channel can stand in for another."""
    ramp = np.linspace(0, 255, size).astype(np.uint8)
    red, green = np.meshgrid(ramp, ramp)
    noise = np.random.default_rng(0).integers(-20, 20, (size, size, 3))
    image = np.stack([red, green, np.full_like(red, 40)], axis=-1).astype(int) + noise
    return Image.fromarray(image.clip(0, 255).astype(np.uint8))


def as_input(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def clip() -> CLIP:
    """CLIP with the image network of RN101 and a text network of next to nothing; weights that float16 holds."""
    vision = open_clip.get_model_config("RN101")["vision_cfg"]
    text = CLIPTextCfg(context_length=4, vocab_size=8, width=8, heads=1, layers=1)
    torch.manual_seed(0)
    network = CLIP(8, CLIPVisionCfg(**vision), text)
    return with_random_norms(network, network.encode_image).half().float()


@pytest.fixture(scope="module")
def clip_file(clip: CLIP, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("clip") / "open_clip_model.safetensors"
    save_file({name: value.half() for name, value in clip.state_dict().items()}, path)  # 112 MB
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def rn101(clip_file: Path) -> Backbone:
    return load_backbone(weights("clip_rn101", clip_file), bf16=False)


def expected_of_clip(clip: CLIP, image: Image.Image) -> list[torch.Tensor]:
    """open_clip's preprocessing and the full network, with hooks of our own."""
    config = open_clip.get_pretrained_cfg("RN101", "openai")
    transform = open_clip.image_transform(224, is_train=False, mean=config["mean"], std=config["std"])
    stages: list[torch.Tensor] = []
    layers = (clip.visual.layer2, clip.visual.layer3)
    hooks = [layer.register_forward_hook(lambda layer, inputs, output: stages.append(output)) for layer in layers]
    clip.encode_image(transform(image)[None])
    for hook in hooks:
        hook.remove()
    return stages


def test_clip_rn101_gives_layer2_and_layer3_of_the_full_network_after_open_clip_s_preprocessing(clip, rn101):
    found, expected = rn101(as_input(photo())), expected_of_clip(clip, photo())
    assert [tuple(stage.shape) for stage in found] == [(1, 512, 28, 28), (1, 1024, 14, 14)]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


def test_colours_in_another_order_would_give_other_features(clip, rn101):
    swapped = rn101(as_input(photo()).flip(1))
    for wrong, theirs in zip(swapped, expected_of_clip(clip, photo()), strict=True):
        assert float((wrong - theirs).norm() / theirs.norm()) > 0.05


def test_nothing_after_layer3_is_kept(clip, rn101):
    after = ("visual.layer4", "visual.attnpool")
    used = {k: v for k, v in clip.state_dict().items() if k.startswith("visual.") and not k.startswith(after)}
    convolutions = sum(v.numel() for v in used.values() if v.ndim == 4)
    biases = sum(len(v) for name, v in used.items() if name.endswith("running_mean"))  # batch norms became biases
    assert sum(p.numel() for p in rn101.parameters()) == convolutions + biases


def test_a_backbone_is_frozen_and_stays_in_eval_mode(rn101):
    assert not nn.Sequential(rn101).train()[0].training
    assert not any(module.training for module in rn101.modules())
    assert not any(p.requires_grad for p in rn101.parameters())
    assert not any(stage.requires_grad for stage in rn101(as_input(photo(64))))


def test_a_clip_file_with_a_foreign_key_or_without_a_needed_one_is_refused(clip_file, tmp_path):
    state = load_file(clip_file)
    state["visual.layer5.0.weight"] = state.pop("visual.layer3.22.bn2.bias")
    torch.save({name: v for name, v in state.items() if "layer4" not in name}, tmp_path / "clip.pt")
    with pytest.raises(WeightsError) as error:
        load_backbone(weights("clip_rn101", tmp_path / "clip.pt"), bf16=False)
    message = str(error.value)
    for part in ("visual.layer3.22.bn2.bias", "visual.layer5.0.weight", "clip.pt", "weights.backbone=clip_rn101"):
        assert part in message
    (tmp_path / "clip.pt").unlink()


def small_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network = timm.create_model("test_resnet")
    return with_random_norms(network, network, 64)


def stages_of(network: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """The outputs at strides 8 and 16 of a whole timm network, through hooks of our own."""
    outputs: dict[int, torch.Tensor] = {}
    for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
        layer.register_forward_hook(lambda module, inputs, output: outputs.update({output.shape[-1]: output}))
    config = timm.data.resolve_model_data_config(network)
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    network((images - mean) / std)
    return [outputs[images.shape[-1] // stride] for stride in (8, 16)]


def save(state: dict, path: Path) -> Path:
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_timm_gives_the_stages_of_the_whole_network_from_its_whole_checkpoint(name, tmp_path):
    network = small_network()
    file = save(network.state_dict(), tmp_path / name)
    images = as_input(photo())
    found = load_backbone(weights(SMALL, file), bf16=False)(images)
    for ours, theirs in zip(found, stages_of(network, images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_timm_loads_a_file_of_the_stages_alone(tmp_path):
    network = small_network()
    whole = load_backbone(weights(SMALL, save(network.state_dict(), tmp_path / "whole.pt")), bf16=False)
    kept = {k: v for k, v in network.state_dict().items() if not k.startswith(("layer4", "fc"))}
    assert 0 < len(kept) < len(network.state_dict())
    part = load_backbone(weights(SMALL, save(kept, tmp_path / "part.pt")), bf16=False)
    assert part.identity == whole.identity
    assert torch.equal(part(as_input(photo()))[1], whole(as_input(photo()))[1])


@pytest.mark.parametrize("model", ["test_efficientnet", "tf_efficientnet_lite0", "test_convnext", "resnet10t"])
def test_folding_batch_norms_changes_no_feature(model):
    torch.manual_seed(0)
    network = timm.create_model(model, features_only=True)
    with_random_norms(network, network, 64)
    folded = fold_batch_norms(network)
    images = as_input(photo(64))
    for ours, theirs in zip(folded(images), network(images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in n.modules()) for n in (folded, network)]
    assert norms[0] == 0
    assert (norms[1] > 0) == (model != "test_convnext")


def test_layers_after_the_last_stage_are_not_computed():
    """timm computes all five of its small EfficientNet, though the maps come from the second and third."""
    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", features_only=True, out_indices=(1, 2))
    with_random_norms(network, network, 64)
    folded = fold_batch_norms(network)
    images = as_input(photo(64))
    for ours, theirs in zip(folded(images), network(images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
    numbers = [
        {int(name.split(".")[1]) for name, _ in part.named_parameters() if name.startswith("blocks.")}
        for part in (network, folded)
    ]
    assert numbers == [{0, 1, 2, 3, 4}, {0, 1, 2}]


def test_bf16_gives_float32_features_close_to_those_of_fp32(tmp_path):
    """Of a shallow network: with random weights, 90 layers blow any rounding up beyond recognition."""
    file = save(small_network().state_dict(), tmp_path / "model.pt")
    images = as_input(photo())
    found, exact = (load_backbone(weights(SMALL, file), bf16)(images) for bf16 in (True, False))
    for ours, stage in zip(found, exact, strict=True):
        assert ours.dtype == torch.float32
        assert not torch.equal(ours, stage)
        assert float((ours - stage).norm() / stage.norm()) < 0.05


class Tied(nn.Module):
    """One convolution feeds a batch norm and something else, one is used twice; `branch` can not be traced."""

    def __init__(self, branch: bool = False):
        super().__init__()
        self.first, self.second, self.branch = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), branch
        self.norm, self.other = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.branch and x.sum() > 0:
            x = x + 1
        x = self.first(x)
        x = x + self.norm(x)
        return self.other(self.second(self.second(x)))


def test_a_network_that_collects_its_maps_in_hooks_stays_as_it_is():
    torch.manual_seed(0)
    network = timm.create_model("xception41", features_only=True, out_indices=(2, 3)).eval()
    images = as_input(photo(64))
    for ours, theirs in zip(fold_batch_norms(network)(images), network(images), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("branch", [False, True])
def test_what_can_t_be_folded_stays_as_it_is(branch):
    torch.manual_seed(0)
    network = Tied(branch)
    with_random_norms(network, network, 16)
    images = as_input(photo(16))
    torch.testing.assert_close(fold_batch_norms(network)(images), network(images))


def test_an_identity_tells_weights_apart_and_not_the_files_that_hold_them(tmp_path):
    one, other = small_network().state_dict(), small_network(seed=1).state_dict()
    files = [save(one, tmp_path / "a.pt"), save(one, tmp_path / "b.safetensors"), save(other, tmp_path / "c.pt")]
    first, same, different = (load_backbone(weights(SMALL, file), bf16=False).identity for file in files)
    assert first["backbone"] == SMALL
    assert first == same != different
    assert first == load_backbone(weights(SMALL, files[0]), bf16=True).identity


@pytest.mark.parametrize("part", ["whole", "stages"])
def test_a_timm_file_that_does_not_fit_is_refused_with_the_keys(part, tmp_path):
    state = small_network().state_dict()
    if part == "stages":
        state = {k: v for k, v in state.items() if not k.startswith(("layer4", "fc"))}
    del state["layer2.0.conv1.weight"]
    state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"][:1]
    with pytest.raises(WeightsError) as error:
        load_backbone(weights(SMALL, save(state, tmp_path / "model.pt")), bf16=False)
    for word in ("layer2.0.conv1.weight", "size mismatch for layer1.0.conv1.weight", "model.pt", SMALL):
        assert word in str(error.value)


def test_a_whole_timm_file_with_a_foreign_key_is_refused(tmp_path):
    state = small_network().state_dict() | {"layer9.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"Unexpected key.*layer9\.weight"):
        load_backbone(weights(SMALL, save(state, tmp_path / "model.pt")), bf16=False)


class Evil:
    def __reduce__(self):
        return print, ("this must never be printed",)


def test_files_that_are_no_weights_are_refused_and_nothing_in_them_is_run(tmp_path, capsys):
    (tmp_path / "code.pt").write_bytes(pickle.dumps({"weight": Evil()}, protocol=2))
    torch.save({"weight": Evil()}, tmp_path / "evil.pt")
    torch.jit.trace(nn.Linear(1, 1), torch.zeros(1)).save(str(tmp_path / "RN101.pt"))
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0")
    (tmp_path / "page.pt").write_bytes(b"<html>not found</html>")
    torch.save({"epoch": 3}, tmp_path / "numbers.pt")
    expected = {
        "code.pt": "refused",
        "evil.pt": "refused: it holds more than tensors",
        "RN101.pt": "TorchScript archive",
        "cut.safetensors": "can't be read as weights",
        "page.pt": "can't be read as weights",
        "numbers.pt": "holds no weights",
        "absent.pt": "is missing",
    }
    for name, words in expected.items():
        with pytest.raises(WeightsError, match=words) as error:
            load_backbone(weights("clip_rn101", tmp_path / name), bf16=False)
        assert str(tmp_path / name) in str(error.value)
    assert "never be printed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        ("timm:resnet81", "no such model; try .*resnet18"),
        ("timm:vit_tiny_patch16_224", r"strides \[16, 16, 16\], but strides 8 and 16"),
        ("timm:swin_tiny_patch4_window7_224", "channels first"),
    ],
)
def test_networks_that_can_t_serve_are_refused(backbone, words, tmp_path):
    file = save(small_network().state_dict(), tmp_path / "model.pt")
    with pytest.raises(ConfigError, match=words):
        load_backbone(weights(backbone, file), bf16=False)


@pytest.fixture
def no_internet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The hub out of reach, and its cache in a folder of the test's own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("backbone", ["clip_rn101", SMALL])
@pytest.mark.parametrize("look", [check_backbone, lambda w: load_backbone(w, bf16=False)], ids=["check", "load"])
def test_without_internet_and_file_the_error_has_the_command_that_gets_them_and_the_key(backbone, look, no_internet):
    with pytest.raises(WeightsError) as error:
        look(weights(backbone))
    repository, remote = {
        "clip_rn101": ("resnet101_clip.openai", "open_clip_model.safetensors"),
        SMALL: ("test_resnet.r160_in1k", "model.safetensors"),
    }[backbone]
    found, fetch, then = str(error.value).splitlines()
    assert found.startswith(f"weights.backbone={backbone}: no weights found (https://huggingface.co can't be reached: ")
    url = f"https://huggingface.co/timm/{repository}/resolve/main/{remote}"
    assert fetch.split(maxsplit=4)[4] == f"curl -fL --create-dirs -o weights/{repository}.safetensors {url}"
    assert then.split() == ["then:", f"weights.backbone_file=weights/{repository}.safetensors"]


@pytest.mark.parametrize("look", [check_backbone, lambda w: load_backbone(w, bf16=False)], ids=["check", "load"])
def test_without_weights_source_hub_nothing_is_downloaded(look, no_internet, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_session", lambda: pytest.fail("asked the hub"))
    with pytest.raises(WeightsError, match=r"weights\.source=in_domain downloads nothing"):
        look(weights(SMALL, source="in_domain"))


@pytest.mark.parametrize("source", ["hub", "in_domain"])
def test_weights_in_the_hub_s_cache_need_no_internet(source, no_internet):
    network = small_network()
    folder = no_internet / "models--timm--test_resnet.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save(network.state_dict(), folder / "snapshots" / ("0" * 40) / "model.safetensors")
    check_backbone(weights(SMALL, source=source))
    images = as_input(photo())
    found = load_backbone(weights(SMALL, source=source), bf16=False)(images)
    torch.testing.assert_close(found[1], stages_of(network, images)[1], rtol=1e-3, atol=1e-4)


def test_a_look_at_local_files_and_at_in_domain_asks_no_hub(no_internet, tmp_path):
    check_backbone(weights("in_domain"))
    for backbone in ("clip_rn101", "timm:resnet50t"):  # the hub has no weights for the second
        check_backbone(weights(backbone, save({"a": torch.zeros(1)}, tmp_path / "a.pt")))
    with pytest.raises(WeightsError, match=r"backbone_file=.*absent\.pt: .*\(no such file\)") as error:
        check_backbone(weights("clip_rn101", tmp_path / "absent.pt"))
    assert str(error.value).endswith(f"weights.backbone_file={tmp_path}/absent.pt.safetensors")  # as the hub has them


@pytest.mark.skipif(not RESNET18.is_file(), reason=f"no {RESNET18}: ResNet-18 of ImageNet, stem to layer3")
def test_real_resnet18_gives_what_timm_gives():
    theirs = timm.create_model("resnet18", features_only=True, out_indices=(2, 3)).eval()
    theirs.load_state_dict(load_file(RESNET18))
    transform = timm.data.create_transform(**(timm.data.resolve_model_data_config(theirs) | {"crop_pct": 1.0}))
    found = load_backbone(weights("timm:resnet18", RESNET18), bf16=False)(as_input(photo()))
    with torch.no_grad():
        expected = theirs(transform(photo())[None])
    assert [tuple(stage.shape) for stage in found] == [(1, 128, 28, 28), (1, 256, 14, 14)]
    for ours, stage in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, stage, rtol=1e-3, atol=1e-3)
