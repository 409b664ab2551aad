"""`export`: networks of a run's trained detectors for ONNX Runtime and other libraries: `python src/export.py --help`.

Each is a file of its own beside the detector's weights, with a JSON that says what goes in and what comes out, and is
compared with PyTorch before it gets its name: on random input, and on held-out footage.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pixelplay import preconditions, requirements
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError
from pixelplay.objects import tables
from pixelplay.run.artifacts import read_model
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles, of_seed
from pixelplay.settings import alternatives
from pixelplay.stages import train
from pixelplay.videos.index import Index, load_index
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # importing them imports torch
    from pixelplay.backbones.exports import Exported
    from pixelplay.detectors.base import Detector

log = logging.getLogger(__name__)

EXTRA = "export"  # of pyproject.toml
Networks = tuple[Mapping[str, "Exported"], Callable[[Video], Any]]  # and what uses them on a video


def run(config: Config, detector: str | None = None) -> None:
    """Export the networks of these detectors of the run, `conv_ae` or `[conv_ae,st_ae]`; None: of all.

    Raises ConfigError for detectors that the run does not have, or where no network could be exported,
    MissingArtifactError where one is not trained, ParityError where one computes something else than in PyTorch.
    """
    from pixelplay.export.network_file import UnexportableError, write
    from pixelplay.export.parity import inputs_of

    names = _chosen(config, detector)
    requirements.require([EXTRA])
    index = load_index(config)
    preconditions.require_models(config, names)
    written, reasons = 0, list[str]()
    for name in names:
        heldout = tables.with_objects(config, index, registry.spec(name, config.detectors[name]).needs).held.calibration
        for seed in config.trained_seeds:
            own, folder = of_seed(name, seed), RunFiles.of(config).exports(name, seed)
            parts = list(_networks(config, name, index, seed))
            if not parts:
                reasons.append(f"{own} {_why_none(config, name, seed)}")
            for networks, score in parts:
                require_writable(folder, "paths.checkpoints")
                inputs = inputs_of(networks, score, heldout)
                for network, one in networks.items():
                    try:
                        about = write(folder, network, one, inputs.get(network), config.run_name, own)
                    except UnexportableError as error:
                        reasons.append(f"{own}/{network} {error}")
                        continue
                    written += 1
                    log.info(f"export: {own}: {folder / about.file}, {about.parity.told}")
    for reason in reasons:
        log.warning(f"export: {reason}")
    if not written:
        raise ConfigError("\n".join(["export: there was nothing to export:", *reasons]))


def _chosen(config: Config, text: str | None) -> list[str]:
    names = [part.strip() for part in (text or "").strip("[]").split(",") if part.strip()] or list(config.detectors)
    for name in names:
        if name not in config.detectors:
            raise ConfigError(f"detector={name}: not a detector of this run; {alternatives(name, [*config.detectors])}")
    return list(dict.fromkeys(names))


def _networks(config: Config, name: str, index: Index, seed: int | None) -> Iterator[Networks]:
    """Those of a detector itself, and of what describes objects for it."""
    from pixelplay.backbones.exports import Exports
    from pixelplay.export.crops import CROPS, crops, need_crops
    from pixelplay.objects.tracks import tracks_of
    from pixelplay.stages.extract import extractor_of
    from pixelplay.training.device import find_device

    train.task(config, name, index, seed).require()
    detector: Detector = registry.create(name, config.detectors[name], find_device(config.device))
    detector.load(RunFiles.of(config).detector(name, seed))
    if isinstance(detector, Exports):
        yield detector.networks(), detector.score
    if need_crops(config, name):
        maps = extractor_of(config)
        yield {CROPS: crops(config, maps.backbone)}, lambda video: list(maps.of(video, tracks_of(video)))


def _why_none(config: Config, name: str, seed: int | None) -> str:
    from pixelplay.detectors.base import About

    about = read_model(RunFiles.of(config).detector(name, seed) / "detector.json", About, made_by="train")
    if about.parameters:
        return "is not exported: it does not say how (`Exports` in pixelplay/backbones/exports.py)"
    return "is not exported: it has no network, and costs next to nothing"
