"""Time in frames where frame numbers step by more than one: every tenth frame, or timestamps in nanoseconds."""

import numpy as np


def in_steps(frames: np.ndarray) -> np.ndarray:
    """Frame numbers (T,), strictly increasing, as int64 places (T,) that differ by 1 from one frame to the next.

    What is one step is the usual difference of two numbers, their median (of an even count, the smaller of the middle
    two). A gap counts as the nearest whole number of steps, and at least as one, so that numbers that jitter fall on
    places in a row and no two on the same. Where the usual difference is 1, the numbers themselves.
    """
    frames = np.asarray(frames, dtype=np.int64)
    differences = np.diff(frames)
    if not differences.size:
        return frames
    step = np.sort(differences)[(len(differences) - 1) // 2]
    if step <= 1:
        return frames
    whole, rest = np.divmod(differences, step)
    steps = whole + (rest >= step - rest)  # and not 2 * rest, which may overflow
    return np.concatenate([[0], np.maximum(steps, 1).cumsum()])
