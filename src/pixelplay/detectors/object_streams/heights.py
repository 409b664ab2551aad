"""How high a person is in the picture, by the row on which they stand: a yardstick for speeds and sizes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from pixelplay.objects.tracks import Tracks
from pixelplay.run.artifacts import read_model, write_json

FILE = "heights.json"
PERSON = "person"  # COCO's name; moving blobs have another
FEWEST = 100  # boxes of which a line is estimated
SMALLEST = 0.05  # share of lower boxes; half of that height is the least that the line gives, above the horizon
LEAST = 1.0  # pixels: smallest height


class UsualHeight(BaseModel):
    """height = slope * y2 + intercept, at least `least`, in pixels of the full-size frame. Without a slope there is no
    line: every box has its own height.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    slope: float | None = None
    intercept: float | None = None
    least: float = LEAST

    @classmethod
    def of(cls, tracks: Sequence[Tracks], estimate: bool) -> "UsualHeight":
        """A robust line (Huber, 1964) through the detected persons, of all objects where no class is a person.

        There is none where they are too few, their heights do not grow downwards, or `estimate` is false.
        """
        from sklearn.linear_model import HuberRegressor  # slow to import

        boxes = np.concatenate([np.empty((0, 4)), *(one.xyxy[~one.interpolated] for one in tracks)])
        labels = np.concatenate([np.empty(0, object), *(one.label[~one.interpolated] for one in tracks)])
        if (labels == PERSON).any():
            boxes = boxes[labels == PERSON]
        foot, height = boxes[:, 3], boxes[:, 3] - boxes[:, 1]
        if not estimate or len(boxes) < FEWEST or np.ptp(foot) < LEAST:
            return cls()
        fitted = HuberRegressor(max_iter=1000).fit(foot[:, None], height)
        slope, intercept = float(fitted.coef_[0]), float(fitted.intercept_)
        least = max(float(np.quantile(height, SMALLEST)) / 2, LEAST)
        return cls(slope=slope, intercept=intercept, least=least) if slope >= 0 else cls()

    def at(self, tracks: Tracks) -> np.ndarray:
        """The height of a person who stands where each box ends, pixels, float64 (N,)."""
        height = (tracks.xyxy[:, 3] - tracks.xyxy[:, 1]).astype(np.float64)
        if self.slope is not None and self.intercept is not None:
            height = self.slope * tracks.xyxy[:, 3].astype(np.float64) + self.intercept
        return height.clip(min=self.least)

    def save(self, folder: Path) -> None:
        write_json(folder / FILE, self.model_dump())

    @classmethod
    def load(cls, folder: Path) -> "UsualHeight":
        """What `save` wrote; raises MissingArtifactError or DamagedArtifactError."""
        return read_model(folder / FILE, cls, made_by="train")
