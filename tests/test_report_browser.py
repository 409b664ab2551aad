"""The page in a real browser, without a network: nothing overlaps or sticks out, and what is clicked is shown.

A headless Chromium or Chrome on the PATH is used; without one the tests are skipped, but under CI=true they fail.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests.browser import Browser, browser, needs_browser
from tests.color_vision import SEEN_AS, ciede2000, contrast, distance
from tests.reports import tiny
from tests.test_report_charts import scored
from tests.test_report_page import EVIL, PICTURE, RULE, report
from tests.test_report_stage import SCRIPT

from pixelplay.drawing.annotate import encoded, grid, write_clip
from pixelplay.events.machine import Levels, stretches, usual_spacing
from pixelplay.events.settings import DurationConfig
from pixelplay.report.events import EventList
from pixelplay.report.manifest import PicturedTrack
from pixelplay.report.page import TEMPLATES, render
from pixelplay.report.timelines import exact, times
from pixelplay.report.tracks import ScoredTrack, track_data
from pixelplay.run.files import RunFiles

pytestmark = needs_browser

PAGE_WIDTH = 703  # CSS pixels between the margins of A4
TEXTS = """(() => {  // places of all texts that are seen, with what they say
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement, unseen = parent.closest("script, style, title, option, #readout");
    if (!node.data.trim() || unseen || !parent.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1 || box.height < 1) continue;
      found.push([box.left, box.top + scrollY, box.right, box.bottom + scrollY, node.data.trim().slice(0, 40)]);
    }
  }
  return found;
})()"""
OUTSIDE = """[...document.body.querySelectorAll("*")].filter((one) => {
  const box = one.getBoundingClientRect(), beyond = box.right > innerWidth + 1 || box.left < -1;
  return box.width && beyond && !one.closest(".scroll > *") && !one.closest("clipPath, g[clip-path]");
}).map((one) => `${one.tagName} ${one.getAttribute("class")}: ${one.getBoundingClientRect().right}`)"""
CHANGE = "(one => {{ one.value = {}; one.dispatchEvent(new Event('{}')); }})(document.querySelector('{}'))"
SETTLED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture
def page(chrome: Browser, finished: Path) -> Browser:
    """The page of a small run, opened."""
    chrome.complaints.clear()
    return chrome.open(finished / "outputs/tiny/report/index.html")


@pytest.fixture
def plain(chrome: Browser, tmp_path: Path) -> Browser:
    """A page with everything in it: an event and a track, a video of three frames."""
    (tmp_path / "page.html").write_text(render(report("plain")))
    chrome.complaints.clear()
    return chrome.open(tmp_path / "page.html")


def overlapping(one: Browser) -> list[tuple[str, str]]:
    """Pairs of texts that cover each other, by more than the room between glyphs and the edges of their lines."""
    places = one.ask(TEXTS)
    assert len(places) > 30
    ordered, found = sorted(places, key=lambda place: place[1]), []
    for i, (left, top, right, bottom, text) in enumerate(ordered):
        for x1, y1, x2, y2, other in ordered[i + 1 :]:
            if y1 >= bottom:
                break
            across, down = min(right, x2) - max(left, x1), min(bottom, y2) - max(top, y1)
            if across > 1.5 and down > 0.35 * min(bottom - top, y2 - y1):
                found.append((text, other))
    return found


def show_all(one: Browser) -> None:
    one.ask("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    one.ask(f"new Promise((done) => setTimeout(done, 50)).then(() => {SETTLED})")


# --- what is seen -----------------------------------------------------------------------------------------------------


def test_the_console_check_notices_errors_and_loads(chrome: Browser, tmp_path: Path):
    bad = tmp_path / "bad.html"
    bad.write_text("<script>undefinedFunction()</script>")
    chrome.complaints.clear()
    chrome.open(bad)
    assert "undefinedFunction is not defined" in "".join(chrome.complaints)
    loads = "<script>1</script><img src='https://example.org/a.png'></main>"
    bad.write_text(render(report("plain")).replace("</main>", loads))
    chrome.open(bad)
    found = "".join(chrome.complaints)
    assert "script-src" in found and "img-src" in found  # the page's policy refuses both


def test_the_checks_of_places_notice_texts_on_each_other_and_outside(plain: Browser):
    assert (overlapping(plain), plain.ask(OUTSIDE)) == ([], [])
    plain.ask("document.querySelector('h2').style.marginBottom = '-24px'")
    assert overlapping(plain)
    plain.ask("document.querySelector('h3').style.marginLeft = '2000px'")
    assert plain.ask(OUTSIDE)


def test_the_page_of_a_run_opens_without_a_complaint_and_all_of_it_is_there(page: Browser):
    show_all(page)
    images = page.ask("[...document.images].map((one) => [one.naturalWidth, one.hidden || one.clientWidth])")
    assert len(images) > 6
    assert all(natural >= 90 and (width is True or width > 50) for natural, width in images)
    size = "[one.clientWidth, one.clientHeight, one.querySelectorAll('path.line').length]"
    charts = page.ask(f"[...document.querySelectorAll('svg.chart')].map((one) => {size})")
    assert len(charts) >= 3 + 2 + 3
    assert all(width > 200 and height > 100 and lines for width, height, lines in charts)
    lengths = page.ask("[...document.querySelectorAll('svg.chart path.line')].map((one) => one.getTotalLength())")
    assert min(lengths) > 10
    assert page.complaints == []


def test_a_track_of_a_single_box_has_a_mark_and_the_number_of_its_frame(chrome: Browser, tmp_path: Path):
    of = scored([342], [0.0])
    pictured = PicturedTrack(
        video="01", track=7, label="bird", first=342, peak=342, last=342, interpolated=[], picture="b.jpg"
    )
    track = ScoredTrack(pictured, of, np.array([342]), np.array([0.5]), {})
    whole = report("plain")
    data = {**whole.data, "tracks": track_data([track], {}, [of])}
    (tmp_path / "page.html").write_text(render(replace(whole, tracks=[(track, PICTURE)], data=data)))
    chart = "document.querySelector('#tracks svg.chart')"
    page = chrome.open(tmp_path / "page.html")
    assert page.ask(f"{chart}.querySelector('path.line').getBBox().width") == 4
    ticks = page.ask(f"[...{chart}.querySelectorAll('.tick')].map((one) => one.textContent)")
    assert "342" in ticks and not {"342.0", "342.5"} & set(ticks)


@pytest.mark.parametrize("width", [1400, 700, 390])
def test_no_text_covers_another_and_nothing_sticks_out(page: Browser, width: int):
    page.resize(width)
    page.ask(SETTLED)
    for opened in (False, True):
        if opened:
            show_all(page)
        assert page.ask("document.documentElement.scrollWidth") <= width
        assert page.ask(OUTSIDE) == []
        assert overlapping(page) == []


def test_names_of_any_length_fit_on_a_small_screen(chrome: Browser, tmp_path: Path):
    path = tmp_path / "long.html"
    path.write_text(render(report("a-name-without-any-space-that-is-longer-than-a-small-screen-is-wide")))
    chrome.open(path, 390)
    show_all(chrome)
    assert (chrome.ask(OUTSIDE), overlapping(chrome)) == ([], [])


def test_light_and_dark_differ_and_pictures_and_charts_are_painted(page: Browser):
    page.place("#events .seen")
    shots = {}
    for scheme in ("light", "dark"):
        page.media("screen", scheme)
        shots[scheme] = cv2.imdecode(np.frombuffer(page.picture(), np.uint8), cv2.IMREAD_COLOR)
    page.media()
    assert (shots["light"][300, 5] > 250).all() and (shots["dark"][300, 5] < 40).all()
    for image in shots.values():
        colors = image.astype(np.int64) @ [1, 256, 256**2]
        assert len(np.unique(colors)) > 5000  # photographs, not only type and lines


def test_the_page_prints_on_a_few_pages_and_no_column_is_cut(page: Browser):
    pages = len(re.findall(rb"/Type\s*/Page\b", page.printed()))
    assert 2 <= pages <= 12
    page.media("print")
    page.resize(PAGE_WIDTH)
    page.ask("dispatchEvent(new Event('beforeprint'))")
    seen = "[...document.querySelectorAll('td, th, svg, img, p, h3')].map((one) => one.getBoundingClientRect().right)"
    widest = max(page.ask(seen))
    page.media()
    assert PAGE_WIDTH / 2 < widest <= PAGE_WIDTH + 1


def test_markup_in_names_is_shown_and_not_run(chrome: Browser, tmp_path: Path):
    for i, text in enumerate((EVIL, SCRIPT, "</script></title><script>document.title = 'owned'</script>")):
        path = tmp_path / f"evil{i}.html"
        path.write_text(render(report(text)))
        chrome.complaints.clear()
        chrome.open(path)
        assert chrome.complaints == []
        assert (chrome.ask("document.title"), chrome.ask("document.scripts.length")) == (text, 2)
        assert chrome.ask("document.querySelector('.video h3').textContent") == text


def test_a_page_without_events_opens_with_a_gallery_and_without_one(chrome: Browser, tmp_path: Path):
    plain, path = report("plain"), tmp_path / "page.html"
    without = replace(plain, events=EventList(plain.events.found.model_copy(update={"events": []}), []), tracks=[])
    data = {
        **plain.data,
        "videos": [{**one, "events": [], "sprite": None} for one in plain.data["videos"]],
        "tracks": [],
    }
    for shown in (without, replace(without, gallery=[], sprites=[], data=data)):
        path.write_text(render(shown))
        chrome.complaints.clear()
        chrome.open(path)
        assert chrome.complaints == []
    chrome.click_on("svg.timeline")
    assert "no small frames were kept" in chrome.ask("document.querySelector('figure.frame').textContent")


# --- what is done -----------------------------------------------------------------------------------------------------


def test_hovering_over_a_chart_tells_the_frame_and_the_scores_there(page: Browser):
    x, y, _, _ = page.place("svg.timeline")
    page.mouse("mouseMoved", x, y)
    shown = page.ask("document.querySelector('#readout').innerText")
    frame = int(re.match(r"frame (\d+)", shown)[1])
    table = pd.read_parquet("outputs/tiny/fused.parquet").query("split == 'test'")
    first = table[(table["video"] == table["video"].iloc[0]) & (table["frame"] == frame)].set_index("stream")["score"]
    for stream in ("conv_ae", "st_ae", "fused"):
        told = re.search(rf"\b{stream}\s*(-?[\d.]+)", shown)[1]
        assert float(told) == pytest.approx(first[stream], abs=0.006)
    page.mouse("mouseMoved", 2, 2)
    assert page.ask("document.querySelector('#readout').hidden")


def test_a_click_on_a_curve_shows_that_frame_and_arrow_keys_the_next(chrome: Browser, tmp_path: Path):
    """Frames 1, 2 and 3 of the page are pictured as red, green and blue."""
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    tiles = encoded(grid([np.full((9, 16, 3), color, np.uint8) for color in colors], 2, fill=0), ".png")
    made, path = report("plain"), tmp_path / "page.html"
    made.data["videos"][0]["sprite"] = {"size": (16, 9), "columns": 2, "frames": [1, 2, 3]}
    uri = f"data:image/png;base64,{base64.b64encode(tiles).decode()}"
    path.write_text(render(replace(made, sprites=[("video-1", uri)])))
    chrome.open(path)
    canvas = "document.querySelector('figure.frame canvas').getContext('2d')"
    pixel = f"[...{canvas}.getImageData(8, 5, 1, 1).data].slice(0, 3)"
    caption = "document.querySelector('figure.frame figcaption').textContent"
    assert chrome.ask("document.querySelector('figure.frame').hidden")
    x, y, width, _ = chrome.place("svg.timeline")
    chrome.click(x - width / 2 + 60, y)
    assert (chrome.ask(pixel), chrome.ask(caption)[:7]) == ([255, 0, 0], "frame 1")
    chrome.ask("document.querySelector('svg.timeline').focus()")
    for color, told in (([0, 255, 0], "frame 2"), ([0, 0, 255], "frame 3")):
        chrome.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight")
        assert (chrome.ask(pixel), chrome.ask(caption)[:7]) == (color, told)
    assert "labelled anomalous" in chrome.ask(caption) and "noisy" in chrome.ask(caption)


def test_a_click_in_a_run_shows_the_footage_of_that_frame(page: Browser):
    from pixelplay.videos.index import load_index

    page.click_on("#video-2 svg.timeline")
    number = int(page.ask("document.querySelector('#video-2 figure.frame').dataset.frame"))
    data = page.ask("document.querySelector('#video-2 canvas').toDataURL('image/png')").partition(",")[2]
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)
    video = load_index(tiny()).test[1]
    frame = list(video.full_size())[int(np.flatnonzero(video.numbers == number)[0])]
    assert np.abs(cv2.resize(frame, shown.shape[1::-1]).astype(int) - shown).mean() < 14


def test_a_click_in_the_key_hides_a_line_in_all_charts_and_another_shows_it_again(page: Browser):
    count = "document.querySelectorAll('svg.timeline path[data-label=\"conv_ae\"]').length"
    every = "document.querySelectorAll('svg.timeline path.line').length"
    assert (page.ask(count), page.ask(every)) == (3, 9)
    page.click_on("button[data-line='conv_ae']")
    assert (page.ask(count), page.ask(every)) == (0, 6)
    assert page.ask("document.querySelector('button[data-line]').getAttribute('aria-pressed')") == "false"
    page.click_on("button[data-line='conv_ae']")
    assert page.ask(count) == 3


def test_dragging_zooms_and_a_double_click_shows_all_again(page: Browser):
    ticks = "[...document.querySelectorAll('#video-1 .tick[text-anchor=middle]')].map((one) => Number(one.textContent))"
    before = page.ask(ticks)
    x, y, width, _ = page.place("#video-1 svg.timeline")
    page.drag((x - 0.1 * width, y), (x + 0.1 * width, y))
    zoomed = page.ask(ticks)
    assert np.ptp(zoomed) < 0.5 * np.ptp(before)
    assert page.ask("document.querySelector('#video-1 figure.frame').hidden"), "a drag is no click"
    page.click(x, y, clicks=2)
    assert page.ask(ticks) == before


def test_videos_are_filtered_and_sorted(page: Browser):
    names = "[...document.querySelectorAll('article.video:not([hidden])')].map((one) => one.dataset.name)"
    assert page.ask(names) == ["01", "02", "03"]
    page.click_on("#filter")
    page.call("Input.insertText", text="2")
    assert page.ask(names) == ["02"]
    assert page.ask("document.querySelector('#found').textContent") == "1 of 3 videos"
    page.ask(CHANGE.format("''", "input", "#filter"))
    table = pd.read_parquet("outputs/tiny/fused.parquet").query("split == 'test' and stream == 'fused'")
    highest = table.groupby("video")["score"].max().sort_values(ascending=False)
    page.ask(CHANGE.format("'score'", "change", "#sort"))
    assert page.ask(names) == highest.index.tolist()
    page.ask(CHANGE.format("'ap'", "change", "#sort"))
    known = json.loads(RunFiles.of(tiny()).metrics.read_text())["videos"]
    figures = {video: -1.0 if of["fused"]["ap"] is None else of["fused"]["ap"] for video, of in known.items()}
    assert [figures[name] for name in page.ask(names)] == sorted(figures.values(), reverse=True)
    page.ask(CHANGE.format("'name'", "change", "#sort"))
    assert page.ask(names) == ["01", "02", "03"]


def test_the_threshold_moves_and_events_are_counted_anew(page: Browser):
    counted = r"Number(document.querySelector('#counted').textContent.match(/: (\d+) event/)[1])"
    line = "Number(document.querySelector('#video-1 .threshold')?.getAttribute('y1') ?? -1)"
    stored, place = page.ask(counted), page.ask(line)
    x, y, width, _ = page.place("#threshold")
    page.click(x - 0.45 * width, y)
    page.ask(SETTLED)
    assert page.ask("Number(document.querySelector('#threshold').value) < DATA.rule.threshold")
    assert page.ask(line) > place, "lower on the page"
    page.ask(CHANGE.format("document.querySelector('#threshold').max", "input", "#threshold"))
    assert page.ask(counted) == 0
    page.click_on("#stored")
    page.ask(SETTLED)
    assert (page.ask(counted), page.ask(line)) == (stored, place)
    found = json.loads(RunFiles.of(tiny()).events.read_text())["events"]
    assert stored == sum("frames" in one["found_by"] for one in found)


def test_events_are_counted_by_the_rule_of_the_stage(plain: Browser):
    """Smoothed noise with gaps between frames: the page finds the stretches that `events.machine` finds."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        scores = np.convolve(rng.normal(size=604), np.ones(5) / 5, "valid")
        frames = np.cumsum(1 + (rng.random(600) < 0.05) * rng.integers(1, 40, 600))
        at, seconds = {int(frame): i for i, frame in enumerate(frames)}, frames / 25.0
        lines = [{"name": "fused", "style": "fused", "axis": [0, 1], "values": exact(scores)}]
        data = {
            "numbers": [[int(frame), 1] for frame in frames],
            "seconds": times(seconds),
            "timed": True,
            "lines": lines,
        }
        for threshold, shortest, gap in ((0.3, 0.2, 0.4), (0.5, 0.0, 0.0)):
            rule = {**RULE, "minDuration": shortest, "mergeGap": gap, "base": -0.1, "hysteresis": 0.6}
            limit = Levels(threshold, -0.1 + 0.6 * (threshold + 0.1))
            settings = DurationConfig(min_duration=shortest, merge_gap=gap)
            expected = stretches(frames, seconds, scores, limit, settings, usual_spacing(seconds))
            plain.ask(f"Object.assign(DATA.rule, {json.dumps(rule)})")
            found = plain.ask(f"stretches(new Source({json.dumps(data)}), {threshold})")
            assert len(expected) > 5
            assert found == [[at[one.start.frame], at[one.end.frame]] for one in expected]


