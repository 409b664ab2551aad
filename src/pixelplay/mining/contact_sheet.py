"""The contact sheet of selected clips: one HTML file that opens offline; a clip plays under the mouse.

All text from data is escaped, and a content security policy lets nothing load or run: there is no script in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from pixelplay.drawing.annotate import data_uri, encoded, resized
from pixelplay.errors import DataError
from pixelplay.mining.clips import Clip
from pixelplay.mining.frames import ClipReader
from pixelplay.mining.settings import MineConfig
from pixelplay.report.page import TEMPLATES as REPORT
from pixelplay.report.page import html_templates
from pixelplay.run.artifacts import write_text

TEMPLATES = Path(__file__).resolve().parent / "templates"
STILLS = 4  # frames of a clip beside each other, evenly spaced
SECOND = 1_000_000  # microseconds


@dataclass(frozen=True)
class Card:
    """A clip on the sheet."""

    rank: int
    scene: str
    camera: str
    clip: int  # its place in the manifest
    score: float
    calibrated: float
    frames: int
    first: str
    last: str
    seconds: float | None
    strip: str  # data URI of all frames beside each other
    ratio: float  # width over height of one
    stills: Sequence[int]  # positions of frames that are shown one by one


def write_sheet(
    path: Path, clips: Sequence[Clip], rows: pd.DataFrame, facts: Mapping[str, Any], config: MineConfig
) -> None:
    """Write the sheet, atomically. rows: of `read_scores`, and calibrated, one a clip; facts: selection.json's."""
    reader = ClipReader(config.root)
    cards = [
        card(rank, clip, row, reader, config.select.picture_width)
        for rank, (clip, row) in enumerate(zip(clips, rows.itertuples(), strict=True), start=1)
    ]
    write_text(path, render(cards, facts))


def render(cards: Sequence[Card], facts: Mapping[str, Any]) -> str:
    """The whole page, HTML."""
    style = [REPORT / "page.css", TEMPLATES / "contact_sheet.css"]
    return (
        html_templates(TEMPLATES)
        .get_template("contact_sheet.html")
        .render(
            cards=cards,
            facts=facts,
            style=Markup("\n".join(file.read_text(encoding="utf-8") for file in style)),  # no data in them
        )
    )


def card(rank: int, clip: Clip, row: Any, reader: ClipReader, width: int) -> Card:
    """A clip's card; raises DataError when it can no longer be read."""
    try:
        frames = [resized(frame, width) for frame in reader.read(clip)]
    except DataError as error:
        raise DataError(f"clip {row.step} has been scored, but can no longer be read: {error}") from None
    times = clip.timestamps
    return Card(
        rank=rank,
        scene=clip.scene or "no scene",
        camera=clip.camera,
        clip=row.step,
        score=row.score,
        calibrated=row.calibrated,
        frames=len(clip.frames),
        first=PurePath(clip.frames[0]).name,
        last=PurePath(clip.frames[-1]).name,
        seconds=(times[-1] - times[0]) / SECOND if times else None,
        strip=data_uri(encoded(np.concatenate(frames, axis=1))),
        ratio=frames[0].shape[1] / frames[0].shape[0],
        stills=np.linspace(0, len(frames) - 1, STILLS).round().astype(int).tolist(),
    )
