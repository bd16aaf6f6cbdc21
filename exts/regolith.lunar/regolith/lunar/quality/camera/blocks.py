"""Noise of saved values by brightness: from flat blocks of single pictures, or from repeated exposures.

Single pictures (after Ponomarenko et al. 2007, "An automatic approach to lossy compression of AVIRIS images"): blocks
of 8 × 8 px under the orthonormal DCT, in which white noise has the same variance in every coefficient and is
independent between them. Of blocks of one brightness those are taken that have the least energy in the low
coefficients; the noise is the energy of their highest, which the choice did not look at and so does not bias. Texture
falls off towards high frequencies, noise does not: the coefficients between tell one from the other.

Repeated exposures of a still scene (EMVA 1288, release 4.0): the variance of each pixel over time, whatever the
texture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy

from regolith.lunar.quality.camera.photographs import Photograph

SIDE = 8
_ORDER = np.add.outer(np.arange(SIDE), np.arange(SIDE))
LOW = (_ORDER >= 1) & (_ORDER <= 4)
"""Coefficients by which flat blocks are chosen."""
BETWEEN = (_ORDER >= 8) & (_ORDER <= 10)
"""Coefficients that show texture which the highest would still have."""
HIGH = _ORDER >= 11
"""Coefficients that the noise is taken from."""
BINS = 64
"""Levels of brightness that are told apart."""
SHARES = (1.0, 0.5, 0.25, 0.1, 0.05)
"""Shares of the blocks of a level, flattest first, that are tried."""
BLOCKS_MIN, LEVEL_BLOCKS_MIN = 200, 8
"""Fewest blocks that tell anything: of all levels, of one."""
CLIPPED_MAX = 0.25
"""Largest share of black or white pixels in a block; noise alone must not decide whether a block counts."""
UNEVEN_MAX = 4.0 / BINS
"""Largest standard deviation over a block, of single pictures by its low coefficients: more is several levels."""
EXCESS_MAX = 0.1
"""Largest excess of the coefficients between over the highest at which the noise counts as white."""
OUTLIER_P = 1e-4
"""Blocks less likely than this for their level's noise are left out: edges, hot pixels."""
LARGEST_STEP = 2.0
"""Largest step of a JPEG's quantization of the highest coefficients that noise is measured through."""


@dataclasses.dataclass(frozen=True)
class Levels:
    """Variance of saved values by brightness, K levels."""

    saved: np.ndarray
    """Mean saved value, 0 … 1, [K]."""
    variance: np.ndarray
    """Of saved values, [K]; rounding to steps included, JPEG's taken off."""
    freedom: np.ndarray
    """Degrees of freedom of each variance, [K]."""
    most: np.ndarray
    """What it is at most, were the noise not white: [K]."""
    white: float
    """Steps from black to white."""
    excess: float = 0.0
    """Variance at the frequencies between over that at the highest, less 1; 0 for repeated exposures."""


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Blocks of a picture, n of them."""

    saved: np.ndarray
    """Mean saved value, [n]."""
    low: np.ndarray
    """Mean energy of the coefficients `LOW`, what JPEG's steps add taken off, [n]."""
    between: np.ndarray
    """The same of `BETWEEN`."""
    high: np.ndarray
    """The same of `HIGH`."""
    whole: np.ndarray
    """The same of all coefficients but the mean, [n]."""
    white: float
    """Steps from black to white."""


def flat_levels(parts: Sequence[Blocks | None]) -> Levels | str:
    """Variance by brightness of single pictures of one camera.

    Args:
        parts: Blocks of each picture; None of one whose compression took the noise away.

    Returns:
        The levels, at the largest share of blocks whose noise is white; where none is, at the whitest. Or in words why
        there are none.
    """
    usable = [part for part in parts if part is not None]
    if not usable:
        return f"JPEG has taken the noise away in all {len(parts)} pictures"
    if len({part.white for part in usable}) > 1:
        return "the pictures are of several bit depths"
    columns = ([getattr(part, name) for part in usable] for name in ("saved", "low", "between", "high", "whole"))
    blocks = Blocks(*map(np.concatenate, columns), white=usable[0].white)
    best: Levels | None = None
    for share in SHARES:
        levels = _levels(blocks, share)
        if levels is None:
            break
        if best is None or levels.excess < best.excess:
            best = levels
        significance = 3.0 * np.sqrt(2.0 / levels.freedom.sum())
        if levels.excess <= 0.02 + significance:
            return levels
    return best or f"fewer than {BLOCKS_MIN} blocks of {SIDE} × {SIDE} px that are neither black nor white"


