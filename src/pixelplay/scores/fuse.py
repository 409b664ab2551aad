"""From raw scores to one score per frame: normalise and smooth each member, then combine them.

`fuse` does everything; to try many weights, call `process` once per member, `align` once, and then only `combine`; for
scores that are still to come, call `combination` once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.errors import ConfigError, DataError
from pixelplay.scores.combine import bounded, combine
from pixelplay.scores.normalise import Map, fitted, normalise
from pixelplay.scores.settings import FUSED, FusionConfig, MemberConfig
from pixelplay.scores.smooth import in_steps, smooth
from pixelplay.scores.table import NEW, Splits, VideoScores, by_split, to_table
from pixelplay.settings import alternatives

# The split whose scores set the scale, for methods that learn from scores. Held-out normal footage is put on the test
# set's scale, so that a threshold from it holds there, as is new footage; pseudo-anomalies are a test set of their own.
SCALE_OF = {"test": "test", "calibration": "test", "pseudo": "pseudo", NEW: "test"}

FrameWeights = Mapping[str, Mapping[str, np.ndarray]]  # by split, then by video: (T,) in [0, 1]


@dataclass(frozen=True)
class Members:
    """Processed scores of M streams over the same N frames."""

    streams: list[str]  # M
    index: pd.MultiIndex  # (N,) video and frame number, a video's frames together and increasing
    scores: np.ndarray  # (M, N) float64

    def by_video(self, scores: np.ndarray) -> dict[str, VideoScores]:
        """Scores (N,) of these frames, by video."""
        videos = pd.Series(scores, self.index).groupby(level=0, sort=False)
        return {str(v): VideoScores(of.index.get_level_values(1).to_numpy(), of.to_numpy()) for v, of in videos}


def fuse(tables: dict[str, pd.DataFrame], config: FusionConfig, weights: FrameWeights | None = None) -> pd.DataFrame:
    """Processed members and the stream `fused` as a scores table, in float64.

    `tables`: the scores table of each stream that takes part, by stream. Streams that `config.members` does not name
    are processed as `config.default`, or `config.external_default` if they are in `config.external`. Splits other than
    test are fused if every member has them. Streams come one after the other, videos as they first appear in the first
    table, frames increasing. `weights`: see `process`.
    Raises DataError if there is no table, a table is not its stream's or has no test rows, or the streams' frames
    differ; ConfigError if a configured member has no table or the weights are unusable.
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
    # Members in the common order of frames; normal footage and splits that others do not have as they are.
    common = {split: one for split, one in aligned.items() if split != "calibration"}
    ordered = {
        stream: processed[stream] | {split: one.by_video(one.scores[m]) for split, one in common.items()}
        for m, stream in enumerate(raw)
    }
    return pd.concat([to_table(stream, of) for stream, of in {**ordered, FUSED: fused}.items()], ignore_index=True)


def compose(
    tables: Mapping[str, pd.DataFrame], config: FusionConfig, weights: FrameWeights | None = None
) -> dict[str, pd.DataFrame]:
    """The default streams that `config.composites` makes of other streams in `tables`, scores tables by stream.

    Raises ConfigError for a part without a table, and as `fuse` does.
    """
    made = {}
    for name, composite in config.composites.items():
        if name not in tables:
            continue
        if missing := [part for part in composite.streams if part not in tables]:
            hint = alternatives(missing[0], list(tables))
            raise ConfigError(f"fusion.composites.{name}.streams.{missing[0]}: no such stream; {hint}")
        update = {"method": composite.method, "power": composite.power, "members": composite.streams}
        whole = fuse({part: tables[part] for part in composite.streams}, config.model_copy(update=update), weights)
        made[name] = whole[whole["stream"] == FUSED].assign(stream=name)
    return made


def member_of(stream: str, config: FusionConfig) -> MemberConfig:
    """A stream's processing and weight: of `config.members`, else as a part of a composite, else the default."""
    if stream in config.members:
        return config.members[stream]
    for composite in config.composites.values():
        if stream in composite.streams:
            return composite.streams[stream]
    return config.base_of(stream)


def processed_like(stream: str, config: FusionConfig) -> str:
    """The stream whose processing one outside the fusion gets: its own as a part of a composite, or its detector's."""
    parts = {part for composite in config.composites.values() for part in composite.streams}
    return stream if stream in parts else detector_of(stream)


def process_unfused(
    stream: str, table: pd.DataFrame, config: FusionConfig, weights: FrameWeights | None = None
) -> pd.DataFrame:
    """The scores table of a stream outside the fusion, processed as `processed_like` says."""
    return to_table(stream, process(by_split(table), member_of(processed_like(stream, config), config), weights))


