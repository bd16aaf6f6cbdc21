"""The relief of boulders that fill a picture: scars of pieces that broke off, joints, knobs and pits."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from regolith.lunar.params.scene import RockParams
from regolith.lunar.stage.solid import Noise, smooth, spread_directions

_SPALLS = 70
_SPALL_REACH = 0.55  # largest distance from a scar's middle over the distance from the rock's
_KNOB_OCTAVES = ((3.6, 1.0), (7.5, 0.75), (15.5, 0.48), (32.0, 0.3), (63.0, 0.17))
"""Knobs: waves per unit radius and share of the height; the finest are what a mesh of 327680 triangles holds."""

_KNOB_RMS = 0.46
"""RMS of the sum of the octaves (measured over 10 shapes)."""


def weather(points: np.ndarray, params: RockParams, random: np.random.Generator) -> np.ndarray:
    """Break, joint, roughen and pit a star-shaped surface.

    Args:
        points: Vertices, of about unit radius, shape [V, 3].
        params: What there is of each.
        random: Stream of the shape.

    Returns:
        Vertices on the same rays from the origin, shape [V, 3].
    """
    if params.fractures > 0.0:
        points = _spall(points, 2.0 * params.fractures, random)
        points = _joint(points, 2.0 * params.fractures, random)
    if params.relief > 0.0:
        points = points * (1.0 + 2.0 * params.relief * knobs(points, random))[:, None]
    if params.pits > 0:
        points = points * (1.0 - _pits(points, params.pits, random))[:, None]
    return points


def _spall(points: np.ndarray, depth: float, random: np.random.Generator) -> np.ndarray:
    """Cut planes a little below the surface: the scars of pieces that broke off."""
    radius = np.linalg.norm(points, axis=1)
    rays = points / radius[:, None]
    coarse = radius[:162]  # of every level: what is cut does not depend on the finest
    normals = spread_directions(_SPALLS, random, spread=False)
    around = _tree(rays).query_ball_point(normals, _SPALL_REACH)
    for normal, found in zip(normals, around, strict=True):
        here = coarse[np.argmax(rays[:162] @ normal)]
        tilted = normal + 0.25 * random.normal(size=3)
        tilted /= np.linalg.norm(tilted)
        plane = here * (tilted @ normal) * (1.0 - depth * random.uniform(0.3, 1.0))
        near = np.asarray(found)
        cosine = np.maximum(rays[near] @ tilted, 0.3)
        away = np.linalg.norm(rays[near] - normal, axis=1) / _SPALL_REACH
        least = radius[near] - 2.5 * depth * smooth(1.6 * (1.0 - away))  # a scar's border is no radial cliff
        radius[near] = np.minimum(radius[near], np.maximum(plane / cosine, least))
    return rays * radius[:, None]


def _joint(points: np.ndarray, depth: float, random: np.random.Generator) -> np.ndarray:
    """Open joints along three sets of nearly parallel planes, and shift the blocks between them a little."""
    noise = Noise(random)
    change = np.zeros(len(points))
    for number, normal in enumerate(np.linalg.qr(random.normal(size=(3, 3)))[0]):
        spacing = random.uniform(0.3, 0.75)
        at = (points @ normal + 0.05 * noise(2.3 * points + 7.0 * number)) / spacing + random.random()
        block = np.floor(at).astype(np.int64)
        shift = random.uniform(-0.5, 0.5, 64)[block % 64]
        across = (at - block) * spacing
        across = np.minimum(across, spacing - across)
        open_ = smooth(0.4 + 1.6 * noise(1.3 * points + 40.0 + 7.0 * number))
        change += depth * shift * smooth(across / 0.05)
        change -= 0.9 * depth * open_ * np.exp(-((across / 0.018) ** 2))
    return points * (1.0 + change)[:, None]


def knobs(points: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Knobs with creases between, rough here and smooth there, of about unit RMS, shape [V]."""
    noise = Noise(random)
    total = np.zeros(len(points))
    rough = 0.35 + 1.1 * smooth(0.5 + 0.9 * noise(1.6 * points + 91.0))
    for octave, (scale, share) in enumerate(_KNOB_OCTAVES):
        value = noise(scale * points + 17.0 * octave)
        billow = 2.0 * np.abs(value) - 0.45
        total += share * (billow if octave < 3 else 0.5 * billow + value)
    return total * rough / _KNOB_RMS


def _tree(points: np.ndarray) -> KDTree:
    return KDTree(points, balanced_tree=False, compact_nodes=False)


def _pits(points: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Relative depth of small pits, few large, many small, in swarms."""
    directions = points / np.linalg.norm(points, axis=1, keepdims=True)
    centers = spread_directions(3 * count, random, spread=False)
    crowd = Noise(random)(2.0 * centers)
    centers = centers[np.argsort(-crowd + 0.3 * random.normal(size=len(crowd)))[:count]]
    radius = np.minimum(0.011 * (1.0 + random.pareto(2.6, count)), 0.06)
    depth = np.zeros(len(directions))
    near = _tree(directions).query_ball_point(centers, radius)
    for center, size, index in zip(centers, radius, near, strict=True):
        if index:
            t = np.linalg.norm(directions[index] - center, axis=1) / size
            depth[index] = np.maximum(depth[index], 0.7 * size * (1.0 - smooth((t - 0.3) / 0.7)))
    return depth
