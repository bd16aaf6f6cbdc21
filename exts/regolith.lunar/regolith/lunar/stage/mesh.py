"""Triangle meshes and regular heightfields: the geometry every part of a stage is made of."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
from scipy import ndimage


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
