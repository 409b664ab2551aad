"""The live page: what it shows while frames come, in a real browser; who may see it; that it holds nothing up."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests import streams
from tests.browser import Browser, browser, needs_browser
from tests.test_report_browser import OUTSIDE, overlapping
from tests.test_report_page import EVIL

from pixelplay import requirements
from pixelplay.config.online import WebConfig
from pixelplay.drawing.annotate import write_clip, write_image
from pixelplay.errors import ConfigError, DataError, InUseError, MissingPackageError
from pixelplay.events.event import Event, EventTrack, Moment
from pixelplay.online.feeds import About
from pixelplay.online.result import Result, ScoredObject
from pixelplay.online.web import server
from pixelplay.online.web.page import LivePage
from pixelplay.online.web.picture import Picture
from pixelplay.online.web.state import EVENTS, POINTS, Accept, LiveState, Seen

CONFIG = WebConfig(host="127.0.0.1", port=0, token=None, timeline=20.0, quality=75)
SOURCE = About("clip", "footage/clip.mp4", fps=10.0, live=False)
SECRET = "correct-horse-battery"
FPS = 10
CHIPS = "[...document.querySelectorAll('#state .chip')].map((one) => one.textContent)"
ROWS = "[...document.querySelectorAll('#list .event')].map((one) => one.dataset.event)"


def frame(position: int) -> np.ndarray:
    """A block that moves by four pixels."""
    image = np.full((120, 160, 3), (70, 90, 80), np.uint8)
    image[50:80, 4 * position % 120 : 4 * position % 120 + 30] = (230, 180, 60)
    return image


def event(name: str, start: float, end: float, **values: object) -> Event:
    moments = {
        key: Moment(frame=round(FPS * at), seconds=at) for key, at in (("start", start), ("end", end), ("peak", start))
    }
    track = EventTrack(track=7, label="bicycle", score=2.5, box=None, path=[])
    about = {"video": "camera", "found_by": ["frames"], "score": 1.5, "stream": "fused", "threshold": 1.0}
    about |= {"tail_probability": 0.002, "contributions": {"conv_ae": 0.25, "objects": 0.75}, "tracks": [track]}
    return Event(id=name, **moments, **{**about, "zones": ["lawn"], "thumbnail": None, "clip": None, **values})


def result(position: int, **values: object) -> Result:
    score, left = 0.2 + 0.01 * (position % 30), float(4 * position % 120)
    objects = [ScoredObject(7, "bicycle", (left, 50.0, left + 30, 80.0), score, False)]
    about = {"number": position, "members": {"conv_ae": score / 2, "objects": 2 * score}, "latency": 0.04}
    made = streams.result(position, position / FPS, frame(position), score=score, objects=objects, **about)
    return replace(made, **values)


class Feeder:
    """Writes a result ten times a second; `next` has fields of the one that comes next."""

    def __init__(self, page: LivePage):
        self.page, self.position = page, 0
        self.next: dict[str, object] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(1 / FPS):
            values, self.next = self.next, {}
            self.page.write(result(self.position, **values))
            self.position += 1

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


@contextmanager
def served(folder: Path, accept: Accept | None = None, live: bool = False, **changes: object) -> Iterator[LivePage]:
    source, config = replace(SOURCE, live=live), CONFIG.model_copy(update=changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKEN", SECRET)
        page = LivePage(config, folder, source, "ped2/night", accept)
    page.address = page.start()
    try:
        yield page
    finally:
        page.close()


@contextmanager
def fed(folder: Path, accept: Accept | None = None) -> Iterator[tuple[LivePage, Feeder]]:
    with served(folder, accept) as page:
        feeder = Feeder(page)
        try:
            yield page, feeder
        finally:
            feeder.stop()


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as one:
        yield one


def ask(
    page: LivePage, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, bytes, http.client.HTTPResponse]:
    host = page.address.removeprefix("http://").strip("/")
    connection = http.client.HTTPConnection("127.0.0.1", int(host.rpartition(":")[2]), timeout=10)
    connection.request(method, path, headers={"Host": host, **(headers or {})})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, answer


# --- in a browser, while frames come ----------------------------------------------------------------------------------


@needs_browser
def test_the_picture_and_the_timeline_move_while_frames_come(chrome: Browser, tmp_path: Path):
    picture = "document.querySelector('#picture').toDataURL()"
    line = "document.querySelector('#timeline path.fused')?.getAttribute('d') ?? ''"
    with fed(tmp_path) as (page, _):
        chrome.complaints.clear()
        chrome.visit(page.address)
        chrome.wait("page.status?.frames > 0 && document.querySelector('#picture').width === 640")
        first = chrome.ask(picture)
        chrome.wait(f"{picture} !== {json.dumps(first)}")
        chrome.wait(f"({line}).length > 20")
        drawn = chrome.ask(line)
        chrome.wait(f"({line}) !== {json.dumps(drawn)}")
        assert chrome.ask("document.querySelector('#run').textContent") == "ped2/night"
        assert chrome.ask(CHIPS) == ["live"]
        assert chrome.ask("document.querySelector('#latency').textContent") == "40 ms"
        assert chrome.ask("document.querySelector('#threshold').textContent") == "threshold 1"
        chrome.wait("Number(document.querySelector('#fps').textContent) > 5")
    assert chrome.complaints == []


@needs_browser
def test_the_timeline_has_the_scores_and_a_member_s_line_when_it_is_asked_for(chrome: Browser, tmp_path: Path):
    with served(tmp_path) as page:
        for position in range(40):
            page.write(result(position))
        chrome.visit(page.address)
        chrome.wait("document.querySelectorAll('#timeline path.line').length === 2")
        assert chrome.ask("page.lines.seconds") == [position / 10 for position in range(40)]
        assert chrome.ask("page.lines.score") == pytest.approx([0.2 + 0.01 * (i % 30) for i in range(40)])
        chrome.click_on("#lines button")
        assert chrome.ask("document.querySelectorAll('#timeline path[data-label=\"conv_ae\"]').length") == 1
        chrome.click_on("#lines button")
        assert chrome.ask("document.querySelectorAll('#timeline path.line').length") == 2


@needs_browser
def test_an_event_appears_is_over_and_its_thumbnail_and_clip_are_shown(chrome: Browser, tmp_path: Path):
    chips = "[...document.querySelectorAll('#list .chip')].map((one) => one.textContent)"
    with fed(tmp_path) as (page, feeder):
        chrome.complaints.clear()
        chrome.visit(page.address)
        chrome.wait("page.status?.frames > 0")
        assert chrome.ask(ROWS) == []
        feeder.next = {"started": [event("camera_1", 0.5, 0.7)], "alarm": True, "score": 1.4}
        chrome.wait(f"({ROWS}).length === 1")
        assert chrome.ask(chips) == ["going on", "found by frames", "zone lawn"]
        assert chrome.ask("document.querySelectorAll('#list button').length") == 0
        feeder.next = {"ended": [event("camera_1", 0.5, 2.0)], "started": [event("camera_2", 2.5, 2.5)]}
        chrome.wait(f"({ROWS}).length === 2")
        assert chrome.ask(ROWS) == ["camera_2", "camera_1"], "newest first"
        row = "document.querySelector('[data-event=camera_1]')"
        assert chrome.ask(f"{row}.querySelector('h3').textContent") == "0:00.5 to 0:02.0, 1.5 s"
        shares = f"[...{row}.querySelectorAll('.shares li')].map((one) => one.innerText.replace(/\\s+/g, ' '))"
        assert chrome.ask(shares) == ["objects 75 %", "conv_ae 25 %"]
        assert "bicycle, track 7 (2.5)" in chrome.ask(f"{row}.innerText")
        write_image(tmp_path / "events/camera_1.jpg", frame(3))
        chrome.wait(f"{row}.querySelector('img')?.naturalWidth === 160")
        write_clip(tmp_path / "events/camera_1.mp4", [frame(i) for i in range(20)], FPS)
        chrome.wait(f"{row}.querySelector('video') !== null")
        chrome.ask(f"{row}.querySelector('video').play()")
        chrome.wait(f"{row}.querySelector('video').currentTime > 0.2")
        assert chrome.ask(f"{row}.querySelector('video').duration") == 2
    assert chrome.complaints == []


@needs_browser
def test_the_button_accepts_an_event_and_a_refusal_is_shown(chrome: Browser, tmp_path: Path):
    accepted: list[str] = []

    def accept(name: str) -> list[str]:
        if name == "bad":
            raise DataError("event bad: <b>no vectors</b>")
        accepted.append(name)
        return ["2 <b>objects</b>"]

    with served(tmp_path, accept) as page:
        page.write(result(0, ended=[event("bad", 0.1, 0.4), event("good", 0.5, 0.9)]))
        chrome.visit(page.address)
        chrome.wait(f"({ROWS}).length === 2")
        chrome.click_on("[data-event=good] button")
        chrome.wait("document.querySelector('[data-event=good].accepted') !== null")
        assert chrome.ask("document.querySelector('[data-event=good]').innerText").count("accepted as normal") == 1
        chrome.wait("document.querySelector('[data-event=good]').innerText.includes('2 <b>objects</b>')")
        assert chrome.ask("document.querySelector('[data-event=good] button')") is None
        chrome.click_on("[data-event=bad] button")
        chrome.wait("document.querySelector('[data-event=bad] .remark') !== null")
        assert chrome.ask("document.querySelector('[data-event=bad] .remark').textContent") == (
            "event bad: <b>no vectors</b>"
        )
        chrome.visit(page.address)
        chrome.wait("document.querySelector('[data-event=good].accepted') !== null")
    assert accepted == ["good"]


@needs_browser
def test_times_of_a_live_source_are_times_of_day(chrome: Browser, tmp_path: Path):
    page = LivePage(CONFIG, tmp_path, replace(SOURCE, live=True), "run")
    page.write(result(3600 * FPS, ended=[event("x", 3590, 3595)]))
    chrome.visit(page.start())
    chrome.wait(f"({ROWS}).length === 1")
    shown = "document.querySelector('#time').textContent"
    times = [f"new Date(Date.now() - {1000 * ago}).toTimeString().slice(0, 8)" for ago in range(120)]
    assert chrome.ask(f"[{','.join(times)}].indexOf({shown})") >= 0, chrome.ask(shown)
    began, seconds = chrome.ask("page.status.began"), chrome.ask("page.status.seconds")
    assert began + seconds == pytest.approx(time.time(), abs=120)
    told = [chrome.ask(f"new Date({1000 * (began + at)}).toTimeString().slice(0, 8)") for at in (3590, 3595)]
    assert chrome.ask("document.querySelector('#list h3').textContent") == f"{told[0]} to {told[1]}, 5.0 s"
    page.close()


@needs_browser
@pytest.mark.parametrize("width", [1400, 390])
def test_nothing_covers_another_or_sticks_out_in_light_and_dark(chrome: Browser, tmp_path: Path, width: int):
    long = "a-name-without-any-space-that-is-longer-than-a-small-screen-is-wide"
    with served(tmp_path, print, live=True) as page:
        for position in range(60):
            page.write(
                result(position, dropped=1000, members={"conv_ae": 0.3, long: 0.4, **{f"m{i}": 0 for i in range(9)}})
            )
        page.write(result(60, ended=[event("x", 1, 2, zones=[long], contributions={long: 1.0})], alarm=True))
        page.write(result(61, started=[event("y", 3, 4)], alarm=True))
        shots = {}
        for scheme in ("light", "dark"):
            chrome.media("screen", scheme)
            chrome.visit(page.address, width)
            chrome.wait(f"({ROWS}).length === 2 && document.querySelector('#timeline path') !== null")
            assert chrome.ask("document.documentElement.scrollWidth") <= width
            assert (chrome.ask(OUTSIDE), overlapping(chrome)) == ([], [])
            shots[scheme] = cv2.imdecode(np.frombuffer(chrome.picture(), np.uint8), cv2.IMREAD_COLOR)
        chrome.media()
    assert (shots["light"][300, 5] > 250).all() and (shots["dark"][300, 5] < 40).all()


@needs_browser
def test_markup_from_data_is_shown_and_not_run(chrome: Browser, tmp_path: Path):
    track = EventTrack(track=1, label=EVIL, score=1.0, box=None, path=[])
    page = LivePage(CONFIG, tmp_path, replace(SOURCE, shown=EVIL), EVIL, print)
    page.write(result(0, members={EVIL: 1.0}))
    page.write(result(1, ended=[event("x", 0, 1, contributions={EVIL: 1.0}, zones=[EVIL], tracks=[track])]))
    address = page.start()
    chrome.complaints.clear()
    chrome.visit(address)
    chrome.wait(f"({ROWS}).length === 1")
    assert chrome.ask("document.querySelector('#run').textContent") == EVIL
    assert chrome.ask("document.querySelector('#list').innerText").count(EVIL) == 3
    assert chrome.ask("document.scripts.length") == 1
    assert chrome.complaints == []
    page.close()


@needs_browser
def test_the_page_says_that_the_source_is_cut_and_that_the_run_has_ended(chrome: Browser, tmp_path: Path):
    with served(tmp_path) as page:
        page.write(result(0))
        chrome.visit(page.address)
        chrome.wait(f"({CHIPS})[0] === 'live'")
        chrome.wait(f"({CHIPS})[0].startsWith('no frame for ')")  # after some seconds
        page.write(result(1, started=[event("x", 0.0, 0.1)]))
        chrome.wait(f"({CHIPS})[0] === 'live' && ({ROWS}).length === 1")
        page.end([event("x", 0.0, 0.1)])
    chrome.wait(f"({CHIPS})[0] === 'ended'")
    assert chrome.ask("document.querySelector('#list .chip').textContent") == "over"


# --- what goes over the wire ------------------------------------------------------------------------------------------


def test_what_is_asked_for_by_range_comes_as_that_part(tmp_path: Path):
    with served(tmp_path) as page:
        page.write(result(0, ended=[event("x", 0, 1)]))
        assert ask(page, "/events/x.mp4")[0] == 404
        (tmp_path / "events").mkdir()
        (tmp_path / "events/x.mp4").write_bytes(bytes(range(200)))
        status, body, answer = ask(page, "/events/x.mp4", headers={"Range": "bytes=50-99"})
        assert (status, body) == (206, bytes(range(50, 100)))
        assert answer.headers["Content-Range"] == "bytes 50-99/200"
        assert answer.headers["Content-Type"] == "video/mp4"


def test_only_pictures_and_clips_of_listed_events_are_served(tmp_path: Path):
    of_events = ("", "y.mp4", "x.npz", "..%2Fsecret.jpg", "../secret.jpg", "%2e%2e/secret.jpg")
    with served(tmp_path) as page:
        page.write(result(0, ended=[event("x", 0, 1), event("../secret", 0, 1)]))
        (tmp_path / "events").mkdir()
        for name in ("secret.jpg", "events/y.mp4", "events/x.npz"):
            (tmp_path / name).write_bytes(b"secret")
        for path in (*(f"/events/{name}" for name in of_events), "/secret.jpg", "/docs", "/openapi.json"):
            status, body, _ = ask(page, path)
            assert status == 404 and b"secret" not in body, path


def test_other_names_of_the_server_are_refused(tmp_path: Path):
    """A site whose name is bound to 127.0.0.1 gets nothing."""
    with served(tmp_path) as page:
        page.write(result(0))
        port = page.address.rpartition(":")[2].strip("/")
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "localhost:9000"):
            assert ask(page, "/", headers={"Host": host})[0] == 200, host
        for host in (f"evil.example:{port}", "evil.example", "127.0.0.1.evil.example", "192.168.0.7", "[", ""):
            for path in ("/", "/picture", "/live.js"):
                assert ask(page, path, headers={"Host": host})[0] == 400, host


def test_only_the_page_itself_accepts_events(tmp_path: Path):
    accepted: list[str] = []
    with served(tmp_path, accepted.append) as page:
        page.write(result(0, ended=[event("x", 0, 1)], started=[event("y", 1, 1)]))
        own = page.address.strip("/")
        for origin in ({}, {"Origin": "null"}, {"Origin": "http://evil.example"}, {"Origin": "http://127.0.0.1:1"}):
            assert ask(page, "/accept/x", "POST", origin)[0] == 403
        assert ask(page, "/accept/x", "GET", {"Origin": own})[0] == 405
        assert accepted == []
        assert ask(page, "/accept/nothing", "POST", {"Origin": own})[0] == 409
        assert ask(page, "/accept/y", "POST", {"Origin": own})[:2] == (
            409,
            b'{"problem":"This event is still going on."}',
        )
        assert ask(page, "/accept/x", "POST", {"Origin": own})[:2] == (200, b'{"problem":null}')
        assert ask(page, "/accept/x", "POST", {"Origin": own})[0] == 200
    assert accepted == ["x"]


def test_with_a_token_nothing_is_served_without_it(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", logger="pixelplay")
    with served(tmp_path, token="$TOKEN") as page:
        page.write(result(0))
        for path in ("/", "/picture", "/updates", "/live.js", "/?token=", "/?token=wrong", f"/picture?token={SECRET}"):
            assert ask(page, path)[0] == 401, path
        status, body, answer = ask(page, f"/?token={SECRET}")
        assert status == 200 and b"<canvas" in body
        cookie = answer.headers["Set-Cookie"]
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict") and SECRET not in cookie
        assert ask(page, "/picture", headers={"Cookie": cookie.partition(";")[0]})[0] == 200
        assert ask(page, "/picture", headers={"Cookie": cookie.partition(";")[0] + "0"})[0] == 401
    assert SECRET not in caplog.text
    assert f"live page: {page.address}?token=…" in caplog.text


def test_every_answer_forbids_what_the_page_does_not_need(tmp_path: Path):
    with served(tmp_path) as page:
        for path in ("/", "/live.css", "/nothing"):
            headers = ask(page, path)[2].headers
            assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src")
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "http" not in ask(page, "/")[1].decode().replace("http-equiv", "")


# --- the process around it --------------------------------------------------------------------------------------------


def silent(address: str, path: str) -> socket.socket:
    """A client that asks and reads nothing, with little room for what comes."""
    port = int(address.rpartition(":")[2].strip("/"))
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", port))
    one.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return one


def drain(one: socket.socket) -> None:
    """Read to the end, which must come within a minute."""
    one.settimeout(60)
    with suppress(ConnectionResetError):
        while one.recv(1 << 16):
            pass
    one.close()


def test_clients_that_read_nothing_delay_no_frame_and_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "PATIENCE", 2.0)
    members = {f"member {i} {'x' * 2000}": 0.5 for i in range(50)}  # 100 kB in each update
    with served(tmp_path) as page:
        stuck = silent(page.address, "/updates")
        mute = socket.create_connection(("127.0.0.1", stuck.getpeername()[1]))  # asks for nothing
        slowest, end, position, dropped = 0.0, time.monotonic() + 60, 0, False
        while time.monotonic() < end and not dropped:
            start = time.perf_counter()
            page.write(result(position, members=members))
            slowest, position = max(slowest, time.perf_counter() - start), position + 1
            time.sleep(0.02)
            dropped = not page._server.server_state.connections and position > 20
        assert dropped and slowest < 1.5
        drain(stuck)
        drain(mute)
        assert ask(page, "/picture")[0] == 200


def test_closing_ends_all_threads_and_connections_at_once(tmp_path: Path):
    before = set(threading.enumerate())
    with served(tmp_path) as page:
        page.write(result(0))
        assert ask(page, "/picture")[0] == 200
        clients = [silent(page.address, path) for path in ("/updates", "/", "/updates")]
        clients[2].recv(10)
        start = time.monotonic()
    assert time.monotonic() - start < server.PATIENCE / 2
    while set(threading.enumerate()) - before:  # those of AnyIO end by themselves, when their loop has
        assert time.monotonic() - start < 60, threading.enumerate()
        time.sleep(0.01)
    for one in clients:
        drain(one)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(page.address.rpartition(":")[2].strip("/"))))


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_signals_stay_the_process_s_own(kind: signal.Signals, tmp_path: Path):
    got: list[int] = []
    before = signal.signal(kind, lambda number, _frame: got.append(number))
    try:
        with served(tmp_path) as page:
            os.kill(os.getpid(), kind)
            assert got == [kind]
            assert ask(page, "/")[0] == 200
    finally:
        signal.signal(kind, before)


def test_a_port_in_use_is_refused_by_the_key_s_name(tmp_path: Path):
    with served(tmp_path) as page:
        port = int(page.address.rpartition(":")[2].strip("/"))
        other = LivePage(CONFIG.model_copy(update={"port": port}), tmp_path, SOURCE, "run")
        with pytest.raises(InUseError, match=rf"^online.web.port={port}: another program .* online.web.port=0 "):
            other.start()
    LivePage(CONFIG, tmp_path, SOURCE, "run").close()  # never started


def test_without_its_packages_the_page_is_refused_with_the_command_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def version(name: str) -> str:
        if name == "fastapi":
            raise PackageNotFoundError(name)
        return "99"

    monkeypatch.setattr(requirements, "version", version)
    with pytest.raises(MissingPackageError, match=r"fastapi>=\S+ +not installed\n(?s:.*) -m pip install 'fastapi>="):
        LivePage(CONFIG, tmp_path, SOURCE, "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": "192.0.2.1"}, r"^online.web.host=192.0.2.1, online.web.port=0: "),
        ({"host": "no-such-name.invalid"}, r"^online.web.host=no-such-name.invalid: no address is known for it"),
        ({"token": "$SHORT"}, r"^online.web.token: the environment variable SHORT has 5 characters"),
        ({"token": "$MISSING"}, r"^online.web.token: the environment variable MISSING is not set"),
    ],
)
def test_what_can_not_be_served_is_refused_by_the_key_s_name(
    changes: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SHORT", "12345")
    with pytest.raises(ConfigError, match=message):
        LivePage(CONFIG.model_copy(update=changes), tmp_path, SOURCE, "run").start()


# --- what is kept -----------------------------------------------------------------------------------------------------


NOTHING = Seen()


def scores_of(state: LiveState, seen: Seen = NOTHING) -> tuple[list[float], list[float], Seen]:
    message, now = state.update(seen)
    return message["points"]["seconds"], message["points"]["score"], now


def test_a_reader_gets_what_is_new_and_all_of_it_where_time_goes_back(tmp_path: Path):
    state = LiveState(tmp_path, timeline=10.0)
    for position in (0, 1, 2):
        state.add(result(position))
    seconds, scores, seen = scores_of(state)
    assert (seconds, scores) == ([0.0, 0.1, 0.2], [0.2, 0.21, 0.22])
    state.add(result(3))
    assert scores_of(state, seen)[0] == [0.2, 0.3], "the last one again: it may have changed"
    state.add(result(110))
    assert scores_of(state)[0] == [11.0], "ten seconds"
    state.add(result(5))
    message, _ = state.update(seen)
    assert message["again"] and message["points"]["seconds"] == [0.5]


def test_frames_on_one_point_of_the_timeline_show_the_highest_of_them(tmp_path: Path):
    state = LiveState(tmp_path, timeline=3600.0)  # points of 0.9 s
    for seconds, score in ((0.0, 0.3), (0.5, 0.7), (0.8, 0.1), (0.9, 0.2)):
        state.add(result(0, seconds=seconds, score=score))
    assert scores_of(state)[:2] == ([0.5, 0.9], [0.7, 0.2])


def test_what_is_kept_does_not_grow(tmp_path: Path):
    """6,000 of the frames are of the last minute: more than there are points."""
    state, one = LiveState(tmp_path, timeline=60.0), result(0)
    for i in range(8000):
        ended = [event(f"e{i}", i / 100, i / 100)] if i % 50 == 0 else ()
        state.add(replace(one, seconds=i / 100, ended=ended))
    message, _ = state.update(Seen())
    assert POINTS - 2 <= len(message["points"]["slots"]) <= POINTS + 1
    assert [one["id"] for one in message["events"]] == [f"e{50 * i}" for i in range(160 - EVENTS, 160)]
    assert message["status"]["frames"] == 8000


def test_frames_per_second_and_dropped_frames_are_counted(tmp_path: Path):
    now = [0.0]
    state = LiveState(tmp_path, timeline=600.0, clock=lambda: now[0])
    for i in range(9):
        state.add(result(i, dropped=2))
        now[0] += 0.25
    status = state.update(Seen())[0]["status"]
    assert (status["fps"], status["dropped"], status["silent_for"]) == (4.0, 18, 0.25)


def test_scores_that_are_no_numbers_are_left_out_of_the_message(tmp_path: Path):
    state = LiveState(tmp_path, timeline=600.0)
    state.add(result(0, score=float("nan"), threshold=None, members={"a": float("inf")}))
    message, _ = state.update(Seen())
    points = json.loads(json.dumps(message, allow_nan=False))["points"]
    assert (points["score"], points["threshold"], points["members"]) == ([None], [None], {"a": [None]})


def test_the_picture_has_the_boxes_and_is_no_larger_than_a_page_needs():
    black = np.zeros((1080, 1920, 3), np.uint8)
    box = ScoredObject(4, "dog", (480.0, 270.0, 960.0, 540.0), 2.0, True)
    one = result(0, image=black, objects=[box])
    data = Picture(lambda: one, 95).jpeg()
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image.shape == (540, 960, 3)
    lit = np.argwhere(image.max(axis=2) > 100)
    assert lit[:, 1].min() == pytest.approx(240, abs=2) and lit[:, 0].max() == pytest.approx(270, abs=2)


def test_a_frame_is_drawn_once_for_all_readers(tmp_path: Path):
    one = result(0)
    picture = Picture(lambda: one, 75)
    assert picture.jpeg() is picture.jpeg()
    assert Picture(lambda: None, 75).jpeg() is None
