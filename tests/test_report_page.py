"""The page: self-contained, its text escaped, its parts left out where there is nothing to show."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.test_report_charts import scored

from pixelplay.drawing.annotate import encoded
from pixelplay.evaluation.clock import Clock
from pixelplay.evaluation.comparison import Compared, Comparison, Difference
from pixelplay.evaluation.figures import Figures
from pixelplay.events.event import Event, Events, EventTrack
from pixelplay.events.event import Moment as At
from pixelplay.report.distributions import histogram, precision_recall_chart, roc_chart
from pixelplay.report.events import EventItem, EventList, event_positions
from pixelplay.report.manifest import Moment, PicturedTrack
from pixelplay.report.manifest import Scale as Ramp
from pixelplay.report.page import Ablation, Fact, GalleryItem, Measured, Report, VideoPanel, render
from pixelplay.report.scores_table import published_table, scores_table, thresholds_table
from pixelplay.report.tables import object_tables, score_tables
from pixelplay.report.timelines import Scale, video_data
from pixelplay.report.tracks import ScoredTrack, track_data
from pixelplay.run.stage import Record

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}&amp;</style>"
PICTURE = "data:image/jpeg;base64," + base64.b64encode(encoded(np.zeros((9, 16, 3), np.uint8))).decode()
VOID = {"meta", "link", "img", "input"}
RULE = {"threshold": 0.5, "base": 0.0, "hysteresis": 0.5, "minDuration": 0.0, "mergeGap": 0.04}


class Elements(HTMLParser):
    """Every element's name and attributes, all text but code, and the names that are open at the end."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> where {self.open[-3:]} are open"
        self.open.pop()

    def handle_data(self, data):
        self.text += "" if self.open and self.open[-1] in ("script", "style") else data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def event(text: str, rank: int = 1) -> Event:
    """An event from frame 2 to frame 3 of the video `text`."""
    moments = {name: At(frame=number, seconds=None) for name, number in (("start", 2), ("end", 3), ("peak", 3))}
    track = EventTrack(track=7, label=text, score=0.5, box=(1, 2, 3, 4), path=[(2, 1.0, 4.0)])
    return Event(
        id=f"event-{rank}",
        video=text,
        found_by=["frames", "objects"],
        **moments,
        score=2.0,
        stream="fused",
        threshold=0.5,
        tail_probability=0.25,
        contributions={text: 1.0},
        tracks=[track],
        zones=[text],
        thumbnail=None,
        clip="event.mp4",
    )


def report(text: str, clip: str = "../events/event.mp4") -> Report:
    """A report with everything in it; every text from data is `text`."""
    one = replace(
        scored([1, 2, 3], [0, 1, 2], labels=[0, 1, 1], flipped=(0,), noisy=(2,), **{text: [1, 1, 0]}), video=text
    )
    figures = {
        "ap": 0.5,
        text: text,
        "intervals": {"ap": [0.4, 0.6], "level": 0.95, "draws": 1000},
        "streams": {text: {"ap": 0.4}},
        "raw": {"ap": 0.3},
    }
    alarm = {"value": 0.5, "false_alarms": 0.1, "remark": text}
    metrics = {
        **{"frames": 3, "prevalence": 0.5, "detectors": {text: figures}, "fused": {"ap": 0.6}},
        **{"published": [{"method": text, "metric": "ap", "value": 0.5, "rank": None, "source": text}]},
        **{"objects": {"detectors": {text: {"streams": {text: {"pixel": {text: text}}}}}, text: text}},
        **{"thresholds": {text: {text: alarm, "fixed": {"reason": text}}}},
    }
    of_detector = {"detector": text, "picture": "a.jpg"}
    moment = Moment(video=text, frame=3, picture="a.jpg", boxes=[text], heat=[of_detector], neighbours=[])
    item = GalleryItem(moment, one, 2, PICTURE, [(text, PICTURE)])
    pictured = PicturedTrack(
        video=text, track=7, label=text, first=1, peak=2, last=3, interpolated=[2], picture="b.jpg"
    )
    track = ScoredTrack(pictured, one, np.array([1, 2, 3]), np.array([0, 0.5, 0]), {text: np.array([0, 1.0, 0])})
    styles, clock = {text: "s0", "fused": "fused"}, Clock(one.numbers / 25, known=True)
    events = [event_positions(1, event(text), one)]
    line = {text: (np.array([0.0, 1.0]), np.array([0.0, 1.0]))}
    table = score_tables(metrics)[0]
    found = Events(alarms=[], no_alarm={}, heldout_frames=9, heldout_seconds=None, events=[event(text)] * 102)
    shown = EventItem(event(text), one, 0, PICTURE, clip, [(text, PICTURE)], [(text, PICTURE)], track, 0, PICTURE)
    sprite = {"size": (16, 9), "columns": 1, "frames": [1]}
    differences = {"ap": Difference(0.1, -0.2, 0.3)}
    compared = Compared(text, [text], Figures(None, 0.5, 0.5, None, 3), differences, text)
    comparison = Comparison([compared], level=0.95, draws=1000)
    return Report(
        title=text,
        subtitle=text,
        headline=[Fact(text, text, text)],
        remarks=[text],
        events=EventList(found, [shown], [text]),
        gallery=[item],
        tracks=[(track, PICTURE)],
        color_scales=[Ramp(text=text, low=text, high=text, colors=["#000000", "#ffffff"])],
        videos=[VideoPanel(text, "video-1", [text], "clips/a.mp4", 2.0, 0.5)],
        streams=[*styles.items()],
        one_scale=True,
        sprites=[("video-1", PICTURE)],
        data={
            "videos": [{**video_data(one, clock, Scale.of([one]), styles, events), "sprite": sprite}],
            "tracks": track_data([track], styles, [one]),
            "rule": RULE,
            "objectThreshold": 0.25,
        },
        measured=Measured(
            scores_table(metrics, {}),
            published_table(metrics["published"], {}),
            thresholds_table(metrics["thresholds"]),
            [*score_tables(metrics), *object_tables(metrics["objects"])],
        ),
        curves=[roc_chart(line), precision_recall_chart(line, 0.5)],
        curve_key=[(text, "s0")],
        histograms={text: histogram(text, {"test": np.arange(9.0)}, "histogram-0")},
        thresholds=[(text, "data:image/png;base64,")],
        ablation=Ablation([text], [table, replace(table, title=text)], [(text, "data:image/png;base64,")]),
        comparison=comparison,
        run=[(text, text)],
        machine=[(text, text)],
        versions=[(text, text)],
        stages={text: Record.model_construct(seconds=3.0, finished=text)},
        config=text,
    )


