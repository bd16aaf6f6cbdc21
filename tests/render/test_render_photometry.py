"""Laws of the reflectance functions and of the shading relief."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from regolith.lunar.params.places import OLD_HIGHLAND, PLACES, HapkeSet
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


def _geometry(mu0: Any, mu: Any, azimuth: Any) -> Any:
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


def exact_h(cosines: np.ndarray, w: float) -> np.ndarray:
    """H of isotropic scatterers by Chandrasekhar's integral equation, solved by quadrature and iteration."""
    x, weight = np.polynomial.legendre.leggauss(64)
    x, weight = 0.5 * (x + 1.0), 0.5 * weight

    def step(at: np.ndarray, h: np.ndarray) -> np.ndarray:
        integral = (x * h * weight / (at[:, None] + x)).sum(axis=1)
        return 1.0 / (math.sqrt(1.0 - w) + 0.5 * w * integral)

    nodes = np.ones_like(x)
    for _ in range(200):
        nodes = step(x, nodes)
    return step(cosines, nodes)


def exact_hapke(mu0: np.ndarray, mu: np.ndarray, phase: np.ndarray, soil: HapkeSet) -> np.ndarray:
    """Hapke's law straight from its equations (2012: 6.7 with b and c of Sato et al. 2014, 9.22, 10.8), exact H."""
    w, b, c, b0, h = soil
    lobe = (1.0 - b**2) / 2.0
    p = lobe * (1.0 + c) * (1.0 - 2.0 * b * np.cos(phase) + b**2) ** -1.5
    p += lobe * (1.0 - c) * (1.0 + 2.0 * b * np.cos(phase) + b**2) ** -1.5
    surge = b0 / (1.0 + np.tan(0.5 * phase) / h)
    multiple = exact_h(mu0, w) * exact_h(mu, w) - 1.0
    return w / (4.0 * np.pi) * mu0 / (mu0 + mu) * ((1.0 + surge) * p + multiple)


@pytest.mark.parametrize("place", PLACES)
def test_hapke_agrees_with_its_equations_and_the_exact_h(place: str) -> None:
    """Within 1 % for the ground of every place, over the whole hemisphere."""
    random = np.random.default_rng(4)
    mu0, mu = random.uniform(0.02, 1.0, (2, 4000))
    cos_g = _geometry(mu0, mu, random.uniform(0.0, np.pi, 4000))
    found = hapke(NUMPY_OPS, mu0, mu, cos_g, *PLACES[place])
    wanted = exact_hapke(mu0, mu, np.arccos(np.clip(cos_g, -1.0, 1.0)), PLACES[place])
    assert np.abs(found / wanted - 1.0).max() < 0.01


def hemispherical(mu0: float, *soil: float) -> float:
    """Share of the sunlight that falls on level ground which it reflects, over the whole hemisphere."""
    mu, weight = np.polynomial.legendre.leggauss(64)
    mu, weight = 0.5 * (mu[:, None] + 1.0), 0.5 * weight[:, None]
    azimuth = (np.arange(256) + 0.5) * (2.0 * np.pi / 256)
    r = hapke(NUMPY_OPS, mu0, mu, _geometry(mu0, mu, azimuth), *soil)
    return float((r * mu * weight).sum() * (2.0 * np.pi / 256) / mu0)


@pytest.mark.parametrize("place", PLACES)
def test_ground_reflects_a_part_of_the_light_and_more_of_it_the_lower_the_sun(place: str) -> None:
    """As 1 - √(1 - w) H(mu0) of isotropic scatterers does: light that enters at a grazing angle stays near the top."""
    shares = [hemispherical(mu0, *PLACES[place]) for mu0 in (1.0, 0.7, 0.4, 0.2, 0.05)]
    assert 0.0 < shares[0] < PLACES[place].albedo
    assert all(low < high < 1.0 for low, high in itertools.pairwise(shares))


def test_isotropic_scatterers_reflect_what_the_exact_solution_says() -> None:
    for w in (0.2, 0.5, 0.9):
        for mu0 in (1.0, 0.5, 0.1):
            exact = 1.0 - math.sqrt(1.0 - w) * float(exact_h(np.array([mu0]), w)[0])
            assert hemispherical(mu0, w, 0.0, 0.0, 0.0, 0.07) == pytest.approx(exact, rel=0.03)


@given(mu0=cosines, w=st.floats(0.05, 0.65), b=st.floats(0.16, 0.31), c=st.floats(-0.25, 1.0), b0=st.floats(1.4, 2.2))
@settings(max_examples=60)
def test_no_ground_of_the_maps_reflects_more_than_falls_on_it(
    mu0: float, w: float, b: float, c: float, b0: float
) -> None:
    """Over all that the maps at 643 nm hold; of white ground (w near 1) the law with this surge would."""
    assert hemispherical(mu0, w, b, c, b0, 0.1) < 0.75


MOON_MAGNITUDES = {10: 0.23, 20: 0.51, 30: 0.79, 40: 1.06, 50: 1.35, 60: 1.62, 90: 2.63}
"""Phase angle [deg] to the whole Moon's magnitude over that of the full Moon (Allen 1973, Astrophysical Quantities,
3rd ed., p. 143; as E. S. Light quotes the table)."""


def ball_magnitude(phase_deg: float, soil: HapkeSet) -> float:
    """Magnitude of a smooth ball of a soil, up to a constant."""
    phase = math.radians(phase_deg)
    x, weight = np.polynomial.legendre.leggauss(96)
    middle, half = 0.5 * phase, 0.5 * (math.pi - phase)
    lon, lat = middle + half * x, 0.5 * math.pi * x[:, None]  # photometric: the viewer at 0, the sun at the phase angle
    mu, mu0 = np.cos(lat) * np.cos(lon), np.cos(lat) * np.cos(lon - phase)
    r = hapke(NUMPY_OPS, mu0, mu, math.cos(phase), *soil)
    flux = half * 0.5 * math.pi * (r * mu * np.cos(lat) * weight[:, None] * weight).sum()
    return -2.5 * math.log10(flux)


@pytest.mark.parametrize("soil", [PLACES["mare"], OLD_HIGHLAND], ids=["mare", "near-side highland"])
def test_a_smooth_ball_follows_the_moons_phase_curve_as_far_as_roughness_matters_little(soil: HapkeSet) -> None:
    """Within 0.1 magnitudes to 40°, 0.2 to 60°; beyond, it lacks the shadows of the relief, which is modelled apart."""
    past = {
        phase: ball_magnitude(phase, soil) - ball_magnitude(20, soil) - (magnitude - MOON_MAGNITUDES[20])
        for phase, magnitude in MOON_MAGNITUDES.items()
    }
    assert all(abs(past[phase]) < 0.1 for phase in (10, 30, 40)), past
    assert all(abs(past[phase]) < 0.2 for phase in (50, 60)), past
    assert -0.5 < past[90] < -0.3


def test_h_function_matches_its_integral_equation() -> None:
    x = np.linspace(0.02, 1.0, 64)
    for w in (0.2, 0.5, 0.9):
        np.testing.assert_allclose(chandrasekhar_h(NUMPY_OPS, x, w), exact_h(x, w), rtol=0.012)


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
