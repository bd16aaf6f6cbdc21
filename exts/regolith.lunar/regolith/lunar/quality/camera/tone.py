"""Gamma and film from exposures of one still scene whose steps are known.

With the curve g and k times the light, a saved value z becomes g(k g⁻¹(z)): the comparametric equation (Mann & Picard
1995, On being 'undigital' with digital cameras; Debevec & Malik 1997). The darker of two pictures is foretold from the
brighter, whose noise is smaller for its light.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import scipy

from regolith.lunar.params import InputError
from regolith.lunar.quality.camera.found import Found, Status, unknown
from regolith.lunar.quality.camera.photographs import Photograph
from regolith.lunar.quality.camera.response import Curve
from regolith.lunar.render.film import Encoding
from regolith.lunar.stage.spec import rng

BINS = 48
"""Levels of brightness that are told apart."""
TILES, DRAWS = 6, 40
"""Tiles along a side, and bootstrap draws of tiles: pixels side by side are not independent."""
DARKEST, BRIGHTEST = 0.04, 0.96
"""Saved values that count: noise is not clipped there."""
PIXELS_MIN = 50
"""Fewest pixels of a level."""
GAMMA, FILM = (0.4, 2.5), (0.0, 1.0)
TELLING = 0.3
"""Widest interval of either that counts as identified."""


@dataclasses.dataclass(frozen=True)
class ToneFound:
    """What steps of exposure tell."""

    gamma: Found
    film: Found


@dataclasses.dataclass(frozen=True)
class _Pair:
    """Saved values of a darker picture by those of a brighter one, summed for each tile and level."""

    ratio: float
    """Light of the darker over that of the brighter."""
    sums: np.ndarray
    """Number, sum of brighter, sum of darker values, [3, tiles, BINS]."""


def _pair(bright: Photograph, dark: Photograph, ratio: float) -> _Pair:
    height, width = bright.saved.shape
    rows, columns = (np.arange(side) * TILES // side for side in (height, width))
    tile = (rows[:, None] * TILES + columns).ravel()
    x, y = bright.saved.ravel().astype(np.float64), dark.saved.ravel().astype(np.float64)
    counts = (x > DARKEST) & (x < BRIGHTEST)
    place = tile[counts] * BINS + (x[counts] * BINS).astype(int)
    size = TILES * TILES * BINS
    sums = [np.bincount(place, weights, size) for weights in (None, x[counts], y[counts])]
    return _Pair(ratio, np.stack(sums).reshape(3, TILES * TILES, BINS))


def find_tone(stack: Sequence[Photograph], steps_ev: Sequence[float], encoding: Encoding) -> ToneFound:
    """Gamma and film of exposures of one scene.

    Args:
        stack: Pictures of one size.
        steps_ev: Exposure of each, counted from any [EV].
        encoding: Transfer curve that is assumed: gamma is an exponent on it.

    Raises:
        InputError: The steps do not fit the pictures.
    """
    if len(steps_ev) != len(stack) or np.ptp(steps_ev) < 0.5:
        allowed = f"{len(stack)} numbers, one for each picture by name, that differ by 0.5 EV or more"
        raise InputError("bracket_ev", ",".join(f"{step:g}" for step in steps_ev), allowed)
    order = np.argsort(steps_ev)
    pairs = [
        _pair(stack[j], stack[i], 2.0 ** (steps_ev[i] - steps_ev[j]))
        for i, j in itertools.pairwise(order)
        if steps_ev[j] > steps_ev[i]
    ]
    whole = _fit(pairs, np.ones(TILES * TILES), encoding)
    if whole is None:
        note = "the exposures share too few levels of brightness"
        return ToneFound(unknown(note), unknown(note))
    random = rng(0, "tone")
    drawn = [random.multinomial(TILES**2, np.full(TILES**2, TILES**-2.0)).astype(float) for _ in range(DRAWS)]
    found = np.array([fit for weights in drawn if (fit := _fit(pairs, weights, encoding)) is not None])
    half = 2.0 * found.std(axis=0, ddof=1) + (0.01, 0.02)
    note = f"{len(stack)} exposures of one scene, on the {encoding} curve"
    rows = []
    for value, each in zip(whole.tolist(), half.tolist(), strict=True):
        status: Status = "identified" if each <= TELLING / 2 else "bound"
        rows.append(Found(status, note, value, (value - each, value + each), len(stack)))
    return ToneFound(*rows)


def _fit(pairs: Sequence[_Pair], weights: np.ndarray, encoding: Encoding) -> np.ndarray | None:
    """Gamma and film of tiles weighed so, float [2]; None where too few levels are shared."""
    rows = []
    for pair in pairs:
        number, bright, dark = np.tensordot(weights, pair.sums, (0, 1))
        there = number >= PIXELS_MIN
        x, y = bright[there] / number[there], dark[there] / number[there]
        kept = (y > DARKEST) & (y < BRIGHTEST)
        rows.append(np.stack([x[kept], y[kept], np.full(kept.sum(), pair.ratio)]))
    x, y, ratio = np.concatenate(rows, axis=1)
    if len(x) < 2 * len(GAMMA) + 2:
        return None

    def residual(at: np.ndarray) -> np.ndarray:  # film counted from 1: steps of the derivative are relative
        curve = Curve(encoding, float(at[0]), float(at[1]) - 1.0)
        return curve.encode(ratio * curve.decode(x)) - y

    bounds = ([GAMMA[0], 1.0 + FILM[0]], [GAMMA[1], 1.0 + FILM[1]])
    starts = [scipy.optimize.least_squares(residual, start, bounds=bounds, loss="soft_l1", f_scale=0.01, diff_step=1e-3)
              for start in ((1.0, 1.2), (1.0, 1.8))]  # fmt: skip
    return min(starts, key=lambda done: done.cost).x - (0.0, 1.0)
