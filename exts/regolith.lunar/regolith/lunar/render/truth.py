"""Shadow, crater, slope and hazard at the pixels' centres: from what is seen there, by more rays. Pure numpy.

Slope and step are of the topmost surface of ground and rocks over a disc about the point, the rover not counted: the
plane that fits the heights at `DISC` best (least squares), and the highest minus the lowest of them off that plane, as
grids of a rover's footprint are judged by their plane and their residuals (Goldberg, Maimone & Matthies 2002, Stereo
Vision and Rover Navigation Software for Planetary Exploration, IEEE Aerospace). Off the plane, so that even slopes are
no steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Set

import numpy as np
from pxr import Usd

from regolith.lunar.labels import IGNORE, SKY
from regolith.lunar.render.scene import CompiledScene, Labels, check_wanted
from regolith.lunar.render.shading import EPSILON_M
from regolith.lunar.render.view import View
from regolith.lunar.stage.craters import interiors
from regolith.lunar.stage.truth import (
    CAST,
    LIT,
    SELF,
    STEEP,
    STEPPED,
    Footprint,
    read_craters,
    read_footprint,
    steep_ground,
)

RINGS = ((0, 1), (1, 6), (2, 12), (3, 18))
"""Circles of the disc: radius in thirds of its own, points on it."""

CHUNK = 1 << 15
"""Pixels whose discs are traced at once."""


def _disc() -> np.ndarray:
    turns = [(radius / 3.0, 2.0 * np.pi * np.arange(count) / count) for radius, count in RINGS]
    return np.concatenate([radius * np.stack([np.cos(turn), np.sin(turn)], axis=1) for radius, turn in turns])


DISC = _disc()
"""Where a disc's heights are taken, in its radii: the centre, and 6, 12 and 18 points on circles of a third, two thirds
and all of it, the first of each at +X; shape [37, 2]."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Which of these outputs are asked for, and what the stage has for them."""

    names: frozenset[str]
    craters: np.ndarray | None
    """`CRATER_DTYPE`; None where crater is not asked for."""
    footprint: Footprint | None
    """None where neither slope nor hazard is."""


def read_wanted(stage: Usd.Stage, names: Set[str]) -> Wanted:
    """Read what outputs need off the stage.

    Raises:
        InputError: The stage does not have it.
    """
    craters = read_craters(stage) if "crater" in names else None
    return Wanted(frozenset(names), craters, read_footprint(stage) if names & {"slope", "hazard"} else None)


def draw_truths(
    scene: CompiledScene, view: View, found: Labels, wanted: Wanted, *, stop: Callable[[], bool] | None = None
) -> dict[str, np.ndarray]:
    """Draw the outputs asked for.

    Args:
        scene: The compiled stage.
        view: Camera and sun.
        found: What the rays through the pixels' centres meet.
        wanted: What to draw.
        stop: Asked now and then whether to give the picture up.

    Returns:
        By name, each of shape [H, W]: shadow uint8, `LIT`, `CAST` or `SELF`; crater uint16, 1 + the number of the
        crater on the stage; slope float32 [deg]; hazard uint8, `STEEP` + `STEPPED`. On sky and where the mask ignores
        255, 0, NaN, 255.

    Raises:
        StoppedError: `stop` returned true.
    """
    if not wanted.names:
        return {}
    height, width = found.mask.shape
    known = (found.mask != SKY) & (found.mask != IGNORE)
    row, column = np.nonzero(known)
    direction = view.camera.rays(column + 0.5, row + 0.5, width, height).astype(np.float64)
    points = view.camera.origin + direction * found.depth[known][:, None]
    arrays: dict[str, np.ndarray] = {}

    def put(name: str, values: np.ndarray, other: float, kind: type) -> None:
        arrays[name] = np.full(known.shape, other, kind)
        arrays[name][known] = values

    if "shadow" in wanted.names:
        put("shadow", shadows(scene, points, found.normals[known], view.sun.direction), IGNORE, np.uint8)
    if wanted.craters is not None:
        put("crater", interiors(points[:, :2], wanted.craters), 0, np.uint16)
    if wanted.footprint is not None:
        parts = [np.empty((2, 0), np.float32)]
        for start in range(0, len(points), CHUNK):
            check_wanted(stop)
            parts.append(footing(scene, points[start : start + CHUNK], wanted.footprint.radius_m))
        slope, step = np.concatenate(parts, axis=1)
        put("slope", slope, np.nan, np.float32)
        put("hazard", hazards(slope, step, wanted.footprint), IGNORE, np.uint8)
    return {name: arrays[name] for name in wanted.names}


