"""The second half of `prepare`: corrupted test frames are found, corrected, listed and shown."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd

from pixelplay.progress import progress_bar
from pixelplay.run.artifacts import csv_text, write_text
from pixelplay.run.atomic import atomic, remove_files
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import Task
from pixelplay.videos.index import Index
from pixelplay.videos.restoration_table import COLUMNS
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # importing them imports torch, which commands with nothing to do must not wait for
    from pixelplay.config import Config
    from pixelplay.restoration.flip_network import FlipNetwork
    from pixelplay.restoration.restore import Restoration

log = logging.getLogger(__name__)

VERSION = 1  # raised when the same settings give other restored frames
BY_NETWORK = ("network", "both")  # values of `restore.flip`
DOUBTFUL = 8  # frames in the picture of the most doubtful ones


def decisive(config: "Config") -> dict[str, Any]:
    """The settings that decide what restored frames are."""
    return {**config.restore.model_dump(exclude={"save_images"}), "seed": config.seed, "version": VERSION}


def restore_index(config: "Config", index: Index, formats: Sequence[FrameFormat]) -> Index:
    """The index with its test videos restored; writes restoration.csv and the picture of the most doubtful frames."""
    files = RunFiles.of(config)
    if config.restore.flip in BY_NETWORK:
        _flip_network(config, index).run()
    results = restore_videos(config, index, index.test, formats)
    found = write_found(config, files.restoration, results)
    files.doubtful.unlink(missing_ok=True)
    if config.restore.flip != "none":
        _show_doubtful(config, files.doubtful, results, formats)
    remove_files(files.restored_images, "**/" + "[0-9]" * 5 + "*.png")
    if config.restore.save_images:
        _save_images(files.restored_images, results)
    turned, denoised = int(found["flipped"].sum()), int((found["denoised"] != "").sum())
    log.info(
        f"prepare: {turned:,} of {len(found):,} test frames flipped and corrected ({turned / len(found):.1%}), "
        f"{denoised:,} denoised: {files.restoration}"
    )
    return replace(index, test=[one.after for one in results])


def write_found(config: "Config", path: Path, results: "Sequence[Restoration]") -> pd.DataFrame:
    """Write a row per frame of all the videos, see `Restoration.table`; returns the table."""
    table = pd.concat([one.table(config.restore.denoise.method) for one in results], ignore_index=True)
    table = table[[name for name in COLUMNS if name in table]]  # some videos may have no seconds
    table = table.assign(noise_level=table["noise_level"].astype(float).round(2))
    write_text(path, csv_text([table.columns, *table.astype(object).itertuples(index=False)]))
    return table


def restore_videos(
    config: "Config", index: Index, videos: Sequence[Video], formats: Sequence[FrameFormat]
) -> "list[Restoration]":
    """Every video restored; what is upright is known from the footage of `index` that detectors are fitted on.

    Raises MissingArtifactError where `restore_index` has not trained the network that flips are judged by.
    """
    from pixelplay.restoration.restore import restore

    network, references = judges(config, index)
    results = []
    with progress_bar(len(videos), "video", "restoring") as bar:
        for video in videos:
            results.append(restore(video, network, references, config.restore, formats))
            bar.update()
    return results


def judges(config: "Config", index: Index) -> "tuple[FlipNetwork | None, list[np.ndarray]]":
    """By what flips are judged: the run's trained network, and backgrounds of the footage that detectors are fitted on.

    None and [] where the settings ask for neither. Raises MissingArtifactError where `restore_index` has not trained
    the network, or the footage is no longer in the cache.
    """
    from pixelplay.restoration.background import backgrounds
    from pixelplay.restoration.flip_network import FlipNetwork

    network = None
    if config.restore.flip in BY_NETWORK:
        _flip_network(config, index).verified()
        network = FlipNetwork.load(RunFiles.of(config).flip_network)
    return network, backgrounds(index.fit, config.restore.frames) if config.restore.flip != "none" else []


def _flip_network(config: "Config", index: Index) -> Task:
    """The training of the network; it is trained once for the same footage and settings."""
    folder = RunFiles.of(config).flip_network

    def work() -> list[Path]:
        from pixelplay.restoration.flip_network import train

        log.info("prepare: training the network that detects flipped frames")
        train(index.fit, index.held.validation, config.restore, folder, config.seed)
        return [folder / "flip_network.json", folder / "flip_network.safetensors"]

    settings = config.restore.model_dump(include={"frames", "corruption", "network", "threshold"})
    footage = {"train": index.train_key, "heldout": index.heldout.model_dump()}
    return Task(
        stage="prepare",
        name="flip_network",
        files=RunFiles.of(config),
        version=VERSION,
        settings={**footage, **settings, "seed": config.seed},
        contents=lambda: str(folder),  # where it is wanted
        work=work,
    )


def _show_doubtful(
    config: "Config", path: Path, results: "Sequence[Restoration]", formats: Sequence[FrameFormat]
) -> None:
    """The frames whose flip probability is nearest to the threshold, as decoded and as restored."""
    from pixelplay.drawing.panels import View, in_shape_of, write_panels

    doubts = [np.abs(one.probability.astype(float) - config.restore.threshold) for one in results]
    frames = sorted((doubt, i, t) for i, of_video in enumerate(doubts) for t, doubt in enumerate(of_video))
    largest = max(formats, key=lambda f: f.height * f.width)
    rows = []
    for _, i, t in frames[:DOUBTFUL]:
        one = results[i]
        done = [name for name, was in (("turned", one.flipped[t]), ("denoised", one.denoised[t])) if was]
        about = f"{one.before.id}, frame {one.before.numbers[t]}: P(flipped) {one.probability[t]:.3f}"
        before, after = (in_shape_of(video.size, video.frames(largest)[t]) for video in (one.before, one.after))
        rows.append([View(before, about), View(after, " and ".join(done) or "unchanged")])
    write_panels(path, rows, "The most doubtful test frames: as decoded, and as the detectors see them")


def _save_images(folder: Path, results: "Sequence[Restoration]") -> None:
    """Every restored frame in its original size, `<video>/<number>.png`."""
    for one in results:
        restored = one.flipped | one.denoised
        for t, image in enumerate(one.after.full_size() if restored.any() else ()):
            if restored[t]:
                with atomic(folder / one.after.id / f"{one.after.numbers[t]:05d}.png") as temporary:
                    temporary.write_bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())
