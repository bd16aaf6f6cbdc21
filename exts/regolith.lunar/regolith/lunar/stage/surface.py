"""The ground under something that stands on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from regolith.lunar.stage.terrain import Terrain

_RINGS = ((0.0, 1), (0.3, 6), (0.6, 10), (0.85, 16), (1.0, 16))
"""Radius share and number of the places that probe the ground under a round foot."""


class Surface:
    """What a rock finds below it: lowest ground and slope under a foot of its size."""

    def __init__(self, terrain: Terrain) -> None:
        self._terrain = terrain
        self.half_x, self.half_y = terrain.grid.half_x, terrain.grid.half_y

    @property
    def area(self) -> float:
        """Working area [m²]."""
        return 4.0 * self.half_x * self.half_y

    def inside(self, x: np.ndarray, y: np.ndarray, *, margin: np.ndarray | float = 0.0) -> np.ndarray:
        """Whether places [m] lie in the working area, `margin` [m] away from its border."""
        return (np.abs(x) <= self.half_x - margin) & (np.abs(y) <= self.half_y - margin)

    def lowest(self, xy: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """Lowest ground [m] under round feet of radius [m] at places [m], shape [N, 2] -> [N]."""
        low = np.full(len(xy), np.inf)
        for share, count in _RINGS:
            angle = 2.0 * np.pi * (np.arange(count) + 0.5 * share) / count
            x = xy[:, :1] + share * radius[:, None] * np.cos(angle)
            y = xy[:, 1:] + share * radius[:, None] * np.sin(angle)
            low = np.minimum(low, self._terrain.height(x, y).min(axis=1))
        return low

    def slope_normal(self, xy: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """Unit normal of the plane over ± `reach` [m] about places [m], shape [N, 2] -> [N, 3]."""
        x, y = xy.T
        rise_x = (self._terrain.height(x + reach, y) - self._terrain.height(x - reach, y)) / (2.0 * reach)
        rise_y = (self._terrain.height(x, y + reach) - self._terrain.height(x, y - reach)) / (2.0 * reach)
        normal = np.stack([-rise_x, -rise_y, np.ones(len(xy))], axis=1)
        return normal / np.linalg.norm(normal, axis=1, keepdims=True)
