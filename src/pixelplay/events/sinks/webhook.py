"""Events as HTTP requests: a POST of JSON each. Redirects are not followed; 2xx means that the event has arrived."""

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

from pixelplay.errors import ConfigError
from pixelplay.events.sinks.delivery import NotDeliveredError, Sent
from pixelplay.events.sinks.settings import SinksConfig, WebhookConfig

AGAIN = {408, 425, 429}  # of 4xx: the same request may succeed later


class Webhook:
    def __init__(self, config: WebhookConfig):
        """Raises ConfigError for a variable of the address or the token that the environment lacks."""
        assert config.url is not None  # `SinksConfig` checks it
        parts = urlsplit(config.url)
        self.name = f"webhook {parts.scheme}://{parts.netloc}"  # what follows may hold secrets
        self._url, self._timeout = filled(config.url, "events.webhook.url"), config.timeout
        self._headers = {"Content-Type": "application/json", "User-Agent": "pixelplay"}
        if config.token:
            self._headers["Authorization"] = f"Bearer {filled(config.token, 'events.webhook.token')}"
        self._opener = urllib.request.build_opener(_NoRedirects)

    def deliver(self, event: Sent) -> None:
        # It lets a receiver know an event that comes twice since its answer was lost; its start is not its end.
        key = "-".join(str(event[name]) for name in ("id", "state") if name in event)
        headers = {**self._headers, "Idempotency-Key": key.encode("ascii", "replace").decode()}
        request = urllib.request.Request(self._url, json.dumps(event).encode(), headers, method="POST")
        try:
            self._opener.open(request, timeout=self._timeout).close()
        except urllib.error.HTTPError as error:
            error.close()
            final = error.code < 500 and error.code not in AGAIN
            raise NotDeliveredError(f"answered {error.code}", _seconds(error.headers), final) from None
        except urllib.error.URLError as error:
            raise NotDeliveredError(_text(error.reason)) from None
        except (OSError, http.client.HTTPException) as error:
            raise NotDeliveredError(_text(error)) from None

    def close(self) -> None:
        """Each event has a connection of its own."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What was configured gets the events, and no other server; a redirect counts as an error."""

    def redirect_request(self, *_: Any) -> None:
        return None


def check_variables(config: SinksConfig) -> None:
    """Raise ConfigError for a variable that a sink needs and the environment lacks."""
    if "webhook" in config.sinks:
        Webhook(config.webhook)
    if "mqtt" in config.sinks and config.mqtt.password:
        filled(config.mqtt.password, "events.mqtt.password")


def filled(text: str, key: str) -> str:
    """The text with the values of environment variables in the places of their `$NAME`.

    Raises ConfigError that names the key.
    """

    def value(found: re.Match[str]) -> str:
        secret = os.environ.get(found[1])
        if secret is None:
            raise ConfigError(f"{key}: the environment variable {found[1]} is not set")
        if not re.fullmatch(r"[!-~]+", secret):
            raise ConfigError(f"{key}: the environment variable {found[1]} is empty, or has spaces or other characters")
        return secret

    return re.sub(r"\$([A-Za-z_]\w*)", value, text)


def _seconds(headers: Message) -> float:
    """How long a server asks to wait; dates count as 0."""
    text = headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"\d{1,6}", text) else 0.0


def _text(reason: object) -> str:
    """What went wrong, without the address."""
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    return (reason.strerror if isinstance(reason, OSError) else None) or type(reason).__name__
