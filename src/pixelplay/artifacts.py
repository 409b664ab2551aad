"""Where each file of a run lies, how it is written, and how a stage knows that it has nothing to do.

Every file is written to a temporary name beside its own and renamed, so a run killed at any moment leaves either the
old file or the new one. A stage that has finished leaves a record with the fingerprint of what it read.
"""

import csv
import hashlib
import io
import json
import logging
import math
import os
import platform
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from pydantic import BaseModel, Field, ValidationError

from pixelplay.config import Config
from pixelplay.errors import DamagedArtifactError, InUseError, MissingArtifactError, PixelPlayError

log = logging.getLogger(__name__)

HOST = re.sub(r"\W", "-", platform.node()) or "here"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # what a cell of a CSV starts with that is more than text
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
KEYS = "[0-9a-f]" * 16  # pattern of a fingerprint in a file's name
DIGESTED = {".csv", ".json", ".md", ".yaml"}  # small outputs, whose bytes are compared
RECORDS_ABOVE = 3  # folders above an output in which its record may lie

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class RunFiles:
    """The files of one run: `<top folder>/<experiment>[/<run>]/…`."""

    outputs: Path
    checkpoints: Path
    submission: Path
    cache: Path

    @classmethod
    def of(cls, config: Config) -> "RunFiles":
        name = Path(config.experiment, config.run) if config.run else Path(config.experiment)
        paths = config.paths
        return cls(
            outputs=paths.outputs / name,
            checkpoints=paths.checkpoints / name,
            submission=paths.submissions / name.parent / f"{name.name}.csv",
            cache=paths.cache,
        )

    @property
    def index(self) -> Path:
        return self.outputs / "index.json"

    @property
    def truth(self) -> Path:
        """Folder of what is known of the videos' frames: see `pixelplay.videos.truth`."""
        return self.outputs / "truth"

    @property
    def problems(self) -> Path:
        return self.outputs / "frame_problems.csv"

    @property
    def restoration(self) -> Path:
        """A row per test frame: how noisy, flipped or not, what was done."""
        return self.outputs / "restoration.csv"

    @property
    def pseudo_restoration(self) -> Path:
        """The same for clips with pseudo-anomalies: what was found in them, whatever was planted."""
        return self.outputs / "pseudo_restoration.csv"

    @property
    def doubtful(self) -> Path:
        return self.outputs / "restoration_doubtful.png"

    @property
    def restored_images(self) -> Path:
        return self.outputs / "restored_frames"

    @property
    def objects(self) -> Path:
        """Folder of pictures of what was detected."""
        return self.outputs / "objects"

    @property
    def pseudo_clips(self) -> Path:
        """A row per clip with a pseudo-anomaly: kind, seed, what it is made of, which frames are anomalous."""
        return self.outputs / "pseudo_anomalies.csv"

    @property
    def pseudo_sheet(self) -> Path:
        return self.outputs / "pseudo_anomalies.png"

    @property
    def flip_network(self) -> Path:
        return self.checkpoints / "restoration"

    @property
    def fused(self) -> Path:
        return self.outputs / "fused.parquet"

    @property
    def metrics(self) -> Path:
        return self.outputs / "metrics.json"

    @property
    def thresholds(self) -> Path:
        """Folder of pictures, one for each stream: its held-out normal scores and the thresholds that they gave."""
        return self.outputs / "thresholds"

    @property
    def evaluations(self) -> Path:
        return self.outputs / "evaluations.jsonl"

    @property
    def ablation(self) -> Path:
        """Folder of tables, plots and a summary of what was compared on pseudo-anomalies."""
        return self.outputs / "ablation"

    @property
    def chosen_fusion(self) -> Path:
        """What the ablation's search chose, for `fusion_file`."""
        return self.ablation / "fusion.yaml"

    def detector(self, name: str) -> Path:
        """Folder of a trained detector: what `Detector.save` writes."""
        return self.checkpoints / name

    @property
    def shared_models(self) -> Path:
        """Folder of models that several detectors of the run learnt from the same footage, once."""
        return self.checkpoints / "shared"

    def scores(self, name: str) -> Path:
        """Raw scores of a detector, a table as in `pixelplay.scores.table`."""
        return self.outputs / "scores" / f"{name}.parquet"

    def object_scores(self, name: str) -> Path:
        """Raw scores of single objects: video and split beside the columns of `Scores.objects`."""
        return self.outputs / "scores" / f"{name}-objects.parquet"

    def error_maps(self, detector: str, video: str | None) -> Path:
        of_video = f"-{plain_name(video)}" if video else ""
        return self.outputs / "error_maps" / f"{detector}{of_video}.png"

    @property
    def explanations(self) -> Path:
        """Folder of pictures and tables of what frames were compared with."""
        return self.outputs / "explanations"

    def explanation(self, detector: str, video: str, frame: int) -> Path:
        return self.explanations / f"{detector}-{plain_name(video)}-{frame:03d}.png"

    @property
    def report(self) -> Path:
        """The page; clips of videos lie beside it."""
        return self.outputs / "report" / "index.html"

    def clip(self, video: str) -> Path:
        """MP4 of an annotated test video."""
        return self.report.parent / "clips" / f"{plain_name(video)}.mp4"

    def record(self, stage: str) -> Path:
        return self.outputs / "stages" / f"{stage}.json"


