"""One test video to look through, for notebooks: its scores over time, labels, and the frame at any position."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from pixelplay.drawing.panels import in_shape_of
from pixelplay.evaluation.score_tables import read_fused, scored_names
from pixelplay.explain.frames import full_size_frames, label_of
from pixelplay.scores.settings import FUSED
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.index import load_index
from pixelplay.videos.truth import load_labels
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

WIDTH, CURVES, PICTURE = 10.0, 2.8, 4.2  # inches: the figure's width, heights of the curves and of the frame
SHADE = "#d55e00"  # Okabe and Ito's vermilion


class ScoreView:
    """The test videos of a run that has its fused scores."""

    def __init__(self, config: "Config"):
        """Raises MissingArtifactError or DamagedArtifactError for what `prepare` or `fuse` writes."""
        index = load_index(config)
        table = read_fused(config, index)
        table = table[table["split"] == "test"]
        self.videos = {video.id: video for video in index.test}
        named = [*scored_names(config), *config.fusion.external_files, FUSED]
        self.streams = [stream for stream in named if stream in set(table["stream"])]
        self._scores = dict(list(table.groupby(["video", "stream"])["score"]))
        self._truth = load_labels(config, index)
        self._formats = [d.frames for d in config.detectors.values() if d.frames is not None]

    def draw(self, name: str, position: int) -> Figure:
        """Normalised, smoothed scores of a video, the position marked, labelled anomalies shaded; its frame below."""
        video, labels = self.videos[name], self._truth[name].labels
        figure = Figure(figsize=(WIDTH, CURVES + PICTURE), layout="constrained")
        curves, picture = figure.subplots(2, height_ratios=(CURVES, PICTURE))
        for stream in self.streams:
            scores = self._scores[name, stream].to_numpy()
            style = {"color": "k", "linewidth": 2.2} if stream == FUSED else {"linewidth": 1.0}
            curves.plot(video.numbers, scores, label=f"{stream}  {scores[position]:.2f}", **style)
        curves.axvline(video.numbers[position], color="0.4", linewidth=1)
        if labels is not None:
            across = {"transform": curves.get_xaxis_transform(), "color": SHADE, "alpha": 0.15, "linewidth": 0}
            curves.fill_between(video.numbers, 0, 1, where=labels > 0, step="mid", **across)
        curves.set(xlabel="frame", ylabel="score")
        curves.margins(x=0)
        for text in curves.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False).get_texts():
            text.set_parse_math(False)  # a stream may be named after a file with a $ in its name
        time = "" if video.seconds is None else f", {video.seconds[position]:.2f} s"
        title = f"{name}, frame {video.numbers[position]}{time}{label_of(self._truth[name], position)}"
        picture.imshow(self.frame(video, position), cmap="gray", vmin=0, vmax=255)
        picture.set_axis_off()
        picture.set_title(title, fontsize=10, parse_math=False)
        return figure

    def frame(self, video: Video, position: int) -> np.ndarray:
        """A frame, uint8 (H, W, 3) RGB or (H, W) grey.

        In its original size from a folder of images. Of a video file, which would be decoded from its start, in the
        working size of a detector, if there is one.
        """
        folder = video.originals is not None and isinstance(video.originals.source, ImageFolder)
        if folder or not self._formats:
            return next(full_size_frames(video, [position]))[1]
        best = next((one for one in self._formats if not one.gray), self._formats[0])
        return in_shape_of(video.size, video.frames(best)[position])
