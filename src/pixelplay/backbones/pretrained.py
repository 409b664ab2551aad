"""Backbones by name, with their pretrained weights: `clip_rn101`, `timm:<model>`, from the hub or a local file.

A new kind of backbone is a class with `hub` and `build`, and an entry in KINDS. `in_domain` needs no weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pixelplay.backbones.frozen import STRIDES, Backbone, ClipStages
from pixelplay.backbones.settings import WeightsConfig
from pixelplay.backbones.state_dict import StateDict, fetching, fill, from_hub, hub_lacks, misfit, read_state_dict
from pixelplay.errors import ConfigError, WeightsError


@dataclass(frozen=True)
class HubFiles:
    """Where a network's weights lie on the Hugging Face hub: the first of the files that is there."""

    repository: str
    files: Sequence[str]


class Kind(Protocol):
    """How the backbones of one library are made."""

    def hub(self, model: str) -> HubFiles:
        """Where the weights are; raises ConfigError for a model that there is not, or not on the hub."""

    def build(self, model: str, state: StateDict, source: str, bf16: bool) -> Backbone:
        """The network filled with exactly `state`; raises WeightsError when it does not fit."""


def check_backbone(weights: WeightsConfig) -> None:
    """Raise WeightsError now if `load_backbone` could not have the weights later. Quick; downloads nothing."""
    if weights.backbone == "in_domain":
        return
    kind, model = _kind(weights.backbone)
    if weights.backbone_file is not None:
        if not weights.backbone_file.is_file():
            raise _not_found(weights, "no such file", kind.hub(model))
        return
    hub = kind.hub(model)
    reason = hub_lacks(hub.repository, hub.files)
    if reason is not None:
        raise _not_found(weights, reason, hub)


def load_backbone(weights: WeightsConfig, bf16: bool) -> Backbone:
    """The backbone that the configuration names, frozen, on the CPU. Raises WeightsError or ConfigError."""
    kind, model = _kind(weights.backbone)
    if weights.backbone_file is not None:
        path = weights.backbone_file
    else:
        hub = kind.hub(model)
        try:
            path = from_hub(hub.repository, hub.files)
        except WeightsError as error:
            raise _not_found(weights, str(error), hub) from None
    return kind.build(model, read_state_dict(path), str(path), bf16)


class _Clip:
    """CLIP's ResNets, as open_clip knows them."""

    TEXT_AND_HEAD = ("visual.layer4.", "visual.attnpool.", "transformer.", "token_embedding.", "ln_final.")
    SINGLE = ("positional_embedding", "text_projection", "logit_scale")
    SIZES = ("input_resolution", "context_length", "vocab_size")  # in OpenAI's own files

    def __init__(self, name: str, architecture: str, tag: str):
        self._name, self._architecture, self._tag = name, architecture, tag

    def hub(self, model: str) -> HubFiles:
        repository = str(self._config()["hf_hub"]).strip("/")
        return HubFiles(repository, ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])

    def build(self, model: str, state: StateDict, source: str, bf16: bool) -> Backbone:
        import open_clip

        vision = open_clip.get_model_config(self._architecture)["vision_cfg"]
        stages = ClipStages(vision["layers"], vision["width"])
        used = {key: value for key, value in state.items() if not self._is_unused(key)}
        fill(stages, used, source, self._name)
        config = self._config()
        return Backbone(self._name, stages, config["mean"], config["std"], bf16)

    def _config(self) -> dict:
        import open_clip

        return open_clip.get_pretrained_cfg(self._architecture, self._tag)

    def _is_unused(self, key: str) -> bool:
        """Whether CLIP has such a key for what comes after the stages; any other key would be a mistake."""
        return key.startswith(self.TEXT_AND_HEAD) or key in self.SINGLE + self.SIZES


class _Timm:
    """Any convolutional model of timm whose stages have feature maps at both STRIDES."""

    def hub(self, model: str) -> HubFiles:
        import timm

        self._require_known(model)
        config = timm.get_pretrained_cfg(model)
        if not config or not config.hf_hub_id:
            raise ConfigError(
                f"weights.backbone=timm:{model}: the hub has no weights for it; give a file with "
                "weights.backbone_file=FILE, or name another model, such as timm:resnet18"
            )
        files = ["model.safetensors", "pytorch_model.bin"]
        return HubFiles(config.hf_hub_id, [config.hf_hub_filename] if config.hf_hub_filename else files)

    def build(self, model: str, state: StateDict, source: str, bf16: bool) -> Backbone:
        import timm

        self._require_known(model)
        indices = self._stages(model)
        stages = timm.create_model(model, features_only=True, out_indices=indices)
        if set(state) <= set(stages.state_dict()):  # saved from these stages alone
            fill(stages, state, source, f"timm:{model}")
        else:
            overlay = {"state_dict": state, "source": ""}
            try:
                timm.create_model(model, pretrained=True, pretrained_cfg_overlay=overlay)
            except RuntimeError as error:  # strict, unlike the next line: without a classifier timm forgives any misfit
                raise misfit(error, source, f"timm:{model}") from None
            stages = timm.create_model(
                model, pretrained=True, pretrained_cfg_overlay=overlay, features_only=True, out_indices=indices
            )
        config = stages.pretrained_cfg
        return Backbone(f"timm:{model}", stages, config["mean"], config["std"], bf16)

    def _require_known(self, model: str) -> None:
        from difflib import get_close_matches

        import timm

        if not timm.is_model(model):
            close = ", ".join(get_close_matches(model, timm.list_models())) or "resnet18, resnet50, convnext_tiny"
            raise ConfigError(f"weights.backbone=timm:{model}: timm {timm.__version__} has no such model; try {close}")

    def _stages(self, model: str) -> list[int]:
        """Numbers of the stages at STRIDES; ConfigError for a model that has none."""
        import timm

        try:
            network = timm.create_model(model, features_only=True)
        except (RuntimeError, AttributeError, AssertionError) as error:
            raise ConfigError(f"weights.backbone=timm:{model} gives no feature maps ({error})") from None
        strides = network.feature_info.reduction()
        if not set(STRIDES) <= set(strides) or "NHWC" in str(getattr(network, "output_fmt", "")):
            raise ConfigError(
                f"weights.backbone=timm:{model} has feature maps at strides {strides}, and needs them at strides "
                f"{STRIDES[0]} and {STRIDES[1]}, channels first: take a convolutional network, such as timm:resnet18"
            )
        return [strides.index(stride) for stride in STRIDES]


KINDS: dict[str, Kind] = {"clip_rn101": _Clip("clip_rn101", "RN101", "openai"), "timm": _Timm()}


def _kind(backbone: str) -> tuple[Kind, str]:
    name, _, model = backbone.partition(":")
    if name not in KINDS:
        raise ConfigError(
            f"weights.backbone={backbone}: no such pretrained backbone; allowed: clip_rn101, timm:<model name>"
        )
    return KINDS[name], model


def _not_found(weights: WeightsConfig, reason: str, hub: HubFiles) -> WeightsError:
    suffix = Path(hub.files[0]).suffix  # it decides how a file is read
    file = weights.backbone_file or Path("weights", hub.repository.split("/")[1] + suffix)
    key = f"weights.backbone={weights.backbone}"
    if weights.backbone_file is not None:
        key += f" weights.backbone_file={file}"
    file = file if file.suffix == suffix else Path(f"{file}{suffix}")
    return WeightsError(
        f"{key}: no weights found ({reason})\n"
        f"  where there is internet:  {fetching(hub.repository, hub.files, file.parent, file.name)}\n"
        f"  then:                     weights.backbone_file={file}"
    )
