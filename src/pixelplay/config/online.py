"""Settings of online inference. Keys are explained in `configs/online/default.yaml`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.events.sinks.settings import Variable
from pixelplay.settings import FilePath, Fps, Natural, NonNegative, Positive, Settings, Workers

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class VideoConfig(Settings):
    write: bool
    size: Annotated[int, Field(ge=64, le=8192)]
    fragment: Annotated[float, Field(ge=0.1, le=60)]


class ReconnectConfig(Settings):
    timeout: Positive
    backoff: Positive
    max_backoff: Positive
    attempts: Natural | None
    keep_state: NonNegative


class WebConfig(Settings):
    host: Annotated[str, Field(pattern=r"^[^\s/@]+$")]
    port: Annotated[int, Field(ge=0, le=65535)]
    token: Variable | None
    timeline: Annotated[float, Field(ge=10, le=3600)]
    quality: Annotated[int, Field(ge=10, le=100)]

    @model_validator(mode="after")
    def _guarded(self) -> "WebConfig":
        if self.host not in LOOPBACK and self.token is None:
            raise ValueError(
                f"host={self.host}: other machines would see the pictures: set token='$NAME', a variable that holds a "
                "secret, too"
            )
        return self


class OnlineConfig(Settings):
    """How footage is scored while it comes: see `pixelplay.online`."""

    keep_up: Literal["auto", "latest", "all"]
    fps: Fps | None
    threads: Workers
    buffer: Annotated[float, Field(ge=1, le=600)]
    progress: Positive
    folder: FilePath | None
    scores: bool
    video: VideoConfig
    reconnect: ReconnectConfig
    web: WebConfig


class VizConfig(Settings):
    enable: bool
