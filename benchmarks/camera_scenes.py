"""Linear pictures of a plain world with known truth: sky, ground with a fractal texture, blocks and hard shadows."""

from __future__ import annotations

import dataclasses

import numpy as np

from regolith.lunar.quality.camera.photographs import Photograph
from regolith.lunar.render.sensor import Sensor, develop
from regolith.lunar.stage.lens import Lens

FINE = 3
"""Samples a pixel, along each axis."""


def texture(shape: tuple[int, int], random: np.random.Generator, *, slope: float = 3.0) -> np.ndarray:
    """Gaussian field of a power spectrum that falls as frequency to the −slope, of variance 1, float [H, W]."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(random.standard_normal(shape)) * frequency ** (-slope / 2.0), shape)
    return field / field.std()


def scene(seed: int, *, width: int = 384, height: int = 288, contrast: float = 0.12) -> np.ndarray:
    """Radiance of a picture, float32 [height, width]: each pixel the mean of what it covers.

    Args:
        seed: Of the scene.
        width: Width [px].
        height: Height [px].
        contrast: Standard deviation of the ground's logarithm of light.
    """
    random = np.random.default_rng(seed)
    fine = (height * FINE, width * FINE)
    row, column = np.mgrid[: fine[0], : fine[1]]
    slope, azimuth = random.uniform(0.0, 0.3), random.uniform(0.0, 2.0 * np.pi)
    shade = np.exp(slope * (np.cos(azimuth) * column / fine[1] + np.sin(azimuth) * row / fine[0]))
    light = random.uniform(0.15, 0.35) * shade * np.exp(contrast * texture(fine, random))
    for _ in range(24):
        x, y = random.uniform(0, fine[1]), random.uniform(0.2 * fine[0], fine[0])
        long, short = FINE * random.uniform(10.0, 36.0, 2)
        turn = random.uniform(0.0, np.pi)
        along = (column - x) * np.cos(turn) + (row - y) * np.sin(turn)
        across = (row - y) * np.cos(turn) - (column - x) * np.sin(turn)
        value = 0.02 if random.random() < 0.6 else random.uniform(0.4, 0.7)
        light = np.where((np.abs(along) < long) & (np.abs(across) < short), value, light)
    light[row < (0.15 + 0.02 * np.sin(column / fine[1] * 5.0)) * fine[0]] = 0.004
    return light.reshape(height, FINE, width, FINE).mean(axis=(1, 3)).astype(np.float32)


def photograph(radiance: np.ndarray, sensor: Sensor, *, fov_deg: float = 60.0) -> Photograph:
    """What a camera of known settings saves of a picture."""
    height, width = radiance.shape
    saved = develop(radiance, sensor, lens=Lens.from_fov(fov_deg, width, height))
    return Photograph("picture", saved[..., 1].astype(np.float32) / np.float32(255.0), 255.0, grey=True)


def exposures(radiance: np.ndarray, sensor: Sensor, steps_ev: list[float]) -> list[Photograph]:
    """Photographs of one still scene at steps of exposure [EV], each with noise of its own."""
    settings = [
        dataclasses.replace(sensor, exposure_ev=sensor.exposure_ev + step, noise_seed=sensor.noise_seed + k)
        for k, step in enumerate(steps_ev)
    ]
    return [photograph(radiance, setting) for setting in settings]
