"""Sinks of events: files, a web server that hangs, fails or hangs up, an MQTT broker; none of them stops the sender."""

import csv
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError
from pixelplay.events.event import Event, Events
from pixelplay.events.sinks.delivery import Delivery, NotDeliveredError
from pixelplay.events.sinks.files import CsvRows, JsonLines
from pixelplay.events.sinks.sending import Sinks, open_sinks
from pixelplay.events.sinks.settings import DeliveryConfig, SinksConfig
from pixelplay.events.sinks.webhook import Webhook, filled
from pixelplay.preconditions import require_all
from pixelplay.run.files import RunFiles
from pixelplay.settings import validate
from pixelplay.stages.events import send
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

LONG = 60.0  # seconds that a busy machine may take
QUICK = {"queue": 100, "per_second": 1000.0, "attempts": 4, "backoff": 0.01, "max_backoff": 0.05, "patience": LONG}
WEBHOOK = {"url": None, "token": None, "timeout": LONG}
MQTT = {"host": None, "port": 1883, "topic": "a/b", "tls": False, "username": None, "password": None, "timeout": LONG}


def settings(sinks: list[str], **changed: dict[str, Any]) -> SinksConfig:
    parts = {"delivery": QUICK, "jsonl": {"file": None}, "csv": {"file": None}, "webhook": WEBHOOK, "mqtt": MQTT}
    values = {name: {**part, **changed.get(name, {})} for name, part in parts.items()}
    return validate(SinksConfig, {"sinks": sinks, **values}, "events")


def event(number: int) -> dict[str, Any]:
    moment = {"frame": number, "seconds": None}
    track = {"track": 3, "label": "person", "score": 0.5, "box": [1.0, 2.0, 3.0, 4.0], "path": [[number, 2.0, 4.0]]}
    values = {"id": f"e{number}", "video": "01", "found_by": ["objects"], "stream": "objects", "score": 0.5}
    values |= {"threshold": 0.25, "tail_probability": None, "contributions": {}, "zones": ["a", "b"], "tracks": [track]}
    moments = dict.fromkeys(("start", "end", "peak"), moment)
    return {"run": "ped2/x", **values, **moments, "thumbnail": None, "clip": None}


class Server(ThreadingHTTPServer):
    """Keeps what arrives; `answer` is asked for the status of each request, None hangs up without one."""

    daemon_threads = True

    def __init__(self, answer: Callable[[int], int | None]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.bodies, self.headers = answer, [], []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(body))
        self.server.headers.append(dict(self.headers))
        status = self.server.answer(len(self.server.bodies))
        if status is not None:
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[int], int | None]], Server]]:
    servers = []

    def start(answer: Callable[[int], int | None]) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines_are_added_to_what_is_there_and_an_unfinished_line_stays_apart(tmp_path: Path):
    path = tmp_path / "new/a.jsonl"
    JsonLines(path).write(event(1))
    with open(path, "ab") as file:
        file.write(b'{"id": "e2", "sta')  # a process was killed here
    JsonLines(path).write(event(3))
    first, torn, last = path.read_text().splitlines()
    assert [json.loads(first), torn, json.loads(last)] == [event(1), '{"id": "e2", "sta', event(3)]


def test_a_csv_gets_its_columns_once_and_text_that_a_spreadsheet_would_run_is_quoted(tmp_path: Path):
    target = CsvRows(tmp_path / "a.csv")
    target.deliver(event(1))
    target.deliver({**event(2), "id": "=1+1"})
    first, second = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert (first["event"], first["start_frame"], first["start_seconds"], first["zones"]) == ("e1", "1", "", "a; b")
    assert (second["event"], second["score"]) == ("'=1+1", "0.5")
    (tmp_path / "b.csv").write_text("id,score\n")
    with pytest.raises(NotDeliveredError, match="other columns"):
        CsvRows(tmp_path / "b.csv").deliver(event(3))


def test_a_csv_gets_events_when_they_are_over_and_lines_have_their_start_too(tmp_path: Path):
    with open_sinks(settings(["jsonl", "csv"]), tmp_path) as sinks:
        for state in ("started", "ended"):
            sinks.send({"state": state, **event(1)})
    assert [one["state"] for one in lines(tmp_path / "events_sent.jsonl")] == ["started", "ended"]
    assert len((tmp_path / "events_sent.csv").read_text().splitlines()) == 2, "columns and one row"


