"""`scores.jsonl`: a line per clip, in the order of the manifest, appended as clips are scored.

`{step, scene, camera, first_frame, score}`: step is the clip's position in the manifest, from 0. An unreadable clip
has the score null and an `error`. `scores.settings.json` beside it records what the scores were made with.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pixelplay.errors import DataError, MissingArtifactError, PixelPlayError
from pixelplay.mining.clips import Clip, read_clips
from pixelplay.run.artifacts import parse_json, write_json

KEYS = ["step", "scene", "camera", "first_frame", "score"]


class Scored(NamedTuple):
    """A clip's score, or why it has none."""

    score: float | None
    error: str | None


def settings_file(scores: Path) -> Path:
    return scores.with_suffix(".settings.json")


def read_settings(scores: Path) -> dict[str, Any] | None:
    """What scores were made with; None if it can't be read."""
    try:
        value = parse_json(settings_file(scores).read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def line_of(step: int, clip: Clip, scored: Scored) -> str:
    """The clip's line, including the line break."""
    values = dict(zip(KEYS, (step, clip.scene, clip.camera, clip.frames[0], scored.score), strict=True))
    return json.dumps(values | ({"error": scored.error} if scored.error is not None else {})) + "\n"


def resume(path: Path, clips: Iterator[Clip], settings: Mapping[str, Any]) -> int:
    """How many of `clips` are scored already, with the same settings; an incomplete last line is cut off.

    As many clips are taken from `clips`. A missing file is created. Raises PixelPlayError for a file made with other
    settings or of other clips.
    """
    if not path.exists() or path.stat().st_size == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(settings_file(path), dict(settings))
        path.touch()
        return 0
    remedy = f"name another file with mine.scores=FILE (or SCORES_OUT), or delete {path}"
    before = read_settings(path)
    if before is None:
        unread = f"{settings_file(path)} can't be read"
        raise PixelPlayError(f"{path}: what it was made with is unknown ({unread}): {remedy}")
    changed = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
    if changed:
        listed = "; ".join(f"{key} was {before.get(key)!r} and is {settings.get(key)!r}" for key in changed)
        raise PixelPlayError(f"{path} was made with other settings ({listed}): {remedy}")
    done, end = 0, 0
    with open(path, "rb+") as file:
        for done, line, value in _lines(path, file):
            clip, end = next(clips, None), end + len(line)
            if clip is None or [value[key] for key in KEYS[:4]] != [done - 1, clip.scene, clip.camera, clip.frames[0]]:
                raise DataError(f"{path}, line {done}: not of clip {done - 1} of the manifest: {remedy}")
        if file.seek(0, os.SEEK_END) > end:
            file.truncate(end)
    return done


def append(path: Path, lines: Iterable[str]) -> None:
    """Add whole lines, flushed to the disk before more clips are scored."""
    with open(path, "ab") as file:
        file.write("".join(lines).encode())
        file.flush()
        os.fsync(file.fileno())


def read_scores(path: Path) -> pd.DataFrame:
    """Columns step, scene, camera, first_frame, score (NaN for an unreadable clip) and error (missing without one).

    Of an unfinished file, the lines so far. Raises DataError with the number of an invalid line and for a file without
    any score, MissingArtifactError for a missing file.
    """
    try:
        with open(path, "rb") as file:
            table = pd.DataFrame([value for _, _, value in _lines(path, file)], columns=[*KEYS, "error"])
    except FileNotFoundError:
        raise MissingArtifactError(
            f"{path} is missing: run `python src/mine.py step=score` with the same options, or name a file of scores "
            "with mine.scores=FILE"
        ) from None
    table["score"] = table["score"].astype(float)
    if not table["score"].notna().any():
        why = f"; the first: {table['error'].iloc[0]}" if len(table) else ""
        raise DataError(f"{path}: none of its {len(table)} clips has a score{why}")
    return table


def clips_of(table: pd.DataFrame, manifest: Path, frames: int) -> list[Clip]:
    """The clips of rows of `read_scores`, in their order. Raises PixelPlayError if the manifest has others."""
    steps = set(table["step"].tolist())
    found = {step: clip for step, clip in enumerate(read_clips(manifest, frames)) if step in steps}
    for row in table.itertuples():
        clip = found.get(row.step)
        if clip is None or (clip.scene, clip.camera, clip.frames[0]) != (row.scene, row.camera, row.first_frame):
            raise PixelPlayError(
                f"{manifest}: its clip {row.step} is not the one that was scored ({row.first_frame}): run step=score "
                "again, or name the manifest that was scored with mine.manifest=FILE"
            )
    return [found[step] for step in table["step"]]


def places_of(table: pd.DataFrame, manifest: Path, frames: int) -> list[tuple[str, tuple[float, float] | None]]:
    """Of each row of `read_scores`, in their order: its video (scene and camera), and its first and last second there.

    The seconds are None if unknown. Unlike `clips_of`, this holds no names of frames: there may be millions of clips.
    """
    steps = set(table["step"].tolist())
    clips = enumerate(read_clips(manifest, frames))
    found = {step: (f"{clip.scene}\n{clip.camera}", clip.seconds) for step, clip in clips if step in steps}
    return [found.get(step, ("", None)) for step in table["step"]]  # `clips_of` reports a clip that is not there


def _lines(path: Path, file: Iterable[bytes]) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Number (from 1), bytes and value of each complete line; raises DataError for one that is not a score."""
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            return  # incomplete: the process was killed
        try:
            value = parse_json(line)
            valid = set(KEYS) <= set(value) and type(value["step"]) is int
            valid = valid and type(value["score"]) in (int, float, type(None))
        except (ValueError, TypeError):
            valid = False
        if not valid:
            text = line[:80].decode(errors="replace").rstrip()
            raise DataError(f"{path}, line {number}: not a score of a clip ({text!r})")
        yield number, line, value
