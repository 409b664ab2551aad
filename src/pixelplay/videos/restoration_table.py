"""restoration.csv, as read by whatever reports on test frames: which were flipped, and how noisy they were."""

from pathlib import Path

import pandas as pd

from pixelplay.run.artifacts import damaged, read_csv

COLUMNS = {
    "video": str,
    "frame": int,
    "flip_probability": float,
    "noise_level": float,
    "flipped": int,
    "denoised": str,
}


def read_restoration(path: Path) -> pd.DataFrame:
    """The table, a row per frame; raises MissingArtifactError or DamagedArtifactError."""
    table = read_csv(path, COLUMNS, made_by="prepare")
    if not table["flipped"].isin((0, 1)).all() or table.duplicated(["video", "frame"]).any():
        raise damaged(path, "prepare", "a frame more than once, or neither flipped (1) nor upright (0)")
    return table
