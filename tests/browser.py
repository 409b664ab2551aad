"""A headless Chromium or Chrome that a test drives through the DevTools protocol: real clicks, drags, print, sizes.

https://chromedevtools.github.io/devtools-protocol/, spoken over two pipes: no port, no library.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
MISSING = "no chromium, google-chrome or chrome on the PATH"
needs_browser = pytest.mark.skipif(PROGRAM is None and os.environ.get("CI") != "true", reason=MISSING)
FIXED = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
OFFLINE = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--autoplay-policy=no-user-gesture-required"]
PATIENCE = 60.0  # seconds


class Browser:
    """One page. `complaints` has what its console got: errors, violations of its policy, failed loads."""

    def __init__(self, write: int, read: int):
        self._write, self._read, self._rest, self._count = write, read, b"", 0
        self._session: dict[str, str] = {}
        self.complaints: list[str] = []
        (first,) = (one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=first["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command; returns its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def open(self, page: Path, width: int = 1400, height: int = 900) -> "Browser":
        return self.visit(page.resolve().as_uri(), width, height)

    def visit(self, address: str, width: int = 1400, height: int = 900) -> "Browser":
        self.resize(width, height)
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")
        return self

    def resize(self, width: int, height: int = 900) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def media(self, kind: str = "screen", scheme: str = "light") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=kind, features=features)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression (awaited) on the page."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        found = self.call("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        end = time.monotonic() + PATIENCE
        while not self.ask(condition):
            assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {condition}"
            time.sleep(0.05)

    def mouse(self, kind: str, x: float, y: float, clicks: int = 0) -> None:
        button = {"button": "left", "clickCount": clicks} if clicks else {}
        held = {"buttons": 1} if kind == "mouseDragged" else {}
        kind = kind.replace("Dragged", "Moved")
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button, **held)

    def click(self, x: float, y: float, clicks: int = 1) -> None:
        self.mouse("mouseMoved", x, y)
        for count in range(1, clicks + 1):
            self.mouse("mousePressed", x, y, count)
            self.mouse("mouseReleased", x, y, count)

    def click_on(self, selector: str) -> None:
        """Click the middle of an element, scrolled into view."""
        self.click(*self.place(selector)[:2])

    def place(self, selector: str) -> list[float]:
        """The middle of an element that is scrolled into view, and its width and height."""
        return self.ask(
            f"(one => {{ one.scrollIntoView({{block: 'center', behavior: 'instant'}});"
            " const box = one.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2, box.width, box.height]; })"
            f"(document.querySelector({json.dumps(selector)}))"
        )

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start, 1)
        for step in (0.3, 0.7, 1.0):
            self.mouse("mouseDragged", *(a + step * (b - a) for a, b in zip(start, end, strict=True)))
        self.mouse("mouseReleased", *end, 1)

    def picture(self) -> bytes:
        """A PNG of what is seen."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def printed(self) -> bytes:
        """The page as a PDF, on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True, "preferCSSPageSize": True}
        return base64.b64decode(self.call("Page.printToPDF", **paper)["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], PATIENCE)
            assert ready, f"the browser is silent for {PATIENCE:.0f} s"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser has ended"
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(text)
        match message.get("method"):
            case "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])
            case "Runtime.exceptionThrown":
                details = message["params"]["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))
            case "Runtime.consoleAPICalled" if message["params"]["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(message["params"]["args"]))
        return message


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser with no network but the loopback, and a profile of its own; it ends with the block."""
    assert PROGRAM, f"{MISSING}; .ci/run installs it"
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [*FIXED, *OFFLINE, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}', PROGRAM, *options]
        process = subprocess.Popen(command, pass_fds=(to_read, from_write), stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        try:
            yield Browser(to_write, from_read)
        finally:
            os.close(to_write)
            os.close(from_read)
            process.terminate()
            process.wait(PATIENCE)
