"""Figures of single test videos: how well each stream ranks the frames of one."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from pixelplay.videos.truth import Labelled


def per_video(
    processed: Mapping[str, pd.Series], streams: Iterable[str], videos: Iterable[Labelled]
) -> dict[str, dict[str, dict[str, float | None]]]:
    """ROC-AUC and average precision by video and stream; None for a video whose frames are all of one class.

    processed: by stream, scores indexed by (video, frame).
    """
    from pixelplay.metrics.frames import frame_metrics

    names, found = list(streams), {}
    for one in videos:
        ids = np.full(len(one.numbers), one.video)
        of = {name: frame_metrics(processed[name].loc[one.places].to_numpy(), one.labels, ids) for name in names}
        found[one.video] = {name: {"auc": each["auc_micro"], "ap": each["ap"]} for name, each in of.items()}
    return found
