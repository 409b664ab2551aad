"""The contact sheet of selected clips: one HTML file that opens offline; a clip plays under the mouse.

All text from data is escaped, and a content security policy blocks scripts and anything from the network.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from pixelplay.drawing.annotate import data_uri, encoded, resized
from pixelplay.errors import DataError
from pixelplay.mining.clips import Clip, ClipReader
from pixelplay.mining.settings import MineConfig
from pixelplay.report.page import TEMPLATES as REPORT
from pixelplay.report.page import html_templates
from pixelplay.run.artifacts import write_text

TEMPLATES = Path(__file__).resolve().parent / "templates"
STILLS = 4  # evenly spaced frames of a clip, side by side
SECOND = 1_000_000  # microseconds


def write_sheet(
    path: Path, clips: Sequence[Clip], rows: pd.DataFrame, facts: Mapping[str, Any], config: MineConfig
) -> None:
    """Write the sheet atomically.

    rows: of `read_scores`, with rank and calibrated, one per clip; facts: those in selection.json.
    """
    reader = ClipReader(config.root)
    pairs = zip(clips, rows.itertuples(), strict=True)
    style = [REPORT / "page.css", TEMPLATES / "contact_sheet.css"]
    values = {
        "cards": [card(clip, row, reader, config.select.picture_width) for clip, row in pairs],
        "facts": facts,
        "style": Markup("\n".join(file.read_text(encoding="utf-8") for file in style)),  # no data in them
    }
    write_text(path, html_templates(TEMPLATES).get_template("contact_sheet.html").render(values))


def card(clip: Clip, row: Any, reader: ClipReader, width: int) -> dict[str, Any]:
    """What the template shows of a clip; raises DataError if it can no longer be read."""
    try:
        frames = [resized(frame, width) for frame in reader.read(clip)]
    except DataError as error:
        raise DataError(f"clip {row.step} was scored, but can no longer be read: {error}") from None
    times = clip.timestamps
    return {
        "clip": clip,
        "row": row,  # rank, step, score, calibrated
        "seconds": (times[-1] - times[0]) / SECOND if times else None,
        "strip": data_uri(encoded(np.concatenate(frames, axis=1))),  # all frames side by side
        "ratio": frames[0].shape[1] / frames[0].shape[0],
        "stills": np.linspace(0, len(frames) - 1, STILLS).round().astype(int).tolist(),  # positions
    }
