"""What lens and plate do to the light before it meets the sensor: veil, blur, vignetting, Réseau crosses."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import ndimage, special

from regolith.lunar.stage.lens import Lens

SCATTER_ASYMMETRY = 0.7
"""Mean cosine of the angle by which dust and glass surfaces scatter sunlight: forward, as Mie scattering of grains some
wavelengths wide (van de Hulst 1957, Light Scattering by Small Particles)."""

VEIL_NODES = 65
"""Most places along a side at which the veil of sunlight is worked out, linear between: the widest step, 1/64 of a
picture of 70°, is off by a thousandth of the veil at the most."""

PLATE_MM = 54.0
"""Side of the Réseau plate's picture on 70 mm film [mm]; this and the following are those of the Hasselblad data
camera of Apollo 11 (NASA, Apollo 11 Hasselblad cameras)."""
PLATE_CROSSES = 5
"""Crosses in a row."""
PLATE_SPACING_MM = 10.0
"""Distance of neighbouring crosses [mm]."""
PLATE_ARM_MM = 1.0
"""Length of a cross's arm [mm]; the central cross is twice as large."""
PLATE_LINE_MM = 0.02
"""Width of its lines [mm]."""


def add_veil(radiance: np.ndarray, *, flare: float, lens: Lens, sun: np.ndarray) -> np.ndarray:
    """Scatter a share of the light over the picture: veiling glare.

    Of the scene's light the share goes evenly over the picture, so that it is the veiling glare index of ISO 9358 and
    ISO 18844: radiance in a small black spot over that of its bright surround. Sunlight on the front lens scatters the
    same share by the phase function of Henyey & Greenstein (1941), brighter towards the sun and none from behind.

    Args:
        radiance: Linear radiance, float32, shape [H, W].
        flare: Share scattered, in [0, 1].
        lens: Lens over the picture.
        sun: Direction to the sun in the lens's frame (right, down, forward), as long as the sun's irradiance.

    Returns:
        float32, shape [H, W].
    """
    if flare <= 0.0:
        return radiance
    veil = radiance * np.float32(1.0 - flare) + np.float32(flare * float(radiance.mean(dtype=np.float64)))
    strength = float(np.linalg.norm(sun))
    if sun[2] <= 0.0:
        return veil
    height, width = radiance.shape
    x, y = (np.linspace(0.5, n - 0.5, min(n, VEIL_NODES)) for n in (width, height))
    ray = lens.rays(*np.meshgrid(x, y))
    cosine = ray @ (sun / strength) / np.linalg.norm(ray, axis=-1)
    g = SCATTER_ASYMMETRY
    phase = (1.0 - g * g) / (4.0 * math.pi * (1.0 + g * g - 2.0 * g * cosine) ** 1.5)
    sunlit = _hat_weights(y, height) @ (flare * float(sun[2]) * phase) @ _hat_weights(x, width).T
    return veil + sunlit.astype(np.float32)


def _hat_weights(nodes: np.ndarray, count: int) -> np.ndarray:
    """Weights of values at nodes for linear interpolation at the centres of `count` pixels, shape [count, nodes]."""
    at = np.arange(count) + 0.5
    return np.stack([np.interp(at, nodes, row) for row in np.eye(len(nodes))], axis=1)


def blur(radiance: np.ndarray, *, psf_px: float) -> np.ndarray:
    """Blur by a Gaussian point spread function.

    It stands for the core of defocus, diffraction, pixel aperture and scanning together. The weights are those of the
    discrete Gaussian (Lindeberg 1990, Scale-space for discrete signals), whose variance is psf² also below a pixel;
    modulation transfer at Nyquist is exp(-2 psf²).

    Args:
        radiance: Linear radiance, float32, shape [H, W].
        psf_px: Standard deviation [px]; 0 for none.
    """
    if psf_px <= 0.0:
        return radiance
    reach = math.ceil(4.0 * psf_px) + 1
    weights = special.ive(np.arange(-reach, reach + 1), psf_px**2)
    weights /= weights.sum()
    for axis in (0, 1):
        radiance = ndimage.correlate1d(radiance, weights, axis=axis, mode="nearest")
    return radiance


def vignette(radiance: np.ndarray, *, vignetting: float, lens: Lens) -> np.ndarray:
    """Darken the picture off its centre by a power of the cos⁴ law (Kingslake 1983, Optical System Design, ch. 4).

    Args:
        radiance: Linear radiance, float32, shape [H, W].
        vignetting: Power of the law: 0 for none, 1 for natural vignetting, more for what the lens's barrel cuts off.
        lens: Lens over the picture; the angle is that in picture space.
    """
    if vignetting <= 0.0:
        return radiance
    height, width = radiance.shape
    x = (np.arange(width) + 0.5 - 0.5 * width) / lens.focal_px
    y = (np.arange(height) + 0.5 - 0.5 * height) / lens.focal_px
    square = 1.0 + x**2 + y[:, None] ** 2
    return radiance * (square ** (-2.0 * vignetting)).astype(np.float32)


def shade_reseau(radiance: np.ndarray, *, reseau: float) -> np.ndarray:
    """Shade the film by the crosses of a Réseau plate, which lies on it: they stay straight whatever the lens does.

    The longer side of the picture is that of the plate; what a shorter one cuts off is lost.

    Args:
        radiance: Linear radiance, float32, shape [H, W].
        reseau: Opacity of the lines in [0, 1]; 0 for no plate.
    """
    if reseau <= 0.0:
        return radiance
    return radiance * (np.float32(1.0) - np.float32(reseau) * reseau_cover(*radiance.shape))


@lru_cache(maxsize=4)
def reseau_cover(height: int, width: int) -> np.ndarray:
    """Share of each pixel that lines of the Réseau plate cover, exact, float32, shape [height, width]."""
    scale = max(height, width) / PLATE_MM
    cover = np.zeros((height, width))
    places = (np.arange(PLATE_CROSSES) - (PLATE_CROSSES - 1) / 2) * PLATE_SPACING_MM
    middle = PLATE_CROSSES // 2
    for row, y in enumerate(places):
        for column, x in enumerate(places):
            arm = PLATE_ARM_MM * (2.0 if row == column == middle else 1.0)
            wide, tall = (_overlap(width, x * scale, half * scale) for half in (arm, 0.5 * PLATE_LINE_MM))
            long, thin = (_overlap(height, y * scale, half * scale) for half in (arm, 0.5 * PLATE_LINE_MM))
            cover += np.outer(thin, wide) + np.outer(long, tall) - np.outer(thin, tall)
    result = np.minimum(cover, 1.0).astype(np.float32)
    result.setflags(write=False)  # shared by all callers
    return result


def _overlap(count: int, centre: float, half: float) -> np.ndarray:
    """Share of each pixel of a row within `half` of a place, counted from the row's middle [px], shape [count]."""
    edge = np.arange(count + 1) - 0.5 * count
    inside = np.clip(edge, centre - half, centre + half)
    return np.diff(inside)
