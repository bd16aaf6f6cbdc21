"""Shadows on the ground of the 3D view: where the sun is hidden behind ground or rocks, cut out of its triangles.

A page could draw shadows by itself, but only near its eye, and under a low sun a shadow map of the size it has shows
its own texels. Here they are found once per sun from heights and sent as dark triangles that lie on the ground.
"""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache

import numpy as np
from scipy import ndimage

from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.studio.scene_mesh import SceneMesh, StageContent, coarser, sphere_level

CLEARANCE = 1.5
"""Cells next to a place that cast no shadow on it: what is smaller is the facet the place is on."""

STEEPEST = 100.0
"""Largest tangent of the sun's elevation: heights of a steeper one would lose their millimetres."""

GRAZE_M = 0.006
"""Depth [m] below the edge of a shadow from which ground is drawn dark: facets bright and dark in turn are noise."""

LIFT_M = 0.004
"""Height [m] of the dark triangles above the ground they darken."""

POINT_SPACING = 0.8
"""Largest spacing, in cells, of the points a rock is drawn into the grid with."""


@dataclasses.dataclass(frozen=True)
class Casters:
    """Highest of ground and rocks over the working area."""

    top: np.ndarray
    """Heights [m] at the nodes, float32, shape [N, N], rows along +Y."""
    half_m: float
    """Half the side of the working area [m]."""

    @property
    def cell_m(self) -> float:
        """Spacing of the nodes [m]."""
        return 2.0 * self.half_m / (len(self.top) - 1)


class Sunset:
    """How high the shadow of one sun reaches over every place."""

    def __init__(self, casters: Casters, sun: np.ndarray) -> None:
        """Sweep the heights along the light.

        Args:
            casters: Heights.
            sun: Unit vector towards the sun, shape [3].
        """
        level = math.hypot(sun[0], sun[1])
        self.away = -sun[:2] / level if level > 1e-9 else np.array([1.0, 0.0])
        self.drop = min(sun[2] / max(level, 1e-9), STEEPEST)
        self._cell, self.gap_m = casters.cell_m, CLEARANCE * casters.cell_m
        reach = casters.half_m * (abs(self.away[0]) + abs(self.away[1]))  # of the square, along and across
        count = math.ceil(reach / self._cell)
        self._count = count
        steps = (np.arange(-count, count + 1) * self._cell).astype(np.float32)
        along, across = steps[None, :], steps[:, None]
        ax, ay = np.float32(self.away[0]), np.float32(self.away[1])
        rows, columns = ((place + casters.half_m) / self._cell for place in
                         (along * ay + across * ax, along * ax - across * ay))  # fmt: skip
        height = ndimage.map_coordinates(casters.top, [rows, columns], order=1, mode="constant", cval=-1e6)
        height += steps * np.float32(self.drop)
        np.maximum.accumulate(height, axis=1, out=height)
        self._height = height

    def height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Height [m] up to which places (x, y) [m] lie in shadow, float64, shape of `x`."""
        along = x * self.away[0] + y * self.away[1]
        across = y * self.away[0] - x * self.away[1]
        at = [across / self._cell + self._count, (along - self.gap_m) / self._cell + self._count]
        return ndimage.map_coordinates(self._height, at, order=1, mode="nearest", output=np.float64) - along * self.drop


def make_casters(content: StageContent, mesh: SceneMesh) -> Casters:
    """Draw the rocks of a stage into the heights of its working area."""
    casters = Casters(mesh.lattice.astype(np.float32), content.half_m)
    rocks, cell = content.rocks, casters.cell_m
    if not len(rocks.prototype):
        return casters
    inside = np.abs(rocks.position[:, :2]).max(axis=1) < content.half_m
    spacing = 0.56 * rocks.diameter / (POINT_SPACING * cell)  # of an icosahedron's vertices on a ball, in cells
    level = np.ceil(np.log2(np.maximum(spacing, 1.0))).astype(int)
    for number, prototype in enumerate(rocks.prototypes):
        own = inside & (rocks.prototype == number)
        for wanted in np.unique(level[own]).tolist():
            points = _points(prototype, wanted)
            index = np.flatnonzero(own & (level == wanted))
            placed = rocks.placed(points, index).reshape(-1, 3)
            column, row = np.rint((placed[:, :2] + content.half_m) / cell).astype(np.intp).T
            fits = (column >= 0) & (row >= 0) & (column < len(casters.top)) & (row < len(casters.top))
            np.maximum.at(casters.top, (row[fits], column[fits]), placed[fits, 2].astype(np.float32))
    return casters


def _points(mesh: TriMesh, level: int) -> np.ndarray:
    """Points all over a mesh, as closely spaced as the vertices of an icosahedron divided so often."""
    own = sphere_level(mesh)
    mesh = coarser(mesh, level)
    if level <= own:
        return mesh.points
    a, b, c = mesh.points[mesh.faces].transpose(1, 0, 2)
    return np.concatenate([a * u + b * v + c * w for u, v, w in _weights(2 ** min(level - own, 4))])


@lru_cache
def _weights(parts: int) -> list[tuple[float, float, float]]:
    """Barycentric weights of a triangle's points when its sides are cut into parts; its corners count."""
    return [(i / parts, j / parts, (parts - i - j) / parts) for i in range(parts + 1) for j in range(parts + 1 - i)]


