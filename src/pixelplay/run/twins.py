"""What another run of the experiment has done with the same settings is copied, not done again.

So a run with one more detector trains and scores that one alone. Results depend on what a record holds of them, not on
the run that they were made in.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay.run.artifacts import write_json
from pixelplay.run.atomic import copied
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import Record, Task, as_json, read_record

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)


def take_over(config: "Config", task: Task) -> bool:
    """Do a task that is pending with what another run of the experiment has written; False where none has.

    The task's record keeps how long the work took there.
    """
    own = RunFiles.of(config)
    for files in _others(config, own):
        record = _same(task, files)
        if record is None or any(task.damaged_outputs(record.outputs)):
            continue
        sources = [output.path.resolve() for output in record.outputs]
        copies = {source: target for source in sources if (target := _target(source, files, own))}
        if len(copies) < len(sources):
            continue
        replace(task, work=partial(_copied, copies)).run()
        done = task.require().model_copy(update={"seconds": record.seconds})
        write_json(task.record_path, done.model_dump(mode="json"))
        log.info(f"{task.name}: that of {files.outputs}/, made with the same settings")
        return True
    return False


def _others(config: "Config", own: RunFiles) -> Iterator[RunFiles]:
    """The experiment's own run and those below it, without this one."""
    experiment = config.paths.outputs / config.experiment
    names = [config.experiment]
    if experiment.is_dir():
        names += [f"{config.experiment}/{folder.name}" for folder in sorted(experiment.iterdir()) if folder.is_dir()]
    others = (RunFiles.named(config.paths, name) for name in names)
    return (files for files in others if files.outputs != own.outputs and (files.outputs / "stages").is_dir())


def _same(task: Task, files: RunFiles) -> Record | None:
    """The other run's record of a task if it is what this run's will be; what the task reads must be the same, too."""
    record = read_record(files.record(task.record_path.stem))
    if record is None or record.version != task.version or record.settings != as_json(task.settings):
        return None
    for one in task.reads:
        read = _same(one, files)
        if read is None or record.reads.get(one.name) != read.key:
            return None
    return record


def _target(source: Path, files: RunFiles, own: RunFiles) -> Path | None:
    """Where a file of the other run lies in this one; None for what lies elsewhere."""
    for theirs, ours in ((files.checkpoints, own.checkpoints), (files.outputs, own.outputs)):
        if source.is_relative_to(theirs.resolve()):
            return ours / source.relative_to(theirs.resolve())
    return None


def _copied(copies: Mapping[Path, Path]) -> list[Path]:
    return [copied(source, target) for source, target in copies.items()]
