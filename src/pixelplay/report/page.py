"""The report as one HTML file that opens offline: text, data that plain JavaScript draws, pictures as data URIs.

All text from data is escaped, and a content security policy blocks all scripts and loads but the page's own; only the
clips of events lie beside it.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pixelplay.evaluation.comparison import Comparison
from pixelplay.report.charts import Chart
from pixelplay.report.events import EventList, span, when
from pixelplay.report.manifest import Moment, Scale
from pixelplay.report.outcome import ScoredVideo
from pixelplay.report.scores_table import ScoresTable
from pixelplay.report.tables import Table, number_text
from pixelplay.report.tracks import ScoredTrack
from pixelplay.run.stage import Record

TEMPLATES = Path(__file__).resolve().parent / "templates"
SCRIPTS = ("svg.js", "series.js", "timeline.js", "page.js")  # one after the other
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Fact:
    """A figure of the headline."""

    figure: str
    what: str
    below: str = ""  # its interval


@dataclass(frozen=True)
class VideoPanel:
    """A test video's facts, above its timeline, and what videos are sorted by."""

    video: str
    anchor: str
    facts: Sequence[str]
    clip: str | None  # path of its MP4, relative to the page
    score: float  # the highest
    ap: float | None  # of the fusion, where it is known


@dataclass(frozen=True)
class GalleryItem:
    """A frame where the fused score peaks."""

    moment: Moment
    of: ScoredVideo
    at: int  # position of the frame in its video
    picture: str  # data URI
    heat: Pairs  # error maps: (detector, data URI)


@dataclass(frozen=True)
class Measured:
    """What is known of a run with labels beside its scores table: tables, folded, each with its remarks."""

    table: ScoresTable
    published: tuple[Table | None, Sequence[str]]
    thresholds: tuple[Table | None, Sequence[str]]
    figures: Sequence[Table]  # all others


@dataclass(frozen=True)
class Ablation:
    told: Sequence[str]  # paragraphs
    tables: Sequence[Table]
    plots: Pairs  # (name, data URI)


@dataclass(frozen=True)
class Report:
    """All that the page shows; sections whose content is None or empty are left out."""

    title: str
    subtitle: str
    headline: Sequence[Fact]
    remarks: Sequence[str]  # how far thresholds can be trusted
    events: EventList | None
    gallery: Sequence[GalleryItem]  # where there are no events
    tracks: Sequence[tuple[ScoredTrack, str]]  # and data URIs of their pictures, where no event has one
    color_scales: Sequence[Scale]  # of the pictures
    videos: Sequence[VideoPanel]
    streams: Pairs  # (name, CSS classes) of the lines in the videos' charts
    one_scale: bool  # for all of them
    sprites: Pairs  # small frames: (video's anchor, data URI)
    data: Mapping[str, Any]  # what the script draws
    measured: Measured | None
    curves: Sequence[Chart]
    curve_key: Pairs  # (stream with its figures, CSS classes)
    histograms: Mapping[str, Chart]  # by stream
    thresholds: Pairs  # plots: (name, data URI)
    ablation: Ablation | None
    comparison: Comparison | None
    run: Pairs  # facts: (name, value)
    machine: Pairs
    versions: Pairs
    stages: Mapping[str, Record]  # what each stage took, by its name
    config: str  # as YAML


def html_templates(folder: Path) -> Environment:
    """The templates of a folder, with autoescaping; an undefined name is an error."""
    options = {"autoescape": True, "undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    return Environment(loader=FileSystemLoader(folder), **options)


def render(report: Report) -> str:
    """The whole page, HTML."""
    templates = html_templates(TEMPLATES)
    templates.filters |= {"number": number_text, "duration": duration, "span": span, "when": when}
    script = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return templates.get_template("page.html").render(
        report=report,
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),  # no data in them
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `4 min 03 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
