"""Triangle meshes and regular heightfields: the geometry every part of a stage is made of."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
from scipy import ndimage, sparse

FACES_AT_ONCE = 1 << 17
"""Faces whose normals are computed together: a working set that stays in the cache."""


@dataclasses.dataclass(frozen=True)
class TriMesh:
    """Triangles in metres, Z up, counter-clockwise seen from outside."""

    points: np.ndarray
    """Vertex positions [m], float32, shape [V, 3]."""
    faces: np.ndarray
    """Vertex indices of each triangle, int32, shape [F, 3]."""


@dataclasses.dataclass(frozen=True)
class Heightfield:
    """Regular grid of heights centred on the origin, read between its vertices as a bicubic spline."""

    z: np.ndarray
    """Heights [m], float32, shape [rows along +Y, columns along +X]."""
    cell: float
    """Spacing of the grid [m]."""

    @property
    def half_x(self) -> float:
        """Distance from the origin to the grid's border along X [m]."""
        return 0.5 * self.cell * (self.z.shape[1] - 1)

    @property
    def half_y(self) -> float:
        """Distance from the origin to the grid's border along Y [m]."""
        return 0.5 * self.cell * (self.z.shape[0] - 1)

    @cached_property
    def _spline(self) -> np.ndarray:
        return ndimage.spline_filter(self.z.astype(np.float64), order=3, mode="nearest")

    def facet_height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Heights [m] of the grid's triangles at positions (x, y) [m]: cells are split from (-X, -Y) to (+X, +Y).

        Returns:
            float64, shape of `x`; outside the grid that of the nearest cell.
        """
        rows, columns = self.z.shape
        v = np.clip((np.asarray(y, np.float64) + self.half_y) / self.cell, 0, rows - 1)
        u = np.clip((np.asarray(x, np.float64) + self.half_x) / self.cell, 0, columns - 1)
        row, column = np.minimum(v.astype(int), rows - 2), np.minimum(u.astype(int), columns - 2)
        v, u = v - row, u - column
        a, b = self.z[row, column].astype(np.float64), self.z[row, column + 1].astype(np.float64)
        c, d = self.z[row + 1, column].astype(np.float64), self.z[row + 1, column + 1].astype(np.float64)
        return np.where(u > v, a + u * (b - a) + v * (d - b), a + v * (c - a) + u * (d - c))

    def height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Heights [m] at world positions (x, y) [m] of any shape; outside the grid the border value.

        Returns:
            float64, shape of `x`. At grid vertices the spline passes through `z`.
        """
        rows = (np.asarray(y, np.float64) + self.half_y) / self.cell
        columns = (np.asarray(x, np.float64) + self.half_x) / self.cell
        shape = np.broadcast(rows, columns).shape
        at = np.stack([np.broadcast_to(rows, shape).ravel(), np.broadcast_to(columns, shape).ravel()])
        return ndimage.map_coordinates(self._spline, at, order=3, mode="nearest", prefilter=False).reshape(shape)


def grid_cells(size_m: float, cell_m: float) -> tuple[int, float]:
    """Cells along a side of a square grid, an even number, and their size [m].

    Args:
        size_m: Side of the square [m].
        cell_m: Size asked for [m].
    """
    cells = 2 * max(1, round(size_m / cell_m / 2.0))
    return cells, size_m / cells


def vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted vertex normals, float32, shape [V, 3]; of a vertex without area +Z."""
    columns = np.ascontiguousarray(points.T, np.float32)
    count = len(faces)
    area = np.empty((count, 3), np.float32)
    for start in range(0, count, FACES_AT_ONCE):
        part = slice(start, start + FACES_AT_ONCE)
        area[part] = area_normals(columns, faces[part]).T
    corners = np.ascontiguousarray(faces, np.int32).ravel()
    incidence = sparse.csc_matrix(
        (np.ones(len(corners), np.float32), corners, np.arange(0, len(corners) + 1, 3, dtype=np.int32)),
        shape=(len(points), count),
    )
    normals = incidence @ area
    size = length(normals.T)
    normals /= np.maximum(size, np.float32(1e-30))[:, None]
    normals[size == 0.0] = (0.0, 0.0, 1.0)
    return normals


def area_normals(columns: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normals of triangles, as long as twice their area, shape [3, F]; from points by coordinate, shape [3, V]."""
    a, b, c = np.ascontiguousarray(faces.T)
    (ux, vx), (uy, vy), (uz, vz) = ((x.take(b) - x.take(a), x.take(c) - x.take(a)) for x in columns)
    return np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx])


def length(vectors: np.ndarray) -> np.ndarray:
    """Lengths of vectors by coordinate, shape [3, N] -> [N]."""
    x, y, z = vectors
    return np.sqrt(x * x + y * y + z * z)
