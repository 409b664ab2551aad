"""Where each file of a run lies, how it is written, and how a stage knows that it has nothing to do.

Every file is written to a temporary name beside its own and renamed, so a run killed at any moment leaves either the
old file or the new one. A stage that has finished leaves a record with the fingerprint of what it read.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pixelplay.config import Config
from pixelplay.errors import MissingArtifactError, PixelPlayError

HOST = re.sub(r"\W", "-", platform.node()) or "here"


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
        of_video = f"-{_as_file_name(video)}" if video else ""
        return self.outputs / "error_maps" / f"{detector}{of_video}.png"

    @property
    def explanations(self) -> Path:
        """Folder of pictures and tables of what frames were compared with."""
        return self.outputs / "explanations"

    def explanation(self, detector: str, video: str, frame: int) -> Path:
        return self.explanations / f"{detector}-{_as_file_name(video)}-{frame:03d}.png"

    @property
    def report(self) -> Path:
        """The page; clips of videos lie beside it."""
        return self.outputs / "report" / "index.html"

    def clip(self, video: str) -> Path:
        """MP4 of an annotated test video; two videos never share one, whatever characters their names have."""
        plain = re.sub(r"[^\w.-]", "_", video, flags=re.ASCII)
        name = plain if plain == video else f"{plain}-{fingerprint(video)[:8]}"
        return self.report.parent / "clips" / f"{name}.mp4"

    def record(self, stage: str) -> Path:
        return self.outputs / "stages" / f"{stage}.json"


def _as_file_name(video: str) -> str:
    """A video's id without what could lead out of a folder."""
    return re.sub(r"[^\w.-]", "_", video)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder; renamed to `path` when the block ends well, removed when it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{HOST}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; renamed to `path` when the block ends well, removed when it fails.

    What another process has put there meanwhile stays.
    """
    temporary = path.with_name(f".{path.name}.{HOST}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        try:
            os.replace(temporary, path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files and folders that killed processes of this machine left anywhere below `folder`."""
    for path in list(folder.rglob(f".*.{HOST}.*.tmp")):  # other machines' processes may be alive
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
    """Read what stage `made_by` wrote; MissingArtifactError names the command that writes it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _missing(path, made_by) from None
    except ValueError as error:
        raise _damaged(path, made_by, error) from None


def write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: Path, made_by: str) -> pd.DataFrame:
    """Read a parquet that stage `made_by` wrote; MissingArtifactError names the command that writes it."""
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise _missing(path, made_by) from None
    except (ValueError, OSError) as error:  # pyarrow's errors are these
        raise _damaged(path, made_by, error) from None


def _missing(path: Path, made_by: str) -> MissingArtifactError:
    return MissingArtifactError(f"{path} is missing: run `python src/{made_by}.py` with the same options")


def _damaged(path: Path, made_by: str, error: Exception) -> PixelPlayError:
    return PixelPlayError(f"{path} is damaged ({error}): delete it and run `python src/{made_by}.py` again")


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


def fingerprint(*values: Any) -> str:
    """16 hex digits that depend on the JSON form of `values` alone."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- records of finished stages -------------------------------------------------------------------------------------


def is_current(record: Path, inputs: str) -> bool:
    """True when the stage finished with these `inputs` (a fingerprint) and all that it wrote is still there."""
    try:
        value = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False
    if not isinstance(value, dict):
        return False
    return value.get("fingerprint") == inputs and all(Path(path).exists() for path in value.get("outputs", []))


@contextmanager
def recorded(record: Path, inputs: str, outputs: Iterable[Path]) -> Iterator[None]:
    """Write `record` when the block has ended well: what it read, what it wrote, how long it took."""
    record.unlink(missing_ok=True)
    start = time.monotonic()
    yield
    value = {
        "fingerprint": inputs,
        "outputs": [str(path) for path in outputs],
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seconds": round(time.monotonic() - start, 1),
    }
    write_json(record, value)
