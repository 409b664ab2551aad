"""What a run leaves on Weights & Biases, with `trainer.loggers=[…,wandb]`: curves, metrics, pictures and files.

All of it is one W&B run. Its id is kept in the run's outputs, beside what was logged, so that a stage which is up to
date logs nothing twice. Nothing here decides a result, and a failure is a warning.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from pydantic import BaseModel

from pixelplay import requirements
from pixelplay.errors import ConfigError
from pixelplay.run.artifacts import parse_json, read_json, write_json, write_text
from pixelplay.run.files import RunFiles, of_seed, plain_name
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.stage import Output, read_record

if TYPE_CHECKING:
    from wandb import Run  # wandb is imported when there is something to log

    from pixelplay.config import Config

log = logging.getLogger(__name__)

PICTURED = ("evaluate", "ablate", "explain")  # stages that draw pictures, all of which the report shows


class Thing(NamedTuple):
    """Something to log, which changes only with its files."""

    name: str
    files: list[Output]
    log: Callable[["Run"], None]


class _Logged(BaseModel):
    id: str  # of the W&B run
    things: dict[str, str] = {}  # by name: the key of what was logged last


def require_login(config: "Config") -> None:
    """Raise ConfigError where the run is to be logged online and this machine has no key for that."""
    if "wandb" not in config.trainer.loggers or config.wandb.mode == "offline":
        return
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    if wandb.run is None and not wandb.login(prompt=False, verify=False):
        raise ConfigError(
            "wandb.mode=online: not logged in to Weights & Biases: run `wandb login`, set WANDB_API_KEY, or choose "
            "wandb.mode=offline, which needs no account"
        )


def open_run(config: "Config") -> "Run | None":
    """The run's W&B run, which stays open until the stage has logged; None, with a warning, where that fails."""
    opened: list[Run] = []
    _succeeds("the run is not logged", lambda: opened.append(_opened(config)))
    return opened[0] if opened else None


def log_run(config: "Config", stage: str) -> None:
    """Log what there is when `stage` is done, unless it was logged before, and close the W&B run."""
    if "wandb" not in config.trainer.loggers:
        return
    files, done = RunFiles.of(config), dict[str, str]()
    before = _logged(config, files).things
    for thing in (thing for kind in KINDS[stage] for thing in kind(config, files)):
        outputs = [[str(output.path), output.sha256] for output in thing.files]
        key = fingerprint(config.wandb.project, config.wandb.mode, outputs)
        if not outputs or before.get(thing.name) == key:
            continue
        run = open_run(config)
        if run is None:
            return
        if _succeeds(f"{thing.name} not logged", lambda thing=thing, run=run: thing.log(run)):
            done[thing.name] = key
    if _succeeds("not all of the run was logged", _close) and done:
        logged = _logged(config, files)
        logged.things.update(done)
        _succeeds("it will be logged again", lambda: write_json(files.wandb, logged.model_dump()))
        folder = files.fusion / "wandb"
        sync = f"{folder}/: upload it with `wandb sync --id {logged.id} {folder}/offline-run-*`"
        log.info(f"wandb: {', '.join(done)} -> {sync if config.wandb.mode == 'offline' else logged.id}")


def checkpoints(config: "Config", files: RunFiles) -> Iterator[Thing]:
    """What each detector has learnt, with all seeds, and the configuration."""
    for name in config.detectors:
        found = _outputs(files, [f"train-{of_seed(name, seed)}" for seed in config.trained_seeds])
        yield _artifact(config, files, f"{name}-checkpoint", "model", found)


def predictions(config: "Config", files: RunFiles) -> Iterator[Thing]:
    """The tables of scores of each detector, with all seeds and their mean; the fused ones, the submission, events."""
    for name in config.detectors:
        scored = dict.fromkeys([*(of_seed(name, seed) for seed in config.trained_seeds), name])
        found = _outputs(files, [f"score-{one}{pseudo}" for one in scored for pseudo in ("", "-pseudo")])
        yield _artifact(config, files, f"{name}-predictions", "predictions", found)
    yield _artifact(config, files, "fused-predictions", "predictions", _outputs(files, ["fuse-objects", "fuse"]))
    found = _outputs(files, ["events", "event-vectors", "event-clips"])
    yield _artifact(config, files, "events", "predictions", found)


def metrics(config: "Config", files: RunFiles) -> Iterator[Thing]:
    """The numbers of metrics.json, those of detectors in groups of their own; not the figures of others."""
    found = [output for output in _outputs(files, ["evaluate"]) if output.path == files.metrics]
    yield Thing("metrics", found, lambda run: run.summary.update(_numbers_of(files.metrics)))


