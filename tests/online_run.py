"""A run with random raw scores, fused and with thresholds, and new footage scored frame by frame: no training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors.stream import MomentScores
from pixelplay.evaluation.members import candidates, read_members, streams_of
from pixelplay.evaluation.score_tables import object_streams, read_object_streams
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import Tracks
from pixelplay.run.artifacts import write_table, write_text
from pixelplay.run.files import RunFiles
from pixelplay.scores.fuse import fuse, member_of
from pixelplay.scores.objects import frame_scores, fuse_objects
from pixelplay.scores.settings import OBJECTS
from pixelplay.videos.index import Index
from pixelplay.videos.settings import HeldoutConfig
from pixelplay.videos.video import Video

LENGTH = 60
STREAMS = {
    "conv_ae": ["conv_ae", "conv_ae/mean"],
    "st_ae": ["st_ae"],
    "videopatchcore": ["videopatchcore", *(f"videopatchcore/{part}" for part in ("spatial", "temporal", "global"))],
    "object_motion": ["object_motion", "object_motion/magnitude", "object_motion/direction"],
    "object_appearance": ["object_appearance"],
}
OF_OBJECTS = {
    "videopatchcore": STREAMS["videopatchcore"][1:3],
    "object_motion": STREAMS["object_motion"][1:],
    "object_appearance": ["object_appearance"],
}
SIZE = (64, 48)


def written_run(folder: Path, *overrides: str, detectors: Sequence[str] = ("conv_ae", "object_motion")) -> Config:
    """The configuration of a run whose tables of scores are written."""
    named = ["experiment=sample", f"detector=[{','.join(detectors)}]", f"paths.outputs={folder}"]
    config = load_config([*named, "events.fps=10", *overrides])
    files, index, rng = RunFiles.of(config), index_of(), np.random.default_rng(7)
    videos = [("test", video) for video in index.test] + [("calibration", video) for video in index.held.calibration]
    for name in config.detectors:
        parts = [
            pd.DataFrame({"split": split, "video": video.id, "frame": video.numbers, "stream": stream}).assign(
                score=rng.gamma(2.0, 1.0, len(video)).astype(np.float32)
            )
            for stream in STREAMS[name]
            for split, video in videos
        ]
        write_table(files.scores(name), pd.concat(parts, ignore_index=True))
    boxes = pd.concat([_rows(split, video.id, video.numbers, i) for i, (split, video) in enumerate(videos)])
    for name in [one for one in OF_OBJECTS if one in config.detectors]:
        parts = [
            boxes.assign(stream=stream, score=rng.gamma(2.0, 1.0, len(boxes)).astype(np.float32))
            for stream in OF_OBJECTS[name]
        ]
        write_table(files.object_scores(name), pd.concat(parts, ignore_index=True))
    fuse_again(config)
    return config


def index_of() -> Index:
    def video(name: str, split: str) -> Video:
        return Video(name, split, np.arange(LENGTH), SIZE, Path("cache"), seconds=np.arange(LENGTH) / 10, fps=10.0)

    heldout = HeldoutConfig(share=0.5, min_videos=4, gap=0, seed=0)
    train = [video(name, "train") for name in ("n1", "n2", "n3", "n4")]
    return Index("sample", "a", "b", heldout, train, [video("v", "test"), video("w", "test")])


def _rows(split: str, video: str, numbers: np.ndarray, seed: int) -> pd.DataFrame:
    """Objects that are followed: one through the video, others for a while, one of them with gaps."""
    spans = {
        1: numbers,
        2: numbers[5:25],
        3: numbers[20:21],
        4: numbers[30:50][~np.isin(np.arange(20), [3, 4, 9])[: len(numbers[30:50])]],
    }
    rows = pd.DataFrame([(int(n), t) for t, of in spans.items() for n in of], columns=["frame", "track"])
    left = 2.0 * rows["track"] + rows["frame"] / 8 + seed
    return rows.assign(
        split=split, video=video, x1=left, y1=3.0, x2=left + 4, y2=11.0 + rows["track"], **{"class": "person"}
    )


def fuse_again(config: Config) -> None:
    """As stage `fuse`, without judging."""
    files, index, head = RunFiles.of(config), index_of(), "member,of,weight,left_out,why\n"
    streams = object_streams(config)
    if streams:
        weights = config.fusion.objects.streams
        write_text(files.object_members, head + "".join(f"{s},objects,{weights[s]},False,\n" for s in streams))
        objects = fuse_objects(read_object_streams(config, index), config.fusion.objects)
        videos = [("test", v) for v in index.test] + [("calibration", v) for v in index.held.calibration]
        frames = frame_scores(objects, [(split, v.id, v.numbers) for split, v in videos], config.fusion.objects)
        write_table(files.scores(OBJECTS), frames)
        write_table(files.object_scores(OBJECTS), objects)
    members, _ = candidates(config, streams_of(config, index))
    rows = [f"{m},frames,{member_of(m, config.fusion).weight},False,\n" for m in members]
    write_text(files.fusion_members, head + "".join(rows))
    tables, fusion, _ = read_members(config, streams_of(config, index))
    write_table(files.fused, fuse(tables, fusion))


@dataclass(frozen=True, eq=False)
class NewFootage:
    """Raw scores of new footage: of frames by stream, (T,), and of the rows of objects by stream, (N,)."""

    numbers: np.ndarray
    frames: dict[str, np.ndarray]
    boxes: pd.DataFrame  # N rows
    objects: dict[str, np.ndarray]
    corrupted: np.ndarray  # bool (T,)

    @classmethod
    def of(cls, config: Config, numbers: np.ndarray, seed: int = 0) -> "NewFootage":
        rng = np.random.default_rng(seed)
        boxes = _rows("new", "x", numbers, 0).sort_values(["frame", "track"], ignore_index=True)
        frames = {s: rng.gamma(2.0, 1.2, len(numbers)) for name in config.detectors for s in STREAMS[name]}
        objects = {s: rng.gamma(2.0, 1.2, len(boxes)) for name in config.detectors for s in OF_OBJECTS.get(name, ())}
        single = {s: of.astype(np.float32) for s, of in objects.items()}
        return cls(
            numbers,
            {s: of.astype(np.float32) for s, of in frames.items()},
            boxes,
            single,
            rng.random(len(numbers)) < 0.3,
        )

    @classmethod
    def of_run(cls, config: Config, video: str) -> "NewFootage":
        """The raw scores of one of the run's test videos."""
        files, frames, objects = RunFiles.of(config), {}, {}
        boxes = pd.DataFrame({"frame": [], "track": []})
        for name in config.detectors:
            table = pd.read_parquet(files.scores(name)).query("split == 'test' and video == @video")
            frames |= {str(stream): rows["score"].to_numpy() for stream, rows in table.groupby("stream")}
            if name in OF_OBJECTS:
                rows = pd.read_parquet(files.object_scores(name)).query("split == 'test' and video == @video")
                for stream, of in rows.groupby("stream"):
                    boxes = of.sort_values(["frame", "track"], ignore_index=True)
                    objects[str(stream)] = boxes["score"].to_numpy()
        numbers = np.arange(LENGTH)
        return cls(numbers, frames, boxes, objects, np.zeros(len(numbers), bool))

    def moments(self, config: Config) -> Iterator[tuple[Moment, dict[str, MomentScores]]]:
        """Each frame with the scores of each detector; odd corrupted ones are noisy, even ones flipped."""
        last = self.boxes.groupby("track")["frame"].max()
        for t, number in enumerate(self.numbers.tolist()):
            at = np.flatnonzero(self.boxes["frame"] == number)
            corrupted = bool(self.corrupted[t])
            moment = Moment(
                position=t,
                number=number,
                seconds=number / 10,
                image=np.full((SIZE[1], SIZE[0], 3), 90, np.uint8),
                noise=99.0 if corrupted and number % 2 else 0.0,
                frames={},
                tracks=tracks_at(t, self.boxes.iloc[at]),
                labels=np.array(["person"] * len(at), np.str_),
                ended=tuple(int(track) for track, frame in last.items() if t and frame == self.numbers[t - 1]),
                flipped=corrupted and number % 2 == 0,
            )
            yield (
                moment,
                {
                    name: MomentScores(
                        {s: float(self.frames[s][t]) for s in STREAMS[name]},
                        {s: self.objects[s][at] for s in OF_OBJECTS[name]} if name in OF_OBJECTS else None,
                    )
                    for name in config.detectors
                },
            )


def tracks_at(position: int, rows: pd.DataFrame) -> Tracks:
    """The rows of one frame."""
    none = Tracks.none()
    return replace(
        none,
        position=np.full(len(rows), position, np.int64),
        xyxy=rows[["x1", "y1", "x2", "y2"]].to_numpy(np.float32),
        label=np.array(["person"] * len(rows), np.str_),
        confidence=np.ones(len(rows), np.float32),
        track=rows["track"].to_numpy(np.int64),
        interpolated=np.zeros(len(rows), bool),
        box=np.arange(len(rows)),
    )
