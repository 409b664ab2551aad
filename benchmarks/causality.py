"""What it costs to look at no later frame, and whether online scores are those that offline scoring gives causally.

python -m benchmarks.causality experiment=ped2 run=NAME …

Scores all test videos of a finished run frame by frame, as `infer` does, and prints a table of the frame AUC of each
stream offline and online; and of each detector the largest relative difference of its online scores from
`score(video, causal=True)` of the same frames, causally restored. That is left out where objects are moving blobs,
whose background knows later frames offline. Fused scores cross zero, so a difference of theirs is relative to the
standard deviation of all fused scores where they are smaller than that. For equal boxes, run with
objects.yolo.batch_size=1.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.detectors.base import Scores
from pixelplay.detectors.stream import StreamFormat
from pixelplay.evaluation.score_tables import read_fused, read_scores
from pixelplay.metrics.frames import frame_metrics
from pixelplay.objects import detection, tables
from pixelplay.online.feeds import frames_of
from pixelplay.online.perception import Perception
from pixelplay.online.pipeline import Pipeline
from pixelplay.online.run_scores import RunScores
from pixelplay.progress import progress_bar
from pixelplay.restoration.dataset import judges
from pixelplay.restoration.restore import restore
from pixelplay.run.fingerprints import fingerprint
from pixelplay.scores.fuse import compose, fuse
from pixelplay.scores.objects import frame_scores, fuse_objects
from pixelplay.scores.restored import weight_of
from pixelplay.scores.settings import FUSED, OBJECTS, FusionConfig
from pixelplay.scores.table import NEW
from pixelplay.stages import detect, extract, prepare
from pixelplay.videos.index import Index
from pixelplay.videos.truth import load_labels
from pixelplay.videos.video import Video

LEAST = 1e-6  # scores below are compared as if they were so high: nothing is relative to nothing
Streams = dict[str, np.ndarray]  # (T,) scores of a video's frames, by stream


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = load_config(sys.argv[1:])
    pipeline = Pipeline(config)
    index = pipeline.index
    found: dict[str, Streams] = {}
    with progress_bar(sum(map(len, index.test)), "frame", "online") as bar:
        for video in index.test:
            found[video.id] = online(pipeline, video)
            bar.update(len(video))
    differences = (
        {} if "motion" in detection.methods(config, registry.needing(config, "boxes")) else compared(pipeline, found)
    )
    print(table(config, index, pipeline.names, found, differences))


def online(pipeline: Pipeline, video: Video) -> Streams:
    """Raw scores of each detector, and the fused ones, of a video's frames as they come from its source."""
    assert video.originals is not None
    fps = video.fps or pipeline.config.objects.tracks.fps
    stretch, rows = pipeline.begin(Perception(pipeline.models, StreamFormat(video.size, fps, video.id))), []
    for arrived in frames_of(video.originals.source, video.id, fps):
        _, scores, fused = stretch.score(stretch.perception.look(arrived))
        raw = {stream: value for one in scores.values() for stream, value in one.streams.items()}
        rows.append({**raw, **fused.members, FUSED: fused.score} | raw)
    return {stream: np.array([row[stream] for row in rows]) for stream in rows[0]}


def compared(pipeline: Pipeline, found: Mapping[str, Streams]) -> dict[str, float]:
    """By detector, the largest relative difference of any of its streams in any frame; and of the fused score."""
    config, index = pipeline.config, causally_restored(pipeline.config, pipeline.index)
    offline: dict[str, dict[str, Scores]] = {}
    for name in pipeline.names:
        own = tables.with_objects(config, index, registry.spec(name, config.detectors[name]).needs)
        (detector, *_) = pipeline.detectors[name]
        offline[name] = {video.id: detector.score(video, causal=True) for video in own.test}
    largest = {
        name: max(
            apart(found[video][stream], values) for video, one in of.items() for stream, values in one.streams.items()
        )
        for name, of in offline.items()
    }
    fused = fused_offline(pipeline.fusion.run, index, offline)
    spread = float(np.concatenate(list(fused.values())).std())
    return largest | {FUSED: max(apart(found[video][FUSED], values, spread) for video, values in fused.items())}


def apart(online: np.ndarray, offline: np.ndarray, least: float = LEAST) -> float:
    return float((np.abs(online - offline) / np.maximum(np.abs(offline), least)).max())


