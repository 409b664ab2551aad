"""The server of the live page: what it answers (FastAPI), and how its connections end (uvicorn)."""

import asyncio
import json
import threading
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.resources import files
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from pixelplay.errors import PixelPlayError
from pixelplay.online.web.picture import Picture
from pixelplay.online.web.state import Accept, LiveState, Seen

CONNECTIONS = 100  # at once; a browser opens up to six for a page
PATIENCE = 20.0  # seconds until a client is dropped that says or takes nothing
GRACE = 1.0  # seconds that clients have to end when the server ends
PAUSE = 0.1  # seconds between two updates of a page, at least
LONGEST_PAUSE = 1.0  # and at most
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
PARTS = {  # of each file of the page: it looks as the report does
    "live.html": [("pixelplay.online.web", "live.html")],
    "live.css": [("pixelplay.report", "page.css"), ("pixelplay.online.web", "live.css")],
    "live.js": [
        ("pixelplay.report", "svg.js"),
        *(("pixelplay.online.web", name) for name in ("scores.js", "events.js", "live.js")),
    ],
}


class Connection(H11Protocol):
    """A client that takes nothing for a while, or asks for nothing after it has connected, is dropped."""

    _timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        assert isinstance(transport, Transport)
        super().connection_made(transport)
        self._watch(PATIENCE)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.flow.write_paused:  # it has asked
            self._unwatch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch(PATIENCE)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unwatch()

    def shutdown(self) -> None:
        super().shutdown()
        self._watch(GRACE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self, seconds: float) -> None:
        self._unwatch()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _unwatch(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def server_of(app: Any) -> uvicorn.Server:
    """A server to be run in a thread, where it leaves the process's signals alone."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,  # addresses may have the token in them
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
        )
    )


def app_of(
    state: LiveState, picture: Picture, about: Mapping[str, Any], accept: Accept | None, closing: threading.Event
) -> FastAPI:
    """The application; accept: see `LivePage`; closing: streams end when it is set."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    accepting = threading.Lock()
    for name in PARTS:
        app.add_api_route("/" if name == "live.html" else f"/{name}", _file_of_page(name), methods=["GET"])

    @app.get("/updates")
    def updates() -> Response:
        return StreamingResponse(_updates(state, about, closing), media_type="text/event-stream")

    @app.get("/picture")
    def newest_picture() -> Response:
        data = picture.jpeg()
        return Response(data, media_type="image/jpeg") if data else Response(status_code=204)

    @app.get("/events/{file}")
    def file_of_event(file: str) -> Response:
        event, dot, suffix = file.rpartition(".")
        path = state.file(event, dot + suffix)
        return FileResponse(path) if path else Response(status_code=404)

    @app.post("/accept/{event}")
    def accept_event(event: str) -> Response:
        with accepting:
            problem = _accepted(state, event, accept)
        return JSONResponse({"problem": problem}, status_code=409 if problem else 200)

    return app


def _accepted(state: LiveState, event: str, accept: Accept | None) -> str | None:
    """Accept an event; returns why not."""
    entry = state.entry(event)
    if entry is None:
        return "This event is not in the list any more."
    if accept is None:
        return "Events can't be accepted here."
    if not entry.over:
        return "This event is still going on."
    if entry.accepted:
        return None
    try:
        remarks = accept(event)
    except PixelPlayError as error:
        return str(error)
    state.accept(event, remarks or ())
    return None


async def _updates(state: LiveState, about: Mapping[str, Any], closing: threading.Event) -> AsyncIterator[str]:
    """Server-sent events: what changed since the one before, when the client has taken that."""
    loop, seen, last = asyncio.get_running_loop(), Seen(), float("-inf")
    yield f"retry: 1000\nevent: about\ndata: {json.dumps(about)}\n\n"
    ended = False
    while not ended:
        ended = closing.is_set()
        message, now = state.update(seen)
        if now != seen or loop.time() - last >= LONGEST_PAUSE:
            yield f"data: {json.dumps(message)}\n\n"
            seen, last = now, loop.time()
        if not ended:
            await asyncio.sleep(PAUSE)
    yield "event: end\ndata: {}\n\n"


def _file_of_page(name: str) -> Callable[[], Response]:
    parts = [files(package).joinpath("templates", file).read_text(encoding="utf-8") for package, file in PARTS[name]]
    response = Response("".join(parts), media_type=KINDS[name[name.rindex(".") :]])
    return lambda: response
