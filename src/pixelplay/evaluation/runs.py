"""Which runs there are in the outputs folder, and which variants of their fusions, under the names that users type."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay.errors import ConfigError
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record
from pixelplay.settings import alternatives

if TYPE_CHECKING:
    from pixelplay.config import Config, PathsConfig


@dataclass(frozen=True)
class NamedRun:
    experiment: str
    run: str | None  # None: the experiment's own, which has no name
    variant: str | None  # of its fusion
    files: RunFiles

    @property
    def name(self) -> str:
        """EXPERIMENT[/RUN][:VARIANT]."""
        run = f"{self.experiment}/{self.run}" if self.run else self.experiment
        return f"{run}:{self.variant}" if self.variant else run

    @property
    def finished(self) -> str:
        """When the last of its stages was done, as in its record; '' if none was."""
        records = [read_record(path) for path in (self.files.fusion / "stages").glob("*.json")]
        return max((record.finished for record in records if record), key=_seconds, default="")


def find_runs(paths: "PathsConfig", experiment: str | None = None) -> list[NamedRun]:
    """The runs of an experiment, or of all, and their variants; the newest last."""
    experiments = [experiment] if experiment else [folder.name for folder in _folders(paths.outputs)]
    found = [one for name in experiments for one in _of_experiment(paths, name)]
    return sorted(found, key=lambda one: _seconds(one.finished))


def find_run(config: "Config", name: str) -> NamedRun:
    """The run that a setting names, EXPERIMENT[/RUN][:VARIANT]; those of the same experiment may go by RUN[:VARIANT].

    Raises ConfigError if there is none.
    """
    folders = _folders(config.paths.outputs)
    known = {one.name: one for folder in folders for one in _of_experiment(config.paths, folder.name)}
    spelt = (f"{config.experiment}/{name}", f"{config.experiment}{name}" if name.startswith(":") else name)
    own = next((known[one] for one in spelt if one in known), None)
    if own is None:
        raise ConfigError(f"{name!r}: no such run in {config.paths.outputs}/; {alternatives(name, [*known])}")
    return own


def _of_experiment(paths: "PathsConfig", experiment: str) -> Iterator[NamedRun]:
    for run in (None, *(folder.name for folder in _folders(paths.outputs / experiment))):
        name = f"{experiment}/{run}" if run else experiment
        files = RunFiles.named(paths, name)
        if not any((files.outputs / "stages").glob("*.json")):
            continue
        yield NamedRun(experiment, run, None, files)
        for variant in _folders(files.outputs / "fusions"):
            if any((variant / "stages").glob("*.json")):
                yield NamedRun(experiment, run, variant.name, RunFiles.named(paths, name, variant.name))


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _seconds(finished: str) -> float:
    try:
        return time.mktime(time.strptime(finished, "%Y-%m-%dT%H:%M:%S%z"))
    except ValueError:
        return 0.0
