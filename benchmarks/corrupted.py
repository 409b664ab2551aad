"""A copy of a data set of frame folders whose test frames are corrupted as the competition's are, for comparison.

python -m benchmarks.corrupted data/ped2 data/ped2_corrupted --test Test
python -m benchmarks.corrupted data/avenue data/avenue_corrupted --test testing/frames

Flips and noise with the shares of `dataset.sample.corruption`; no frame is left out, so that labels keep their frames.
What is not a test frame, such as masks and labels, is copied as it is.
"""

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np

from pixelplay.cli import load_config
from pixelplay.run.atomic import atomic_folder
from pixelplay.videos.corruption import corrupt, draw_kinds
from pixelplay.videos.settings import CorruptionConfig

IMAGES = {".tif", ".jpg", ".png", ".bmp"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path, help="folder that is made; it must not be there")
    parser.add_argument("--test", type=Path, required=True, help="folder of the test videos, below the source")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.target.exists():
        parser.error(f"{options.target} is there already: name another folder")
    videos = sorted(p for p in (options.source / options.test).iterdir() if p.is_dir() and not p.name.endswith("_gt"))
    if not videos:
        parser.error(f"{options.source / options.test} has no folders of frames")
    rates = load_config(["experiment=sample"]).dataset.sample
    assert rates is not None
    config = rates.corruption.model_copy(update={"missing": 0.0})
    with atomic_folder(options.target) as temporary:
        shutil.copytree(options.source, temporary, dirs_exist_ok=True)
        for video, rng in zip(videos, np.random.default_rng(options.seed).spawn(len(videos)), strict=True):
            counts = corrupt_folder(temporary / options.test / video.name, config, rng)
            print(f"{video.name}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))


def corrupt_folder(folder: Path, config: CorruptionConfig, rng: np.random.Generator) -> dict[str, int]:
    """Corrupt the images of a folder in place, as PNG so that nothing is lost; how many of each kind there are."""
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    kinds = draw_kinds(len(images), config, rng)
    for path, kind in zip(images, kinds, strict=True):
        frame = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if frame is None:
            raise SystemExit(f"{path}: not an image that OpenCV reads")
        path.unlink()
        if not cv2.imwrite(str(path.with_suffix(".png")), corrupt(frame, str(kind), config, rng)):
            raise SystemExit(f"{path}: could not be written")
    names, counts = np.unique(kinds, return_counts=True)
    return dict(zip(map(str, names), map(int, counts), strict=True))


if __name__ == "__main__":
    main()
