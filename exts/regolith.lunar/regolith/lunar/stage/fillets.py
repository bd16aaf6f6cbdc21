"""Fillets: the regolith banked against the foot of rocks.

Impacts throw soil against rocks until it rests there as a fillet, on lunar photographs up to a quarter of the exposed
height and highest on the steeper or uphill sides (Swann et al. 1972, in Apollo 15 Preliminary Science Report, 5-72).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regolith.lunar.params.scene import RockParams
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.rocks import RockField
from regolith.lunar.stage.spec import rng

if TYPE_CHECKING:
    from regolith.lunar.stage.terrain import Terrain

_SPACING_M = 0.015  # of a fillet's vertices near the scene centre, that of the finest ground
_NEAR_M = 6.0  # from the scene centre the spacing grows with the distance
_SINK_M = 0.004  # how far a fillet's rim dips below the ground
_SIDES = 48
_VERTICES = 2562  # of a rock looked at: those of its 5120 triangle level, the first ones of every finer level


def bank_fillets(rocks: RockField, terrain: Terrain, params: RockParams, seed: int) -> TriMesh:
    """Bank regolith against the rocks of the working area that are seen larger than their coarsest level of detail.

    A fillet is a ring that follows the rock's outline at the ground, starts inside the rock and runs out under the
    ground's own surface; its height varies around the rock.

    Args:
        rocks: Rocks of the scene.
        terrain: Ground with its micro-relief; without micro-relief there are no fillets.
        params: Height of the fillets.
        seed: Seed of the scene's geometry.

    Returns:
        All fillets as one mesh in the world frame; without triangles where there are none.
    """
    rings: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    lifts: list[np.ndarray] = []
    count = 0
    banked = _banked(rocks, terrain) if params.fillet > 0.0 else np.zeros(0, np.int64)
    for index, points, above in zip(banked, *_skins(rocks, terrain, banked), strict=True):
        random = rng(seed, "fillet", int(index))
        height = params.fillet * float(above.max())
        outline = _outline(points[:, :2] - rocks.position[index, :2], above, height)
        if outline is None:
            continue
        spacing = _SPACING_M * max(1.0, float(np.hypot(*rocks.position[index, :2])) / _NEAR_M)
        xy, lift = _ring(outline, height, spacing, random)
        rings.append(xy.reshape(-1, 2) + rocks.position[index, :2])
        lifts.append(lift.ravel())
        faces.append(_ring_faces(*lift.shape) + count)
        count += lift.size
    if not rings:
        return TriMesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    xy = np.concatenate(rings)
    z = terrain.height(xy[:, 0], xy[:, 1]) + np.concatenate(lifts)
    return TriMesh(np.column_stack([xy, z]).astype(np.float32), np.concatenate(faces).astype(np.int32))


def _banked(rocks: RockField, terrain: Terrain) -> np.ndarray:
    """Rocks with a fillet: in the working area, seen larger than their coarsest level, where there is relief."""
    half = np.array([terrain.grid.half_x, terrain.grid.half_y])
    inside = (np.abs(rocks.position[:, :2]) + rocks.diameter[:, None] < half).all(axis=1)
    return np.flatnonzero(inside & (rocks.lod > 0) & (terrain.recipe is not None))


def _skins(rocks: RockField, terrain: Terrain, banked: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Points of rocks [m], shape [V, 3] each, and their heights over the ground [m], shape [V] each."""
    if len(banked) == 0:
        return [], []
    skins = [rocks.points(int(index), _VERTICES) for index in banked]
    x, y, z = np.concatenate(skins).T
    return skins, np.split(z - terrain.height(x, y), np.cumsum([len(skin) for skin in skins[:-1]]))


def _outline(xy: np.ndarray, above: np.ndarray, height: float) -> np.ndarray | None:
    """Distance of a rock's skin from its origin where the fillet meets it, by side.

    Args:
        xy: Vertices from the origin [m], shape [V, 2].
        above: Their height over the ground [m], shape [V].
        height: Mean height of the fillet [m].

    Returns:
        Shape [sides]; None for a rock below the ground or too coarse to tell.
    """
    if height <= 0.0:
        return None
    band = np.abs(above - 0.6 * height) < max(0.9 * height, np.partition(np.abs(above - 0.6 * height), 24)[24])
    side = (np.arctan2(xy[band, 1], xy[band, 0]) / (2.0 * np.pi) % 1.0 * _SIDES).astype(int) % _SIDES
    total, count = np.zeros(_SIDES), np.bincount(side, minlength=_SIDES)
    np.add.at(total, side, np.hypot(xy[band, 0], xy[band, 1]))
    known = np.flatnonzero(count)
    if len(known) < 8:
        return None
    reach = np.interp(np.arange(_SIDES), known, total[known] / count[known], period=_SIDES)
    return (np.roll(reach, 1) + 2.0 * reach + np.roll(reach, -1)) / 4.0


def _ring(
    outline: np.ndarray, height: float, spacing: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Places from the rock's origin [m], shape [rows, sides, 2], and height over the ground [m], [rows, sides].

    From its rim the fillet rises to the rock in a concave slope of 20–30° at the top, and on under the rock's skin.
    """
    sides = int(np.clip(2.0 * np.pi * 1.15 * outline.mean() / spacing, 20, 240))
    turn = np.arange(sides) / sides
    reach = np.interp(turn * _SIDES, np.arange(_SIDES), outline, period=_SIDES)
    swell = np.ones(sides)
    for wave in (1, 2, 3, 5):
        swell += 0.42 / wave**0.7 * random.normal() * np.cos(2.0 * np.pi * (wave * turn + random.random()))
    bank = height * np.clip(swell, 0.05, 1.8)
    width = 2.0 * bank / np.tan(np.radians(random.uniform(20.0, 30.0))) + 0.1 * height
    rows = int(np.clip((0.2 * outline.mean() + width.mean()) / spacing, 6, 32))
    radius = 0.8 * reach + np.linspace(0.0, 1.0, rows)[:, None] * (0.2 * reach + width)
    out = (radius - reach) / width
    lift = np.where(out > 0.0, bank * (1.0 - out) ** 2, bank * np.minimum(1.0 - 2.0 * out, 1.3))
    lift -= (_SINK_M + 0.03 * height) * np.clip(out, 0.0, 1.0) ** 2
    angle = 2.0 * np.pi * turn
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1), lift


def _ring_faces(rows: int, sides: int) -> np.ndarray:
    """Triangles of a closed ring of vertices row by row from the inside, seen from above."""
    side = np.arange(sides)
    row = sides * np.arange(rows - 1)[:, None]
    a, b = (row + side).ravel(), (row + (side + 1) % sides).ravel()
    c, d = a + sides, b + sides
    return np.concatenate([np.stack([a, c, d], axis=1), np.stack([a, d, b], axis=1)])
