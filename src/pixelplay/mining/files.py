"""Where the files of a mining run lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay.run.files import plain_name

if TYPE_CHECKING:
    from pixelplay.config import Config


@dataclass(frozen=True)
class MiningFiles:
    """`mine.folder[/<run>]`, and the two files that may lie elsewhere: the clips and their scores."""

    folder: Path
    clips: Path
    scores: Path

    @classmethod
    def of(cls, config: "Config") -> "MiningFiles":
        mine = config.mine
        folder = mine.folder / config.run if config.run else mine.folder
        return cls(folder, mine.manifest or folder / "clips_manifest.jsonl", mine.scores or folder / "scores.jsonl")

    @property
    def made_clips(self) -> Path:
        """What step=manifest writes, whatever manifest the other steps read."""
        return self.folder / "clips_manifest.jsonl"

    @property
    def scenes(self) -> Path:
        return self.folder / "scene_manifest.jsonl"

    @property
    def problems(self) -> Path:
        """Folders and videos that no clips could be cut from, and why."""
        return self.folder / "manifest_problems.csv"

    @property
    def renders(self) -> Path:
        return self.folder / "renders"

    @property
    def histogram(self) -> Path:
        return self.folder / "score_distribution.png"

    @property
    def statistics(self) -> Path:
        return self.folder / "score_distribution_stats.json"

    @property
    def selected(self) -> Path:
        return self.folder / "selected_manifest.jsonl"

    @property
    def selection(self) -> Path:
        """Why each clip was selected: its scores and what they were compared with."""
        return self.folder / "selection.json"

    @property
    def sheet(self) -> Path:
        return self.folder / "contact_sheet.html"

    def render(self, rank: int, step: int, scene: str, camera: str) -> Path:
        """PNG of the clip in line `step` of the manifest, the `rank`-th highest score; one clip, one name."""
        return self.renders / f"{rank:04d}-clip{step:07d}-{plain_name(f'{scene}-{camera}' if camera else scene)}.png"
