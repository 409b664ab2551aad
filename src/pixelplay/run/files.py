"""Where every file of a run lies."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay.run.fingerprints import fingerprint

if TYPE_CHECKING:
    from pixelplay.config import Config


@dataclass(frozen=True)
class RunFiles:
    """The files of one run: `<top folder>/<experiment>[/<run>]/…`."""

    outputs: Path
    checkpoints: Path
    submission: Path
    cache: Path

    @classmethod
    def of(cls, config: "Config") -> "RunFiles":
        name = Path(config.experiment, config.run) if config.run else Path(config.experiment)
        paths = config.paths
        return cls(
            outputs=paths.outputs / name,
            checkpoints=paths.checkpoints / name,
            submission=paths.submissions / name.parent / f"{name.name}.csv",
            cache=paths.cache,
        )

    @property
    def index(self) -> Path:
        return self.outputs / "index.json"

    @property
    def truth(self) -> Path:
        """Folder of what is known of the videos' frames: see `pixelplay.videos.truth`."""
        return self.outputs / "truth"

    @property
    def problems(self) -> Path:
        return self.outputs / "frame_problems.csv"

    @property
    def restoration(self) -> Path:
        """A row per test frame: how noisy, flipped or not, what was done."""
        return self.outputs / "restoration.csv"

    @property
    def pseudo_restoration(self) -> Path:
        """The same for clips with pseudo-anomalies: what was found in them, whatever was planted."""
        return self.outputs / "pseudo_restoration.csv"

    @property
    def doubtful(self) -> Path:
        return self.outputs / "restoration_doubtful.png"

    @property
    def restored_images(self) -> Path:
        return self.outputs / "restored_frames"

    @property
    def pseudo_clips(self) -> Path:
        """A row per clip with a pseudo-anomaly: kind, seed, what it is made of, which frames are anomalous."""
        return self.outputs / "pseudo_anomalies.csv"

    @property
    def pseudo_sheet(self) -> Path:
        return self.outputs / "pseudo_anomalies.png"

    @property
    def flip_network(self) -> Path:
        return self.checkpoints / "restoration"

    @property
    def fused(self) -> Path:
        return self.outputs / "fused.parquet"

    @property
    def fusion_members(self) -> Path:
        """A row per candidate for the fusion: whether the judges left it out, and why."""
        return self.outputs / "fusion_members.csv"

    @property
    def metrics(self) -> Path:
        return self.outputs / "metrics.json"

    @property
    def thresholds(self) -> Path:
        """Folder of pictures, one for each stream: its held-out normal scores and the thresholds that they gave."""
        return self.outputs / "thresholds"

    @property
    def evaluations(self) -> Path:
        return self.outputs / "evaluations.jsonl"

    @property
    def ablation(self) -> Path:
        """Folder of tables, plots and a summary of what was compared on pseudo-anomalies."""
        return self.outputs / "ablation"

    @property
    def chosen_fusion(self) -> Path:
        """What the ablation's search chose, for `fusion_file`."""
        return self.ablation / "fusion.yaml"

    def detector(self, name: str, seed: int | None = None) -> Path:
        """Folder of a trained detector: what `Detector.save` writes; `seed` where it is trained with several."""
        return self.checkpoints / of_seed(name, seed)

    def shared_models(self, seed: int | None = None) -> Path:
        """Folder of models that several detectors of the run learnt from the same footage, once (per seed)."""
        return self.checkpoints / of_seed("shared", seed)

    def scores(self, name: str, pseudo: bool = False) -> Path:
        """Raw scores of a detector, a table as in `pixelplay.scores.table`; pseudo-anomalies have their own.

        The `name` of one of several seeds is that of `of_seed`.
        """
        return self.outputs / "scores" / f"{name}{'-pseudo' if pseudo else ''}.parquet"

    def object_scores(self, name: str, pseudo: bool = False) -> Path:
        """Raw scores of single objects: video and split beside the columns of `Scores.objects`."""
        return self.outputs / "scores" / f"{name}{'-pseudo' if pseudo else ''}-objects.parquet"

    @property
    def explain(self) -> Path:
        """Folder of pictures of where scores come from; those of the report are listed in `manifest`."""
        return self.outputs / "explain"

    @property
    def manifest(self) -> Path:
        return self.explain / "manifest.json"

    def error_maps(self, detector: str, video: str | None) -> Path:
        of_video = f"-{plain_name(video)}" if video else ""
        return self.explain / "errors" / f"{detector}{of_video}.png"

    def neighbours(self, detector: str, video: str, frame: int) -> Path:
        return self.explain / "neighbours" / f"{detector}-{plain_name(video)}-{frame:03d}.png"

    def boxes(self, split: str, video: str) -> Path:
        return self.explain / "boxes" / f"{split}-{plain_name(video)}.png"

    @property
    def report(self) -> Path:
        """The page; clips of videos lie beside it."""
        return self.outputs / "report" / "index.html"

    def clip(self, video: str) -> Path:
        """MP4 of an annotated test video."""
        return self.report.parent / "clips" / f"{plain_name(video)}.mp4"

    def record(self, stage: str) -> Path:
        return self.outputs / "stages" / f"{stage}.json"


def of_seed(name: str, seed: int | None) -> str:
    """The name of what a detector learnt with one of several seeds; None: it has the run's only one."""
    return name if seed is None else f"{name}-seed{seed}"


def plain_name(text: str, longest: int = 80) -> str:
    """Text from data as part of a file's name: nothing in it leads out of a folder or hides the file.

    Two texts never share a name: one that has other characters than ASCII letters, digits, `_`, `.` and `-`, or more
    than `longest`, is told apart by a fingerprint at its end.
    """
    plain = re.sub(r"^\.|[^\w.-]", "_", text, flags=re.ASCII)
    return plain if plain == text and len(text) <= longest else f"{plain[:longest]}-{fingerprint(text)[:8]}"
