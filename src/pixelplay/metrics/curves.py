"""The area under a curve up to a limit: what RBDC, TBDC and AUPRO are."""

import numpy as np


def area_to(limit: float, x: np.ndarray, y: np.ndarray) -> float:
    """Area under straight lines between points (K,) with `x` from 0 and never falling, for x in [0, limit].

    Where x never reaches the limit, the last y holds until there; where it passes it, the line is cut at the limit.
    """
    inside = int(np.searchsorted(x, limit, side="right"))
    x_in, y_in = x[:inside], y[:inside]
    if x_in[-1] < limit:
        end = y[-1] if inside == len(x) else np.interp(limit, x[inside - 1 : inside + 1], y[inside - 1 : inside + 1])
        x_in, y_in = np.append(x_in, limit), np.append(y_in, end)
    return float(np.trapezoid(y_in, x_in))
