"""Reflectance and shading relief of regolith, written once for numpy and Dr.Jit.

Every function takes `ops`, the few array operations it needs (`NumpyOps`, or `kernel.JitOps`), so that the fused
kernel and the fallback without LLVM shade with the same formulas. Vectors are tuples of three arrays.

Radiance is L = E r, where E is the irradiance of a surface facing the sun and r the bidirectional reflectance
[1/sr]. Both laws take the *normal albedo* A: the reflectance factor at incidence, emission and phase angle zero, so
the same A looks the same seen straight down the sun's rays whichever law is chosen.

Sources:
    Hapke (2012), Theory of Reflectance and Emittance Spectroscopy, 2nd ed., eqs. 6.7, 8.56, 9.22, 10.8.
    Sato et al. (2014), J. Geophys. Res. Planets 119, 1775, eqs. 1-6 (form of the double Henyey-Greenstein
        function; b, c, B0 and h of the lunar soil).
    Perlin (2002), Improving noise (quintic fade); gradients by integer hashing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

Vector = tuple[Any, Any, Any]

NOISE_RMS = 0.1911
"""RMS of `noise3`'s value over space (measured over 2 × 10^6 points)."""

SLOPE_RMS = 0.4985
"""RMS of one component of `noise3`'s gradient (measured over 2 × 10^6 points)."""

BUMP_SLOPE = 0.16
"""RMS slope of one octave of shading relief along one direction at bump strength 1."""

MOTTLE_WAVELENGTHS_M = (2.3, 0.45)
"""Wavelengths of the albedo mottling [m]."""


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


def dot(a: Vector, b: Vector) -> Any:
    """Dot product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """Cross product."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def scale(a: Vector, k: Any) -> Vector:
    """Vector times scalar."""
    return (a[0] * k, a[1] * k, a[2] * k)