def _cut(array: np.ndarray) -> np.ndarray:
    """Whole blocks of an array [H, W] from its upper left corner, [n, SIDE, SIDE]."""
    rows, columns = (side // SIDE for side in array.shape)
    whole = array[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    return whole.swapaxes(1, 2).reshape(-1, SIDE, SIDE)


def measure_blocks(photo: Photograph) -> Blocks | None:
    """Measure the blocks of a picture; None where JPEG's steps took the noise away."""
    if photo.steps is not None and photo.steps[HIGH].max() > LARGEST_STEP:
        return None
    whole = _cut(photo.saved)[_cut(photo.clipped).mean(axis=(1, 2)) <= CLIPPED_MAX].astype(np.float64)
    energy = np.asarray(scipy.fft.dctn(whole, axes=(1, 2), norm="ortho")) ** 2
    steps = np.zeros((SIDE, SIDE)) if photo.steps is None else photo.steps
    parts = (LOW, BETWEEN, HIGH, _ORDER > 0)
    taken = [(energy[:, part] - (steps[part] / photo.white) ** 2 / 12.0).mean(axis=1) for part in parts]
    return Blocks(whole.mean(axis=(1, 2)), *taken, white=photo.white)


def _levels(blocks: Blocks, share: float) -> Levels | None:
    """Variance by brightness of a share of the blocks of each level; None where they are too few."""
    place = np.minimum((blocks.saved * BINS).astype(int), BINS - 1)
    place[blocks.low * LOW.sum() > (SIDE * UNEVEN_MAX) ** 2] = -1
    rows: list[tuple[float, ...]] = []
    count = int(HIGH.sum())
    for level in range(BINS):
        here = np.flatnonzero(place == level)
        most = np.median(blocks.whole[here]) if len(here) else 0.0
        here = here[np.argsort(blocks.low[here], kind="stable")[: int(np.ceil(share * len(here)))]]
        if len(here) < LEVEL_BLOCKS_MIN:
            continue
        here = here[_usual(blocks.high[here], count)]
        energies = (blocks.high[here].mean(), blocks.between[here].mean())
        rows.append((blocks.saved[here].mean(), *energies, most, len(here)))
    if not rows or sum(row[-1] for row in rows) < BLOCKS_MIN:
        return None
    saved, variance, between, mosts, number = np.array(rows).T
    weight = number / np.maximum(variance, 1e-12)  # each level by its own noise
    excess = float((weight * between).sum() / max((weight * variance).sum(), 1e-12) - 1.0)
    return Levels(saved, variance, number * count, mosts, blocks.white, excess)


def _usual(variances: np.ndarray, freedom: int) -> np.ndarray:
    """Which of a level's variances, of so many degrees of freedom each, are as likely as those of noise: bool [n]."""
    usual = np.median(variances) * freedom / scipy.stats.chi2.ppf(0.5, freedom)
    return variances <= usual * scipy.stats.chi2.isf(OUTLIER_P, freedom) / freedom


def repeated_levels(stack: Sequence[Photograph]) -> Levels:
    """Variance by brightness of repeated exposures of a still scene.

    Args:
        stack: At least two pictures of one size and bit depth.
    """
    saved = np.stack([photo.saved for photo in stack]).astype(np.float64)
    mean, variance = (_cut(values) for values in (saved.mean(axis=0), saved.var(axis=0, ddof=1)))
    even = (mean.std(axis=(1, 2)) <= UNEVEN_MAX) & (_cut(stack[0].clipped).mean(axis=(1, 2)) <= CLIPPED_MAX)
    level, spread = mean[even].mean(axis=(1, 2)), variance[even].mean(axis=(1, 2))
    place = np.minimum((level * BINS).astype(int), BINS - 1)
    each = SIDE * SIDE * (len(stack) - 1)
    rows = []
    for here in (np.flatnonzero(place == bin_) for bin_ in range(BINS)):
        if len(here) >= LEVEL_BLOCKS_MIN:
            kept = here[_usual(spread[here], each)]
            rows.append((level[kept].mean(), spread[kept].mean(), len(kept) * each))
    saved, variance, freedom = np.array(rows).reshape(-1, 3).T
    return Levels(saved, variance, freedom, variance, stack[0].white)


def joined_levels(parts: Sequence[Levels]) -> Levels:
    """Levels of several scenes of one camera together; those of its first bit depth."""
    columns = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("saved", "variance", "freedom", "most")
    )
    return Levels(*columns, white=parts[0].white)
