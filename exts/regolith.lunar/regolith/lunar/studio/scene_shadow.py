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
from regolith.lunar.studio.scene_rtin import network, tolerance_for, vertex_errors

CLEARANCE = 1.5
"""Cells next to a place that cast no shadow on it: what is smaller is the facet the place is on."""

STEEPEST = 100.0
"""Largest tangent of the sun's elevation: heights of a steeper one would lose their millimetres."""

GRAZE_M = 0.006
"""Depth [m] below the edge of a shadow from which ground is drawn dark: facets bright and dark in turn are noise."""

LIFT_M = 0.004
"""Height [m] of the dark triangles above the ground they darken, beside what thinning took off either."""

TRIANGLES = 160_000
"""Most triangles of the ground, lit and dark, when shadows are cut out."""

EDGE_CELL_M = 0.04
"""Sides [m] of the triangles an edge of a shadow is cut across where the camera roams."""

EDGE_M = 0.03
"""Depth [m] above and below the edge of a shadow within which it counts how deep a place lies."""

EDGE_SHARE = 0.5
"""Share of it that a triangle at an edge may be off."""

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


def cut_shadows(content: StageContent, mesh: SceneMesh, sunset: Sunset) -> TriMesh:
    """Cut the shaded part out of the ground.

    The lattice the ground was thinned from is thinned again, so that triangles are small along the edges of shadows
    too. There a shadow ends on straight lines across a triangle, where the depth below its height, taken as linear,
    is 0.
    """
    z = mesh.lattice
    axis = np.linspace(-content.half_m, content.half_m, len(z))
    x, y = np.meshgrid(axis, axis)
    depth = sunset.height(x, y) - z - GRAZE_M
    edges = vertex_errors(np.clip(depth / EDGE_M, -1.0, 1.0), _fine_enough(content, len(z)))
    errors = np.maximum(edges * (1.0 / EDGE_SHARE), mesh.errors)
    tolerance = max(tolerance_for(errors, TRIANGLES), 1.0)
    nodes, faces = network(errors, tolerance)
    x, y, z, depth = (values.ravel()[nodes] for values in (x, y, z, depth))
    lift = LIFT_M + 1.5 * tolerance * mesh.tolerance_m * content.coarseness(x, y)
    return _shaded_part(np.column_stack([x, y, z + lift]), faces, depth)


def _fine_enough(content: StageContent, nodes: int) -> np.ndarray:
    """1 at nodes of the lattice that are worth it where they are, 0 at those of too small triangles."""
    number = np.arange(nodes)
    step = np.where(number == 0, nodes, number & -number)  # of the coarsest lattice a row or column is of
    cell = 2.0 * content.half_m / (nodes - 1)
    axis = np.linspace(-content.half_m, content.half_m, nodes)
    wanted = EDGE_CELL_M * content.coarseness(axis[None, :], axis[:, None])
    return (np.minimum(step[:, None], step[None, :]) * cell > 0.7 * wanted).astype(np.float64)


def _shaded_part(points: np.ndarray, faces: np.ndarray, depth: np.ndarray) -> TriMesh:
    """Part of a mesh where the depth, linear over each triangle, is positive."""
    inside = depth[faces] > 0.0
    count = inside.sum(axis=1)
    first = np.argmax(np.where((count == 1)[:, None], inside, ~inside), axis=1)  # the corner alone on its side
    turned = faces[np.arange(len(faces))[:, None], (first[:, None] + np.arange(3)) % 3]
    one, two = turned[count == 1], turned[count == 2]
    start, n, m = len(points), len(one), len(two)
    cuts = [_cut(points, depth, part[:, 0], part[:, side]) for part in (one, two) for side in (1, 2)]
    ab, ac = start + np.arange(n), start + n + np.arange(n)
    cd, ce = start + 2 * n + np.arange(m), start + 2 * n + m + np.arange(m)
    parts = [
        faces[count == 3],
        np.stack([one[:, 0], ab, ac], axis=1),
        np.stack([cd, two[:, 1], two[:, 2]], axis=1),
        np.stack([cd, two[:, 2], ce], axis=1),
    ]
    used, index = np.unique(np.concatenate(parts), return_inverse=True)
    places = np.concatenate([points, *cuts])[used]
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
