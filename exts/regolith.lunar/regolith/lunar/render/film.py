"""From linear values to saved bytes: film, transfer curves, colour, JPEG."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image

Encoding = Literal["srgb", "linear"]

FILM_CONTRAST = 1.6
"""Slope of the film's logistic curve: its contrast in the deepest toe; 1.3 at middle grey, of the slides and prints of
the time (end-to-end gammas of 1.1 to 1.5; James 1977, The Theory of the Photographic Process)."""

MIDDLE_GREY = 0.18
"""Linear value every weight of film leaves as it is."""


def film_response(linear: np.ndarray, *, film: float) -> np.ndarray:
    """Bend linear values by a photographic characteristic curve.

    The curve is a logistic function of the logarithm of exposure, the shape of Hurter & Driffield (1890): a toe that
    darkens shadows, a straight part, and a shoulder that holds highlights beyond full scale.

    Args:
        linear: Linear values, float32, any shape.
        film: Weight of the curve against the straight response, in [0, 1].
    """
    if film <= 0.0:
        return linear
    power = np.maximum(linear, 0.0) ** np.float32(FILM_CONTRAST)
    offset = np.float32(MIDDLE_GREY ** (FILM_CONTRAST - 1.0) * (1.0 - MIDDLE_GREY))
    curve = power / (power + offset)
    return (np.float32(1.0 - film) * linear + np.float32(film) * curve).astype(np.float32)


def tinted(linear: np.ndarray, *, saturation: float, tint: tuple[float, float, float]) -> np.ndarray:
    """Give a luminance the scene's colour.

    Args:
        linear: Luminance, float32, shape [H, W].
        saturation: Share of the colour kept; 0 is grey, 1 the tint itself. Luminance stays.
        tint: Linear Rec. 709 colour of sunlit ground over its luminance.

    Returns:
        float32, shape [H, W, 3].
    """
    colour = 1.0 + saturation * (np.array(tint) - 1.0)
    return linear[..., None] * colour.astype(np.float32)


def transfer(value: np.ndarray, *, encoding: Encoding, gamma: float = 1.0) -> np.ndarray:
    """Transfer curve before it is rounded: encoded values in [0, 1] of values in [0, 1], float, any shape."""
    if encoding == "srgb":
        value = np.where(value <= 0.0031308, 12.92 * value, 1.055 * np.power(value, 1.0 / 2.4) - 0.055)
    return value if gamma == 1.0 else value**gamma


@lru_cache(maxsize=8)
def _curve(gamma: float) -> np.ndarray:
    x = np.arange(65536) / 65535.0
    return np.round(255.0 * transfer(x, encoding="srgb", gamma=gamma)).astype(np.uint8)


def encode(linear: np.ndarray, *, encoding: Encoding, gamma: float = 1.0) -> np.ndarray:
    """Encode linear values as bytes, uint8 of the same shape; values outside [0, 1] clip.

    `srgb` is the transfer curve of IEC 61966-2-1 (by a table of 65536 entries), `linear` rounds 255 × value.

    Args:
        linear: Linear values, float32, any shape.
        encoding: Transfer curve.
        gamma: Exponent on the encoded values in [0, 1]; above 1 darkens the mid-tones.
    """
    clipped = np.clip(linear, 0.0, 1.0)
    if encoding == "linear":
        return np.round(transfer(clipped, encoding="linear", gamma=gamma) * np.float32(255.0)).astype(np.uint8)
    return _curve(gamma)[(clipped * np.float32(65535.0) + np.float32(0.5)).astype(np.uint16)]


def pass_jpeg(picture: np.ndarray, *, quality: float) -> np.ndarray:
    """Pass a picture through JPEG (ITU-T T.81, by libjpeg; chroma at half resolution).

    Args:
        picture: uint8, shape [H, W] or [H, W, 3].
        quality: Quality of libjpeg, rounded; 100 leaves the picture as it is.
    """
    if round(quality) >= 100:
        return picture
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=round(quality), subsampling="4:2:0")
    return np.asarray(Image.open(file))
