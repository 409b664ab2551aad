"""How well a finished run on the rendered sample tells each kind of anomaly from normal frames, by its labels.

python -m benchmarks.sample_kinds outputs/sample data/sample

AUC of the frames of one kind against all normal test frames, for each stream of `fused.parquet`. For reporting only:
nothing may be chosen by it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from pixelplay.synthetic.sample.anomalies import TRACKS_PER_EVENT, pick_kinds
from pixelplay.videos.index import Index
from pixelplay.videos.truth import load_truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path, help="outputs folder of the run")
    parser.add_argument("data", type=Path, help="the rendered data set")
    options = parser.parse_args()
    index = Index.load(options.outputs / "index.json")
    truth = load_truth(options.outputs / "truth", "test", index.test)
    scores = pd.read_parquet(options.outputs / "fused.parquet")
    scores = scores[scores["split"] == "test"].pivot(index=["video", "frame"], columns="stream", values="score")
    normal, events = [], {}
    for number, video in enumerate(index.test):
        labels = truth[video.id].labels
        assert labels is not None, "the sample has labels"
        normal += [(video.id, frame) for frame in truth[video.id].numbers[labels == 0]]
        boxes = pd.read_csv(options.data / "test_tracks" / f"{video.id}.csv")
        event = (boxes["track_id"] - 1) // TRACKS_PER_EVENT
        for i, kind in enumerate(pick_kinds(number)):
            frames = np.intersect1d(boxes["frame"][event == i], video.numbers)
            events.setdefault(kind, []).extend((video.id, frame) for frame in frames)
    table = pd.DataFrame({kind: auc(scores.loc[frames], scores.loc[normal]) for kind, frames in events.items()}).T
    table.insert(0, "frames", [len(frames) for frames in events.values()])
    print(table.round(2).to_string())


def auc(anomalous: pd.DataFrame, normal: pd.DataFrame) -> pd.Series:
    """Of each stream, a column."""
    labels = np.repeat([1, 0], [len(anomalous), len(normal)])
    return pd.concat([anomalous, normal]).apply(lambda column: roc_auc_score(labels, column))


if __name__ == "__main__":
    main()
