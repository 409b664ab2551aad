"""Settings of logging runs to Weights & Biases. Keys are explained in `configs/config.yaml`."""

from typing import Annotated, Literal

from pydantic import Field

from pixelplay.settings import Settings


class WandbConfig(Settings):
    project: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)] | None
    mode: Literal["offline", "online"]
