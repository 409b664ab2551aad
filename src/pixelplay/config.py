"""Typed, validated configuration: what the YAML files under `configs/` may say.

Hydra composes the files and the command line's overrides; pydantic refuses unknown keys, wrong types and
impossible values before any work starts. Default values stand in the YAML files alone, never here.
"""

from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pixelplay.errors import ConfigError

CONFIG_DIR = Path(__file__).resolve().parents[2] / "configs"

FUSED = "fused"  # the stream that holds the fused scores

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Natural = Annotated[int, Field(ge=1)]


def _safe_name(value: str) -> str:
    if not value or value in {".", ".."} or any(c in value for c in "/\\\0") or value.startswith("."):
        raise ValueError(f"{value!r} names a folder or file: letters, digits, '_', '-', '=', ',' and inner dots only")
    return value


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"no such file: {path} (a relative path starts at the working directory)")
    return path


def _quoted(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError("a video's id is text: put it in quotes, as in 'report.clips=[\"1\"]'")
    return value


FileName = Annotated[str, AfterValidator(_safe_name)]
FilePath = Annotated[Path, Field(strict=False), AfterValidator(Path.expanduser)]
ExistingFile = Annotated[FilePath, AfterValidator(_existing)]
VideoId = Annotated[str, BeforeValidator(_quoted)]


class Settings(BaseModel):
    """Base of every settings class: no unknown keys, no silent conversions, no changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PathsConfig(Settings):
    """Top folders of what runs write, relative to the working directory."""

    outputs: FilePath
    checkpoints: FilePath
    submissions: FilePath
    cache: FilePath


class CorruptionConfig(Settings):
    """Shares of test frames that are corrupted, and how: see `pixelplay.videos.corruption`."""

    flip: Share
    heavy: Share
    light: Share
    missing: Share
    heavy_sd: Annotated[float, Field(ge=0)]  # grey levels of 255
    light_sd: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _shares_fit(self) -> "CorruptionConfig":
        total = self.flip + self.heavy + self.light + self.missing
        if total > 1:
            raise ValueError(f"flip + heavy + light + missing is {total:.3g}; it must be at most 1")
        return self


class SampleConfig(Settings):
    """The data set that the project renders itself: see `pixelplay.videos.sample`."""

    seed: Annotated[int, Field(ge=0)]
    train_videos: Natural
    test_videos: Natural
    min_frames: Annotated[int, Field(ge=20)]
    max_frames: Annotated[int, Field(ge=20)]
    width: Annotated[int, Field(ge=64)]
    height: Annotated[int, Field(ge=48)]
    corruption: CorruptionConfig

    @model_validator(mode="after")
    def _lengths_ordered(self) -> "SampleConfig":
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames={self.min_frames} is greater than max_frames={self.max_frames}")
        return self


class HeldoutConfig(Settings):
    """Which normal training footage no detector is fitted on: see `pixelplay.videos.heldout`."""

    share: Annotated[float, Field(gt=0.0, lt=1.0)]
    min_videos: Natural  # with fewer training videos than this, blocks of time are held out instead of whole videos
    seed: Annotated[int, Field(ge=0)]


class DatasetConfig(Settings):
    name: FileName
    layout: FileName
    root: FilePath | None
    candidates: list[str]  # where to look, in this order, when root is null
    max_unreadable: Share  # of the frames of one video; more stops `prepare`
    heldout: HeldoutConfig
    noise_share: Share  # of training clips that get noise, for detectors that meet noisy test footage so
    sample: SampleConfig | None


class FrameFormat(Settings):
    """A working size that the frame cache stores."""

    height: Annotated[int, Field(ge=8, le=4096)]
    width: Annotated[int, Field(ge=8, le=4096)]
    gray: bool


class FlipNetworkConfig(Settings):
    """The CNN that tells upright frames from flipped ones: see `pixelplay.restoration.flip_network`."""

    widths: Annotated[list[Natural], Field(min_length=1)]  # channels of its convolutions
    pool: Natural  # side of the grid of averages that the last layer sees
    epochs: Natural
    batch_size: Natural
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]


class DenoiseConfig(Settings):
    method: Literal["none", "median", "bilateral", "nlmeans"]
    above: Annotated[float, Field(ge=0)]  # noise level, grey levels of 255, of the frames that are denoised


class RestoreConfig(Settings):
    """How corrupted test frames are found and put right: see `pixelplay.restoration`."""

    flip: Literal["none", "network", "background", "both"]
    threshold: Share  # flip probability above which a frame is turned
    frames: FrameFormat  # working size in which frames are judged
    corruption: CorruptionConfig  # the noise that the network is trained with
    network: FlipNetworkConfig
    denoise: DenoiseConfig
    save_images: bool  # write every restored frame as an image, too


class YoloConfig(Settings):
    """How YOLO looks for objects, see `pixelplay.objects.yolo`; with which weights says `weights.detector`."""

    image_size: Annotated[int, Field(ge=32, multiple_of=32)]  # pixels of the longer side of what the network sees
    confidence: Annotated[float, Field(gt=0, lt=1)]  # boxes below are not even stored
    iou: Annotated[float, Field(gt=0, lt=1)]  # overlap from which on the weaker of two boxes of a class goes
    max_boxes: Natural  # of a frame
    batch_size: Natural  # frames
    precision: Literal["auto", "fp32", "bf16"]


class MotionConfig(Settings):
    """How moving blobs are found: see `pixelplay.objects.motion`."""

    frames: FrameFormat  # working size in the frame cache
    block: Natural  # frames that share a background
    samples: Natural  # of them that it is the median of
    blur: Annotated[float, Field(gt=0)]  # pixels of the working size, sigma
    threshold: Annotated[float, Field(gt=0)]  # grey levels away from the background, at least
    noise: Annotated[float, Field(ge=0)]  # standard deviations of the frame's noise away from it, at least
    shake: Annotated[int, Field(ge=0)]  # pixels of the working size that the camera may move
    join: Natural  # pixels of the working size: gaps up to this wide are closed
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
    min_size: Annotated[float, Field(ge=0)]  # pixels of the longer side
    overlap: Annotated[float, Field(gt=0, le=1)]  # IoU from which on a moving blob is a detected object
    enlarge: Annotated[float, Field(gt=0)]  # factor on the longer side


class ObjectsConfig(Settings):
    """How objects are detected, for the detectors that ask for them; `tubes` is for those who use the boxes."""

    method: Literal["auto", "yolo", "motion", "both"]  # auto: yolo where weights.detector names weights, else motion
    yolo: YoloConfig
    motion: MotionConfig
    tubes: TubeConfig


class DetectorConfig(Settings):
    """What every detector's configuration has. `settings` and `scoring` are its algorithm's own and validated by it:
    the first decide what is learnt, the second only how it is scored, so a change in them needs no new training.
    """

    algorithm: FileName
    frames: FrameFormat | None  # working size in the frame cache
    settings: dict[str, Any]
    scoring: dict[str, Any]


def _detector_weights(value: str) -> str:
    if value != "motion" and not value.endswith(".pt"):
        raise ValueError("allowed: motion, or a YOLO name or file that ends in .pt, such as yolov5lu.pt")
    return value


def _backbone(value: str) -> str:
    if value not in ("clip_rn101", "in_domain") and not (value.startswith("timm:") and len(value) > 5):
        raise ValueError("allowed: clip_rn101, in_domain, or timm:<model name>, such as timm:resnet18")
    return value


class WeightsConfig(Settings):
    """Where pretrained weights come from (autoencoders use none)."""

    source: Literal["hub", "in_domain"]
    detector: Annotated[str, AfterValidator(_detector_weights)]
    backbone: Annotated[str, AfterValidator(_backbone)]
    backbone_file: FilePath | None
    image_size: Annotated[int, Field(ge=48, multiple_of=16)]  # pixels of the square images that the backbone sees
    videomae: Annotated[str, Field(min_length=1)]  # a hub name, a folder, or in_domain


class WandbConfig(Settings):
    project: str
    mode: Literal["online", "offline"]


class TrainerConfig(Settings):
    max_epochs: Natural
    patience: Natural  # epochs without a better validation loss before training stops
    batch_size: Natural
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    precision: Literal["auto", "fp32", "bf16"]
    loggers: list[Literal["csv", "tensorboard", "wandb"]]
    wandb: WandbConfig


class NormaliseConfig(Settings):
    """How one stream's raw scores are brought to a scale: see `pixelplay.scores.normalise`."""

    method: Literal["none", "minmax", "percentile", "rank", "robust_z", "calibrated", "calibrated_z"]
    low: Annotated[float, Field(ge=0, le=100)]  # percentiles, for `percentile`
    high: Annotated[float, Field(ge=0, le=100)]
    scope: Literal["all", "video"]  # learn from all videos at once, or from each for itself
    clip: Annotated[list[float], Field(min_length=2, max_length=2)] | None  # bounds of the normalised scores

    @model_validator(mode="after")
    def _ordered(self) -> "NormaliseConfig":
        if self.low >= self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")
        if self.clip and not -inf < self.clip[0] < self.clip[1] < inf:
            raise ValueError(f"clip={self.clip}: the first bound must be below the second, and both finite")
        return self


class SmoothConfig(Settings):
    """How normalised scores are smoothed along a video: see `pixelplay.scores.smooth`."""

    method: Literal[
        "none",
        "moving_average",
        "gaussian",
        "median",
        "savitzky_golay",
        "ema",
        "causal_moving_average",
        "causal_gaussian",
        "causal_median",
    ]
    window: Natural  # frames, for the moving averages, the medians and `savitzky_golay`
    sigma: Annotated[float, Field(gt=0)]  # frames, for the Gaussians
    decay: Annotated[float, Field(gt=0, lt=1)]  # what a frame's weight is multiplied by from frame to frame, for `ema`
    polynomial: Annotated[int, Field(ge=0, le=5)]  # degree, for `savitzky_golay`

    @model_validator(mode="after")
    def _smooths(self) -> "SmoothConfig":
        if self.method == "savitzky_golay" and self.polynomial + 1 >= self.window:
            raise ValueError(
                f"window={self.window}: a polynomial of degree {self.polynomial} goes through that many points and "
                f"smooths nothing; the window must be above {self.polynomial + 1}"
            )
        return self


class MemberConfig(Settings):
    """What is done with one stream of scores before it is fused."""

    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    normalise: NormaliseConfig
    smooth: SmoothConfig


FusionMethod = Literal["weighted_mean", "power_mean", "maximum", "product", "rank_mean"]
Power = Annotated[float, Field(gt=0, allow_inf_nan=False)]  # for `power_mean`


class CompositeConfig(Settings):
    """A detector's default stream made anew of its other streams, once these are on one scale."""

    method: FusionMethod
    power: Power
    streams: Annotated[dict[str, MemberConfig], Field(min_length=1)]  # by name, for instance `videopatchcore/spatial`


class RestoredConfig(Settings):
    """How much corrupted test frames count where scores are smoothed: see `pixelplay.scores.restored`."""

    noise_above: Annotated[float, Field(ge=0)]  # noise level, grey levels of 255, of the frames that count less
    weight: Share  # of a frame that was that noisy or flipped; 1: like any other, 0: filled from its neighbours


class FusionConfig(Settings):
    """How raw scores become one score per frame: each member normalised and smoothed, then all combined.

    `external_default`, and the entries of `members` and of `composites`, need only say what differs: the rest is taken
    from `default`, or for an external member from `external_default`.
    """

    method: FusionMethod
    power: Power
    restored: RestoredConfig
    external: list[ExistingFile]  # CSVs in submission format; each joins as the stream called like the file's stem
    default: MemberConfig  # for a detector that `members` does not name
    external_default: MemberConfig  # for an external file that `members` does not name
    composites: dict[str, CompositeConfig]  # by detector; what is not scored in this run is left out
    members: dict[str, MemberConfig]  # by stream name, for instance `conv_ae` or `conv_ae/mean`

    @field_validator("external")
    @classmethod
    def _distinct(cls, files: list[Path]) -> list[Path]:
        names = [file.stem for file in files]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise ValueError(f"{files[names.index(name)]} and {files[i]} would both be called {name!r}; rename one")
        return files

    @field_validator("external_default", mode="before")
    @classmethod
    def _complete(cls, value: Any, info: ValidationInfo) -> Any:
        return _over(info.data.get("default"), value)

    @field_validator("composites", mode="before")
    @classmethod
    def _complete_parts(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            return value
        base = info.data.get("default")

        def complete(composite: Any) -> Any:
            if not isinstance(composite, dict) or not isinstance(composite.get("streams"), dict):
                return composite
            return {**composite, "streams": {name: _over(base, part) for name, part in composite["streams"].items()}}

        return {name: complete(composite) for name, composite in value.items()}

    @field_validator("members", mode="before")
    @classmethod
    def _complete_each(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            return value
        external = {file.stem for file in info.data.get("external", [])}
        bases = {True: info.data.get("external_default"), False: info.data.get("default")}
        return {name: _over(bases[name in external], member) for name, member in value.items()}

    @property
    def external_files(self) -> dict[str, Path]:
        """The external files by the name of their stream."""
        return {file.stem: file for file in self.external}


def _over(base: MemberConfig | None, value: Any) -> Any:
    """`base` with what `value` says in its place; a placeholder where `base` is invalid, which is told already."""
    if base is None:
        return MemberConfig.model_construct()
    return _merged(base.model_dump(), value) if isinstance(value, dict) else value


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key for key, value in over.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return {**base, **over, **{key: _merged(base[key], over[key]) for key in both}}


class BootstrapConfig(Settings):
    """Intervals over resampled videos: see `pixelplay.metrics.bootstrap`."""

    draws: Natural
    level: Annotated[float, Field(gt=0, lt=1)]  # share of the draws that lie within
    seed: Annotated[int, Field(ge=0)]


class LinkConfig(Settings):
    """How boxes become tracks where nobody says which belong together: see `pixelplay.metrics.truth.link`."""

    iou: Annotated[float, Field(gt=0, le=1)]
    gap: Annotated[int, Field(ge=0)]  # frames that a track may be missing


class RegionConfig(Settings):
    """When a region and a track are found, for RBDC and TBDC: see `pixelplay.metrics.regions`."""

    iou: Annotated[float, Field(gt=0, le=1)]
    track_share: Annotated[float, Field(gt=0, le=1)]  # of a track's regions


class TaoConfig(Settings):
    """When detections match, for the source document's object metrics: see `pixelplay.metrics.tao`."""

    iou: Annotated[float, Field(gt=0, le=1)]
    matches: Natural  # frames that must match …
    window: Natural  # … of this many in a row

    @model_validator(mode="after")
    def _reachable(self) -> "TaoConfig":
        if self.matches > self.window:
            raise ValueError(f"matches={self.matches} of window={self.window} frames can never be reached")
        return self


class EvtConfig(Settings):
    tail: Annotated[float, Field(gt=0, lt=1)]  # share of the normal scores that the tail is fitted to
    risk: Annotated[float, Field(gt=0, lt=1)]  # of a false alarm, per normal score

    @model_validator(mode="after")
    def _in_the_tail(self) -> "EvtConfig":
        if self.risk > self.tail:
            raise ValueError(f"risk={self.risk} is above tail={self.tail}: the threshold must lie in the tail")
        return self


class AdaptiveConfig(Settings):
    window: Annotated[int, Field(ge=2)]  # frames
    deviations: Annotated[float, Field(gt=0)]  # standard deviations above their mean


class ThresholdsConfig(Settings):
    """How thresholds come from held-out normal scores: see `pixelplay.metrics.thresholds`."""

    evt: EvtConfig
    percentile: Annotated[float, Field(ge=0, le=100)]
    fixed: dict[str, float]  # by data set, in robust standard deviations above the median
    adaptive: AdaptiveConfig


class EvaluateConfig(Settings):
    """What is measured where the truth is on disk, and how."""

    metrics: list[Literal["pixel", "region", "tao", "thresholds"]]  # beside those of frames
    bootstrap: BootstrapConfig
    aupro_limit: Annotated[float, Field(gt=0, le=1)]  # false positive rate up to which AUPRO is integrated
    link: LinkConfig
    region: RegionConfig
    tao: TaoConfig
    thresholds: ThresholdsConfig


class ShowConfig(Settings):
    """What the commands that draw pictures show."""

    split: Literal["train", "test"]
    video: str | None  # its id; null: the first, or where scores decide, all of them
    frames: list[int]  # numbers of its frames; empty: evenly spaced ones, or where scores decide, their peaks
    count: Natural  # how many, where `frames` names none; explain: and how many objects of each
    clip: bool  # an MP4 of the whole video, too
    rate: Annotated[float, Field(gt=0)]  # frames per second of the clip

    @model_validator(mode="after")
    def _frames_of_a_video(self) -> "ShowConfig":
        if self.frames and self.video is None:
            raise ValueError(f"frames={self.frames} of which video? set show.video, too")
        return self


class SubmitConfig(Settings):
    """What `submit` does with the run's submission once it is valid."""

    send: bool  # to Kaggle; without it nothing leaves this machine
    message: Annotated[str, Field(min_length=1)] | None  # null: the run's name and the fingerprint of its fusion
    competition: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")] | None  # as in its address on kaggle.com
    sample: ExistingFile | None  # sample_submission.csv; null: the data set's, where it has one


class ReportConfig(Settings):
    """What the report shows, beside figures and curves: see `pixelplay.stages.report`."""

    gallery: Annotated[int, Field(ge=0, le=200)]  # frames: those where the fused score peaks
    per_video: Natural  # of them, at most
    apart: Natural  # frames between two of one video, at least
    picture_width: Annotated[int, Field(ge=64, le=1920)]  # pixels
    clips: list[VideoId]  # test videos that are written as annotated MP4s, by their ids
    rate: Annotated[float, Field(gt=0)]  # frames per second of the clips


class Config(Settings):
    experiment: FileName
    run: FileName | None
    seed: Annotated[int, Field(ge=0)]
    device: Literal["auto", "cpu", "cuda", "mps"]
    workers: Annotated[int, Field(ge=0)]  # threads that decode; 0 is one per core
    paths: PathsConfig
    dataset: DatasetConfig
    weights: WeightsConfig
    objects: ObjectsConfig
    detectors: Annotated[dict[FileName, DetectorConfig], Field(min_length=1)]
    trainer: TrainerConfig
    fusion: FusionConfig
    fusion_file: FilePath | None  # where `fusion` was read from, if not from configs/
    restore: RestoreConfig
    evaluate: EvaluateConfig
    show: ShowConfig
    submit: SubmitConfig
    report: ReportConfig

    @model_validator(mode="after")
    def _streams_distinct(self) -> "Config":
        taken = sorted(set(self.fusion.external_files) & {*self.detectors, FUSED})
        if taken:
            owner = "the fusion's own" if taken[0] == FUSED else "that of a detector of this run"
            raise ConfigError(
                f"fusion.external: {self.fusion.external_files[taken[0]]} would be called {taken[0]!r}, and that name "
                f"is {owner}: rename the file"
            )
        return self


SettingsT = TypeVar("SettingsT", bound=Settings)


def validate(cls: type[SettingsT], values: dict[str, Any], where: str = "") -> SettingsT:
    """Build `cls` from plain `values`; raises ConfigError that names every bad key below `where`."""
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        lines = [_explain(cls, problem, where) for problem in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from None


def _explain(cls: type[Settings], problem: Any, where: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join([where, *path] if where else path) or cls.__name__
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key; {alternatives(path[-1], _fields_at(cls, path[:-1]))}"
    if problem["type"] == "missing":
        return f"{key}: missing; it has no default, so a config file or the command line must set it"
    return f"{key}={problem['input']!r}: {message}"


def _fields_at(cls: type[Settings], path: list[str]) -> list[str]:
    """Field names of the settings class at `path`, looking through Optional and dict annotations."""
    for name in path:
        field = cls.model_fields.get(name)
        if field is None:  # a key of a mapping, such as a detector's name: the class stays the mapping's value class
            continue
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        classes = [c for c in inner if isinstance(c, type) and issubclass(c, Settings)]
        if not classes:
            return []
        cls = classes[0]
    return list(cls.model_fields)


def alternatives(name: str, allowed: list[str]) -> str:
    """'did you mean …?' where something is close, and always the allowed names."""
    from difflib import get_close_matches

    close = get_close_matches(name, allowed, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed here: {', '.join(sorted(allowed)) or 'nothing'}"
