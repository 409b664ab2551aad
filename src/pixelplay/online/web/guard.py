"""Who may see the live page, and what a browser may do with it.

- Requests name the server as it is known (`Host`), so that no other site's name can be bound to its address.
- With a token, only who has it gets anything: in the address on the first visit, in a cookie from then on.
- What changes something comes from the page itself (`Origin`).
"""

import hashlib
import hmac
import ipaddress
import secrets
import socket
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixelplay.config.online import LOOPBACK

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, host: str, port: int, token: str | None):
        self._app, self._host, self._token = app, host.lower(), token
        self._cookie = f"pixelplay-{port}"  # browsers share cookies between ports
        self._pass = token and hmac.new(token.encode(), b"pixelplay live page", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"  # neither lifespan nor websockets are on
        request = Request(scope)
        entering = request.url.path == "/" and self._is(request.query_params.get("token"), self._token)
        refusal = self._refusal(request, entering)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if entering and not refusal:
                    headers.append("Set-Cookie", f"{self._cookie}={self._pass}; Path=/; HttpOnly; SameSite=Strict")
            await send(message)

        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, request: Request, entering: bool) -> PlainTextResponse | None:
        host = request.headers.get("host", "")
        if not self._known(host):
            return _refused(400, "This server is not known by that name: open its address as infer.py printed it.")
        if self._token and not entering and not self._is(request.cookies.get(self._cookie), self._pass):
            return _refused(401, f"This page needs its token: open http://{host}/?token=…")
        if request.method not in ("GET", "HEAD") and urlsplit(request.headers.get("origin", "")).netloc != host:
            return _refused(403, "Only the page itself may do this.")
        return None

    def _known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if self._host in LOOPBACK:
            return name in LOOPBACK
        return name in (*LOOPBACK, self._host, socket.gethostname().lower()) or _is_address(name)

    @staticmethod
    def _is(given: str | None, right: str | None) -> bool:
        return bool(given and right) and secrets.compare_digest(str(given).encode(), str(right).encode())


def _refused(status: int, why: str) -> PlainTextResponse:
    return PlainTextResponse(why + "\n", status)


def _is_address(name: str) -> bool:
    """Of numbers: no site has such a name, so none can be bound to this server's address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
