"""A detector that learns to predict the next frame, after Liu et al., CVPR 2018: what it predicts badly is unusual.

A package, so that commands which only look at its Spec need not import torch.
"""

from pixelplay.detectors.base import Spec

SPECS = [Spec("next_frame", 1, f"{__name__}.detector", trainer=())]
