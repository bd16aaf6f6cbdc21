"""Laws of the reflectance functions and of the shading relief."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from regolith.lunar.reflectance import (
    NUMPY_OPS,
    chandrasekhar_h,
    hapke,
    lambert,
    opposition,
    phase_function,
    single_scattering_albedo,
)
from regolith.lunar.render.photometry import NOISE_RMS, SLOPE_RMS, bump_normal, mottle, noise3

SOIL = {"b": 0.25, "c": 0.35, "b0": 1.8, "h": 0.07}
cosines = st.floats(0.05, 1.0)


def _geometry(mu0: float, mu: float, azimuth: float) -> float:
    return mu0 * mu + np.sqrt((1 - mu0**2) * (1 - mu**2)) * np.cos(azimuth)


@given(mu0=cosines, mu=cosines, azimuth=st.floats(0, np.pi), w=st.floats(0.05, 0.95))
def test_hapke_is_reciprocal(mu0: float, mu: float, azimuth: float, w: float) -> None:
    """Swap sun and viewer: r / mu0 stays (Helmholtz)."""
    g = _geometry(mu0, mu, azimuth)
    forth = hapke(NUMPY_OPS, mu0, mu, g, w, **SOIL) / mu0
    back = hapke(NUMPY_OPS, mu, mu0, g, w, **SOIL) / mu
    assert forth == pytest.approx(back, rel=1e-9)


@given(st.floats(0.02, 0.6), st.floats(0, 0.5), st.floats(-0.5, 0.9), st.floats(0, 2))
@settings(max_examples=40)
def test_normal_albedo_means_the_same_in_both_laws(albedo: float, b: float, c: float, b0: float) -> None:
    """Solve w, evaluate at zero incidence, emission and phase: the Lambert radiance comes back."""
    w = single_scattering_albedo(albedo, b, c, b0)
    r = hapke(NUMPY_OPS, 1.0, 1.0, 1.0, w, b, c, b0, 0.07)
    assert r == pytest.approx(lambert(NUMPY_OPS, 1.0, albedo), rel=1e-6)


def test_opposition_surge_peaks_at_zero_phase() -> None:
    """Brightness falls strictly with phase angle near opposition, by the surge and more."""
    g = np.radians(np.linspace(0, 40, 81))
    w = single_scattering_albedo(0.12, SOIL["b"], SOIL["c"], SOIL["b0"])
    mu0 = np.cos(np.radians(30.0))
    mu = np.cos(np.radians(30.0) - g)
    r = hapke(NUMPY_OPS, mu0, mu, np.cos(g), w, **SOIL)
    assert (np.diff(r) < 0).all()
    assert r[0] / r[40] > 1.5
    assert opposition(NUMPY_OPS, 1.0, 1.8, 0.07) == pytest.approx(1.8)


@pytest.mark.parametrize(("b", "c"), [(0.0, 0.0), (0.25, 0.35), (0.5, -0.8)])
def test_phase_function_has_mean_one(b: float, c: float) -> None:
    """Integrate over the sphere."""
    x = np.linspace(-1, 1, 20001)
    assert trapezoid(phase_function(NUMPY_OPS, x, b, c), x) / 2 == pytest.approx(1.0, abs=1e-5)


def test_h_function_matches_its_integral_equation() -> None:
    """Compare with the exact H, solved by iteration of Chandrasekhar's equation for isotropic scatterers."""
    x, weight = np.polynomial.legendre.leggauss(64)
    x, weight = 0.5 * (x + 1), 0.5 * weight
    for w in (0.2, 0.5, 0.9):
        exact = np.ones_like(x)
        for _ in range(400):
            kernel = x[:, None] * exact[None] * weight[None] / (x[:, None] + x[None])
            exact = 1.0 / (np.sqrt(1 - w) + 0.5 * w * (x * exact * weight / (x[:, None] + x[None])).sum(1))
        assert kernel.shape == (64, 64)
        np.testing.assert_allclose(chandrasekhar_h(NUMPY_OPS, x, w), exact, rtol=0.012)


@pytest.mark.parametrize("w", [0.1, 0.33, 0.7, 1.0])
def test_hapke_conserves_energy(w: float) -> None:
    """Directional-hemispherical reflectance without surge stays between 0 and 1 at every incidence."""
    u = (np.arange(200) + 0.5) / 200
    mu, azimuth = np.meshgrid(u, 2 * np.pi * u)
    for mu0 in (0.1, 0.5, 1.0):
        g = mu0 * mu + np.sqrt((1 - mu0**2) * (1 - mu**2)) * np.cos(azimuth)
        r = hapke(NUMPY_OPS, mu0, mu, g, w, 0.0, 0.0, 0.0, 0.1)
        reflectance = (r * mu).mean() * 2 * np.pi / mu0
        assert 0.0 < reflectance < 1.03  # the H approximation is good to 1 % and enters squared


def _points(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = np.random.default_rng(1).uniform(-300, 300, (3, count)).astype(np.float32)
    return x, y, z


def test_noise_has_the_stated_strength_and_derivative() -> None:
    """Measure RMS of value and slope; compare the analytic derivative with differences."""
    p = _points(200_000)
    seed = np.full(200_000, 7, np.uint32)
    value, gradient = noise3(NUMPY_OPS, p, seed)
    assert value.std() == pytest.approx(NOISE_RMS, rel=0.02)
    assert np.sqrt(np.mean(np.square(gradient))) == pytest.approx(SLOPE_RMS, rel=0.02)
    p64 = tuple(np.asarray(x[:2000], np.float64) for x in p)
    for axis in range(3):
        near, far = list(p64), list(p64)
        near[axis], far[axis] = p64[axis] - 1e-5, p64[axis] + 1e-5
        lo, hi = (noise3(NUMPY_OPS, (q[0], q[1], q[2]), seed[:2000])[0] for q in (near, far))
        exact = noise3(NUMPY_OPS, (p64[0], p64[1], p64[2]), seed[:2000])[1][axis]
        np.testing.assert_allclose((hi - lo) / 2e-5, exact, atol=2e-3)


def test_bump_is_continuous_in_footprint_and_keeps_unit_length() -> None:
    """Cross an octave: the normal must not jump."""
    p = _points(1000)
    normal = (np.zeros(1000, np.float32), np.zeros(1000, np.float32), np.ones(1000, np.float32))
    seed = np.full(1000, 3, np.uint32)
    a, b = (np.array(bump_normal(NUMPY_OPS, normal, p, np.full(1000, f), 1.0, seed)) for f in (0.015624, 0.015626))
    np.testing.assert_allclose(a, b, atol=2e-3)
    np.testing.assert_allclose((a**2).sum(0), 1.0, rtol=1e-5)
    assert (a[2] > 0).all()
    assert a[0].std() > 0.1


def test_mottling_has_the_requested_rms() -> None:
    """Mean 1, RMS as asked, seeds differ."""
    p = _points(100_000)
    a = mottle(NUMPY_OPS, p, 0.1, np.full(100_000, 0x1B56C4E9, np.uint32))
    b = mottle(NUMPY_OPS, p, 0.1, np.full(100_000, 0xDA3E39CB, np.uint32))
    assert a.mean() == pytest.approx(1.0, abs=0.005)
    assert a.std() == pytest.approx(0.1, rel=0.05)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02
