"""Where YOLO's weights come from, and the error when they are not found."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from pixelplay.errors import WeightsError
from pixelplay.objects import yolo_weights as weights
from pixelplay.objects.yolo_weights import at_hand, check_weights, get_weights


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, tuple[bytes, int]]]:
    """A server in place of Ultralytics': for each file name its content and the length that it announces."""
    files: dict[str, tuple[bytes, int]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> bytes:
            content, length = files.get(self.path.strip("/"), (b"", -1))
            self.send_response(404 if length < 0 else 200)
            self.send_header("Content-Length", str(max(length, 0)))
            self.end_headers()
            return content

        def do_GET(self) -> None:
            self.wfile.write(self.do_HEAD())

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(weights, "RELEASE", f"http://127.0.0.1:{server.server_port}")
    yield files
    server.shutdown()
    server.server_close()


@pytest.fixture
def unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nobody asked for the network")

    monkeypatch.setattr(requests.Session, "request", refuse)


def test_a_file_is_taken_as_it_is_and_a_name_from_the_weights_folder(unplugged: None, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (Path("mine/a.pt"), Path("cache/b.pt")):
        path.parent.mkdir()
        path.write_bytes(b"weights")
    for download in (False, True):
        check_weights("b.pt", Path("cache"), download)
        assert get_weights("mine/a.pt", Path("cache"), download) == Path("mine/a.pt")
        assert get_weights("b.pt", Path("cache"), download) == Path("cache/b.pt")
    assert at_hand("c.pt", Path("cache")) is None


def test_a_name_is_downloaded_once_and_that_is_said(release, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    release["yolov5lu.pt"] = (b"w" * 1000, 1000)
    check_weights("yolov5lu.pt", tmp_path / "weights", download=True)
    assert not (tmp_path / "weights").exists() and not caplog.text  # asked for, but not downloaded
    path = get_weights("yolov5lu.pt", tmp_path / "weights", download=True)
    assert (path, path.read_bytes()) == (tmp_path / "weights/yolov5lu.pt", b"w" * 1000)
    assert "weights: downloading http://127.0.0.1" in caplog.text
    release.clear()
    assert get_weights("yolov5lu.pt", tmp_path / "weights", download=True) == path


@pytest.mark.parametrize("problem", ["no such file", "cut short", "no network", "other contents"])
def test_a_download_that_fails_leaves_nothing_and_has_the_command_that_gets_the_file_where_it_is_looked_for(
    release, tmp_path: Path, monkeypatch, problem: str
):
    if problem == "cut short":
        release["yolov5lu.pt"] = (b"w" * 500, 1000)
    if problem == "no network":
        monkeypatch.setattr(weights, "RELEASE", "http://127.0.0.1:9")
    if problem == "other contents":
        release["yolov5lu.pt"] = (b"w" * 1000, 1000)
        monkeypatch.setitem(weights.SHA256, "yolov5lu.pt", "0" * 64)
    with pytest.raises(WeightsError) as error:
        get_weights("yolov5lu.pt", tmp_path / "weights", download=True)
    message = str(error.value)
    if problem in ("no such file", "no network"):
        with pytest.raises(WeightsError, match="YOLO weights not found"):
            check_weights("yolov5lu.pt", tmp_path / "weights", download=True)
    assert message.startswith("weights.yolo=yolov5lu.pt: YOLO weights not found (not in ")
    fetch = f"curl -fL --create-dirs -o {tmp_path}/weights/yolov5lu.pt {weights.RELEASE}/yolov5lu.pt"
    assert fetch in message and message.endswith("the same command; weights.yolo=motion needs no weights")
    assert not list(tmp_path.rglob("*.pt*"))


def test_without_the_hub_nothing_is_downloaded(unplugged: None, tmp_path: Path):
    with pytest.raises(WeightsError, match=r"weights\.yolo=yolov5lu\.pt.*weights\.source=hub does"):
        get_weights("yolov5lu.pt", tmp_path, download=False)


@pytest.mark.parametrize("download", [False, True])
def test_a_path_to_nothing_is_never_looked_for_elsewhere(unplugged: None, tmp_path: Path, download: bool):
    with pytest.raises(WeightsError, match=r"weights\.yolo=.*none/a\.pt.*no such file") as error:
        get_weights(str(tmp_path / "none/a.pt"), tmp_path, download)
    assert "curl" not in str(error.value)  # nobody knows where that file comes from


def test_a_path_to_a_file_that_ultralytics_has_comes_with_the_command_that_puts_it_there(
    unplugged: None, tmp_path: Path
):
    with pytest.raises(WeightsError) as error:
        get_weights(str(tmp_path / "my weights/yolov8n.pt"), tmp_path, False)
    assert f"-o '{tmp_path}/my weights/yolov8n.pt' {weights.RELEASE}/yolov8n.pt\n" in str(error.value)
