"""Micro-relief finer than the authored grid: a recipe of plain numbers, and the ground mesh it makes.

The recipe travels in the stage; a renderer rebuilds the same mesh from (grid, recipe, far) alone. Around the origin
lie a fine and a middle ring of square cells, then the authored grid, then the far relief. Pits, clods and the fractal
part go on below the grid where its own spectrum and craters end (Helfenstein & Shepard 1999, Icarus 141, 107, found
lunar regolith self-affine at centimetres too, with Hurst exponents of 0.5–0.7).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from regolith.lunar.params import InputError
from regolith.lunar.stage.beyond import beyond_height, refined
from regolith.lunar.stage.lattice import blend_weight, border_ids, border_sides, lattice_faces, refine, strip_faces
from regolith.lunar.stage.mesh import Heightfield, TriMesh
from regolith.lunar.stage.micro import BLEND_MID, BLEND_NEAR, relief_lattices, ring_height
from regolith.lunar.stage.pebbles import pebbles
from regolith.lunar.stage.recipe import ReliefRecipe

__all__ = ["BLEND_MID", "BLEND_NEAR", "ReliefRecipe", "ground_mesh", "pebbles", "relief_height", "relief_lattices"]


@dataclasses.dataclass(frozen=True)
class _Level:
    """One lattice of the ground, centred on the origin."""

    split: int
    """Cells along one grid cell."""
    half: int
    """Half-width in grid cells."""
    z: np.ndarray
    """Heights [m], float32, shape [2 half · split + 1] squared."""


def relief_height(x: np.ndarray, y: np.ndarray, recipe: ReliefRecipe) -> np.ndarray:
    """Height of the micro-relief over grid and far relief [m] at positions (x, y) [m] of any one shape.

    Returns:
        float64, shape of `x`; 0 from the middle ring's border on, or from `reach_m` where that is farther.
    """
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    if recipe.reach_m <= recipe.mid_radius_m:
        return ring_height(x, y, recipe)
    z = np.empty(x.shape)
    inside = np.maximum(np.abs(x), np.abs(y)) <= recipe.mid_radius_m
    z[inside] = ring_height(x[inside], y[inside], recipe)
    z[~inside] = beyond_height(x[~inside], y[~inside], recipe)
    return z


def ground_mesh(grid: Heightfield, recipe: ReliefRecipe | None, far: TriMesh) -> TriMesh:
    """Join rings, grid and far relief to one welded mesh.

    Every edge is shared by two triangles, save those of the outermost border. In the blended part of a ring the
    surface passes over to the bilinear surface of the coarser one.

    Args:
        grid: The authored heightfield, square, with an odd number of vertices a side.
        recipe: Micro-relief; None for the grid alone.
        far: Far relief whose first vertices are the grid's border, counter-clockwise from (-X, -Y).

    Raises:
        InputError: The grid is not square or not odd, or `far` does not start with its border.
    """
    rows, columns = grid.z.shape
    if rows != columns or rows % 2 == 0:
        raise InputError("grid", grid.z.shape, "as many rows as columns, an odd number")
    levels = [_Level(1, rows // 2, grid.z)]
    if recipe is not None:
        levels = [*_ring_levels(grid, recipe), *levels]
    points: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    count, ringed, ids = 0, 0, np.empty((0, 0), np.int32)
    for number, level in enumerate(levels):
        ringed = count
        ids, keep = _number(level, levels[number - 1] if number else None, ids, count, faces)
        axis = (np.arange(ids.shape[0]) - ids.shape[0] // 2) * (grid.cell / level.split)
        fresh = ids >= count
        x, y = np.meshgrid(axis.astype(np.float32), axis.astype(np.float32))
        points.append(np.column_stack([x[fresh], y[fresh], level.z[fresh]]))
        count += len(points[-1])
        faces.append(lattice_faces(ids, keep))
    border = border_ids(ids)
    ground = np.concatenate(points)
    if not np.array_equal(far.points[: border.size], ground[border]):
        raise InputError("far", "another border", "a mesh whose first vertices are the grid's border")
    weld = np.concatenate([border, count + np.arange(len(far.points) - border.size)]).astype(np.int32)
    mesh = TriMesh(
        np.concatenate([ground, far.points[border.size :]]),
        np.concatenate([*faces, weld[far.faces]]).astype(np.int32, copy=False),
    )
    if recipe is None or recipe.reach_m <= recipe.mid_radius_m:
        return mesh
    return refined(mesh, ringed, grid, recipe)


def _number(
    level: _Level, finer: _Level | None, finer_ids: np.ndarray, first: int, faces: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Number a level's vertices around the finer level in its middle, and sew the two together.

    Returns:
        Vertex numbers (-1 under the finer level, that level's own on its border, new ones from `first` on), and
        which cells are left to mesh; the strip of triangles between the two goes to `faces`.
    """
    side = 2 * level.half * level.split + 1
    if finer is None:
        return first + np.arange(side * side, dtype=np.int32).reshape(side, side), None
    centre, reach, ratio = side // 2, finer.half * level.split, finer.split // level.split
    fresh = np.ones((side, side), bool)
    block = slice(centre - reach, centre + reach + 1)
    fresh[block, block] = False
    ids = np.full((side, side), -1, np.int32)
    ids[fresh] = first + np.arange(int(fresh.sum()), dtype=np.int32)
    ids[block, block] = finer_ids[::ratio, ::ratio]
    ids[block, block][1:-1, 1:-1] = -1
    around = ids[centre - reach - 1 : centre + reach + 2, centre - reach - 1 : centre + reach + 2]
    for inner, outer in zip(border_sides(finer_ids), border_sides(around), strict=True):
        faces.append(strip_faces(inner, outer[1:-1]))
    keep = np.ones((side - 1, side - 1), bool)
    wide, tight = slice(centre - reach - 1, centre + reach + 1), slice(centre - reach, centre + reach)
    keep[wide, tight] = False
    keep[tight, wide] = False
    return ids, keep


def _ring_levels(grid: Heightfield, recipe: ReliefRecipe) -> list[_Level]:
    """Heights of the fine and the middle ring, the finest first; rings no wider than the next finer one are left out.

    Raises:
        InputError: The recipe is not one for this grid.
    """
    if not np.isclose(recipe.cell_m, grid.cell, rtol=1e-6) or recipe.mid_half >= grid.z.shape[0] // 2:
        raise InputError("recipe.cell_m", recipe.cell_m, f"{grid.cell} m, with rings inside the grid")
    near, mid = relief_lattices(recipe)
    rings = [(recipe.near_split, recipe.near_half, near)]
    if recipe.mid_half > recipe.near_half:
        rings.append((recipe.mid_split, recipe.mid_half, mid))
    levels: list[_Level] = []
    coarse, coarse_split, blend = grid.z.astype(np.float64), 1, BLEND_MID
    for split, half, relief in reversed(rings):
        axis = np.arange(-half * split, half * split + 1) * (grid.cell / split)
        base = grid.height(axis[None, :], axis[:, None])
        centre, reach = coarse.shape[0] // 2, half * coarse_split
        under = coarse[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
        weight = blend_weight(half * split, blend)
        coarse = weight * base + (1.0 - weight) * refine(under, split // coarse_split)
        coarse_split, blend = split, BLEND_NEAR
        levels.insert(0, _Level(split, half, (coarse + relief).astype(np.float32)))
    return levels
