"""What bodies do under lunar gravity, against closed formulas."""

import math

import numpy as np
import pytest
from pxr import Gf, UsdGeom, UsdPhysics
from scipy.spatial.transform import Rotation
from small_stage import DRIVES, WHEELS, G, about, bind_friction, box_on_slope, ground_stage, solid

from regolith.lunar.params import InputError
from regolith.lunar.physics.engines import open_engine
from regolith.lunar.physics.mujoco import CONTACT_IMPEDANCE, CONTACT_TIME_S
from regolith.lunar.physics.world import Pose
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema

STEP = 0.002
BALL = "/World/Ball"
TOP = np.array([0.0, 0.0, 40.0])
"""Middle of the surface of a slope [m], far above the ground."""


def test_a_ball_falls_as_galileo_says_and_rests_on_the_ground() -> None:
    stage = ground_stage()
    UsdGeom.Sphere(solid(stage, "Sphere", BALL, (0.3, 0.2, 2.25))).CreateRadiusAttr(0.25)
    engine = open_engine(stage, timestep_s=STEP)
    while not engine.contacts():
        engine.step()
    assert engine.time_s == pytest.approx(math.sqrt(2.0 * 2.0 / G), abs=3 * STEP)
    assert engine.motion([BALL]).velocity[0, 2] == pytest.approx(-math.sqrt(2.0 * G * 2.0), rel=0.01)
    engine.step(round(10.0 / STEP))
    motion = engine.motion([BALL])
    assert abs(motion.velocity[0, 2]) < 1e-4
    assert -5e-3 < motion.position[0, 2] - 0.25 < 0.0
    mass = 1000.0 * 4.0 / 3.0 * math.pi * 0.25**3  # UsdPhysics' default density
    assert sum(contact.force for contact in engine.contacts()) == pytest.approx(mass * G, rel=1e-3)
    assert engine.loads([BALL])[0] == pytest.approx([0.0, 0.0, mass * G], rel=1e-3, abs=1e-3 * mass * G)
    assert {(contact.first, contact.second) for contact in engine.contacts()} == {(BALL, schema.GROUND)}
    assert engine.contacts()[0].normal == pytest.approx([0, 0, 1], abs=1e-6)


@pytest.mark.parametrize("degrees", [20.0, 30.0, 45.0])
@pytest.mark.parametrize(("of_box", "of_slope"), [(0.6, 0.6), (1.0, 0.2), (0.2, 1.0)])
def test_a_box_slides_where_the_slope_is_steeper_than_the_mean_friction(degrees, of_box, of_slope) -> None:
    """At g (sin a − μ cos a), and μ is the mean of both materials whichever is the larger."""
    stage = box_on_slope(TOP, degrees, of_box=of_box, of_slope=of_slope)
    engine = open_engine(stage, timestep_s=STEP)
    engine.step(round(1.0 / STEP))
    before = engine.motion(["/World/Box"]).velocity[0]
    engine.step(round(1.0 / STEP))
    gained = float(np.linalg.norm(engine.motion(["/World/Box"]).velocity[0] - before))
    angle = math.radians(degrees)
    slides = math.sin(angle) - 0.6 * math.cos(angle)
    assert gained == pytest.approx(max(G * slides, 0.0), abs=0.01)
    if slides < 0.0:
        assert np.linalg.norm(before) < 2e-3


def test_a_ball_sinks_in_as_far_as_its_contact_gives_way() -> None:
    """At depth p the contact has impedance d(p), and rests where d² p = (1 − d) g (d₁ T)² (MuJoCo, "Computation")."""
    stage = ground_stage()
    UsdGeom.Cube(solid(stage, "Cube", "/World/Table", (0, 0, 1.0), body=False)).CreateSizeAttr(1.0)
    UsdGeom.Sphere(solid(stage, "Sphere", BALL, (0, 0, 1.75))).CreateRadiusAttr(0.25)
    engine = open_engine(stage, timestep_s=STEP)
    engine.step(round(5.0 / STEP))
    depth = 1.75 - engine.motion([BALL]).position[0, 2]
    low, high, width, _, _ = CONTACT_IMPEDANCE
    impedance = low + 2.0 * (depth / width) ** 2 * (high - low)  # below half the width
    expected = (1.0 - impedance) * G * (high * CONTACT_TIME_S) ** 2 / impedance**2
    assert depth < 0.5 * width
    assert depth == pytest.approx(expected, rel=0.01)


