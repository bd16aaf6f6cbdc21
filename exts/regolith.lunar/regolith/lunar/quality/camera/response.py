"""The curve from linear values to saved ones, and back: film and transfer curve of `render.film`, never rounded."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np

from regolith.lunar.params import Params
from regolith.lunar.render.film import Encoding, film_response, transfer

LINEAR_MAX = 16.0
"""Largest linear value that is told apart; a film's shoulder never quite reaches white."""
_LINEAR = np.concatenate([np.linspace(0.0, 0.01, 2049), np.geomspace(0.01, LINEAR_MAX, 8193)[1:]])


@dataclasses.dataclass(frozen=True)
class Curve:
    """How a camera answers light."""

    encoding: Encoding = "srgb"
    gamma: float = 1.0
    film: float = 0.0

    @cached_property
    def _encoded(self) -> np.ndarray:
        bent = film_response(_LINEAR.astype(np.float32), film=self.film).astype(np.float64)
        return transfer(np.clip(bent, 0.0, 1.0), encoding=self.encoding, gamma=self.gamma)

    def encode(self, linear: np.ndarray) -> np.ndarray:
        """Saved values in [0, 1] of linear ones, before rounding; float64 of the same shape."""
        return np.interp(linear, _LINEAR, self._encoded)

    def decode(self, saved: np.ndarray) -> np.ndarray:
        """Linear values of saved ones in [0, 1], float64 of the same shape; of white the least that gives it."""
        last = int(np.searchsorted(self._encoded, 1.0)) + 1
        return np.interp(saved, self._encoded[:last], _LINEAR[:last])


def curves_of(params: Params) -> list[Curve]:
    """The curves that a preset's ranges of gamma and film allow: the middle, and the corners where they vary."""
    gamma, film, encoding = params.sensor.gamma, params.sensor.film, params.sensor.encoding
    middle = Curve(encoding, gamma.center, film.center)
    corners = [Curve(encoding, g, f) for g in (gamma.lo, gamma.hi) for f in (film.lo, film.hi)]
    return list(dict.fromkeys([middle, *corners]))
