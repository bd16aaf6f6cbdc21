"""Reflectance laws of regolith, written once for numpy and Dr.Jit.

Every function takes `ops`, the few array operations it needs (`NumpyOps`, or `kernel.JitOps`), so that the fused
kernel and the fallback without LLVM shade with the same formulas.

Radiance is L = E r, where E is the irradiance of a surface facing the sun and r the bidirectional reflectance
[1/sr]. Both laws take the *normal albedo* A: the reflectance factor at incidence, emission and phase angle zero, so
the same A looks the same seen straight down the sun's rays whichever law is chosen.

Left out of Hapke's law, on purpose: the coherent-backscatter surge, whose B_C0 is 0 all over the maps of Sato et al.
while their B_S0 above 1 takes up the whole surge, so that one on top would count it twice; and macroscopic roughness,
whose θ̄ is 23.7° all over their maps, because the relief that it stands for is modelled here.

Sources:
    Hapke (2012), Theory of Reflectance and Emittance Spectroscopy, 2nd ed., eqs. 6.7, 8.56, 9.22, 10.8.
    Sato et al. (2014), J. Geophys. Res. Planets 119, 1775, eqs. 1-6 (form of the double Henyey-Greenstein
        function; b, c, B0 and h of the lunar soil).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import numpy as np


class Ops(Protocol):
    """Array operations shared by numpy and Dr.Jit."""

    sqrt: Callable[..., Any]
    log: Callable[..., Any]
    log2: Callable[..., Any]
    exp2: Callable[..., Any]
    floor: Callable[..., Any]
    minimum: Callable[..., Any]
    maximum: Callable[..., Any]
    select: Callable[..., Any]

    def uint(self, x: Any) -> Any:
        """Convert whole floats to uint32, negative ones modulo 2^32."""
        ...

    def float(self, x: Any) -> Any:
        """Convert uint32 to float32."""
        ...


class NumpyOps:
    """The operations on numpy arrays."""

    sqrt = staticmethod(np.sqrt)
    log = staticmethod(np.log)
    log2 = staticmethod(np.log2)
    exp2 = staticmethod(np.exp2)
    floor = staticmethod(np.floor)
    minimum = staticmethod(np.minimum)
    maximum = staticmethod(np.maximum)
    select = staticmethod(np.where)

    def uint(self, x: Any) -> Any:
        """Convert whole floats to uint32, negative ones modulo 2^32."""
        return np.asarray(x).astype(np.int32).view(np.uint32)

    def float(self, x: Any) -> Any:
        """Convert uint32 to float32."""
        return np.asarray(x).astype(np.float32)


NUMPY_OPS = NumpyOps()


def chandrasekhar_h(ops: Ops, x: Any, w: Any) -> Any:
    """Chandrasekhar's H function of cosine `x` for single-scattering albedo `w`, isotropic scatterers.

    Hapke (2012) eq. 8.56, within 1 % of the exact function.
    """
    gamma = ops.sqrt(ops.maximum(1.0 - w, 0.0))
    r0 = (1.0 - gamma) / (1.0 + gamma)
    x = ops.maximum(x, 1e-4)
    return 1.0 / (1.0 - w * x * (r0 + (0.5 - r0 * x) * ops.log((1.0 + x) / x)))


def phase_function(ops: Ops, cos_g: Any, b: Any, c: Any) -> Any:
    """Double Henyey-Greenstein function of the phase angle, mean 1 over the sphere; c > 0 scatters backwards."""
    square = b * b
    back = ops.maximum(1.0 - 2.0 * b * cos_g + square, 1e-6)
    forth = ops.maximum(1.0 + 2.0 * b * cos_g + square, 1e-6)
    k = 0.5 * (1.0 - square)
    return k * ((1.0 + c) / (back * ops.sqrt(back)) + (1.0 - c) / (forth * ops.sqrt(forth)))


def opposition(ops: Ops, cos_g: Any, b0: Any, h: Any) -> Any:
    """Shadow-hiding opposition surge B(g) = B0 / (1 + tan(g/2) / h), Hapke (2012) eq. 9.22."""
    half = ops.sqrt(ops.maximum(1.0 - cos_g, 0.0) / ops.maximum(1.0 + cos_g, 1e-6))
    return b0 / (1.0 + half / h)


def hapke(ops: Ops, mu0: Any, mu: Any, cos_g: Any, w: Any, b: Any, c: Any, b0: Any, h: Any) -> Any:
    """Hapke's bidirectional reflectance r [1/sr] of a smooth particulate surface.

    r = w / 4π · mu0 / (mu0 + mu) · [(1 + B(g)) p(g) + H(mu0) H(mu) - 1] (Hapke 2012, eq. 10.8 without macroscopic
    roughness, which the relief itself supplies).

    Args:
        ops: Array operations.
        mu0: Cosine of incidence; 0 or less gives 0.
        mu: Cosine of emission.
        cos_g: Cosine of the phase angle.
        w: Single-scattering albedo.
        b: Width of the Henyey-Greenstein lobes.
        c: Balance of the lobes.
        b0: Amplitude of the opposition surge.
        h: Angular width of the surge.
    """
    mu0 = ops.maximum(mu0, 0.0)
    mu = ops.maximum(mu, 1e-3)
    single = (1.0 + opposition(ops, cos_g, b0, h)) * phase_function(ops, cos_g, b, c)
    multiple = chandrasekhar_h(ops, mu0, w) * chandrasekhar_h(ops, mu, w) - 1.0
    return w * (0.25 / np.pi) * mu0 / (mu0 + mu) * (single + multiple)


def lambert(ops: Ops, mu0: Any, albedo: Any) -> Any:
    """Lambert's bidirectional reflectance r [1/sr]."""
    return ops.maximum(mu0, 0.0) * albedo * (1.0 / np.pi)


def normal_albedo(w: float, b: float, c: float, b0: float) -> float:
    """Normal albedo of a single-scattering albedo: A = π r(0, 0, 0) = w / 8 · [(1 + B0) p(0) + H(1)² - 1]."""
    p0 = float(phase_function(NUMPY_OPS, np.float64(1.0), b, c))
    h1 = float(chandrasekhar_h(NUMPY_OPS, np.float64(1.0), w))
    return w / 8.0 * ((1.0 + b0) * p0 + h1 * h1 - 1.0)


@lru_cache(maxsize=256)
def single_scattering_albedo(albedo: float, b: float, c: float, b0: float) -> float:
    """Solve Hapke's law for the w that gives a normal albedo.

    `normal_albedo` is monotonic in w: found by bisection to 1e-9. An albedo that no w reaches gives w = 1.
    """
    lo, hi = 0.0, 1.0
    for _ in range(48):
        middle = 0.5 * (lo + hi)
        lo, hi = (middle, hi) if normal_albedo(middle, b, c, b0) < albedo else (lo, middle)
    return 0.5 * (lo + hi)
