"""From scene radiance to the bytes a camera saves.

Order, as the light goes: glare and blur of the lens, vignetting, shadow of the Réseau plate; exposure, shot and read
noise, hot pixels; film curve, colour, transfer curve, JPEG. Every effect is a pure function; what is random in it is
a function of the frame's seed and the effect's name, whatever else is on. An effect at its default does nothing.

Noise (EMVA 1288, release 4.0, section 2): a pixel collects electrons in proportion to the light, their number is
Poisson distributed (shot noise), the electronics add Gaussian read noise, and the signal clips at full well. Linear
value 1 is full well and pixel value 255. The picture is grey, or one luminance in one colour.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from regolith.lunar.render.film import Encoding, encode, film_response, pass_jpeg, tinted
from regolith.lunar.render.optics import add_veil, blur, shade_reseau, vignette
from regolith.lunar.stage.lens import Lens
from regolith.lunar.stage.spec import rng

HOT_MEAN = 0.4
"""Mean signal of a hot pixel, in full scales."""


@dataclasses.dataclass(frozen=True)
class Sensor:
    """Camera settings that turn radiance into bytes."""

    exposure_ev: float = 0.0
    """Linear value = radiance × 2^exposure."""
    full_well_e: float = 0.0
    """Electrons at linear value 1 without gain; 0 for a sensor without shot or read noise."""
    gain_db: float = 0.0
    """Analogue gain at held brightness [dB]."""
    read_noise_e: float = 0.0
    """RMS read noise [e-]."""
    encoding: Encoding = "srgb"
    """Transfer curve."""
    noise_seed: int = 0
    """Seed of the frame's noise."""
    psf_px: float = 0.0
    """Standard deviation of the point spread function [px]."""
    vignetting: float = 0.0
    """Power of the cos⁴ law."""
    flare: float = 0.0
    """Share of the light scattered as veiling glare."""
    hot_pixels: float = 0.0
    """Hot pixels [1/Mpx]."""
    film: float = 0.0
    """Weight of the film curve."""
    gamma: float = 1.0
    """Exponent on the encoded values."""
    saturation: float = 0.0
    """Share of the colour kept."""
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Linear Rec. 709 colour of sunlit ground over its luminance."""
    reseau: float = 0.0
    """Opacity of the Réseau plate's crosses."""
    jpeg_quality: float = 100.0
    """JPEG quality; 100 for none."""


def expose(radiance: np.ndarray, *, exposure_ev: float) -> np.ndarray:
    """Linear pixel value of a radiance, float32; 1 is full scale."""
    return np.asarray(radiance, np.float32) * np.float32(2.0**exposure_ev)


def add_noise(
    linear: np.ndarray, *, full_well_e: float, read_noise_e: float, seed: int, gain_db: float = 0.0
) -> np.ndarray:
    """Add shot and read noise to linear values.

    Shot noise is drawn as a Gaussian of the Poisson variance (Foi et al. 2008, Practical Poissonian-Gaussian noise
    modeling and fitting): beyond 20 electrons the two agree to the width of one 8-bit step, below it read noise
    dominates.

    Args:
        linear: Values in [0, 1], float32, any shape.
        full_well_e: Electrons at value 1 without gain; 0 leaves the values as they are.
        read_noise_e: RMS read noise [e-].
        seed: Seed of the noise.
        gain_db: Gain [dB] that makes up for less light: value 1 then stands for 10^(-gain/20) as many electrons.
    """
    if full_well_e <= 0.0:
        return linear
    if gain_db:
        full_well_e *= 10.0 ** (-gain_db / 20.0)
    electrons = np.maximum(linear, 0.0) * np.float32(full_well_e)
    deviation = np.sqrt(electrons + np.float32(read_noise_e**2))
    draw = rng(seed, "sensor").standard_normal(linear.shape, dtype=np.float32)
    return (electrons + deviation * draw) * np.float32(1.0 / full_well_e)


def add_hot_pixels(linear: np.ndarray, *, hot_pixels: float, seed: int) -> np.ndarray:
    """Add hot pixels: single ones whose dark current adds a signal of its own.

    Their signals are distributed exponentially, the straight tail that EMVA 1288 (release 4.0) shows in
    logarithmic histograms of the dark signal.

    Args:
        linear: Linear values, float32, shape [H, W].
        hot_pixels: Expected number [1/Mpx].
        seed: Seed of their number, places and signals.
    """
    if hot_pixels <= 0.0:
        return linear
    random = rng(seed, "hot pixels")
    count = random.binomial(linear.size, min(hot_pixels * 1e-6, 1.0))
    place = random.choice(linear.size, count, replace=False)
    result = linear.copy()
    result.ravel()[place] += random.exponential(HOT_MEAN, count).astype(np.float32)
    return result


def develop(
    radiance: np.ndarray, sensor: Sensor, *, lens: Lens | None = None, sun: np.ndarray | None = None
) -> np.ndarray:
    """Turn radiance into the picture the camera saves.

    Args:
        radiance: Linear radiance, float32, shape [H, W].
        sensor: The camera's settings.
        lens: Lens over the picture, for what depends on the field angle; one of 60° where none is given.
        sun: Direction to the sun in the lens's frame (right, down, forward), as long as the sun's irradiance; None for
            no sunlight on the lens.

    Returns:
        uint8, shape [H, W, 3].
    """
    height, width = radiance.shape
    lens = lens or Lens.from_fov(60.0, width, height)
    light = add_veil(radiance, flare=sensor.flare, lens=lens, sun=np.zeros(3) if sun is None else sun)
    light = blur(light, psf_px=sensor.psf_px)
    light = vignette(light, vignetting=sensor.vignetting, lens=lens)
    light = shade_reseau(light, reseau=sensor.reseau)
    linear = expose(light, exposure_ev=sensor.exposure_ev)
    noisy = add_noise(
        linear,
        full_well_e=sensor.full_well_e,
        gain_db=sensor.gain_db,
        read_noise_e=sensor.read_noise_e,
        seed=sensor.noise_seed,
    )
    noisy = add_hot_pixels(noisy, hot_pixels=sensor.hot_pixels, seed=sensor.noise_seed)
    value = film_response(noisy, film=sensor.film)
    if sensor.saturation > 0.0:
        value = tinted(value, saturation=sensor.saturation, tint=sensor.tint)
    saved = pass_jpeg(encode(value, encoding=sensor.encoding, gamma=sensor.gamma), quality=sensor.jpeg_quality)
    return saved if saved.ndim == 3 else np.repeat(saved[..., None], 3, axis=2)
