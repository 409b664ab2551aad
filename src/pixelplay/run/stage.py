"""The one contract of all stages: what decides a result, what was written, and whether there is anything to do.

A stage is a list of tasks; `score` has one per detector, for instance. When a task is done, a record is written with
its key and its outputs. Keys chain through records: a task looks at the keys that the records of earlier tasks hold,
never at what those depended on, so later stages need nothing but the run's outputs folder.
"""

import json
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from pixelplay.errors import MissingArtifactError
from pixelplay.run.artifacts import damaged, missing, parse_json, rerun, write_json
from pixelplay.run.digests import Digests
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)


class Output(BaseModel):
    """A file that a task wrote, as it was then."""

    path: Path
    size: Annotated[int, Field(ge=0)]  # bytes
    sha256: str


class Record(BaseModel):
    """What a finished task depended on, what it wrote, and how long it took."""

    key: str
    version: int
    settings: dict[str, Any]
    contents: Any
    about: Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]  # kept, not compared
    reads: dict[str, str]  # keys of the records that it read, by the names of their tasks
    outputs: list[Output]
    finished: str
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, eq=False)
class Task:
    """A part of a stage that is done, and known to be current, on its own."""

    stage: str  # the command that does it
    name: str
    files: RunFiles  # of the run that it is a part of
    version: int  # raised with the code beside it when results change
    settings: Mapping[str, Any]  # exactly the part of the configuration that decides the result, as JSON
    work: Callable[[], Iterable[Path]]  # returns the files that it wrote, and writes nothing else that is read later
    reads: Sequence["Task"] = ()  # tasks whose keys are part of this one's
    after: Sequence["Task"] = ()  # tasks that must be done, of whose results only parts, named by `settings`, count
    contents: Callable[[], Any] = lambda: None  # state of files that the user brings: only the task's own stage asks
    about: Callable[[], Any] = lambda: None  # for the record: asked for after the work, not compared
    kept: Collection[Path] = ()  # former outputs that stay when they are not written again
    folders: Callable[[], Collection[Path]] = lambda: ()  # each must have an output: where footage lies may change

    @property
    def record_path(self) -> Path:
        return self.files.record(self.name)

    @cached_property
    def digests(self) -> Digests:
        return _digests_in(self.files.cache)

    def record(self) -> Record | None:
        """The record of the finished task; None where there is none that can be read."""
        return read_record(self.record_path)

    def pending(self) -> str | None:
        """Why there is work to do; None when the task is current and its outputs are as it wrote them."""
        record, reason = self.record(), self.changed()
        if reason or not record:
            return reason
        if changed := difference(record.contents, self._contents, "files"):
            return f"{changed} changed on disk"
        if damage := next((f"{path} {problem}" for path, problem in self.damaged_outputs(record.outputs)), None):
            return damage
        used = {output.path.parent.resolve() for output in record.outputs}
        return next((f"nothing in {folder} yet" for folder in self.folders() if folder.resolve() not in used), None)

    def require(self) -> Record:
        """The record of the task if done with the configured settings; else MissingArtifactError names the command."""
        for task in (*self.after, *self.reads):
            task.require()
        record, reason = self.record(), self.changed()
        if reason or not record:
            raise MissingArtifactError(f"{self.name}: {reason}; not done with these settings: {rerun(self.stage)}")
        return record

    def verified(self) -> Record:
        """As `require`, and its outputs are there as it wrote them; else raises Missing- or DamagedArtifactError."""
        record = self.require()
        self._verify(record.outputs)
        return record

    def outputs(self) -> list[Path]:
        """The files that the task wrote when it was last done, whatever the settings were."""
        record = self.record()
        return [output.path for output in record.outputs] if record else []

    def run(self) -> bool:
        """Do the work, unless the task is current; returns whether it was done."""
        if not self.pending():
            log.info(f"{self.name}: up to date")
            return False
        for task in self.after:
            task._verify([output for output in task.require().outputs if _is_of_the_run(output.path, task.record_path)])
        reads = {task.name: task.verified().key for task in self.reads}
        contents, before = self._contents, self.outputs()
        self.record_path.unlink(missing_ok=True)
        start = time.monotonic()
        outputs = sorted(set(self.work()))
        _remove({*before} - {*outputs, *self.kept}, self.record_path)
        record = Record(
            key=fingerprint(self.version, self._settings, contents, reads),
            version=self.version,
            settings=self._settings,
            contents=contents,
            about=as_json(self.about()),
            reads=reads,
            outputs=[
                Output(path=path, size=path.stat().st_size, sha256=digest)
                for path, digest in zip(outputs, self.digests.of(outputs), strict=True)
            ],
            finished=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            seconds=round(time.monotonic() - start, 1),
        )
        write_json(self.record_path, record.model_dump(mode="json"))
        return True

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return as_json(self.settings)

    @cached_property
    def _contents(self) -> Any:
        return as_json(self.contents())

    def changed(self) -> str | None:
        """Why the record, if any, is not that of the configured settings; files are not looked at."""
        record = self.record()
        if record is None:
            return "not done yet"
        if record.version != self.version:
            return "made by another version of this project"
        if changed := difference(record.settings, self._settings):
            return f"{changed} changed"
        for task in (*self.reads, *self.after):
            if reason := task.changed():
                return f"{task.name}: {reason}"
        for task in self.reads:
            if (read := task.record()) and record.reads.get(task.name) != read.key:
                return f"{task.name} was done again"
        return None

    def _verify(self, outputs: Sequence[Output]) -> None:
        for path, problem in self.damaged_outputs(outputs):
            raise damaged(path, self.stage, problem) if path.exists() else missing(path, self.stage)

    def damaged_outputs(self, outputs: Sequence[Output]) -> Iterator[tuple[Path, str]]:
        """Outputs that are not as they were written, with what is wrong with them."""
        for output, digest in zip(outputs, self.digests.of(output.path for output in outputs), strict=True):
            if not output.path.is_file():
                yield output.path, "is missing"
            elif digest != output.sha256:
                yield output.path, "has other contents than were written"


