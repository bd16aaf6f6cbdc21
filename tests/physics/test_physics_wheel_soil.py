"""The rover on soil: its slip is where the soil's pull balances what the ground asks for."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from small_stage import DRIVES, WHEELS, G, add_rover, ground_stage

from regolith.lunar.params import InputError
from regolith.lunar.physics.engine import Engine
from regolith.lunar.physics.engines import open_engine
from regolith.lunar.physics.soil import Rim, Soil, loaded_wheel
from regolith.lunar.physics.wheel_soil import WheelSoil, find_wheels, read_rolling
from regolith.lunar.physics.world import Pose
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema

MOON = Soil()
RIM = Rim(viper.WHEEL_RADIUS_M, viper.WHEEL_WIDTH_M)
QUARTER = viper.MASS_KG * G / 4.0


def on_soil(tangent: float, soil: Soil) -> tuple[Engine, WheelSoil]:
    """The rover on ground that rises ahead by a tangent."""
    stage = ground_stage(lambda x, y: tangent * x + 0.0 * y)
    add_rover(stage)
    engine = open_engine(stage, gripping=WHEELS)
    angle = -0.5 * math.atan(tangent)
    pose = Pose(np.array([-2.0, 0.0, 0.02 - 2.0 * tangent]), np.array([math.cos(angle), 0.0, math.sin(angle), 0.0]))
    engine.reset({schema.ROVER_CHASSIS: pose})
    wheels = find_wheels(engine.world, WHEELS)
    return engine, WheelSoil(engine, wheels, soil, load_max=5.0 * QUARTER)


@pytest.mark.parametrize("tangent", [0.0, 0.15])
def test_slip_is_where_drawbar_pull_balances_the_slope(tangent: float) -> None:
    """On flat ground the pull is nought; up a slope that of each wheel is its share of the weight's part along it.

    The wheels' spins, and so nearly their slips, are one; so the pulls' sum over the loads found is what is compared.
    """
    engine, soil = on_soil(tangent, MOON)
    for joint in DRIVES:
        engine.drive(joint, velocity=0.9)
    soil.step(1500)
    slips, loads, speeds = [], [], []
    for _ in range(150):
        soil.step(8)
        rolling = read_rolling(engine, find_wheels(engine.world, WHEELS))
        slips.append([wheel.slip for wheel in rolling])
        loads.append([wheel.load for wheel in rolling])
        speeds.append([wheel.speed for wheel in rolling])
    load = np.mean(loads, axis=0)
    assert float(load.sum()) == pytest.approx(viper.MASS_KG * G * math.cos(math.atan(tangent)), rel=0.02)
    needed = viper.MASS_KG * G * math.sin(math.atan(tangent))

    def lacking(slip: float) -> float:
        return sum(loaded_wheel(MOON, RIM, float(part), slip).pull for part in load) - needed

    expected = brentq(lacking, 0.0, 0.95)
    assert float(np.mean(slips)) == pytest.approx(expected, abs=0.02 + 0.05 * tangent)
    assert float(np.ptp(np.mean(speeds, axis=1))) < 0.02


def test_it_rests_on_a_slope_and_cannot_climb_a_steeper_one_than_the_soil_bears() -> None:
    """Lunar soil at rest bears a rise of 0.2; one of less friction pulls less at full slip than 0.5 asks for."""
    engine, soil = on_soil(0.2, MOON)
    soil.step(500)
    before = engine.motion([schema.ROVER_CHASSIS]).position[0]
    soil.step(1000)
    assert np.linalg.norm(engine.motion([schema.ROVER_CHASSIS]).position[0] - before) < 0.02
    weak, angle = Soil(friction_deg=25.0), math.atan(0.5)
    lacks = QUARTER * math.sin(angle) - loaded_wheel(weak, RIM, QUARTER * math.cos(angle), 1.0).pull
    assert lacks > 0.1 * QUARTER
    engine, soil = on_soil(0.5, weak)
    for joint in DRIVES:
        engine.drive(joint, velocity=0.9)
    soil.step(1000)
    assert engine.motion([schema.ROVER_CHASSIS]).position[0, 0] < -2.2


def test_sinkage_of_the_standing_rover_is_that_of_its_loads() -> None:
    engine, soil = on_soil(0.0, MOON)
    soil.step(1000)
    depths, loads = [], []
    for _ in range(100):
        loads.append(engine.loads(WHEELS)[:, 2])
        soil.step(4)
        depths.append(soil.sinkage)
    expected = [loaded_wheel(MOON, RIM, float(load), 1.0).sinkage for load in np.mean(loads, axis=0)]
    assert np.mean(depths, axis=0) == pytest.approx(expected, rel=0.02)


def test_soil_that_bears_no_wheel_is_refused(rover_stage) -> None:
    engine = open_engine(rover_stage, gripping=WHEELS)
    wheels = find_wheels(engine.world, WHEELS)
    with pytest.raises(InputError, match="past its axle"):
        WheelSoil(engine, wheels, Soil(frictional_modulus=1000.0, cohesive_modulus=0.0), load_max=QUARTER)
    with pytest.raises(InputError, match="a Cylinder that collides"):
        find_wheels(engine.world, [schema.ROVER_CHASSIS])