def figures(config: "Config", files: RunFiles) -> Iterator[Thing]:
    """The report and the pictures that it shows; W&B copies both."""
    for stage in PICTURED:
        found = [output for output in _outputs(files, [stage]) if output.path.suffix in (".png", ".jpg")]
        yield Thing(f"pictures of {stage}", found, lambda run, found=found: _log_pictures(run, files, found))
    yield Thing("report", _outputs(files, ["report"]), lambda run: _log_page(run, files.report))


KINDS: dict[str, tuple[Callable[["Config", RunFiles], Iterator[Thing]], ...]] = {  # by stage: what is there then
    "extract": (),
    "train": (checkpoints,),
    "evaluate": (checkpoints, predictions, metrics),
    "report": (checkpoints, predictions, metrics, figures),
}


def _outputs(files: RunFiles, tasks: Iterable[str]) -> list[Output]:
    """What these tasks wrote, by their records."""
    records = [read_record(files.record(name)) for name in tasks]
    return [output for record in records if record for output in record.outputs]


def _artifact(config: "Config", files: RunFiles, name: str, kind: str, outputs: list[Output]) -> Thing:
    def log_files(run: "Run") -> None:
        import wandb

        artifact = wandb.Artifact(plain_name(f"{run.id}-{name}", 100), kind)
        paths = [output.path for output in outputs]
        for path in [*paths, _configuration(config, files)] if kind == "model" else paths:
            # Immutable: it stands for the file itself. W&B would else copy it to its own folder first.
            artifact.add_file(str(path.resolve()), _inside(files, path), skip_cache=True, policy="immutable")
        logged = run.log_artifact(artifact)
        if config.wandb.mode == "online":
            logged.wait()  # raises where it was not uploaded

    return Thing(f"{name} (files)", outputs, log_files)


def _configuration(config: "Config", files: RunFiles) -> Path:
    """A file with the resolved configuration: a settings change leaves the one of an earlier artifact as it was."""
    values = config.model_dump(mode="json")
    path = files.fusion / "wandb" / f"config-{fingerprint(values)}.yaml"
    write_text(path, yaml.safe_dump(values, sort_keys=False))
    return path


def _inside(files: RunFiles, path: Path) -> str:
    """Where a file lies in its artifact: as in the run's folder, and else by its name alone."""
    if path.parent == files.fusion / "wandb":
        return "config.yaml"
    folders = [folder for folder in (files.outputs, files.checkpoints) if path.is_relative_to(folder)]
    return path.relative_to(folders[0]).as_posix() if folders else path.name


def _log_pictures(run: "Run", files: RunFiles, outputs: list[Output]) -> None:
    import wandb

    paths = {output.path.relative_to(files.outputs).with_suffix("").as_posix(): output.path for output in outputs}
    run.log({key: wandb.Image(str(path)) for key, path in paths.items()})


def _log_page(run: "Run", path: Path) -> None:
    import wandb

    run.log({"report": wandb.Html(str(path), inject=False)})


def _numbers_of(path: Path) -> dict[str, float]:
    found = read_json(path, made_by="evaluate")
    del found["published"]
    detectors = found.pop("detectors")
    flat = dict(_numbers(found, "evaluate"))
    return flat | {key: n for name, of in detectors.items() for key, n in _numbers(of, f"{name}/evaluate")}


def _numbers(value: Any, key: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(inner, f"{key}/{name}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


def _logged(config: "Config", files: RunFiles) -> _Logged:
    """What was logged before; of a run that was not, or whose list is damaged, nothing."""
    try:
        return _Logged.model_validate(parse_json(files.wandb.read_bytes()))
    except (OSError, ValueError):
        # Not by the name alone: others who log to the same project may have a run of that name.
        return _Logged(id=f"{plain_name(config.full_name, 60)}-{token_hex(4)}")


def _opened(config: "Config") -> "Run":
    requirements.require(["wandb"])
    import wandb

    files = RunFiles.of(config)
    logged = _logged(config, files)
    if wandb.run is not None and wandb.run.id == logged.id:
        return wandb.run
    _close()  # of a run that failed
    require_login(config)
    files.fusion.mkdir(parents=True, exist_ok=True)
    write_json(files.wandb, logged.model_dump())
    return wandb.init(
        project=config.wandb.project,
        name=config.wandb.name or config.full_name,
        id=logged.id,
        resume="allow",
        dir=str(files.fusion.resolve()),
        mode=config.wandb.mode,
        config=config.model_dump(mode="json"),
        allow_val_change=True,
        settings=wandb.Settings(silent=True, console="off"),
    )


def _close() -> None:
    module = sys.modules.get("wandb")  # not imported: nothing was logged
    if module is not None and module.run is not None:
        module.run.finish()


def _succeeds(otherwise: str, action: Callable[[], Any]) -> bool:
    """Do it; returns whether that worked. No stage is to fail for its log, so a failure of any kind is a warning."""
    try:
        action()
    except Exception as error:
        log.warning(f"wandb: {otherwise}: {error}")
        return False
    return True
