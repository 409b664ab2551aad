"""Settings of sinks. Keys are explained in `configs/events/default.yaml`."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from pixelplay.settings import SECRET, FilePath, Natural, NonNegative, Positive, Settings, Unique

SinkName = Literal["jsonl", "csv", "webhook", "mqtt"]


def _address(value: str) -> str:
    """An http(s) address without a password. Its path may be a secret: see `pixelplay.events.sinks.webhook.filled`."""
    try:
        parts = urlsplit(value)
        known = parts.scheme in ("http", "https") and parts.hostname and "$" not in parts.netloc and parts.port != 0
    except ValueError:  # a port that is no number
        known, parts = False, urlsplit("")
    if not known or not re.fullmatch(r"[!-~]+", value):
        raise PydanticCustomError(SECRET, "allowed: http://HOST[:PORT]/PATH or https://…, without spaces")
    if "@" in parts.netloc:
        raise PydanticCustomError(SECRET, "holds a password; give a token instead, by a variable: token='$NAME'")
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"\$[A-Za-z_]\w*", value):
        raise PydanticCustomError(SECRET, "allowed: '$NAME', an environment variable that holds it, never the secret")
    return value


Address = Annotated[str, AfterValidator(_address)]
Variable = Annotated[str, AfterValidator(_variable)]


class DeliveryConfig(Settings):
    queue: Natural
    per_second: Positive
    attempts: Annotated[int, Field(ge=1, le=1000)]
    backoff: Positive
    max_backoff: Positive
    patience: NonNegative


class FileConfig(Settings):
    file: FilePath | None


class WebhookConfig(Settings):
    url: Address | None
    token: Variable | None
    timeout: Positive


class MqttConfig(Settings):
    host: Annotated[str, Field(pattern=r"^[^\s/:@]+$")] | None
    port: Annotated[int, Field(ge=1, le=65535)]
    topic: Annotated[str, Field(pattern=r"^[^+#\x00]+$", max_length=1000)]
    tls: bool
    username: Annotated[str, Field(min_length=1)] | None
    password: Variable | None
    timeout: Positive


class SinksConfig(Settings):
    sinks: Annotated[list[SinkName], Unique]
    delivery: DeliveryConfig
    jsonl: FileConfig
    csv: FileConfig
    webhook: WebhookConfig
    mqtt: MqttConfig

    @model_validator(mode="after")
    def _addressed(self) -> "SinksConfig":
        if "webhook" in self.sinks and self.webhook.url is None:
            raise ValueError("sinks has webhook: to which address? set events.webhook.url=https://…")
        if "mqtt" in self.sinks and self.mqtt.host is None:
            raise ValueError("sinks has mqtt: which broker? set events.mqtt.host=NAME")
        return self
