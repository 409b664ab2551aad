"""Published figures, each with its source (published.csv), shown with ours, which are ranked if comparable.

All are over whole test sets (whole_test_sets.csv), RBDC and TBDC against the published track files (Ramachandra and
Jones, WACV 2020; Georgescu et al., TPAMI 2021).
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files

from pixelplay.errors import DataError

COLUMNS = ["dataset", "method", "metric", "value", "source"]
OF_TRACKS = ("rbdc", "tbdc")
FRAMES_OFF = 0.005  # share of a test set's frames: decoders differ by single frames at the end of a video
FINDABLE = re.compile(r"arXiv \d{4}\.\d{4,5}\b|\bdoi\.org/|https?://|leaderboard of the Kaggle competition \w+")


@dataclass(frozen=True)
class PublishedFigure:
    method: str
    metric: str  # as it is called in metrics.json: ap, auc_micro, rbdc, ...
    value: float  # in (0, 1]
    source: str  # the text that states it, and where to find that: arXiv number, DOI, address, or a leaderboard's name


@dataclass(frozen=True)
class Protocol:
    """What a run was measured on."""

    videos: int  # test videos with labels
    frames: int  # of those
    track_videos: int = 0  # test videos with published track files, or labelled normal throughout
    trained_by: str | None = None  # another run, on other footage
    corrupted: bool = False  # noisy or flipped frames that the published data set does not have


def published_figures(dataset: str) -> list[PublishedFigure]:
    """The figures for a data set by its name in configs/dataset/, in the file's order; perhaps none."""
    return [figure for name, figure in read_figures(_text("published.csv")) if name == dataset]


def published_table(
    dataset: str, ours: Mapping[str, Mapping[str, float | None]], protocol: Protocol
) -> list[dict[str, str | float | int | None]]:
    """Rows of method, metric, value, rank and source: a metric's figures by falling value, ours among them.

    ours: figures by metric, of each stream. Metrics without published figures are left out; ours come last and without
    rank if they are `not_comparable`. Empty without published figures.
    """
    published = published_figures(dataset)
    rows: list[dict[str, str | float | int | None]] = []
    for metric in dict.fromkeys(figure.metric for figure in published):
        reason = not_comparable(dataset, metric, protocol)
        own = [
            PublishedFigure(f"ours: {name}", metric, value, reason or "this run")
            for name, figures in ours.items()
            if (value := figures.get(metric)) is not None
        ]
        others = [one for one in published if one.metric == metric]
        ranked = sorted(others if reason else others + own, key=lambda one: -one.value)
        rows += [{**asdict(one), "rank": sum(other.value > one.value for other in ranked) + 1} for one in ranked]
        rows += [{**asdict(one), "rank": None} for one in own if reason]
    return rows


def not_comparable(dataset: str, metric: str, protocol: Protocol) -> str | None:
    """Why a figure of ours can't be compared with published ones of this metric; None if it can."""
    videos, frames = whole_test_sets().get(dataset, (None, 0))
    problem = None
    if videos is None:
        problem = "the size of the whole test set is unknown"
    elif protocol.videos != videos:
        problem = f"{protocol.videos} of {videos} test videos"
    elif abs(protocol.frames - frames) > FRAMES_OFF * frames:
        problem = f"{protocol.frames:,} of {frames:,} test frames"
    elif protocol.trained_by:
        problem = f"trained by the run {protocol.trained_by}"
    elif protocol.corrupted:
        problem = "corrupted test frames"
    elif metric in OF_TRACKS and protocol.track_videos != protocol.videos:
        problem = f"published track files of {protocol.track_videos} of {videos} test videos"
    return problem and f"{problem}: not comparable with published figures"


def whole_test_sets() -> dict[str, tuple[int, int]]:
    """Videos and frames of the whole test set of each data set that figures were published for."""
    rows = csv.DictReader(_text("whole_test_sets.csv").splitlines(), strict=True)
    return {row["dataset"]: (int(row["videos"]), int(row["frames"])) for row in rows}


def read_figures(text: str) -> list[tuple[str, PublishedFigure]]:
    """Data set and figure of each line; raises DataError for impossible values and sources that can't be found."""
    rows = csv.DictReader(text.splitlines(), strict=True)
    if rows.fieldnames != COLUMNS:
        raise DataError(f"published.csv: the columns are {rows.fieldnames}; they must be {COLUMNS}")
    figures = []
    for row in rows:
        where = f"published.csv, line {rows.line_num}"
        if None in row or not all(row.values()):
            raise DataError(f"{where}: needs {', '.join(COLUMNS)}, each; it is {row}")
        try:
            value = float(row["value"])
        except ValueError:
            raise DataError(f"{where}: value {row['value']!r} is no number") from None
        if not 0 < value <= 1:
            raise DataError(f"{where}: value {value} is not above 0 and at most 1")
        if not FINDABLE.search(row["source"]):
            remedy = "names no arXiv number, DOI, address or 'leaderboard of the Kaggle competition NAME'"
            raise DataError(f"{where}: source {row['source']!r} {remedy}")
        figures.append((row["dataset"], PublishedFigure(row["method"], row["metric"], value, row["source"])))
    return figures


def _text(name: str) -> str:
    return files("pixelplay.metrics").joinpath(name).read_text(encoding="utf-8")
