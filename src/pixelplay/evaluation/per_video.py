"""Figures of single test videos: how well each stream ranks the frames of one."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from pixelplay.videos.truth import VideoTruth


def per_video(
    processed: Mapping[str, pd.Series], streams: Iterable[str], videos: Iterable[VideoTruth]
) -> dict[str, dict[str, dict[str, float | None]]]:
    """ROC-AUC and average precision by video and stream; None for a video whose frames are all of one class.

    processed: by stream, scores indexed by (video, frame); videos: those with labels.
    """
    from pixelplay.metrics.frames import frame_metrics

    names, found = list(streams), {}
    for one in videos:
        assert one.labels is not None
        rows, ids = [(one.video, int(number)) for number in one.numbers], np.full(len(one.numbers), one.video)
        of = {name: frame_metrics(processed[name].loc[rows].to_numpy(), one.labels, ids) for name in names}
        found[one.video] = {name: {"auc": each["auc_micro"], "ap": each["ap"]} for name, each in of.items()}
    return found