def cut_shadows(mesh: SceneMesh, sunset: Sunset) -> TriMesh:
    """Cut the shaded part out of the working area's triangles.

    Shadows end on straight lines across a triangle, where the depth below the shadow's height, taken as linear, is 0.
    """
    faces = mesh.ground.faces[: mesh.near]
    points = mesh.ground.points[: int(faces.max()) + 1].astype(np.float64)
    depth = sunset.height(points[:, 0], points[:, 1]) - points[:, 2] - GRAZE_M
    inside = depth[faces] > 0.0
    count = inside.sum(axis=1)
    whole = faces[count == 3]
    first = np.argmax(np.where((count == 1)[:, None], inside, ~inside), axis=1)  # the corner on its own side
    corners, cuts = [], []
    for number in (1, 2):
        chosen = np.flatnonzero(count == number)
        turned = faces[chosen[:, None], (first[chosen, None] + np.arange(3)) % 3]
        corners.append(turned)
        alone, left, right = turned.T
        cuts.append([_cut(points, depth, alone, other) for other in (left, right)])
    start = len(points)
    (one, _), (two, three) = corners[0].T[:2], corners[1].T[1:]
    n, m = len(one), len(two)
    ab, ac = start + np.arange(n), start + n + np.arange(n)
    cd, ce = start + 2 * n + np.arange(m), start + 2 * n + m + np.arange(m)
    parts = [whole, np.stack([one, ab, ac], 1), np.stack([cd, two, three], 1), np.stack([cd, three, ce], 1)]
    every = np.concatenate(parts)
    used, index = np.unique(every, return_inverse=True)
    places = np.concatenate([points, *cuts[0], *cuts[1]])[used]
    places[:, 2] += LIFT_M
    return TriMesh(places.astype(np.float32), index.reshape(-1, 3).astype(np.int32))


def _cut(points: np.ndarray, depth: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Points where the depth is 0 between vertices of opposite sign, shape [K, 3]."""
    share = depth[a] / (depth[a] - depth[b])
    return points[a] + share[:, None] * (points[b] - points[a])


def shaded_rocks(content: StageContent, sunset: Sunset) -> np.ndarray:
    """Whether the middle of each rock lies in the shadow of something else, bool, shape [N].

    The shadow is looked up where the light comes to the rock, for its own lies behind it.
    """
    rocks = content.rocks
    if not len(rocks.prototype):
        return np.zeros(0, bool)
    reach = 0.5 * rocks.diameter + 2.0 * sunset.gap_m
    before = rocks.position[:, :2] - reach[:, None] * sunset.away
    inside = np.abs(rocks.position[:, :2]).max(axis=1) < content.half_m
    return inside & (sunset.height(before[:, 0], before[:, 1]) - reach * sunset.drop > rocks.position[:, 2])
