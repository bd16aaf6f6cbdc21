"""Colour of a glowing body's light, as a camera balanced for the sun records it."""

from __future__ import annotations

import numpy as np

SUN_TEMPERATURE_K = 5772.0
"""Effective temperature of the sun [K] (IAU 2015 Resolution B3), to which the camera is balanced."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Luminance of linear Rec. 709 primaries (ITU-R BT.709-6)."""

XYZ_TO_RGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
"""CIE XYZ to linear Rec. 709 primaries (IEC 61966-2-1)."""


def planck_xy(temperature_k: float) -> tuple[float, float]:
    """Chromaticity (x, y), CIE 1931, of a black body.

    Piecewise cubics of Kim et al. (2002), Design of Advanced Color Temperature Control System for HDTV Applications
    (Journal of the Korean Physical Society 41), from 1667 to 25000 K.

    Args:
        temperature_k: Temperature [K].
    """
    t = 1000.0 / temperature_k
    if temperature_k <= 4000.0:
        x = ((-0.2661239 * t - 0.2343589) * t + 0.8776956) * t + 0.179910
    else:
        x = ((-3.0258469 * t + 2.1070379) * t + 0.2226347) * t + 0.240390
    if temperature_k <= 2222.0:
        y = ((-1.1063814 * x - 1.34811020) * x + 2.18555832) * x - 0.20219683
    elif temperature_k <= 4000.0:
        y = ((-0.9549476 * x - 1.37418593) * x + 2.09137015) * x - 0.16748867
    else:
        y = ((3.0817580 * x - 5.87338670) * x + 3.75112997) * x - 0.37001483
    return x, y


def light_colour(temperature_k: float) -> tuple[float, float, float]:
    """Colour of a black body's light over its luminance, to a camera that records the sun's as white.

    Each channel is scaled to the sun's, as white balance does (von Kries).

    Args:
        temperature_k: Temperature [K], 1667 … 25000.

    Returns:
        Linear Rec. 709 (red, green, blue) of luminance 1; exactly (1, 1, 1) at `SUN_TEMPERATURE_K`.
    """
    balanced = _rgb(temperature_k) / _rgb(SUN_TEMPERATURE_K)
    red, green, blue = balanced * (LUMINANCE.sum() / (LUMINANCE @ balanced))
    return float(red), float(green), float(blue)


def _rgb(temperature_k: float) -> np.ndarray:
    x, y = planck_xy(temperature_k)
    return XYZ_TO_RGB @ np.array([x / y, 1.0, (1.0 - x - y) / y])
