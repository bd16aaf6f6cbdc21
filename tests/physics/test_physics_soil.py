"""Wheel and soil against closed forms, a measured curve, published values and limits."""

import math

import numpy as np
import pytest

from regolith.lunar.physics.soil import (
    Rim,
    Soil,
    compaction_resistance,
    loaded_wheel,
    plate_sinkage,
    plate_thrust,
    slip_ratio,
    sunk_wheel,
)

MOON, RIM = Soil(), Rim(radius=0.25, width=0.2)
PLAIN = Soil(cohesion=0.0, friction_deg=0.0, stress_base=0.0, stress_slip=0.0)
"""Without shear, its largest stress below the axle and none behind: Bekker's wheel."""


def test_lunar_plate_by_hand() -> None:
    """1400 / 0.2 + 820000 = 827 kPa at a metre: 8.27 kPa at a centimetre."""
    assert MOON.pressure(0.01, 0.2) == pytest.approx(8270.0)
    assert plate_sinkage(MOON, 8270.0, 0.2) == pytest.approx(0.01)
    assert Soil(exponent=1.1).pressure(plate_sinkage(Soil(exponent=1.1), 5e3, 0.3), 0.3) == pytest.approx(5e3)


def test_shear_reaches_coulombs_strength_by_janosis_law() -> None:
    strength = 170.0 + 1e4 * math.tan(math.radians(35.0))
    assert MOON.shear(1e4, 0.018) == pytest.approx(strength * (1.0 - 1.0 / math.e))
    assert MOON.shear(1e4, 1.0) == pytest.approx(strength)
    assert MOON.shear(1e4, -0.018) == -MOON.shear(1e4, 0.018)


@pytest.mark.parametrize("slip", [0.001, 0.05, 0.3, 1.0])
def test_track_thrust_is_the_integral_of_its_shear(slip: float) -> None:
    """H = b ∫ τ(s x) dx; at full slip all but K / l of the strength."""
    length, width, load = 1.2, 0.3, 900.0
    x = (np.arange(20_000) + 0.5) * length / 20_000
    expected = width * float(MOON.shear(load / (length * width), slip * x).mean()) * length
    thrust = plate_thrust(MOON, area=length * width, length=length, load=load, slip=slip)
    assert thrust == pytest.approx(expected, rel=1e-6)
    assert plate_thrust(MOON, area=0.36, length=1.2, load=900.0, slip=0.0) == 0.0


@pytest.mark.parametrize("exponent", [0.5, 0.8, 1.0, 1.3])
def test_rim_resistance_is_bekkers_compaction_resistance(exponent: float) -> None:
    soil = Soil(**{**vars(PLAIN), "exponent": exponent})
    for sinkage in (0.005, 0.03, 0.12):
        state = sunk_wheel(soil, RIM, sinkage, 0.0)
        assert state.resistance == pytest.approx(compaction_resistance(soil, RIM, sinkage), rel=2e-3)
        assert state.pull == pytest.approx(-state.resistance)
        assert state.torque == 0.0


@pytest.mark.parametrize("exponent", [0.5, 0.8, 1.0, 1.2])
def test_sinkage_is_bekkers_formula_for_small_sinkages(exponent: float) -> None:
    """The depth is (W / (I (k_c + b k_φ) √D))^(2 / (2n + 1)) with I = ∫ (1 − t²)ⁿ dt: Bekker kept 1 − n / 3 of it."""
    soil = Soil(**{**vars(PLAIN), "exponent": exponent})
    exact = 0.5 * math.sqrt(math.pi) * math.gamma(exponent + 1.0) / math.gamma(exponent + 1.5)
    for load in (5.0, 40.0):
        found = loaded_wheel(soil, RIM, load, 0.0).sinkage
        for integral, tolerance in ((exact, 0.01), (1.0 - exponent / 3.0, 0.08)):
            stiffness = soil.cohesive_modulus + RIM.width * soil.frictional_modulus
            expected = (load / (integral * stiffness * math.sqrt(2.0 * RIM.radius))) ** (2.0 / (2.0 * exponent + 1.0))
            assert found == pytest.approx(expected, rel=tolerance)


def test_no_load_no_sinkage_and_no_force() -> None:
    assert vars(loaded_wheel(MOON, RIM, 0.0, 0.4)) == dict.fromkeys(
        ("sinkage", "load", "pull", "torque", "resistance"), 0.0
    )


