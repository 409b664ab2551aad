"""The steps of `src/mine.py`, and the files that they read and write."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay.errors import ConfigError
from pixelplay.mining.clips import Clip
from pixelplay.mining.preconditions import require
from pixelplay.mining.settings import MINING_STEPS
from pixelplay.run.atomic import remove_leftovers, require_writable
from pixelplay.run.files import plain_name
from pixelplay.run.locks import lock
from pixelplay.settings import alternatives

if TYPE_CHECKING:
    from pixelplay.config import Config


ANY_CLIP = "[0-9]" * 4 + "*-clip" + "[0-9]" * 7 + "*-*"  # files of clips, whatever `of_clip` calls them


class MiningFiles:
    """The files in `folder`, which is `mine.folder[/<run>]`; clips and scores may be elsewhere."""

    def __init__(self, folder: Path, clips: Path | None = None, scores: Path | None = None):
        self.folder = folder
        self.made_clips = folder / "clips_manifest.jsonl"  # written by step=manifest, whatever the other steps read
        self.clips = clips or self.made_clips
        self.scores = scores or folder / "scores.jsonl"
        self.scenes = folder / "scene_manifest.jsonl"
        self.problems = folder / "manifest_problems.csv"  # footage that was left out, and why
        self.renders = folder / "renders"
        self.histogram = folder / "score_distribution.png"
        self.statistics = folder / "score_distribution_stats.json"
        self.selected = folder / "selected_manifest.jsonl"
        self.selection = folder / "selection.json"  # the scores of the selected clips and the threshold
        self.selection_table = folder / "selection.csv"  # a row per selected clip, with its times in seconds
        self.clip_videos = folder / "clips"  # of the selected clips
        self.sheet = folder / "contact_sheet.html"


def of_clip(rank: int, step: int, clip: Clip) -> str:
    """The name, without suffix, of a file of the `rank`-th clip, in line `step` of the manifest: see `ANY_CLIP`."""
    return f"{rank:04d}-clip{step:07d}-{plain_name(f'{clip.scene}-{clip.camera}' if clip.camera else clip.scene)}"


def run(config: "Config") -> None:
    """Run `config.step`, or all steps in order; raises ConfigError for an unknown step."""
    if config.step is not None and config.step not in MINING_STEPS:
        raise ConfigError(f"step={config.step}: no such step of mine.py; {alternatives(config.step, [*MINING_STEPS])}")
    mine, steps = config.mine, MINING_STEPS if config.step is None else (config.step,)
    require(config, steps)
    files = MiningFiles(mine.folder / config.run if config.run else mine.folder, mine.manifest, mine.scores)
    require_writable(files.folder, "mine.folder")
    with lock(files.folder / ".lock", f"the mining run {files.folder}/"):
        remove_leftovers(files.folder)
        for step in steps:
            module = importlib.import_module(f"pixelplay.mining.{step}")  # only some need torch or matplotlib
            module.run(config, files)