@pytest.fixture(scope="module")
def harmless() -> Elements:
    return Elements(render(report("plain")))


def test_text_from_data_adds_no_element_and_no_attribute(harmless: Elements):
    evil = Elements(render(report(EVIL)))
    assert [tag for tag, _ in evil.found] == [tag for tag, _ in harmless.found]
    assert [sorted(attributes) for _, attributes in evil.found] == [sorted(of) for _, of in harmless.found]
    assert evil.open == []
    assert EVIL in evil.text  # shown as it is, not run, not evaluated
    assert evil.text.count("49") == harmless.text.count("49")  # ranks alone


def test_every_text_of_the_report_is_on_the_page(harmless: Elements):
    page = render(report("plain"))
    assert harmless.open == []
    assert page.count("plain") > 160
    assert "101 more events" in harmless.text and "1 more are in events.csv" in harmless.text
    kinds = [svg.get("class", "").split()[-1] for svg in harmless.named("svg")]
    drawn = {"of-event": 2 + 1, "timeline": 1, "curves": 2, "histogram": 1}  # of an event and its track, of a track
    assert {kind: kinds.count(kind) for kind in drawn} == drawn
    sources = [picture["src"][:15] for picture in harmless.named("img")]
    assert sources.count("data:image/jpeg") == 3 + 1 + 2 + 1  # event, track, gallery, small frames
    (video,) = harmless.named("video")
    assert (video["src"], video["preload"]) == ("../events/event.mp4", "none")


def test_only_clips_are_loaded_and_they_lie_beside_the_page(harmless: Elements):
    for tag, attributes in harmless.found:
        for name, value in attributes.items():
            if name in ("src", "href", "action", "poster", "srcset", "data", "background"):
                clip = (tag, name) == ("video", "src") and not re.match(r"[a-z]+:|/", value)
                assert tag in ("a", "link") or value.startswith("data:") or clip, (tag, name, value[:60])
    assert all(link["href"] == "data:," for link in harmless.named("link"))
    page = render(report("plain"))
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", page)


def test_the_policy_lets_only_the_page_s_own_script_run(harmless: Elements):
    page = render(report("plain"))
    (policy,) = (m["content"] for m in harmless.named("meta") if m.get("http-equiv") == "Content-Security-Policy")
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; img-src data:; media-src 'self';")
    assert not any(name.startswith("on") for _, attributes in harmless.found for name in attributes)


def test_data_cannot_end_the_script_that_it_is_in():
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', render(report(EVIL)), re.DOTALL)
    assert "<" not in data and json.loads(data)["videos"][0]["id"] == EVIL


def test_links_inside_the_page_lead_to_something(harmless: Elements):
    ids = [attributes["id"] for _, attributes in harmless.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    inside = [link["href"][1:] for link in harmless.named("a") if link["href"].startswith("#")]
    sections = ("events", "tracks", "gallery", "timelines", "scores", "comparison", "details", "run")
    assert {"video-1", *sections} == set(inside)
    assert set(inside) <= set(ids)


def test_only_web_addresses_become_links_out_of_the_page():
    for source, linked in (("https://arxiv.org/abs/1", True), ("javascript:alert(1)", False), ("arXiv 1", False)):
        published = published_table([{"method": "a", "metric": "ap", "value": 0.5, "rank": 1, "source": source}], {})
        plain = report("plain")
        shown = replace(plain, measured=replace(plain.measured, published=published))
        assert (source in [a["href"] for a in Elements(render(shown)).named("a")]) == linked


def test_what_there_is_nothing_of_is_left_out():
    nothing = {"events": None, "gallery": [], "tracks": [], "measured": None, "curves": [], "histograms": {}}
    page = Elements(render(replace(report("plain"), **nothing, thresholds=[], ablation=None, comparison=None)))
    assert [section["id"] for section in page.named("section")] == ["timelines", "details", "run"]
    assert [a["href"] for a in page.named("a")][:3] == ["#timelines", "#details", "#run"]


def test_a_run_without_events_says_so():
    plain = report("plain")
    found = plain.events.found.model_copy(update={"events": []})
    page = Elements(render(replace(plain, events=EventList(found, []))))
    assert "No score of the test videos is above its threshold" in page.text