def detector_of(stream: str) -> str:
    """The detector of a stream: `conv_ae` of `conv_ae/mean`."""
    return stream.partition("/")[0]


def process(raw: Splits, member: MemberConfig, weights: FrameWeights | None = None) -> Splits:
    """One stream's scores normalised, then smoothed within each video: same splits, videos and frames, in float64.

    Methods that learn from held-out normal footage use the split `calibration`; those that learn from scores use those
    of `SCALE_OF`, or of each video with `normalise.scope=video`. `weights` say how much single frames count in
    smoothing, by default fully. Raises DataError as `normalise` and `smooth` do, and without test rows.
    """
    if not raw.get("test"):
        raise DataError("there are no scores of split=test: run score.py")
    of_frames = weights or {}

    def smoothed(one: VideoScores, own: np.ndarray | None) -> VideoScores:
        return VideoScores(one.frames, smooth(one.scores, in_steps(one.frames), member.smooth, own))

    return {
        split: {video: smoothed(one, of_frames.get(split, {}).get(video)) for video, one in videos.items()}
        for split, videos in _normalised(raw, member).items()
    }


def scale_of_new(stream: str, raw: Splits, member: MemberConfig) -> Map:
    """How `process` normalises a stream's scores of new footage, beside those of a run: for scores still to come.

    Raises ConfigError for a scale that a whole video sets, DataError as `normalise`.
    """
    if member.normalise.scope == "video":
        raise ConfigError(
            f"{stream}: normalise.scope=video: the scale of a whole video, which is not known while it goes on: fuse "
            "the run with scope=all first"
        )
    return fitted(_joined(raw.get("calibration", {})), member.normalise, _joined(raw[SCALE_OF[NEW]]))


def align(processed: Mapping[str, Splits]) -> dict[str, Members]:
    """The streams' scores side by side, for each split that all of them have; videos in the first stream's order.

    Of normal footage, the frames that all streams have: some detectors score more of it (see `Calibrates`). Raises
    DataError if two streams have different frames in another split.
    """
    first, *others = ({split: _series(videos) for split, videos in splits.items()} for splits in processed.values())
    aligned = {}
    for split, reference in first.items():
        if not all(split in splits for splits in others):
            continue
        index = reference.index
        for stream, splits in zip(list(processed)[1:], others, strict=True):
            own = splits[split].index
            if own.equals(index):
                continue
            if split == "calibration":
                index = index[index.isin(own)]
            else:
                _refuse_missing(split, stream, own, next(iter(processed)), index)
                _refuse_missing(split, next(iter(processed)), index, stream, own)
        if len(index):
            scores = np.stack([splits[split].reindex(index).to_numpy() for splits in (first, *others)])
            aligned[split] = Members(list(processed), index, scores)
    return aligned


def _normalised(raw: Splits, member: MemberConfig) -> Splits:
    heldout = _joined(raw.get("calibration", {}))
    result: Splits = {}
    for split, videos in raw.items():
        if member.normalise.scope == "video":
            values = [normalise(one.scores, heldout, member.normalise) for one in videos.values()]
        else:
            stops = np.cumsum([len(one.frames) for one in videos.values()])[:-1]
            reference = _joined(raw[SCALE_OF[split]])
            values = np.split(normalise(_joined(videos), heldout, member.normalise, reference), stops)
        pairs = zip(videos.items(), values, strict=True)
        result[split] = {video: VideoScores(one.frames, scores) for (video, one), scores in pairs}
    return result


def _joined(videos: Mapping[str, VideoScores]) -> np.ndarray:
    return np.concatenate([np.empty(0), *(one.scores for one in videos.values())])


def _series(videos: Mapping[str, VideoScores]) -> pd.Series:
    """Scores by video and frame number."""
    names = np.repeat(np.array(list(videos), object), [len(one.frames) for one in videos.values()])
    frames, scores = (np.concatenate(parts) for parts in zip(*videos.values(), strict=True))
    return pd.Series(scores, pd.MultiIndex.from_arrays([names, frames]))


def _raw_scores(tables: dict[str, pd.DataFrame], config: FusionConfig) -> dict[str, Splits]:
    """Each stream's scores, once the tables are known to be those of the fusion's members."""
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


def _refuse_missing(split: str, stream: str, found: pd.MultiIndex, other: str, wanted: pd.MultiIndex) -> None:
    """Raise DataError if `stream` has no score of frames that `other` has."""
    missing = wanted[~wanted.isin(found)]
    if len(missing):
        video, frame = missing[0]
        raise DataError(
            f"stream {stream!r} has no score for video {video!r}, frame {frame}, which stream {other!r} has "
            f"[split {split}, {len(missing)} such row(s)]; fused streams must cover the same frames: run score.py for "
            "both again"
        )
