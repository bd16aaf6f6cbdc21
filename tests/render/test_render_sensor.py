"""The sensor model: statistics of its noise and its transfer curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.render.film import encode
from regolith.lunar.render.sensor import Sensor, add_noise, develop, expose


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


@given(st.floats(0, 1))
def test_srgb_matches_its_definition(x: float) -> None:
    """IEC 61966-2-1, to one step."""
    expected = 255 * (12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055)
    assert abs(int(encode(np.array([x], np.float32), encoding="srgb")[0]) - expected) <= 0.56


def test_develop_exposes_clips_and_encodes() -> None:
    """One stop doubles; values beyond full scale clip; the picture is grey."""
    radiance = np.array([[0.0, 0.125, 0.5, 7.0]], np.float32)
    picture = develop(radiance, Sensor(exposure_ev=1.0, encoding="linear"))
    assert picture.shape == (1, 4, 3)
    assert picture[0, :, 0].tolist() == [0, 64, 255, 255]
    assert (picture == picture[..., :1]).all()
    assert expose(radiance, exposure_ev=-1.0)[0, 2] == 0.25
