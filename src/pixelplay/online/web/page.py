"""`view=web`: a page that shows frames, scores and events while they come, served by a thread of this process."""

import errno
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay import requirements
from pixelplay.config.online import WebConfig
from pixelplay.errors import ConfigError, InUseError
from pixelplay.events.event import Event
from pixelplay.events.sinks.webhook import filled
from pixelplay.online.feeds import About
from pixelplay.online.result import Result
from pixelplay.online.web.state import EVENTS, Accept, LiveState

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)

SHORTEST_TOKEN = 16  # characters
WAIT = 10.0  # seconds for the server to start, and to end: it waits for an event that is being accepted


class LivePage:
    """An output of results: `start`, then `write` for each, then `close`."""

    def __init__(
        self,
        config: WebConfig,
        folder: Path,
        about: About,
        run: str,
        accept: Accept | None = None,
    ):
        """folder: thumbnails and clips appear in `events/` there, named after their events. about: the source. run:
        its name. accept: makes an event normal, by its id, and returns what there is to say; it is called in another
        thread, one event at a time, and the message of a PixelPlayError is shown. Without it, there is no button.

        Raises MissingPackageError without FastAPI or uvicorn, ConfigError for a token that the environment lacks.
        """
        requirements.require(["web"])
        self._config, self._accept = config, accept
        self._told = {
            "run": run,
            "source": about.shown,
            "timeline": config.timeline,
            "events": EVENTS,
            "accepts": accept is not None,
            "server": secrets.token_hex(8),  # another one after a new start
        }
        self._token = _token(config)
        self._state = LiveState(folder, config.timeline, about.live)
        self._closing = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Serve the page; returns its address. Raises InUseError or ConfigError where it can't be served."""
        from pixelplay.online.web.guard import Guard
        from pixelplay.online.web.picture import Picture
        from pixelplay.online.web.server import app_of, server_of

        config = self._config
        listening = _listening(config.host, config.port)
        port = listening.getsockname()[1]
        picture = Picture(lambda: self._state.result, config.quality)
        app = app_of(self._state, picture, self._told, self._accept, self._closing)
        self._server = server_of(Guard(app, config.host, port, self._token))
        run = self._server.run
        self._thread = threading.Thread(target=lambda: run(sockets=[listening]), name="live page", daemon=True)
        self._thread.start()
        end = time.monotonic() + WAIT
        while not self._server.started and self._thread.is_alive() and time.monotonic() < end:
            time.sleep(0.01)
        address = f"http://{_shown_host(config.host)}:{port}/"
        log.info(f"live page: {address}{f'?token=… (what {config.token} holds)' if config.token else ''}")
        return address

    def write(self, result: Result) -> None:
        """Show a frame; this never waits for a reader."""
        self._state.add(result)

    def end(self, events: Sequence[Event]) -> None:
        """Show that these have ended with the source."""
        self._state.end(events)

    def close(self) -> None:
        """End the server and its connections."""
        self._closing.set()
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(WAIT)


def _token(config: WebConfig) -> str | None:
    if config.token is None:
        return None
    token = filled(config.token, "online.web.token")
    if len(token) < SHORTEST_TOKEN:
        name = config.token.removeprefix("$")
        raise ConfigError(
            f"online.web.token: the environment variable {name} has {len(token)} characters, which can be guessed: "
            f"give it {SHORTEST_TOKEN} or more, for instance {name}=$(openssl rand -hex 16)"
        )
    return token


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0: a free one."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigError(f"online.web.host={host}: no address is known for it ({error.strerror})") from None
    one = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would share a port that is in use
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)
        one.listen()
    except OSError as error:
        one.close()
        if error.errno == errno.EADDRINUSE:
            raise InUseError(
                f"online.web.port={port}: another program listens on that port of {host}: "
                "choose another one, or online.web.port=0 for one that is free"
            ) from None
        raise ConfigError(f"online.web.host={host}, online.web.port={port}: {error.strerror}") from None
    return one


def _shown_host(host: str) -> str:
    """As it stands in an address; of a server that listens everywhere, this machine's name."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
