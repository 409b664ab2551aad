"""Where every file of a run lies."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay.run.fingerprints import fingerprint

if TYPE_CHECKING:
    from pixelplay.config import Config, PathsConfig

EXPORTS = "onnx"  # folder of a trained detector's exported networks, see `pixelplay.export`
OBJECTS = "objects"  # what scores that were fused per object are called, as a detector's by its name
AFTER_SCORING = (
    "fuse-objects",
    "fuse",
    "events",
    "event-vectors",
    "event-clips",
    "evaluate",
    "ablate",
    "explain",
    "report",
)  # records of each fusion


class _Below:
    """The path of a file or folder below one of the folders of a run."""

    def __init__(self, folder: str, name: str):
        self._folder, self._name = folder, name

    def __get__(self, files: "RunFiles", owner: type) -> Path:
        return getattr(files, self._folder) / self._name


@dataclass(frozen=True)
class RunFiles:
    """The files of one run: `<top folder>/<experiment>[/<run>]/…`.

    What follows from a variant of its fusion, `name=NAME`, lies in `fusions/NAME/` of its outputs; no other file does.
    """

    outputs: Path
    checkpoints: Path
    submission: Path
    cache: Path
    fusion: Path  # folder of what follows from the fusion: `outputs`, or that of the variant
    ledger: Path  # a row per submission that was written: see `pixelplay.evaluation.ledger`

    options = _Below("outputs", "config.yaml")  # what the run was started with: see `pixelplay.recall`
    variant_options = _Below("fusion", "config.yaml")  # the same of a fusion variant
    index = _Below("outputs", "index.json")
    truth = _Below("outputs", "truth")  # folder of what is known of the videos' frames: see `pixelplay.videos.truth`
    problems = _Below("outputs", "frame_problems.csv")
    restoration = _Below("outputs", "restoration.csv")  # a row per test frame: how noisy, flipped or not, what was done
    pseudo_restoration = _Below("outputs", "pseudo_restoration.csv")  # the same for clips with pseudo-anomalies
    doubtful = _Below("outputs", "restoration_doubtful.png")
    restored_images = _Below("outputs", "restored_frames")
    pseudo_clips = _Below("outputs", "pseudo_anomalies.csv")  # a row per clip: kind, seed, sources, anomalous frames
    pseudo_sheet = _Below("outputs", "pseudo_anomalies.png")
    tuned_fusion = _Below("fusion", "fusion.yaml")  # of a variant that was tuned by hand, its `fusion_file`
    fused = _Below("fusion", "fused.parquet")
    fusion_members = _Below("fusion", "fusion_members.csv")  # a row per candidate: if it was left out, and why
    object_members = _Below("fusion", "object_members.csv")  # its rows of object streams
    events = _Below("fusion", "events.json")  # see `pixelplay.events.event`
    events_table = _Below("fusion", "events.csv")  # a row per event
    events_folder = _Below("fusion", "events")  # thumbnails, clips, and the vectors of objects
    dwell = _Below("events_folder", "dwell.parquet")  # seconds that objects have been in zones, by frame
    predictions = _Below("fusion", "predictions")  # a folder like a run's for each path: see `prediction`
    online = _Below("fusion", "online")  # a folder for each source that was scored online: see `pixelplay.online`
    accepted = _Below("fusion", "accepted")  # events that a person called normal: a folder for each
    predicted = _Below("fusion", "scores.csv")  # of such new files: a row per frame
    metrics = _Below("fusion", "metrics.json")
    evaluations = _Below("fusion", "evaluations.jsonl")
    thresholds = _Below("fusion", "thresholds")  # folder: a picture per stream, of held-out scores and thresholds
    ablation = _Below("fusion", "ablation")  # folder of tables, plots and a summary
    chosen_fusion = _Below("fusion", "ablation/fusion.yaml")  # what the ablation's search chose, for `fusion_file`
    sweeps = _Below("outputs", "sweeps")  # folder: a folder per sweep, of a table and a picture
    explain = _Below("fusion", "explain")  # folder of pictures; those of the report are listed in `manifest`
    manifest = _Below("fusion", "explain/manifest.json")
    tables = _Below("fusion", "tables")  # folder: the tables for a paper
    report = _Below("fusion", "report/index.html")  # clips of videos lie beside it
    wandb = _Below("fusion", "wandb.json")  # what is on W&B, whose own files are in wandb/ beside it
    flip_network = _Below("checkpoints", "restoration")

    @classmethod
    def of(cls, config: "Config") -> "RunFiles":
        return cls.named(config.paths, config.run_name, config.name)

    @classmethod
    def trained(cls, config: "Config") -> "RunFiles":
        """Those of the run that trained the detectors: `checkpoints_of`, or the run itself."""
        return cls.named(config.paths, config.checkpoints_of or config.run_name)

    @classmethod
    def named(cls, paths: "PathsConfig", run: str, variant: str | None = None) -> "RunFiles":
        """Those of `run`, EXPERIMENT or EXPERIMENT/RUN, and of a variant of its fusion."""
        return _files(paths.outputs, paths.checkpoints, paths.submissions, paths.cache, Path(run), variant)

    def detector(self, name: str, seed: int | None = None) -> Path:
        """Folder of a trained detector: what `Detector.save` writes; `seed` where it is trained with several."""
        return self.checkpoints / of_seed(name, seed)

    def exports(self, name: str, seed: int | None = None) -> Path:
        """Folder of a trained detector's networks, exported to ONNX."""
        return self.detector(name, seed) / EXPORTS

    def shared_models(self, seed: int | None = None) -> Path:
        """Folder of models that several detectors of the run learnt from the same footage, once (per seed)."""
        return self.checkpoints / of_seed("shared", seed)

    def scores(self, name: str, pseudo: bool = False) -> Path:
        """Raw scores of a detector, a table as in `pixelplay.scores.table`; pseudo-anomalies have their own.

        The `name` of one of several seeds is that of `of_seed`.
        """
        return self._scored(name) / f"{name}{'-pseudo' if pseudo else ''}.parquet"

    def object_scores(self, name: str, pseudo: bool = False) -> Path:
        """Raw scores of single objects: video and split beside the columns of `Scores.objects`."""
        return self._scored(name) / f"{name}{'-pseudo' if pseudo else ''}-objects.parquet"

    def _scored(self, name: str) -> Path:
        return (self.fusion if name == OBJECTS else self.outputs) / "scores"

    def error_maps(self, detector: str, video: str | None) -> Path:
        of_video = f"-{plain_name(video)}" if video else ""
        return self.explain / "errors" / f"{detector}{of_video}.png"

    def neighbours(self, detector: str, video: str, frame: int) -> Path:
        return self.explain / "neighbours" / f"{detector}-{plain_name(video)}-{frame:03d}.png"

    def boxes(self, split: str, video: str) -> Path:
        return self.explain / "boxes" / f"{split}-{plain_name(video)}.png"

    def clip(self, video: str) -> Path:
        """MP4 of an annotated test video."""
        return self.report.parent / "clips" / f"{plain_name(video)}.mp4"

    def record(self, stage: str) -> Path:
        return (self.fusion if stage in AFTER_SCORING else self.outputs) / "stages" / f"{stage}.json"


