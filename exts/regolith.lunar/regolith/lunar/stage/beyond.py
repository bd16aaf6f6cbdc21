"""Micro-relief beyond the rings: triangles grow with the distance there, and carry what of it they can."""

from __future__ import annotations

import functools

import numpy as np

from regolith.lunar.stage.craters import crater_profile
from regolith.lunar.stage.far import FAR_CELLS, ring_cell, smoothed
from regolith.lunar.stage.lattice import split_edges
from regolith.lunar.stage.mesh import Heightfield, TriMesh
from regolith.lunar.stage.micro import PIT_REACH, draw_pits, fractal_tile, warped
from regolith.lunar.stage.noise import smoothstep
from regolith.lunar.stage.power_law import PowerLaw
from regolith.lunar.stage.recipe import ReliefRecipe
from regolith.lunar.stage.spec import rng
from regolith.lunar.stage.tracks import pressed

EDGE_SHARE = 0.004
"""Longest edge of a triangle over its distance from the centre: two pixels of a 512-pixel, 60° picture."""

SMOOTH_SHARE = 0.3 * EDGE_SHARE
"""Cell the fractal part and the clods are smoothed for, over the distance. Most edges are shorter than the longest, and
what is smoothed for that one falls off visibly behind the rings (`benchmarks/study_reach.py`)."""

FADE = 0.7
"""Share of `reach_m` from which on the relief fades out."""

PIT_CELLS = 4.0
"""Smallest pit or crater in edges of the triangles it lies in."""

_PASSES = 4
_ANNULUS = 1.25


def refined(mesh: TriMesh, ringed: int, grid: Heightfield, recipe: ReliefRecipe) -> TriMesh:
    """Refine the ground beyond the rings, and lay the micro-relief over it out to `reach_m`.

    Edges longer than `EDGE_SHARE` of their distance are halved, time and again, and the triangles at them with them, so
    that the ground stays watertight. New vertices lie on the bicubic grid inside the square, and on the triangles of
    the far relief outside.

    Args:
        mesh: Ground without relief beyond the rings, whose vertices come first.
        ringed: How many vertices are the rings'.
        grid: The authored heightfield.
        recipe: Micro-relief.
    """
    points, faces = mesh.points.astype(np.float64), mesh.faces
    near = points[:, 0] ** 2 + points[:, 1] ** 2 < recipe.reach_m**2
    near[:ringed] = False  # an edge of two vertices that are not is left as it is
    loose = near[faces].any(axis=1)
    kept, faces = faces[~loose], faces[loose]
    for _ in range(_PASSES):
        faces, ends = split_edges(faces, len(points), functools.partial(_long, *points[:, :2].T, near), points[:, :2])
        if not len(ends):
            break
        fresh = 0.5 * (points[ends[:, 0]] + points[ends[:, 1]])
        square = np.abs(fresh[:, :2]).max(axis=1) <= grid.half_x
        fresh[square, 2] = grid.height(fresh[square, 0], fresh[square, 1])
        points = np.concatenate([points, fresh])
        near = np.concatenate([near, np.ones(len(fresh), bool)])
    x, y = points[ringed:, :2].T
    points[ringed:, 2] += beyond_height(x, y, recipe)
    return TriMesh(points.astype(np.float32), np.concatenate([kept, faces]))


