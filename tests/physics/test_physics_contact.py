"""Contacts that rebound or give way: what a physics material says, against closed formulas."""

import math

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom
from small_stage import G, bind_friction, ground_stage, solid

from regolith.lunar.physics.contact import rebound_ratio
from regolith.lunar.physics.engines import open_engine
from regolith.lunar.stage import schema

BALL, MASS, RADIUS = "/World/Ball", 12.0, 0.25


def ball(lift: float, **material: float) -> Usd.Stage:
    """A ball above a floor it touches at one point, with attributes of its physics material."""
    stage = ground_stage()
    stage.RemovePrim(schema.GROUND)
    UsdGeom.Cube(solid(stage, "Cube", "/World/Floor", (0.0, 0.0, -5.0), body=False)).CreateSizeAttr(10.0)
    prim = solid(stage, "Sphere", BALL, (0.0, 0.0, RADIUS + lift))
    UsdGeom.Sphere(prim).CreateRadiusAttr(RADIUS)
    bind_friction(prim, 0.5, density=MASS / (4.0 / 3.0 * math.pi * RADIUS**3))
    for name, value in material.items():
        bound = stage.GetPrimAtPath("/World/Looks/Ball_50")
        bound.CreateAttribute(name.replace("__", ":"), Sdf.ValueTypeNames.Float).Set(value)
    return stage


@pytest.mark.parametrize("restitution", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("lift", [0.3, 0.5, 0.75])
@pytest.mark.parametrize(("step", "tolerance"), [(0.0001, 0.01), (0.004, 0.035)])
def test_a_ball_rebounds_at_its_restitution(restitution: float, lift: float, step: float, tolerance: float) -> None:
    engine = open_engine(ball(lift, physics__restitution=restitution), timestep_s=step)
    speeds = []
    while engine.time_s < math.sqrt(2.0 * lift / G) + 0.15:
        engine.step(max(1, round(0.001 / step)))
        speeds.append(engine.motion([BALL]).velocity[0, 2])
    hit = int(np.argmin(speeds))
    assert speeds[hit] == pytest.approx(-math.sqrt(2.0 * G * lift), rel=0.02)
    assert max(speeds[hit:]) / -speeds[hit] == pytest.approx(restitution, abs=tolerance)


@pytest.mark.parametrize("stiffness", [1e3, 1e4, 1e5])
def test_a_ball_sinks_into_a_compliant_floor_by_its_weight_over_the_stiffness(stiffness: float) -> None:
    damping = 2.0 * math.sqrt(stiffness * MASS)
    stage = ball(
        0.0, physxMaterial__compliantContactStiffness=stiffness, physxMaterial__compliantContactDamping=damping
    )
    engine = open_engine(stage, timestep_s=0.004)
    engine.step(2000)
    assert RADIUS - engine.motion([BALL]).position[0, 2] == pytest.approx(MASS * G / stiffness, rel=1e-3)


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.7, 0.95])
def test_a_ratio_is_that_of_a_spring_and_dashpot_let_go_where_they_would_pull(ratio: float) -> None:
    """Integrated: x'' = −2 ζ x' − x from x = 0 at unit speed, until the force −2 ζ x' − x falls to nothing."""
    x, v, step = 0.0, 1.0, 1e-5
    while 2.0 * ratio * v + x > 0.0:
        v -= step * (2.0 * ratio * v + x)
        x += step * v
    assert rebound_ratio(-v) == pytest.approx(ratio, abs=1e-3)
    assert rebound_ratio(0.05) == 1.0
