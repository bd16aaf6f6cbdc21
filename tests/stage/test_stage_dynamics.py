"""Dynamics on a stage: neutral ones leave it as it is, others scale what `UsdPhysics` says, and none adds up."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Usd, UsdPhysics

from regolith.lunar.params import DynamicsParams, InputError, Interval, dump_params, field_extra, load_preset
from regolith.lunar.physics.experiments import rover_stage
from regolith.lunar.physics.read import read_gravity, read_world
from regolith.lunar.randomize import draw_dynamics, draw_scene, draw_values, traverse_intervals
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.dynamics import NEUTRAL, apply_dynamics, read_actuation

V3 = load_preset("v3")
LIMITS = {name: field_extra(field) for name, field in DynamicsParams.model_fields.items()}
WIDE = V3.model_copy(
    update={"dynamics": DynamicsParams(**{name: Interval(each["ge"], each["le"]) for name, each in LIMITS.items()})}
)
values = st.fixed_dictionaries({name: st.floats(each["ge"], each["le"]) for name, each in LIMITS.items()})


def told(stage: Usd.Stage) -> dict:
    """What an engine and a controller are told of a rover."""
    world = read_world(stage)
    assert world.ground is not None
    drives = {joint.path: joint.drive for joint in world.joints}
    shapes = {
        shape.path: (shape.friction, shape.restitution, shape.stiffness, shape.damping)
        for body in world.bodies
        for shape in body.shapes
    }
    masses = {body.path: (body.mass, np.asarray(body.inertia).tolist()) for body in world.bodies}
    return {
        "gravity": world.gravity.tolist(),
        "bodies": masses,
        "drives": drives,
        "shapes": shapes,
        "ground": world.ground.friction,
        "actuation": read_actuation(stage),
    }


def test_neutral_dynamics_leave_the_bytes_of_the_stage() -> None:
    stage = rover_stage()
    before = stage.ExportToString()
    apply_dynamics(stage, NEUTRAL)
    assert stage.ExportToString() == before
    assert all(field_extra(field)["per"] == "traverse" for field in DynamicsParams.model_fields.values())


@settings(max_examples=5, deadline=None)
@given(values, values)
def test_what_was_set_before_is_forgotten(first: dict, second: dict) -> None:
    stage, fresh = rover_stage(), rover_stage()
    apply_dynamics(stage, first)
    apply_dynamics(stage, second)
    apply_dynamics(fresh, second)
    assert told(stage) == told(fresh)
    apply_dynamics(stage, {})
    assert told(stage) == told(rover_stage())


def test_every_value_reaches_what_simulates_or_drives_the_rover() -> None:
    plain, seen = told(rover_stage()), {}
    drawn = {
        "friction_scale": 0.8, "restitution": 0.3, "mass_scale": 1.1, "inertia_scale": 2.0, "joint_damping_scale": 3.0,
        "drive_stiffness_scale": 0.5, "terrain_compliance": 20.0, "action_gain": 0.9, "action_delay_steps": 3.0,
        "action_noise": 0.02, "proprioception_noise": 0.03,
    }  # fmt: skip
    stage = rover_stage()
    apply_dynamics(stage, drawn)
    seen = told(stage)
    for path, (mass, inertia) in plain["bodies"].items():
        assert seen["bodies"][path][0] == pytest.approx(1.1 * mass)
        assert seen["bodies"][path][1] == pytest.approx([2.2 * moment for moment in inertia])
    for path, drive in plain["drives"].items():
        assert seen["drives"][path].stiffness == pytest.approx(0.5 * drive.stiffness)
        assert seen["drives"][path].damping == pytest.approx(3.0 * drive.damping)
    stiffness = 1.0 / 20e-6
    for friction, restitution, spring, damping in seen["shapes"].values():
        assert (friction, restitution, spring) == pytest.approx((0.8 * viper.FRICTION[1], 0.3, stiffness))
        assert damping == pytest.approx(2.0 * math.sqrt(stiffness * 1.1 * viper.MASS_KG / 4.0))
    assert seen["ground"] == pytest.approx(0.8 * viper.FRICTION[1])
    assert UsdPhysics.MaterialAPI(stage.GetPrimAtPath(schema.TRACTION)).GetStaticFrictionAttr().Get() == pytest.approx(
        0.8 * viper.FRICTION[0]
    )
    assert "PhysxMaterialAPI" in stage.GetPrimAtPath(schema.TRACTION).GetMetadata("apiSchemas").GetAppliedItems()
    assert seen["actuation"] == {name: drawn[name] for name in schema.ACTUATION}


@pytest.mark.parametrize(("tilt", "azimuth"), [(5.0, 0.0), (12.0, 90.0), (30.0, 250.0)])
def test_gravity_tilts_and_keeps_its_magnitude(tilt: float, azimuth: float) -> None:
    stage = rover_stage()
    apply_dynamics(stage, {"gravity_tilt_deg": tilt, "gravity_azimuth_deg": azimuth})
    x, y, z = read_gravity(stage)
    assert np.linalg.norm([x, y, z]) == pytest.approx(viper.GRAVITY, rel=1e-6)
    assert math.degrees(math.acos(-z / viper.GRAVITY)) == pytest.approx(tilt, abs=1e-3)
    assert math.degrees(math.atan2(y, x)) % 360.0 == pytest.approx(azimuth, abs=1e-3)


def test_a_stage_without_a_rover_and_an_unknown_name_are_bad_input() -> None:
    with pytest.raises(InputError, match="a stage with a rover"):
        apply_dynamics(Usd.Stage.CreateInMemory(), {})
    with pytest.raises(InputError, match=r"dynamics\.grip: 2.*friction_scale"):
        apply_dynamics(rover_stage(), {"grip": 2.0})


@pytest.mark.parametrize("sampling", ["independent", "sobol"])
def test_draws_depend_on_seed_split_and_number_and_leave_frames_alone(sampling: str) -> None:
    wide, plain = (
        params.model_copy(update={"randomize": params.randomize.model_copy(update={"sampling": sampling})})
        for params in (WIDE, V3)
    )
    rows = [draw_dynamics(wide, 3, "val", number) for number in range(16)]
    assert rows == [draw_dynamics(wide, 3, "val", number) for number in range(16)]
    assert rows[0] != draw_dynamics(wide, 4, "val", 0) and rows[0] != draw_dynamics(wide, 3, "train_dr", 0)
    for name, interval in traverse_intervals(wide, "val").items():
        assert all(interval.contains(row[name]) for row in rows)
        assert len({row[name] for row in rows}) == 16, name
    assert draw_values(wide, 3, "val", 5) == draw_values(plain, 3, "val", 5)
    assert draw_scene(wide, 3, "val", 5) == draw_scene(plain, 3, "val", 5)


def test_parameters_say_nothing_of_neutral_dynamics_without_a_rover() -> None:
    assert "dynamics" not in dump_params(V3)
    assert "friction_scale" in dump_params(WIDE)
    off = V3.model_copy(update={"randomize": V3.randomize.model_copy(update={"dynamics": False})})
    assert '"dynamics":false' in dump_params(off)
