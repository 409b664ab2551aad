"""Backbones by name, with their pretrained weights: `clip_rn101` and `timm:<model>` from the hub or a local file,
`packaged:<model>` from an installed package.

A new kind of backbone is an entry in BUILDERS, and in HUBS if it is on the hub. `in_domain` needs no weights.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pixelplay.backbones import packaged
from pixelplay.backbones.frozen import STRIDES, Backbone, ClipStages
from pixelplay.backbones.settings import BackboneName, WeightsConfig
from pixelplay.backbones.state_dict import (
    StateDict,
    from_hub,
    hub_lacks,
    in_order,
    not_found,
    read_state_dict,
    strictly,
)
from pixelplay.errors import ConfigError, WeightsError
from pixelplay.settings import FilePath, Settings

Hub = tuple[str, list[str]]  # a repository of the Hugging Face hub, and files of which the first that exists is used

CLIP = ("RN101", "openai")  # architecture and weights, as open_clip names them
NOT_OF_CLIP = (  # what comes after the stages, and in OpenAI's own files sizes; any other key would be a mistake
    *("visual.layer4.", "visual.attnpool.", "transformer.", "token_embedding.", "ln_final."),
    *("positional_embedding", "text_projection", "logit_scale", "input_resolution", "context_length", "vocab_size"),
)


class BackboneConfig(Settings):
    """A backbone and where its weights come from."""

    name: BackboneName
    file: FilePath | None  # of weights; null: the hub's, or the package's
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
    kind, _, model = config.name.partition(":")
    if kind == "packaged":
        packaged.find(model, config.file)
    elif kind in HUBS and not (config.file and config.file.is_file()):  # of a file, the hub need not know the model
        place = HUBS[kind](model)
        if reason := "no such file" if config.file else hub_lacks(*place, config.source == "hub"):
            raise _not_found(config, reason, *place)


def load_backbone(config: BackboneConfig, bf16: bool) -> Backbone:
    """The pretrained backbone that is configured, frozen, on the CPU. Raises WeightsError or ConfigError."""
    kind, _, model = config.name.partition(":")
    path = _file_of(kind, model, config)
    return BUILDERS[kind](model, read_state_dict(path), str(path), bf16)


def _file_of(kind: str, model: str, config: BackboneConfig) -> Path:
    """The file of a model's weights, downloaded if need be."""
    if kind == "packaged":
        return packaged.find(model, config.file)
    if config.file:
        return config.file
    place = HUBS[kind](model)
    try:
        return from_hub(*place, config.source == "hub")
    except WeightsError as error:
        raise _not_found(config, str(error), *place) from None


def _hub_of_clip(model: str) -> Hub:
    import open_clip

    repository = str(open_clip.get_pretrained_cfg(*CLIP)["hf_hub"]).strip("/")
    return repository, ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]


def _clip(model: str, state: StateDict, source: str, bf16: bool) -> Backbone:
    import open_clip

    vision, config = open_clip.get_model_config(CLIP[0])["vision_cfg"], open_clip.get_pretrained_cfg(*CLIP)
    stages = ClipStages(vision["layers"], vision["width"])
    with strictly(source, "clip_rn101"):
        stages.load_state_dict({key: value for key, value in state.items() if not key.startswith(NOT_OF_CLIP)})
    return Backbone("clip_rn101", stages, config["mean"], config["std"], bf16)


def _hub_of_timm(model: str) -> Hub:
    """Raises ConfigError for an unknown model, or one without weights on the hub."""
    import timm

    _require_known(model)
    config = timm.get_pretrained_cfg(model)
    if not config or not config.hf_hub_id:
        raise ConfigError(
            f"weights.backbone=timm:{model}: the hub has no weights for it; give a file with "
            "weights.backbone_file=FILE, or name another model, such as timm:resnet18"
        )
    files = ["model.safetensors", "pytorch_model.bin"]
    return config.hf_hub_id, [config.hf_hub_filename] if config.hf_hub_filename else files


def _packaged(model: str, state: StateDict, source: str, bf16: bool) -> Backbone:
    """The stages of timm's network; the package's tensors have other names, but the same order."""
    import timm

    whole, stages = (timm.create_model(model, features_only=cut) for cut in (False, True))
    named = in_order(state, whole, source, f"{packaged.PREFIX}{model}")
    kept = {key: named[key] for key in named.keys() & stages.state_dict()}
    return _timm(model, kept, source, bf16, packaged.PREFIX)


def _timm(model: str, state: StateDict, source: str, bf16: bool, prefix: str = "timm:") -> Backbone:
    """The model's stages, with weights of the whole network or of the stages; prefix: of the backbone's name."""
    import timm

    name = f"{prefix}{model}"
    _require_known(model)
    options: dict[str, Any] = {"features_only": True, "out_indices": _stages_of_timm(model)}
    stages = timm.create_model(model, **options)
    with strictly(source, name):
        if set(state) <= set(stages.state_dict()):  # saved from these stages alone
            stages.load_state_dict(state)
        else:
            given: dict[str, Any] = {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": state, "source": ""}}
            timm.create_model(model, **given)  # strict: for stages alone, timm ignores what does not fit
            stages = timm.create_model(model, **options, **given)
    config: Any = stages.pretrained_cfg
    return Backbone(name, stages, config["mean"], config["std"], bf16)


def _require_known(model: str) -> None:
    from difflib import get_close_matches

    import timm

    if not timm.is_model(model):
        close = ", ".join(get_close_matches(model, timm.list_models())) or "resnet18, resnet50, convnext_tiny"
        raise ConfigError(f"weights.backbone=timm:{model}: timm {timm.__version__} has no such model; try {close}")


def _stages_of_timm(model: str) -> list[int]:
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


HUBS: dict[str, Callable[[str], Hub]] = {"clip_rn101": _hub_of_clip, "timm": _hub_of_timm}
# The network of a model with exactly the given weights, from the source of that name; the last argument is bf16.
BUILDERS: dict[str, Callable[[str, StateDict, str, bool], Backbone]] = {
    "clip_rn101": _clip,
    "timm": _timm,
    "packaged": _packaged,
}


def _not_found(config: BackboneConfig, reason: str, repository: str, files: list[str]) -> WeightsError:
    suffix = Path(files[0]).suffix  # it decides how a file is read
    file = config.file or Path("weights", repository.split("/")[1] + suffix)
    named = f" weights.backbone_file={file}" if config.file else ""
    into = file if file.suffix == suffix else Path(f"{file}{suffix}")
    setting = f"weights.backbone={config.name}{named}"
    return not_found(setting, reason, repository, files[:1], into, f"weights.backbone_file={into}")
