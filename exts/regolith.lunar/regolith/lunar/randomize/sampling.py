"""Even coverage: the points of a scrambled Sobol sequence, and how evenly a set of points lies."""

from __future__ import annotations

import functools
import itertools
from typing import Literal

import numpy as np

from regolith.lunar.stage.spec import rng

BLOCK = 256
"""Points made, and kept, at a time; consecutive numbers cost one look-up."""


def sobol_point(
    seed: int, split: str, kind: Literal["frame", "scene", "traverse"], number: int, dimensions: int
) -> np.ndarray:
    """Point `number` of the scrambled Sobol sequence of a split's frames, scenes or traverses.

    The sequence is that of Joe & Kuo (2008), as scipy has it, with Owen-type scrambling by a random linear matrix and
    a digital shift (Matoušek 1998). Every aligned run of 2^k points has each of 2^k equal slices of every axis exactly
    once. Another seed, split, kind or number of dimensions is another scrambling.

    Args:
        seed: Seed of the dataset.
        split: Split the values are drawn for.
        kind: What the points are of.
        number: Number of the point, from 0.
        dimensions: Number of axes, at least 1.

    Returns:
        Fractions in [0, 1), shape [dimensions], read-only.
    """
    block, row = divmod(number, BLOCK)
    return _sobol_block(seed, split, kind, block, dimensions)[row]


@functools.lru_cache(maxsize=64)  # holds no state but finished blocks: any order, any thread, any process
def _sobol_block(seed: int, split: str, kind: str, block: int, dimensions: int) -> np.ndarray:
    from scipy.stats import qmc  # takes a second to import, which a worker without Sobol draws saves

    sequence = qmc.Sobol(dimensions, scramble=True, rng=rng(seed, split, "sobol", kind))
    if block:
        sequence.fast_forward(block * BLOCK)
    points = sequence.random(BLOCK)
    points.flags.writeable = False
    return points


def centred_discrepancy(points: np.ndarray) -> float:
    """Squared centred L2 discrepancy (Hickernell 1998, Math. Comp. 67, 299) of points in the unit cube, [N, D]."""
    from scipy.stats import qmc

    return float(qmc.discrepancy(points, method="CD"))


def expected_discrepancy(count: int, dimensions: int) -> float:
    """Mean of `centred_discrepancy` over independent draws: ((5/4)^D − (13/12)^D) / N.

    With z the offset from the centre, E[1 + |z|/2 − z²/2] = E[1 + |x|/2 + |y|/2 − |x − y|/2] = 13/12 of independent
    uniform x, y, and E[1 + |z|] = 5/4 where a point meets itself; all other terms of the sum cancel.
    """
    return ((5 / 4) ** dimensions - (13 / 12) ** dimensions) / count


def pair_discrepancy(points: np.ndarray) -> float:
    """Mean `centred_discrepancy` of the projections of points [N, D] on each pair of axes; D is at least 2."""
    pairs = itertools.combinations(range(points.shape[1]), 2)
    return float(np.mean([centred_discrepancy(points[:, pair]) for pair in pairs]))
