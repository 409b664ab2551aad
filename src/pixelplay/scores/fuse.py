"""From raw scores to one score per frame: each member normalised and smoothed, then all of them combined.

A fusion is a function `(members, weights, reference, config) -> scores` in `FUSIONS`, found by `FusionConfig.method`; a
new one is a function here, its entry there, and its name in `FusionConfig.method`. `fuse` does it all; whoever tries
many weights calls `process` once for each member, `align` once, and then only `combine`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd

from pixelplay.errors import ConfigError, DataError
from pixelplay.scores.normalise import normalise, rank
from pixelplay.scores.settings import FUSED, FusionConfig, MemberConfig
from pixelplay.scores.smooth import smooth
from pixelplay.scores.steps import in_steps
from pixelplay.scores.table import Splits, VideoScores, by_split, to_table
from pixelplay.settings import alternatives

# The scores of which split set the scale, where a method learns from scores. Held-out normal footage stands beside the
# test set, so that a threshold set on it holds there; planted anomalies are a test set of their own.
SCALE_OF = {"test": "test", "calibration": "test", "pseudo": "pseudo"}

Z_SCORES = {"calibrated", "calibrated_z", "robust_z"}  # what `FusionConfig.bounds` is about

FrameWeights = Mapping[str, Mapping[str, np.ndarray]]  # by split, then by video: (T,) in [0, 1]


@dataclass(frozen=True)
class Members:
    """Processed scores of several streams over the same frames."""

    streams: list[str]  # M
    videos: list[str]  # V, in the order of their frames below
    starts: np.ndarray  # (V,) int64, where each video's frames begin
    frames: np.ndarray  # (N,) int64 original frame numbers, increasing within a video
    scores: np.ndarray  # (M, N) float64

    def by_video(self, scores: np.ndarray) -> dict[str, VideoScores]:
        """Scores (N,) of these frames, cut into videos."""
        parts = zip(np.split(self.frames, self.starts[1:]), np.split(scores, self.starts[1:]), strict=True)
        return {video: VideoScores(*part) for video, part in zip(self.videos, parts, strict=True)}


def fuse(tables: dict[str, pd.DataFrame], config: FusionConfig, weights: FrameWeights | None = None) -> pd.DataFrame:
    """Processed members and the stream `fused` as a scores table, in float64.

    `tables`: scores table of each stream that takes part, by stream name; a stream that `config.members` does not name
    is processed as `config.default`, or `config.external_default` if it is one of `config.external`. Splits other than
    test are fused where every member has them. Streams come one after the other; within each, videos as they first
    appear in the first table, frames increasing. `weights`: see `process`.
    Raises DataError when there is no table, a table is not its stream's or has no test rows, or the streams' frames
    differ; ConfigError when a configured member has no table or the weights can't be used.
    """
    raw = _raw_scores(tables, config)
    members = {stream: member_of(stream, config) for stream in raw}
    processed = {stream: process(splits, members[stream], weights) for stream, splits in raw.items()}
    shares = np.array([member.weight for member in members.values()])
    aligned = align(processed)
    within = {split: bounded(one.scores, list(members.values()), config) for split, one in aligned.items()}
    fused = {
        split: one.by_video(combine(within[split], shares, config, within[SCALE_OF[split]]))
        for split, one in aligned.items()
    }
    ordered = {stream: _in_order_of(aligned, m, processed[stream]) for m, stream in enumerate(raw)}
    return pd.concat([to_table(stream, of) for stream, of in {**ordered, FUSED: fused}.items()], ignore_index=True)


def compose(
    tables: Mapping[str, pd.DataFrame], config: FusionConfig, weights: FrameWeights | None = None
) -> dict[str, pd.DataFrame]:
    """Default streams that `config.composites` makes of others of `tables`, scores tables by stream; those alone.

    Raises ConfigError for a part that there is no table of, and as `fuse` does.
    """
    made = {}
    for name, composite in config.composites.items():
        if name not in tables:
            continue
        lacking = [part for part in composite.streams if part not in tables]
        if lacking:
            hint = alternatives(lacking[0], list(tables))
            raise ConfigError(f"fusion.composites.{name}.streams.{lacking[0]}: no such stream; {hint}")
        update = {"method": composite.method, "power": composite.power, "members": composite.streams}
        whole = fuse({part: tables[part] for part in composite.streams}, config.model_copy(update=update), weights)
        made[name] = whole[whole["stream"] == FUSED].assign(stream=name)
    return made


def member_of(stream: str, config: FusionConfig) -> MemberConfig:
    """How a stream is processed, and its weight.

    As `config.members` says, or as a part of a composite, or by default.
    """
    if stream in config.members:
        return config.members[stream]
    for composite in config.composites.values():
        if stream in composite.streams:
            return composite.streams[stream]
    return config.base_of(stream)


def unsmoothed(config: FusionConfig) -> FusionConfig:
    """The same fusion with nothing smoothed: no member, and no part of a composite."""

    def of(member: MemberConfig) -> MemberConfig:
        return member.model_copy(update={"smooth": member.smooth.model_copy(update={"method": "none"})})

    composites = {
        name: one.model_copy(update={"streams": {part: of(member) for part, member in one.streams.items()}})
        for name, one in config.composites.items()
    }
    members = {stream: of(member) for stream, member in config.members.items()}
    defaults = {name: of(getattr(config, name)) for name in ("default", "external_default")}
    return config.model_copy(update={"composites": composites, "members": members, **defaults})


def processed_like(stream: str, config: FusionConfig) -> str:
    """The stream that one which is not fused is processed like: itself as a part of a composite, or its detector's."""
    parts = {part for composite in config.composites.values() for part in composite.streams}
    return stream if stream in parts else detector_of(stream)