def test_friction_with_rocks_of_another_material_is_the_mean_too() -> None:
    """A fixed solid whose friction is not the ground's holds a box by (0.2 + 1.0) / 2, not by (0 + 1.0) / 2."""
    stage = ground_stage()
    bind_friction(stage.GetPrimAtPath(schema.TERRAIN), 0.3)
    turn, rotation = about((0, 1, 0), 28.0), Rotation.from_euler("y", 28.0, degrees=True)
    slope = solid(stage, "Cube", "/World/Slope", TOP, body=False, turn=turn)
    UsdGeom.Cube(slope).CreateSizeAttr(4.0)
    bind_friction(slope, 1.0)
    for name, friction, y in (("rests", 0.2, -1.0), ("slides", 0.0, 1.0)):
        box = solid(stage, "Cube", f"/World/{name}", TOP + rotation.apply([0, y, 2.1]), turn=turn)
        UsdGeom.Cube(box).CreateSizeAttr(0.2)
        bind_friction(box, friction)
    engine = open_engine(stage, timestep_s=STEP)
    engine.step(round(1.0 / STEP))
    rests, slides = np.linalg.norm(engine.motion(["/World/rests", "/World/slides"]).velocity, axis=1)
    assert rests < 2e-3
    angle = math.radians(28.0)  # 0.3 of the ground would let the first slide, 1.0 hold the second; the mean is 0.5
    assert slides == pytest.approx(G * (math.sin(angle) - 0.5 * math.cos(angle)), rel=0.05)


def test_wheels_roll_at_omega_r_and_the_rover_weighs_what_its_parts_do(rover_stage) -> None:
    engine = open_engine(rover_stage, timestep_s=STEP)
    for joint in DRIVES:
        engine.drive(joint, velocity=0.8)
    engine.step(round(3.0 / STEP))
    before = engine.motion([schema.ROVER_CHASSIS]).position[0]
    engine.step(round(4.0 / STEP))
    moved = engine.motion([schema.ROVER_CHASSIS]).position[0] - before
    radius = engine.motion(WHEELS).position[:, 2].mean()  # less what the contact gives way
    assert radius == pytest.approx(viper.WHEEL_RADIUS_M, abs=5e-3)
    turned = [engine.joint(joint).velocity for joint in DRIVES]
    assert turned == pytest.approx([0.8] * 4, rel=0.01)
    assert moved[0] / 4.0 == pytest.approx(float(np.mean(turned)) * viper.WHEEL_RADIUS_M, rel=0.015)
    assert abs(moved[1]) < 0.01
    assert engine.loads(WHEELS)[:, 2].sum() == pytest.approx(viper.MASS_KG * G, rel=0.02)
    assert (engine.loads([schema.ROVER_CHASSIS])[0] == 0.0).all()


def test_an_angular_drive_is_per_degree_and_holds_its_target(rover_stage) -> None:
    engine = open_engine(rover_stage, timestep_s=STEP)
    joint, given = schema.rover_joint("steering", "fl"), viper.DRIVES["steering"]
    drive = next(found.drive for found in engine.world.joints if found.path == joint)
    assert drive is not None
    per_radian = 180.0 / math.pi
    assert (drive.stiffness, drive.damping) == pytest.approx(
        (given.stiffness * per_radian, given.damping * per_radian), rel=1e-6
    )
    engine.drive(joint, position=0.3)
    engine.step(round(4.0 / STEP))
    state = engine.joint(joint)
    assert state.position == pytest.approx(0.3, abs=0.01)  # what scrubbing on the ground leaves open
    assert state.effort == pytest.approx(drive.stiffness * (0.3 - state.position), rel=0.05, abs=0.5)
    engine.drive(joint, position=2.0)
    engine.step(round(4.0 / STEP))
    assert engine.joint(joint).position == pytest.approx(math.radians(given.limit_deg or 0.0), abs=0.02)
    assert engine.joint(joint).effort == pytest.approx(given.torque)