@dataclass(frozen=True)
class Stage:
    """What a command does: its tasks, in order."""

    name: str
    tasks: "Callable[[Config], Iterable[Task]]"

    def pending(self, config: "Config") -> str | None:
        """Why there is work to do, None where all is up to date; MissingArtifactError where an earlier stage is due."""
        reasons = [f"{task.name}: {reason}" for task in self.tasks(config) if (reason := task.pending())]
        return "; ".join(reasons) or None

    def run(self, config: "Config") -> None:
        for task in self.tasks(config):
            task.run()


def read_record(path: Path) -> Record | None:
    """The record at `path`; None where there is none that can be read."""
    try:
        found = path.stat()
        return _parsed(path, found.st_mtime_ns, found.st_ino)
    except (OSError, ValueError):
        return None


def forget(path: Path, kept: Collection[Path] = ()) -> None:
    """Remove the record at `path` and the outputs that it lists, except for `kept`."""
    record = read_record(path)
    _remove({output.path for output in record.outputs} - {*kept} if record else set(), path)
    path.unlink(missing_ok=True)


def _remove(paths: Collection[Path], record_path: Path) -> None:
    """Remove outputs, and folders that are empty without them; what lies elsewhere, other runs may share."""
    for path in paths:
        if _is_of_the_run(path, record_path):
            path.unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                path.parent.rmdir()


def _is_of_the_run(path: Path, record_path: Path) -> bool:
    """Whether a file lies in the folder of the run's outputs, whatever a record says."""
    return path.resolve().is_relative_to(record_path.parent.parent.resolve())


@lru_cache(maxsize=256)  # each of a run's commands looks at the same records many times
def _parsed(path: Path, modified: int, inode: int) -> Record:
    return Record.model_validate(parse_json(path.read_bytes()))


def digests_of(config: "Config") -> Digests:
    """Checksums of files that have been read already."""
    return _digests_in(config.paths.cache)


def _digests_in(cache: Path) -> Digests:
    return Digests(cache / "digests")


def as_json(value: Any) -> Any:
    """The value as it comes back from JSON, so that it can be compared with a record's."""
    return json.loads(json.dumps(value, sort_keys=True, default=str))


def difference(old: Any, new: Any, whole: str = "settings", name: str = "") -> str | None:
    """The dotted name of the first difference between two values of JSON, or `whole`; None where they are equal."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            inner = f"{name}.{key}" if name else key
            if (key in old) != (key in new):
                return inner
            if found := difference(old[key], new[key], whole, inner):
                return found
        return None
    return None if old == new and type(old) is type(new) else name or whole
