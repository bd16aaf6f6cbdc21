"""Solids that machines are put together from: boxes, tubes, plates, foil. Triangles seen from outside anticlockwise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.solid import Noise

Place = Sequence[float] | np.ndarray
"""Position [m], three numbers."""

_SIDES = np.array([[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]])


def merge(parts: Iterable[TriMesh]) -> TriMesh:
    """One mesh of several: points in one place are one point, and no face has two of it."""
    points, faces, count = [], [], 0
    for part in parts:
        points.append(part.points)
        faces.append(part.faces + count)
        count += len(part.points)
    where = np.round(np.concatenate(points), 6) + 0.0  # to a micrometre; no negative zeros
    kept, number = np.unique(where.astype(np.float32), axis=0, return_inverse=True)
    corners = number.ravel()[np.concatenate(faces)]
    a, b, c = corners.T
    return TriMesh(kept, corners[(a != b) & (b != c) & (c != a)].astype(np.int32))


def mirrored(part: TriMesh) -> TriMesh:
    """A mesh on the other side of the XZ plane."""
    return TriMesh(part.points * np.array([1.0, -1.0, 1.0], part.points.dtype), part.faces[:, ::-1])


def block(corners: np.ndarray) -> TriMesh:
    """A solid with six flat sides.

    Args:
        corners: Four corners below, anticlockwise from above, and those over them, shape [8, 3].
    """
    return TriMesh(np.asarray(corners, np.float64), _SIDES[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3).astype(np.int32))


def box(low: Place, high: Place) -> TriMesh:
    """A box between two corners."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    foot = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return block(np.concatenate([np.column_stack([foot, np.full(4, z)]) for z in (z0, z1)]))


def plate(quad: np.ndarray, thickness: float) -> TriMesh:
    """A plate whose outer side is a quad, anticlockwise from outside; its thickness [m] lies behind it.

    Args:
        quad: Corners, shape [4, 3].
        thickness: In metres.
    """
    normal = np.cross(quad[1] - quad[0], quad[3] - quad[0])
    return block(np.concatenate([quad - thickness * normal / np.linalg.norm(normal), quad]))


def beam(start: Place, end: Place, width: float, height: float, up: Place = (0.0, 0.0, 1.0)) -> TriMesh:
    """A beam of a rectangular section between two places; `height` is measured towards `up` [m]."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    along = (b - a) / np.linalg.norm(b - a)
    side = np.cross(np.asarray(up, np.float64), along)
    side *= 0.5 * width / np.linalg.norm(side)
    over = np.cross(along, side)
    over *= 0.5 * height / np.linalg.norm(over)
    ring = [-side - over, side - over, side + over, -side + over]
    return block(np.array([a + corner for corner in ring] + [b + corner for corner in ring]))


def turned(profile: Sequence[tuple[float, float]], start: Place, axis: Place, sides: int) -> TriMesh:
    """A solid of revolution.

    Args:
        profile: (height along the axis, radius) [m], heights ascending outside; closed where it begins and ends at
            radius 0, and a ring where it returns to its first point.
        start: Where height 0 is [m].
        axis: Direction of the heights.
        sides: Number of sides.
    """
    along = np.asarray(axis, np.float64) / np.linalg.norm(axis)
    helper = np.array([1.0, 0.0, 0.0]) if abs(along[0]) < 0.9 else np.array([0.0, 0.0, 1.0])
    u = np.cross(along, helper)
    u /= np.linalg.norm(u)
    v = np.cross(along, u)
    angle = np.arange(sides) * (2.0 * math.pi / sides)
    ring = np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v
    points = np.concatenate([np.asarray(start) + h * along + r * ring for h, r in profile])
    faces = []
    k, after = np.arange(sides), (np.arange(sides) + 1) % sides
    for row, ((_, r0), (_, r1)) in enumerate(itertools.pairwise(profile)):
        low, high = row * sides, (row + 1) * sides
        if r0 > 0.0:
            faces.append(np.column_stack([low + k, low + after, high + after]))
        if r1 > 0.0:
            faces.append(np.column_stack([low + k, high + after, high + k]))
    return TriMesh(points, np.concatenate(faces).astype(np.int32))


def tube(start: Place, end: Place, radius: float, sides: int = 16, *, end_radius: float | None = None) -> TriMesh:
    """A closed cylinder, or the stump of a cone, between two places [m]."""
    axis = np.asarray(end, np.float64) - np.asarray(start, np.float64)
    length = float(np.linalg.norm(axis))
    far = radius if end_radius is None else end_radius
    return turned([(0.0, 0.0), (0.0, radius), (length, far), (length, 0.0)], start, axis, sides)


def foil(quad: np.ndarray, cell: float, depth: float, random: np.random.Generator) -> TriMesh:
    """A blanket of insulation over a quad: quilted, with dents, its rim where the quad's is.

    Args:
        quad: Corners, anticlockwise from outside, shape [4, 3].
        cell: Size of its facets [m].
        depth: Depth of the dents [m].
        random: Stream of the dents.
    """
    a, b, c, d = (np.asarray(corner, np.float64) for corner in quad)
    columns = max(2, round(float(np.linalg.norm(b - a)) / cell))
    rows = max(2, round(float(np.linalg.norm(d - a)) / cell))
    s, t = np.meshgrid(np.linspace(0.0, 1.0, columns + 1), np.linspace(0.0, 1.0, rows + 1))
    s, t = s.ravel()[:, None], t.ravel()[:, None]
    points = (1 - t) * ((1 - s) * a + s * b) + t * ((1 - s) * d + s * c)
    normal = np.cross(b - a, d - a)
    normal /= np.linalg.norm(normal)
    noise = Noise(random)
    dents = noise(points / (3.0 * cell)) + 0.5 * noise(points / (1.2 * cell) + 7.0)
    inside = ((s > 0) & (s < 1) & (t > 0) & (t < 1))[:, 0]
    points += np.where(inside, depth * dents, 0.0)[:, None] * normal
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    right, above = corner + 1, corner + columns + 1
    faces = np.concatenate([np.column_stack([corner, right, above + 1]), np.column_stack([corner, above + 1, above])])
    return TriMesh(points, faces.astype(np.int32))
