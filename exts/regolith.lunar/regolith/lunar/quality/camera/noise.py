"""Photon transfer: electrons at full scale and read noise, from the variance of saved values by brightness.

`render.sensor.add_noise` gives a linear value y the variance y/F + (r/F)², F electrons at value 1 and r electrons of
read noise (Foi et al. 2008, Practical Poissonian-Gaussian noise modeling and fitting; EMVA 1288, release 4.0, section
2). What the curve, clipping and rounding then make of it is worked out by integrating over the noise, and not
linearised. F and r are those of the largest likelihood; mean squares of independent coefficients have the gamma
distribution of a χ². Intervals are of the profile likelihood (Venzon & Moolgavkar 1988), wider by the root of χ² per
degree of freedom where levels scatter more than that (Birge 1932).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import scipy

from regolith.lunar.quality.camera.blocks import EXCESS_MAX, Levels
from regolith.lunar.quality.camera.found import CONFIDENCE, Found, unknown
from regolith.lunar.quality.camera.response import Curve

FULL_SCALE_E = (50.0, 1e6)
"""Electrons at linear value 1 that are told apart: beyond, 8 bits show no noise."""
READ_NOISE_E = (0.0, FULL_SCALE_E[1])
STARTS_E, STARTS_SHARE = (0.0, 4.0, 12.0, 36.0, 108.0), (0.01, 0.03, 0.1)
"""Read noise that a fit begins with, in electrons and in parts of full scale."""
LEVELS_MIN = 4
"""Fewest levels of brightness that tell shot from read noise."""
SIGNAL_MIN = 2.5
"""Least level, and least distance from white, in standard deviations of the noise: beyond, clipping hides it."""
ROUNDING = 0.5
"""Least noise in steps of the saved values: below, rounding is not independent of it (Widrow & Kollár 2008)."""
RATIO_MAX = 2.0
"""Largest ratio of the ends of an interval, of the full scale or of read noise over it, that counts as identified."""
STEPS_EXACT = 1023.0
"""Most steps from black to white whose shares are worked out one by one; finer ones are taken for continuous, with the
variance that rounding adds (Widrow & Kollár 2008)."""
_NODES = np.linspace(-5.0, 5.0, 81)
_WEIGHTS = np.exp(-0.5 * _NODES**2)
_WEIGHTS /= _WEIGHTS.sum()


@dataclasses.dataclass(frozen=True)
class NoiseFound:
    """What the noise tells."""

    full_scale_e: Found
    """Electrons at linear value 1, at the gain the pictures were taken with."""
    read_noise_e: Found
    read_share: Found
    """Read noise over full scale, which is told where shot noise is too little to tell either."""


def moments(linear: np.ndarray, deviation: np.ndarray, curve: Curve, white: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of saved values of noisy linear ones: curve, clipping and rounding included.

    Args:
        linear: Linear values, float [K].
        deviation: Standard deviations of their noise, float [K].
        curve: Response.
        white: Steps from black to white.
    """
    if white > STEPS_EXACT:
        saved = curve.encode(linear[:, None] + deviation[:, None] * _NODES)
        mean = saved @ _WEIGHTS
        return mean, (saved - mean[:, None]) ** 2 @ _WEIGHTS + 1.0 / (12.0 * white**2)
    steps = np.arange(int(white) + 1) / white
    borders = curve.decode(steps[1:] - 0.5 / white)
    below = scipy.special.ndtr((borders - linear[:, None]) / deviation[:, None])
    share = np.diff(below, axis=1, prepend=0.0, append=1.0)
    mean = share @ steps
    return mean, share @ steps**2 - mean**2


def _deviation(linear: np.ndarray, full_scale_e: float, read_noise_e: float) -> np.ndarray:
    return np.sqrt(np.maximum(linear, 0.0) / full_scale_e + (read_noise_e / full_scale_e) ** 2)


