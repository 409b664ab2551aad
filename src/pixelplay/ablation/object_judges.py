"""Which object streams the sum per object is better off without, by the two judges of `pixelplay.ablation.judges`."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pixelplay.ablation.judges import Verdict, judged
from pixelplay.ablation.measure import METRICS, PSEUDO, Measured, Truth, measured
from pixelplay.ablation.settings import AblateConfig
from pixelplay.ablation.stability import Stability, stability
from pixelplay.scores.objects import frame_scores, fuse_objects
from pixelplay.scores.settings import ObjectFusionConfig

Stretch = tuple[str, np.ndarray]  # a video's id and the numbers of some of its frames


def judge_objects(
    tables: Mapping[str, pd.DataFrame],
    truth: Truth,
    normal: Mapping[str, Sequence[Stretch]],
    settings: ObjectFusionConfig,
    config: AblateConfig,
) -> list[Verdict]:
    """A verdict on each stream, in their order, by the frames' scores: those of their highest objects.

    tables: as `fuse_objects` takes them, with the pseudo-anomalies of `truth`. normal: by stream, the normal footage of
    which it has scores. Raises DataError as `fuse_objects`.
    """
    others = {stream: table[table["split"] != "test"] for stream, table in tables.items()}
    videos = dict.fromkeys(truth.videos.tolist())
    planted = [(PSEUDO, video, truth.frames[truth.videos == video]) for video in videos]  # in the truth's order
    at = METRICS.index(config.metric)

    def measure(streams: Sequence[str]) -> Measured:
        objects = fuse_objects({stream: others[stream] for stream in streams}, settings)
        scores = frame_scores(objects, planted, settings)["score"].to_numpy(np.float64)
        return measured(scores, truth, config.n_bootstrap, config.seed)

    def gains(streams: Sequence[str]) -> dict[str, tuple[float, float]]:
        if len(streams) < 2:
            return dict.fromkeys(streams, (float("nan"), float("nan")))
        whole, found = measure(streams), {}
        for stream in streams:
            gain, error = measure([other for other in streams if other != stream]).gain_over(whole)
            found[stream] = float(gain[at]), float(error[at])
        return found

    stable = {stream: _stability(stream, table, normal[stream], settings) for stream, table in others.items()}
    return judged(list(tables), gains, stable)


def _stability(stream: str, table: pd.DataFrame, normal: Sequence[Stretch], settings: ObjectFusionConfig) -> Stability:
    """`stability` of the frames' scores by one stream alone."""
    if not normal:
        return stability([])
    objects = fuse_objects({stream: table}, settings)
    frames = frame_scores(objects, [("calibration", *stretch) for stretch in normal], settings)
    ordered = frames.sort_values("frame", kind="stable").groupby("video", sort=False)
    return stability([rows["score"].to_numpy(np.float64) for _, rows in ordered])
