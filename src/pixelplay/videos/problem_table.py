"""frame_problems.csv: a row for each frame that could not be read, and other remarks on the footage of a run."""

import logging
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

from pixelplay.run.artifacts import csv_text, write_text
from pixelplay.videos.cache import REPLACED, Problem
from pixelplay.videos.image_file import ValueRange
from pixelplay.videos.layouts.raw import RawVideo

log = logging.getLogger(__name__)


def remarks_on(videos: Sequence[RawVideo], levels: ValueRange | None) -> list[Problem]:
    """Remarks on no single video: what is beside the videos, and how values of more than 8 bits are shown."""
    remarks = [(raw.split, remark) for raw in videos for remark in raw.beside]
    if levels is not None:
        found = f"images of more than 8 bits: values {levels.low:g} to {levels.high:g} are shown as 0 to 255"
        log.info(f"prepare: {found}")
        remarks.append(("train", ("all videos", found, "one linear range, of training frames or dataset.value_range")))
    return [Problem(split, "", -1, *remark) for split, remark in remarks]


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write the table, and log how many frames were replaced, and how many other remarks there are."""
    write_text(path, csv_text([[field.name for field in fields(Problem)], *(astuple(one) for one in problems)]))
    if problems:
        replaced = sum(problem.treatment == REPLACED for problem in problems)
        log.info(f"prepare: {replaced} unreadable frames replaced, {len(problems) - replaced} other remarks: {path}")
