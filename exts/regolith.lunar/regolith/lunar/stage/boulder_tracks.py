"""Boulder tracks: the furrows of boulders that rolled down a slope, each with the boulder at its lower end.

Tracks are narrower than their boulders, as deep as the soil is soft (Hovland & Mitchell 1973, The Moon 6, 164), and
deeper wherever the boulder came down on an edge. Width, depth and bends are chosen, by the looks of such tracks.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from regolith.lunar.params import Params
from regolith.lunar.stage.mesh import Heightfield
from regolith.lunar.stage.noise import smoothstep
from regolith.lunar.stage.power_law import PowerLaw
from regolith.lunar.stage.spec import SceneSpec, rng

DIAMETER_MIN_M = 0.7
"""Smallest boulder with a track [m]: its furrow is four cells of the presets' grid across."""

WIDTH = 0.7
"""Width of a track over its boulder's diameter."""

DEPTH = (0.06, 0.16)
"""Mean depth of a track over its boulder's diameter."""

_STEP_M = 0.25
_LENGTH_M = 60.0
_ENDS = 12  # places of which the steepest is taken
_SLOPE_M = 1.5  # standard deviation of what slopes are smoothed over
_MARGIN_M = 1.5  # from the border, where the far relief takes over


def roll_boulders(grid: Heightfield, params: Params, scene: SceneSpec) -> tuple[Heightfield, np.ndarray]:
    """Lay the tracks of a scene's rolled boulders into its grid; their number is a Poisson one about `rocks.tracks`.

    A boulder lies at the steepest of a few places, and came from where the ground rises most, with some inertia.

    Args:
        grid: Ground of the working area.
        params: Largest diameter and size law of the rocks, and how many tracks.
        scene: Seed and drawn values.

    Returns:
        The grid with the tracks, and the boulders: place [m] and diameter [m], shape [N, 3].
    """
    law, most = PowerLaw(scene.rock_exponent, DIAMETER_MIN_M, params.rocks.diameter_max_m), params.rocks.tracks
    if most <= 0.0 or law.lo >= law.hi:
        return grid, np.empty((0, 3))
    random = rng(scene.seed, "rocks", "tracks")
    count = int(random.poisson(most))
    diameter = law.draw(random, count)
    z = grid.z.astype(np.float64)
    smooth = ndimage.gaussian_filter(z, _SLOPE_M / grid.cell, mode="nearest")
    rise_y, rise_x = (np.asarray(part) for part in np.gradient(smooth, grid.cell))
    rolled: list[tuple[float, float, float]] = []
    for size in diameter.tolist():
        way = _way(grid, rise_x, rise_y, size, rolled, random)
        _furrow(z, grid, way, size, random)
        rolled.append((*way[0], size))
    return Heightfield(z.astype(np.float32), grid.cell), np.array(rolled).reshape(-1, 3)


def _way(
    grid: Heightfield, rise_x: np.ndarray, rise_y: np.ndarray, size: float, lying: list[tuple[float, float, float]],
    random: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Way of a boulder from where it lies, clear of the others, upwards: [N, 2] [m], in steps of `_STEP_M`."""
    half = grid.half_x - _MARGIN_M - size

    def rise(place: np.ndarray) -> np.ndarray:
        column, row = (np.rint((place + grid.half_x) / grid.cell).astype(int)).T
        return np.stack([rise_x[row, column], rise_y[row, column]], axis=-1)

    ends = random.uniform(-half, half, (_ENDS, 2))
    steep = np.linalg.norm(rise(ends), axis=1)
    for x, y, other in lying:
        steep[np.hypot(ends[:, 0] - x, ends[:, 1] - y) < size + other] *= 1e-3
    place = ends[np.argmax(steep)]
    way, heading = [place], math.atan2(*rise(place)[::-1])
    for _ in range(int(_LENGTH_M / _STEP_M)):
        up = rise(place)
        turn = math.remainder(math.atan2(up[1], up[0]) - heading, 2.0 * math.pi)
        heading += 0.06 * turn + random.normal(0.0, 0.02)
        place = place + _STEP_M * np.array([math.cos(heading), math.sin(heading)])
        if np.abs(place).max() > half:
            break
        way.append(place)
    return np.array(way)


def _furrow(z: np.ndarray, grid: Heightfield, way: np.ndarray, size: float, random: np.random.Generator) -> None:
    """Lay one track into heights [m], in place."""
    half, depth = 0.5 * WIDTH * size, size * random.uniform(*DEPTH)
    reach = 2.0 * half
    axis = (np.arange(len(z)) - len(z) // 2) * grid.cell
    low, high = way.min(axis=0) - reach, way.max(axis=0) + reach
    columns, rows = (np.flatnonzero((axis > low[k]) & (axis < high[k])) for k in (0, 1))
    x, y = np.meshgrid(axis[columns], axis[rows])
    distance, node = KDTree(way).query(np.column_stack([x.ravel(), y.ravel()]), distance_upper_bound=reach)
    node = np.minimum(node, len(way) - 1).reshape(x.shape)
    side = distance.reshape(x.shape) / half
    fall = random.uniform(0.0, 2.0 * math.pi)
    bounce = 1.0 + 0.55 * np.sin(2.0 * node * _STEP_M / size + fall) * np.cos(0.7 * node * _STEP_M / size)
    worn = 1.0 - smoothstep(0.6, 1.0, node / max(len(way) - 1, 1))
    bowl = np.maximum(1.0 - side**2, 0.0)
    rim = 0.25 * np.exp(-(((side - 1.25) / 0.25) ** 2)) * (1.0 - smoothstep(1.5, 2.0, side))
    z[np.ix_(rows, columns)] += np.where(np.isfinite(side), depth * bounce * worn * (rim - bowl), 0.0)
