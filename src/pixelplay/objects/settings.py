"""Settings of object detection and of tubes around objects. Keys are explained in `configs/objects/`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.settings import (
    BatchSize,
    ImageSize,
    Natural,
    NonNegative,
    PartialShare,
    Pixels,
    Positive,
    PositiveShare,
    Settings,
    Share,
    Window,
)
from pixelplay.videos.settings import FrameFormat


class YoloConfig(Settings):
    backend: Literal["torch", "openvino", "onnx"]
    image_size: Annotated[int, Field(ge=32, le=4096, multiple_of=32)]
    confidence: PartialShare
    iou: PartialShare
    max_boxes: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: BatchSize
    precision: Literal["auto", "fp32", "bf16"]

    @model_validator(mode="after")
    def _computable(self) -> "YoloConfig":
        if self.backend == "onnx" and self.precision == "bf16":
            raise ValueError(
                "precision=bf16: ONNX Runtime (backend=onnx) does not compute in bfloat16: set precision=auto or fp32, "
                "or another backend"
            )
        return self


class SplitConfig(Settings):
    """Where a moving blob is split into the people of a group: see `pixelplay.objects.motion.parts`."""

    min_aspect: Positive
    valley: Share
    min_width: Share


class MotionConfig(Settings):
    """How moving blobs are found: see `pixelplay.objects.motion`."""

    frames: FrameFormat
    background_frames: Window
    background_samples: Annotated[int, Field(ge=1, le=1000)]
    blur: Annotated[float, Field(gt=0, le=100)]
    threshold: Positive
    n_sigma: NonNegative
    jitter_px: Annotated[int, Field(ge=0, le=100)]
    close_px: Pixels
    split: SplitConfig
    min_area: Natural

    @model_validator(mode="after")
    def _gray(self) -> "MotionConfig":
        if not self.frames.gray:
            raise ValueError("frames.gray must be true: motion is detected in brightness")
        return self


class TubeConfig(Settings):
    """How large the tubes around objects are: see `pixelplay.objects.tubes`."""

    enlarge: Annotated[float, Field(gt=0, le=100)]


class FeaturesConfig(Settings):
    """Feature maps of objects: see `pixelplay.objects.features`."""

    source: Literal["auto", "yolo", "backbone"]
    cells: Annotated[int, Field(ge=1, le=64)]
    image_size: ImageSize
    enlarge: Annotated[float, Field(gt=0, le=100)]
    every: Window
    noise_above: NonNegative | None
    batch_size: BatchSize
    precision: Literal["auto", "fp32", "bf16"]


class DenseFlowConfig(Settings):
    """Optical flow of whole frames: see `pixelplay.objects.flow`."""

    preset: Literal["ultrafast", "fast", "medium"]
    longest_side: Annotated[int, Field(ge=64, le=4096)]


class FlowConfig(DenseFlowConfig):
    """Optical flow inside boxes."""

    bins: Annotated[int, Field(ge=2, le=64)]


class TracksConfig(Settings):
    """How boxes are followed through time: see `pixelplay.objects.tracker`."""

    iou: PositiveShare
    high: Share
    begin: Share
    overlap: PositiveShare
    lost: NonNegative
    fill: NonNegative
    fps: Positive

    @model_validator(mode="after")
    def _have_effect(self) -> "TracksConfig":
        if self.begin < self.high:
            raise ValueError(
                f"begin={self.begin} is below high={self.high}: boxes less sure than `high` begin no track; lower both"
            )
        if self.fill > self.lost:
            raise ValueError(
                f"fill={self.fill} is above lost={self.lost}: a track that is unseen for longer than `lost` has ended; "
                "raise both"
            )
        return self


class ObjectsConfig(Settings):
    method: Literal["auto", "yolo", "motion", "both", "file"]
    yolo: YoloConfig
    motion: MotionConfig
    tubes: TubeConfig
    tracks: TracksConfig
    features: FeaturesConfig
    flow: FlowConfig
