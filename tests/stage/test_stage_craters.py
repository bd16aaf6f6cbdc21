"""Craters: how many, how large, how deep, and what a later one does to an earlier one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from regolith.lunar.params import CraterParams, InputError, Interval
from regolith.lunar.stage.craters import (
    CRATER_DTYPE,
    EQUILIBRIUM_1M,
    crater_profile,
    degradation_age,
    depth_to_diameter,
    draw_craters,
    overprint,
    rim_distance,
)
from regolith.lunar.stage.spec import rng
from regolith.lunar.stage.terrain import lay_craters

RHO = np.linspace(0.0, 5.0, 2001)


def truncated_slope(size: np.ndarray, lo: float, hi: float) -> float:
    """Maximum-likelihood slope of a power law cut at both ends (bisection on the score)."""
    mean = float(np.mean(np.log(size / lo)))
    span = float(np.log(hi / lo))
    low, high = 0.01, 10.0
    for _ in range(80):
        b = 0.5 * (low + high)
        expected = 1.0 / b - span / np.expm1(b * span)
        low, high = (b, high) if expected > mean else (low, b)
    return 0.5 * (low + high)


@pytest.mark.parametrize("exponent", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_drawn_sizes_have_the_slope_asked_for(exponent: float, seed: int) -> None:
    """Fitted cumulative slope within 0.1, sizes inside the limits."""
    law = CraterParams(exponent=exponent, diameter_min_m=0.5, diameter_max_m=30.0)
    craters = draw_craters(law, 1.0, 70.0, rng(seed, "c"))
    assert len(craters) > 2000
    assert craters["diameter"].min() >= 0.5
    assert craters["diameter"].max() <= 30.0
    assert truncated_slope(craters["diameter"], 0.5, 30.0) == pytest.approx(exponent, abs=0.1)


@pytest.mark.parametrize("exponent", [1.5, 2.0, 3.0])
def test_number_at_one_metre_is_the_share_of_equilibrium(exponent: float) -> None:
    """N(>1 m) is density times 10^-1.1 per m² whatever the exponent (Trask 1966)."""
    law = CraterParams(exponent=exponent, diameter_min_m=0.5, diameter_max_m=60.0)
    counts = []
    for seed in range(4):
        craters = draw_craters(law, 0.8, 60.0, rng(seed, "n"))
        counts.append(np.sum(craters["diameter"] >= 1.0))
    area = (2.0 * (60.0 + 60.0)) ** 2
    expected = 0.8 * EQUILIBRIUM_1M * (1.0 - 60.0**-exponent) * area
    assert np.mean(counts) == pytest.approx(expected, rel=0.04)
    assert pytest.approx(0.0794, abs=1e-4) == EQUILIBRIUM_1M


def test_craters_cover_the_border_and_are_in_time_order() -> None:
    """Centres go beyond the square on all sides; diffusion ages fall; freshness stays in its interval."""
    law = CraterParams(freshness=Interval(0.2, 0.9), diameter_max_m=10.0)
    craters = draw_craters(law, 0.8, 20.0, rng(3, "c"))
    assert craters.dtype == CRATER_DTYPE
    for axis in ("x", "y"):
        assert craters[axis].min() < -25.0
        assert craters[axis].max() > 25.0
        assert np.abs(craters[axis]).max() <= 30.0
    age = degradation_age(craters["freshness"]) * (0.5 * craters["diameter"]) ** 2
    assert np.all(np.diff(age) <= 0.0)
    assert craters["freshness"].min() >= 0.2
    assert craters["freshness"].max() <= 0.9
    assert craters["diameter"][: len(craters) // 10].mean() > craters["diameter"][-len(craters) // 10 :].mean()


def test_no_density_no_craters_and_too_many_is_refused() -> None:
    """Density 0 gives none; a law beyond the limit names its field."""
    assert len(draw_craters(CraterParams(), 0.0, 20.0, rng(0, "c"))) == 0
    with pytest.raises(InputError, match=r"craters\.density"):
        draw_craters(CraterParams(exponent=4.0, diameter_min_m=0.1), 2.0, 60.0, rng(0, "c"))


def test_depth_over_diameter_by_freshness() -> None:
    """0.2 fresh, 0.05 degraded, linear between, at any diameter."""
    for diameter in (0.1, 1.0, 14.0):
        for freshness in (0.0, 0.25, 0.5, 0.9, 1.0):
            measured = depth_to_diameter(crater_profile(RHO, diameter, freshness), diameter)
            assert measured == pytest.approx(0.05 + 0.15 * freshness, abs=0.002)


def test_fresh_profile_has_bowl_rim_and_ejecta() -> None:
    """Rim crest at one radius and 0.036–0.04 D high, ejecta thinning as r^-3, nothing beyond."""
    h = crater_profile(RHO, 1.0, 1.0)
    assert RHO[np.argmax(h)] == pytest.approx(1.0, abs=0.02)
    assert 0.035 <= h.max() <= 0.041
    outside = (RHO > 1.2) & (RHO < 3.0)
    slope = np.polyfit(np.log(RHO[outside]), np.log(h[outside]), 1)[0]
    assert slope == pytest.approx(-3.0, abs=0.15)
    assert h[-1] == 0.0
    assert crater_profile(np.array([7.0]), 1.0, 1.0)[0] == 0.0
    bowl = RHO < 0.9
    assert np.all(np.diff(h[bowl]) >= 0.0)


def test_wear_is_diffusion() -> None:
    """Worn profiles keep their volume, lose rim height and age monotonically."""
    volumes = [trapezoid(crater_profile(RHO, 1.0, f) * RHO, RHO) for f in (1.0, 0.6, 0.3)]
    assert np.allclose(volumes, volumes[0], atol=0.12 * abs(volumes[0]))
    rims = [crater_profile(RHO, 1.0, f).max() for f in (1.0, 0.75, 0.5, 0.25, 0.0)]
    assert np.all(np.diff(rims) < 0.0)
    ages = degradation_age(np.linspace(0.0, 1.0, 21))
    assert np.all(np.diff(ages) < 0.0)
    assert ages[-1] == 0.0


def test_profile_of_arrays_equals_profile_of_numbers() -> None:
    """Vectorised evaluation over craters agrees with one crater at a time."""
    diameter, freshness = np.array([[0.3], [2.0]]), np.array([[0.13], [0.77]])
    together = crater_profile(RHO[None, ::50], diameter, freshness)
    for row in range(2):
        alone = crater_profile(RHO[::50], diameter[row, 0], freshness[row, 0])
        assert np.allclose(together[row], alone, atol=1e-12)


def crater(x: float, y: float, diameter: float, freshness: float) -> np.ndarray:
    """One crater as an array."""
    return np.array([(x, y, diameter, freshness)], CRATER_DTYPE)


def test_later_crater_overprints_the_earlier() -> None:
    """Inside the later rim the earlier relief is gone; the order decides."""
    flat, cell = np.zeros((201, 201)), 0.05
    early, late = crater(-0.8, 0.0, 2.5, 1.0), crater(0.8, 0.0, 2.0, 1.0)
    z = lay_craters(flat, cell, np.concatenate([early, late]))
    swapped = lay_craters(flat, cell, np.concatenate([late, early]))
    axis = (np.arange(201) - 100) * cell
    x, y = np.meshgrid(axis, axis)
    inside = rim_distance(x - 0.8, y, late[0]) < 0.7
    own = lay_craters(flat, cell, late)
    change = (z - own)[inside]  # a plane: the slope it formed on
    basis = np.column_stack([np.ones(change.size), x[inside], y[inside]])
    rest = change - basis @ np.linalg.lstsq(basis, change, rcond=None)[0]
    assert np.abs(rest).max() < 1e-6
    summed = lay_craters(flat, cell, early)[inside]
    assert np.ptp(summed) > 0.05  # there was relief to overprint
    assert np.abs(z - swapped).max() > 0.05


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    x=st.floats(-8, 8), y=st.floats(-8, 8), diameter=st.floats(0.3, 20.0), freshness=st.floats(0, 1),
    slope=st.floats(-0.3, 0.3),
)  # fmt: skip
def test_crater_on_a_slope_keeps_the_slope(x: float, y: float, diameter: float, freshness: float, slope: float) -> None:
    """Laying a crater on a plane adds its profile and nothing else, wherever it lies."""
    axis = np.linspace(-5.0, 5.0, 81)
    gx, gy = np.meshgrid(axis, axis)
    one = crater(x, y, diameter, freshness)
    z = overprint(slope * gx, gx - x, gy - y, one[0])
    expected = slope * gx + crater_profile(rim_distance(gx - x, gy - y, one[0]), diameter, freshness)
    assert np.abs(z - expected).max() < 1e-3
