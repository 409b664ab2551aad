"""Online inference: what a run has learnt, applied to a camera, a file or a stream frame by frame."""

from pixelplay.online.pipeline import Pipeline as Pipeline
