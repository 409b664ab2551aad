"""`scores.jsonl`: a line for each clip, in the order of the manifest, appended as it is scored.

`{step, scene, camera, first_frame, score}`: step is the clip's place in the manifest, from 0. A clip that could not be
read has the score null and an `error`. Beside the file lies what its scores were made with, `scores.settings.json`.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pixelplay.errors import DataError, MissingArtifactError, PixelPlayError
from pixelplay.mining.clip_model import Scored
from pixelplay.mining.clips import Clip, read_clips
from pixelplay.run.artifacts import parse_json, write_json


def settings_file(scores: Path) -> Path:
    return scores.with_suffix(".settings.json")


def read_settings(path: Path) -> dict[str, Any]:
    """What stands beside scores; raises OSError or ValueError where it can't be read."""
    value = parse_json(path.read_bytes())
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__}, not an object")
    return value


def line_of(step: int, clip: Clip, scored: Scored) -> str:
    """The clip's line, with its end."""
    values = {
        "step": step,
        "scene": clip.scene,
        "camera": clip.camera,
        "first_frame": clip.frames[0],
        "score": scored.score,
    }
    return json.dumps(values | ({"error": scored.error} if scored.error is not None else {})) + "\n"


def resume(path: Path, clips: Iterator[Clip], settings: Mapping[str, Any]) -> int:
    """How many of `clips` have their line already, in a file made with the same settings; a torn last line is cut off.

    As many clips are taken from `clips`. A file that is not there is begun. Raises PixelPlayError for a file made with
    other settings or of other clips.
    """
    beside, values = settings_file(path), dict(settings)
    if not path.exists() or path.stat().st_size == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(beside, values)
        path.touch()
        return 0
    _require_same(path, beside, values)
    done, end = 0, 0
    with open(path, "rb+") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break  # torn when the process was killed
            clip = next(clips, None)
            _require_line_of(path, line, done, clip)
            done, end = done + 1, end + len(line)
        if file.seek(0, os.SEEK_END) > end:
            file.truncate(end)
    return done


def append(path: Path, lines: Iterable[str]) -> None:
    """Add whole lines, and leave them on the disk before more are scored."""
    with open(path, "ab") as file:
        file.write("".join(lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _require_same(path: Path, beside: Path, values: dict[str, Any]) -> None:
    remedy = f"name another file with mine.scores=FILE (or SCORES_OUT), or delete {path}"
    try:
        before = read_settings(beside)
    except (OSError, ValueError):
        raise PixelPlayError(
            f"{path} is there, but not what it was made with ({beside} can't be read): {remedy}"
        ) from None
    differing = [key for key in {**before, **values} if before.get(key) != values.get(key)]
    if differing:
        told = "; ".join(f"{key} was {before.get(key)!r} and is {values.get(key)!r}" for key in differing)
        raise PixelPlayError(f"{path} was made with other settings ({told}): {remedy}")


def _require_line_of(path: Path, line: bytes, step: int, clip: Clip | None) -> None:
    value = _parsed(path, step + 1, line)
    due = None if clip is None else (step, clip.scene, clip.camera, clip.frames[0])
    if due != (value["step"], value["scene"], value["camera"], value["first_frame"]):
        raise DataError(
            f"{path}, line {step + 1}: not of clip {step} of the manifest: name another file with mine.scores=FILE "
            f"(or SCORES_OUT), or delete {path}"
        )


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = parse_json(line)
        fits = {"step", "scene", "camera", "first_frame", "score"} <= set(value) and type(value["step"]) is int
    except (ValueError, TypeError):
        fits = False
    if fits and value["score"] is not None:
        fits = type(value["score"]) in (int, float) and abs(value["score"]) < float("inf")
    if not fits:
        raise DataError(f"{path}, line {number}: no score of a clip ({line[:80].decode(errors='replace').rstrip()!r})")
    return value


def read_scores(path: Path) -> pd.DataFrame:
    """Columns step, scene, camera, first_frame, score (NaN for a clip that could not be read) and error (None or why).

    Of a file that is still being written, what is there. Raises DataError with the number of a line that is no score
    and for a file without any score, MissingArtifactError for no file.
    """
    names = ["step", "scene", "camera", "first_frame", "score", "error"]
    columns: dict[str, list[Any]] = {name: [] for name in names}
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                value = _parsed(path, number, line)
                for name in names:
                    columns[name].append(value.get(name))
    except FileNotFoundError:
        raise MissingArtifactError(
            f"{path} is missing: run `python src/mine.py step=score` with the same options, or name a file of scores "
            "with mine.scores=FILE"
        ) from None
    table = pd.DataFrame(columns)
    table["score"] = table["score"].astype(float)
    if not table["score"].notna().any():
        why = f"; the first: {table['error'].iloc[0]}" if len(table) else ""
        raise DataError(f"{path}: none of its {len(table)} clips has a score{why}")
    return table


def clips_of(table: pd.DataFrame, manifest: Path, frames: int) -> list[Clip]:
    """The clips of rows of `read_scores`, in their order. Raises PixelPlayError where the manifest has others."""
    wanted = set(table["step"].tolist())
    found = {step: clip for step, clip in enumerate(read_clips(manifest, frames)) if step in wanted}
    clips = []
    for row in table.itertuples():
        clip = found.get(row.step)
        if clip is None or (clip.scene, clip.camera, clip.frames[0]) != (row.scene, row.camera, row.first_frame):
            raise PixelPlayError(
                f"{manifest}: its clip {row.step} is not the one that was scored ({row.first_frame}): run step=score "
                "again, or name the manifest that was scored with mine.manifest=FILE"
            )
        clips.append(clip)
    return clips