def detector_of(stream: str) -> str:
    """The detector of a stream: `conv_ae` of `conv_ae/mean`."""
    return stream.partition("/")[0]


def process(raw: Splits, member: MemberConfig, weights: FrameWeights | None = None) -> Splits:
    """One stream's scores normalised, then smoothed within each video: the same splits, videos and frames, in float64.

    Smoothing counts time in the usual steps of a video's frame numbers, see `pixelplay.scores.steps`.

    The split `calibration` serves the methods that learn from held-out normal footage. Those that learn from the scores
    do so from the split that is normalised, or with `normalise.scope=video` from each of its videos; held-out footage
    is put on the scale of the test set (see `SCALE_OF`). `weights` say how much single frames count in smoothing; what
    they do not name counts fully. Raises DataError as `normalise` and `smooth` do, and without test rows.
    """
    if not raw.get("test"):
        raise DataError("there are no scores of split=test: run score.py")
    of_frames = weights or {}
    return {
        split: {
            video: VideoScores(
                one.frames, smooth(one.scores, in_steps(one.frames), member.smooth, of_frames.get(split, {}).get(video))
            )
            for video, one in videos.items()
        }
        for split, videos in _normalised(raw, member).items()
    }


def align(processed: Mapping[str, Splits]) -> dict[str, Members]:
    """The streams' scores side by side, for each split that all of them have; videos in the first stream's order.

    Of normal footage, which some detectors have more scores of than others (see `Calibrates`), what all have counts.
    Raises DataError when two streams have different frames in another split.
    """
    processed = _with_common_calibration(processed)
    (first, reference), *others = processed.items()
    shared = [split for split in reference if all(split in splits for _, splits in others)]
    for split in shared:
        for stream, splits in others:
            _refuse_lacking(split, stream, splits, first, reference)
            _refuse_lacking(split, first, reference, stream, splits)
    return {split: _side_by_side(processed, split, reference[split]) for split in shared}


