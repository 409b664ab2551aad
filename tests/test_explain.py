"""Explanations: what is farthest from the memory and what is nearest to that, by hand, by brute force, as pictures."""

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy.spatial.distance import cdist
from tests.footage import followed
from tests.patchcore import (
    CLIP,
    FRAMES,
    HEIGHT,
    NAME,
    WIDTH,
    by_id,
    config,
    footage,
    fresh,
    loaded,
    options,
    write_video,
)
from tests.pipeline import run_here
from tests.test_bank import config as bank_config

from pixelplay.cli import load_config
from pixelplay.detectors.videopatchcore.nearest import Memory, centred, neighbours, part_of_clip
from pixelplay.drawing.panels import View, draw_panels
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.explain import nearest
from pixelplay.explain.nearest import COLUMNS, Explained, cut_out, explanations, write_neighbours
from pixelplay.explain.nearest_figure import CROP, FRAME, MARK, change, draw_rows, enlarged, framed, squared
from pixelplay.memory.bank import Bank
from pixelplay.objects import boxes
from pixelplay.objects.explanation import Finding, Neighbour, Place
from pixelplay.objects.tracks import tracks_of
from pixelplay.objects.tubes import tubes
from pixelplay.report.manifest import read_manifest
from pixelplay.run.files import RunFiles
from pixelplay.stages import events, explain, prepare
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video
from pixelplay.videos.windows import windows

# --- by hand ---------------------------------------------------------------------------------------------------------


def test_a_clip_has_its_position_in_the_middle_and_copies_beyond_the_ends():
    assert centred(np.array([0, 1, 5, 8]), 4, 9).tolist() == [[0, 0, 0, 1], [0, 0, 1, 2], [3, 4, 5, 6], [6, 7, 8, 8]]
    assert centred(np.array([1]), 5, 2).tolist() == [[0, 0, 1, 1, 1]]


