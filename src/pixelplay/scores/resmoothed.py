"""The same fusion with other smoothing: with none, or with smoothers that look at no later frame."""

from collections.abc import Callable

from pixelplay.scores.settings import FusionConfig, MemberConfig, SmoothConfig
from pixelplay.scores.smooth import CAUSAL

# Savitzky-Golay has no causal version (see `pixelplay.scores.smooth`): the mean of as many frames takes its place.
COUNTERPARTS = {
    **{method: method for method in CAUSAL},
    "moving_average": "causal_moving_average",
    "gaussian": "causal_gaussian",
    "median": "causal_median",
    "savitzky_golay": "causal_moving_average",
}

Change = Callable[[SmoothConfig], SmoothConfig]


def unsmoothed(config: FusionConfig) -> FusionConfig:
    """The same fusion without any smoothing, of members or of parts of composites."""
    return _members_with(config, lambda smooth: smooth.model_copy(update={"method": "none"}))


def causal(config: FusionConfig) -> FusionConfig:
    """The same fusion with each smoother's causal counterpart, of members, of parts of composites and of objects."""
    objects = config.objects.model_copy(update={"smooth": causal_smoother(config.objects.smooth)})
    return _members_with(config, causal_smoother).model_copy(update={"objects": objects})


def causal_smoother(smooth: SmoothConfig) -> SmoothConfig:
    return smooth.model_copy(update={"method": COUNTERPARTS[smooth.method]})


def _members_with(config: FusionConfig, change: Change) -> FusionConfig:
    def of(member: MemberConfig) -> MemberConfig:
        return member.model_copy(update={"smooth": change(member.smooth)})

    composites = {
        name: one.model_copy(update={"streams": {part: of(member) for part, member in one.streams.items()}})
        for name, one in config.composites.items()
    }
    members = {stream: of(member) for stream, member in config.members.items()}
    defaults = {name: of(getattr(config, name)) for name in ("default", "external_default")}
    return config.model_copy(update={"composites": composites, "members": members, **defaults})