def shadows(scene: CompiledScene, points: np.ndarray, normals: np.ndarray, sun: np.ndarray) -> np.ndarray:
    """Tell lit from shaded facets by one ray to the centre of the sun each.

    Args:
        scene: The compiled stage.
        points: Points on it [m], shape [N, 3].
        normals: Geometric normals there, shape [N, 3].
        sun: Unit vector to the sun, shape [3].

    Returns:
        `LIT`, `CAST` or `SELF`, uint8, shape [N].
    """
    normals = normals.astype(np.float64)
    shadow = np.full(len(points), SELF, np.uint8)
    facing = normals[:, 0] * sun[0] + normals[:, 1] * sun[1] + normals[:, 2] * sun[2] > 0.0
    lift = EPSILON_M * (1.0 + 0.02 * np.abs(points).max(axis=1, initial=0.0))
    starts = points + normals * lift[:, None]
    shadow[facing] = np.where(scene.blocked(starts[facing], sun), CAST, LIT)
    return shadow


def footing(scene: CompiledScene, points: np.ndarray, radius_m: float) -> np.ndarray:
    """Slope [deg] and step [m] of the ground about points, float32, shape [2, N].

    Places of the disc over nothing, beyond the ground's end, are left out.

    Args:
        scene: The compiled stage.
        points: Points on it [m], shape [N, 3].
        radius_m: Radius of the disc [m].
    """
    at = radius_m * DISC[:, None] + points[:, :2]  # place by place: neighbours' rays lie side by side
    z = scene.heights(at.reshape(-1, 2)).reshape(len(DISC), len(points)) - points[:, 2]
    z[0] = np.maximum(z[0], 0.0)  # the point itself, whatever a ray along an edge misses
    met = np.isfinite(z)
    z = np.where(met, z, 0.0)
    n, sx, sy, sxx, sxy, syy, sz, sxz, syz = np.zeros((9, len(points)))
    for (x, y), w, h in zip(DISC.tolist(), met, z, strict=True):  # no matrix product: its rounding hangs on threads
        n, sx, sy = n + w, sx + x * w, sy + y * w
        sxx, sxy, syy = sxx + x * x * w, sxy + x * y * w, syy + y * y * w
        sz, sxz, syz = sz + h, sxz + x * h, syz + y * h
    sxx, sxy, syy, sxz, syz = (
        sxx - sx * sx / n,
        sxy - sx * sy / n,
        syy - sy * sy / n,
        sxz - sx * sz / n,
        syz - sy * sz / n,
    )
    det = sxx * syy - sxy * sxy + 1e-9
    gx, gy = (syy * sxz - sxy * syz) / det, (sxx * syz - sxy * sxz) / det
    off = z - gx * DISC[:, :1] - gy * DISC[:, 1:]
    step = np.where(met, off, -np.inf).max(axis=0) - np.where(met, off, np.inf).min(axis=0)
    slope = np.degrees(np.arctan(np.hypot(gx, gy) / radius_m))
    return np.stack([slope, step]).astype(np.float32)


def hazards(slope: np.ndarray, step: np.ndarray, footprint: Footprint) -> np.ndarray:
    """Hazards of slopes [deg] and steps [m], uint8: `STEEP` + `STEPPED`."""
    steep, stepped = steep_ground(slope, footprint.slope_deg), step > np.float32(footprint.step_m)
    return (STEEP * steep + STEPPED * stepped).astype(np.uint8)
