"""The ground at metre scale: fractal relief, craters laid down in time order, and the far relief around them."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property

import numpy as np
from scipy.spatial import KDTree

from regolith.lunar.params import Params
from regolith.lunar.stage.boulder_tracks import roll_boulders
from regolith.lunar.stage.continued import continue_model
from regolith.lunar.stage.craters import CRATER_DTYPE, REACH, draw_craters, overprint
from regolith.lunar.stage.far import BareGround, Fractal, build_far, far_craters
from regolith.lunar.stage.mesh import Heightfield, TriMesh, grid_cells
from regolith.lunar.stage.noise import band_deviation, next_fast_size, rms_deviation, spectral_tile
from regolith.lunar.stage.relief import ReliefRecipe, relief_height
from regolith.lunar.stage.spec import SceneSpec, rng

CRATER_CELLS = 4
"""Fewest grid cells across a crater of the grid; smaller ones belong to the micro-relief."""

LONG_WAVES = 1.2
"""Gain of the longest waves: makes up for those beyond eight sides of the square that are left out."""

CLEAR_DIAMETER_M = 3.0
"""Craters above this size [m] that are fresher than `CLEAR_FRESHNESS` keep their bowls off the camera's ground."""

CLEAR_FRESHNESS = 0.3
"""Freshness (depth/diameter about 0.1) above which a crater is no place for a rover."""

HELD = 1e-6
"""Least barycentric coordinate of a point that lies in a triangle beyond doubt, and so in no other."""


@dataclasses.dataclass(frozen=True)
class Terrain:
    """The ground of one scene."""

    grid: Heightfield
    """The working area, float32 heights as they are stored."""
    far: TriMesh
    """Relief from the square's border to the horizon; its first vertices are that border."""
    craters: np.ndarray
    """Craters laid into the grid, `CRATER_DTYPE`, oldest first; some centres lie beyond its border."""
    recipe: ReliefRecipe | None
    """Micro-relief, None for none."""
    distant: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, CRATER_DTYPE))
    """Craters laid into the far relief before those, `CRATER_DTYPE`."""
    notes: tuple[str, ...] = ()
    """What is to be known of the height model it is cut from, in words."""
    rolled: np.ndarray = dataclasses.field(default_factory=lambda: np.empty((0, 3)))
    """Boulders at the ends of their tracks: place [m] and diameter [m], shape [N, 3]."""

    def height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Height of the ground [m], micro-relief included, at positions (x, y) [m] of any one shape.

        Inside the square the bicubic grid, outside the triangles of the far relief, beyond their rim the nearest
        vertex; each plus `relief_height`.

        Returns:
            float64, shape of `x`.
        """
        x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        outside = (np.abs(x) > self.grid.half_x) | (np.abs(y) > self.grid.half_y)
        if not outside.any():
            return self._near_height(x, y)
        z = np.empty(x.shape)
        z[outside] = self._far_height(x[outside], y[outside])
        if self.recipe is not None and self.recipe.reach_m > self.recipe.half_m:
            z[outside] += relief_height(x[outside], y[outside], self.recipe)
        z[~outside] = self._near_height(x[~outside], y[~outside])
        return z

    def _near_height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        z = self.grid.height(x, y)
        return z if self.recipe is None else z + relief_height(x, y, self.recipe)

    def normal(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Unit normals of the ground at the scale of rocks, at positions (x, y) [m] of any one shape.

        Central differences over 0.15 m or two cells, whichever is more; micro-relief does not count.

        Returns:
            float64, shape [*x.shape, 3], z up.
        """
        base = dataclasses.replace(self, recipe=None)
        base.__dict__["_far_index"] = self._far_index
        step = max(0.075, self.grid.cell)
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        east, west, north, south = base.height(
            np.stack([x + step, x - step, x, x]), np.stack([y, y, y + step, y - step])
        )
        dx, dy = (east - west) / (2.0 * step), (north - south) / (2.0 * step)
        normal = np.stack([-dx, -dy, np.ones_like(dx)], axis=-1)
        return normal / np.linalg.norm(normal, axis=-1, keepdims=True)

    @cached_property
    def _far_index(self) -> KDTree:
        corners = np.ascontiguousarray(self.far.faces.T)
        x, y = (sum(column.take(corner) for corner in corners) / 3.0 for column in self._far_columns[:2])
        return KDTree(
            np.column_stack([x, y]), balanced_tree=False, compact_nodes=False
        )  # queried too little to pay more

    @cached_property
    def _far_columns(self) -> np.ndarray:
        return np.ascontiguousarray(self.far.points.T, np.float64)

    def _far_height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Heights [m] on the far triangles: of those with the nearest centroids, the one that holds the point.

        Triangles do not overlap, so the search widens only for points that lie in none of the triangles tried so far.
        """
        z = np.empty(len(x))
        open_ = np.arange(len(x))
        for wanted in (1, 4, 16):
            at, neighbours = np.column_stack([x[open_], y[open_]]), min(wanted, len(self.far.faces))
            near = np.reshape(self._far_index.query(at, k=neighbours)[1], (len(at), neighbours))
            z[open_], depth = self._deepest(at, near)
            open_ = open_[depth < HELD]
        return z

    def _deepest(self, at: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heights [m] of points on those far triangles of their candidates that they lie deepest in.

        Args:
            at: Points [m], shape [N, 2].
            near: Numbers of the candidates of each, shape [N, K].

        Returns:
            Heights, and the least barycentric coordinate there (negative outside the triangle), shape [N] each.
        """
        corners = self.far.faces.take(near, axis=0)
        (ax, bx, cx), (ay, by, cy), (az, bz, cz) = (
            [column.take(corners[..., k]) for k in range(3)] for column in self._far_columns
        )
        ex, ey, fx, fy, gx, gy = bx - ax, by - ay, cx - ax, cy - ay, at[:, :1] - ax, at[:, 1:] - ay
        area = ex * fy - ey * fx
        v, w = (gx * fy - gy * fx) / area, (ex * gy - ey * gx) / area
        depth = np.minimum(np.minimum(v, w), 1.0 - v - w)
        pick = np.arange(len(at)), np.argmax(depth, axis=1)
        v, w, base = np.clip(v[pick], 0.0, 1.0), np.clip(w[pick], 0.0, 1.0), az[pick]
        return base + v * (bz[pick] - base) + w * (cz[pick] - base), depth[pick]


