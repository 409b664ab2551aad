"""step=score: how hard each clip is for VideoMAE to fill in; killed at any moment, it goes on where it stopped."""

import hashlib
import logging
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelplay import requirements
from pixelplay.errors import ConfigError
from pixelplay.mining.clips import Clip, count_clips, read_clips
from pixelplay.mining.files import MiningFiles
from pixelplay.mining.score_file import append, line_of, read_scores, resume
from pixelplay.progress import progress_bar

if TYPE_CHECKING:  # importing it imports torch
    from pixelplay.config import Config
    from pixelplay.mining.clip_model import ClipModel, ModelSettings, Scored

log = logging.getLogger(__name__)

VERSION = 1  # raised when the same clips and model give other scores


def run(config: "Config", files: MiningFiles) -> None:
    """Append the scores of all clips that have none yet. Raises DataError when no clip at all can be read."""
    total = count_clips(files.clips, config.mine.frames)  # before anything heavy is loaded: a bad line is told at once
    if config.mine.engine == "ray":
        from pixelplay.mining.ray_engine import require_ray

        require_ray(config.device)
    settings, model = load_model(config)
    clips = read_clips(files.clips, config.mine.frames)
    done = resume(files.scores, clips, made_with(model, files))
    if done:
        log.info(f"score: {done} of {total} clips have their scores already")
    with progress_bar(total - done, "clip", "score") as bar:
        for batch in _scored(config, settings, model, clips):
            append(files.scores, [line_of(done + i, clip, scored) for i, (clip, scored) in enumerate(batch)])
            done += len(batch)
            bar.update(len(batch))
    _tell(files)


def load_model(config: "Config") -> "tuple[ModelSettings, ClipModel]":
    """The VideoMAE that the configuration names, and what another process needs for the same.

    Raises ConfigError or WeightsError when there is none to be had, or it does not fit the clips.
    """
    from pixelplay.mining.clip_model import ClipModel, ModelSettings
    from pixelplay.training.device import autocast_bf16, find_device

    requirements.require(["videomae"])
    mine, weights = config.mine, config.weights.videomae
    if weights == "in_domain":
        raise ConfigError(
            "weights.videomae=in_domain: mining needs a VideoMAE that is trained already: weights.videomae=FOLDER "
            "names one, such as checkpoints/<experiment>/videomae_reconstruction/videomae, which a run trains "
            "(or whatever transformers' save_pretrained wrote); weights=hub downloads MCG-NJU/videomae-base"
        )
    folder = Path(weights).expanduser()
    settings = ModelSettings(
        weights=str(folder.absolute()) if folder.is_dir() else weights,  # workers have another working directory
        device=config.device,
        bf16=autocast_bf16(mine.precision, find_device(config.device)),
        mask=mine.mask,
        seed=mine.mask_seed,
        root=(mine.root or Path()).absolute(),
    )
    return settings, ClipModel(settings, mine.frames)


def made_with(model: "ClipModel", files: MiningFiles) -> dict[str, Any]:
    """What decides scores: a file of scores is not gone on with when any of it has changed."""
    with open(files.clips, "rb") as file:
        manifest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return {**model.identity, "manifest": manifest, "version": VERSION}


def _scored(
    config: "Config", settings: "ModelSettings", model: "ClipModel", clips: Iterator[Clip]
) -> "Iterator[list[tuple[Clip, Scored]]]":
    """Batches of clips with their scores, in order."""
    mine = config.mine
    first = next(clips, None)
    if first is None:
        return iter(())  # nothing to do: no workers for it
    clips = chain([first], clips)
    if mine.engine == "ray":
        from pixelplay.mining.ray_engine import score_on_ray

        return score_on_ray(clips, settings, mine.frames, mine.batch_size, mine.workers)
    from pixelplay.mining.local_engine import in_order

    return in_order(model.score, clips, mine.batch_size, mine.workers)


def _tell(files: MiningFiles) -> None:
    table = read_scores(files.scores)
    unread = table[table["score"].isna()]
    if len(unread):
        log.warning(
            f"score: {len(unread)} of {len(table)} clips have no score, such as clip {unread['step'].iloc[0]} "
            f"({unread['error'].iloc[0]}): they stand in {files.scores} with their errors; delete it to try again"
        )
    log.info(
        f"score: {len(table)} clips, median {table['score'].median():.4g}, highest {table['score'].max():.4g}: "
        f"{files.scores}"
    )
