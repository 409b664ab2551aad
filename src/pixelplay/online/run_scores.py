"""What the fusion of footage as it comes needs of its run: which members, on which scale, and what is usual."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property

import pandas as pd

from pixelplay.config import Config
from pixelplay.errors import ConfigError
from pixelplay.evaluation.members import read_members, require_fusable, weights_of
from pixelplay.evaluation.object_members import by_folds, read_streams_table
from pixelplay.evaluation.score_tables import (
    object_streams,
    read_fused,
    read_object_streams,
    read_objects,
    read_scores,
    scored_names,
)
from pixelplay.scores.fuse import compose, detector_of, fuse, member_of
from pixelplay.scores.objects import frame_scores, fuse_objects
from pixelplay.scores.resmoothed import causal
from pixelplay.scores.settings import OBJECTS, FusionConfig
from pixelplay.videos.index import Index

Tables = Mapping[str, pd.DataFrame]


class RunScores:
    """The run's scores of its test videos and of held-out normal footage, without what can't be scored as it comes.

    Where all can, its thresholds are those of the run's own events; else they come from the same held-out footage,
    fused without what is left out.
    """

    def __init__(self, config: Config, index: Index, detectors: Collection[str]):
        """detectors: those that score frame by frame.

        Raises ConfigError where nothing is left to fuse, and for members that know nothing of new footage;
        MissingArtifactError or DamagedArtifactError for what `score` and `fuse` write.
        """
        require_fusable(config)
        self.config, self.index, self._detectors = config, replace(index, pseudo=[]), detectors
        self.remarks: list[str] = []  # what a person should know of what is left out or replaced
        self.weights = weights_of(config, self.index)
        self.streams, self.whole_objects = self._summed()
        self._raw = {
            str(stream): rows
            for name in scored_names(config)
            for stream, rows in read_scores(config, name, self.index).groupby("stream", sort=False)
        }
        judged, self.fusion, _ = read_members(config, self._raw | compose(self._raw, config.fusion, self.weights))
        weighing = [stream for stream in judged if member_of(stream, self.fusion).weight > 0]
        self.members = [stream for stream in weighing if self._can(stream)]
        self.whole = self.whole_objects and len(self.members) == len(weighing)
        if not self.members:
            raise ConfigError(
                f"fusion: no member can be scored frame by frame ({', '.join(weighing)}): add a detector that can be, "
                "train and fuse again"
            )
        self._remark_on(weighing)

    @property
    def causal(self) -> FusionConfig:
        """The run's fusion, smoothed by past frames only."""
        return causal(self.fusion)

    def tables(self, fusion: FusionConfig) -> dict[str, pd.DataFrame]:
        """Raw scores of every stream, those of objects without what is left out, and the composites of a fusion."""
        objects = self.objects
        raw = self._raw if objects is None else {**self._raw, OBJECTS: objects[0]}
        return raw | compose(raw, fusion, self.weights)

    @cached_property
    def fused(self) -> pd.DataFrame:
        """The scores table of the fusion and its members, smoothed as the run's own."""
        if self.whole:
            return read_fused(self.config, self.index)
        tables = self.tables(self.fusion)
        return fuse({stream: tables[stream] for stream in self.members}, self._named, self.weights)

    @cached_property
    def objects(self) -> tuple[pd.DataFrame, pd.DataFrame] | None:
        """The tables of the stream `objects`, of frames and of objects, smoothed as the run's own; None without any."""
        if not self.streams:
            return None
        if self.whole_objects:
            return self._raw[OBJECTS], read_objects(self.config, OBJECTS, self.index.test)
        settings, index = self.config.fusion.objects, self.index
        objects = fuse_objects(self.raw_objects, settings)
        normal = [*index.held.calibration, *(index.fit if by_folds(objects, index) else [])]
        videos = [("test", video) for video in index.test] + [("calibration", video) for video in normal]
        return frame_scores(objects, [(split, one.id, one.numbers) for split, one in videos], settings), objects

    @cached_property
    def raw_objects(self) -> dict[str, pd.DataFrame]:
        """Rows of each stream that is summed per object, by stream."""
        tables = read_object_streams(self.config, self.index)
        return {stream: tables[stream] for stream in self.streams}

    @property
    def _named(self) -> FusionConfig:
        """The fusion without entries of members that are left out."""
        named = {stream: member for stream, member in self.fusion.members.items() if stream in self.members}
        return self.fusion.model_copy(update={"members": named})

    def _summed(self) -> tuple[list[str], bool]:
        """The streams of objects that are summed, and whether these are all of the run's."""
        if not object_streams(self.config):
            return [], True
        listed = read_streams_table(self.config)
        judged = listed["member"][~listed["left_out"]].tolist()
        kept = [stream for stream in judged if self._can(stream)]
        self.remarks += [self._left_out(stream, "the scores of objects") for stream in judged if stream not in kept]
        return kept, kept == judged

    def _can(self, stream: str) -> bool:
        return bool(self.streams) if stream == OBJECTS else detector_of(stream) in self._detectors

    def _left_out(self, stream: str, of: str) -> str:
        return f"{stream} is left out of {of}: {detector_of(stream)} can't score frame by frame"

    def _remark_on(self, weighing: list[str]) -> None:
        for stream in weighing:
            if stream not in self.members:
                why = "none of its streams can be scored frame by frame"
                of_objects = f"{OBJECTS} is left out of the fusion: {why}"
                self.remarks.append(of_objects if stream == OBJECTS else self._left_out(stream, "the fusion"))
        smoothers = {stream: member_of(stream, self.fusion).smooth for stream in self.members}
        for name in self.fusion.composites:
            if name in self.members:
                parts = self.fusion.composites[name].streams
                smoothers |= {part: member.smooth for part, member in parts.items()}
        if self.streams:
            smoothers[f"{OBJECTS}, along tracks"] = self.fusion.objects.smooth
        self.remarks += [
            f"{stream}: smooth.method=savitzky_golay can't be had of past frames only: the mean of the last "
            f"{smooth.window} frames takes its place"
            for stream, smooth in smoothers.items()
            if smooth.method == "savitzky_golay"
        ]
