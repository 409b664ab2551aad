"""Settings of pretrained weights, explained in `configs/weights/`; a detector's settings with its weights named by
their contents: other weights in the same file are other settings, the same in another file are not. Imports no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pixelplay.run.digests import Digests
from pixelplay.settings import FilePath, Settings

READ = {".json", ".safetensors", ".bin"}  # suffixes of the files of a model's folder that decide what the model is


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


def by_contents(settings: Mapping[str, Any], digests: Digests) -> dict[str, Any]:
    """The settings as far as results depend on them. Missing files and invalid settings are not refused here.

    A VideoMAE on the hub is named by its name.
    """
    found = dict(settings)
    if isinstance(backbone := settings.get("backbone"), Mapping):
        name, file = backbone.get("name"), backbone.get("file")
        used = file is not None and name != "in_domain"
        found["backbone"] = {"name": name, "content": digests.of([Path(str(file)).expanduser()]) if used else []}
    if isinstance(source := settings.get("videomae"), str):
        folder = Path(source).expanduser()
        if folder.is_dir():
            files = sorted(path for path in folder.iterdir() if path.suffix in READ)
            found["videomae"] = list(zip([file.name for file in files], digests.of(files), strict=True))
    return found


def files_there(settings: Mapping[str, Any]) -> bool:
    """Whether the files and folders of weights that the settings name are on disk; a name on a hub is no file."""
    backbone, videomae = settings.get("backbone"), settings.get("videomae")
    file = backbone.get("file") if isinstance(backbone, Mapping) else None
    named = [] if file is None else [Path(str(file))]
    if isinstance(videomae, str) and Path(videomae).is_absolute():
        named.append(Path(videomae))
    return all(path.expanduser().exists() for path in named)