def build_terrain(params: Params, scene: SceneSpec) -> Terrain:
    """Build the ground of one scene.

    The grid has size / cell cells rounded to an even number. Craters at least four cells across are laid into it
    oldest first, each over what was there (`craters.overprint`). Diffusive ageing acts crater by crater: diffusion is
    linear, so wearing each one by its own age κt equals wearing the ground while they form. The shortest band of the
    fractal relief is added last: regolith inside a crater is as rough as outside. Where there is a height model
    (`ground.dem`) it takes the place of the fractal relief, which goes on below its resolution, and of the craters it
    shows (`stage.continued`).

    Args:
        params: Stage parameters.
        scene: Seed and drawn densities.

    Raises:
        InputError: The crater law asks for too many craters, or the relief for too many cells; or the height model
            cannot be used (`stage.height_model.read_height_model`).
    """
    cells, cell = grid_cells(params.terrain.size_m, params.terrain.cell_m)
    ground: BareGround
    notes: tuple[str, ...] = ()
    if params.ground.dem is None:
        ground = draw_fractal(params, scene)
    else:
        ground = continue_model(params, scene)
        notes, params = ground.notes, _below(params, ground.largest_crater_m)
    craters = _grid_craters(params, scene, cell)
    z = lay_craters(ground.smooth_grid(cells), cell, craters) + ground.rough_grid(cells)
    grid, rolled = roll_boulders(Heightfield(z.astype(np.float32), cell), params, scene)
    distant = far_craters(params, scene, grid.half_x, ground.largest_crater_m)
    far = build_far(grid, ground, np.concatenate([distant, craters]), params, scene)
    return Terrain(grid, far, craters, ReliefRecipe.from_params(params, scene), distant, notes, rolled)


def _below(params: Params, largest_m: float) -> Params:
    """Parameters whose craters are all below a diameter [m]."""
    largest = min(params.craters.diameter_max_m, max(largest_m, params.craters.diameter_min_m))
    return params.model_copy(update={"craters": params.craters.model_copy(update={"diameter_max_m": largest})})


