"""Settings of the comparison without labels: which changes of the fusion are tried, and what the search may choose."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pixelplay.errors import ConfigError
from pixelplay.scores.settings import FusionConfig, NormaliseConfig, SmoothConfig
from pixelplay.settings import Draws, NonNegative, Seed, Settings, alternatives, validate

Step = Literal["pooling", "normalise", "smooth", "method", "weights"]


def _distinct(values: list[Any]) -> list[Any]:
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise ValueError(f"{twice[0]} is there more than once")
    return values


Changes = Annotated[list[Annotated[dict[str, Any], Field(min_length=1)]], AfterValidator(_distinct)]


class AblateConfig(Settings):
    """What is compared on pseudo-anomalies: see `pixelplay.ablation`."""

    search: bool  # write the chosen fusion to a file
    choose: Annotated[list[Step], Field(min_length=1), AfterValidator(_distinct)]  # what may be chosen, in this order
    metric: Literal["ap", "auc"]  # by which is chosen
    margin: NonNegative  # standard errors by which a change must win
    n_bootstrap: Draws  # of whole clips, for the standard errors
    seed: Seed
    weight_steps: Annotated[int, Field(ge=1, le=10_000)]  # of a weight from 0 to 1, at most
    max_points: Annotated[int, Field(ge=2, le=10_000)]  # of the sweep over weights, at most
    labels: bool  # show figures on test labels, too, where there are any
    normalise: Changes  # in place of every member's own
    smooth: Changes
    method: Changes  # of the fusion, with its power

    def check_over(self, fusion: FusionConfig) -> None:
        """Raise ConfigError for a change that no fusion can take, seen on its default member."""
        for i, change in enumerate(self.normalise):
            changed(fusion.default.normalise, change, f"ablate.normalise.{i}")
        for i, change in enumerate(self.smooth):
            changed(fusion.default.smooth, change, f"ablate.smooth.{i}")
        for i, change in enumerate(self.method):
            changed_method(fusion, change, f"ablate.method.{i}")


def changed(base: NormaliseConfig | SmoothConfig, change: dict[str, Any], where: str) -> Any:
    """`base` with what `change` says in its place; raises ConfigError that names every bad key below `where`."""
    return validate(type(base), {**base.model_dump(), **change}, where)


def changed_method(fusion: FusionConfig, change: dict[str, Any], where: str) -> FusionConfig:
    """`fusion` with another method or power; raises ConfigError likewise."""
    strange = [key for key in change if key not in ("method", "power")]
    if strange:
        raise ConfigError(f"{where}.{strange[0]}: unknown key; {alternatives(strange[0], ['method', 'power'])}")
    values = {**fusion.model_dump(mode="json"), **change}
    checked = validate(FusionConfig, values, where)
    return fusion.model_copy(update={"method": checked.method, "power": checked.power})
