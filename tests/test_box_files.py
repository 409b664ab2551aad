"""objects.method=file: boxes that the user brings, and the error for each kind of problem in their files."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.test_boxes import rows
from tests.test_detect_stage import FRAMES, VIDEOS, options, prepared

from pixelplay.errors import DataError
from pixelplay.objects import detection, tables
from pixelplay.objects.box_files import HEADER, read_boxes
from pixelplay.objects.boxes import boxes_of
from pixelplay.stages import detect, prepare, score, train
from pixelplay.videos.video import Video

__all__ = ["options"]  # a fixture

HEAD = ",".join(HEADER) + "\n"
VIDEO = Video("v", "test", np.array([1, 2, 3, 5]), (100, 50), Path())
SOUND = "2,10,5,30,45,person,0.5"


def written(path: Path, *lines: str, head: str = HEAD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


# --- a file ---------------------------------------------------------------------------------------------------------


def test_frames_are_named_by_number_and_boxes_are_cut_at_the_edges(tmp_path: Path):
    path = written(tmp_path / "v.csv", "5,-4,5,30,60.5,skate board,1", SOUND, " 2 , 80 , 0 , 90 , 9.5 , car , 0 ", "")
    assert rows(read_boxes(path, VIDEO)) == [
        (1, 10, 5, 30, 45, "person", 0.5),
        (1, 80, 0, 90, 9.5, "car", 0),
        (3, 0, 5, 30, 50, "skate board", 1),
    ]
    assert len(read_boxes(written(tmp_path / "v.csv"), VIDEO)) == 0


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2,10,5,30,45,person", r"6 values instead of 7: frame,x1,y1,x2,y2,class,confidence"),
        ("4,10,5,30,45,person,0.5", r"frame='4': no frame of video v, which has 4 from 1 to 5"),
        ("2.0,10,5,30,45,person,0.5", r"frame='2\.0': no frame"),
        ("-1,10,5,30,45,person,0.5", r"frame='-1': no frame"),
        ("2,ten,5,30,45,person,0.5", r"x1='ten' is no number"),
        ("2,10,5,inf,45,person,0.5", r"x2='inf' is no number"),
        ("2,30,5,30,45,person,0.5", r"an empty box 30,5,30,45: x1 < x2 and y1 < y2 are needed"),
        ("2,10,45,30,5,person,0.5", r"an empty box"),
        ("2,100,5,130,45,person,0.5", r"a box 100,5,130,45 outside of the frame of 100 x 50 pixels"),
        ("2,10,5,30,45,person,1.5", r"confidence=1\.5: from 0 to 1 is allowed"),
        ("2,10,5,30,45,person,nan", r"confidence='nan' is no number"),
        ("2,10,5,30,45,,0.5", r"no class"),
    ],
)
def test_a_line_that_is_no_box_is_told_with_file_and_line(tmp_path: Path, line: str, problem: str):
    path = written(tmp_path / "v.csv", SOUND, line)
    with pytest.raises(DataError, match=rf"v\.csv, line 3: {problem}"):
        read_boxes(path, VIDEO)


def test_a_file_without_header_or_that_is_no_text_is_told(tmp_path: Path):
    with pytest.raises(DataError, match=r"line 1: the header must be frame,x1,y1,x2,y2,class,confidence, not '2,10"):
        read_boxes(written(tmp_path / "v.csv", SOUND, head=""), VIDEO)
    (tmp_path / "v.csv").write_bytes(HEAD.encode() + b"2,10,5,30,45,\xff,0.5\n")
    with pytest.raises(DataError, match=r"v\.csv, after line 1: no CSV in UTF-8"):
        read_boxes(tmp_path / "v.csv", VIDEO)
    (tmp_path / "v.csv").write_text(HEAD + '2,10,5,30,45,"person,0.5\n')
    with pytest.raises(DataError, match=r"v\.csv, after line 1: no CSV"):
        read_boxes(tmp_path / "v.csv", VIDEO)


# --- a run ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bringing(options: list[str]) -> list[str]:
    """The run of `options` with a box in every frame of every video but one, whose file has none."""
    for name in VIDEOS:
        split, video = name.split("/")
        lines = [f"{t},{t},1,{t + 20},41,person,0.8" for t in range(FRAMES) if video != "still"]
        written(Path(f"data/{split}_boxes/{video}.csv"), *lines)
    return [*options, "objects.method=file"]


def test_brought_boxes_are_used_without_weights(bringing: list[str]):
    config = prepared(bringing)
    assert detection.methods(config, ["counting"]) == ("file",)
    for stage in (detect, train, score):
        stage.run(config)
    index = tables.with_objects(config, prepare.load_index(config), ["boxes"])
    for video in (*index.train, *index.test):
        expected = [(t, t, 1, t + 20, 41, "person", 0.8) for t in range(FRAMES) if video.id != "still"]
        assert rows(boxes_of(video)) == expected


def test_a_changed_file_is_read_again_and_one_that_is_missing_is_named(bringing: list[str]):
    config = prepared(bringing)
    detect.run(config)
    assert detect.pending(config) is None
    written(Path("data/test_boxes/c.csv"), "3,1,1,9,9,car,1")
    assert detect.pending(prepared(bringing))
    detect.run(prepared(bringing))
    index = tables.with_objects(config, prepare.load_index(config), ["boxes"])
    assert rows(boxes_of(index.test[0])) == [(3, 1, 1, 9, 9, "car", 1)]
    Path("data/test_boxes/still.csv").unlink()
    with pytest.raises(DataError, match=r"test_boxes/still\.csv is missing: objects\.method=file needs one for each"):
        detect.run(prepared(bringing))


def test_later_stages_need_no_files(bringing: list[str]):
    config = prepared(bringing)
    detect.run(config)
    shutil.rmtree("data")
    train.run(config)
    score.run(config)


def test_clips_with_pseudo_anomalies_get_theirs_by_motion(bringing: list[str]):
    config = prepared(bringing)
    config = config.model_copy(update={"pseudo": config.pseudo.model_copy(update={"kinds": ["freeze"]})})
    chosen = detection.methods(config, ["counting"])
    assert chosen == ("file", "motion")
    assert detection.methods_of(VIDEO, chosen) == ("file",)
    assert detection.methods_of(replace(VIDEO, split="pseudo"), chosen) == ("motion",)
    assert detection.formats(config, ["counting"]) == [config.objects.motion.frames]
