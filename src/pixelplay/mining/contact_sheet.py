"""The page of the selected clips: one HTML file below 3 MB that opens offline, in which clips play under the mouse."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from pixelplay.drawing.annotate import data_uri, encoded, picture_size, resized
from pixelplay.errors import DataError
from pixelplay.mining.clips import Clip, ClipReader
from pixelplay.mining.files import MiningFiles
from pixelplay.mining.settings import MineConfig
from pixelplay.report.page import TEMPLATES as REPORT
from pixelplay.report.page import html_templates
from pixelplay.run.artifacts import write_text

TEMPLATES = Path(__file__).resolve().parent / "templates"
STYLES = [REPORT / "page.css", TEMPLATES / "contact_sheet.css"]
STILLS = 4  # evenly spaced frames of a clip, below it
PAGE = 3_000_000  # bytes of the whole file, at most
HEAD = 50_000  # of them for styles and the head
TEXT = 3_000  # and for the text of a card, at most: names are shortened to NAME characters
NAME = 60
SMALLEST = 9_000  # for a card with its picture, at least: clips that do not fit in are not shown
# What a clip's picture may be, until one fits its card: frames, share of `picture_width`, JPEG quality.
STEPS = [(16, 1.0, 82), (16, 1.0, 65), (16, 0.75, 65), (16, 0.75, 50), (16, 0.5, 50), (8, 0.5, 50), (4, 0.5, 45)]
STEPS += [(1, 0.5, 50), (1, 0.25, 35)]


def write_sheet(
    files: MiningFiles,
    clips: Sequence[Clip],
    rows: pd.DataFrame,
    facts: Mapping[str, Any],
    videos: Mapping[int, str],
    mine: MineConfig,
) -> None:
    """Text from data is escaped, and a content security policy blocks whatever else would be loaded.

    rows: rank, step, score and calibrated score of each clip; videos: paths of their MP4s, by rank.
    """
    reader, count = ClipReader(mine.root), min(len(clips), (PAGE - HEAD) // SMALLEST)
    room = ((PAGE - HEAD) // max(count, 1) - TEXT) * 3 // 4  # bytes of a picture before it is encoded as text
    shown = list(zip(clips, rows.itertuples(), strict=True))[:count]
    in_order = sorted(shown, key=lambda pair: pair[1].step)  # one pass over each video
    cards = [_card(clip, row, reader, mine.select.picture_width, room) for clip, row in in_order]
    values = {
        "cards": sorted(cards, key=lambda card: card["row"].rank),
        "facts": facts,
        "videos": videos,
        "table": files.selection_table.name,
        "style": Markup("\n".join(file.read_text(encoding="utf-8") for file in STYLES)),  # no data in them
    }
    write_text(files.sheet, html_templates(TEMPLATES).get_template("contact_sheet.html").render(values))


def picture_within(frames: np.ndarray, width: int, room: int) -> tuple[bytes, int]:
    """A JPEG of at most `room` bytes of frames, uint8 (T, H, W, 3) RGB, side by side, and how many there are in it.

    The first of STEPS that fits; the last one if none does.
    """
    data, count = b"", 0
    for most, share, quality in STEPS:
        count = min(most, len(frames))
        at = np.linspace(0, len(frames) - 1, count).round().astype(int) if count > 1 else [len(frames) // 2]
        strip = np.concatenate([resized(frames[i], max(1, round(share * width))) for i in at], axis=1)
        data = encoded(strip, quality=quality)
        if len(data) <= room:
            break
    return data, count


def _card(clip: Clip, row: Any, reader: ClipReader, width: int, room: int) -> dict[str, Any]:
    """What the template shows of a clip; raises DataError if it can no longer be read."""
    try:
        frames = reader.read(clip)
    except DataError as error:
        raise DataError(f"clip {row.step} was scored, but can no longer be read: {error}") from None
    size = frames.shape[2], frames.shape[1]
    strip, count = picture_within(frames, min(width, size[0]), room)
    across, down = picture_size(size, width)  # very tall frames are drawn narrower
    return {
        "row": row,  # rank, step, score, calibrated
        "scene": _short(clip.scene or "no scene"),
        "camera": _short(clip.camera),
        "frames": [_short(re.split("[/#]", name)[-1]) for name in (clip.frames[0], clip.frames[-1])],
        "seconds": clip.seconds,
        "strip": data_uri(strip),  # frames side by side
        "count": count,
        "ratio": across / down,
        "stills": np.linspace(0, count - 1, STILLS).round().astype(int).tolist() if count >= STILLS else [],
    }


def _short(name: str) -> str:
    return name if len(name) <= NAME else f"…{name[1 - NAME :]}"
