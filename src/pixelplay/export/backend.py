"""`backend=onnx`: exported networks of trained detectors in the place of PyTorch's."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelplay import requirements
from pixelplay.backbones.exports import Exported, Exports
from pixelplay.backbones.frozen import Backbone
from pixelplay.config import Config
from pixelplay.detectors.base import Detector
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.export import EXTRA
from pixelplay.export.crops import CROPS, crops, need_crops
from pixelplay.run.artifacts import rerun
from pixelplay.run.files import EXPORTS, RunFiles, of_seed

log = logging.getLogger(__name__)


def use_onnx(config: Config, detectors: Mapping[str, Sequence[Detector]], backbone: Backbone | None = None) -> None:
    """Have loaded detectors of the run, by name one for each seed, compute their networks in ONNX Runtime, in float32.

    backbone: that describes crops of objects for them. Says which stay in PyTorch. Raises MissingArtifactError where no
    network is exported, or one of other weights, DamagedArtifactError for damaged files.
    """
    requirements.require([EXTRA])
    if config.checkpoint == "last":
        raise ConfigError("backend=onnx, checkpoint=last: the best epoch is exported: leave one of the two out")
    used, left = list[str](), list[str]()
    for name, seeds in detectors.items():
        for detector, seed in zip(seeds, config.trained_seeds, strict=True):
            own = of_seed(name, seed)
            networks = detector.networks() if isinstance(detector, Exports) else {}
            for network, one in networks.items():
                _use(_folder(config, name, seed), network, one, own, used, left)
            if not networks and not (backbone and need_crops(config, name)):
                left.append(f"{own} (it has no network that can be exported)")
    asking = [name for name in detectors if need_crops(config, name)]
    if backbone is not None and asking:
        folders = [_folder(config, name, seed) for name in asking for seed in config.trained_seeds]
        folder = next((one for one in folders if (one / f"{CROPS}.json").is_file()), folders[0])
        _use(folder, CROPS, crops(config, backbone), folder.parent.name, used, left)
    if not used:
        raise MissingArtifactError(f"backend=onnx: none of the run's networks is exported: {rerun('export')}")
    log.info(f"backend=onnx: in ONNX Runtime: {', '.join(used)}")
    if left:
        log.info(f"backend=onnx: in PyTorch: {', '.join(left)}")


def _use(folder: Path, network: str, one: Exported, own: str, used: list[str], left: list[str]) -> None:
    from pixelplay.export.network_file import read  # it imports ONNX Runtime

    if (folder / f"{network}.json").is_file():
        one.use(read(folder, network, one))
        used.append(f"{own}/{network}")
    else:
        left.append(f"{own}/{network} (not exported)")


def _folder(config: Config, name: str, seed: int | None) -> Path:
    """Where the exports of a detector lie, which may be another run's: see `checkpoint`."""
    if config.checkpoint == "best":
        return RunFiles.of(config).exports(name, seed)
    return Path(config.checkpoint).expanduser() / of_seed(name, seed) / EXPORTS
