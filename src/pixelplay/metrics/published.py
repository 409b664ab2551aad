"""Published figures, each with its source (published.csv), shown with ours, which are ranked if comparable.

All are over whole test sets (whole_test_sets.csv), RBDC and TBDC against the published track files (Ramachandra and
Jones, WACV 2020; Georgescu et al., TPAMI 2021).
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files

OF_TRACKS = ("rbdc", "tbdc")
FRAMES_OFF = 0.005  # share of a test set's frames: decoders differ by single frames at the end of a video


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
    return [
        PublishedFigure(row["method"], row["metric"], float(row["value"]), row["source"])
        for row in _rows("published.csv")
        if row["dataset"] == dataset
    ]


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
    rows = _rows("whole_test_sets.csv")
    return {row["dataset"]: (int(row["videos"]), int(row["frames"])) for row in rows}


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files("pixelplay.metrics").joinpath(name).read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines(), strict=True)