@lru_cache(maxsize=256)  # asked for by every task of every stage
def _files(
    outputs: Path, checkpoints: Path, submissions: Path, cache: Path, run: Path, variant: str | None
) -> RunFiles:
    submission = submissions / run.parent / f"{run.name}.csv"
    return RunFiles(
        outputs=outputs / run,
        checkpoints=checkpoints / run,
        submission=submissions / f"{'-'.join(run.parts)}-{variant}.csv" if variant else submission,
        cache=cache,
        fusion=outputs / run / "fusions" / variant if variant else outputs / run,
        ledger=submissions / "LEDGER.csv",
    )


# What a run may not be called: files and folders that the experiment's own run, which has no name, has beside it.
RESERVED = {Path(part._name).parts[0] for part in vars(RunFiles).values() if isinstance(part, _Below)}
RESERVED |= {"fusions", "scores", "stages"}


def of_seed(name: str, seed: int | None) -> str:
    """The name of what a detector learnt with one of several seeds; None: it has the run's only one."""
    return name if seed is None else f"{name}-seed{seed}"


def run_name(parts: Iterable[str]) -> str:
    """The name of a run that is told apart by overrides and other texts; '' where there are none."""
    return re.sub(r"[^\w=,.+-]", "_", ",".join(parts)).lstrip(".")


def plain_name(text: str, longest: int = 80) -> str:
    """Text from data as part of a file's name: nothing in it leads out of a folder or hides the file.

    Two texts never share a name: one that has other characters than ASCII letters, digits, `_`, `.` and `-`, or more
    than `longest`, is told apart by a fingerprint at its end.
    """
    plain = re.sub(r"^\.|[^\w.-]", "_", text, flags=re.ASCII)
    return plain if plain == text and len(text) <= longest else f"{plain[:longest]}-{fingerprint(text)[:8]}"
