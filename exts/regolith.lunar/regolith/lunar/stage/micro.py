"""Heights of the micro-relief on the lattices of its rings: fractal, clods and pits."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from regolith.lunar.stage.craters import crater_profile
from regolith.lunar.stage.lattice import blend_weight, refine
from regolith.lunar.stage.noise import Tile, band_noise, next_fast_size, smoothstep, spectral_tile
from regolith.lunar.stage.power_law import PowerLaw
from regolith.lunar.stage.recipe import ReliefRecipe
from regolith.lunar.stage.spec import rng
from regolith.lunar.stage.tracks import pressed

BLEND_NEAR = 0.12
"""Share of the fine ring's half-width over which it blends into the middle ring."""

BLEND_MID = 0.3
"""Share of the middle ring's half-width over which it blends into the grid: wider, because the relief itself ends."""

CLOD_WAVELENGTHS_M = ((0.16, 0.55), (0.08, 0.45), (0.045, 0.25))
"""Spacing of clods [m] and their share of the clod height."""

PIT_REACH = 2.5
"""Rim radii where a pit ends."""

_FRACTAL_BLUR = 0.8  # of a fine cell: what facets of that size would turn into single-facet noise
_PIT_WARP = 15.0  # relative change of a rim radius per metre of relief under it [1/m]
_PIT_WARP_MAX = 0.25  # largest relative change
_PIT_NODES = 2_000_000  # nodes laid down at a time


def ring_height(x: np.ndarray, y: np.ndarray, recipe: ReliefRecipe) -> np.ndarray:
    """Height of the micro-relief of the rings over the grid [m] at positions (x, y) [m] of any one shape.

    Bilinear between the nodes of the rings; beyond them that of the border, which is zero where the relief ends there.

    Returns:
        float64, shape of `x`.
    """
    near, mid = relief_lattices(recipe)
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    inside = np.maximum(np.abs(x), np.abs(y)) < recipe.near_radius_m
    dz = np.empty(x.shape)
    dz[inside] = _bilinear(near, recipe.near_cell_m, x[inside], y[inside])
    dz[~inside] = _bilinear(mid, recipe.mid_cell_m, x[~inside], y[~inside])
    return dz


