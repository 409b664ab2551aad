"""The page in a real browser, without a network: no error, every picture decodes, charts have a size, hovering works.

A headless Chromium or Chrome on the PATH is used; without one the tests are skipped, but under CI=true they fail.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.reports import tiny
from tests.test_report_page import EVIL, report
from tests.test_report_stage import SCRIPT

from pixelplay.report.page import render
from pixelplay.stages import explain
from pixelplay.stages import report as stage

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
MISSING = "no chromium, google-chrome or chrome on the PATH"
pytestmark = pytest.mark.skipif(BROWSER is None and os.environ.get("CI") != "true", reason=MISSING)

# What is seen of the page, told by its title; put into a copy whose policy lets it run.
PROBE = """
const charts = [...document.querySelectorAll("svg.chart")];
const images = [...document.images];
const target = document.querySelector("svg.timeline");
target?.scrollIntoView();
const box = target?.getBoundingClientRect();
target?.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + box.width / 2, clientY: box.top + 40}));
const readout = document.querySelector("#readout");
const shown = readout.hidden ? "" : readout.innerText;
target?.dispatchEvent(new PointerEvent("pointerleave"));
document.title = JSON.stringify({
  images: images.map((one) => [one.complete, one.naturalWidth, one.getBoundingClientRect().width]),
  charts: charts.map((one) => [one.getBoundingClientRect().width, one.getBoundingClientRect().height]),
  lines: [...document.querySelectorAll("svg.chart path.line")].map((one) => one.getTotalLength()),
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  readout: shown,
  hiddenAfter: readout.hidden,
  ink: getComputedStyle(document.body).color,
});
"""


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a file headless; what it logs is in stderr."""
    assert BROWSER, f"{MISSING}; .ci/run installs it"
    profile = page.parent / f"profile-{page.stem}"
    fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
    quiet = ["--enable-logging=stderr", "--v=0", "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1280,900"]
    command = [BROWSER, *fixed, *quiet, *options, page.resolve().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines that the page's console got: errors, violations of its policy, failed loads."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def probed(page: Path, *options: str) -> dict:
    """What PROBE finds on a copy of the page."""
    text = page.read_text()
    copy = page.with_name("probed.html")
    text = re.sub(r"script-src '[^']+'", "script-src 'unsafe-inline'", text)
    copy.write_text(text.replace("</body>", f"<script>addEventListener('load', () => {{{PROBE}}});</script></body>"))
    dom = browse(copy, "--dump-dom", *options).stdout
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)[1]
    return json.loads(title.replace("&quot;", '"').replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


def test_the_console_check_notices_errors_and_loads(tmp_path: Path):
    bad = tmp_path / "bad.html"
    bad.write_text("<script>undefinedFunction()</script>")
    assert "undefinedFunction is not defined" in "".join(complaints(browse(bad, "--dump-dom")))
    text = render(report("plain")).replace("</main>", "<script>1</script><img src='https://example.org/a.png'></main>")
    bad.write_text(text)
    found = "".join(complaints(browse(bad, "--dump-dom")))
    assert "script-src" in found and "img-src" in found  # the page's policy refuses both


def test_the_page_of_a_run_opens_without_a_complaint_and_all_of_it_is_there(reported: Path):
    page = reported / "outputs/tiny/report/index.html"
    assert complaints(browse(page, "--dump-dom")) == []
    seen = probed(page)
    thresholds = len(list((reported / "outputs/tiny/thresholds").glob("*.png")))
    assert thresholds and len(seen["images"]) == thresholds + 4 * 3
    assert all(complete and natural >= 200 and width > 50 for complete, natural, width in seen["images"])
    assert len(seen["charts"]) == 3 + 2 + 3
    assert all(width > 200 and height > 100 for width, height in seen["charts"])
    assert len(seen["lines"]) == 3 * 3 + 2 * 4 + 3 * 3
    assert min(seen["lines"]) > 10
    assert seen["wide"] == 0  # no scrolling sideways on a laptop


def test_hovering_over_a_chart_tells_the_frame_and_the_scores_there(reported: Path):
    import pandas as pd

    seen = probed(reported / "outputs/tiny/report/index.html")
    head, *rows = seen["readout"].split("\n")
    frame = int(re.fullmatch(r"frame (\d+)", head)[1])
    table = pd.read_parquet("outputs/tiny/fused.parquet").query("split == 'test'")
    first = table[(table["video"] == table["video"].iloc[0]) & (table["frame"] == frame)].set_index("stream")["score"]
    shown = dict(zip(rows[::2], map(float, rows[1::2]), strict=True)) if len(rows) == 6 else _pairs(rows)
    assert set(shown) == {"conv_ae", "st_ae", "fused"}
    for stream, value in shown.items():
        assert value == pytest.approx(first[stream], abs=0.05)
    assert seen["hiddenAfter"]


def test_hovering_over_the_curve_of_a_track_tells_the_scores_of_its_object(tmp_path: Path):
    page = tmp_path / "page.html"
    page.write_text(render(report("plain")))  # its first chart is of a track: frames 1 to 3, scores 0, 0.5 and 0
    seen = probed(page)
    assert re.findall(r"[a-z]+|[\d.]+", seen["readout"]) == ["frame", "2", "plain", "1.00", "objects", "0.50"]
    assert complaints(browse(page, "--dump-dom")) == []
    assert probed(page, "--window-size=500,900")["wide"] == 0


def _pairs(rows: list[str]) -> dict[str, float]:
    return {name: float(value) for name, value in (re.fullmatch(r"(\w+?)\s*(-?[\d.]+)", row).groups() for row in rows)}


def test_markup_in_names_is_shown_and_not_run(tmp_path: Path):
    for i, text in enumerate((EVIL, SCRIPT, "</title><script>document.title = 'owned'</script>")):
        page = tmp_path / f"evil{i}.html"
        page.write_text(render(report(text)))
        done = browse(page, "--dump-dom")
        assert not [line for line in complaints(done) if "alert" in line or "Refused" in line]
        assert "owned" not in re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1].replace("'owned'", "")
        assert done.stdout.count("<script>") == 1


def test_light_and_dark_differ_and_thumbnails_and_charts_are_painted(reported: Path, tmp_path: Path):
    shots = {}
    for name, scheme in (("light", 1), ("dark", 0)):
        target = tmp_path / f"{name}.png"
        options = (f"--screenshot={target}", f"--blink-settings=preferredColorScheme={scheme}", "--hide-scrollbars")
        browse(reported / "outputs/tiny/report/index.html", *options, "--window-size=1280,4200")
        shots[name] = cv2.imread(str(target))
    assert (shots["light"][300, 5] > 250).all() and (shots["dark"][300, 5] < 40).all()
    for image in shots.values():
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 5000  # photographs, not only type and lines


def test_the_page_prints(reported: Path, tmp_path: Path):
    target = tmp_path / "page.pdf"
    browse(reported / "outputs/tiny/report/index.html", "--no-pdf-header-footer", f"--print-to-pdf={target}")
    data = target.read_bytes()
    assert data.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) >= 3


def test_a_report_without_a_gallery_opens_too(reported: Path):
    for made in (explain, stage):
        made.run(tiny("report.gallery=0"))
    page = reported / "outputs/tiny/report/index.html"
    assert complaints(browse(page, "--dump-dom")) == []
    assert len(probed(page)["images"]) == len(list((reported / "outputs/tiny/thresholds").glob("*.png")))
