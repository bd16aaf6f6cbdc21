"""Relief beyond the working area: rings of growing cells out to the horizon, with swells, hills and worn craters."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from scipy import fft

from regolith.lunar.params import Params
from regolith.lunar.stage.craters import CRATER_DTYPE, REACH, areal_density, draw_freshness, overprint
from regolith.lunar.stage.lattice import border_ids, strip_faces
from regolith.lunar.stage.mesh import Heightfield, TriMesh
from regolith.lunar.stage.noise import Tile, smoothstep, spectral_tile
from regolith.lunar.stage.place import MOON_RADIUS_M
from regolith.lunar.stage.power_law import PowerLaw
from regolith.lunar.stage.spec import SceneSpec, rng

FAR_FROM_M = 100.0
"""Distance up to which the rings' cells are finest for their distance [m]."""

ROUGH_CELL_M = 0.75
"""Cell [m] from which the rings are too coarse for the shortest band of the fractal relief."""


FAR_CELLS = 5.0
"""Smallest crater of the rings in their cells."""


class BareGround(Protocol):
    """What craters are laid into: the ground at metre scale without them, in the square and around it."""

    @property
    def largest_crater_m(self) -> float:
        """Diameter from which on craters are in it already [m]."""
        ...

    def smooth_grid(self, cells: int) -> np.ndarray:
        """Heights [m] of the longer wavelengths at the nodes of the square's grid, shape [cells + 1, cells + 1]."""
        ...

    def rough_grid(self, cells: int) -> np.ndarray:
        """Heights [m] of the shortest wavelengths, which craters do not wipe out; the same shape."""
        ...

    def smooth_far(self, rings: Rings, params: Params, scene: SceneSpec) -> np.ndarray:
        """Heights [m] of the longer wavelengths at the rings' vertices, the Moon's curvature included, shape [V]."""
        ...

    def rough_far(self, x: np.ndarray, y: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Heights [m] of the shortest wavelengths at (x, y) [m], as far as cells of a mesh [m] carry them."""
        ...


@dataclasses.dataclass(frozen=True)
class Fractal:
    """The self-affine part of the ground in three bands that add up to one spectrum."""

    rough: Tile
    """Wavelengths below about 1.5 m: renewed by small impacts all the time, so craters do not wipe it out."""
    fine: Tile
    """Wavelengths from there to about half the side of the square, on the same lattice."""
    coarse: Tile
    """Longer wavelengths, up to eight times the side."""
    scale: float
    """Factor that gives the requested RMS slope."""
    largest_crater_m: float = math.inf
    """Craters of all sizes are laid into it [m]."""

    def rough_grid(self, cells: int) -> np.ndarray:
        """Heights [m] of the shortest band at the nodes of the square's grid, shape [cells + 1, cells + 1]."""
        nodes = np.arange(cells + 1) - cells // 2
        return self.scale * self.rough.at_nodes(nodes, nodes).astype(np.float64)

    def smooth_grid(self, cells: int) -> np.ndarray:
        """Heights [m] of the longer bands at the nodes of the square's grid, shape [cells + 1, cells + 1]."""
        nodes = np.arange(cells + 1) - cells // 2
        x, y = np.meshgrid(nodes * self.fine.cell, nodes * self.fine.cell)
        return self.scale * (self.fine.at_nodes(nodes, nodes) + self.coarse.sample(x, y))

    def smooth_far(self, rings: Rings, params: Params, scene: SceneSpec) -> np.ndarray:
        """Heights [m] at the rings' vertices: the longer bands near the square, then swells and hills."""
        return _relief(rings, self, params, scene)

    def rough_far(self, x: np.ndarray, y: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Heights [m] of the shortest band at (x, y) [m], as far as cells of a mesh [m] carry them."""
        return self.scale * smoothed(self.rough, x, y, cell)


@dataclasses.dataclass(frozen=True)
class Rings:
    """The rings' vertices in the plane."""

    xy: np.ndarray
    """Positions [m], float64, shape [V, 2]; the first ring lies on the square's border."""
    half: np.ndarray
    """Half-width of the ring each vertex is on [m], shape [V]."""
    turn: np.ndarray
    """Position of each vertex along its ring, in [0, 4) sides counter-clockwise from the corner (-, -), shape [V]."""
    faces: np.ndarray
    """int32, shape [F, 3]."""


def build_far(grid: Heightfield, ground: BareGround, craters: np.ndarray, params: Params, scene: SceneSpec) -> TriMesh:
    """Build the relief from the square's border out to `far_radius_m`.

    The first 4 n vertices are the grid's border, counter-clockwise from the corner (-X, -Y), equal to it in float32.
    The square's ground and the craters its border cuts go on outside; with distance a fractal one gives way to swells,
    worn craters and hills. What the sum misses at the border is taken up over the first metres.

    Args:
        grid: The square.
        ground: What its craters were laid into.
        craters: Those of the rings (`far_craters`), then its own, each oldest first (`CRATER_DTYPE`).
        params: Stage parameters.
        scene: Seed and crater density.
    """
    cells = grid.z.shape[0] - 1
    rings = _rings(cells, grid.half_x, grid.cell, params.terrain.far_radius_m)
    x, y = rings.xy[:, 0], rings.xy[:, 1]
    z = ground.smooth_far(rings, params, scene)
    _lay(x, y, z, craters, grid.half_x)
    cell = np.maximum(grid.cell, ring_cell(rings.half))
    close = cell < ROUGH_CELL_M
    rough = ground.rough_far(x[close], y[close], cell[close])
    z[close] += (1.0 - smoothstep(0.5 * ROUGH_CELL_M, ROUGH_CELL_M, cell[close])) * rough
    border = grid.z.astype(np.float64)[_border_index(grid.z.shape)]
    miss = np.append(border - z[: 4 * cells], border[0] - z[0])
    reach = min(10.0, 0.5 * grid.half_x)
    share = 1.0 - smoothstep(0.0, reach, rings.half - grid.half_x)
    z += share * np.interp(rings.turn, np.arange(4 * cells + 1) / cells, miss)
    points = np.column_stack([x, y, z]).astype(np.float32)
    points[: 4 * cells, 2] = grid.z[_border_index(grid.z.shape)]
    return TriMesh(points, rings.faces)


def _border_index(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.unravel_index(border_ids(np.arange(shape[0] * shape[1]).reshape(shape)), shape)
    return rows, columns


def ring_cell(distance: np.ndarray) -> np.ndarray:
    """Cell of the far rings [m] at a distance [m]: 1.2 % of it near the square, 1.8 % on the horizon.

    That is 6 to 9 pixels of a 512-pixel, 60° picture.
    """
    return distance * (0.012 + 0.006 * smoothstep(FAR_FROM_M, 4.0 * FAR_FROM_M, distance))


def _rings(cells: int, half: float, cell: float, radius: float) -> Rings:
    """Lay out the rings: squares at first, circles from four half-widths on, at the latest on the horizon."""
    halves, counts = [half], [cells]
    while halves[-1] < radius * (1.0 - 1e-9):
        step = cell * (1.0 + 0.5 * float(smoothstep(half, 2.0 * half, np.array(halves[-1]))))
        cell = max(cell, min(cell * 1.07, float(ring_cell(np.array(halves[-1])))))
        ahead = halves[-1] + step
        halves.append(radius if ahead + 0.5 * step > radius else ahead)
        counts.append(max(8, round(2.0 * halves[-1] / cell)))
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    along = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    xy, ring_half, turns, faces = [], [], [], []
    start, previous = 0, np.empty(0, int)
    for s, m in zip(halves, counts, strict=True):
        t = np.arange(m) / m
        unit = (corners[:, None] + 2.0 * t[None, :, None] * along[:, None]).reshape(-1, 2)
        round_share = float(smoothstep(1.2 * half, min(4.0 * half, radius), np.array(s)))
        stretch = 1.0 - round_share + round_share / np.hypot(unit[:, 0], unit[:, 1])
        xy.append(s * unit * stretch[:, None])
        ring_half.append(np.full(4 * m, s))
        turns.append((np.arange(4)[:, None] + t[None, :]).ravel())
        ids = np.append(np.arange(start, start + 4 * m), start)
        if start:
            faces.append(strip_faces(_sides(previous), _sides(ids)))
        start, previous = start + 4 * m, ids
    first = np.arange(cells + 1)
    at = (first - cells // 2) * (2.0 * half / cells)
    ring = np.concatenate(
        [
            np.column_stack([at[:-1], np.full(cells, at[0])]),
            np.column_stack([np.full(cells, at[-1]), at[:-1]]),
            np.column_stack([at[:0:-1], np.full(cells, at[-1])]),
            np.column_stack([np.full(cells, at[0]), at[:0:-1]]),
        ]
    )
    xy[0] = ring
    return Rings(np.concatenate(xy), np.concatenate(ring_half), np.concatenate(turns), np.concatenate(faces))


def _sides(ring: np.ndarray) -> np.ndarray:
    """Split a closed ring's vertex numbers, shape [4 m + 1], into its sides with both corners, shape [4, m + 1]."""
    m = len(ring) // 4
    return ring[m * np.arange(4)[:, None] + np.arange(m + 1)]


def _relief(rings: Rings, fractal: Fractal, params: Params, scene: SceneSpec) -> np.ndarray:
    """Heights [m] of the far relief without craters at the rings' vertices."""
    x, y, s, half = rings.xy[:, 0], rings.xy[:, 1], rings.half, 0.5 * params.terrain.size_m
    radius, hill_height = params.terrain.far_radius_m, params.terrain.hill_height_m
    distance = np.hypot(x, y)
    near = 1.0 - smoothstep(1.5 * half, min(6.0 * half, 0.9 * radius), s)
    coarse = 1.0 - smoothstep(2.0 * half, min(12.0 * half, radius), s)
    cell = np.maximum(fractal.fine.cell, ring_cell(s))
    fine = weighted(near, functools.partial(smoothed, fractal.fine), x, y, cell)
    z = fractal.scale * (fine + weighted(coarse, fractal.coarse.sample, x, y))
    swell = spectral_tile(
        rng(scene.seed, "terrain", "swell"), 384, max(1.5, 0.003 * radius), hurst=params.terrain.hurst,
        wavelength_max=min(0.3 * radius, 300.0),
    )  # fmt: skip
    z += weighted(fractal.scale * 0.6 * (1.0 - near), functools.partial(smoothed, swell), x, y, cell)
    if hill_height > 0.0:
        hills = spectral_tile(
            rng(scene.seed, "terrain", "hills"), 256, radius / 100.0, hurst=1.4,
            wavelength_min=0.06 * radius, wavelength_max=0.9 * radius,
        )  # fmt: skip
        rms = float(hills.z.std())
        rise = smoothstep(min(250.0, 0.3 * radius), min(1000.0, 0.85 * radius), distance)
        z += weighted(hill_height * rise, lambda x, y: _massif(hills.sample(x, y) / rms), x, y)
    return z - distance**2 / (2.0 * MOON_RADIUS_M)


def weighted(weight: np.ndarray, sample: Callable[..., np.ndarray], *at: np.ndarray) -> np.ndarray:
    """Weight times what a function gives at places, shape [V]; it is not asked where the weight is 0."""
    z = np.zeros(len(weight))
    on = weight != 0.0
    if on.any():
        z[on] = weight[on] * sample(*(part[on] for part in at))
    return z


def _massif(share: np.ndarray) -> np.ndarray:
    """Turn unit Gaussian noise into rounded hills: near 0 in the lows, 1 at 1.6 deviations, never above 1.3."""
    return 1.3 / (1.0 + np.exp(-1.5 * (share - 0.8)))


def smoothed(tile: Tile, x: np.ndarray, y: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Sample a tile without the wavelengths a mesh of varying cell [m] cannot carry.

    Copies of the tile are low-passed for cells one, three, nine, … times its own; each vertex mixes the two around
    its cell, like texture levels of detail.
    """
    level = np.clip(np.log(cell / tile.cell) / np.log(3.0), 0.0, None)
    k2 = fft.fftfreq(tile.z.shape[0])[:, None] ** 2 + fft.rfftfreq(tile.z.shape[0])[None, :] ** 2
    spectrum = np.asarray(fft.rfft2(tile.z.astype(np.float64)))
    z = np.zeros(np.shape(x))
    for step in range(int(np.ceil(level.max())) + 1):
        weight = np.clip(1.0 - np.abs(level - step), 0.0, None)
        mine = weight > 0.0
        if not mine.any():
            continue
        width = 0.0 if step == 0 else 0.7 * 3.0**step
        filtered = spectrum * np.exp(-2.0 * np.pi**2 * width**2 * k2)
        smooth = Tile(np.asarray(fft.irfft2(filtered, tile.z.shape)), tile.cell)
        z[mine] += weight[mine] * smooth.sample(x[mine], y[mine])
    return z


def far_craters(params: Params, scene: SceneSpec, half: float, largest: float) -> np.ndarray:
    """Draw the craters beyond the square that the rings can carry: at least four cells across.

    In each doubling of the distance the law of `CraterParams` is cut at that size and goes on to a tenth of the far
    radius, or to the `largest` there may be [m]. Beyond `diameter_max_m` craters are worn in proportion to their size.
    """
    law, radius = params.craters, params.terrain.far_radius_m
    stream = rng(scene.seed, "terrain", "far craters")
    parts = [np.empty(0, CRATER_DTYPE)]
    inner = half
    while inner < radius and scene.crater_density > 0.0:
        outer = min(2.0 * inner, radius)
        lo, hi = max(law.diameter_min_m, FAR_CELLS * float(ring_cell(np.array(inner)))), min(0.1 * radius, largest)
        if hi > lo:
            sizes = PowerLaw(law.exponent, lo, hi)
            per_area = areal_density(scene.crater_density, sizes)
            count = min(int(stream.poisson(per_area * np.pi * (outer**2 - inner**2))), 2000)
            part = np.empty(count, CRATER_DTYPE)
            distance = np.sqrt(stream.uniform(inner**2, outer**2, count))
            azimuth = stream.uniform(0.0, 2.0 * np.pi, count)
            part["x"], part["y"] = distance * np.cos(azimuth), distance * np.sin(azimuth)
            part["diameter"] = sizes.draw(stream, count)
            part["freshness"] = draw_freshness(law, count, stream)
            part["freshness"] *= np.minimum(1.0, law.diameter_max_m / part["diameter"])
            parts.append(part)
        inner = outer
    far = np.concatenate(parts)
    outside = np.maximum(np.abs(far["x"]), np.abs(far["y"])) - half
    clear = (outside > 0.9 * far["diameter"]) & (
        (outside > law.diameter_max_m) | (far["diameter"] > law.diameter_max_m)
    )
    return far[clear]


def _lay(x: np.ndarray, y: np.ndarray, z: np.ndarray, craters: np.ndarray, half: float) -> None:
    """Lay craters that reach beyond the square over scattered vertices, oldest first, in place."""
    reach = 0.5 * REACH * craters["diameter"]
    beyond = np.maximum(np.abs(craters["x"]), np.abs(craters["y"])) + reach > half
    order = np.argsort(x, kind="stable")
    x, y, height = x[order], y[order], z[order]
    for crater, r in zip(craters[beyond], reach[beyond], strict=True):
        lo, hi = np.searchsorted(x, (crater["x"] - r, crater["x"] + r))
        near = lo + np.flatnonzero(np.abs(y[lo:hi] - crater["y"]) < r)
        if near.size:
            height[near] = overprint(height[near], x[near] - crater["x"], y[near] - crater["y"], crater)
    z[order] = height
