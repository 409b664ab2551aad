"""The page of selected clips stays below 3 MB, whatever it shows; and clips as videos, with the footage around them."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tests.browser import browser, needs_browser
from tests.footage import write_frames
from tests.mining import FRAMES, lines, mine, write_videomae
from tests.test_report_browser import overlapping
from tests.test_report_page import Elements

from pixelplay.mining.clip_videos import frame_rate, with_context
from pixelplay.mining.clips import Clip
from pixelplay.mining.contact_sheet import PAGE, SMALLEST, picture_within

ANY = ["mine.select.diversify=none", "mine.select.min_gap=0", "mine.select.calibrate=none"]


def noise(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def size_of(data: bytes) -> tuple[int, int]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.shape[1], image.shape[0]


def test_a_picture_gets_the_most_that_fits():
    plain = np.full((20, 90, 160, 3), 90, np.uint8)
    data, count = picture_within(plain, 320, 10**6)
    assert count == 16 and size_of(data) == (16 * 320, 180)
    clip = noise(16, 90, 160)
    full, _ = picture_within(clip, 320, 10**9)
    for room in (len(full) - 1, 60_000, 12_000, 4_500):
        data, count = picture_within(clip, 320, room)
        assert len(data) <= room and 1 <= count <= 16
    assert picture_within(noise(2, 400, 100), 320, 0)[1] == 1  # nothing fits: the smallest
    data, _ = picture_within(noise(2, 900, 100), 320, (SMALLEST - 3000) * 3 // 4)  # tall and noisy
    assert len(data) <= (SMALLEST - 3000) * 3 // 4


def run_of(folder: Path, count: int, name: str, size: tuple[int, int]) -> Path:
    """A run with `count` scored clips of one noisy frame each, without scoring them."""
    height, width = size
    (folder / "in").mkdir(parents=True)
    cv2.imwrite(str(folder / "in" / f"{name}.jpg"), noise(1, height, width)[0])
    frames = [f"{folder}/in/{name}.jpg"] * FRAMES
    clip = {"scene": f"{name}/<&\"'>" * 20, "camera": "&" * 300, "frames": frames}
    (folder / "clips_manifest.jsonl").write_text("".join(json.dumps(clip) + "\n" for _ in range(count)))
    score = {"scene": clip["scene"], "camera": clip["camera"], "first_frame": frames[0]}
    rows = [json.dumps({"step": i, **score, "score": 1 - i / count}) + "\n" for i in range(count)]
    (folder / "scores.jsonl").write_text("".join(rows))
    return folder


@pytest.mark.parametrize(("count", "size"), [(25, (480, 640)), (1000, (96, 64))])
def test_the_page_is_below_3_mb_for_few_large_clips_and_for_more_than_it_can_show(
    tmp_path: Path, count: int, size: tuple[int, int]
):
    folder = run_of(tmp_path / "out", count, "&" * 200, size)
    mine("select", folder, *ANY, f"mine.select.count={count}")
    page = (folder / "contact_sheet.html").read_text()
    assert len(page.encode()) < PAGE == 3_000_000
    figures = page.count("<figure>")
    assert figures == (count if count == 25 else (PAGE - 50_000) // SMALLEST)
    assert (f"The first {figures} are shown; all are in selection.csv." in page) == (count > 25)
    assert len((folder / "selection.csv").read_text().splitlines()) == count + 1


@needs_browser
def test_the_page_fits_a_small_screen_and_a_large_one_whatever_names_it_has(tmp_path: Path):
    folder = run_of(tmp_path / "out", 5, "&" * 200, (360, 200))
    mine("select", folder, *ANY)
    with browser() as one:
        for width in (390, 1400):
            one.open(folder / "contact_sheet.html", width)
            assert one.ask("document.querySelectorAll('figure').length") == 5
            assert one.ask("document.documentElement.scrollWidth") <= width and overlapping(one) == []
            assert one.ask("document.querySelector('.clip').clientHeight") <= 420  # of portrait footage
        assert one.complaints == []


def test_a_scene_s_frames_around_a_clip_are_its_context():
    names = tuple(map(str, range(100)))
    scene = Clip("s", "c", names, tuple(40_000 * i for i in range(100)), 0)
    clip = Clip("s", "c", names[50:58:2], tuple(40_000 * i for i in range(50, 58, 2)), 0)
    around = with_context(clip, scene, 0.2)
    assert around.frames == names[45:62] and frame_rate(around, 10.0) == pytest.approx(25)
    assert with_context(clip, scene, 60.0).frames == names
    assert with_context(clip, scene, 0.0).frames == names[50:57]  # those in between, too
    other = Clip("s", "c", ("x", "y"), (0, 1), 0)
    assert with_context(clip, other, 1.0) is clip and with_context(clip, None, 1.0) is clip
    assert with_context(Clip("s", "c", names[:2], None), scene, 1.0).frames == names[:2]
    assert frame_rate(Clip("s", "c", names[:2], None), 12.5) == 12.5
    assert frame_rate(Clip("s", "c", names[:2], (7, 7), 7), 12.5) == 12.5


def test_selected_clips_are_written_as_videos_that_the_page_links_and_old_ones_go(tmp_path: Path):
    write_frames(tmp_path / "footage/gate", range(40), seed=1)
    write_videomae(tmp_path / "weights")
    out, weights = tmp_path / "out", f"weights.videomae={tmp_path}/weights"
    mine("manifest", out, f"mine.source={tmp_path}/footage", "mine.fps=20")
    mine("score", out, weights)
    videos = ["mine.select.mp4=true", "mine.select.context=0.25"]
    mine("select", out, *ANY, *videos, "mine.select.count=3")
    written = sorted((out / "clips").iterdir())
    chosen = json.loads((out / "selection.json").read_text())["selection"]
    assert len(written) == 3
    for path, row in zip(written, chosen, strict=True):
        assert path.name.startswith(f"{row['rank']:04d}-clip{row['step']:07d}-gate-footage")
        first, last = (round(20 * seconds) for seconds in row["seconds"])
        expected = min(last + 5, 39) - max(first - 5, 0) + 1
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264" and stream.average_rate == 20
            assert sum(1 for _ in container.decode(video=0)) == expected
    links = [one["href"] for one in Elements((out / "contact_sheet.html").read_text()).named("a")]
    assert links == [f"clips/{path.name}" for path in written]
    table = (out / "selection.csv").read_text()
    assert all(f"clips/{path.name}" in table for path in written)

    mine("select", out, *ANY, "mine.select.count=3")
    assert not (out / "clips").exists()
    assert "<a href" not in (out / "contact_sheet.html").read_text()
    assert len(lines(out / "selected_manifest.jsonl")) == 3
