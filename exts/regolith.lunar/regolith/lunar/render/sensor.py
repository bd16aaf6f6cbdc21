"""From scene radiance to the bytes a camera saves.

Model (EMVA 1288, release 4.0, section 2): a pixel collects electrons in proportion to the light, their number is
Poisson distributed (shot noise), the electronics add Gaussian read noise, and the signal clips at full well. Linear
value 1 is full well and pixel value 255. The picture is grey: one channel, repeated.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Literal

import numpy as np

from regolith.lunar.stage.spec import rng

Encoding = Literal["srgb", "linear"]


@dataclasses.dataclass(frozen=True)
class Sensor:
    """Camera settings that turn radiance into bytes."""

    exposure_ev: float = 0.0
    """Linear value = radiance × 2^exposure."""
    full_well_e: float = 0.0
    """Electrons at linear value 1; 0 for a sensor without shot or read noise."""
    read_noise_e: float = 0.0
    """RMS read noise [e-]."""
    encoding: Encoding = "srgb"
    """Transfer curve."""
    noise_seed: int = 0
    """Seed of the frame's noise."""


def expose(radiance: np.ndarray, *, exposure_ev: float) -> np.ndarray:
    """Linear pixel value of a radiance, float32; 1 is full scale."""
    return np.asarray(radiance, np.float32) * np.float32(2.0**exposure_ev)


def add_noise(linear: np.ndarray, *, full_well_e: float, read_noise_e: float, seed: int) -> np.ndarray:
    """Add shot and read noise to linear values.

    Shot noise is drawn as a Gaussian of the Poisson variance: beyond 20 electrons the two agree to the width of one
    8-bit step, below it read noise dominates.

    Args:
        linear: Values in [0, 1], float32, any shape.
        full_well_e: Electrons at value 1; 0 leaves the values as they are.
        read_noise_e: RMS read noise [e-].
        seed: Seed of the noise.
    """
    if full_well_e <= 0.0:
        return linear
    electrons = np.maximum(linear, 0.0) * np.float32(full_well_e)
    deviation = np.sqrt(electrons + np.float32(read_noise_e**2))
    draw = rng(seed, "sensor").standard_normal(linear.shape, dtype=np.float32)
    return (electrons + deviation * draw) * np.float32(1.0 / full_well_e)


@cache
def _curve() -> np.ndarray:
    x = np.arange(65536) / 65535.0
    y = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(x, 1.0 / 2.4) - 0.055)
    return np.round(255.0 * y).astype(np.uint8)


def encode(linear: np.ndarray, *, encoding: Encoding) -> np.ndarray:
    """Encode linear values as bytes, uint8 of the same shape; values outside [0, 1] clip.

    `srgb` is the transfer curve of IEC 61966-2-1 (by a table of 65536 entries), `linear` rounds 255 × value.
    """
    clipped = np.clip(linear, 0.0, 1.0)
    if encoding == "linear":
        return np.round(clipped * np.float32(255.0)).astype(np.uint8)
    return _curve()[(clipped * np.float32(65535.0) + np.float32(0.5)).astype(np.uint16)]


def develop(radiance: np.ndarray, sensor: Sensor) -> np.ndarray:
    """Turn radiance, shape [H, W], into the picture the camera saves, uint8, shape [H, W, 3]."""
    linear = expose(radiance, exposure_ev=sensor.exposure_ev)
    noisy = add_noise(
        linear,
        full_well_e=sensor.full_well_e,
        read_noise_e=sensor.read_noise_e,
        seed=sensor.noise_seed,
    )
    grey = encode(noisy, encoding=sensor.encoding)
    return np.repeat(grey[..., None], 3, axis=2)
