"""Settings of the comparison on pseudo-anomalies, and of sweeps. Keys are explained in `configs/`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pixelplay.errors import ConfigError
from pixelplay.scores.settings import FusionConfig, NormaliseConfig, SmoothConfig
from pixelplay.settings import Draws, FileName, NonNegative, Seed, Settings, Unique, alternatives, one_of, validate

Step = Annotated[str, one_of("pixelplay.ablation.variants:STEPS")]
Changes = Annotated[list[Annotated[dict[str, Any], Field(min_length=1)]], Unique]


class AblateConfig(Settings):
    search: bool
    choose: Annotated[list[Step], Field(min_length=1), Unique]
    metric: Literal["ap", "auc"]
    margin: NonNegative
    n_bootstrap: Draws
    seed: Seed
    weight_steps: Annotated[int, Field(ge=1, le=10_000)]
    max_points: Annotated[int, Field(ge=2, le=10_000)]
    labels: bool
    normalise: Changes
    smooth: Changes
    method: Changes

    def check_changes(self, fusion: FusionConfig) -> None:
        """Raise ConfigError for a change that is impossible for the fusion's default member."""
        for part in ("normalise", "smooth"):
            for i, change in enumerate(getattr(self, part)):
                changed(getattr(fusion.default, part), change, f"ablate.{part}.{i}")
        for i, change in enumerate(self.method):
            changed_method(fusion, change, f"ablate.method.{i}")


class SweepConfig(Settings):
    """What the command `sweep` varies; stages know nothing of it."""

    name: FileName | None
    detectors: Annotated[list[FileName], Unique]
    variants: dict[str, Annotated[list[str], Field(min_length=1)]]


def changed(base: NormaliseConfig | SmoothConfig, change: dict[str, Any], where: str) -> Any:
    """`base` with the keys of `change` replaced; raises ConfigError that names every bad key below `where`."""
    return validate(type(base), {**base.model_dump(), **change}, where)


def changed_method(fusion: FusionConfig, change: dict[str, Any], where: str) -> FusionConfig:
    """`fusion` with another method or power; raises ConfigError likewise."""
    strange = [key for key in change if key not in ("method", "power")]
    if strange:
        raise ConfigError(f"{where}.{strange[0]}: unknown key; {alternatives(strange[0], ['method', 'power'])}")
    checked = validate(FusionConfig, {**fusion.model_dump(mode="json"), **change}, where)
    return fusion.model_copy(update={"method": checked.method, "power": checked.power})
