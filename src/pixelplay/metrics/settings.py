"""Settings of metrics. Keys are explained in `configs/config.yaml`."""

from typing import Annotated

from pydantic import model_validator

from pixelplay.settings import (
    Draws,
    Gap,
    Natural,
    PartialShare,
    PositiveShare,
    Seed,
    Settings,
    one_of,
)


class BootstrapConfig(Settings):
    """Confidence intervals over resampled videos: see `pixelplay.metrics.frames`."""

    n_bootstrap: Draws
    level: PartialShare
    seed: Seed


class LinkConfig(Settings):
    """How boxes are linked to tracks where the data set has none: see `pixelplay.metrics.boxes.link`."""

    iou: PositiveShare
    max_gap: Gap


class RegionConfig(Settings):
    """When a region and a track count as detected, for RBDC and TBDC: see `pixelplay.metrics.regions`."""

    iou: PositiveShare
    track_share: PositiveShare


class TaoConfig(Settings):
    """When detections match, for the reference solution's object metrics: see `pixelplay.metrics.regions`."""

    iou: PositiveShare
    matches: Natural
    window: Natural

    @model_validator(mode="after")
    def _reachable(self) -> "TaoConfig":
        if self.matches > self.window:
            raise ValueError(f"matches={self.matches} of window={self.window} frames can never be reached")
        return self


LEVELS = {  # of object metrics: single figures by the names that choose them, and how they are called in the level
    "pixel": {"pixel_auroc": "auroc", "pixel_ap": "ap", "pixel_aupro": "aupro", "pixel_f1": "best_f1"},
    "region": {"rbdc": "rbdc", "tbdc": "tbdc"},
    "tao": {"tao_region": "tao_region", "tao_track": "tao_track"},
}
METRICS = (*LEVELS, "thresholds", *(name for level in LEVELS.values() for name in level))


class EvaluateConfig(Settings):
    metrics: list[Annotated[str, one_of(f"{__name__}:METRICS")]]  # levels, or single figures of them
    bootstrap: BootstrapConfig
    aupro_limit: PositiveShare
    link: LinkConfig
    region: RegionConfig
    tao: TaoConfig

    def asks_for(self, level: str) -> bool:
        return level in self.metrics or not {*self.metrics}.isdisjoint(LEVELS[level])

    def left_out(self, level: str) -> set[str]:
        """The single figures of a level that are not asked for."""
        return (
            set() if level in self.metrics else {of for name, of in LEVELS[level].items() if name not in self.metrics}
        )
