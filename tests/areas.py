"""The area under a curve up to a limit, segment by segment: the reference for `pixelplay.metrics.regions.area_to`."""

from itertools import pairwise


def area_directly(points: list[tuple[float, float]], limit: float) -> float:
    """Trapezoids through points by rising abscissa from 0 on; the line cut at the limit, the last point held until it.

    Points: (x, y), several of which may lie above one x.
    """
    area = 0.0
    for (x, y), (next_x, next_y) in pairwise([*points, (max(limit, points[-1][0]), points[-1][1])]):
        if x < limit < next_x:
            next_x, next_y = limit, y + (next_y - y) * (limit - x) / (next_x - x)
        if next_x <= limit:
            area += (next_x - x) * (y + next_y) / 2
    return area