class _Fit:
    """Likelihood of the levels that show their noise."""

    def __init__(self, levels: Levels, curve: Curve) -> None:
        self.curve, self.white = curve, levels.white
        visible = levels.variance * levels.white**2 >= ROUNDING**2 + 1.0 / 12.0
        self.saved, self.variance, self.freedom = (
            values[visible] for values in (levels.saved, levels.variance, levels.freedom)
        )
        self.linear = curve.decode(self.saved)

    def expected(self, log_full: float, read: float) -> np.ndarray:
        return moments(self.linear, _deviation(self.linear, np.exp(log_full), read), self.curve, self.white)[1]

    def loss(self, log_full: float, read: float) -> float:
        ratio = self.variance / np.maximum(self.expected(log_full, read), 1e-15)
        return float((0.5 * self.freedom * (ratio - 1.0 - np.log(ratio))).sum())

    def best(self) -> tuple[float, float]:
        """Logarithm of the full scale and read noise of the largest likelihood."""
        starts = [
            (float(np.log(f)), r)
            for f in np.geomspace(*FULL_SCALE_E, 24)
            for r in (*STARTS_E, *(share * f for share in STARTS_SHARE))
        ]
        start = min(starts, key=lambda at: self.loss(*at))
        bounds = [np.log(FULL_SCALE_E), READ_NOISE_E]
        simplex = [start, (start[0] + 0.2, start[1]), (start[0], start[1] + 4.0)]
        done = scipy.optimize.minimize(
            lambda at: self.loss(*at), start, method="Nelder-Mead", bounds=bounds,
            options={"xatol": 1e-4, "fatol": 1e-3, "initial_simplex": simplex},
        )  # fmt: skip
        return float(done.x[0]), float(done.x[1])

    def settle(self) -> tuple[float, float] | None:
        """Fit, with each level corrected for what noise does to its mean; None where too few clip nothing."""
        at = (0.0, 0.0)
        for _ in range(3):
            if len(self.saved) < LEVELS_MIN:
                return None
            at = self.best()
            deviation = _deviation(self.linear, np.exp(at[0]), at[1])
            mean, _ = moments(self.linear, deviation, self.curve, self.white)
            self.linear = self.curve.decode(np.clip(self.curve.encode(self.linear) + self.saved - mean, 0.0, 1.0))
            room = np.minimum(self.linear, self.curve.decode(np.array(1.0)) - self.linear)
            kept = room >= SIGNAL_MIN * deviation
            self.linear, self.saved = self.linear[kept], self.saved[kept]
            self.variance, self.freedom = self.variance[kept], self.freedom[kept]
        return at if len(self.saved) >= LEVELS_MIN else None

    def intervals(self, at: tuple[float, float]) -> list[tuple[float, float]]:
        """Profile intervals of full scale [e-], read noise [e-] and its share of full scale."""
        ratio = self.variance / self.expected(*at)
        spread = (0.5 * self.freedom * (ratio - 1.0) ** 2).sum() / max(len(ratio) - 2, 1)
        limit = self.loss(*at) + 0.5 * scipy.stats.chi2.ppf(CONFIDENCE, 1) * max(spread, 1.0)
        span = np.log(FULL_SCALE_E)

        def of_full(log_full: float) -> float:
            return _least(lambda read: self.loss(log_full, read), 0.0, float(np.exp(log_full)), near=at[1]) - limit

        def of_read(read: float) -> float:
            return _least(lambda log_full: self.loss(log_full, read), *span, near=at[0]) - limit

        def of_share(share: float) -> float:
            return _least(lambda log_full: self.loss(log_full, share * np.exp(log_full)), *span, near=at[0]) - limit

        low, high = (_crossing(of_full, at[0], end) for end in span)
        less, more = (_crossing(of_read, at[1], end) for end in READ_NOISE_E)
        least, most = (_crossing(of_share, at[1] * np.exp(-at[0]), end) for end in (0.0, 1.0))
        return [(float(np.exp(low)), float(np.exp(high))), (less, more), (least, most)]

    def textured(self, at: tuple[float, float], excess: float) -> tuple[float, float]:
        """What texture adds to the slope and to the intercept of linear variance by brightness, to first order.

        Args:
            at: Logarithm of the full scale, and read noise.
            excess: Variance of the texture over that of the noise, over all levels; its contrast is the same at all.
        """
        variance = _deviation(self.linear, np.exp(at[0]), at[1]) ** 2
        added = self.linear**2
        added = added * excess * self.freedom.sum() / (self.freedom * added / variance).sum()
        weight = np.sqrt(self.freedom) / variance
        sides = np.stack([self.linear, np.ones_like(self.linear)], axis=1)
        slope, intercept = np.linalg.lstsq(sides * weight[:, None], added * weight, rcond=None)[0]
        return float(slope), float(intercept)


