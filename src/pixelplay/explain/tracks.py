"""Pictures of the most unusual tracks: the path over the frame of the highest score, and crops of the object."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from pixelplay.drawing.annotate import BLACK, WHITE, Drawing, annotated, resized, write_image
from pixelplay.evaluation.score_tables import object_streams
from pixelplay.events.event import Event
from pixelplay.explain.clips import GROUND
from pixelplay.explain.frames import full_size_frames
from pixelplay.explain.nearest_figure import scaled
from pixelplay.explain.scored_boxes import COORDINATES, Objects, Span, color_of, shares
from pixelplay.objects import tables
from pixelplay.objects.tracks import frame_times, tracks_of
from pixelplay.report.manifest import PicturedTrack
from pixelplay.report.settings import ReportConfig
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

CONTEXT = 1.5  # side of a crop, in longer sides of the object's box
GAP = 2  # pixels between a picture's parts
EXACT = 1e-6  # seconds: differences of times are rounded
PATH = 2  # pixels, width of a path


def write_tracks(
    config: "Config", index: Index, objects: Sequence[Objects], events: Sequence[Event]
) -> list[PicturedTrack]:
    """Write a picture of the main track of each of these events, or of the most unusual tracks where none has any.

    objects: of `scored_objects`. Returns what the manifest says of them; [] for a run without object streams: its
    objects have no track in common.
    """
    if not object_streams(config):
        return []
    (fused,) = objects
    main = dict.fromkeys((one.video, one.tracks[0].track) for one in events if one.tracks)
    unusual = unusual_tracks(index.test, fused.rows, config.report, config.objects.tracks.fps)
    chosen = [*main][: config.report.tracks] or unusual
    index = tables.with_objects(config, index, ["boxes", "tracks"]) if chosen else index
    videos = {video.id: video for video in index.test}
    return [_written(config, videos[video], track, fused, rank) for rank, (video, track) in enumerate(chosen, 1)]


def unusual_tracks(
    videos: Sequence[Video], rows: Mapping[str, pd.DataFrame], settings: ReportConfig, fps: float
) -> list[tuple[str, int]]:
    """(video, track) of the tracks to show: those that last long enough with the highest single scores, highest first.

    rows: of scored objects, by video; fps: frames per second of videos that do not say.
    """
    found = []
    for video in videos:
        if video.id in rows:
            tracks = rows[video.id].groupby("track").agg({"frame": ["first", "last"], "score": "max"})
            first, last, score = tracks.to_numpy(np.float64).T
            positions = np.searchsorted(video.numbers, [first, last])
            lasts = np.diff(frame_times(video, fps)[positions], axis=0)[0]
            order = np.argsort(-score, kind="stable")
            long = order[lasts[order] >= settings.shortest_track - EXACT][: settings.per_video]
            found += zip((-score[long]).tolist(), [video.id] * len(long), tracks.index[long].tolist(), strict=True)
    return [(video, track) for _, video, track in sorted(found)[: settings.tracks]]


def _written(config: "Config", video: Video, track: int, objects: Objects, rank: int) -> PicturedTrack:
    rows = objects.of_track(video.id, track)
    ends = [0, int(rows["score"].to_numpy().argmax()), len(rows) - 1]  # first, highest, last
    positions = np.searchsorted(video.numbers, rows["frame"].iloc[ends]).tolist()
    frames = dict(full_size_frames(video, positions))
    path = RunFiles.of(config).explain / f"track-{rank:02d}.jpg"
    shown = [frames[position] for position in positions]
    write_image(path, track_picture(shown, rows, ends, objects.spans, config.report.picture_width))
    first, peak, last = video.numbers[positions].tolist()
    every = tracks_of(video)
    return PicturedTrack(
        video=video.id,
        track=track,
        label=str(rows["class"].iloc[0]),
        first=first,
        peak=peak,
        last=last,
        interpolated=video.numbers[every.position[(every.track == track) & every.interpolated]].tolist(),
        picture=path.name,
    )


def track_picture(
    frames: Sequence[np.ndarray], rows: pd.DataFrame, ends: Sequence[int], spans: Mapping[str, Span], width: int
) -> np.ndarray:
    """A track's path over the frame of its highest score, above crops of the object: uint8 (H, width, 3) RGB.

    frames: the first, the highest and the last, uint8 (H, W, 3) RGB; ends: their positions among the track's rows.
    """
    xyxy = rows[COORDINATES].to_numpy(np.float64)
    colors = list(map(color_of, shares(rows, spans)))
    large = resized(frames[1], width)
    factor = large.shape[1] / frames[1].shape[1]
    draw_path(large, factor * (xyxy[:, :2] + xyxy[:, 2:]) / 2, colors)
    large = annotated(large, Drawing(factor * xyxy[[ends[1]]], [""], [colors[ends[1]]]), "", width)
    side = (width - 2 * GAP) // 3
    picture = np.full((len(large) + GAP + side, width, 3), GROUND, np.uint8)
    left = (width - large.shape[1]) // 2  # of tall frames, which are narrower
    picture[: len(large), left : left + large.shape[1]] = large
    for i, (frame, at) in enumerate(zip(frames, ends, strict=True)):
        left = i * (side + GAP)
        picture[-side:, left : left + side] = object_crop(frame, xyxy[at], colors[at], side)
    return picture


def draw_path(image: np.ndarray, points: np.ndarray, colors: Sequence[tuple[int, int, int]]) -> None:
    """Draw a line through points (N, 2), x and y in pixels, into an image: a ring at its start, a dot at its end.

    colors: RGB of each point, and of the line that leads to it.
    """
    corners = np.round(points).astype(np.int32)
    cv2.polylines(image, [corners[:, None]], False, BLACK, PATH + 2, cv2.LINE_AA)  # seen on any ground
    for i in range(1, len(corners)):
        cv2.line(image, corners[i - 1].tolist(), corners[i].tolist(), colors[i], PATH, cv2.LINE_AA)
    for at, fill in ((0, BLACK), (-1, WHITE)):
        cv2.circle(image, corners[at].tolist(), PATH + 3, fill, -1, cv2.LINE_AA)
        cv2.circle(image, corners[at].tolist(), PATH + 3, WHITE if fill == BLACK else BLACK, 1, cv2.LINE_AA)


def object_crop(frame: np.ndarray, box: np.ndarray, color: tuple[int, int, int], side: int) -> np.ndarray:
    """A box x1, y1, x2, y2 of a frame (H, W, 3) with its surroundings: uint8 (side, side, 3) RGB."""
    room = np.array(frame.shape[1::-1])
    size = np.minimum(np.ceil(CONTEXT * max(box[2] - box[0], box[3] - box[1], 1.0)), room)
    start = np.clip((box[:2] + box[2:] - size) // 2, 0, room - size)
    (left, top), (right, bottom) = start.astype(int).tolist(), (start + size).astype(int).tolist()
    crop, factor = scaled(frame[top:bottom, left:right], side)
    height, width = crop.shape[:2]
    x, y = (side - width) // 2, (side - height) // 2  # of crops as large as the frame, which are no squares
    square = np.full((side, side, 3), GROUND, np.uint8)
    square[y : y + height, x : x + width] = crop
    moved = factor * (box - [left, top, left, top]) + [x, y, x, y]
    return annotated(square, Drawing(moved[None], [""], [color]), "", side)
