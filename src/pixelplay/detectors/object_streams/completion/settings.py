"""Settings of event completion. Keys are explained in `configs/detector/event_completion.yaml`."""

from typing import Annotated

from pydantic import Field, model_validator

from pixelplay.detectors.object_streams.detector import ObjectScoring
from pixelplay.objects.settings import DenseFlowConfig, TubeConfig
from pixelplay.settings import BatchSize, Channels, Natural, Pixels, Positive, Settings, Unique, Window
from pixelplay.training.run import ScheduleSettings

Steps = Annotated[int, Field(ge=2, le=100)]  # frames
Step = Annotated[int, Field(ge=0, le=99)]


class CubeConfig(Settings):
    """What is cut from a video: see `pixelplay.detectors.object_streams.completion.cubes`."""

    steps: Steps
    erased: Annotated[list[Step], Field(min_length=1), Unique]  # from 0; the network learns to complete each of these
    side: Pixels
    tubes: TubeConfig
    flow: DenseFlowConfig

    @model_validator(mode="after")
    def _possible(self) -> "CubeConfig":
        if self.steps - 1 not in self.erased or max(self.erased) >= self.steps:
            last = self.steps - 1
            raise ValueError(f"erased={self.erased}: steps from 0 to {last}; {last} among them, for causal scores")
        return self

    @property
    def before(self) -> int:
        """Frames before an object's own that its cubes reach back: where the last step is erased."""
        return self.steps - 1

    @property
    def after(self) -> int:
        """Frames after it that they reach forward: where the earliest is erased."""
        return self.steps - 1 - min(self.erased)


class LossWeights(Settings):
    appearance: Positive
    motion: Positive


class CompletionSettings(ScheduleSettings):
    """Precision and loggers of training are the trainer's."""

    cube: CubeConfig
    every: Window  # rows of a track between two cubes of training
    max_cubes: Natural
    widths: Annotated[list[Channels], Field(min_length=2, max_length=6)]
    loss: LossWeights

    @model_validator(mode="after")
    def _halves(self) -> "CompletionSettings":
        factor = 2 ** (len(self.widths) - 1)
        if self.cube.side % factor:
            raise ValueError(f"cube.side={self.cube.side}: {len(self.widths)} widths need one divisible by {factor}")
        return self


class CompletionScoring(ObjectScoring):
    batch_size: BatchSize  # cubes
