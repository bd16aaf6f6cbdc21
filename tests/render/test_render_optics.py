"""Glare, blur, vignetting and Réseau crosses: what each conserves, and where it acts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regolith.lunar.render.optics import PLATE_MM, add_veil, blur, reseau_cover, shade_reseau, vignette
from regolith.lunar.stage.lens import Lens

LENS = Lens.from_fov(60.0, 96, 64)


def scene() -> np.ndarray:
    """Random radiance, float32, shape [64, 96]."""
    return np.random.default_rng(1).random((64, 96), np.float32)


def test_without_an_effect_the_light_is_untouched() -> None:
    """At 0 every function gives back the very values."""
    light = scene()
    assert add_veil(light, flare=0.0, lens=LENS, sun=np.array([0, 0, 3.0])) is light
    assert blur(light, psf_px=0.0) is light
    assert vignette(light, vignetting=0.0, lens=LENS) is light
    assert shade_reseau(light, reseau=0.0) is light


@settings(deadline=None, derandomize=True)
@given(st.floats(0.001, 0.3))
def test_the_veiling_glare_index_is_the_share(flare: float) -> None:
    """A black spot in a bright surround shows that share of it (ISO 9358), and no light is made or lost."""
    light = np.ones((64, 96), np.float32)
    light[32, 48] = 0.0
    veiled = add_veil(light, flare=flare, lens=LENS, sun=np.zeros(3))
    assert veiled[32, 48] / veiled[0, 0] == pytest.approx(flare, rel=1e-3)
    assert veiled.mean() == pytest.approx(light.mean(), rel=1e-5)


def test_sunlight_on_the_lens_veils_towards_the_sun() -> None:
    """Brightest where the sun is, the more the nearer it is, in proportion to it, nothing from behind the camera."""
    dark = np.zeros((64, 96), np.float32)
    right = np.array([math.sin(0.7), 0.0, math.cos(0.7)])
    veil = add_veil(dark, flare=0.02, lens=LENS, sun=math.pi * right)
    assert (np.diff(veil[32]) > 0).all()
    np.testing.assert_allclose(veil, add_veil(dark, flare=0.04, lens=LENS, sun=0.5 * math.pi * right), rtol=1e-5)
    inside = add_veil(dark, flare=0.02, lens=LENS, sun=LENS.rays(np.array(20.5), np.array(50.5)))
    np.testing.assert_allclose(np.unravel_index(inside.argmax(), inside.shape), (50, 20), atol=1)
    ray = LENS.rays(np.array(80.5), np.array(10.5))
    cosine = ray @ right / np.linalg.norm(ray)
    expected = 0.02 * math.pi * right[2] * 0.51 / (4 * math.pi * (1.49 - 1.4 * cosine) ** 1.5)
    assert veil[10, 80] == pytest.approx(expected, rel=2e-3)
    assert (add_veil(dark, flare=0.02, lens=LENS, sun=np.array([1.0, 0.0, -0.1])) == 0).all()
    assert veil.dtype == np.float32


@settings(deadline=None, derandomize=True)
@given(st.floats(0.05, 3.0))
def test_blur_spreads_a_point_by_its_deviation(psf: float) -> None:
    """The point's light stays, its standard deviation is the one asked for along both axes."""
    light = np.zeros((65, 65), np.float32)
    light[32, 32] = 1.0
    spread = blur(light, psf_px=psf)
    x = np.arange(65) - 32
    assert spread.sum() == pytest.approx(1.0, rel=1e-4)
    for axis in (0, 1):
        assert math.sqrt(float(spread.sum(axis=axis) @ x**2)) == pytest.approx(psf, rel=0.02)


def test_vignetting_is_the_power_of_the_cosine() -> None:
    """cos⁴ of the angle off the axis at 1, its square at 2; nothing at the centre."""
    flat = np.ones((65, 97), np.float32)
    lens = Lens.from_fov(80.0, 97, 65)
    once, twice = (vignette(flat, vignetting=v, lens=lens) for v in (1.0, 2.0))
    ray = lens.rays(np.array(0.5), np.array(0.5))
    cosine = 1.0 / np.linalg.norm(ray)
    assert once[0, 0] == pytest.approx(cosine**4, rel=1e-5)
    np.testing.assert_allclose(twice, once**2, rtol=1e-5)
    assert once[32, 48] == pytest.approx(1.0, abs=1e-6)


@settings(deadline=None, derandomize=True)
@given(st.integers(40, 900))
def test_crosses_cover_their_area(size: int) -> None:
    """Whatever the resolution, the covered area is that of 24 small crosses and one twice as large."""
    scale = size / PLATE_MM
    small, large = 2 * 2.0 * 0.02 - 0.02**2, 2 * 4.0 * 0.02 - 0.02**2
    assert reseau_cover(size, size).sum() == pytest.approx((24 * small + large) * scale**2, rel=1e-4)


def test_crosses_are_where_the_plate_has_them() -> None:
    """Ten pixels a millimetre: arms of 10 pixels every 100, the middle one's of 20; a wide picture cuts rows off."""
    cover = reseau_cover(540, 540)
    np.testing.assert_array_equal(cover, cover.T)
    rows = np.flatnonzero(cover[:, 270 - 5] > 0)
    assert rows.tolist() == [69, 70, 169, 170, *([269, 270]), 369, 370, 469, 470]
    middle, corner = np.flatnonzero(cover[270] > 0), cover[60:80, 60:80]
    assert {250, 289} <= set(middle.tolist()) and 249 not in middle
    assert (corner > 0).any(axis=0).sum() == 20
    shaded = shade_reseau(np.ones((540, 540), np.float32), reseau=0.5)
    np.testing.assert_allclose(shaded, 1.0 - 0.5 * cover)
    wide = reseau_cover(300, 540)
    assert len(np.flatnonzero(wide[:, 265] > 0)) == 6
