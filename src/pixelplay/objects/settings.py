"""Settings of what finds objects and cuts tubes around them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.settings import BatchSize, Natural, NonNegative, Pixels, Positive, Settings, Share, Window
from pixelplay.videos.settings import FrameFormat


class YoloConfig(Settings):
    """How YOLO looks for objects, see `pixelplay.objects.yolo`; with which weights says `weights.yolo`."""

    image_size: Annotated[int, Field(ge=32, le=4096, multiple_of=32)]  # pixels of the longer side of its input
    confidence: Annotated[float, Field(gt=0, lt=1)]  # boxes below are not even stored
    iou: Annotated[float, Field(gt=0, lt=1)]  # overlap from which on the weaker of two boxes of a class goes
    max_boxes: Annotated[int, Field(ge=1, le=10_000)]  # of a frame
    batch_size: BatchSize  # frames
    precision: Literal["auto", "fp32", "bf16"]


class SplitConfig(Settings):
    """Where a moving blob is cut into the people of a group: see `pixelplay.objects.motion.parts`."""

    min_aspect: Positive  # widths of a blob, in its heights, from which on it may be a group
    valley: Share  # of the thickness on both sides: a thinner column is a cut; 0: none is
    min_width: Share  # width of a part, in heights of what it is cut from, at least


class MotionConfig(Settings):
    """How moving blobs are found: see `pixelplay.objects.motion`."""

    frames: FrameFormat  # working size in the frame cache
    background_frames: Window  # frames that share a background
    background_samples: Annotated[int, Field(ge=1, le=1000)]  # of them that it is the median of
    blur: Annotated[float, Field(gt=0, le=100)]  # pixels of the working size, sigma
    threshold: Positive  # grey levels away from the background, at least
    n_sigma: NonNegative  # standard deviations of the frame's noise away from it, at least
    jitter_px: Annotated[int, Field(ge=0, le=100)]  # pixels of the working size that the camera may move
    close_px: Pixels  # pixels of the working size: gaps up and down that are narrower are closed
    split: SplitConfig
    min_area: Natural  # pixels of the working size

    @model_validator(mode="after")
    def _gray(self) -> "MotionConfig":
        if not self.frames.gray:
            raise ValueError("frames.gray must be true: motion is looked for in brightness")
        return self


class TubeConfig(Settings):
    """Which boxes become tubes, and how large those are: see `pixelplay.objects.tubes`."""

    classes: Annotated[list[str], Field(min_length=1)]  # by the names of the weights; `motion` for moving blobs
    confidence: Share
    min_size: NonNegative  # pixels of the longer side
    iou: Annotated[float, Field(gt=0, le=1)]  # IoU from which on a moving blob is a detected object
    enlarge: Annotated[float, Field(gt=0, le=100)]  # factor on the longer side


class ObjectsConfig(Settings):
    """How objects are detected, for the detectors that ask for them; `tubes` is for those who use the boxes."""

    method: Literal["auto", "yolo", "motion", "both"]  # auto: yolo where weights.yolo names weights, else motion
    yolo: YoloConfig
    motion: MotionConfig
    tubes: TubeConfig
