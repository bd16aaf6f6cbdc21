"""The ground as one surface: the working area in full detail, the far mesh beyond its border."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from regolith.lunar.stage.terrain import Terrain

_RINGS = ((0.0, 1), (0.3, 6), (0.6, 10), (0.85, 16), (1.0, 16))
"""Radius share and number of the places that probe the ground under a round foot."""


class Surface:
    """Heights of a terrain anywhere, inside the square and beyond it."""

    def __init__(self, terrain: Terrain) -> None:
        self._terrain = terrain
        self.half_x, self.half_y = terrain.grid.half_x, terrain.grid.half_y
        self._far: _FarMesh | None = None

    @property
    def area(self) -> float:
        """Working area [m²]."""
        return 4.0 * self.half_x * self.half_y

    def inside(self, x: np.ndarray, y: np.ndarray, *, margin: np.ndarray | float = 0.0) -> np.ndarray:
        """Whether places [m] lie in the working area, `margin` [m] away from its border."""
        return (np.abs(x) <= self.half_x - margin) & (np.abs(y) <= self.half_y - margin)

    def height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Heights [m] at places [m] of any shape."""
        x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        z = np.zeros(x.shape)
        inside = self.inside(x, y)
        if inside.any():
            z[inside] = self._terrain.height(x[inside], y[inside])
        if not inside.all():
            if self._far is None:
                self._far = _FarMesh(self._terrain.far.points, self._terrain.far.faces)
            z[~inside] = self._far.height(np.stack([x[~inside], y[~inside]], axis=1))
        return z

    def lowest(self, xy: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """Lowest ground [m] under round feet of radius [m] at places [m], shape [N, 2] -> [N]."""
        low = np.full(len(xy), np.inf)
        for share, count in _RINGS:
            angle = 2.0 * np.pi * (np.arange(count) + 0.5 * share) / count
            x = xy[:, :1] + share * radius[:, None] * np.cos(angle)
            y = xy[:, 1:] + share * radius[:, None] * np.sin(angle)
            low = np.minimum(low, self.height(x, y).min(axis=1))
        return low

    def slope_normal(self, xy: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """Unit normal of the plane over ± `reach` [m] about places [m], shape [N, 2] -> [N, 3]."""
        x, y = xy.T
        rise_x = (self.height(x + reach, y) - self.height(x - reach, y)) / (2.0 * reach)
        rise_y = (self.height(x, y + reach) - self.height(x, y - reach)) / (2.0 * reach)
        normal = np.stack([-rise_x, -rise_y, np.ones(len(xy))], axis=1)
        return normal / np.linalg.norm(normal, axis=1, keepdims=True)


class _FarMesh:
    """Heights of a triangle mesh that is a graph over the XY plane."""

    def __init__(self, points: np.ndarray, faces: np.ndarray) -> None:
        self._corners = points.astype(np.float64)[faces]
        self._tree = cKDTree(self._corners[..., :2].mean(axis=1))
        self._points = cKDTree(points[:, :2].astype(np.float64))
        self._z = points[:, 2].astype(np.float64)

    def height(self, xy: np.ndarray, *, candidates: int = 24) -> np.ndarray:
        """Heights [m] at places [m], shape [N, 2] -> [N]; off the mesh that of its nearest vertex."""
        z = self._z[self._points.query(xy)[1]]
        _, near = self._tree.query(xy, k=min(candidates, len(self._corners)))
        near = near.reshape(len(xy), -1)
        open_ = np.arange(len(xy))
        for column in range(near.shape[1]):
            a, b, c = self._corners[near[open_, column]].transpose(1, 0, 2)
            weight = _barycentric(xy[open_], a[:, :2], b[:, :2], c[:, :2])
            found = (weight >= -1e-6).all(axis=1)
            z[open_[found]] = (weight * np.stack([a[:, 2], b[:, 2], c[:, 2]], axis=1))[found].sum(axis=1)
            open_ = open_[~found]
            if len(open_) == 0:
                break
        return z


def _barycentric(p: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Barycentric coordinates of places in triangles of the plane, each shape [N, 2] -> [N, 3]."""
    ab, ac, ap = b - a, c - a, p - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    area = np.where(area == 0.0, np.nan, area)
    v = (ap[:, 0] * ac[:, 1] - ap[:, 1] * ac[:, 0]) / area
    w = (ab[:, 0] * ap[:, 1] - ab[:, 1] * ap[:, 0]) / area
    return np.stack([1.0 - v - w, v, w], axis=1)