def bounded(scores: np.ndarray, members: Sequence[MemberConfig], config: FusionConfig) -> np.ndarray:
    """Processed scores (M, N) of M members within `config.bounds`: those on a z scale, where several are combined.

    Alone, a member keeps its order beyond the bounds.
    """
    if config.bounds is None or sum(member.weight > 0 for member in members) < 2:
        return scores
    z = np.array([member.normalise.method in Z_SCORES for member in members])
    return np.where(z[:, None], np.clip(scores, *config.bounds), scores)


def combine(
    scores: np.ndarray, weights: np.ndarray, config: FusionConfig, reference: np.ndarray | None = None
) -> np.ndarray:
    """One score per frame, float64 (N,), from processed members (M, N) by `config.method`.

    `weights` (M,) are divided by their sum; a member of weight 0 takes no part. `reference` (M, R), by default the
    members themselves, are the scores among which `rank_mean` ranks. Nothing else of `config` but `power` is read.
    Raises ConfigError when a weight is lacking, negative or not finite, or when all are zero.
    """
    reference = scores if reference is None else reference
    if weights.shape != (len(scores),):
        raise ConfigError(f"{len(scores)} fused streams have as many weights; they are {weights.tolist()}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ConfigError(f"fusion weights must be finite and at least 0; they are {weights.tolist()}")
    if not weights.any():
        raise ConfigError("all fusion weights are 0; give at least one of the fused streams a weight above 0")
    shares = weights / weights.max()  # first, so that a sum of huge weights can't overflow
    shares /= shares.sum()
    part = shares > 0
    if not part.all():
        scores, reference, shares = scores[part], reference[part], shares[part]
    return FUSIONS[config.method](scores, shares, reference, config)


def weighted_mean(scores: np.ndarray, shares: np.ndarray, reference: np.ndarray, config: FusionConfig) -> np.ndarray:
    """Sum of shares times scores, the shares summing to 1."""
    return shares @ scores


def power_mean(scores: np.ndarray, shares: np.ndarray, reference: np.ndarray, config: FusionConfig) -> np.ndarray:
    """(sum of shares x score^p)^(1/p) with p = `config.power`: the mean at 1, towards the maximum for large p.

    Scores below 0 count as 0: meant for scores in [0, 1].
    """
    scores = np.maximum(scores, 0.0)
    top = scores.max(axis=0)
    ratios = scores / np.where(top > 0, top, 1.0)  # in [0, 1], so that no power overflows
    return top * (shares @ ratios**config.power) ** (1 / config.power)


def maximum(scores: np.ndarray, shares: np.ndarray, reference: np.ndarray, config: FusionConfig) -> np.ndarray:
    """Greatest score of any member; weights above 0 only say who takes part."""
    return scores.max(axis=0)


def product(scores: np.ndarray, shares: np.ndarray, reference: np.ndarray, config: FusionConfig) -> np.ndarray:
    """Product of score^share, the weighted geometric mean: with equal weights it orders frames as the plain product.

    Scores below 0 count as 0: meant for scores in [0, 1].
    """
    with np.errstate(divide="ignore"):  # the logarithm of 0 is minus infinity, and its product 0
        return np.exp(shares @ np.log(np.maximum(scores, 0.0)))


def rank_mean(scores: np.ndarray, shares: np.ndarray, reference: np.ndarray, config: FusionConfig) -> np.ndarray:
    """Weighted mean of each member's rank among its reference scores, see `pixelplay.scores.normalise.rank`."""
    return shares @ np.stack([rank(among)(member) for among, member in zip(reference, scores, strict=True)])


def _normalised(raw: Splits, member: MemberConfig) -> Splits:
    heldout = _joined(raw.get("calibration", {}))
    result: Splits = {}
    for split, videos in raw.items():
        if member.normalise.scope == "video":
            values = [normalise(one.scores, heldout, member.normalise) for one in videos.values()]
        else:
            stops = np.cumsum([len(one.frames) for one in videos.values()])[:-1]
            scale = _joined(raw[SCALE_OF[split]])
            values = np.split(normalise(_joined(videos), heldout, member.normalise, scale), stops)
        pairs = zip(videos.items(), values, strict=True)
        result[split] = {video: VideoScores(one.frames, scores) for (video, one), scores in pairs}
    return result


def _with_common_calibration(processed: Mapping[str, Splits]) -> dict[str, Splits]:
    """The same streams, each with those frames of the split `calibration` alone that all of them have."""
    every = [splits.get("calibration", {}) for splits in processed.values()]
    common = {
        video: reduce(np.intersect1d, [videos[video].frames for videos in every])
        for video in every[0]
        if all(video in videos for videos in every)
    }

    def kept(videos: Mapping[str, VideoScores]) -> dict[str, VideoScores]:
        rows = {video: np.isin(videos[video].frames, frames) for video, frames in common.items() if len(frames)}
        return {v: VideoScores(videos[v].frames[there], videos[v].scores[there]) for v, there in rows.items()}

    shared = any(map(len, common.values()))
    return {
        stream: {
            split: kept(videos) if split == "calibration" else videos
            for split, videos in splits.items()
            if shared or split != "calibration"
        }
        for stream, splits in processed.items()
    }


def _joined(videos: Mapping[str, VideoScores]) -> np.ndarray:
    return np.concatenate([np.empty(0), *(one.scores for one in videos.values())])


def _side_by_side(processed: Mapping[str, Splits], split: str, reference: Mapping[str, VideoScores]) -> Members:
    lengths = [len(one.frames) for one in reference.values()]
    return Members(
        streams=list(processed),
        videos=list(reference),
        starts=np.cumsum([0, *lengths[:-1]]),
        frames=np.concatenate([one.frames for one in reference.values()]),
        scores=np.stack(
            [np.concatenate([splits[split][video].scores for video in reference]) for splits in processed.values()]
        ),
    )


def _in_order_of(splits: Mapping[str, Members], m: int, own: Splits) -> Splits:
    """Member m's scores in the order in which they were aligned; normal footage, and splits that others do not have, as
    they are.
    """
    return own | {split: one.by_video(one.scores[m]) for split, one in splits.items() if split != "calibration"}


def _raw_scores(tables: dict[str, pd.DataFrame], config: FusionConfig) -> dict[str, Splits]:
    """Each stream's scores as arrays, once the tables are those of the fusion's members."""
    if not tables:
        raise DataError("there are no scores to fuse; run score.py for at least one detector")
    for stream in config.members:
        if stream not in tables:
            raise ConfigError(f"fusion.members.{stream}: no such stream; {alternatives(stream, list(tables))}")
    raw = {}
    for stream, table in tables.items():
        if stream == FUSED:
            raise DataError(f"a detector's stream may not be called {FUSED!r}; that is the fusion's own")
        raw[stream] = by_split(table)
        if "test" not in raw[stream]:
            raise DataError(f"stream {stream!r} has no scores of split=test; run score.py")
        if table["stream"].iloc[0] != stream:
            raise DataError(f"the table of stream {stream!r} has rows of {table['stream'].iloc[0]}")
    return raw


def _refuse_lacking(split: str, stream: str, splits: Splits, other: str, wanted: Splits) -> None:
    """Raise DataError when `stream` lacks rows of a split that `other` has."""
    none = np.empty(0, np.int64)
    lacking = {
        video: np.setdiff1d(one.frames, splits[split][video].frames if video in splits[split] else none)
        for video, one in wanted[split].items()
    }
    lacking = {video: frames for video, frames in lacking.items() if frames.size}
    if lacking:
        video, frames = next(iter(lacking.items()))
        raise DataError(
            f"stream {stream!r} has no score for video {video!r}, frame {frames[0]}, which stream {other!r} has "
            f"[split {split}, {sum(map(len, lacking.values()))} such row(s)]; fused streams must cover the same "
            "frames: run score.py for both again"
        )


FUSIONS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, FusionConfig], np.ndarray]] = {
    "weighted_mean": weighted_mean,
    "power_mean": power_mean,
    "maximum": maximum,
    "product": product,
    "rank_mean": rank_mean,
}