@given(st.integers(1, 40), st.integers(2, 12), st.data())
def test_every_position_s_clip_is_consecutive_but_for_copies_of_the_ends(frames: int, length: int, data: st.DataObject):
    position = data.draw(st.integers(0, frames - 1))
    (clip,) = centred(np.array([position]), length, frames)
    assert len(clip) == length and clip[length // 2] == position
    start = position - length // 2
    assert clip.tolist() == [min(max(t, 0), frames - 1) for t in range(start, start + length)]


NUMBERS = np.array([3, 4, 6, 9])  # of the frames of a clip, with gaps


def test_a_spatial_vector_is_a_cell_of_the_frame_that_the_object_was_found_in_row_by_row():
    place = part_of_clip("spatial", "a", NUMBERS, 6, (10, 20, 31, 34), 9, grid=7)
    assert place == Place("a", (6,), (10, 20, 31, 34), "row 2, column 3 of 7 x 7", (16, 22, 19, 24))
    assert part_of_clip("spatial", "a", NUMBERS, 6, (0, 0, 7, 7), 48, grid=7).cell == (6, 6, 7, 7)
    assert part_of_clip("spatial", "a", NUMBERS, 6, (0, 0, 4, 4), 2, grid=2).cell == (0, 2, 2, 4)


def test_a_temporal_vector_is_the_change_between_two_frames_and_a_global_one_a_frame():
    box = (0, 0, 5, 5)
    assert part_of_clip("temporal", "a", NUMBERS, 6, box, 1, 7) == Place("a", (4, 6), box, "frames 4 to 6")
    assert part_of_clip("global", "a", NUMBERS, 6, box, 3, 7) == Place("a", (9,), box, "frame 9")


def test_the_vector_farthest_from_the_memory_is_taken_with_the_entry_nearest_to_it():
    """Entries 0, 10 and 20 on a line; the first object's vectors are 1 and 14, the second's 19, 20.5: 4 and 1 away."""
    bank = Bank.build(np.array([[0], [10], [20]], np.float32), bank_config("flat"), {}, seed=0)
    clips = [np.array([1, 2, 3]), np.array([11, 12, 13]), np.array([21, 22, 23])]
    sources = pd.DataFrame({"video": list("xyz"), "frame": [2, 12, 22], "clip": clips, "part": [0, 1, 0]})
    sources[["x1", "y1", "x2", "y2"]] = [[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]]
    vectors = np.array([[[1], [14]], [[19], [20.5]]], np.float32)
    squares = [[5, 5, 9, 9], [6, 6, 8, 8]]
    memory, numbers = Memory("d/temporal", bank, sources, 8.0), np.array([7, 8, 9])
    first, second = neighbours("temporal", memory, "test", numbers, 1, squares, vectors, grid=7)
    here, there = (
        Place("test", (8, 9), (5, 5, 9, 9), "frames 8 to 9"),
        Place("y", (12, 13), (0, 0, 2, 2), "frames 12 to 13"),
    )
    assert first == Neighbour("d/temporal", here, there, 4.0, 0.5)
    here, there = (
        Place("test", (7, 8), (6, 6, 8, 8), "frames 7 to 8"),
        Place("z", (21, 22), (0, 0, 3, 3), "frames 21 to 22"),
    )
    assert second == Neighbour("d/temporal", here, there, 1.0, 0.125)


# --- pictures --------------------------------------------------------------------------------------------------------


def marked(image: np.ndarray) -> np.ndarray:
    return (image == MARK).all(axis=-1)


def test_a_small_frame_is_enlarged_and_its_box_marked():
    image = framed(np.zeros((60, 80, 3), np.uint8), (10, 20, 30, 50))
    assert image.shape == (480, FRAME, 3)  # 8 times
    rows, columns = np.nonzero(marked(image))
    assert abs(rows.min() - 160) <= 2 and abs(rows.max() - 400) <= 2
    assert abs(columns.min() - 80) <= 2 and abs(columns.max() - 240) <= 2
    assert not image[200, 160].any()  # an outline
    assert framed(np.zeros((720, 1280, 3), np.uint8), (0, 0, 9, 9)).shape == (360, FRAME, 3)


def test_a_cell_is_marked_in_its_crop():
    image = enlarged(np.zeros((30, 20, 3), np.uint8), (10, 15, 20, 30))
    assert image.shape == (CROP, 160, 3)  # 8 times
    rows, columns = np.nonzero(marked(image))
    assert abs(rows.min() - 120) <= 1 and rows.max() == CROP - 1
    assert abs(columns.min() - 80) <= 1 and columns.max() == 159
    assert not marked(enlarged(np.zeros((30, 20, 3), np.uint8))).any()


def test_a_change_is_red_where_it_was_brighter_and_cyan_where_it_gets_brighter():
    before, after = np.full((2, 4, 20, 20, 3), 100, np.uint8)[:, 0]
    before[:, :8], after[:, 12:] = 200, 200
    image = change(before, after)
    assert image[120, 30].tolist() == [200, 100, 100]
    assert image[120, 120].tolist() == [100, 100, 100]
    assert image[120, 210].tolist() == [100, 200, 200]


@pytest.mark.parametrize("shape", [(10, 7, 3), (7, 10, 3), (9, 9, 3)])
def test_white_margins_on_both_sides_make_a_square(shape: tuple[int, int, int]):
    image = squared(np.zeros(shape, np.uint8))
    side = max(shape)
    assert image.shape == (side, side, 3)
    black = (image == 0).all(axis=-1)
    assert black.sum() == shape[0] * shape[1]
    rows, columns = np.nonzero(black)
    assert abs(rows.min() - (side - 1 - rows.max())) <= 1 and abs(columns.min() - (side - 1 - columns.max())) <= 1


def test_pictures_of_a_row_are_of_one_height_and_keep_their_shape_and_long_names_lose_their_middle():
    wide, square = np.zeros((10, 20, 3), np.uint8), np.zeros((240, 240, 3), np.uint8)
    title = "nearest\n" + "a" * 50 + "b" * 50
    figure = draw_rows([[View(wide, "x"), View(square, title)], [View(square, "y")]], "a heading " * 40)
    width, height = figure.get_size_inches()
    sizes = [(axis.get_position().width * width, axis.get_position().height * height) for axis in figure.axes]
    assert np.allclose(sizes, [(3.6, 1.8), (1.8, 1.8), (1.8, 1.8)])
    first, second, third = (axis.get_position() for axis in figure.axes)
    assert first.x1 < second.x0 and third.y1 < first.y0
    short = figure.axes[1].get_title(loc="left").splitlines()[1]
    assert len(short) < 40 and short.startswith("aaa") and "…" in short and short.endswith("bbb")
    renderer = FigureCanvasAgg(figure).get_renderer()
    heading = figure.texts[0].get_window_extent(renderer)
    assert heading.x1 <= figure.bbox.x1
    assert heading.y0 >= figure.axes[1].title.get_window_extent(renderer).y1


@pytest.mark.parametrize("draw", [draw_rows, draw_panels])
def test_a_dollar_in_the_name_of_a_video_is_no_formula(draw, tmp_path: Path):
    name = r"cam$\frac$"
    figure = draw([[View(np.zeros((9, 9, 3), np.uint8), name)]], name)
    figure.savefig(tmp_path / "a.png")
    axis = figure.axes[0]
    assert name in (axis.get_title(), axis.get_title(loc="left"))


# --- what is read back -----------------------------------------------------------------------------------------------


@pytest.fixture
def index(remembered: Path) -> Index:
    return footage()


def test_crops_are_the_pixels_of_their_frames_in_the_order_of_these(index: Index):
    frames = list(by_id(index.train, "2").full_size())
    one = Place("2", (5,), (10, 12, 30, 50), "")
    two = Place("2", (19, 20), (0, 0, WIDTH, HEIGHT), "")
    same = Place("2", (5, 5), (10, 12, 30, 50), "")  # of a padded clip
    other = Place("0", (23,), (90, 60, 96, 64), "")
    crops = cut_out([two, one, other, same, one], index.train)
    assert set(crops) == {one, two, same, other}
    assert [np.array_equal(crops[one][0], frames[5][12:50, 10:30]), len(crops[one])] == [True, 1]
    assert np.array_equal(crops[two], frames[19:21])
    assert np.array_equal(crops[same], [frames[5][12:50, 10:30]] * 2)
    assert crops[other][0].shape == (4, 6, 3)


def test_no_frame_is_read_that_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With every other file gone, the ones from the first needed to the last are still read."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "data/train/0", seed=0)
    for kind in ("train/1", "test/a"):
        write_video(tmp_path / "data" / kind, seed=1)
    run = ["experiment=folder", "dataset.root=data", "restore.flip=none", "detector=[conv_ae_tiny]"]
    settings = load_config([*run, "detectors.conv_ae.training.window=2", "dataset.heldout.gap=2"])
    prepare.run(settings)
    videos = prepare.load_index(settings).train
    for t in (*range(9), *range(12, FRAMES)):
        (tmp_path / f"data/train/0/{t:03d}.png").unlink()
    places = [Place("0", (11,), (0, 0, 5, 5), ""), Place("0", (9,), (0, 0, 5, 5), "")]
    assert len(cut_out(places, videos)) == 2


@pytest.mark.parametrize(
    ("place_there", "message"),
    [
        (Place("7", (5,), (0, 0, 5, 5), ""), "video 7 is not in the data set any more"),
        (Place("2", (24,), (0, 0, 5, 5), ""), "video 2 has no frame 24"),
        (Place("2", (4, 99), (0, 0, 5, 5), ""), "video 2 has no frame 99"),
        (Place("2", (5,), (0, 0, 97, 5), ""), r"video 2 has frames of 96x64, without a box \(0, 0, 97, 5\)"),
        (Place("2", (5,), (0, 0, 5, 65), ""), "frames of 96x64"),
    ],
)
def test_training_footage_that_is_not_there_any_more_is_named_with_what_to_do(index, place_there, message):
    with pytest.raises(MissingArtifactError, match=rf"the footage has changed.*{message}.*run `\./run_all\.sh`"):
        cut_out([place_there], index.train)


def test_a_frame_number_in_a_gap_is_not_the_next_frame(index: Index):
    even = replace(by_id(index.train, "2"), numbers=2 * np.arange(FRAMES))
    with pytest.raises(MissingArtifactError, match="video 2 has no frame 7"):
        cut_out([Place("2", (7,), (0, 0, 5, 5), "")], [even])
    frames = list(even.full_size())
    place = Place("2", (8,), (0, 0, WIDTH, HEIGHT), "")
    assert np.array_equal(cut_out([place], [even])[place], frames[4:5])


# --- of a detector ---------------------------------------------------------------------------------------------------


def test_distances_and_sources_are_those_that_brute_force_finds_among_all_training_vectors(index: Index):
    """The vectors as training stored them, and their sources, row for row."""
    made, video = loaded(), by_id(index.test, "strange")
    (found,) = made.explain(video, [13])
    (clip,) = made._features.clips(video, tracks_of(video), centred(np.array([13]), CLIP, FRAMES), False)
    folders = sorted(RunFiles.of(config()).detector(NAME).glob("training-kept/features-*/0*"))
    assert len(folders) == len(index.fit) and len(found) == len(clip.tubes) + 1 == 2
    for near in (near for finding in found for near in finding.neighbours):
        stream = near.stream.removeprefix(f"{NAME}/")
        vectors = np.concatenate([np.load(folder / f"{stream}.npy") for folder in folders])
        asked = clip.vectors[stream].reshape(-1, vectors.shape[1])
        distances = cdist(asked, vectors)
        part, entry = distances.min(axis=1).argmax(), distances[distances.min(axis=1).argmax()].argmin()
        assert near.distance == pytest.approx(distances[part, entry], rel=1e-3)
        each = {"spatial": 49, "temporal": CLIP - 1, "global": CLIP}[stream]
        source = pd.concat([pd.read_parquet(folder / f"{stream}.parquet") for folder in folders]).iloc[entry // each]
        numbers, box = source["clip"], tuple(source[["x1", "y1", "x2", "y2"]])
        there = source["video"], numbers, int(source["frame"])
        assert near.there == part_of_clip(stream, *there, box, int(entry % each), 7)
        square = clip.tubes.square[0, CLIP // 2].tolist() if stream != "global" else (0, 0, WIDTH, HEIGHT)
        assert near.here == part_of_clip(stream, "strange", np.arange(11, 15), 13, square, int(part), 7)
        assert near.relative == pytest.approx(near.distance / np.quantile(made._calibrated.normal(stream), 0.999))


def test_a_noisy_frame_is_explained_by_the_object_in_the_nearest_clean_one(index: Index):
    made, video = loaded(), by_id(index.test, "strange")
    noise = np.where(np.isin(np.arange(FRAMES), [12, 13]), 20.0, 1.0).astype(np.float32)
    (found,) = made.explain(replace(video, noise=noise), [13])
    spatial, temporal = found[0].neighbours
    assert spatial.here.frames == (14,)
    assert set(temporal.here.frames) <= {11, 12, 13, 14}
    (clean,) = made.explain(video, [14])
    assert found[0].box == clean[0].box


def test_a_training_clip_is_nearest_to_itself(index: Index):
    made, video = loaded(), index.fit[0]
    middles = windows(len(video), CLIP, 2)[:, CLIP // 2]
    found = [near for findings in made.explain(video, middles) for one in findings for near in one.neighbours]
    assert max(near.distance for near in found) < 1e-3
    assert len(found) >= 3 * len(middles)
    for near in found:
        assert near.there.frames == near.here.frames
        if not near.stream.endswith("temporal"):  # clips that overlap have the same differences
            assert near.there == near.here


def test_frames_come_back_in_the_order_asked_for_and_those_at_the_ends_are_explained_too(index: Index):
    made, video = loaded(), by_id(index.test, "strange")
    asked = [FRAMES - 1, 0, 12, 0]
    found = made.explain(video, asked)
    assert found[1] == found[3]
    for position, findings in zip(asked, found, strict=True):
        alone = made.explain(video, [position])[0]
        assert [one.box for one in alone] == [one.box for one in findings]
        seen = [near for one in findings for near in one.neighbours if near.stream.endswith("spatial")]
        assert all(near.here.frames == (position,) for near in seen)
        clip = centred(np.array([position]), CLIP, FRAMES)
        (tubes_there,) = tubes(tracks_of(video), clip, video.size, config().objects.tubes)
        assert len(seen) == len(tubes_there) > 0


def with_tracks(video: Video, path: Path, *rows: tuple[float, ...]) -> Video:
    """The video with a person at each of these places: position, track, x1, y1, x2, y2."""
    boxes.save(followed(*rows), path)
    return replace(video, tracks=path)


def test_the_most_unusual_object_comes_first_and_the_whole_frame_last(index: Index, tmp_path: Path):
    """Two pieces of plain ground and the chequered board of frame 13: random features decide which is the strangest."""
    places = [(13, 70, 2, 90, 12), (13, 29, 14, 53, 38), (13, 2, 44, 22, 62)]
    rows = [(t, k, *box) for t in range(11, 15) for k, (_, *box) in enumerate(places, 1)]
    video = with_tracks(by_id(index.test, "strange"), tmp_path / "tracks.parquet", *rows)
    (found,) = loaded().explain(video, [13])
    assert [one.label for one in found] == ["person"] * 3 + [""]
    given = [place[1:] for place in places]
    assert [one.box for one in found[:3]] != given and {one.box for one in found[:3]} == set(given)
    assert found[0].confidence == 1.0
    local = [
        0.7 * spatial.relative**4 + 0.3 * temporal.relative**4
        for spatial, temporal in (f.neighbours for f in found[:3])
    ]
    assert local == sorted(local, reverse=True)
    assert found[3].box == (0, 0, WIDTH, HEIGHT)
    assert [near.stream for one in found[2:] for near in one.neighbours] == [
        f"{NAME}/{stream}" for stream in ("spatial", "temporal", "global")
    ]
    cells = [near.here.cell for one in found for near in one.neighbours]
    assert [cell is not None for cell in cells] == [True, False] * 3 + [False]


def test_the_legend_says_which_share_of_normal_footage_the_unit_is(index: Index):
    made = fresh(f"detectors.{NAME}.scoring.quantile=0.995")
    assert "1 x is the distance that 99.5 % of normal clips stay below" in made.legend


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(patchcore_run: Path) -> Path:
    """The run, in which a frame with an object and one without have been shown."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(patchcore_run)
        for frame in (("show.video=strange", "show.frames=[13]"), ("show.video=still", "show.frames=[4]")):
            explain.run(config(*frame))
    return patchcore_run


def facts(name: str) -> list[dict[str, str]]:
    with open(f"outputs/folder/explain/neighbours/{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_command_writes_a_picture_and_a_table_for_each_video_s_peak_and_for_the_lowest_score(remembered: Path):
    done = run_here("explain.py", *options("show.count=1", "show.what=[neighbours]"), cwd=remembered)
    assert done.returncode == 0, done.stderr
    scores = pd.read_parquet(remembered / f"outputs/folder/scores/{NAME}.parquet").query(
        "split == 'test' and stream == @NAME"
    )
    expected = [scores.loc[scores["score"].idxmax()], scores.loc[scores["score"].idxmin()]]
    for row in expected:
        path = f"outputs/folder/explain/neighbours/{NAME}-{row['video']}-{row['frame']:03d}"
        assert f"explain: {path}.png" in done.stdout
        assert cv2.imread(str(remembered / f"{path}.png")) is not None
        assert (remembered / f"{path}.csv").read_text().startswith(",".join(COLUMNS))


@pytest.mark.usefixtures("shown")
def test_the_table_has_what_the_detector_found(index: Index):
    rows = facts(f"{NAME}-strange-013")
    (found,) = loaded().explain(by_id(index.test, "strange"), [13])
    near = [near for one in found for near in one.neighbours]
    assert [row["stream"] for row in rows] == [one.stream for one in near]
    assert [row["class"] for row in rows] == ["motion", "motion", "whole frame"]
    assert all((row["video"], row["frame"]) == ("strange", "13") for row in rows)
    for row, one in zip(rows, near, strict=True):
        assert float(row["distance"]) == pytest.approx(one.distance, abs=1e-6)
        assert float(row["relative_distance"]) == pytest.approx(one.relative, abs=1e-4)
        assert (row["part"], row["source_part"]) == (one.here.part, one.there.part)
        assert (row["source_video"], int(row["source_frame"])) == (one.there.video, one.there.frames[0])
        assert [int(row[f"source_{edge}"]) for edge in ("x1", "y1", "x2", "y2")] == list(one.there.box)
    assert [float(rows[0][edge]) for edge in ("x1", "y1", "x2", "y2")] == pytest.approx(found[0].box, abs=0.01)


def test_each_moment_of_the_report_has_a_neighbour_picture_and_a_table(index: Index):
    for stage in (events, explain):
        stage.run(config())
    files = RunFiles.of(config())
    moments = read_manifest(files, index).gallery
    assert moments
    for one in moments:
        (near,) = one.neighbours
        assert near.detector == NAME and one.boxes == ["objects"] * len(one.boxes) and one.heat == []
        assert cv2.imread(str(files.explain / near.picture)).shape[1] > 300
        table = pd.read_csv((files.explain / near.picture).with_suffix(".csv"))
        assert table.columns.tolist() == COLUMNS and set(table["frame"]) == {one.frame}


@pytest.mark.usefixtures("shown")
def test_where_nothing_was_detected_the_whole_frame_is_alone_and_that_is_said(index: Index):
    assert [row["class"] for row in facts(f"{NAME}-still-004")] == ["whole frame"]
    still, strange = (
        cv2.imread(f"outputs/folder/explain/neighbours/{NAME}-{name}.png") for name in ("still-004", "strange-013")
    )
    assert still.shape[0] < strange.shape[0]
    legend, (one,) = explanations(config("show.video=still", "show.frames=[4]"), index, NAME)
    assert "No object was detected: only the whole frame was compared." in nearest.heading(NAME, legend, one, 6)


def test_no_more_objects_are_shown_than_asked_for_and_all_are_in_the_table(index: Index):
    video = by_id(index.test, "strange")
    there = Place("1", (3,), (0, 0, 8, 8), "frame 3")
    found = [
        Finding(
            "person",
            0.9,
            (k, 0, k + 5, 5),
            (Neighbour("d/spatial", Place("strange", (7,), (0, 0, 9, 9), "", (0, 0, 3, 3)), there, 3 - k, 1.0),),
        )
        for k in range(3)
    ]
    whole = Finding(
        "",
        1.0,
        (0, 0, WIDTH, HEIGHT),
        (Neighbour("d/global", Place("strange", (7,), (0, 0, WIDTH, HEIGHT), ""), there, 1.0, 1.0),),
    )
    one = Explained(video, 7, 0.5, [*found, whole])
    assert one.shown(2) == [found[0], found[1], whole]
    assert one.shown(9) == [*found, whole]
    assert "The 2 most unusual of 3 objects." in nearest.heading("d", "", one, 2)
    assert "3 objects, the most unusual first." in nearest.heading("d", "", one, 3)
    assert ". 1 object.\n" in nearest.heading("d", "", replace(one, findings=one.findings[2:]), 3)
    assert len(nearest.table(one).splitlines()) == 5
    near = [near for finding in one.shown(2) for near in finding.neighbours]
    here = cut_out([one.whole, *(n.here for n in near)], index.test)
    rows = nearest.rows(one, 2, here, cut_out([n.there for n in near], index.train))
    assert [row[0].title for row in rows] == ["1. person 0.90", "2. person 0.90", "the whole frame"]
    assert rows[0][1].title == "spatial: 1.00 x, distance 3\nframe 7"
    assert rows[0][2].title == "nearest training footage\n1, frame 3"


def test_a_row_has_the_frame_the_crop_with_its_cell_and_the_change_here_and_in_training(index: Index):
    _, (one,) = explanations(config("show.video=strange", "show.frames=[13]"), index, NAME)
    near = [near for finding in one.findings for near in finding.neighbours]
    here = cut_out([one.whole, *(n.here for n in near)], index.test)
    (first, *_, whole) = nearest.rows(one, 1, here, cut_out([n.there for n in near], index.train))
    assert (len(first), len(whole)) == (5, 3)
    frames = {
        "here": list(by_id(index.test, "strange").full_size()),
        "there": list(by_id(index.train, near[0].there.video).full_size()),
        "change": list(by_id(index.train, near[1].there.video).full_size()),
    }
    assert np.array_equal(first[0].image, framed(frames["here"][13], one.findings[0].box))
    for view, place, of in ((first[1], near[0].here, "here"), (first[2], near[0].there, "there")):
        x1, y1, x2, y2 = place.box
        cell = (place.cell[0] - x1, place.cell[1] - y1, place.cell[2] - x1, place.cell[3] - y1)
        assert np.array_equal(view.image, squared(enlarged(frames[of][place.frames[0]][y1:y2, x1:x2], cell)))
        assert marked(view.image).any()
    for view, place, of in ((first[3], near[1].here, "here"), (first[4], near[1].there, "change")):
        x1, y1, x2, y2 = place.box
        before, after = (frames[of][number][y1:y2, x1:x2] for number in place.frames)
        assert np.array_equal(view.image, squared(change(before, after)))
    assert whole[1].image.shape == whole[2].image.shape == (round(CROP * HEIGHT / WIDTH), CROP, 3)


def test_the_name_of_a_video_stays_one_cell(index: Index):
    odd = replace(by_id(index.test, "still"), id='a,"b"')
    (found,) = loaded().explain(odd, [0])
    lines = list(csv.reader(nearest.table(Explained(odd, 0, 0.0, found)).splitlines()))
    assert [len(line) for line in lines] == [len(COLUMNS)] * 2 and lines[1][0] == 'a,"b"'


def test_what_cannot_be_explained_is_told(index: Index):
    with pytest.raises(ConfigError, match=r"show\.frames: video strange has no frame 24; it has frames 0 to 23"):
        explain.run(config("show.video=strange", "show.frames=[24]"))
    with pytest.raises(ConfigError, match=r"show\.video='nowhere': no such test video;.*allowed here: still, strange"):
        explain.run(config("show.video=nowhere"))
    with pytest.raises(MissingArtifactError, match=r"scoring\.stride changed.*run `python src/score\.py`"):
        explain.run(config(f"detectors.{NAME}.scoring.stride=3"))
    run = ["experiment=folder", "dataset.root=data", "detector=[conv_ae_tiny]", "device=cpu"]
    alone = load_config([*run, *(option for option in options() if option.startswith("dataset.heldout"))])
    assert write_neighbours(alone, index) == []  # it remembers nothing


def test_a_video_that_is_not_in_the_index_any_more_is_told(index: Index, monkeypatch: pytest.MonkeyPatch):
    """As after training elsewhere: the memory names a video that this data set lacks."""
    made = loaded()
    made._sources["global"] = made._sources["global"].assign(video="gone")
    (found,) = made.explain(by_id(index.test, "still"), [3])
    with pytest.raises(MissingArtifactError, match="video gone is not in the data set any more"):
        cut_out([near.there for one in found for near in one.neighbours], index.train)
