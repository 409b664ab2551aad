"""A frame as it comes from a source, before anything is known of it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Arrived:
    """One frame that is to be scored."""

    number: int  # as its source counts from 0: numbers of frames that were lost or dropped are missing
    seconds: float  # since the source's first frame, by its timestamps where it has such
    image: np.ndarray  # uint8 (H, W, 3) RGB
    gray: np.ndarray | None = None  # uint8 (H, W), where the source decodes it; else it is made of the image
    dropped: int = 0  # frames that were left out since the frame before
    at: float = 0.0  # time.monotonic() of its arrival
    restart: bool = False  # the first after a gap so long that nothing of what was before counts