def test_a_web_server_gets_every_event_in_order_as_json_with_the_token_of_the_environment(
    serve: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    server = serve(lambda _: 204)
    monkeypatch.setenv("HOOK_TOKEN", "s3cret")
    with open_sinks(settings(["webhook"], webhook={"url": server.url, "token": "$HOOK_TOKEN"}), tmp_path) as sinks:
        for number in range(5):
            sinks.send(event(number))
    assert server.bodies == [event(number) for number in range(5)]
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer s3cret"}
    assert [headers["Idempotency-Key"] for headers in server.headers] == ["e0", "e1", "e2", "e3", "e4"]
    assert server.headers[0]["Content-Type"] == "application/json"


@pytest.mark.parametrize("failure", [500, 503, 429, None])
def test_what_a_server_fails_to_take_is_sent_again(failure: int | None, serve: Callable, tmp_path: Path):
    server = serve(lambda request: failure if request in (1, 2, 4) else 200)
    with open_sinks(settings(["webhook"], webhook={"url": server.url}), tmp_path) as sinks:
        for number in range(3):
            sinks.send(event(number))
    assert [body["id"] for body in server.bodies] == ["e0", "e0", "e0", "e1", "e1", "e2"]


@pytest.mark.parametrize("refusal", [400, 404, 302])
def test_what_a_server_refuses_is_not_sent_again_nor_to_where_it_points(
    refusal: int, serve: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    server = serve(lambda request: refusal if request == 1 else 200)
    with caplog.at_level(logging.INFO), open_sinks(settings(["webhook"], webhook={"url": server.url}), tmp_path) as s:
        s.send(event(0))
        s.send(event(1))
    assert [body["id"] for body in server.bodies] == ["e0", "e1"]
    assert f"webhook http://127.0.0.1:{server.server_port}: answered {refusal}" in caplog.text
    assert "1 of 2 not sent" in caplog.text


def test_a_hanging_server_delays_nobody_and_what_it_missed_is_told_and_kept_as_json_lines(
    serve: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    over = threading.Event()
    server = serve(lambda _: over.wait(5 * LONG) and 200)
    webhook = {"url": server.url, "timeout": 5 * LONG}
    sinks = open_sinks(settings(["webhook", "jsonl"], webhook=webhook, delivery={"patience": 0.2}), tmp_path)
    start = time.monotonic()
    for number in range(20):
        sinks.send(event(number))
    assert lines(tmp_path / "events_sent.jsonl") == [event(number) for number in range(20)]
    with caplog.at_level(logging.INFO):
        sinks.close()
    assert time.monotonic() - start < LONG
    assert "20 of 20 not sent; all are in the JSON lines" in caplog.text
    over.set()


def test_a_server_that_answers_too_late_counts_as_failed(serve: Callable, tmp_path: Path):
    late = threading.Event()
    server = serve(lambda request: 200 if request > 1 or late.wait(LONG) else None)
    with open_sinks(settings(["webhook"], webhook={"url": server.url, "timeout": 0.5}), tmp_path) as sinks:
        sinks.send(event(0))
    late.set()
    assert [body["id"] for body in server.bodies[:2]] == ["e0", "e0"]


def test_no_server_at_all_is_told_without_the_secret_in_the_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOOK_PATH", "T0/s3cret")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    config = settings(["webhook"], webhook={"url": f"http://127.0.0.1:{port}/$HOOK_PATH"})
    with caplog.at_level(logging.DEBUG), open_sinks(config, tmp_path) as sinks:
        sinks.send(event(0))
    assert "Connection refused" in caplog.text and "1 of 1 not sent" in caplog.text
    assert "s3cret" not in caplog.text


class Gate:
    """A target that takes an event when it is told to."""

    name = "gate"

    def __init__(self) -> None:
        self.open, self.began, self.taken = threading.Event(), threading.Event(), []

    def deliver(self, event: Any) -> None:
        self.began.set()
        self.open.wait(LONG)
        self.taken.append(event["id"])

    def close(self) -> None:
        self.taken.append("closed")


def test_a_full_queue_drops_what_has_waited_longest_and_counts_it():
    gate = Gate()
    delivery = Delivery(gate, DeliveryConfig(**{**QUICK, "queue": 2}))
    delivery.send(event(0))
    assert gate.began.wait(LONG)  # it is on its way, no longer in the queue
    for number in range(1, 5):
        delivery.send(event(number))
    gate.open.set()
    delivery.close()
    assert gate.taken == ["e0", "e3", "e4", "closed"]
    assert (delivery.accepted, delivery.delivered, delivery.lost) == (5, 3, 2)


def test_no_more_events_are_sent_in_a_second_than_allowed():
    class Clock(Gate):
        def deliver(self, event: Any) -> None:
            self.taken.append(time.monotonic())

    clock = Clock()
    delivery = Delivery(clock, DeliveryConfig(**{**QUICK, "per_second": 10.0}))
    for number in range(4):
        delivery.send(event(number))
    delivery.close()
    first, *_, last, _ = clock.taken
    assert last - first > 0.2  # 0.3 s, but the first may have been noted late


def test_a_fault_in_a_target_neither_ends_its_thread_nor_reaches_the_sender():
    class Broken(Gate):
        def deliver(self, event: Any) -> None:
            if event["id"] == "e0":
                raise KeyError("a bug")
            self.taken.append(event["id"])

    target = Broken()
    delivery = Delivery(target, DeliveryConfig(**QUICK))
    delivery.send(event(0))
    delivery.send(event(1))
    delivery.close()
    assert target.taken == ["e1", "closed"] and delivery.lost == 1


def test_json_lines_that_cannot_be_written_are_told_and_the_other_sinks_get_the_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "taken").mkdir()
    config = settings(["jsonl", "csv"], jsonl={"file": tmp_path / "taken"}, csv={"file": tmp_path / "a.csv"})
    with open_sinks(config, tmp_path) as sinks:
        sinks.send(event(0))
        sinks.send(event(1))
    assert "Is a directory" in caplog.text and "2 of 2 not sent" in caplog.text
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3


def test_what_the_caller_changes_after_sending_is_not_sent(serve: Callable, tmp_path: Path):
    gate, one = Gate(), event(0)
    sinks = Sinks(None, [Delivery(gate, DeliveryConfig(**QUICK))])
    sinks.send(one)
    one["id"] = "changed"
    gate.open.set()
    sinks.close()
    assert gate.taken[0] == "e0"
    with pytest.raises(ValueError):
        sinks.send({"score": float("nan")})


@pytest.mark.parametrize(
    "url",
    ["ftp://host/a", "file:///etc/passwd", "https://", "host/a", "https://a b", "https://$HOST/a", "https://h:x/a"],
)
def test_an_address_that_is_not_http_is_refused(url: str):
    with pytest.raises(ConfigError, match=r"events\.webhook\.url=…: allowed: http://"):
        settings(["webhook"], webhook={"url": url})


def test_a_secret_in_the_configuration_is_refused_and_not_repeated():
    for sink, key, value in (
        ("webhook", "url", "https://me:s3cret@host/a"),
        ("webhook", "token", "s3cret"),
        ("mqtt", "password", "s3cret"),
    ):
        with pytest.raises(ConfigError) as refused:
            settings([], **{sink: {key: value}})
        assert f"events.{sink}.{key}=…: " in str(refused.value) and "s3cret" not in str(refused.value)


def test_a_sink_without_an_address_is_refused_with_the_key_to_set():
    with pytest.raises(ConfigError, match=r"events\.webhook\.url=https"):
        settings(["webhook"])
    with pytest.raises(ConfigError, match=r"events\.mqtt\.host="):
        settings(["mqtt"])


def test_variables_are_filled_in_from_the_environment_or_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("A", raising=False)
    with pytest.raises(ConfigError, match="key: the environment variable A is not set"):
        filled("$A", "key")
    monkeypatch.setenv("A", "two\nlines")
    with pytest.raises(ConfigError, match="variable A is empty"):
        filled("$A", "key")
    monkeypatch.setenv("A", "T0/B0")
    monkeypatch.setenv("B_1", "k=v")
    assert filled("https://h/$A/x?$B_1", "key") == "https://h/T0/B0/x?k=v"
    assert Webhook(settings(["webhook"], webhook={"url": "https://h/$A"}).webhook).name == "webhook https://h"


class Broker(threading.Thread):
    """As much of an MQTT 3.1.1 broker as takes messages of quality of service 1, one connection after another."""

    def __init__(self, refuse: int = 0, silent: int = 0, cut: int = 0):
        """refuse: return code of the first CONNACK; silent, cut: messages without an answer, or that end the
        connection.
        """
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.refuse, self.silent, self.cut = refuse, silent, cut
        self.connects: list[bytes] = []
        self.messages: list[tuple[str, Any]] = []
        self.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                self._serve(connection, stream)

    def _serve(self, connection: socket.socket, stream: Any) -> None:
        while head := stream.read(1):
            size = shift = 0
            while True:
                byte = stream.read(1)[0]
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            body, kind = stream.read(size), head[0] >> 4
            if kind == 1:  # CONNECT
                self.connects.append(body)
                connection.sendall(bytes([0x20, 2, 0, self.refuse]))
                if self.refuse:
                    self.refuse = 0
                    return
            elif kind == 3:  # PUBLISH
                length = int.from_bytes(body[:2])
                topic, number = body[2 : 2 + length].decode(), body[2 + length : 4 + length]
                self.messages.append((topic, json.loads(body[4 + length :])))
                if self.cut:
                    self.cut -= 1
                    return
                if self.silent:
                    self.silent -= 1
                else:
                    connection.sendall(b"\x40\x02" + number)  # PUBACK
            elif kind == 14:  # DISCONNECT
                return


@pytest.mark.parametrize("trouble", [{}, {"refuse": 5}, {"silent": 1}, {"cut": 1}])
def test_an_mqtt_broker_gets_every_event_again_until_it_has_acknowledged_it(
    trouble: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("paho.mqtt.client")
    monkeypatch.setenv("MQTT_PASSWORD", "s3cret")
    broker = Broker(**trouble)
    unanswered = {"silent", "cut"} & set(trouble)  # which the sink knows by the time that it has waited
    account = {"username": "me", "password": "$MQTT_PASSWORD", "timeout": 1.0 if unanswered else LONG}
    config = settings(["mqtt"], mqtt={"host": "127.0.0.1", "port": broker.port, **account})
    with open_sinks(config, tmp_path) as sinks:
        for number in range(3):
            sinks.send(event(number))
    assert [one for one, _ in groupby(broker.messages)] == [("a/b", event(number)) for number in range(3)]
    assert not unanswered or broker.messages[:2] == [("a/b", event(0))] * 2
    assert broker.connects[0].endswith(b"\x00\x02me\x00\x06s3cret")
    broker.listener.close()


# --- a run's events -------------------------------------------------------------------------------------------------


def test_a_run_sends_its_events_video_by_video_in_order_of_time_however_slow_the_sink_is(
    serve: Callable, tmp_path: Path
):
    server = serve(lambda _: 200)
    sinks = ["events.sinks=[webhook,jsonl]", f"events.webhook.url={server.url}", "events.delivery.queue=1"]
    config = load_config([*sinks, "events.delivery.per_second=100.0", f"paths.outputs={tmp_path}", "run=x"])
    videos = [Video(name, "test", np.arange(9), (16, 16), tmp_path) for name in ("02", "01")]  # their order counts
    index = Index("sample", "a", "b", config.dataset.heldout, [], videos)
    places = [("01", 4), ("02", 7), ("01", 1), ("02", 2)]
    events = []
    for i, (video, start) in enumerate(places):
        values = {name: value for name, value in event(start).items() if name != "run"}
        events.append(Event.model_validate({**values, "id": f"e{i}", "video": video}))
    found = Events(alarms=[], no_alarm={}, heldout_frames=0, heldout_seconds=None, events=events)
    send(config, RunFiles.of(config), index, found)
    assert [body["id"] for body in server.bodies] == ["e3", "e1", "e2", "e0"]
    assert {body["run"] for body in server.bodies} == {"sample/x"}
    assert lines(tmp_path / "sample/x/events_sent.jsonl") == server.bodies
    assert Event.model_validate({k: v for k, v in server.bodies[0].items() if k != "run"}) == events[3]


def test_an_address_s_variable_that_is_not_set_stops_a_run_before_any_work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HOOK_KEY", raising=False)
    config = load_config(["experiment=tiny", "events.sinks=[webhook]", "events.webhook.url=https://host/$HOOK_KEY"])
    with pytest.raises(ConfigError, match="variable HOOK_KEY is not set"):
        require_all(config)
