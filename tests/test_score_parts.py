"""Scores kept video by video until all are there: what is believed of them, and what is scored again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.pipeline import cached_video, walking_square

from pixelplay.detectors.base import Scores
from pixelplay.evaluation.score_parts import Part
from pixelplay.videos.video import Video

COUNT = 6


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return cached_video(tmp_path, "v", walking_square(COUNT, seed=0), "test")


def scores(video: Video, boxes: int | None = 2) -> Scores:
    values = np.arange(len(video), dtype=np.float32)
    objects = None
    if boxes is not None:
        rows = {"frame": video.numbers[:boxes], "track": -1, "stream": "d", "score": 0.5, "class": "person"}
        objects = pd.DataFrame(rows | {name: 1.0 for name in ("x1", "y1", "x2", "y2")})
    return Scores({"d": values, "d/other": -values}, objects)


def part(folder: Path) -> Part:
    return Part(folder / "0.parquet", folder / "0-objects.parquet")


@pytest.mark.parametrize("boxes", [None, 0, 2])
def test_what_was_written_is_read(tmp_path: Path, video: Video, boxes: int | None):
    assert part(tmp_path).read("test", video, "d") is None
    part(tmp_path).write("test", video, scores(video, boxes))
    found = part(tmp_path).read("test", video, "d")
    assert found is not None
    assert found[0]["score"].tolist() == [*range(COUNT), *(-t for t in range(COUNT))]
    assert found[0]["frame"].tolist() == [*range(10, 10 + COUNT)] * 2
    assert [len(table) for table in found[1:]] == ([] if boxes is None else [boxes])


def change(path: Path, **columns: object) -> None:
    table = pd.read_parquet(path)
    changed = table.assign(**columns)
    changed.attrs = table.attrs
    changed.to_parquet(path, index=False)


DAMAGES = {
    "cut": lambda p: p.scores.write_bytes(p.scores.read_bytes()[:-30]),
    "empty": lambda p: p.scores.write_bytes(b""),
    "another video's": lambda p: change(p.scores, video="w"),
    "another split's": lambda p: change(p.scores, split="calibration"),
    "another detector's": lambda p: change(p.scores, stream="e"),
    "another frame's": lambda p: change(p.scores, frame=lambda t: t["frame"] + 1),
    "NaN": lambda p: change(p.scores, score=lambda t: t["score"].where(t["score"] != 3)),
    "a row short": lambda p: pd.read_parquet(p.scores).iloc[1:].to_parquet(p.scores, index=False),
    "boxes cut": lambda p: p.objects.write_bytes(p.objects.read_bytes()[:-30]),
    "boxes gone": lambda p: p.objects.unlink(),
    "boxes of another video": lambda p: change(p.objects, video="w"),
    "boxes of another frame": lambda p: change(p.objects, frame=99),
    "boxes NaN": lambda p: change(p.objects, score=np.nan),
    "a box short": lambda p: pd.read_parquet(p.objects).iloc[1:].to_parquet(p.objects, index=False),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_or_foreign_part_is_not_believed(tmp_path: Path, video: Video, name: str):
    part(tmp_path).write("test", video, scores(video))
    DAMAGES[name](part(tmp_path))
    assert part(tmp_path).read("test", video, "d") is None
