"""From the raw scores of a frame to its fused score and to those of its objects, as the run fuses its own.

What the run knows is read once; a `FusionStream` is the state of one stream. Its scores are those that `fuse_objects`,
`frame_scores` and `fuse` give for the same raw scores with smoothers that look at no later frame.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.accepted.use import with_accepted_scores
from pixelplay.config import Config
from pixelplay.detectors.stream import MomentScores
from pixelplay.errors import DataError
from pixelplay.evaluation.contributions import member_scores, shares_by_name, usual
from pixelplay.objects.moments import Moment
from pixelplay.online.run_scores import RunScores
from pixelplay.scores.combine import bounded, combination
from pixelplay.scores.fuse import FrameWeights, align, member_of, process, scale_of_new
from pixelplay.scores.objects import ROW, scale_of, shares_of, summands
from pixelplay.scores.restored import weight_of
from pixelplay.scores.running import RunningSmoother
from pixelplay.scores.settings import OBJECTS, FusionConfig
from pixelplay.scores.table import by_split
from pixelplay.videos.index import Index


@dataclass(frozen=True, eq=False)
class Fused:
    """The fused scores of one frame."""

    score: float
    members: Mapping[str, float]  # normalised and smoothed, by stream
    objects: np.ndarray | None  # float64 (n,), of the rows of the moment's tracks; None where no objects are fused
    _added: np.ndarray  # (M,), what each member adds to the score
    _streams: Sequence[str]  # S, of objects
    _added_to_objects: np.ndarray  # (n, S), what each stream adds to an object's score

    @property
    def contributions(self) -> dict[str, float]:
        """The members' shares of the score, which add up to 1: see `Event.contributions`."""
        return shares_by_name(list(self.members), self._added)

    def contributions_of(self, row: int) -> dict[str, float]:
        """The object streams' shares of an object's score."""
        return shares_by_name(self._streams, self._added_to_objects[row])


class OnlineFusion:
    """The fusion of a run, for any number of streams."""

    def __init__(self, config: Config, index: Index, detectors: Collection[str] | None = None):
        """detectors: the run's that score frame by frame, if not all; `remarks` names what is left out.

        Raises ConfigError for `normalise.scope=video`, and as `RunScores`.
        """
        self.run = RunScores(config, index, config.detectors if detectors is None else detectors)
        self.remarks = self.run.remarks
        fusion = self.run.causal
        tables = with_accepted_scores(config, self.run.tables(fusion))
        self._composites = {
            name: _Combined(
                {part: tables[part] for part in one.streams},
                fusion.model_copy(update={"method": one.method, "power": one.power, "members": one.streams}),
                self.run.weights,
            )
            for name, one in fusion.composites.items()
            if name in self.run.members
        }
        members = {stream: tables[stream] for stream in self.run.members}
        self._members = _Combined(members, fusion, self.run.weights)
        usual_of = usual(member_scores(self.run.fused, self.run.members, fusion))
        self._usual = usual_of.to_numpy(np.float64)  # (M,)
        self._objects = _Summed(self.run) if self.run.streams else None
        self._corrupted = fusion.corrupted_frames

    @property
    def detectors(self) -> set[str]:
        """Those whose scores are fused."""
        streams = [
            *self._members.streams,
            *self.run.streams,
            *(s for c in self._composites.values() for s in c.streams),
        ]
        return {stream.partition("/")[0] for stream in streams} - {OBJECTS}

    def stream(self) -> "FusionStream":
        """A new stream, before its first frame."""
        return FusionStream(self)


class FusionStream:
    """The state of one stream: what smoothing looks back at, of each member and of each track that goes on."""

    def __init__(self, fusion: OnlineFusion):
        self._fusion, self._members = fusion, fusion._members.smoothers()
        self._composites = {name: one.smoothers() for name, one in fusion._composites.items()}
        self._tracks: dict[int, RunningSmoother] = {}

    def step(self, moment: Moment, scores: Mapping[str, MomentScores]) -> Fused:
        """The fused scores of the next frame; scores: of each detector, by its name.

        Raises DataError for a stream that is fused and has no score.
        """
        fusion, weight = self._fusion, weight_of(moment.noise, moment.flipped, self._fusion._corrupted)
        raw = {stream: float(value) for one in scores.values() for stream, value in one.streams.items()}
        objects, parts, names = None, np.empty((0, 0)), ()
        if fusion._objects is not None:
            objects, parts = fusion._objects.step(moment, scores, self._tracks)
            names, raw[OBJECTS] = fusion._objects.streams, fusion._objects.of_frame(objects)
        for name, smoothers in self._composites.items():
            raw[name] = fusion._composites[name].step(moment.number, raw, weight, smoothers)[0]
        score, processed, within = fusion._members.step(moment.number, raw, weight, self._members)
        return Fused(
            score=score,
            members=dict(zip(fusion._members.streams, processed.tolist(), strict=True)),
            objects=objects,
            _added=np.maximum(within - fusion._usual, 0.0) * fusion._members.weights,
            _streams=names,
            _added_to_objects=parts,
        )


