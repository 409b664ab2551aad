"""restoration.csv, as read by whatever reports on test frames: which were flipped, and how noisy they were."""

from pathlib import Path

import pandas as pd

from pixelplay.run.artifacts import damaged, read_csv

COLUMNS = {
    "video": str,
    "frame": int,
    "seconds": str,  # only where some video has timestamps; empty for the others
    "flip_probability": float,
    "noise_level": float,
    "flipped": int,
    "denoised": str,
}


def read_restoration(path: Path) -> pd.DataFrame:
    """The table, a row per frame; raises MissingArtifactError or DamagedArtifactError."""
    timed = path.is_file() and b"seconds" in path.read_bytes().partition(b"\n")[0]
    columns = {name: kind for name, kind in COLUMNS.items() if name != "seconds" or timed}
    table = read_csv(path, columns, made_by="prepare")
    if not table["flipped"].isin((0, 1)).all() or table.duplicated(["video", "frame"]).any():
        raise damaged(path, "prepare", "a frame twice, or neither flipped (1) nor upright (0)")
    return table
