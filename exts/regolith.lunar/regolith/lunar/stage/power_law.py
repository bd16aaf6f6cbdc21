"""The truncated power law of sizes: craters, pits, rocks and pebbles are all drawn from it."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """Sizes D in [lo, hi] of which the number N(≥ D) goes as D^-b − hi^-b."""

    exponent: float
    """b, positive."""
    lo: float
    """Smallest size."""
    hi: float
    """Largest size, above `lo`."""

    @property
    def total(self) -> float:
        """lo^-b − hi^-b: the value of `tail` for all sizes."""
        return self.lo**-self.exponent - self.hi**-self.exponent

    def tail(self, size: np.ndarray | float) -> np.ndarray:
        """D^-b − hi^-b, float64, shape of `size`; sizes beyond the ends count as the ends."""
        d = np.clip(np.asarray(size, np.float64), self.lo, self.hi)
        return d**-self.exponent - self.hi**-self.exponent

    def share(self, size: np.ndarray | float) -> np.ndarray:
        """Share of the things that are at least as large as `size`, float64 in [0, 1], shape of `size`."""
        return self.tail(size) / self.total

    def size(self, share: np.ndarray) -> np.ndarray:
        """Size that a share of the things reaches: the inverse of `share`, float64."""
        d = (self.hi**-self.exponent + share * self.total) ** (-1.0 / self.exponent)
        return np.clip(d, self.lo, self.hi)

    def draw(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Draw sizes independently of each other, float64, shape [count]."""
        return self.size(1.0 - random.random(count))

    @property
    def mean_square(self) -> float:
        """Expectation of D²."""
        b, scale = self.exponent, self.exponent / self.total
        if abs(b - 2.0) < 1e-9:
            return scale * float(np.log(self.hi / self.lo))
        return scale * (self.hi ** (2.0 - b) - self.lo ** (2.0 - b)) / (2.0 - b)
