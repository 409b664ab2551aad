"""What another run has trained, for a run with `checkpoints_of`: its records, and copies of the files that they list.

The copies lie where the run's own would, so that later stages work alike, and the other run may go.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay.errors import MissingArtifactError
from pixelplay.run.artifacts import damaged, rerun
from pixelplay.run.atomic import copied
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import Record, digests_of, read_record

if TYPE_CHECKING:
    from pixelplay.config import Config


def trained_record(config: "Config", name: str, stage: str) -> Record:
    """The record `name` of the run that `checkpoints_of` names; raises MissingArtifactError."""
    path = RunFiles.trained(config).record(name)
    record = read_record(path)
    if record is None:
        raise MissingArtifactError(
            f"checkpoints_of={config.checkpoints_of}: {path} is missing: that run has no {name}; {rerun(stage)} "
            "of that run first"
        )
    return record


def key_of(config: "Config", name: str) -> str | None:
    """The key of that record; once it is gone, that of what this run has copied."""
    record = read_record(RunFiles.trained(config).record(name))
    if record is not None:
        return record.key
    own = read_record(RunFiles.of(config).record(name))
    return own.contents if own is not None else None


def copy_outputs(config: "Config", record: Record, stage: str) -> list[Path]:
    """Copy what a record of the other run lists, to the same places below this run's checkpoints.

    Raises MissingArtifactError or DamagedArtifactError for a file that is not as it was written.
    """
    source, target = RunFiles.trained(config).checkpoints.resolve(), RunFiles.of(config).checkpoints
    written = []
    digests = digests_of(config).of(output.path for output in record.outputs)
    for output, digest in zip(record.outputs, digests, strict=True):
        path = output.path.resolve()
        if not path.is_file() or not path.is_relative_to(source):
            raise MissingArtifactError(
                f"{source}/ lacks {output.path}, which {config.checkpoints_of} lists: {rerun(stage)}"
            )
        if digest != output.sha256:
            raise damaged(output.path, stage, "has other contents than were written")
        written.append(copied(path, target / path.relative_to(source)))
    return written
