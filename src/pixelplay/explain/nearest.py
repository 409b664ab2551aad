"""Nearest-neighbour explanations: a frame's objects beside the training footage most like them, and how far off it is.

A PNG for each frame, and a CSV with the same facts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelplay.detectors import registry
from pixelplay.detectors.base import Explains
from pixelplay.drawing.figures import write_figure
from pixelplay.drawing.panels import View
from pixelplay.errors import MissingArtifactError
from pixelplay.explain.frames import chosen_frames, full_size_frames, label_of, scores_of, trained
from pixelplay.explain.nearest_figure import DPI, change, draw_rows, enlarged, framed, squared
from pixelplay.objects import tables
from pixelplay.objects.explanation import Finding, Place
from pixelplay.run.artifacts import csv_text, write_text
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index, trained_index
from pixelplay.videos.truth import load_labels
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

Crops = dict[Place, list[np.ndarray]]  # pixels of a place in each of its frames, uint8 (h, w, 3) RGB
BOX = ["x1", "y1", "x2", "y2"]
COLUMNS = [
    *("video", "frame", "seconds", "class", "confidence", *BOX, "stream", "distance", "relative_distance", "part"),
    *("source_video", "source_frame", *(f"source_{edge}" for edge in BOX), "source_part"),
]


@dataclass(frozen=True)
class Explained:
    """A frame and what explains its score."""

    video: Video
    position: int
    score: float
    findings: list[Finding]  # objects, the most unusual first, and last the whole frame
    label: str = ""  # see `label_of`

    @property
    def number(self) -> int:
        return int(self.video.numbers[self.position])

    @property
    def seconds(self) -> float | str:
        return "" if self.video.seconds is None else float(self.video.seconds[self.position])

    @property
    def whole(self) -> Place:
        return Place(self.video.id, (self.number,), (0, 0, *self.video.size), "")

    def shown(self, count: int) -> list[Finding]:
        """The `count` most unusual objects, and the whole frame."""
        return [*self.findings[:-1][:count], self.findings[-1]]


def write_neighbours(config: "Config", index: Index) -> list[Path]:
    """Write a picture and a table for each frame that `show` chooses and each detector of the run that explains.

    Returns their paths.
    """
    written, files = [], RunFiles.of(config)
    for name in config.detectors:
        if found := explanations(config, index, name):
            paths = [files.neighbours(name, one.video.id, one.number) for one in found[1]]
            write_pictures(paths, name, *found, with_training(config, index), config.show.count)
            written += [file for path in paths for file in (path, path.with_suffix(".csv"))]
    return written


def explanations(
    config: "Config", index: Index, name: str, at: Sequence[tuple[str, int]] | None = None
) -> tuple[str, list[Explained]] | None:
    """What the distances mean, and the frames `at` (video, position), or those that `show` chooses, explained.

    None for a detector that does not explain.
    """
    detector = trained(config, name, Explains)
    if detector is None:
        return None
    scores = scores_of(config, name, index)
    index = tables.with_objects(config, index, registry.spec(name, config.detectors[name]).needs)
    if at is None:
        chosen = chosen_frames(config, index, scores)
    else:
        videos = {video.id: video for video in index.test}
        chosen = [(videos[video], t, float(scores[video][t])) for video, t in at]
    found: dict[tuple[str, int], list[Finding]] = {}
    for video in {video.id: video for video, _, _ in chosen}.values():  # read once, for all of its frames
        positions = [t for of, t, _ in chosen if of.id == video.id]
        found |= zip([(video.id, t) for t in positions], detector.explain(video, positions), strict=True)
    truth = load_labels(config, index)
    return detector.legend, [
        Explained(video, t, score, found[video.id, t], label_of(truth[video.id], t)) for video, t, score in chosen
    ]


def with_training(config: "Config", index: Index) -> Index:
    """The index with the training footage that the run's detectors know: with `checkpoints_of`, another run's."""
    return replace(index, train=trained_index(config).train) if config.checkpoints_of else index


def write_pictures(
    paths: Sequence[Path], name: str, legend: str, frames: Sequence[Explained], index: Index, count: int
) -> None:
    """Write the PNG of each frame, with its `count` most unusual objects, and a CSV of all beside it."""
    near = [near for one in frames for finding in one.shown(count) for near in finding.neighbours]
    here = cut_out([*(one.whole for one in frames), *(one.here for one in near)], index.test)
    there = cut_out([one.there for one in near], index.train)
    for path, one in zip(paths, frames, strict=True):
        write_text(path.with_suffix(".csv"), table(one))
        figure = draw_rows(rows(one, count, here, there), heading(name, legend, one, count))
        write_figure(path, figure, dpi=DPI)


def cut_out(places: Iterable[Place], videos: Sequence[Video]) -> Crops:
    """The pixels of these places; each video is read once.

    Raises MissingArtifactError for a video, a frame or a box that is not in these videos.
    """
    by_id = {video.id: video for video in videos}
    crops: Crops = {}
    wanted: dict[str, dict[int, list[Place]]] = {}  # by video and position
    for place in dict.fromkeys(places):
        if place.video not in by_id:
            raise _changed(f"video {place.video} is not in the data set any more")
        video = by_id[place.video]
        crops[place] = []
        for number in place.frames:
            position = int(np.searchsorted(video.numbers, number))
            if position == len(video) or video.numbers[position] != number:
                raise _changed(f"video {video.id} has no frame {number}")
            wanted.setdefault(video.id, {}).setdefault(position, []).append(place)
        if place.box[2] > video.size[0] or place.box[3] > video.size[1]:
            raise _changed(f"video {video.id} has frames of {video.size[0]}x{video.size[1]}, without a box {place.box}")
    for name, at in wanted.items():
        for position, frame in full_size_frames(by_id[name], [*at]):
            for place in at[position]:
                x1, y1, x2, y2 = map(int, place.box)
                crops[place].append(frame[y1:y2, x1:x2].copy())
    return crops


def rows(one: Explained, count: int, here: Crops, there: Crops) -> list[list[View]]:
    """A row of views for each of the `count` most unusual objects, and one for the whole frame."""
    drawn = []
    for rank, finding in enumerate(one.shown(count), 1):
        title = f"{rank}. {finding.label} {finding.confidence:.2f}" if finding.label else "the whole frame"
        row = [View(framed(here[one.whole][0], finding.box), title)]
        for near in finding.neighbours:
            stream = near.stream.rpartition("/")[2]
            titles = (
                f"{stream}: {near.relative:.2f} x, distance {near.distance:.3g}\n{_frames(near.here)}",
                f"nearest training footage\n{near.there.video}, {_frames(near.there)}",
            )
            for place, crops, words in zip((near.here, near.there), (here, there), titles, strict=True):
                picture = _picture(place, crops)
                row.append(View(squared(picture) if finding.label else picture, words))
        drawn.append(row)
    return drawn


def heading(name: str, legend: str, one: Explained, count: int) -> str:
    """What the picture shows, and how many objects it leaves out."""
    objects = len(one.findings) - 1
    found = f"{objects} object{'s, the most unusual first' if objects > 1 else ''}"
    if objects == 0:
        found = "No object was detected: only the whole frame was compared"
    elif objects > count:
        found = f"The {count} most unusual of {objects} objects"
    frame = f"{one.video.id}, frame {one.number}{one.label}"
    return (
        f"{name}: {frame}, score {one.score:.4g}. {found}.\n"
        "Side by side: what is farthest from all normal footage, and the normal footage nearest to it. "
        "Orange: where; red and cyan: what moved.\n"
        f"{legend}."
    )


def table(one: Explained) -> str:
    """All that was found in a frame, as CSV: a line for each object and stream, and for the whole frame."""
    lines: list[list[Any]] = [COLUMNS]
    for finding in one.findings:
        what = [finding.label or "whole frame", round(finding.confidence, 4), *(round(edge, 2) for edge in finding.box)]
        for near in finding.neighbours:
            here = [near.stream, round(near.distance, 6), round(near.relative, 4), near.here.part]
            there = [near.there.video, near.there.frames[0], *near.there.box, near.there.part]
            lines.append([one.video.id, one.number, one.seconds, *what, *here, *there])
    return csv_text(lines)


def _picture(place: Place, crops: Crops) -> np.ndarray:
    """The change, for a place in two frames; else the crop, with the cell that was compared."""
    if len(place.frames) > 1:
        return change(*crops[place])
    x, y = place.box[:2]
    return enlarged(crops[place][0], place.cell and np.subtract(place.cell, (x, y, x, y)).tolist())


def _frames(place: Place) -> str:
    return f"frame{'s' if len(place.frames) > 1 else ''} {' to '.join(map(str, place.frames))}"


def _changed(problem: str) -> MissingArtifactError:
    return MissingArtifactError(
        f"the footage has changed since the detector was trained ({problem}): run `./run_all.sh` with the same options"
    )