def test_a_clip_beside_the_page_plays(chrome: Browser, tmp_path: Path):
    pytest.importorskip("av")
    path = tmp_path / "run/report/index.html"
    path.parent.mkdir(parents=True)
    write_clip(tmp_path / "run/events/event.mp4", [np.full((48, 64, 3), 8 * i, np.uint8) for i in range(25)], 25)
    path.write_text(render(report("plain")))
    chrome.complaints.clear()
    chrome.open(path)
    plays = chrome.ask("document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.42E01E\"') !== ''")
    assert plays, "this browser has no H.264: install Debian's or Ubuntu's chromium, or Google's Chrome"
    assert chrome.ask("document.querySelector('video').readyState") == 0, "nothing is loaded unless it is played"
    chrome.ask("document.querySelector('video').play()")
    chrome.wait("document.querySelector('video').currentTime > 0.2")
    facts = "(one => [one.videoWidth, one.videoHeight, one.duration])(document.querySelector('video'))"
    assert chrome.ask(facts) == [64, 48, 1]
    assert chrome.complaints == []


def test_tables_sort_by_a_click_on_a_heading_and_unfold_streams(page: Browser):
    value = "[...document.querySelectorAll('.sortable tr.detector')].map((one) => Number(one.cells[1].dataset.value))"
    page.click_on("button[data-column='1']")
    falling = page.ask(value)
    assert len(falling) == 2 and falling == sorted(falling, reverse=True)
    page.click_on("button[data-column='1']")
    assert page.ask(value) == falling[::-1]
    streams = "[...document.querySelectorAll('tr.stream')].filter((one) => one.checkVisibility()).length"
    assert page.ask(streams) == 0
    page.click_on("button.fold")
    assert page.ask(streams) > 0


# --- colours ----------------------------------------------------------------------------------------------------------


def test_the_distance_of_colours_is_that_of_the_published_pairs():
    """Two of the pairs of Sharma, Wu, Dalal (2005), table 1."""
    blues, darks = ((50, 2.6772, -79.7751), (50, 0, -82.7485)), ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514))
    assert ciede2000(*map(np.array, blues)) == pytest.approx(2.0425, abs=1e-4)
    assert ciede2000(*map(np.array, darks)) == pytest.approx(0.9082, abs=1e-4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_any_two_lines_differ_also_to_colour_blind_readers(scheme: str):
    """Further lines are dashed or dotted: see `line_style`."""
    light, dark = re.findall(r":root \{(.*?)\}", (TEMPLATES / "page.css").read_text(), re.DOTALL)
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", light if scheme == "light" else dark))
    lines = [colors["ink"], *(colors[f"s{i}"] for i in range(6))]
    for a, b in combinations(lines, 2):
        assert min(distance(a, b, vision) for vision in SEEN_AS) >= 10, (a, b)
    assert min(contrast(line, colors["ground"]) for line in lines) >= 3
