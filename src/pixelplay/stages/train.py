"""Stage `train`: fit each detector on normal footage, one after the other; a killed run goes on where it stopped.

With `checkpoints_of` nothing is fitted: the detectors are those of another run.
"""

import logging
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from pixelplay import preconditions
from pixelplay.backbones.settings import by_contents, files_there
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError
from pixelplay.objects import detection, tables
from pixelplay.run import borrowed, twins
from pixelplay.run.artifacts import read_json
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import EXPORTS, RunFiles, of_seed
from pixelplay.run.fingerprints import KEYS, fingerprint
from pixelplay.run.stage import Stage, Task, as_json, difference, digests_of, read_record
from pixelplay.run.weights_and_biases import log_run, open_run
from pixelplay.stages import detect, extract, prepare
from pixelplay.videos.index import Index, load_index, seen, trained_index

log = logging.getLogger(__name__)

# settings of whoever uses a detector
SHARED = ("detector", "training", "boxes", "tracks", "features", "crops", "flow", "version")
VERSION = 1  # raised when every detector learns something else; one detector's is in its `Spec`


def tasks(config: Config) -> list[Task]:
    index = load_index(config)
    return [task(config, name, index, seed) for name in config.detectors for seed in config.trained_seeds]


STAGE = Stage("train", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    index = load_index(config)
    take_over(config)
    seeds = {name: [task(config, name, index, seed) for seed in config.trained_seeds] for name in config.detectors}
    waiting = [name for name, of_seeds in seeds.items() if any(one.pending() for one in of_seeds)]
    if waiting:
        preconditions.require_models(config, waiting)
        require_writable(config.paths.checkpoints, "paths.checkpoints")
    STAGE.run(config)
    log_run(config, "train")


def take_over(config: Config) -> None:
    """Copy detectors that another run of the experiment has trained with the same settings."""
    for one in tasks(config) if config.checkpoints_of is None else ():
        if one.pending():
            twins.take_over(config, one)


def task(config: Config, name: str, index: Index, seed: int | None = None) -> Task:
    """The training of a detector, with one of several seeds or the run's only one."""
    settings, files, task_name = _settings(config, name, index, seed), RunFiles.of(config), record_name(name, seed)
    folder, needs = files.detector(name, seed), registry.spec(name, config.detectors[name]).needs
    boxes = detect.tasks(config) if "boxes" in needs else []
    if other := config.checkpoints_of:
        wanted = {key: settings[key] for key in SHARED}
        settings = {"checkpoints_of": other, "detector": settings["detector"], "training": settings["training"]}
    return Task(
        stage="train",
        name=task_name,
        files=files,
        version=VERSION,
        settings=settings,
        work=lambda: (
            _borrow(config, name, index, seed, wanted)
            if other
            else _train(config, name, index, seed, fingerprint(VERSION, settings))
        ),
        # what the other run has trained, or where it is wanted
        contents=lambda: borrowed.key_of(config, task_name) if other else str(folder),
        after=[prepare.task(config), *boxes, *extract.tasks_for(config, needs)],
        about=lambda: {"training": _training(config, name), "parameters": _parameters(folder)},
    )


def record_name(name: str, seed: int | None) -> str:
    return f"train-{of_seed(name, seed)}"


def _settings(config: Config, name: str, index: Index, seed: int | None) -> dict[str, Any]:
    """Exactly what a detector's training depends on."""
    detector, spec = config.detectors[name], registry.spec(name, config.detectors[name])
    asking = registry.needing(config, "boxes")
    digest = detection.contents(config, detection.methods(config, asking))
    return {
        "footage": index.train_key,
        "heldout": index.heldout.model_dump(),
        "detector": detector.model_dump(exclude={"scoring", "training"}),
        "training": _with_weights(config, name, seed),
        "trainer": config.trainer.model_dump(include=set(spec.trainer)),
        "seed": config.seed if seed is None else seed,
        "boxes": [detection.settings(config, asking), digest] if spec.boxes else None,
        "tracks": tables.track_settings(config) if spec.tracks else None,
        "features": _maps(config, "features") if spec.features else None,
        "crops": _maps(config, "crops") if spec.crops else None,
        "flow": tables.flow_settings(config) if spec.flow else None,
        "version": spec.version,
    }


def _maps(config: Config, need: tables.Mapped) -> list[Any]:
    return [tables.maps_settings(config, need), tables.encoder_digest(config, need)]


def _training(config: Config, name: str) -> dict[str, Any]:
    return registry.spec(name, config.detectors[name]).decisive(config.detectors[name].training)


def _with_weights(config: Config, name: str, seed: int | None) -> Any:
    """A detector's settings, files of pretrained weights named by their contents.

    Once such a file is gone, they are those that the detector was trained with: later stages need no weights.
    """
    settings = _training(config, name)
    found = by_contents(settings, digests_of(config))
    record = read_record(RunFiles.of(config).record(record_name(name, seed)))
    if record and record.about.get("training") == as_json(settings) and not files_there(settings):
        return record.settings.get("training")
    return found


def _train(config: Config, name: str, index: Index, seed: int | None, key: str) -> list[Path]:
    from pixelplay.training.device import find_device, keep_freed_memory
    from pixelplay.training.run import TrainingRun

    folder = RunFiles.of(config).detector(name, seed)
    require_writable(folder, "paths.checkpoints")
    unfinished = folder / f"training-{key}"  # a run with other settings must not go on from this one's checkpoint
    for old in folder.glob(f"training-{KEYS}"):
        if old != unfinished:
            shutil.rmtree(old)
    index = tables.with_objects(config, index, registry.spec(name, config.detectors[name]).needs)
    device = find_device(config.device)
    keep_freed_memory()
    log.info(
        f"train: {of_seed(name, seed)} on {sum(map(len, index.fit)):,} normal frames, stopped early by "
        f"{sum(map(len, index.held.validation)):,} others, on {device}"
    )
    detector = registry.create(name, config.detectors[name], device)
    shared, kept = RunFiles.of(config).shared_models(seed), folder / "training-kept"  # for others
    own, seed = of_seed(name, seed), config.seed if seed is None else seed
    opening = partial(open_run, config)
    training = TrainingRun(own, config.trainer, unfinished, device, seed, shared, kept, opening)
    detector.fit(index.fit, index.held, training)
    detector.save(folder)
    saved = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    own = [path for path in saved if not path.parts[0].startswith((".", "training-"))]
    return [folder / path for path in own if path.parts[0] != EXPORTS]


def _borrow(config: Config, name: str, index: Index, seed: int | None, wanted: dict[str, Any]) -> list[Path]:
    """Copy what another run has trained, if it scores this run's footage as intended, and calibrate that anew.

    Raises ConfigError where the settings differ, or where that run was fitted on footage that this one holds out.
    """
    record, own = borrowed.trained_record(config, record_name(name, seed), "train"), as_json(wanted)
    theirs: dict[str, Any] = {key: record.settings.get(key) for key in SHARED}
    for one in (own, theirs):  # of boxes that users bring, each data set has its own
        if one["boxes"] and isinstance(one["boxes"][1], dict):
            one["boxes"] = one["boxes"][:1]
    if changed := difference(theirs, own):
        raise ConfigError(
            f"checkpoints_of={config.checkpoints_of}: its {of_seed(name, seed)} has other settings: "
            f"{changed} differs; give both runs the same detectors, weights and objects"
        )
    if (path := config.detectors[name].scoring.get("checkpoint")) not in (None, "best", "last"):
        raise ConfigError(
            f"checkpoints_of={config.checkpoints_of} and detectors.{name}.scoring.checkpoint={path} both name "
            "checkpoints of another run: leave out one"
        )
    if twice := seen([*index.held.calibration, *index.held.planting], trained_index(config).fit):
        raise ConfigError(
            f"checkpoints_of={config.checkpoints_of}: that run was fitted on frames of {twice.id} that this one holds "
            "out, and scores of known footage calibrate nothing: give both the same dataset.heldout"
        )
    written = borrowed.copy_outputs(config, record, "train")
    log.info(f"train: {of_seed(name, seed)} is that of {config.checkpoints_of}, nothing is trained")
    _recalibrate(config, name, index, RunFiles.of(config).detector(name, seed))
    return written


def _recalibrate(config: Config, name: str, index: Index, folder: Path) -> None:
    """Give the detector in a folder the scales of this run's held-out normal footage, if it has such."""
    from pixelplay.detectors.base import Recalibrates
    from pixelplay.training.device import find_device

    detector = registry.create(name, config.detectors[name], find_device(config.device))
    if isinstance(detector, Recalibrates):
        detector.load(folder)
        index = tables.with_objects(config, index, registry.spec(name, config.detectors[name]).needs)
        detector.recalibrate(index.held.calibration)
        detector.save(folder)


def _parameters(folder: Path) -> int | None:
    """How many parameters the trained detector has, by its detector.json; None where it does not say."""
    count = read_json(folder / "detector.json", made_by="train").get("parameters")
    return count if isinstance(count, int) else None
