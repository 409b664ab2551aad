"""The report as one HTML file that opens offline: text, inline SVG, pictures as data URIs, a little plain JavaScript.

All text from data is escaped, and a content security policy blocks all scripts and loads but the page's own.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pixelplay.evaluation.comparison import Comparison
from pixelplay.report.charts import Chart
from pixelplay.report.manifest import Moment, Scale
from pixelplay.report.outcome import ScoredVideo
from pixelplay.report.tables import Table, heading, number_text
from pixelplay.report.tracks import ScoredTrack
from pixelplay.run.stage import Record

TEMPLATES = Path(__file__).resolve().parent / "templates"
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class VideoPanel:
    """A test video's chart and the facts above it."""

    video: str
    facts: Sequence[str]
    chart: Chart
    clip: str | None  # path of its MP4, relative to the page


@dataclass(frozen=True)
class GalleryItem:
    """A frame where the fused score peaks."""

    rank: int  # from 1
    moment: Moment
    of: ScoredVideo
    at: int  # position of the frame in its video
    picture: str  # data URI
    heat: Pairs  # error maps: (detector, data URI)


@dataclass(frozen=True)
class TrackItem:
    """One of the most unusual tracks."""

    rank: int  # from 1
    track: ScoredTrack
    picture: str  # data URI
    chart: Chart


@dataclass(frozen=True)
class Tracks:
    """The most unusual tracks."""

    rows: Sequence[TrackItem]
    key: Pairs  # (name, CSS classes) of the lines in their charts


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
    headline: Pairs  # (figure, what it is)
    scores: Sequence[Table]
    other_figures: Sequence[Table]
    thresholds: Pairs  # plots: (name, data URI)
    tracks: Tracks | None
    videos: Sequence[VideoPanel]
    streams: Pairs  # (name, CSS classes) of the lines in the videos' charts
    one_scale: bool  # for all of them
    gallery: Sequence[GalleryItem]
    color_scales: Sequence[Scale]  # of its pictures
    curves: Sequence[Chart]
    curve_key: Pairs  # (stream with its figures, CSS classes)
    histograms: Mapping[str, Chart]  # by stream
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
    templates.filters |= {"number": number_text, "heading": heading, "duration": duration}
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
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
