"""Clasts below the smallest labelled rock: one mesh of small faceted stones, part of the ground."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial import ConvexHull

from regolith.lunar.stage.mesh import Heightfield, TriMesh
from regolith.lunar.stage.micro import BLEND_MID, ring_height
from regolith.lunar.stage.power_law import PowerLaw
from regolith.lunar.stage.recipe import ReliefRecipe
from regolith.lunar.stage.spec import rng

PEBBLES_MAX = 60_000
"""Most pebbles of one scene; a denser recipe is thinned to it evenly."""

BURIAL = (0.2, 0.65)
"""Share of a pebble's height below the ground."""

_SHAPES = 24
_VERTICES = (6, 12)  # 8 to 20 triangles


def pebbles(grid: Heightfield, recipe: ReliefRecipe | None) -> TriMesh:
    """Strew pebbles over the rings.

    Sizes follow a power law. The fine ring takes `pebble_density` per m²; the middle ring only those above half the
    largest size, at the density they have in the fine ring, thinning out towards its border. Each stone is a convex
    hull of random points, turned at random, sunk by `BURIAL` of its height where its centre meets the ground.

    Args:
        grid: The authored heightfield.
        recipe: Micro-relief; None for no pebbles.

    Returns:
        One mesh of closed stones; without vertices where there are none.
    """
    if recipe is None or recipe.pebble_density <= 0.0 or recipe.pebble_min_m >= recipe.pebble_max_m:
        return TriMesh(np.empty((0, 3), np.float32), np.empty((0, 3), np.int32))
    stream = rng(recipe.seed, "pebbles")
    x, y, size = _scatter(recipe, stream)
    count = size.size
    z = grid.height(x, y) + ring_height(x, y, recipe)
    turn = _rotations(stream, count)
    axes = size[:, None] * np.column_stack(
        [np.ones(count), stream.uniform(0.65, 1.0, count), stream.uniform(0.45, 0.85, count)]
    )
    burial = stream.uniform(*BURIAL, count)
    shape = stream.integers(_SHAPES, size=count)
    points, faces, start = [], [], 0
    for number in range(_SHAPES):
        mine = np.flatnonzero(shape == number)
        if mine.size == 0:
            continue
        vertices, triangles = _stone(rng(recipe.seed, "pebble", number))
        body = np.einsum("nij,nvj->nvi", turn[mine], vertices[None] * axes[mine, None, :])
        low, high = body[..., 2].min(axis=1), body[..., 2].max(axis=1)
        lift = z[mine] - low - burial[mine] * (high - low)
        body += np.stack([x[mine], y[mine], lift], axis=-1)[:, None, :]
        points.append(body.reshape(-1, 3).astype(np.float32))
        offsets = start + len(vertices) * np.arange(mine.size)
        faces.append((offsets[:, None, None] + triangles[None]).reshape(-1, 3).astype(np.int32))
        start += mine.size * len(vertices)
    return TriMesh(np.concatenate(points), np.concatenate(faces))


def _scatter(recipe: ReliefRecipe, stream: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw positions and sizes [m]: three arrays of shape [N]."""
    law = PowerLaw(recipe.pebble_exponent, recipe.pebble_min_m, recipe.pebble_max_m)
    larger = dataclasses.replace(law, lo=max(law.lo, 0.5 * law.hi))
    share = float(law.share(larger.lo))
    near, mid = (2.0 * recipe.near_radius_m) ** 2, (2.0 * recipe.mid_radius_m) ** 2
    expected = np.array([near, share * (mid - near)]) * recipe.pebble_density
    expected *= min(1.0, 0.98 * PEBBLES_MAX / expected.sum())
    counts = np.minimum(stream.poisson(expected), PEBBLES_MAX // 2 + np.array([PEBBLES_MAX // 2, 0]))
    counts[1] = min(counts[1], PEBBLES_MAX - counts[0])
    fine = stream.uniform(-recipe.near_radius_m, recipe.near_radius_m, (counts[0], 2))
    # Outside the fine ring: draw over the whole square of the middle ring, keep what lies beyond, top up.
    coarse = np.empty((0, 2))
    while len(coarse) < counts[1]:
        drawn = stream.uniform(-recipe.mid_radius_m, recipe.mid_radius_m, (2 * counts[1] + 64, 2))
        coarse = np.concatenate([coarse, drawn[np.abs(drawn).max(axis=1) > recipe.near_radius_m]])
    coarse = coarse[: counts[1]]
    inset = (recipe.mid_radius_m - np.abs(coarse).max(axis=1)) / (BLEND_MID * recipe.mid_radius_m)
    coarse = coarse[stream.random(len(coarse)) < inset]
    at = np.concatenate([fine, coarse])
    size = np.concatenate([law.draw(stream, len(fine)), larger.draw(stream, len(coarse))])
    return at[:, 0], at[:, 1], size


def _rotations(stream: np.random.Generator, count: int) -> np.ndarray:
    """Rotations that leave the short axis near the vertical: any heading, tilts of about 25°; shape [N, 3, 3]."""
    heading = stream.uniform(0.0, 2.0 * np.pi, count)
    tilt = np.radians(25.0) * stream.standard_normal(count)
    toward = stream.uniform(0.0, 2.0 * np.pi, count)
    c, s = np.cos(tilt), np.sin(tilt)
    ax, ay = np.cos(toward), np.sin(toward)
    lean = np.empty((count, 3, 3))
    lean[:, 0] = np.column_stack([c + ax * ax * (1 - c), ax * ay * (1 - c), ay * s])
    lean[:, 1] = np.column_stack([ax * ay * (1 - c), c + ay * ay * (1 - c), -ax * s])
    lean[:, 2] = np.column_stack([-ay * s, ax * s, c])
    spin = np.zeros((count, 3, 3))
    spin[:, 0, 0] = spin[:, 1, 1] = np.cos(heading)
    spin[:, 1, 0] = np.sin(heading)
    spin[:, 0, 1] = -spin[:, 1, 0]
    spin[:, 2, 2] = 1.0
    return lean @ spin


def _stone(stream: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw a faceted stone of unit size about the origin: vertices [V, 3], outward triangles [2 V - 4, 3]."""
    count = int(stream.integers(_VERTICES[0], _VERTICES[1] + 1))
    directions = stream.standard_normal((count, 3))
    for _ in range(12):  # spread them, so that no facet is a needle
        gap = directions[:, None] - directions[None]
        push = gap / np.maximum((gap**2).sum(axis=-1, keepdims=True), 1e-3) ** 1.5
        directions = directions + 0.05 * push.sum(axis=1)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    hull = ConvexHull(directions)
    used = np.unique(hull.simplices)
    triangles = np.searchsorted(used, hull.simplices)
    vertices = directions[used] * stream.uniform(0.78, 1.0, (used.size, 1))
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a + b + c) < 0.0
    triangles[inward] = triangles[inward][:, [0, 2, 1]]
    extent = max(np.ptp(vertices[:, 0]), np.ptp(vertices[:, 1]))
    return vertices / extent, triangles