def test_reset_is_exact_and_moves_the_whole_tree(rover_stage) -> None:
    engine = open_engine(rover_stage, timestep_s=STEP)
    quarter = Rotation.from_euler("z", 90.0, degrees=True)
    pose = Pose(np.array([2.0, 1.0, 0.5]), quarter.as_quat(scalar_first=True))
    runs = []
    for _ in range(2):
        engine.reset({schema.ROVER_CHASSIS: pose})
        wheels = engine.motion(WHEELS).position
        corners = [(viper.AXLE_X_M * x, viper.AXLE_Y_M * y) for x, y in schema.CORNERS.values()]
        expected = np.array([(2.0 - y, 1.0 + x, 0.5 + viper.WHEEL_RADIUS_M) for x, y in corners])
        assert wheels == pytest.approx(expected, abs=1e-9)
        for joint in DRIVES:
            engine.drive(joint, velocity=1.0)
        engine.step(1500)
        runs.append(engine.motion([schema.ROVER_CHASSIS]).position)
    assert (runs[0] == runs[1]).all()
    assert runs[0][0, 1] - 1.0 > 0.1
    assert abs(runs[0][0, 0] - 2.0) < 0.01
    with pytest.raises(KeyError):
        engine.reset({WHEELS[0]: pose})


def test_a_prismatic_drive_stops_at_its_limit_and_a_fixed_joint_holds() -> None:
    stage = ground_stage()
    for name, x in (("post", 0.0), ("slide", 0.0), ("lamp", 0.5)):
        UsdGeom.Cube(solid(stage, "Cube", f"/World/{name}", (x, 0.0, 3.0))).CreateSizeAttr(0.2)
    anchor = UsdPhysics.FixedJoint.Define(stage, "/World/anchor")
    anchor.CreateBody1Rel().SetTargets(["/World/post"])
    anchor.CreateLocalPos0Attr(Gf.Vec3f(0, 0, 3))
    rail = UsdPhysics.PrismaticJoint.Define(stage, "/World/rail")
    rail.CreateBody0Rel().SetTargets(["/World/slide"])  # the child first: its motion then counts the other way
    rail.CreateBody1Rel().SetTargets(["/World/post"])
    rail.CreateAxisAttr("Z")
    rail.CreateLowerLimitAttr(-0.4)
    rail.CreateUpperLimitAttr(0.3)
    drive = UsdPhysics.DriveAPI.Apply(rail.GetPrim(), "linear")
    drive.CreateStiffnessAttr(1000.0)
    drive.CreateDampingAttr(200.0)
    hold = UsdPhysics.FixedJoint.Define(stage, "/World/hold")
    hold.CreateBody0Rel().SetTargets(["/World/slide"])
    hold.CreateBody1Rel().SetTargets(["/World/lamp"])
    hold.CreateLocalPos0Attr(Gf.Vec3f(0.5, 0, 0))
    engine = open_engine(stage, timestep_s=STEP)
    for target, reached in ((0.2, 0.2), (5.0, 0.3), (-0.2, -0.2)):
        engine.drive("/World/rail", position=target)
        engine.step(round(3.0 / STEP))
        state = engine.joint("/World/rail").position
        sag = 2 * 8.0 * G / 1000.0  # both cubes hang on the drive
        assert state == pytest.approx(min(reached + sag, 0.3), abs=0.01)
        place = engine.motion(["/World/slide", "/World/lamp", "/World/post"]).position
        assert place[0] == pytest.approx([0.0, 0.0, 3.0 - state], abs=1e-6)
        assert place[1] == pytest.approx([0.5, 0.0, 3.0 - state], abs=1e-6)
        assert place[2] == pytest.approx([0.0, 0.0, 3.0], abs=1e-9)


def test_a_missing_package_is_one_line_with_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mujoco", None)
    with pytest.raises(InputError, match=r"pip install.*(mujoco-core==4\.0\.1|\[physics\])"):
        open_engine(ground_stage())