@lru_cache(maxsize=2)
def relief_lattices(recipe: ReliefRecipe) -> tuple[np.ndarray, np.ndarray]:
    """Micro-relief [m] at the nodes of the fine and the middle ring's lattices, blended at their borders.

    Returns:
        Two float64 arrays of shape [2 half · split + 1] squared, rows along +Y, not writeable.
    """
    tile, pits = fractal_tile(recipe), draw_pits(recipe)
    raw = []
    for half, split in ((recipe.near_half, recipe.near_split), (recipe.mid_half, recipe.mid_split)):
        nodes = np.arange(-half * split, half * split + 1)
        at = nodes * (recipe.near_split // split)
        z = tile.at_nodes(at, at).astype(np.float64)
        _stamp(z, recipe.cell_m / split, pits)
        if recipe.tracked:
            axis = nodes * (recipe.cell_m / split)
            z = pressed(axis[None, :], axis[:, None], z, recipe.cell_m / split, recipe)
        raw.append(z)
    near, mid = raw
    ends = recipe.reach_m <= recipe.mid_radius_m  # else it goes on beyond the rings
    if recipe.mid_half > recipe.near_half:
        ratio = recipe.near_split // recipe.mid_split
        reach = recipe.near_half * recipe.mid_split
        centre = recipe.mid_half * recipe.mid_split
        under = mid[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
        weight = blend_weight(recipe.near_half * recipe.near_split, BLEND_NEAR)
        near = weight * near + (1.0 - weight) * refine(under, ratio)
        mid = mid * blend_weight(centre, BLEND_MID) if ends else mid
    else:
        near = near * blend_weight(recipe.near_half * recipe.near_split, BLEND_MID) if ends else near
        mid = np.zeros_like(mid)
    near.flags.writeable = mid.flags.writeable = False
    return near, mid


def _bilinear(z: np.ndarray, cell: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Read a lattice centred on the origin at positions (x, y) [m]; beyond its border the border value."""
    last = z.shape[0] - 1
    columns = np.clip(x / cell + 0.5 * last, 0.0, last)
    rows = np.clip(y / cell + 0.5 * last, 0.0, last)
    c, r = np.minimum(columns.astype(np.intp), last - 1), np.minimum(rows.astype(np.intp), last - 1)
    u, v = columns - c, rows - r
    low = z[r, c] * (1.0 - u) + z[r, c + 1] * u
    high = z[r + 1, c] * (1.0 - u) + z[r + 1, c + 1] * u
    return low * (1.0 - v) + high * v


@lru_cache(maxsize=2)
def fractal_tile(recipe: ReliefRecipe) -> Tile:
    """Fractal part and clods as one periodic tile at the fine ring's cell, as wide as that ring up to 1024 nodes."""
    cell = recipe.near_cell_m
    nodes = 2 * recipe.near_half * recipe.near_split
    size = next_fast_size(min(max(nodes, 256), 1024))
    total = np.zeros((size, size), np.float32)
    if recipe.rms_height_m > 0.0:
        fractal = spectral_tile(
            rng(recipe.seed, "fractal"), size, cell,
            hurst=recipe.hurst, wavelength_max=recipe.wavelength_max_m, blur=_FRACTAL_BLUR * cell,
        ).z  # fmt: skip
        rms = float(fractal.std())
        if rms > 0.0:
            total += np.float32(recipe.rms_height_m / rms) * fractal
    for number, (wavelength, share) in enumerate(CLOD_WAVELENGTHS_M):
        if recipe.clod_height_m > 0.0 and wavelength >= 2.0 * cell:
            noise = band_noise(rng(recipe.seed, "clods", number), size, cell, wavelength).z
            lumps = smoothstep(0.3, 2.6, noise)
            total += np.float32(recipe.clod_height_m * share) * lumps.astype(np.float32)
    return Tile(total, cell)


def warped(z: np.ndarray) -> np.ndarray:
    """Factor on distances from a pit's centre, by the relief it is laid into [m], shape of `z`."""
    return 1.0 + np.clip(_PIT_WARP * z, -_PIT_WARP_MAX, _PIT_WARP_MAX)


def draw_pits(recipe: ReliefRecipe) -> np.ndarray:
    """Draw pits and the craters the grid is too coarse for, shape [N, 4]: x, y, diameter [m], freshness.

    Pits are mostly degraded (freshness goes with the square of a uniform number); craters follow their law's interval.
    """
    stream = rng(recipe.seed, "pits")
    half = recipe.mid_radius_m + PIT_REACH * recipe.pit_max_m * 0.5
    area = (2.0 * half) ** 2
    parts = []
    top, b = recipe.pit_max_m, recipe.pit_exponent
    if recipe.pit_density > 0.0 and recipe.pit_min_m < top:
        count = int(stream.poisson(recipe.pit_density * area))
        size = PowerLaw(b, recipe.pit_min_m, top).draw(stream, count)
        parts.append(np.column_stack([size, 0.02 + 0.98 * stream.random(count) ** 2]))
    if recipe.crater_density > 0.0:
        count = int(stream.poisson(recipe.crater_density * area))
        size = PowerLaw(b, recipe.crater_min_m, recipe.crater_top_m).draw(stream, count)
        parts.append(np.column_stack([size, stream.uniform(recipe.freshness_min, recipe.freshness_max, count)]))
    shape = np.concatenate(parts) if parts else np.empty((0, 2))
    place = stream.uniform(-half, half, (len(shape), 2))
    return np.column_stack([place, shape])


def _stamp(z: np.ndarray, cell: float, pits: np.ndarray) -> None:
    """Add pits to a lattice centred on the origin, in place.

    Pits of similar size are laid down together: each on a square patch of nodes about its centre. The heights they are
    laid into bend their outlines, so that no two are alike or circular.
    """
    size = z.shape[0]
    warp = warped(z.reshape(-1))
    reach = np.ceil(0.5 * PIT_REACH * pits[:, 2] / cell).astype(int) + 1
    patch = np.ceil(2.0 ** (np.ceil(np.log2(reach) * 2.0) / 2.0)).astype(int)
    for half in np.unique(patch):
        group = pits[patch == half]
        offsets = np.arange(-half, half + 2)
        step = max(1, _PIT_NODES // offsets.size**2)
        for start in range(0, len(group), step):
            part = group[start : start + step]
            at = part[:, :2] / cell + 0.5 * (size - 1)
            base = np.floor(at).astype(int)
            columns, rows = base[:, :1] + offsets, base[:, 1:] + offsets
            dx = (columns - at[:, :1]) * cell
            dy = (rows - at[:, 1:]) * cell
            radius = 0.5 * part[:, 2][:, None, None]
            rho = np.sqrt(dx[:, None, :] ** 2 + dy[:, :, None] ** 2) / radius
            keep = ((columns >= 0) & (columns < size))[:, None, :] & ((rows >= 0) & (rows < size))[:, :, None]
            keep &= rho * (1.0 - _PIT_WARP_MAX) < PIT_REACH
            pit, row, column = np.nonzero(keep)
            index = rows[pit, row] * size + columns[pit, column]
            rho = rho[keep] * warp[index]
            shape = crater_profile(rho, part[pit, 2], part[pit, 3])
            shape *= 1.0 - smoothstep(0.75 * PIT_REACH, PIT_REACH, rho)
            np.add.at(z.reshape(-1), index, shape)