@pytest.mark.parametrize("load", [20.0, 150.0, 400.0])
def test_pull_and_torque_rise_with_slip_towards_coulombs_limit(load: float) -> None:
    slips = np.linspace(0.0, 1.0, 11)
    states = [loaded_wheel(MOON, RIM, load, slip) for slip in slips]
    assert all(state.load == pytest.approx(load, rel=1e-6) for state in states)
    assert np.all(np.diff([state.pull for state in states]) > 0.0)
    assert np.all(np.diff([state.torque for state in states]) > 0.0)
    assert states[0].pull < 0.0 < states[-1].pull  # without slip nothing pushes, and the rut still costs
    for state in states:
        area = RIM.radius * RIM.width * math.acos(1.0 - state.sinkage / RIM.radius)
        most = MOON.cohesion * area + 1.2 * load * math.tan(math.radians(MOON.friction_deg))
        assert state.torque / RIM.radius < most
    assert loaded_wheel(MOON, RIM, load, -0.5).torque < 0.0


def test_deeper_under_more_load_less_under_a_wider_wheel() -> None:
    depths = [loaded_wheel(MOON, RIM, load, 0.2).sinkage for load in (20.0, 80.0, 320.0)]
    assert depths == sorted(depths)
    assert loaded_wheel(MOON, Rim(0.25, 0.4), 80.0, 0.2).sinkage < depths[1]
    with pytest.raises(ValueError, match="past its axle"):
        loaded_wheel(MOON, RIM, 1e6, 0.2)


def test_lrv_wheel_sinks_a_centimetre_or_two() -> None:
    """Its wheels (0.82 m by 0.23 m) carried a quarter of 700 kg and left ruts of 1¼ cm on average.

    Mitchell et al. 1972, Apollo 15 Preliminary Science Report, chapter 7. They were elastic: a rigid rim goes deeper.
    """
    assert 0.0125 < loaded_wheel(MOON, Rim(0.41, 0.23), 175.0 * 1.62, 0.02).sinkage < 0.025


MEASURED = (
    (-0.001, 24.58, -1.34, 14.4),
    (0.231, 24.62, 0.70, 17.9),
    (0.500, 25.28, 0.97, 22.7),
    (0.750, 24.00, 0.82, 25.4),
)
"""Slip, load [N], drawbar pull [N] and sinkage [mm] of a smooth rigid wheel of 58 by 50 mm in dry soil (1,330 kg/m³).

C. Pavlov, Carnegie Mellon University: github.com/robomechanics/3d-terramechanics, the data and code of a paper in the
Journal of Terramechanics, at commit 55a6e92 (MIT). Means of three runs each at slip angle 0 (`tuned_results` of
`terramechanics/trench_off_smooth_new.mat`; signs as in `average_data_to_model.m`), rounded.
"""
PAST = (0.900, 25.67, 1.51, 25.7)
"""The last point of that curve."""
SAND, SMALL = (
    Soil(
        cohesive_modulus=0.0, frictional_modulus=8e6, exponent=1.46, cohesion=1000.0, friction_deg=29.0,
        shear_modulus=0.021, stress_base=0.202, stress_slip=0.705, exit_ratio=0.476,
    ),
    Rim(radius=0.058, width=0.05),
)  # fmt: skip
"""The soil and wheel that belong to it: `set_soil_params.m`, `set_rover_params.m`, and θₘ and θ₂ from the same table.

Modulus, density and angle of repose were measured; the authors chose the others so that their model fits the wheel.
"""


@pytest.mark.parametrize(("slip", "load", "pull", "sinkage_mm"), MEASURED)
def test_pull_and_sinkage_are_those_measured_on_a_rigid_wheel(
    slip: float, load: float, pull: float, sinkage_mm: float
) -> None:
    """Within 3 % of the load and 3 mm, from no slip to 0.75; nothing is fitted here."""
    state = loaded_wheel(SAND, SMALL, load, max(slip, 0.0))
    assert state.pull == pytest.approx(pull, abs=0.03 * load)
    assert 1e3 * state.sinkage == pytest.approx(sinkage_mm, abs=3.0)


def test_at_high_slip_the_wheel_sinks_in_deeper_than_measured() -> None:
    """At 0.9 by two thirds, and pulls less by a sixth of its load: what docs/physics.md says does not hold."""
    slip, load, pull, sinkage_mm = PAST
    state = loaded_wheel(SAND, SMALL, load, slip)
    assert 1.4 < 1e3 * state.sinkage / sinkage_mm < 1.9
    assert -0.25 * load < state.pull - pull < -0.1 * load


def test_slip_ratio() -> None:
    assert slip_ratio(1.0, 1.0) == 0.0
    assert slip_ratio(1.0, 0.8) == pytest.approx(0.2)
    assert slip_ratio(0.8, 1.0) == pytest.approx(-0.2)
    assert slip_ratio(-1.0, -0.8) == pytest.approx(0.2)  # backwards is no different
    assert slip_ratio(1.0, 0.0) == 1.0
    assert slip_ratio(0.0, 1.0) == -1.0
    assert slip_ratio(0.0, 0.0) == 0.0
    assert slip_ratio([1.0, 2.0], [0.5, 2.0]) == pytest.approx([0.5, 0.0])
