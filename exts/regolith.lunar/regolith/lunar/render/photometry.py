"""Shading relief and mottling of regolith, and the vectors they take, written once for numpy and Dr.Jit.

Every function takes `ops` (`regolith.lunar.reflectance`). Vectors are tuples of three arrays.

Sources:
    Perlin (2002), Improving noise (quintic fade); gradients by integer hashing.
"""

from __future__ import annotations

import math
from typing import Any

from regolith.lunar.reflectance import Ops

Vector = tuple[Any, Any, Any]

NOISE_RMS = 0.1911
"""RMS of `noise3`'s value over space (measured over 2 × 10^6 points)."""

SLOPE_RMS = 0.4985
"""RMS of one component of `noise3`'s gradient (measured over 2 × 10^6 points)."""

BUMP_SLOPE = 0.16
"""RMS slope of one octave of shading relief along one direction at bump strength 1."""

MOTTLE_WAVELENGTHS_M = (2.3, 0.45)
"""Wavelengths of the albedo mottling [m]."""


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