class _Combined:
    """Members that are normalised, smoothed and combined: those of a fusion, or the parts of a composite."""

    def __init__(self, tables: Mapping[str, pd.DataFrame], fusion: FusionConfig, weights: FrameWeights):
        """tables: raw scores of the run by stream; fusion: with causal smoothers."""
        self.streams, self._fusion = list(tables), fusion
        self._members = [member_of(stream, fusion) for stream in tables]
        raw = {stream: by_split(table) for stream, table in tables.items()}
        pairs = list(zip(raw.items(), self._members, strict=True))
        self._scales = [scale_of_new(stream, splits, member) for (stream, splits), member in pairs]
        processed = {stream: process(splits, member, weights) for (stream, splits), member in pairs}
        self.weights = np.array([member.weight for member in self._members])
        self._combine = combination(self.weights, fusion, self._bounded(align(processed)["test"].scores))

    def smoothers(self) -> list[RunningSmoother]:
        """The state of a new stream."""
        return [RunningSmoother(member.smooth) for member in self._members]

    def step(
        self, frame: int, raw: Mapping[str, float], weight: float, smoothers: Sequence[RunningSmoother]
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """The combined score, the processed members (M,), and these as they are combined."""
        if missing := [stream for stream in self.streams if stream not in raw]:
            raise DataError(f"frame {frame}: no score of {missing[0]}, which is fused; scores of {', '.join(raw)}")
        steps = zip(self.streams, self._scales, smoothers, strict=True)
        scaled = [smoother.step(frame, scale(np.array([raw[stream]])), weight) for stream, scale, smoother in steps]
        processed = np.stack(scaled)  # (M, 1)
        within = self._bounded(processed)
        return float(self._combine(within)[0]), processed[:, 0], within[:, 0]

    def _bounded(self, scores: np.ndarray) -> np.ndarray:
        return bounded(scores, self._members, self._fusion)


class _Summed:
    """Streams of objects that are brought to one scale, summed, and smoothed along tracks."""

    def __init__(self, run: RunScores):
        config, tables = run.causal.objects, run.raw_objects
        self.streams = run.streams
        self._scales = [scale_of(tables[stream], config) for stream in self.streams]
        self._shares = np.array([*shares_of(self.streams, config).values()])  # (S,)
        rows = summands(tables, run.fusion.objects).set_index(ROW)
        self._usual = usual(rows)[self.streams].to_numpy(np.float64)  # (S,)
        self._smooth, self._top = config.smooth, config.top

    def step(
        self, moment: Moment, scores: Mapping[str, MomentScores], tracks: dict[int, RunningSmoother]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n,) of the moment's objects, and what each stream adds to them, (n, S); tracks: the state."""
        for ended in moment.ended:
            tracks.pop(ended, None)
        raw = {s: of for one in scores.values() if one.objects is not None for s, of in one.objects.items()}
        if missing := [stream for stream in self.streams if stream not in raw]:
            raise DataError(f"frame {moment.number}: no scores of objects by {missing[0]}, which is fused")
        ids = moment.tracks.track.tolist()
        if not ids:
            return np.empty(0), np.empty((0, len(self.streams)))
        values = [np.asarray(raw[stream], np.float64) for stream in self.streams]
        parts = np.stack([scale(of) for scale, of in zip(self._scales, values, strict=True)], axis=1) * self._shares
        rows = np.concatenate([parts.sum(axis=1, keepdims=True), parts], axis=1)  # (n, 1 + S): the sum first
        for i, track in enumerate(ids):
            if track not in tracks:
                tracks[track] = RunningSmoother(self._smooth)
            rows[i] = tracks[track].step(moment.number, rows[i])
        return rows[:, 0], np.maximum(rows[:, 1:] - self._usual, 0.0)

    def of_frame(self, scores: np.ndarray) -> float:
        """See `frame_scores`."""
        return float(np.sort(scores)[-self._top :].sum() / self._top)