def add(a: Vector, b: Vector) -> Vector:
    """Sum of two vectors."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def sub(a: Vector, b: Vector) -> Vector:
    """Difference of two vectors."""
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def normalize(ops: Ops, a: Vector) -> Vector:
    """Unit vector along `a`; zero stays finite."""
    return scale(a, 1.0 / ops.sqrt(ops.maximum(dot(a, a), 1e-30)))


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


@lru_cache(maxsize=256)
def single_scattering_albedo(albedo: float, b: float, c: float, b0: float) -> float:
    """Solve Hapke's law for the w that gives a normal albedo.

    A = π r(0, 0, 0) = w / 8 · [(1 + B0) p(0) + H(1)² - 1], monotonic in w; found by bisection to 1e-9. An albedo
    that no w reaches gives w = 1.
    """
    p0 = float(phase_function(NUMPY_OPS, np.float64(1.0), b, c))

    def normal_albedo(w: float) -> float:
        h1 = float(chandrasekhar_h(NUMPY_OPS, np.float64(1.0), w))
        return w / 8.0 * ((1.0 + b0) * p0 + h1 * h1 - 1.0)

    lo, hi = 0.0, 1.0
    for _ in range(48):
        middle = 0.5 * (lo + hi)
        lo, hi = (middle, hi) if normal_albedo(middle) < albedo else (lo, middle)
    return 0.5 * (lo + hi)


def _corner(ops: Ops, cell: Vector, at: Vector, seed: Any, step: tuple[int, int, int]) -> tuple[Any, Vector]:
    """Gradient of one lattice corner and its ramp at the point: (value, gradient)."""
    h = (cell[0] + step[0]) * 0x9E3779B1 ^ (cell[1] + step[1]) * 0x85EBCA77 ^ (cell[2] + step[2]) * 0xC2B2AE3D ^ seed
    h = h ^ (h >> 15)
    h = h * 0x2C1B3C6D
    h = h ^ (h >> 13)
    mask, k = 1023, 2.0 / 1023.0
    gradient = (
        ops.float(h & mask) * k - 1.0,
        ops.float((h >> 10) & mask) * k - 1.0,
        ops.float((h >> 20) & mask) * k - 1.0,
    )
    ramp = (at[0] - float(step[0]), at[1] - float(step[1]), at[2] - float(step[2]))
    return dot(gradient, ramp), gradient


def noise3(ops: Ops, p: Vector, seed: Any) -> tuple[Any, Vector]:
    """Gradient noise of unit wavelength and its analytic derivative.

    Args:
        ops: Array operations.
        p: Position in wavelengths.
        seed: uint32, sets fields apart.

    Returns:
        Value (RMS `NOISE_RMS`) and gradient (each component of RMS `SLOPE_RMS`).
    """
    base = tuple(ops.floor(x) for x in p)
    at = tuple(x - b for x, b in zip(p, base, strict=True))
    cell = tuple(ops.uint(b) for b in base)
    fade = tuple(t * t * t * (t * (t * 6.0 - 15.0) + 10.0) for t in at)
    slope = tuple(30.0 * t * t * (t * (t - 2.0) + 1.0) for t in at)
    u, v, w = fade
    corners = [_corner(ops, cell, at, seed, (i & 1, i >> 1 & 1, i >> 2)) for i in range(8)]  # type: ignore[arg-type]

    def mix(a: Any, b: Any, t: Any) -> Any:
        return a + (b - a) * t

    value = [corner[0] for corner in corners]
    x0, x1, x2, x3 = (mix(value[2 * i], value[2 * i + 1], u) for i in range(4))
    y0, y1 = mix(x0, x1, v), mix(x2, x3, v)
    gradient = []
    for axis in range(3):
        g = [corner[1][axis] for corner in corners]
        gradient.append(
            mix(
                mix(mix(g[0], g[1], u), mix(g[2], g[3], u), v),
                mix(mix(g[4], g[5], u), mix(g[6], g[7], u), v),
                w,
            )
        )
    d = [value[2 * i + 1] - value[2 * i] for i in range(4)]
    gradient[0] = gradient[0] + slope[0] * mix(mix(d[0], d[1], v), mix(d[2], d[3], v), w)
    gradient[1] = gradient[1] + slope[1] * mix(x1 - x0, x3 - x2, w)
    gradient[2] = gradient[2] + slope[2] * (y1 - y0)
    return mix(y0, y1, w), (gradient[0], gradient[1], gradient[2])


def bump_normal(ops: Ops, normal: Vector, p: Vector, footprint: Any, strength: Any, seed: Any) -> Vector:
    """Tilt a normal by three octaves of relief just above the pixel's footprint.

    The octaves sit at 2, 4 and 8 footprints (powers of two, faded in and out, so that nothing pops when the camera
    moves) and have equal RMS slope, as a self-affine surface of Hurst exponent 1 has; the field is fixed in world
    space.

    Args:
        ops: Array operations.
        normal: Unit normal.
        p: World position [m].
        footprint: Width of the pixel on the surface [m].
        strength: 1 gives each octave an RMS slope of `BUMP_SLOPE`.
        seed: uint32.

    Returns:
        Unit normal.
    """
    level = ops.log2(ops.maximum(footprint, 1e-4)) + 1.0
    base = ops.floor(level)
    blend = level - base
    slope = (0.0, 0.0, 0.0)
    for octave, weight in enumerate((1.0 - blend, 1.0, blend)):
        number = base + float(octave)
        k = ops.exp2(-number)
        _, gradient = noise3(ops, scale(p, k), seed ^ (ops.uint(number) * 0x27D4EB2F))
        slope = add(slope, scale(gradient, weight))
    tilt = scale(slope, strength * (BUMP_SLOPE / SLOPE_RMS))
    along = dot(tilt, normal)
    return normalize(ops, add(sub(normal, tilt), scale(normal, along)))


def mottle(ops: Ops, p: Vector, rms: Any, seed: Any) -> Any:
    """Relative albedo at a world position [m]: mean 1, RMS variation `rms`, never below 0.2."""
    total: Any = 0.0
    for octave, wavelength in enumerate(MOTTLE_WAVELENGTHS_M):
        value, _ = noise3(ops, scale(p, 1.0 / wavelength), seed ^ (0x5BD1E995 + octave))
        total = total + value
    return ops.maximum(1.0 + total * (rms / (NOISE_RMS * math.sqrt(len(MOTTLE_WAVELENGTHS_M)))), 0.2)