def _least(function: Callable[[float], float], low: float, high: float, *, near: float) -> float:
    """Smallest value of a function of one number, looked for around a place and then over the range."""
    width = max(0.15 * (abs(near) + 1.0), 1e-3)
    around = (max(low, near - width), min(high, near + width))
    found = scipy.optimize.minimize_scalar(function, bounds=around, method="bounded", options={"xatol": 1e-3})
    inside = around[0] + 0.02 * width < found.x < around[1] - 0.02 * width
    if not inside:
        found = min(
            found,
            scipy.optimize.minimize_scalar(function, bounds=(low, high), method="bounded"),
            key=lambda done: done.fun,
        )
    return float(min(found.fun, function(near) if low <= near <= high else np.inf))


def _crossing(function: Callable[[float], float], start: float, end: float) -> float:
    """Where a function that is below 0 at `start` rises through 0 towards `end`; `end` where it never does."""
    step = 0.02 * max(abs(start), 1.0) * np.sign(end - start)
    inner, outer = start, start
    while function(outer) <= 0.0:
        if outer == end:
            return end
        inner, outer, step = outer, outer + step, 2.0 * step
        outer = min(outer, end) if step > 0 else max(outer, end)
    found = scipy.optimize.root_scalar(function, bracket=sorted((inner, outer)), method="brentq", rtol=1e-3)
    return float(found.root)


def _least_full_scale(levels: Levels, curve: Curve) -> float:
    """Electrons at full scale that there are at least [e-]: at no level is shot noise more than all that varies there.

    Half of a level's blocks vary more than the median; smoothed noise lies in the lower coefficients, and is counted.
    """
    linear = curve.decode(levels.saved)
    step = 1e-3
    slope = (curve.decode(np.minimum(levels.saved + step, 1.0)) - curve.decode(levels.saved - step)) / (2.0 * step)
    chance = np.maximum(1.0 - 3.0 * np.sqrt(2.0 / levels.freedom), 0.0)
    least = (chance * linear / np.maximum(levels.most * slope**2, 1e-12)).max()
    return float(min(least, FULL_SCALE_E[1]))


def find_noise(levels: Levels | str, curve: Curve) -> NoiseFound:
    """Full scale and read noise by one assumed response.

    Args:
        levels: Variance by brightness (`blocks`), or why there is none.
        curve: Response.
    """
    if isinstance(levels, str):
        return _nothing(levels)
    fit = _Fit(levels, curve)
    at = fit.settle()
    if at is None:
        return _nothing(
            f"fewer than {LEVELS_MIN} levels of brightness with noise above rounding and clear of black and white"
        )
    samples = int(fit.freedom.sum())
    if levels.excess > EXCESS_MAX:
        note = (
            f"an upper bound of the noise, which is not white ({levels.excess:.0%} more at lower frequencies): "
            "texture, demosaicing, denoising, scaling or film grain; repeated exposures would tell texture apart"
        )
        full = Found("bound", note, None, (_least_full_scale(levels, curve), np.inf), samples)
        return dataclasses.replace(_nothing(note), full_scale_e=full)
    full, read, share = fit.intervals(at)
    hidden = EXCESS_MAX if levels.excess else 0.0  # texture may be as white as noise; repeated exposures have none
    slope, intercept = fit.textured(at, hidden)
    shot = 1.0 / full[1] - slope
    share = (share[0] * float(np.sqrt(1.0 - hidden)), float(np.sqrt(share[1] ** 2 - min(intercept, 0.0))))
    told = share[1] <= RATIO_MAX * share[0]
    note = "photon transfer, at the gain the pictures were taken with"
    read_share = Found(
        "identified" if told else "bound", note + "; told from above alone" * (not told), at[1] / float(np.exp(at[0])),
        (share[0] if told else -np.inf, share[1]), samples,
    )  # fmt: skip
    if RATIO_MAX * full[0] * shot < 1.0:
        note += "; told from below alone: shot noise is too little of what varies, or the pictures are too few"
        least = Found("bound", note + "; see noise.read_share", None, (read[0], np.inf), samples)
        return NoiseFound(
            Found("bound", note, None, (full[0], np.inf), samples),
            least if read[0] > 0.0 else unknown(note),
            read_share,
        )
    full = (full[0], full[1] * (1.0 + max(levels.excess, 0.0)))  # what it lets texture add to the highest coefficients
    return NoiseFound(
        Found("identified", note, float(np.exp(at[0])), full, samples),
        Found("identified", note, at[1], read, samples),
        read_share,
    )


def _nothing(note: str) -> NoiseFound:
    return NoiseFound(unknown(note), unknown(note), unknown(note))
