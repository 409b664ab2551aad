"""Stage `train`: fit each detector of the run on normal footage, one after the other; killed, it goes on."""

import logging
import shutil
from pathlib import Path

from pixelplay import preconditions
from pixelplay.backbones.contents import by_contents
from pixelplay.code_version import code_version
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.objects import tables
from pixelplay.run.artifacts import is_current, recorded
from pixelplay.run.atomic import require_writable
from pixelplay.run.digests import Digests
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import KEYS, fingerprint
from pixelplay.stages import prepare
from pixelplay.videos.index import Index

log = logging.getLogger(__name__)


def pending(config: Config) -> str | None:
    index = prepare.load_index(config)
    names = [name for name in config.detectors if not is_trained(config, name, index)]
    return f"to train: {', '.join(names)}" if names else None


def run(config: Config) -> None:
    files = RunFiles.of(config)
    index = prepare.load_index(config)
    waiting = [name for name in config.detectors if not is_trained(config, name, index)]
    if waiting:
        preconditions.require_models(config, waiting)
    for name in config.detectors:
        if name not in waiting:
            log.info(f"train: {name} is up to date")
        else:
            require_writable(files.detector(name), "paths.checkpoints")
            _train(config, name, tables.with_objects(config, name, index))


def inputs(config: Config, name: str, index: Index) -> str:
    """Fingerprint of all that a detector's training depends on."""
    detector = config.detectors[name]
    digests = Digests(config.paths.cache / "digests")
    return fingerprint(
        index.train_key,
        index.heldout.model_dump(),
        {**detector.model_dump(exclude={"scoring"}), "settings": by_contents(detector.settings, digests)},
        config.trainer.model_dump(exclude={"loggers", "wandb"}),
        config.seed,
        tables.inputs(config, name),
        code_version(registry.spec(name, detector).module),
    )


def is_trained(config: Config, name: str, index: Index) -> bool:
    return is_current(RunFiles.of(config).detector(name) / "trained.json", inputs(config, name, index))


def _train(config: Config, name: str, index: Index) -> None:
    from pixelplay.training.device import find_device, keep_freed_memory
    from pixelplay.training.run import TrainingRun

    folder = RunFiles.of(config).detector(name)
    key = inputs(config, name, index)
    unfinished = folder / f"training-{key}"  # a run with other inputs must not go on from this one's checkpoint
    for old in folder.glob(f"training-{KEYS}"):
        if old != unfinished:
            shutil.rmtree(old)
    device = find_device(config.device)
    keep_freed_memory()
    log.info(
        f"train: {name} on {sum(map(len, index.fit)):,} normal frames, stopped early by "
        f"{sum(map(len, index.held.validation)):,} others, on {device}"
    )
    detector = registry.create(name, config.detectors[name], device)
    outputs: list[Path] = []
    with recorded(folder / "trained.json", key, outputs):
        shared = RunFiles.of(config).shared_models
        training = TrainingRun(name, config.trainer, unfinished, device, config.seed, shared)
        detector.fit(index.fit, index.held, training)
        detector.save(folder)
        outputs += [path for path in sorted(folder.iterdir()) if path != unfinished and not path.name.startswith(".")]
