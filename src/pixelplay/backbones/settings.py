"""Settings of pretrained weights. Keys are explained in `configs/weights/`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pixelplay.settings import FilePath, Settings


def _yolo(value: str) -> str:
    if value != "motion" and not value.endswith(".pt"):
        raise ValueError("allowed: motion, or a YOLO name or file that ends in .pt, such as yolov5lu.pt")
    return value


def _backbone(value: str) -> str:
    if value not in ("clip_rn101", "in_domain") and not (value.startswith("timm:") and len(value) > 5):
        raise ValueError("allowed: clip_rn101, in_domain, or timm:<model name>, such as timm:resnet18")
    return value


class WeightsConfig(Settings):
    source: Literal["hub", "in_domain"]
    yolo: Annotated[str, AfterValidator(_yolo)]
    backbone: Annotated[str, AfterValidator(_backbone)]
    backbone_file: FilePath | None
    image_size: Annotated[int, Field(ge=48, le=4096, multiple_of=16)]
    videomae: Annotated[str, Field(min_length=1)]