def draw_fractal(params: Params, scene: SceneSpec) -> Fractal:
    """Draw the self-affine relief: Hurst exponent as asked, scaled so that the grid has the RMS slope over 1 m.

    Wavelengths reach from two cells to eight sides of the square. Those beyond about half a side come from a coarse
    tile, so that the square is not periodic and goes on outside; a square sees few of those waves, so their share of
    the RMS deviation is set to its expectation, raised by `LONG_WAVES`.
    """
    terrain = params.terrain
    cells, cell = grid_cells(params.terrain.size_m, params.terrain.cell_m)
    size = next_fast_size(math.ceil(1.25 * cells))
    long, short = 0.5 * size * cell, max(1.5, 8.0 * cell)
    rough = spectral_tile(rng(scene.seed, "terrain", "rough"), size, cell, hurst=terrain.hurst, wavelength_max=short)
    fine = spectral_tile(
        rng(scene.seed, "terrain", "fine"), size, cell,
        hurst=terrain.hurst, wavelength_min=short, wavelength_max=long,
    )  # fmt: skip
    nodes = 128
    coarse = spectral_tile(
        rng(scene.seed, "terrain", "coarse"), nodes, 8.0 * terrain.size_m / nodes,
        hurst=terrain.hurst, wavelength_min=long,
    )  # fmt: skip
    expected = band_deviation(nodes, coarse.cell, 1.0, hurst=terrain.hurst, wavelength_min=long)
    flat = dataclasses.replace(fine, z=np.zeros_like(fine.z))
    drawn = rms_deviation(Fractal(flat, flat, coarse, 1.0).smooth_grid(cells), cell, 1.0)
    coarse = dataclasses.replace(coarse, z=coarse.z * np.float32(LONG_WAVES * expected / drawn))
    raw = Fractal(rough, fine, coarse, 1.0)
    z = raw.smooth_grid(cells) + raw.rough_grid(cells)
    slope = math.tan(math.radians(terrain.rms_slope_deg))
    return dataclasses.replace(raw, scale=slope / rms_deviation(z, cell, 1.0))


def _grid_craters(params: Params, scene: SceneSpec, cell: float) -> np.ndarray:
    """Draw the craters the grid carries.

    A rover is not parked in a deep hole, where most of the picture would lie in shadow: large fresh craters about the
    centre are moved straight outwards until their bowls clear the circle the mast stands in.
    """
    smallest = max(params.craters.diameter_min_m, CRATER_CELLS * cell)
    if smallest >= params.craters.diameter_max_m or scene.crater_density <= 0.0:
        return np.empty(0, CRATER_DTYPE)
    law = params.craters.model_copy(update={"diameter_min_m": smallest})
    stream = rng(scene.seed, "terrain", "craters")
    craters = draw_craters(law, scene.crater_density, 0.5 * params.terrain.size_m, stream)
    distance = np.hypot(craters["x"], craters["y"])
    clear = 0.45 * craters["diameter"] + params.camera.roam_m
    steep = (craters["diameter"] > CLEAR_DIAMETER_M) & (craters["freshness"] > CLEAR_FRESHNESS)
    push = np.where(steep & (distance < clear), clear / np.maximum(distance, 1e-9), 1.0)
    craters["x"] *= push
    craters["y"] *= push
    return craters


def lay_craters(z: np.ndarray, cell: float, craters: np.ndarray) -> np.ndarray:
    """Lay craters over a square grid centred on the origin, in the order given.

    Args:
        z: Heights [m], shape [N, N].
        cell: Spacing [m].
        craters: `CRATER_DTYPE`, oldest first; centres may lie outside.

    Returns:
        New heights [m], float64, shape of `z`.
    """
    z = np.array(z, np.float64)
    axis = (np.arange(z.shape[0]) - z.shape[0] // 2) * cell
    for crater in craters:
        reach = 0.5 * REACH * crater["diameter"]
        columns = slice(*np.searchsorted(axis, (crater["x"] - reach, crater["x"] + reach)))
        rows = slice(*np.searchsorted(axis, (crater["y"] - reach, crater["y"] + reach)))
        dx, dy = np.meshgrid(axis[columns] - crater["x"], axis[rows] - crater["y"])
        if dx.size:
            z[rows, columns] = overprint(z[rows, columns], dx, dy, crater)
    return z
