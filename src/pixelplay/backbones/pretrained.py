"""Backbones by name, with their pretrained weights: `clip_rn101`, `timm:<model>`, from the hub or a local file.

A new kind of backbone is a class with `hub` and `build`, and an entry in KINDS. `in_domain` needs no weights.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from pixelplay.backbones.frozen import STRIDES, Backbone, ClipStages
from pixelplay.backbones.settings import WeightsConfig
from pixelplay.backbones.state_dict import StateDict, fetching, fill, from_hub, hub_lacks, misfit, read_state_dict
from pixelplay.errors import ConfigError, WeightsError
from pixelplay.settings import FilePath, Settings

Hub = tuple[str, list[str]]  # a repository of the Hugging Face hub, and files of which the first that exists is used


class BackboneConfig(Settings):
    """A backbone and where its weights come from."""

    name: Annotated[str, Field(min_length=1)]  # clip_rn101 | timm:<model> | in_domain
    file: FilePath | None  # of weights; null: the hub's
    source: Literal["hub", "in_domain"]  # in_domain: nothing is downloaded

    @property
    def in_domain(self) -> bool:
        """Whether it is an encoder that the run itself trains."""
        return self.name == "in_domain"


def backbone_of(weights: WeightsConfig) -> BackboneConfig:
    """The run's backbone."""
    return BackboneConfig(name=weights.backbone, file=weights.backbone_file, source=weights.source)


def check_backbone(config: BackboneConfig) -> None:
    """Raise WeightsError if `load_backbone` would not find the weights. Quick; downloads nothing."""
    if config.in_domain:
        return
    kind, model = _kind(config.name)
    if config.file is None:
        reason = hub_lacks(*kind.hub(model), config.source == "hub")
    else:
        reason = None if config.file.is_file() else "no such file"
    if reason:
        raise _not_found(config, reason, kind.hub(model))


def load_backbone(config: BackboneConfig, bf16: bool) -> Backbone:
    """The backbone that the configuration names, frozen, on the CPU. Raises WeightsError or ConfigError."""
    kind, model = _kind(config.name)
    path = config.file
    if path is None:
        hub = kind.hub(model)
        try:
            path = from_hub(*hub, config.source == "hub")
        except WeightsError as error:
            raise _not_found(config, str(error), hub) from None
    return kind.build(model, read_state_dict(path), str(path), bf16)


class _Clip:
    """CLIP's ResNets, by open_clip."""

    UNUSED = (  # what comes after the stages, and in OpenAI's own files sizes; any other key would be a mistake
        *("visual.layer4.", "visual.attnpool.", "transformer.", "token_embedding.", "ln_final."),
        *("positional_embedding", "text_projection", "logit_scale"),
        *("input_resolution", "context_length", "vocab_size"),
    )

    def __init__(self, name: str, architecture: str, tag: str):
        self._name, self._architecture, self._tag = name, architecture, tag

    def hub(self, model: str) -> Hub:
        repository = str(self._config()["hf_hub"]).strip("/")
        return repository, ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]

    def build(self, model: str, state: StateDict, source: str, bf16: bool) -> Backbone:
        """The network filled with exactly `state`; raises WeightsError when it does not fit."""
        ...
        import open_clip

        vision = open_clip.get_model_config(self._architecture)["vision_cfg"]
        stages = ClipStages(vision["layers"], vision["width"])
        used = {key: value for key, value in state.items() if not key.startswith(self.UNUSED)}
        fill(stages, used, source, self._name)
        config = self._config()
        return Backbone(self._name, stages, config["mean"], config["std"], bf16)

    def _config(self) -> dict:
        import open_clip

        return open_clip.get_pretrained_cfg(self._architecture, self._tag)


class _Timm:
    """Any convolutional model of timm with feature maps at both STRIDES."""

    def hub(self, model: str) -> Hub:
        """Raises ConfigError for an unknown model, or one without weights on the hub."""
        import timm

        self._require_known(model)
        config = timm.get_pretrained_cfg(model)
        if not config or not config.hf_hub_id:
            raise ConfigError(
                f"weights.backbone=timm:{model}: the hub has no weights for it; give a file with "
                "weights.backbone_file=FILE, or name another model, such as timm:resnet18"
            )
        files = ["model.safetensors", "pytorch_model.bin"]
        return config.hf_hub_id, [config.hf_hub_filename] if config.hf_hub_filename else files

    def build(self, model: str, state: StateDict, source: str, bf16: bool) -> Backbone:
        """The network filled with exactly `state`; raises WeightsError when it does not fit."""
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
            except RuntimeError as error:  # strict, unlike the next call: without a classifier timm ignores misfits
                raise misfit(error, source, f"timm:{model}") from None
            stages: Any = timm.create_model(
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
        """Indices of the stages at STRIDES; raises ConfigError for a model without them."""
        import timm

        try:
            network: Any = timm.create_model(model, features_only=True)
        except (RuntimeError, AttributeError, AssertionError) as error:
            raise ConfigError(f"weights.backbone=timm:{model} gives no feature maps ({error})") from None
        strides = network.feature_info.reduction()
        if not set(STRIDES) <= set(strides) or "NHWC" in str(getattr(network, "output_fmt", "")):
            raise ConfigError(
                f"weights.backbone=timm:{model} has feature maps at strides {strides}, but strides {STRIDES[0]} and "
                f"{STRIDES[1]}, channels first, are needed: use a convolutional network, such as timm:resnet18"
            )
        return [strides.index(stride) for stride in STRIDES]


KINDS = {"clip_rn101": _Clip("clip_rn101", "RN101", "openai"), "timm": _Timm()}


def _kind(backbone: str) -> tuple[_Clip | _Timm, str]:
    name, _, model = backbone.partition(":")
    if name not in KINDS:
        raise ConfigError(
            f"weights.backbone={backbone}: no such pretrained backbone; allowed: clip_rn101, timm:<model name>"
        )
    return KINDS[name], model


def _not_found(config: BackboneConfig, reason: str, hub: Hub) -> WeightsError:
    repository, files = hub
    suffix = Path(files[0]).suffix  # it decides how a file is read
    file = config.file or Path("weights", repository.split("/")[1] + suffix)
    key = f"weights.backbone={config.name}"
    if config.file is not None:
        key += f" weights.backbone_file={file}"
    file = file if file.suffix == suffix else Path(f"{file}{suffix}")
    return WeightsError(
        f"{key}: no weights found ({reason})\n"
        f"  where there is internet:  {fetching(repository, files, file.parent, file.name)}\n"
        f"  then:                     weights.backbone_file={file}"
    )
