"""Clip mining on video files as they are: counts and times by their packets, and paths that are no files."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.mining import FRAMES, lines, mine
from tests.video_writers import damage, jpegs, opencv_frames, write_avi, write_coded

from pixelplay.errors import DataError
from pixelplay.mining.clips import Clip, ClipReader


def scenes(folder: Path, source: Path) -> dict[str, dict[str, object]]:
    mine("manifest", folder, f"mine.source={source}")
    return {scene["scene"]: scene for scene in lines(folder / "scene_manifest.jsonl")}


def test_scenes_have_the_true_number_of_frames_and_their_own_times(tmp_path: Path):
    source = tmp_path / "in"
    write_avi(source / "streamed.avi", jpegs(20), announced=0)
    write_avi(source / "boasting.avi", jpegs(20), announced=100_000)
    times = [0, 40, 95, 400, 433, 500, 2000]
    write_coded(source / "variable.mkv", times, time_base=Fraction(1, 1000))
    write_coded(source / "raw.ts", range(9))
    (source / "readme.txt").write_text("not footage")
    found = scenes(tmp_path / "out", source)
    counts = {"streamed": 20, "boasting": 20, "variable": 7, "raw": 9}
    assert {name: len(scene["frames"]) for name, scene in found.items()} == counts
    assert found["streamed"]["timestamps"] == [40_000 * i for i in range(20)]
    assert found["variable"]["timestamps"] == [1000 * time for time in times]
    assert found["raw"]["timestamps"] == [40_000 * i for i in range(9)]
    assert (tmp_path / "out/manifest_problems.csv").read_text().splitlines() == [
        "path,problem",
        f'{source},"1 files ignored, neither images nor videos, such as readme.txt"',
    ]


def test_a_video_without_timestamps_has_clips_without_them(tmp_path: Path):
    write_coded(tmp_path / "a.mkv", range(9), options={"bf": "0"})
    with av.open(str(tmp_path / "a.mkv")) as source, av.open(str(tmp_path / "in.mp4"), "w", format="h264") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in [packet for packet in source.demux(video=0) if packet.size]:
            packet.stream = stream
            target.mux(packet)
    found = scenes(tmp_path / "out", tmp_path / "in.mp4")
    assert len(found["in"]["frames"]) == 9 and found["in"]["timestamps"] is None
    assert [len(clip["frames"]) for clip in lines(tmp_path / "out/clips_manifest.jsonl")] == [FRAMES] * 3


def test_frames_of_clips_are_those_at_their_positions_and_damaged_ones_are_named(tmp_path: Path):
    write_avi(tmp_path / "a.avi", [b"" if i == 3 else data for i, data in enumerate(jpegs(20))])
    expected = np.array(opencv_frames(tmp_path / "a.avi"))[..., ::-1]
    damage(tmp_path / "a.avi", 10)
    reader = ClipReader(tmp_path)
    frames = reader.read(Clip("a", "", ("a.avi#2", "a.avi#3", "a.avi#9"), None))
    assert np.array_equal(frames, expected[[2, 3, 9]])
    with pytest.raises(DataError, match=r"a\.avi#11: damaged"):  # frame 11 is at position 10
        reader.read(Clip("a", "", ("a.avi#10",), None))
    assert np.array_equal(reader.read(Clip("a", "", ("a.avi#18",), None))[0], expected[18])
    with pytest.raises(DataError, match=r"a\.avi#19: the video ends before"):
        reader.read(Clip("a", "", ("a.avi#19",), None))


@pytest.mark.parametrize(
    "frame", ["http://127.0.0.1:{}/a.mp4#0", "tcp://127.0.0.1:{}/a.ts#3", "http:127.0.0.1:{}/a.avi#1"]
)
@pytest.mark.parametrize("root", [None, Path(".")])
def test_a_manifest_s_addresses_are_not_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listener: tuple[int, list[object]],
    frame: str,
    root: Path | None,
):
    monkeypatch.chdir(tmp_path)
    port, visits = listener
    with pytest.raises(DataError, match="No such file"):
        ClipReader(root).read(Clip("a", "", (frame.format(port),), None))
    assert visits == []


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4#0"])
def test_a_fifo_in_a_manifest_is_refused(tmp_path: Path, name: str):
    os.mkfifo(tmp_path / name.partition("#")[0])
    with pytest.raises(DataError, match="not a regular file but a FIFO"):
        ClipReader(tmp_path).read(Clip("a", "", (name,), None))
