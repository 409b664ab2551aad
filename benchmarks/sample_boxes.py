"""Boxes around all that moves in the rendered sample, as a faultless detector would find them, for comparison.

python -m benchmarks.sample_boxes data/sample
./run_all.sh objects.method=file run=true-boxes

Writes train_boxes/ and test_boxes/ into the data set's folder: see docs/data.md. Options of the rendering, such as
dataset.sample.seed=1, follow the folder. `python -m benchmarks moving_blobs` compares moving blobs with them.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.cli import load_config
from pixelplay.objects.box_files import HEADER
from pixelplay.progress import progress_bar
from pixelplay.run.atomic import atomic_folder
from pixelplay.synthetic.sample.footage import find_boxes
from pixelplay.synthetic.sample.plaza import Camera
from pixelplay.synthetic.sample.render import SPLITS, plan_video

LEAST = 20  # pixels that must be seen of an object
LABEL, CONFIDENCE = "object", 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of the rendering")
    parser.add_argument("options", nargs="*", help="options with which it was rendered")
    arguments = parser.parse_args()
    if not (arguments.root / SPLITS[0]).is_dir():
        parser.error(f"{arguments.root} has no rendering: run `./run_all.sh` once")
    config = load_config(["experiment=sample", f"dataset.root={arguments.root}", *arguments.options]).dataset.sample
    assert config is not None
    camera = Camera(config.width, config.height)
    for split, videos in zip(SPLITS, (config.train_videos, config.test_videos), strict=True):
        target = arguments.root / f"{split}_boxes"
        if target.exists():
            parser.error(f"{target} is there already: remove it to have it written again")
        with atomic_folder(target) as folder, progress_bar(videos, "video", f"boxes of {split}") as progress:
            for video in range(videos):
                plan, rows = plan_video(camera, config, split, video), []
                for position in np.flatnonzero(plan.kinds != "missing"):
                    for box in find_boxes(camera, plan.actors, int(position), LEAST):
                        rows.append((int(plan.numbers[position]), *box, LABEL, CONFIDENCE))
                pd.DataFrame(rows, columns=HEADER).to_csv(folder / f"{video + 1:02d}.csv", index=False)
                progress.update()


if __name__ == "__main__":
    main()
