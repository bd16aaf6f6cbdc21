"""Outlines of pixel regions as polygons that rasterise back to the very pixels."""

from __future__ import annotations

import numpy as np

INSET_PX = 0.01
"""How far an outline runs inside the pixel edges [px]: a hundredth moves next to no area, and keeps every vertex, cut
down to whole pixels, in a pixel of the region."""

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""East, south, west, north; the region lies on the right hand."""

_Edge = tuple[int, int, int]
"""A pixel's side as a directed unit edge: start x, start y, direction."""

_Point = tuple[float, float]


def outline(region: np.ndarray) -> np.ndarray:
    """Trace a region along its pixels' edges, holes joined to the outside by cuts of no width.

    Rasterisers of two kinds get the region back: those that take positions as continuous (pixel i spans i … i + 1),
    and those that cut vertices down to whole pixels and paint the border too, as Ultralytics does with `cv2.fillPoly`.
    A contour through pixel centres loses half a pixel on every side with the first; one on the very edges gains a row
    and a column with the second.

    Args:
        region: One 8-connected component, bool, shape [H, W].

    Returns:
        Closed polygon without repeated end, float64, shape [P, 2]: x right, y down, in pixels from the corner.
    """
    follow = _followers(region)
    joins = _joins(region, follow)
    first = next(iter(follow))
    points: list[_Point] = []
    edge, leaving = first, True
    while True:
        if leaving:
            points += _corner(edge, follow[edge], follow)
            edge, leaving = follow[edge], False
        elif edge in joins:  # over the cut, and on along the ring on its other side
            points += [_middle(edge), _middle(joins[edge])]
            edge, leaving = joins[edge], True
        else:
            leaving = True
        if leaving and edge == first:
            return np.array(points)


def _followers(region: np.ndarray) -> dict[_Edge, _Edge]:
    """Each edge between the region and what is not, and the edge after it.

    Where two pixels touch at a corner only, the way goes on to the other pixel: turns to the left come first.
    """
    inside = np.pad(region, 1)
    outside = ~inside
    beyond = (outside[:-2, 1:-1], outside[1:-1, 2:], outside[2:, 1:-1], outside[1:-1, :-2])
    starts = ((0, 0), (1, 0), (1, 1), (0, 1))
    edges: dict[_Edge, None] = {}
    for direction, (free, (dx, dy)) in enumerate(zip(beyond, starts, strict=True)):
        rows, columns = np.nonzero(region & free)
        places = zip((columns + dx).tolist(), (rows + dy).tolist(), strict=True)
        edges.update(((x, y, direction), None) for x, y in places)
    follow: dict[_Edge, _Edge] = {}
    for edge in edges:
        x, y, direction = edge
        end = (x + _STEPS[direction][0], y + _STEPS[direction][1])
        turns = ((*end, (direction + turn) % 4) for turn in (-1, 0, 1))
        follow[edge] = next(turn for turn in turns if turn in edges)
    return follow


def _joins(region: np.ndarray, follow: dict[_Edge, _Edge]) -> dict[_Edge, _Edge]:
    """Cuts that join every hole to the ring on its left, both ways.

    A cut runs along a row from the hole's leftmost side to the first edge on the left. That edge's ring reaches
    further left than the hole, so that all cuts lead to the outer ring.
    """
    joins: dict[_Edge, _Edge] = {}
    seen: set[_Edge] = set()
    for start in follow:
        if start in seen:
            continue
        ring = [start]
        while (edge := follow[ring[-1]]) != start:
            ring.append(edge)
        seen.update(ring)
        x, y, direction = side = min(edge for edge in ring if edge[2] in (1, 3))
        if direction == 3:  # the outer ring: its leftmost side has the region to the east
            continue
        left = x - 1
        while left >= 0 and region[y, left]:
            left -= 1
        joins[side] = (left + 1, y + 1, 3)
        joins[left + 1, y + 1, 3] = side
    return joins


def _middle(edge: _Edge) -> _Point:
    """Middle of an edge, moved into the region."""
    x, y, direction = edge
    (dx, dy), (nx, ny) = _STEPS[direction], _STEPS[(direction + 1) % 4]
    return x + 0.5 * dx + INSET_PX * nx, y + 0.5 * dy + INSET_PX * ny


def _corner(edge: _Edge, after: _Edge, follow: dict[_Edge, _Edge]) -> list[_Point]:
    """Points where the outline turns from one edge into the next; none where it goes straight on."""
    x, y, turned = after
    direction = edge[2]
    if turned == direction:
        return []
    (nx, ny), (mx, my) = _STEPS[(direction + 1) % 4], _STEPS[(turned + 1) % 4]
    if turned == (direction - 1) % 4 and (x, y, (direction + 1) % 4) in follow:  # over to a pixel across the corner
        (dx, dy), (ex, ey) = _STEPS[direction], _STEPS[turned]
        return [
            (x + INSET_PX * (nx - dx), y + INSET_PX * (ny - dy)),
            (x + INSET_PX * (mx + ex), y + INSET_PX * (my + ey)),
        ]
    return [(x + INSET_PX * (nx + mx), y + INSET_PX * (ny + my))]
