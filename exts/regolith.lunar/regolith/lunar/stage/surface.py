"""The ground under something that stands on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from regolith.lunar.stage.terrain import Terrain

_RINGS = (0.3, 0.55, 0.8, 1.0)
"""Sizes, relative to the foot, of the rings along which the ground under it is probed."""


class Surface:
    """What a rock finds below it: lowest ground and slope under a foot of its size."""

    def __init__(self, terrain: Terrain) -> None:
        self._terrain = terrain
        self.half_x, self.half_y = terrain.grid.half_x, terrain.grid.half_y
        recipe = terrain.recipe
        """Half-width of the part of the square where the ground is drawn finer than by the grid's triangles [m]."""
        self._fine = 0.0 if recipe is None else max((recipe.mid_half - 1) * recipe.cell_m, recipe.reach_m)

    @property
    def area(self) -> float:
        """Working area [m²]."""
        return 4.0 * self.half_x * self.half_y

    def inside(self, x: np.ndarray, y: np.ndarray, *, margin: np.ndarray | float = 0.0) -> np.ndarray:
        """Whether places [m] lie in the working area, `margin` [m] away from its border."""
        return (np.abs(x) <= self.half_x - margin) & (np.abs(y) <= self.half_y - margin)

    def lowest(self, xy: np.ndarray, outline: np.ndarray) -> np.ndarray:
        """Lowest ground [m] under convex feet.

        Args:
            xy: Places [m], shape [N, 2].
            outline: Corners of each foot from its place [m], shape [N, K, 2].

        Returns:
            float64, shape [N]; probed at the place and along rings in the shape of the foot.
        """
        place = xy[:, None]
        x, y = np.concatenate([place, *(place + share * outline for share in _RINGS)], axis=1).transpose(2, 0, 1)
        return self._height(x, y).min(axis=1)

    def _height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Ground as it is drawn: outside the fine rings, the grid's triangles."""
        coarse = self.inside(x, y) & (np.maximum(np.abs(x), np.abs(y)) > self._fine)
        z = np.empty(x.shape)
        z[coarse] = self._terrain.grid.facet_height(x[coarse], y[coarse])
        z[~coarse] = self._terrain.height(x[~coarse], y[~coarse])
        return z

    def slope_normal(self, xy: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """Unit normal of the plane over ± `reach` [m] about places [m], shape [N, 2] -> [N, 3]."""
        x, y = xy.T
        east, west, north, south = self._terrain.height(
            np.stack([x + reach, x - reach, x, x]), np.stack([y, y, y + reach, y - reach])
        )
        rise_x, rise_y = (east - west) / (2.0 * reach), (north - south) / (2.0 * reach)
        normal = np.stack([-rise_x, -rise_y, np.ones(len(xy))], axis=1)
        return normal / np.linalg.norm(normal, axis=1, keepdims=True)
