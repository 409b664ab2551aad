"""Weights of corrupted frames, from the table of restoration."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest

from pixelplay.errors import DataError
from pixelplay.scores.restored import frame_weights
from pixelplay.scores.settings import CorruptedFramesConfig

TABLE = """video,frame,flip_probability,noise_level,flipped,denoised
01,939,0.0,8.0,0,
01,941,0.1,8.01,0,median
02,5,0.9,0.5,1,
02,6,0.2,,0,
02,7,0.9,30.0,1,
"""
FRAMES = {"02": np.array([5, 6, 7]), "01": np.array([939, 941])}
CONFIG = CorruptedFramesConfig(noise_above=8.0, weight=0.25)


def restoration(text: str = TABLE) -> pd.DataFrame:
    return pd.read_csv(StringIO(text), dtype={"video": str})


def test_noisy_and_flipped_frames_count_less_and_the_others_fully() -> None:
    weights = frame_weights(restoration(), CONFIG, FRAMES)
    assert {video: of.tolist() for video, of in weights.items()} == {"02": [0.25, 1.0, 0.25], "01": [1.0, 0.25]}


def test_rows_may_stand_in_any_order_and_be_of_further_frames() -> None:
    weights = frame_weights(restoration().iloc[::-1], CONFIG, {"02": np.array([6, 7])})
    assert weights["02"].tolist() == [1.0, 0.25]


@pytest.mark.parametrize(
    ("table", "frames", "message"),
    [
        (restoration().drop(columns="flipped"), FRAMES, r"column\(s\) flipped missing"),
        (restoration(), {"02": np.array([5, 8])}, "no row for video '02', frame 8"),
        (restoration(), {"2": np.array([5])}, "no row for video '2', frame 5"),
        (pd.concat([restoration()] * 2), FRAMES, "video '02' more than once"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(table: pd.DataFrame, frames: dict, message: str) -> None:
    with pytest.raises(DataError, match=message + ".*run prepare.py again"):
        frame_weights(table, CONFIG, frames)
