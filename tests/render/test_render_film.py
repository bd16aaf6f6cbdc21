"""Film, colour, transfer curves and JPEG."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regolith.lunar.render.film import MIDDLE_GREY, encode, film_response, pass_jpeg, tinted


@settings(deadline=None, derandomize=True)
@given(st.floats(0, 1), st.sampled_from([0.5, 1.0, 1.7]))
def test_srgb_matches_its_definition(x: float, gamma: float) -> None:
    """IEC 61966-2-1 raised to gamma, to one step."""
    curve = 12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055
    steps = abs(int(encode(np.array([x], np.float32), encoding="srgb", gamma=gamma)[0]) - 255 * curve**gamma)
    assert steps <= (0.56 if x > 1e-3 or gamma == 1.0 else 8.0)  # a table entry wide where the root is steep


def test_linear_encoding_takes_gamma_too() -> None:
    """255 × value^gamma, clipped."""
    values = np.array([-0.5, 0.0, 0.25, 1.0, 3.0], np.float32)
    assert encode(values, encoding="linear", gamma=2.0).tolist() == [0, 0, 16, 255, 255]
    assert encode(values, encoding="linear").tolist() == [0, 0, 64, 255, 255]


@settings(deadline=None, derandomize=True)
@given(st.floats(0.01, 1.0))
def test_film_has_toe_and_shoulder(film: float) -> None:
    """Rising everywhere; darker shadows, the same middle grey, highlights held beyond full scale."""
    values = np.linspace(0.0, 4.0, 2000, dtype=np.float32)
    curve = film_response(values, film=film)
    assert (np.diff(curve) > 0).all()
    assert (curve[(values > 0) & (values < MIDDLE_GREY - 0.01)] < values[(values > 0) & (values < 0.17)]).all()
    assert film_response(np.array([MIDDLE_GREY], np.float32), film=film)[0] == pytest.approx(MIDDLE_GREY, rel=1e-5)
    assert (curve[values > 0.9] < values[values > 0.9]).all()
    assert film_response(np.array([-0.1], np.float32), film=1.0)[0] == 0.0


def test_full_film_never_clips_and_none_does_nothing() -> None:
    """The logistic ends below 1."""
    bright = np.array([1.0, 10.0, 1e4], np.float32)
    assert (film_response(bright, film=1.0) <= 1.0).all()
    assert film_response(bright, film=0.0) is bright


@settings(deadline=None, derandomize=True)
@given(st.floats(0, 1))
def test_colour_keeps_luminance(saturation: float) -> None:
    """Rec. 709 luminance stays; saturation is the share of the way from grey to the tint."""
    tint = (1.2, 1.0, (1.0 - 0.2126 * 1.2 - 0.7152) / 0.0722)
    grey = np.array([[0.3, 0.6]], np.float32)
    picture = tinted(grey, saturation=saturation, tint=tint)
    np.testing.assert_allclose(picture @ np.array([0.2126, 0.7152, 0.0722]), grey, rtol=1e-5)
    np.testing.assert_allclose(picture[..., 0] / grey, 1.0 + 0.2 * saturation, rtol=1e-5)


def test_jpeg_loses_more_at_lower_quality() -> None:
    """100 is the picture itself; grey stays one channel; the error grows as quality falls, and is small at 95."""
    random = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(64), np.arange(96)) + random.integers(0, 30, (64, 96))
    for picture in (ramp.astype(np.uint8), np.stack([ramp, ramp // 2, 200 - ramp], axis=-1).astype(np.uint8)):
        assert pass_jpeg(picture, quality=100.0) is picture
        errors = []
        for quality in (95.0, 60.4, 10.0):
            passed = pass_jpeg(picture, quality=quality)
            assert passed.shape == picture.shape and passed.dtype == np.uint8
            errors.append(np.abs(passed.astype(int) - picture).mean())
        assert 0 < errors[0] < errors[1] < errors[2]
        np.testing.assert_array_equal(pass_jpeg(picture, quality=60.4), pass_jpeg(picture, quality=60.0))
