"""How long stages take, by the records of earlier runs."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pixelplay.config import Config
from pixelplay.errors import PixelPlayError
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import Record, Task, as_json, read_record
from pixelplay.stages import status
from pixelplay.videos.index import load_index

START = 5.0  # seconds that a stage takes to start, a process of its own; on two cores


class Estimate:
    """Seconds that stages will take, from what their tasks took before with the same settings."""

    def __init__(self, config: Config):
        self._records = list[tuple[int, str, Record]]()  # frames of the run, name of the task
        for folder, frames in earlier_runs(config):
            paths = [*folder.glob("stages/*.json"), *folder.glob("fusions/*/stages/*.json")]
            self._records += [(frames, path.stem, found) for path in paths if (found := read_record(path))]

    def seconds(self, config: Config, names: Sequence[str]) -> float | None:
        """Seconds of all that is to do in these stages of a prepared run; None if that is not known of one task.

        A task that takes less than before, since another run has cached a part, is estimated too high.
        """
        if "prepare" in names:  # what there is to do is known after it
            return None
        try:
            index = load_index(config)
            due = [task for name in names for task in status.STAGES[name].STAGE.tasks(config) if task.changed()]
        except PixelPlayError:  # an earlier stage is due
            return None
        frames = sum(len(video) for video in [*index.train, *index.test])
        times = [self._longest(task, frames) for task in due]
        known = [time for time in times if time is not None]
        return sum(known) + START * len(names) if len(known) == len(times) else None

    def _longest(self, task: Task, frames: int) -> float | None:
        settings = as_json(task.settings)
        return max(
            (
                record.seconds
                for count, name, record in self._records
                if (count, name, record.version, record.settings) == (frames, task.name, task.version, settings)
            ),
            default=None,
        )


def earlier_runs(config: Config) -> Iterator[tuple[Path, int]]:
    """Folders of prepared runs with their numbers of frames: this run's first, then the newest."""
    own = RunFiles.of(config).index
    indices = sorted(config.paths.outputs.rglob("index.json"), key=lambda path: (path != own, -path.stat().st_mtime))
    for path in indices:
        with suppress(OSError, ValueError, KeyError, TypeError):  # damaged, or of another version
            index = json.loads(path.read_bytes())
            if frames := sum(len(video["numbers"]) for video in [*index["train"], *index["test"]]):
                yield path.parent, frames
