"""Hard-core spacing: places for discs of many sizes such that no two overlap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import KDTree

ATTEMPTS = 48
"""Draws of a place before a disc is left out."""


def space_out(radius: np.ndarray, draw: Callable[[np.ndarray, int], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Place discs from large to small, drawing anew those that overlap one already placed.

    Discs are taken in classes of one octave of size, so that every neighbour search has a short reach.

    Args:
        radius: Radii [m], shape [N], in descending order.
        draw: Called with the numbers of discs, shape [K], and the attempt; returns places [m], shape [K, 2].

    Returns:
        Places [m], shape [N, 2], and which discs found one, bool, shape [N].
    """
    xy = np.zeros((len(radius), 2))
    kept = np.zeros(len(radius), bool)
    octave = np.floor(np.log2(radius[0] / radius)).astype(int) if len(radius) else np.zeros(0, int)
    larger: list[tuple[KDTree, np.ndarray]] = []
    for level in np.unique(octave):
        open_ = np.flatnonzero(octave == level)
        members = open_
        for attempt in range(ATTEMPTS):
            xy[open_] = draw(open_, attempt)
            clear = open_[~_hits(xy[open_], radius[open_], larger)]
            clear = clear[~_hits_own(xy, radius, members[kept[members]], clear)]
            kept[clear] = True
            open_ = open_[~kept[open_]]
            if len(open_) == 0:
                break
        placed = members[kept[members]]
        if len(placed):
            larger.append((KDTree(xy[placed]), radius[placed]))
    return xy, kept


def _hits(xy: np.ndarray, radius: np.ndarray, larger: list[tuple[KDTree, np.ndarray]]) -> np.ndarray:
    """Which discs overlap a disc of a larger class, bool, shape [K]."""
    hit = np.zeros(len(xy), bool)
    if len(xy) == 0:
        return hit
    own = KDTree(xy)
    for tree, other in larger:
        near = own.sparse_distance_matrix(tree, radius.max() + other.max(), output_type="ndarray")
        touching = near["v"] < radius[near["i"]] + other[near["j"]]
        hit[near["i"][touching]] = True
    return hit


def _hits_own(xy: np.ndarray, radius: np.ndarray, placed: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Which new discs overlap one placed before or a new one of lower number in their class, bool, shape [K]."""
    hit = np.zeros(len(new), bool)
    if len(new) == 0:
        return hit
    number = np.concatenate([placed, new])
    pairs = KDTree(xy[number]).query_pairs(2.0 * float(radius[number].max()), output_type="ndarray")
    if len(pairs) == 0:
        return hit
    gap = np.linalg.norm(xy[number[pairs[:, 0]]] - xy[number[pairs[:, 1]]], axis=1)
    pairs = pairs[gap < radius[number].take(pairs).sum(axis=1)]
    later = pairs.max(axis=1) - len(placed)
    hit[later[later >= 0]] = True
    return hit
