"""A run with pseudo-anomalies and raw scores of known values: noise, and in anomalous frames a stream's signal."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tests.scored import prepared, record_again, record_scores

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.run.artifacts import write_table
from pixelplay.run.files import RunFiles
from pixelplay.stages import prepare
from pixelplay.synthetic.pseudo import dataset as pseudo
from pixelplay.videos.index import Index
from pixelplay.videos.truth import VideoTruth, save_truth
from pixelplay.videos.video import Video

FRAMES = 12  # of a clip; 4 to 7 are anomalous
CLIPS = ("freeze-0", "reversal-0", "freeze-1", "reversal-1")
LABELS = ((np.arange(FRAMES) >= 4) & (np.arange(FRAMES) < 8)).astype(np.uint8)
PLAIN = ["fusion.default.smooth.method=none", "fusion.default.normalise.method=minmax", "ablate.n_bootstrap=20"]

Run = Callable[..., Config]


def planted(clip: int, signal: float, seed: int) -> np.ndarray:
    return np.random.default_rng([clip, seed]).normal(size=FRAMES) + signal * LABELS


def write_planted_scores(config: Config, index: Index, streams: dict[str, dict[str, float]]) -> None:
    """Raw scores: noise, and in anomalous frames of clips each stream's signal; by detector, then by stream."""
    files = RunFiles.of(config)
    for detector, signals in streams.items():
        tables = []
        for seed, (stream, signal) in enumerate(signals.items()):
            for split, videos in (
                ("test", index.test),
                ("calibration", index.held.calibration),
                ("pseudo", index.pseudo),
            ):
                for i, video in enumerate(videos):
                    values = planted(i, signal, seed + len(detector)) if split == "pseudo" else video.numbers % 7 + seed
                    rows = {"split": split, "video": video.id, "frame": video.numbers, "stream": stream}
                    tables.append(pd.DataFrame(rows).assign(score=np.asarray(values, np.float32)))
        table = pd.concat(tables, ignore_index=True)
        for of_clips in (False, True):
            write_table(files.scores(detector, of_clips), table[(table["split"] == "pseudo") == of_clips])
        record_scores(config, index, detector)


def planted_run(small_run: Sequence[str]) -> Run:
    """Configuration, with further overrides, of a run with known raw scores; one of its two test videos has labels."""
    overrides = [*small_run, "detector=[conv_ae_tiny,st_ae_tiny]"]
    window = ["detectors.st_ae.training.window=8"]
    config, index = prepared([*overrides, *window])
    clips = [Video(c, "pseudo", np.arange(FRAMES), (32, 24), Path("none")) for c in CLIPS]
    index = replace(index, pseudo=clips, pseudo_key="planted")
    files = RunFiles.of(config)
    index.save(files.index)
    planted = [VideoTruth(c, np.arange(FRAMES), LABELS.astype(np.uint8)) for c in CLIPS]
    save_truth(files.truth, "pseudo", planted)
    kinds = [clip.rpartition("-")[0] for clip in CLIPS]
    pd.DataFrame({"video": CLIPS, "kind": kinds}, columns=pseudo.COLUMNS).to_csv(files.pseudo_clips, index=False)
    record_again(prepare.task(config))
    write_planted_scores(config, index, {"conv_ae": {"conv_ae": 3.0, "conv_ae/mean": 1.0}, "st_ae": {"st_ae": 0.0}})

    def configured(*more: str) -> Config:
        alone = any(override.startswith("detector=") for override in more)  # without st_ae
        of_both = [] if alone else window
        return load_config([*overrides, *of_both, "restore.flip=none", "workers=1", *PLAIN, *more])

    return configured