def fused_offline(run: RunScores, index: Index, scores: Mapping[str, Mapping[str, Scores]]) -> dict[str, np.ndarray]:
    """The fused scores by video, by the functions that fuse whole runs, of raw scores by detector and video."""
    fusion, known = run.causal, run.tables(run.causal)
    new = {
        stream: pd.concat([frame_rows(video, stream, of[video.id].streams[stream]) for video in index.test])
        for of in scores.values()
        for stream in next(iter(of.values())).streams
    }
    if run.streams:
        rows = [
            one.objects.assign(split=NEW, video=video)
            for of in scores.values()
            for video, one in of.items()
            if one.objects is not None
        ]
        every = pd.concat(rows, ignore_index=True)
        summed = {
            s: pd.concat([run.raw_objects[s], every[every["stream"] == s]], ignore_index=True) for s in run.streams
        }
        objects = fuse_objects(summed, fusion.objects)
        new[OBJECTS] = frame_scores(objects, [(NEW, v.id, v.numbers) for v in index.test], fusion.objects)
    raw = {s: pd.concat([known[s], new[s]], ignore_index=True) for s in new if s in known}
    raw |= compose(raw, fusion, run.weights)
    weights = {**run.weights, NEW: {video.id: weights_of(video, fusion) for video in index.test}} if run.weights else {}
    fused = fuse({stream: raw[stream] for stream in run.members}, fusion, weights)
    fused = fused[(fused["stream"] == FUSED) & (fused["split"] == NEW)]
    return {video.id: scores_of(fused, video) for video in index.test}


def frame_rows(video: Video, stream: str, scores: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"split": NEW, "video": video.id, "frame": video.numbers, "stream": stream, "score": scores})


def weights_of(video: Video, fusion: FusionConfig) -> np.ndarray:
    assert video.noise is not None and video.originals is not None
    pairs = zip(video.noise.tolist(), video.originals.flipped.tolist(), strict=True)
    return np.array([weight_of(noise, flipped, fusion.corrupted_frames) for noise, flipped in pairs])


def causally_restored(config: Config, index: Index) -> Index:
    """The test videos with restored frames as they are restored online, and the objects in these."""
    network, references = judges(config, index)
    formats, videos = prepare.formats(config), []
    for video in index.test:
        assert video.originals is not None
        none = np.zeros(len(video), np.float32)
        decoded = replace(
            video,
            restored=None,
            key=video.key if video.restored is None else fingerprint(video.key, "decoded"),
            originals=replace(video.originals, flipped=none > 0, noise=none, denoiser="none"),
        )
        result = restore(decoded, network, references, config.restore, formats, causal=True)
        as_in_the_run = np.array_equal(result.flipped, video.originals.flipped)
        as_in_the_run &= np.array_equal(result.denoised, video.originals.noise > 0)
        videos.append(video if as_in_the_run else result.after)
    new = [one for one, video in zip(videos, index.test, strict=True) if one is not video]
    if new:
        print(
            f"{len(new)} of {len(videos)} videos are restored otherwise than in the run: {', '.join(v.id for v in new)}"
        )
        detect.detect_all(config, new)
        extract.extract_all(config, replace(index, train=[], pseudo=[], test=new))
    return replace(index, train=[], pseudo=[], test=videos)


def table(
    config: Config, index: Index, names: list[str], found: Mapping[str, Streams], differences: Mapping[str, float]
) -> str:
    """A row of Markdown for each stream of the detectors, and for the fused one."""
    fused = read_fused(config, index)
    members = [stream for stream in (FUSED, OBJECTS) if stream in set(fused["stream"])]
    offline = {s: fused[(fused["stream"] == s) & (fused["split"] == "test")] for s in members}
    for name in names:
        scores = read_scores(config, name, index)
        offline |= {
            str(stream): rows for stream, rows in scores[scores["split"] == "test"].groupby("stream", sort=False)
        }
    truth = load_labels(config, index)
    labelled = [video for video in index.test if truth[video.id].labels is not None]
    lines = [
        "| stream | AUC micro, offline | online | AUC macro, offline | online | difference |",
        "| --- |" + " --- |" * 5,
    ]
    for stream, rows in offline.items():
        before = [scores_of(rows, video) for video in labelled]
        figures = [measured(labelled, truth, values) for values in (before, [found[v.id][stream] for v in labelled])]
        cells = [f"{one[name]:.3f}" for name in ("auc_micro", "auc_macro") for one in figures]
        apart = f"{differences[stream]:.1e}" if stream in differences else ""
        lines.append(f"| `{stream}` | {' | '.join(cells)} | {apart} |")
    return "\n".join(lines)


def scores_of(rows: pd.DataFrame, video: Video) -> np.ndarray:
    own = rows[rows["video"] == video.id].set_index("frame")["score"]
    return own.loc[video.numbers].to_numpy()


def measured(videos: list[Video], truth: Mapping, scores: list[np.ndarray]) -> Mapping:
    labels = [truth[video.id].labels for video in videos]
    names = np.repeat([video.id for video in videos], [len(video) for video in videos])
    return frame_metrics(np.concatenate(scores), np.concatenate(labels), names)


if __name__ == "__main__":
    main()