def plain_name(text: str, longest: int = 80) -> str:
    """Text from data as part of a file's name: nothing in it leads out of a folder or hides the file.

    Two texts never share a name: one that has other characters than ASCII letters, digits, `_`, `.` and `-`, or more
    than `longest`, is told apart by a fingerprint at its end.
    """
    plain = re.sub(r"^\.|[^\w.-]", "_", text, flags=re.ASCII)
    return plain if plain == text and len(text) <= longest else f"{plain[:longest]}-{fingerprint(text)[:8]}"


# --- temporary files ------------------------------------------------------------------------------------------------


def _temporary(path: Path) -> Path:
    """A hidden name beside `path` that is known as this process's: see `remove_leftovers`."""
    return path.with_name(f".{path.name}.{HOST}.{os.getpid()}.tmp")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder; renamed to `path` when the block ends well, removed when it fails.

    Raises OSError with the name `path` where the disk has no room or the file grows too large, whatever the library
    that writes it makes of that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        with _disk_errors(path, temporary):
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; renamed to `path` when the block ends well, removed when it fails.

    What another process has put there meanwhile stays. Raises OSError as `atomic` does.
    """
    with _temporary_folder(path) as temporary:
        yield temporary
        try:
            os.replace(temporary, path)
        except OSError:
            if not path.is_dir():
                raise


@contextmanager
def atomic_named(path: Path) -> Iterator[Path]:
    """Like `atomic`, for libraries that go by a file's name: the temporary path has it, in a folder of its own."""
    with _temporary_folder(path) as folder:
        yield folder / path.name
        os.replace(folder / path.name, path)


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` that is there while the block runs."""
    folder = _temporary(path)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with _disk_errors(path, folder / ".room"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Like `atomic_folder`, but a folder at `path` gives way to the new one, and is deleted."""
    old = _temporary(path.with_name(f"{path.name}.old"))  # deleted in place, half of it could pass for the whole
    with atomic_folder(path) as temporary:
        yield temporary
        if path.exists():
            os.replace(path, old)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _disk_errors(path: Path, probe: Path) -> Iterator[None]:
    """Raise an error of the disk as OSError that names `path`.

    torch, safetensors and NumPy say in their own words, without the system's, that a write failed.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            require_room(path, probe)
        elif error.filename is None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    except PixelPlayError:
        raise
    except Exception:
        require_room(path, probe)
        raise


def require_room(path: Path, probe: Path) -> None:
    """Write a little more to `probe`; raises OSError that names `path` where the system refuses that."""
    try:
        with open(probe, "ab") as file:
            size = file.tell()
            file.write(bytes(65536))
            file.flush()
            os.fsync(file.fileno())
            file.truncate(size)
    except OSError as error:
        assert error.errno is not None
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def remove_files(folder: Path, pattern: str) -> None:
    """Delete files that the project has written below `folder`, and folders that are empty without them."""
    parents = set()
    for path in list(folder.glob(pattern)):
        path.unlink()
        parents.add(path.parent)
    for parent in parents:
        with suppress(OSError):  # not empty: it holds something else
            parent.rmdir()


def remove_leftovers(folder: Path, pattern: str = "**/.*") -> None:
    """Delete the temporary files and folders that killed processes of this machine left anywhere below `folder`."""
    for path in list(folder.glob(f"{pattern}.{HOST}.*.tmp")):  # other machines' processes may be alive
        pid = path.name.split(".")[-2]
        if pid.isdigit() and not _is_running(int(pid)):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


# --- locks ----------------------------------------------------------------------------------------------------------


@contextmanager
def lock(path: Path, what: str, timeout: float = 0) -> Iterator[None]:
    """Let one process at a time run the block; `path` is a small file that stays, `what` begins the message.

    The system frees the lock when the process ends, however it ends. Raises InUseError, which names the process that
    holds the lock, when that has not let go within `timeout` seconds (0: at once, -1: wait for ever). Where no
    file can be made nothing is locked: no other process can write there either, and who tries to says why.
    """
    own, locked = FileLock(path), True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        own.acquire(timeout=timeout)
    except Timeout:
        raise InUseError(f"{what} is in use by {_holder(path)}: wait until that has ended, or stop it") from None
    except OSError:
        locked = False
    try:
        if locked:
            command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
            with suppress(OSError):  # a full disk, on which there may be nothing to do
                write_json(_holder_file(path), {"pid": os.getpid(), "host": platform.node(), "command": command})
        yield
    finally:
        if locked:
            _holder_file(path).unlink(missing_ok=True)
            own.release()


@contextmanager
def turn(path: Path, what: str, waiting: Callable[[], Any] = lambda: None) -> Iterator[None]:
    """Like `lock`, for a file or folder `path` that several runs share: waits until the other process is done with it.

    `waiting` is called every second meanwhile, and may raise to give up. The lock is a hidden file beside `path`.
    """
    place, told = path.with_name(f".{path.name}.lock"), False
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock(place, what, timeout=1 if told else 0))
                break
            except InUseError as error:
                if not told:
                    log.info(f"waiting: {error}")
                told = True
                waiting()
        yield


def _holder_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _holder(path: Path) -> str:
    """Who holds a lock, in words."""
    try:
        holder = parse_json(_holder_file(path).read_bytes())
        return f"process {holder['pid']} on {holder['host']} ({holder['command']})"
    except (OSError, ValueError, TypeError, KeyError):  # it has not written that yet
        return "another process"


# --- reading and writing --------------------------------------------------------------------------------------------


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def append_json(path: Path, value: Any) -> None:
    """Add a line to a log of JSON lines."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(value, allow_nan=False) + "\n")


def read_json(path: Path, made_by: str) -> Any:
    """Read what stage `made_by` wrote; MissingArtifactError or DamagedArtifactError name the command that writes it."""
    try:
        return parse_json(path.read_bytes())
    except FileNotFoundError:
        raise missing(path, made_by) from None
    except ValueError as error:
        raise damaged(path, made_by, error) from None


def parse_json(data: bytes | str) -> Any:
    """The value of UTF-8 JSON; raises ValueError for anything else, also for numbers that are not finite."""
    try:
        return json.loads(data, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def read_model(path: Path, model: type[Model], made_by: str) -> Model:
    """Read JSON that stage `made_by` wrote, as a pydantic model; raises as `read_json` does."""
    value = read_json(path, made_by)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise damaged(path, made_by, explained(error)) from None


def explained(error: ValidationError) -> str:
    """The first thing that is wrong, on one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: Path, made_by: str) -> pd.DataFrame:
    """Read a parquet that stage `made_by` wrote; raises as `read_json` does."""
    try:
        with open(path, "rb") as file:
            return pd.read_parquet(file)
    except FileNotFoundError:
        raise missing(path, made_by) from None
    except Exception as error:  # pyarrow raises all kinds for damaged files
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's: the file itself may be sound
        raise damaged(path, made_by, error) from None


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """CSV of a header and rows; NaN is an empty cell.

    Text that a spreadsheet would take for a formula gets an apostrophe, which `csv_rows` takes away.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def csv_rows(text: str) -> list[list[str]]:
    """The rows of what `csv_text` wrote, its apostrophes taken away again; raises ValueError for what is no CSV."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return [[cell.removeprefix("'") for cell in row] for row in rows]


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return "" if isinstance(value, float) and math.isnan(value) else value


def read_csv(path: Path, columns: Mapping[str, type], made_by: str) -> pd.DataFrame:
    """Read a CSV that stage `made_by` wrote with `csv_text`: these columns as str, int or float; raises as `read_json`.

    Text stays as it is: a video may be called NA. Numbers are finite.
    """
    try:
        head, *rows = csv_rows(path.read_bytes().decode("utf-8"))
        if head != list(columns):
            raise ValueError(f"its columns are {', '.join(head)}, not {', '.join(columns)}")
        if any(len(row) != len(head) for row in rows):
            raise ValueError("rows of different lengths")
        table = pd.DataFrame(rows, columns=head, dtype="str").astype(dict(columns))
        numbers = table.select_dtypes("number")
        if not np.isfinite(numbers.to_numpy(np.float64)).all():
            raise ValueError("a number that is not finite")
    except FileNotFoundError:
        raise missing(path, made_by) from None
    except (ValueError, OverflowError) as error:
        raise damaged(path, made_by, error) from None
    return table


def missing(path: Path, made_by: str) -> MissingArtifactError:
    return MissingArtifactError(f"{path} is missing: run `python src/{made_by}.py` with the same options")


def damaged(path: Path, made_by: str, why: Exception | str) -> DamagedArtifactError:
    """The error for a file that stage `made_by` wrote and that can't be used.

    The records which list the file are removed, so that the stage is not up to date and writes it again.
    """
    for record in list(_records_of(path)):
        record.unlink(missing_ok=True)
    reason = textwrap.shorten(str(why), 200, placeholder=" …")
    return DamagedArtifactError(f"{path} is damaged ({reason}): run `python src/{made_by}.py` with the same options")


def require_writable(folder: Path, key: str) -> None:
    """Make `folder`, and raise PixelPlayError when files can't be written there; `key` is the setting that names it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PixelPlayError(
            f"cannot write to {folder}/ ({error.strerror}): name another folder with {key}=FOLDER"
        ) from None


def file_digests(paths: Iterable[Path]) -> list[str]:
    """SHA-256 of the contents of each file, in hex digits."""
    digests = []
    for path in paths:
        with open(path, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests


def fingerprint(*values: Any) -> str:
    """16 hex digits that depend on the JSON form of `values` alone."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- records of finished stages -------------------------------------------------------------------------------------


class Output(BaseModel):
    """A file that a stage wrote, as it was then."""

    path: Path
    size: Annotated[int, Field(ge=0)] | None  # bytes; None for a file that later steps add to
    sha256: str | None = None  # of small files

    @classmethod
    def of(cls, path: Path) -> "Output":
        digest = _digest(path) if path.suffix in DIGESTED else None
        return cls(path=path, size=path.stat().st_size, sha256=digest)

    def is_there(self) -> bool:
        """Whether the file is there, and as it was."""
        if not self.path.is_file():
            return False
        same_size = self.size in (None, self.path.stat().st_size)
        return same_size and self.sha256 in (None, _digest(self.path))


class Record(BaseModel):
    """What a finished stage read, wrote, and how long it took."""

    fingerprint: str
    outputs: list[Output]
    finished: str
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


def is_current(record: Path, inputs: str) -> bool:
    """True when the stage finished with these `inputs` (a fingerprint) and all that it wrote is there as it was."""
    try:
        value = _parse_record(record)
        return value.fingerprint == inputs and all(output.is_there() for output in value.outputs)
    except (OSError, ValueError):
        return False


def read_record(record: Path, made_by: str) -> Record:
    """Raises MissingArtifactError, or DamagedArtifactError, with the command that writes it."""
    return read_model(record, Record, made_by)


def outputs_of(record: Path) -> list[Path]:
    """What the stage wrote, going by its record; [] without one that can be read."""
    try:
        return [output.path for output in _parse_record(record).outputs]
    except (OSError, ValueError):
        return []


def _parse_record(record: Path) -> Record:
    return Record.model_validate(parse_json(record.read_bytes()))


def _records_of(path: Path) -> Iterator[Path]:
    """The records, in the folders above a file or folder, that list it, or what is in it, among their outputs."""
    wanted = path.absolute()
    for folder in list(wanted.parents)[:RECORDS_ABOVE]:
        for record in [*folder.glob("stages/*.json"), folder / "trained.json"]:
            outputs = map(Path.absolute, outputs_of(record))
            if any(wanted == output or wanted in output.parents for output in outputs):
                yield record


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def recorded(record: Path, inputs: str, outputs: Iterable[Path], growing: Iterable[Path] = ()) -> Iterator[None]:
    """Write `record` when the block has ended well: what it read, what it wrote, how long it took.

    Of a folder among the outputs, all files count. `growing`: outputs that later steps add to, with records of their
    own, so that nothing but their presence can be checked.
    """
    record.unlink(missing_ok=True)
    start = time.monotonic()
    yield
    files = [file for path in outputs for file in (_files_below(path) if path.is_dir() else [path])]
    value = Record(
        fingerprint=inputs,
        outputs=[Output.of(path) for path in files] + [Output(path=path, size=None) for path in growing],
        finished=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        seconds=round(time.monotonic() - start, 1),
    )
    write_json(record, value.model_dump(mode="json"))


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
