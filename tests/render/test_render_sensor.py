"""The sensor model: statistics of its noise, and its chain of effects."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from regolith.lunar.render.film import encode
from regolith.lunar.render.sensor import Sensor, add_hot_pixels, add_noise, develop, expose
from regolith.lunar.stage.lens import Lens


def test_noise_has_shot_and_read_variance() -> None:
    """Variance in electrons is signal + read noise squared, at several levels."""
    for level in (0.0, 0.01, 0.2, 0.8):
        flat = np.full((400, 400), level, np.float32)
        noisy = add_noise(flat, full_well_e=12000, read_noise_e=8, seed=3).astype(np.float64)
        assert (noisy * 12000).var() == pytest.approx(level * 12000 + 64, rel=0.02)
        assert noisy.mean() == pytest.approx(level, abs=3e-4)


def test_noise_is_seeded() -> None:
    """Equal seeds give equal noise, others differ; no full well, no noise."""
    flat = np.full((20, 20), 0.3, np.float32)
    a, b, c = (add_noise(flat, full_well_e=1000, read_noise_e=5, seed=s) for s in (1, 1, 2))
    assert (a == b).all()
    assert (a != c).any()
    assert (add_noise(flat, full_well_e=0, read_noise_e=5, seed=1) == flat).all()


@pytest.mark.parametrize(("gain", "electrons"), [(6.0206, 6000.0), (20.0, 1200.0)])
def test_gain_leaves_less_light(gain: float, electrons: float) -> None:
    """The mean stays; variance is that of fewer electrons, and of the same read noise in electrons."""
    flat = np.full((400, 400), 0.5, np.float32)
    noisy = add_noise(flat, full_well_e=12000, read_noise_e=30, seed=3, gain_db=gain).astype(np.float64)
    assert (noisy * electrons).var() == pytest.approx(0.5 * electrons + 900, rel=0.02)
    assert noisy.mean() == pytest.approx(0.5, abs=3e-4)


def test_hot_pixels_have_their_density() -> None:
    """Poisson-like number about the density, brighter than they were; the rest untouched, seeded, off at 0."""
    flat = np.full((1000, 1000), 0.1, np.float32)
    hot = add_hot_pixels(flat, hot_pixels=400.0, seed=7)
    changed = hot != flat
    assert 320 < changed.sum() < 480
    assert (hot[changed] > 0.1).all()
    assert (hot[changed] - 0.1).mean() == pytest.approx(0.4, rel=0.25)
    assert (hot == add_hot_pixels(flat, hot_pixels=400.0, seed=7)).all()
    assert (hot != add_hot_pixels(flat, hot_pixels=400.0, seed=8)).any()
    assert add_hot_pixels(flat, hot_pixels=0.0, seed=7) is flat
    assert (flat == np.float32(0.1)).all()


CAMERA = Sensor(exposure_ev=1.0, full_well_e=3000.0, read_noise_e=12.0, noise_seed=11)
LENS = Lens.from_fov(62.0, 96, 64)
EFFECTS: dict[str, Any] = {
    "gain_db": 20.0, "psf_px": 1.5, "vignetting": 1.0, "flare": 0.05, "hot_pixels": 3000.0, "film": 0.8, "gamma": 1.4,
    "saturation": 0.7, "reseau": 1.0, "jpeg_quality": 40.0,
}  # fmt: skip


def picture(**changes: Any) -> np.ndarray:
    """A random scene developed by `CAMERA` with changes."""
    light = np.random.default_rng(5).random((64, 96), np.float32) * 0.4
    sensor = dataclasses.replace(CAMERA, tint=(1.1, 1.0, 0.7), **changes)
    return develop(light, sensor, lens=LENS, sun=np.array([0.5, -0.3, 1.0]))


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_acts_and_repeats(name: str) -> None:
    """Alone, each changes the picture, the same way every time; only saturation makes it other than grey."""
    plain, changed = picture(), picture(**{name: EFFECTS[name]})
    assert (changed != plain).any()
    assert (changed == picture(**{name: EFFECTS[name]})).all()
    assert (changed == changed[..., :1]).all() == (name != "saturation")
    assert changed.shape == (64, 96, 3) and changed.dtype == np.uint8


def test_noise_does_not_depend_on_other_effects() -> None:
    """Noise and hot pixels are drawn from streams of their own: hot ones change their own pixels alone."""
    without, with_hot = picture(), picture(hot_pixels=3000.0)
    changed = (without != with_hot).any(axis=2)
    assert 0 < changed.sum() < 40
    assert ((picture(hot_pixels=3000.0, film=0.5) != picture(film=0.5)).any(axis=2) <= changed).all()


def test_defaults_are_the_plain_camera() -> None:
    """A camera without effects is exposure, noise and curve, byte for byte."""
    light = np.random.default_rng(5).random((64, 96), np.float32) * 0.4
    noise = add_noise(expose(light, exposure_ev=1.0), full_well_e=3000.0, read_noise_e=12.0, seed=11)
    np.testing.assert_array_equal(picture()[..., 1], encode(noise, encoding="srgb"))
    np.testing.assert_array_equal(develop(light, CAMERA), picture())


def test_develop_exposes_clips_and_encodes() -> None:
    """One stop doubles; values beyond full scale clip; the picture is grey."""
    radiance = np.array([[0.0, 0.125, 0.5, 7.0]], np.float32)
    picture = develop(radiance, Sensor(exposure_ev=1.0, encoding="linear"))
    assert picture.shape == (1, 4, 3)
    assert picture[0, :, 0].tolist() == [0, 64, 255, 255]
    assert (picture == picture[..., :1]).all()
    assert expose(radiance, exposure_ev=-1.0)[0, 2] == 0.25
