"""How far two sets of points are apart, in metres, and what that is worth beside two sets of real ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy

from regolith.lunar.machine import cores, install_command
from regolith.lunar.params import InputError

EXACT_MAX = 10_000
"""Most points of which the Earth Mover's Distance is computed exactly: 18 s of a core, some 200 MB."""
DIRECTIONS = 50
"""Directions the sliced distance projects on."""
QUANTILES = 100
"""Values of a projection by which many sets are compared with many."""
PIVOTS_MAX = 10_000_000
"""Most steps of the exact solver; 10,000 points of no order take some 300,000."""

THREADS_FROM = 100_000
"""Points above which neighbours are looked for on every core; with fewer, threads cost more than they save."""

Method = Literal["exact", "sliced"]


class Distances(NamedTuple):
    """Both distances of two sets of points."""

    chamfer: float
    """[m]"""
    emd: float
    """Earth Mover's Distance [m]."""


def method_of(count: int) -> Method:
    """How the Earth Mover's Distance of two sets of so many points is computed."""
    return "exact" if count <= EXACT_MAX else "sliced"


def distances(a: np.ndarray, b: np.ndarray) -> Distances:
    """Both distances of two sets of points [m], shape [N, 3] and [M, 3]; above `EXACT_MAX` of equally many."""
    return Distances(chamfer(a, b), earth_movers(a, b))


def chamfer(a: np.ndarray, b: np.ndarray) -> float:
    """Symmetric Chamfer distance: mean distance to the nearest point of the other set, both ways averaged.

    Distances are not squared, as in Fan, Su, Guibas, "A Point Set Generation Network" (CVPR 2017), eq. 1, they are.

    Args:
        a: Points [m], shape [N, 3], N at least 1.
        b: Points [m], shape [M, 3], M at least 1.

    Returns:
        Distance [m].
    """
    workers = cores() if len(a) + len(b) > THREADS_FROM else 1
    there = scipy.spatial.KDTree(b).query(a, workers=workers)[0]
    back = scipy.spatial.KDTree(a).query(b, workers=workers)[0]
    return 0.5 * (float(np.mean(there)) + float(np.mean(back)))


def earth_movers(a: np.ndarray, b: np.ndarray, method: Method | None = None) -> float:
    """Earth Mover's Distance: how far points travel in the mean where one set becomes the other, at the least.

    It is the 1-Wasserstein distance of the two sets as equal weights (Rubner, Tomasi, Guibas 2000), and falls as N
    grows, even between two samples of one surface.

    Args:
        a: Points [m], shape [N, 3], N at least 1.
        b: Points [m], shape [M, 3]; M is N where the distance is sliced.
        method: `exact` is a linear program (network simplex, POT); `sliced` see there. Left out, by `method_of`.

    Returns:
        Distance [m].

    Raises:
        InputError: See `exact_solver`.
        ValueError: Sliced, the sets differ in size; or the exact solver stopped before it was done.
    """
    if (method or method_of(max(len(a), len(b)))) == "sliced":
        return sliced(a, b)
    cost, log = exact_solver()(a, b, metric="euclidean", numItermax=PIVOTS_MAX, log=True, return_matrix=False)
    if log["warning"] is not None:
        raise ValueError(f"exact Earth Mover's Distance of {len(a)} points: {log['warning']}")
    return float(cost)


def exact_solver() -> Callable[..., Any]:
    """POT's solver of the exact distance, for which no matrix of costs is held.

    Raises:
        InputError: POT is not installed, or older than 0.9.7, which brought it.
    """
    for library in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{library}", "1")  # else importing POT imports them
    try:
        from ot.lp import emd2_lazy
    except ImportError:
        raise InputError("quality", "POT", f"POT 0.9.7 or later: {install_command('quality')}") from None
    return emd2_lazy


def sliced(a: np.ndarray, b: np.ndarray) -> float:
    """Sliced Earth Mover's Distance, scaled to be the exact one where one set is the other moved.

    Points are projected on directions spread evenly over the half sphere; on a line the distance is that of the
    sorted values (Rabin et al. 2011). The mean over directions is divided by the mean length of a unit vector's
    projection, 1/2 (Archimedes), so that it never exceeds the exact distance but by the unevenness of the directions.

    Args:
        a: Points [m], shape [N, 3].
        b: Points [m], shape [N, 3].

    Returns:
        Distance [m].

    Raises:
        ValueError: The sets differ in size.
    """
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} against {len(b)} points, should be equally many")
    total = 0.0
    for direction in _directions(DIRECTIONS):  # one at a time: memory is that of a few columns
        total += float(np.abs(np.sort(a @ direction) - np.sort(b @ direction)).mean())
    return total / DIRECTIONS / 0.5


def _directions(count: int) -> np.ndarray:
    """Unit vectors on the half sphere z > 0 by the golden angle, each for an equal area, float64 [count, 3]."""
    number = np.arange(count)
    z = (number + 0.5) / count
    angle = number * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def sliced_all(sets: Sequence[np.ndarray]) -> np.ndarray:
    """Sliced distance of every set of points to every other [m], float64 [len(sets), len(sets)].

    Sets of any size; on each direction they are compared by `QUANTILES` of theirs.
    """
    values = np.stack([_quantiles(points) for points in sets])
    return np.stack([np.abs(values - one).mean(axis=(1, 2)) for one in values]) / 0.5


def _quantiles(points: np.ndarray) -> np.ndarray:
    """Values at `QUANTILES` equal steps of a set's projection on each direction, float64 [QUANTILES, DIRECTIONS]."""
    steps = ((np.arange(QUANTILES) + 0.5) / QUANTILES * len(points)).astype(np.int64)
    return np.sort(points @ _directions(DIRECTIONS).T, axis=0)[steps]


def nearest(
    queries: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    coarse: np.ndarray,
    allowed: np.ndarray,
    most: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Distances of sets of points to the nearest of other sets.

    The nearest is found by the sliced distance among `most` of the allowed ones, drawn anew for each: the nearest of
    many is nearer than the nearest of few, so what is compared must be drawn from equally many.

    Args:
        queries: Sets of points [m], shape [N, 3] each.
        others: Sets they are compared with, likewise.
        coarse: Sliced distance of each to each of the others [m], shape [len(queries), len(others)].
        allowed: Which of the others each may meet, bool [len(queries), len(others)]; at least `most` each.
        most: Candidates of each.
        generator: Draws them.

    Returns:
        Chamfer and Earth Mover's Distance [m] of each to its nearest, float64 [len(queries), 2].
    """
    found = []
    for number, points in enumerate(queries):
        candidates = generator.permutation(np.flatnonzero(allowed[number]))[:most]
        found.append(distances(points, others[int(candidates[coarse[number, candidates].argmin()])]))
    return np.array(found)


def closeness(distance: float, expected: float) -> float:
    """What a distance is worth in [0, 1]: 1 up to what is expected of real against real, half of it at twice that.

    Args:
        distance: Synthetic against real [m].
        expected: Real against real at the same number of points [m].
    """
    return 1.0 if distance <= expected else expected / distance


def variety(own: float, expected: float) -> float:
    """How like two spreads are, in [0, 1]: the smaller by the larger.

    Closeness alone favours the plain: flat ground lies nearer to each piece of rough ground than these to each other.

    Args:
        own: Synthetic against other synthetic [m].
        expected: Real against other real [m].
    """
    return 1.0 if own == expected else min(own, expected) / max(own, expected)
