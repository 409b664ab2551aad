"""What a run found in its test videos: processed scores, labels, corrupted frames; and which pictures beside them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.ablation.tables import PICTURES, TITLES
from pixelplay.evaluation.score_tables import read_fused
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record
from pixelplay.scores.fuse import FUSED
from pixelplay.videos.index import Index
from pixelplay.videos.restoration_table import read_restoration
from pixelplay.videos.truth import load_labels

if TYPE_CHECKING:
    from pixelplay.config import Config


@dataclass(frozen=True, eq=False)
class ScoredVideo:
    """One test video of T frames."""

    video: str
    anchor: str  # id of its chart on the page
    numbers: np.ndarray  # int64 [T], frame numbers
    fused: np.ndarray  # float64 [T]
    streams: Mapping[str, np.ndarray]  # float64 [T] by name, processed as they enter the fusion
    labels: np.ndarray | None  # [T], 1 = anomalous
    flipped: np.ndarray  # bool [T], frames that were found flipped and corrected
    noisy: np.ndarray  # bool [T]
    seconds: np.ndarray | None = None  # float64 [T], timestamps, where known

    def moment(self, position: int) -> str:
        """`frame 512`, or `frame 512 at 20.48 s`."""
        time = "" if self.seconds is None else f" at {self.seconds[position]:.2f} s"
        return f"frame {self.numbers[position]}{time}"

    @property
    def named(self) -> dict[str, np.ndarray]:
        """All streams, the fusion last."""
        return {**self.streams, FUSED: self.fused}

    @property
    def marks(self) -> list[tuple[str, str, np.ndarray]]:
        """Kinds of corrupted frames: CSS class, text, mask bool [T]."""
        return [("flipped", "flipped (corrected)", self.flipped), ("noisy", "noisy", self.noisy)]

    def marks_at(self, position: int) -> list[tuple[str, str]]:
        """What is known of a frame, its label first: CSS class, text."""
        found = [(style, text) for style, text, mask in self.marks if mask[position]]
        if self.labels is None:
            return found
        label = "anomalous" if self.labels[position] else "normal"
        return [(label, f"labelled {label}"), *found]


@dataclass(frozen=True)
class Outcome:
    """The test videos of a run with the scores that enter the submission."""

    index: Index
    videos: list[ScoredVideo]  # in the order of index.test
    streams: list[str]  # lines of their charts: each detector's, in its configured order, without the fusion
    normal: Mapping[str, np.ndarray] = field(default_factory=dict)  # scores of held-out footage (N,), if any, by stream

    @property
    def labelled(self) -> list[ScoredVideo]:
        return [one for one in self.videos if one.labels is not None]


def load_outcome(config: "Config", index: Index) -> Outcome:
    """Read fused.parquet, restoration.csv and the labels; raises MissingArtifactError or DamagedArtifactError."""
    files = RunFiles.of(config)
    table = read_fused(config, index)
    held_out, table = table[table["split"] == "calibration"], table[table["split"] == "test"]
    streams = [s for s in dict.fromkeys(table["stream"]) if s != FUSED and ("/" not in s or s in config.fusion.members)]
    shown = table[table["stream"].isin([*streams, FUSED])]
    scores = {(str(v), str(s)): rows.set_index("frame")["score"] for (v, s), rows in shown.groupby(["video", "stream"])}
    restoration = {str(v): rows.set_index("frame") for v, rows in read_restoration(files.restoration).groupby("video")}
    truth = load_labels(config, index)
    videos = []
    for i, video in enumerate(index.test):
        of_stream = {s: scores[video.id, s].loc[video.numbers].to_numpy(np.float64) for s in [*streams, FUSED]}
        found = restoration[video.id].loc[video.numbers]
        videos.append(
            ScoredVideo(
                video=video.id,
                anchor=f"video-{i + 1}",
                numbers=video.numbers,
                fused=of_stream.pop(FUSED),
                streams=of_stream,
                labels=truth[video.id].labels,
                flipped=found["flipped"].to_numpy() > 0,
                noisy=found["noise_level"].to_numpy(np.float64) > config.restore.noise_above,
                seconds=video.seconds,
            )
        )
    normal = {str(s): rows.to_numpy(np.float64) for s, rows in held_out.groupby("stream")["score"]}
    return Outcome(index, videos, streams, normal)


def ablation_files(files: RunFiles) -> list[Path]:
    """The ablation's tables in the order shown, its summary and plots; [] where there are no tables."""
    tables = _in_order(files.ablation.glob("*.csv"), list(TITLES))
    plots = _in_order(files.ablation.glob("*.png"), list(PICTURES))
    return [*tables, *files.ablation.glob("summary.md"), *plots] if tables else []


def threshold_files(files: RunFiles) -> list[Path]:
    """Plots of the thresholds from held-out normal scores, where `evaluate` has drawn any."""
    record = read_record(files.record("evaluate"))  # the user may have put others there
    written = [output.path for output in record.outputs] if record else []
    return sorted(path for path in written if path.parent == files.thresholds and path.is_file())


def _in_order(paths: Iterable[Path], names: list[str]) -> list[Path]:
    """By their position in `names`; others last."""
    return sorted(paths, key=lambda path: (names.index(path.stem) if path.stem in names else len(names), path.name))
