"""Settings of pretrained weights, and of the encoder for runs without, explained in `configs/weights/`; a detector's
settings with its weights named by their contents: other weights in the same file are other settings, the same in
another file are not. Imports no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from pixelplay.backbones import packaged
from pixelplay.objects.settings import TubeConfig
from pixelplay.run.digests import Digests
from pixelplay.settings import Channels, FilePath, ImageSize, Natural, Positive, Settings, Share, Window
from pixelplay.training.run import ScheduleSettings

READ = {".json", ".safetensors", ".bin"}  # suffixes of the files of a model's folder that decide what the model is


def _yolo(value: str) -> str:
    if value != "motion" and not value.endswith(".pt"):
        raise ValueError("allowed: motion, or a YOLO name or file that ends in .pt, such as yolov5lu.pt")
    return value


def _backbone(value: str) -> str:
    named = ("clip_rn101", "in_domain", *packaged.BACKBONES)
    if value not in named and not (value.startswith("timm:") and len(value) > 5):
        raise ValueError(f"allowed: {', '.join(named)}, or timm:<model name>, such as timm:resnet18")
    return value


BackboneName = Annotated[str, AfterValidator(_backbone)]


class EncoderSettings(ScheduleSettings):
    """How an in-domain encoder is built and trained."""

    objective: Literal["contrast", "reconstruction"]  # reconstruction: an autoencoder's, as a baseline
    image_size: ImageSize  # of the crops that it sees in training, pixels
    tubes: TubeConfig  # crops are of objects that these settings select, and as much larger than their boxes
    noise_amplitude: Share  # of uniform noise, of [0, 1]
    widths: Annotated[list[Channels], Field(min_length=4, max_length=4)]  # channels after each halving
    channels: Channels | None  # of a local descriptor; None: all of both stages
    contrast_channels: Channels  # groups of channels in the contrastive loss
    max_pairs: Natural  # of crops, of all footage, at most
    frame_gap: Window  # frames between the two crops of a pair
    shift: Share  # of a view, at most, as a share of the crop's side
    color_jitter: Share  # strength of the colour jitter
    noise_share: Share  # of the views that have noise
    temperature: Positive
    batch_size: Annotated[int, Field(ge=2, le=65_536)]  # pairs

    @model_validator(mode="after")
    def _possible(self) -> "EncoderSettings":
        there = sum(self.widths[2:])
        for name in ("channels", "contrast_channels"):
            if (groups := getattr(self, name)) is not None and groups > there:
                raise ValueError(f"{name}={groups} is more than the {there} channels of the last two widths")
        return self

    @property
    def descriptor_size(self) -> int:
        """Channels of a local descriptor."""
        return self.channels or sum(self.widths[2:])


class WeightsConfig(Settings):
    source: Literal["hub", "in_domain"]
    yolo: Annotated[str, AfterValidator(_yolo)]
    backbone: BackboneName
    backbone_file: FilePath | None
    image_size: ImageSize
    videomae: Annotated[str, Field(min_length=1)]
    encoder: EncoderSettings

    @property
    def known_contents(self) -> list[str] | None:
        """Digests of the only weights that the backbone takes; None where others are possible."""
        return packaged.known_contents(self.backbone)


def by_contents(settings: Mapping[str, Any], digests: Digests) -> dict[str, Any]:
    """The settings as far as results depend on them. Missing files and invalid settings are not refused here.

    A VideoMAE on the hub is named by its name.
    """
    found = dict(settings)
    if isinstance(backbone := settings.get("backbone"), Mapping):
        name, file = backbone.get("name"), backbone.get("file")
        content = packaged.known_contents(str(name))
        if content is None:
            used = file is not None and name != "in_domain"
            content = digests.of([Path(str(file)).expanduser()]) if used else []
        found["backbone"] = {"name": name, "content": content}
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
