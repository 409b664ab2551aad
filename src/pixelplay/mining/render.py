"""step=render: the middle frames of the highest-scoring clips, what VideoMAE saw and what it filled in."""

import logging
from pathlib import PurePath
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pixelplay.drawing.panels import View, in_shape_of, write_panels
from pixelplay.mining.files import ANY_CLIP, MiningFiles, of_clip
from pixelplay.mining.score import each, load_model
from pixelplay.mining.score_file import clips_of, read_scores
from pixelplay.run.atomic import remove_files

if TYPE_CHECKING:  # importing it imports torch
    from pixelplay.config import Config
    from pixelplay.mining.clip_model import Reconstructed

log = logging.getLogger(__name__)

HIDDEN = 0.25  # brightness of hidden patches on the overlay
EXTREME = 99.0  # percentile of a picture's errors at the end of the colour scale


def run(config: "Config", files: MiningFiles) -> None:
    """Write a PNG for each of the `render.count` highest-scoring clips, in place of those of an earlier run."""
    table = read_scores(files.scores).dropna(subset="score")
    ranked = table.sort_values("score", ascending=False, kind="stable")[: config.mine.render.count or None]
    clips = clips_of(ranked, files.clips, config.mine.frames)
    _, model = load_model(config)
    remove_files(files.renders, f"{ANY_CLIP}.png")
    made = each(model.reconstruct, clips, config.mine.workers, "render")
    rows = zip(ranked["step"].tolist(), ranked["score"].tolist(), clips, made, strict=True)
    for rank, (step, score, clip, reconstructed) in enumerate(rows, start=1):
        where = f"{clip.scene} {clip.camera}".strip() or "no scene"
        when = f" at {clip.seconds[0]:.2f} to {clip.seconds[1]:.2f} s" if clip.seconds else ""
        heading = f"{rank}. {where}{when}, score {score:.4g}, clip {step} from {PurePath(clip.frames[0]).name}"
        write_panels(files.renders / f"{of_clip(rank, step, clip)}.png", [panels(reconstructed)], heading)
    log.info(f"render: {len(clips)} pictures in {files.renders}/")


def panels(made: "Reconstructed") -> list[View]:
    """Original, reconstruction, visible patches and errors, all in the original's aspect ratio."""
    size = (made.frame.shape[1], made.frame.shape[0])
    original = in_shape_of(size, made.frame)
    filled = in_shape_of(size, np.rint(255 * made.filled).astype(np.uint8))
    largest = float(np.percentile(made.errors[made.hidden], EXTREME)) if made.hidden.any() else 1.0
    errors = cv2.resize(made.errors, original.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return [
        View(original, "middle frame"),
        View(filled, "reconstruction"),
        View(overlay(original, made.hidden), f"shown: {1 - made.hidden.mean():.0%} of the patches"),
        View(errors, "squared error of hidden patches", max(largest, float(np.finfo(np.float32).tiny))),
    ]


def overlay(frame: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """A frame, uint8 (H, W, 3), with the hidden patches, bool (rows, columns), darkened."""
    over = cv2.resize(hidden.astype(np.uint8), frame.shape[1::-1], interpolation=cv2.INTER_NEAREST)[..., None]
    return np.where(over == 1, HIDDEN * frame, frame).astype(np.uint8)
