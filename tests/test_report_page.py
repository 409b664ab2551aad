"""The page: self-contained, its text escaped, its parts left out where there is nothing to show."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.test_report_charts import scored

from pixelplay.drawing.annotate import encoded
from pixelplay.evaluation.comparison import Compared, Comparison, Difference
from pixelplay.evaluation.figures import Figures
from pixelplay.report.distributions import histogram, precision_recall_chart, roc_chart
from pixelplay.report.manifest import Moment, PicturedTrack
from pixelplay.report.manifest import Scale as Ramp
from pixelplay.report.page import Ablation, GalleryItem, Report, TrackItem, Tracks, VideoPanel, render
from pixelplay.report.tables import other_tables, score_tables
from pixelplay.report.timelines import Scale, timeline
from pixelplay.report.tracks import ScoredTrack, track_charts
from pixelplay.run.stage import Record

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}&amp;</style>"
PICTURE = "data:image/jpeg;base64," + base64.b64encode(encoded(np.zeros((9, 16, 3), np.uint8))).decode()
VOID = {"meta", "link", "img"}


class Elements(HTMLParser):
    """Every element's name and attributes, all text, and the names that are open at the end."""

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
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def report(text: str) -> Report:
    """A report with everything in it; every text from data is `text`."""
    one = replace(
        scored([1, 2, 3], [0, 1, 2], labels=[0, 1, 1], flipped=(0,), noisy=(2,), **{text: [1, 1, 0]}), video=text
    )
    figures = {
        "ap": 0.5,
        text: text,
        "intervals": {"ap": [0.4, 0.6]},
        "streams": {text: {"ap": 0.4}},
        "raw": {"ap": 0.3},
    }
    metrics = {"detectors": {text: figures}, "fused": {"ap": 0.6}, "published": [{"method": text, "source": text}]}
    of_detector = {"detector": text, "picture": "a.jpg"}
    moment = Moment(video=text, frame=3, picture="a.jpg", boxes=[text], heat=[of_detector], neighbours=[])
    item = GalleryItem(1, moment, one, 2, PICTURE, [(text, PICTURE)])
    pictured = PicturedTrack(
        video=text, track=7, label=text, first=1, peak=2, last=3, interpolated=[2], picture="b.jpg"
    )
    track = ScoredTrack(pictured, one, np.array([1, 2, 3]), np.array([0, 0.5, 0]), {text: np.array([0, 1.0, 0])})
    lines = {text: "s0", "objects": "fused"}
    line = {text: (np.array([0.0, 1.0]), np.array([0.0, 1.0]))}
    record = Record.model_construct(seconds=3.0, finished=text)
    table = score_tables(metrics)[0]
    differences = {"ap": Difference(0.1, -0.2, 0.3)}
    compared = Compared(text, [text], Figures(None, 0.5, 0.5, None, 3), differences, text)
    comparison = Comparison([compared], level=0.95, draws=1000)
    return Report(
        title=text,
        subtitle=text,
        headline=[(text, text)],
        scores=score_tables(metrics),
        other_figures=other_tables(metrics),
        thresholds=[(text, "data:image/png;base64,")],
        tracks=Tracks([TrackItem(1, track, PICTURE, track_charts([track], lines)[0])], [*lines.items()]),
        videos=[VideoPanel(text, [text], timeline(one, Scale.of([one]), {1: 2}), "clips/a.mp4")],
        streams=[(text, "s0")],
        one_scale=True,
        gallery=[item],
        color_scales=[Ramp(text=text, low=text, high=text, colors=["#000000", "#ffffff"])],
        curves=[roc_chart(line), precision_recall_chart(line, 0.5)],
        curve_key=[(text, "s0")],
        histograms={text: histogram(text, {"test": np.arange(9.0)}, "histogram-0")},
        ablation=Ablation([text], [table, replace(table, title=text)], [(text, "data:image/png;base64,")]),
        comparison=comparison,
        run=[(text, text)],
        machine=[(text, text)],
        versions=[(text, text)],
        stages={text: record},
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
    assert "49" not in evil.text.replace("plain", "")


def test_every_text_of_the_report_is_on_the_page(harmless: Elements):
    page = render(report("plain"))
    assert harmless.open == []
    assert page.count("plain") > 40
    assert len(harmless.named("svg")) == 1 + 1 + 2 + 1 + 2 + 1 + 1 + 1  # track, video, two curves, histogram, keys
    assert [picture["src"][:15] for picture in harmless.named("img")] == ["data:image/png;"] + [
        "data:image/jpeg"
    ] * 3 + ["data:image/png;"]


def test_nothing_is_loaded_from_anywhere(harmless: Elements):
    for tag, attributes in harmless.found:
        for name, value in attributes.items():
            if name in ("src", "href", "action", "poster", "srcset", "data", "background"):
                assert tag in ("a", "link") or value.startswith("data:"), (tag, name, value[:60])
    assert all(link["href"] == "data:," for link in harmless.named("link"))
    page = render(report("plain"))
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", page)


def test_the_policy_lets_only_the_page_s_own_script_run(harmless: Elements):
    page = render(report("plain"))
    (policy,) = (m["content"] for m in harmless.named("meta") if m.get("http-equiv") == "Content-Security-Policy")
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not any(name.startswith("on") for _, attributes in harmless.found for name in attributes)


def test_links_inside_the_page_lead_to_something(harmless: Elements):
    ids = [attributes["id"] for _, attributes in harmless.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    inside = [link["href"][1:] for link in harmless.named("a") if link["href"].startswith("#")]
    sections = ("scores", "tracks", "videos", "gallery", "curves", "histograms", "ablation", "comparison", "run")
    assert {"peak-1", "video-1", *sections} == set(inside)
    assert set(inside) <= set(ids)


def test_only_web_addresses_become_links_out_of_the_page():
    for source, linked in (("https://arxiv.org/abs/1", True), ("javascript:alert(1)", False), ("arXiv 1", False)):
        tables = other_tables({"published": [{"method": "a", "source": source}]})
        links = [a["href"] for a in Elements(render(replace(report("plain"), other_figures=tables))).named("a")]
        assert (source in links) == linked


def test_what_there_is_nothing_of_is_left_out():
    empty = replace(
        report("plain"),
        scores=[],
        other_figures=[],
        thresholds=[],
        tracks=None,
        gallery=[],
        curves=[],
        histograms={},
        ablation=None,
        comparison=None,
    )
    page = Elements(render(empty))
    assert [section["id"] for section in page.named("section")] == ["videos", "run"]
    assert [a["href"] for a in page.named("a")][:2] == ["#videos", "#run"]


def test_the_page_is_the_same_each_time():
    assert render(report("plain")) == render(report("plain"))
