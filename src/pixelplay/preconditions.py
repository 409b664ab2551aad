"""What a run needs and does not bring along: its data set, pretrained weights, and packages that only some settings
need. All that is missing is named before any work, at once, each with the command that gets it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pixelplay import requirements
from pixelplay.detectors import registry
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.errors import PixelPlayError, WeightsError
from pixelplay.evaluation.members import require_known_members
from pixelplay.evaluation.zoned import Zoned
from pixelplay.events.sinks.webhook import check_variables
from pixelplay.objects import detection, tables
from pixelplay.run import weights_and_biases
from pixelplay.settings import validate
from pixelplay.videos.layouts import read_dataset

if TYPE_CHECKING:
    from pixelplay.config import Config

WITHOUT = "or without any pretrained weights: weights=in_domain, and no other option weights.…"

Check = Callable[[], Any]


def require_all(config: "Config") -> None:
    """Raise an error that names all that is missing: data set, weights, packages; ConfigError for refused settings."""
    require_known_members(config)
    Zoned.of(config)
    rendered = config.dataset.sample is not None  # `prepare` makes it
    _require([*([] if rendered else [lambda: read_dataset(config.dataset)]), *_checks(config)])


def require_models(config: "Config", names: Iterable[str]) -> None:
    """The same of these detectors without the data set: for stages that work on frames which `prepare` has decoded."""
    detectors = {name: config.detectors[name] for name in names}
    _require(_checks(config.model_copy(update={"detectors": detectors})))


def require_features(config: "Config") -> None:
    """The same of feature maps of objects alone."""
    _require(_checks_of_features(config))


def extras(config: "Config") -> list[str]:
    """Names of the optional dependencies of pyproject.toml that the settings need; video files are not counted."""
    found = {extra for name, detector in config.detectors.items() for extra in _extras_of(name, detector)}
    if "wandb" in config.trainer.loggers:
        found.add("wandb")
    if "mqtt" in config.events.sinks:
        found.add("mqtt")
    if config.view == "web":
        found.add("web")
    if registry.needing(config, "tracks"):
        found.add("tracks")
    if "yolo" in detection.methods(config, registry.needing(config, "boxes")):
        found |= {"yolo", config.objects.yolo.backend} - {"torch"}  # which every run has
    if _by_backbone(config):
        found.update(_extras_of_backbone(config.weights.backbone, config.weights.backbone_file))
    return sorted(found)


def _extras_of(name: str, detector: DetectorConfig) -> Iterator[str]:
    if extra := registry.spec(name, detector).extra:
        yield extra
    backbone = detector.training.get("backbone")
    if isinstance(backbone, Mapping):
        yield from _extras_of_backbone(str(backbone.get("name")), backbone.get("file"))


def _extras_of_backbone(name: str, file: object) -> Iterator[str]:
    if name == "clip_rn101":
        yield "clip"
    if name.startswith("timm:"):
        yield "timm"
    if name.startswith("packaged:"):
        yield "timm" if file else "packaged"  # a copy of the package's file does without the package


def _by_backbone(config: "Config") -> bool:
    """Whether the run needs feature maps of objects by its backbone."""
    return tables.by_backbone(config, [need for need in tables.NEEDS if registry.needing(config, need)])


def _checks(config: "Config") -> list[Check]:
    no_wandb = requirements.lacking(requirements.extras()["wandb"])  # which the packages' check names
    by_class = [name for name, detector in config.detectors.items() if registry.spec(name, detector).classes]
    return [
        *(check for name, detector in config.detectors.items() for check in _checks_of(name, detector)),
        lambda: detection.require_weights(config, registry.needing(config, "boxes")),
        lambda: detection.require_classes(config, by_class),
        lambda: check_variables(config.events),
        *_checks_of_features(config),
        *([] if no_wandb else [lambda: weights_and_biases.require_login(config)]),
    ]


def _checks_of_features(config: "Config") -> list[Check]:
    """What feature maps of objects need; raises ConfigError where they can't be had from what is configured."""
    checks: list[Check] = [lambda: requirements.require(extras(config))]
    needed = _extras_of_backbone(config.weights.backbone, config.weights.backbone_file)
    if _by_backbone(config) and not any(requirements.lacking(requirements.extras()[extra]) for extra in needed):
        from pixelplay.backbones.pretrained import backbone_of, check_backbone

        checks.append(lambda: check_backbone(backbone_of(config.weights)))
    return checks


def _checks_of(name: str, detector: DetectorConfig) -> list[Check]:
    """What one detector needs. Without its packages its module can't be imported, but its weights can be looked for."""
    lacking = {extra for extra in _extras_of(name, detector) if requirements.lacking(requirements.extras()[extra])}
    if not lacking:
        return [lambda: registry.check_settings({name: detector})]
    checks: list[Check] = []
    backbone, videomae = detector.training.get("backbone"), detector.training.get("videomae")
    if isinstance(backbone, Mapping) and not lacking & {"clip", "timm", "packaged"}:
        from pixelplay.backbones.pretrained import BackboneConfig, check_backbone

        checks.append(lambda: check_backbone(validate(BackboneConfig, dict(backbone))))
    if isinstance(videomae, str) and videomae != "in_domain" and not requirements.lacking(["huggingface_hub"]):
        from pixelplay.detectors.videomae.hub import check_videomae

        checks.append(lambda: check_videomae(videomae))
    return checks


def _require(checks: list[Check]) -> None:
    """Raise what the checks raise as one error, each message once: two detectors may lack the same."""
    found: dict[str, PixelPlayError] = {}
    for check in checks:
        try:
            check()
        except PixelPlayError as error:
            found.setdefault(str(error), error)
    if found:
        first, *_ = problems = list(found.values())
        advice = [WITHOUT] if any(isinstance(problem, WeightsError) for problem in problems) else []
        raise type(first)("\n".join([*found, *advice]))
