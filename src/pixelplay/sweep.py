"""The command `sweep`: one setting of a detector varied, a run for each value, and a table and a picture of them all.

Each variant is a run below the experiment, named by what it changes, so that frames, boxes, tracks and feature maps in
the cache serve all of them, and several sweeps the same baseline. What is trained with the same settings is trained
once: a variant that changes only how scores are computed copies another's checkpoint.
"""

import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pixelplay import pipeline, preconditions
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import ConfigError, PixelPlayError
from pixelplay.overrides import choices
from pixelplay.run.atomic import atomic_folder, require_writable
from pixelplay.run.files import RunFiles, run_name
from pixelplay.run.locks import exclusive
from pixelplay.stages import status, train

log = logging.getLogger(__name__)

BEFORE = ("prepare", "detect", "extract")
AFTER = ("train", "score", "fuse", "events", "evaluate", "ablate")
INTERRUPTED = 130  # exit status
NOT_PASSED = re.compile(r"[+~]*(sweep[.=@]|run=|name=)")  # overrides that are the sweep's own
NOT_SHOWN = ("dataset.root=", "paths.")  # places decide nothing


@dataclass(frozen=True)
class Variant:
    name: str
    overrides: list[str]  # of its run, as on the command line
    config: Config

    @property
    def files(self) -> RunFiles:
        return RunFiles.of(self.config)


def run(config: Config, overrides: list[str]) -> None:
    """Run what is not up to date of each variant, then write the table and the picture.

    Raises ConfigError for a sweep or variant that is impossible, before any work; PixelPlayError that names a variant
    which fails.
    """
    from pixelplay.ablation.sweeps import results, write

    given = [override for override in overrides if not NOT_PASSED.match(override)]
    variants = variants_of(config, given)
    folder = RunFiles.of(config).sweeps / str(config.sweep.name)
    require_writable(folder, "paths.outputs")
    waiting = [variant for variant in variants if _has_work(variant.config)]
    for variant in variants if waiting else []:
        with _named(config, variant):
            preconditions.require_all(variant.config)
    done = [config]
    for variant in variants:
        if variant in waiting:
            log.info(f"\nsweep: {variant.name}: the run {variant.files.outputs}/")
            with _named(config, variant):
                _run(variant, done)
        else:
            log.info(f"sweep: {variant.name}: up to date ({variant.files.outputs}/)")
        done.append(variant.config)
    told = results({one.name: one.files for one in variants}, config.sweep.detectors, config.trained_seeds)
    options = [override for override in given if not override.startswith(NOT_SHOWN)]
    log.info(f"\n{write(folder, str(config.sweep.name), told, options)}\nsweep: {folder}/table.md")


def variants_of(config: Config, given: Sequence[str]) -> list[Variant]:
    """The variants in order, each with the overrides that are `given` for all; raises ConfigError for impossible ones.

    A variant that changes nothing has the run of the detectors' name alone: the baseline of other sweeps, too.
    """
    sweep = config.sweep
    if not (sweep.name and sweep.detectors and sweep.variants):
        named = ", ".join(f"sweep={name}" for name in choices("sweep") if name != "none")
        raise ConfigError(f"sweep: which one? {named}; a file of your own in configs/sweep/ is another, see none.yaml")
    common = [*given, *_detectors(config, given)]
    baseline = load_config(common)
    found = []
    for name, overrides in sweep.variants.items():
        try:
            varied = load_config([*common, *overrides])
        except ConfigError as error:
            raise ConfigError(f"sweep={sweep.name}, variant {name!r}: {error}") from None
        parts = [*([config.run] if config.run else []), *sweep.detectors]
        if varied != baseline:
            alone = f"detectors.{sweep.detectors[0]}." if len(sweep.detectors) == 1 else "detectors."
            parts += [override.removeprefix(alone) for override in overrides]
        own = varied.model_copy(update={"run": run_name(parts)})
        found.append(Variant(name, [*common, *overrides, f"run={own.run}"], own))
    return found


def _detectors(config: Config, given: Sequence[str]) -> list[str]:
    """Overrides after which a run has the sweep's detectors and no others."""
    wanted = config.sweep.detectors
    absent = [name for name in wanted if name not in config.detectors]
    if not absent:
        return [f"~detectors.{name}" for name in config.detectors if name not in wanted]
    if any(override.startswith("detector=") for override in given):
        raise ConfigError(
            f"sweep={config.sweep.name} varies {absent[0]}, and detector= names other detectors: leave it out, or name "
            f"{absent[0]} or one of its presets"
        )
    return [f"detector=[{','.join(wanted)}]"]


def _has_work(config: Config) -> bool:
    try:
        return any(status.STAGES[name].pending(config) for name in (*BEFORE, *AFTER))
    except PixelPlayError:  # an earlier stage has
        return True


@contextmanager
def _named(config: Config, variant: Variant) -> Iterator[None]:
    """Turn what ends a stage into an error that names the variant."""
    where = f"sweep={config.sweep.name}, variant {variant.name!r}"
    try:
        yield
    except SystemExit as end:
        if end.code == INTERRUPTED:
            raise
        raise PixelPlayError(
            f"{where}: the run {variant.files.outputs}/ failed, see above; the same command goes on from there"
        ) from None
    except PixelPlayError as error:
        raise PixelPlayError(f"{where}: {error}") from None


def _run(variant: Variant, others: Sequence[Config]) -> None:
    """The stages of one variant, with what `others` have trained already."""
    for other in others:
        _share_models(variant.files, RunFiles.of(other))
    pipeline.run_stages(variant.config, variant.overrides, BEFORE, "sweep")
    with exclusive(variant.config):
        train.take_over(variant.config)
    pipeline.run_stages(variant.config, variant.overrides, AFTER, "sweep")


def _share_models(own: RunFiles, others: RunFiles) -> None:
    """Copy models that several detectors of a run share: they lie in folders named by all that decides them."""
    for folder in others.shared_models().parent.glob("shared*/*"):
        target = own.checkpoints / folder.relative_to(others.checkpoints)
        if not target.exists():
            with atomic_folder(target) as temporary:
                shutil.copytree(folder, temporary, dirs_exist_ok=True)