def _long(x: np.ndarray, y: np.ndarray, near: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which edges are halved: those near, longer than `EDGE_SHARE` of their distance; their ends are a and b."""
    (ax, ay), (bx, by) = (x[a], y[a]), (x[b], y[b])
    middle = (ax + bx) ** 2 + (ay + by) ** 2
    return (near[a] | near[b]) & (4.0 * ((bx - ax) ** 2 + (by - ay) ** 2) > EDGE_SHARE**2 * middle)


def beyond_height(x: np.ndarray, y: np.ndarray, recipe: ReliefRecipe) -> np.ndarray:
    """Height of the micro-relief beyond the rings over grid and far relief [m], float64, shape [N].

    Args:
        x: Places [m], shape [N].
        y: The same.
        recipe: Micro-relief.
    """
    distance, z = np.hypot(x, y), np.zeros(len(x))
    on = np.flatnonzero(distance < recipe.reach_m)
    if not len(on):
        return z
    x, y, distance = x[on], y[on], distance[on]
    relief = smoothed(fractal_tile(recipe), x, y, SMOOTH_SHARE * distance)
    order = np.argsort(x, kind="stable")
    relief[order] = _pitted(x[order], y[order], relief[order], np.concatenate([draw_pits(recipe), draw_beyond(recipe)]))
    if recipe.tracked:
        relief = pressed(x, y, relief, EDGE_SHARE * distance, recipe)
    z[on] = relief * (1.0 - smoothstep(FADE * recipe.reach_m, recipe.reach_m, distance))
    return z


def draw_beyond(recipe: ReliefRecipe) -> np.ndarray:
    """Draw the pits beyond the rings, and the craters the grid and the far relief are too coarse for there.

    In each annulus those that its triangles can carry, by the laws of `draw_pits`; craters up to the smallest that the
    far relief has there.

    Returns:
        x, y, diameter [m] and freshness, shape [N, 4]; none reaches into the rings.
    """
    stream, b = rng(recipe.seed, "pits beyond"), recipe.pit_exponent
    inner = recipe.mid_radius_m
    parts = [np.empty((0, 4))]
    while inner < recipe.reach_m:
        outer, least = min(_ANNULUS * inner, recipe.reach_m), PIT_CELLS * EDGE_SHARE * inner
        carried = FAR_CELLS * float(ring_cell(np.array(inner))) if inner > recipe.half_m else 0.0
        for density, smallest, largest, top, worn in (
            (recipe.pit_density, recipe.pit_min_m, recipe.pit_max_m, recipe.pit_max_m, True),
            (recipe.crater_density, recipe.crater_min_m, recipe.crater_top_m, max(recipe.crater_top_m, carried), False),
        ):
            lo = max(smallest, least)
            if density <= 0.0 or lo >= top:
                continue
            law = PowerLaw(b, lo, top)
            per_area = density * law.total / PowerLaw(b, smallest, largest).total
            count = int(stream.poisson(per_area * 4.0 * outer**2))
            side, size = stream.uniform(-outer, outer, (count, 2)), law.draw(stream, count)
            fresh = (
                0.02 + 0.98 * stream.random(count) ** 2
                if worn
                else stream.uniform(recipe.freshness_min, recipe.freshness_max, count)
            )
            away, ringed = np.hypot(*side.T), np.abs(side).max(axis=1)
            there = (away >= inner) & (away < outer) & (ringed > recipe.mid_radius_m + 0.5 * PIT_REACH * size)
            parts.append(np.column_stack([side, size, fresh])[there])
        inner = outer
    return np.concatenate(parts)


def _pitted(x: np.ndarray, y: np.ndarray, z: np.ndarray, pits: np.ndarray) -> np.ndarray:
    """Lay pits over scattered places, sorted by x; their outlines are bent as in the rings."""
    warp, z = warped(z), z.copy()
    for at_x, at_y, diameter, freshness in pits.tolist():
        reach = 0.5 * PIT_REACH * diameter * 1.4
        lo, hi = np.searchsorted(x, (at_x - reach, at_x + reach))
        near = lo + np.flatnonzero(np.abs(y[lo:hi] - at_y) < reach)
        if near.size:
            rho = np.hypot(x[near] - at_x, y[near] - at_y) / (0.5 * diameter) * warp[near]
            shape = crater_profile(rho, np.full(len(near), diameter), np.full(len(near), freshness))
            z[near] += shape * (1.0 - smoothstep(0.75 * PIT_REACH, PIT_REACH, rho))
    return z
