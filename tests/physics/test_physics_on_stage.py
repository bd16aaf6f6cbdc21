"""The rover driven by its prims alone: an engine behind a stage stands for the app's physics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics
from scipy.spatial.transform import Rotation
from small_stage import add_rover, ground_stage

from regolith.lunar.params import InputError
from regolith.lunar.physics.engines import open_engine
from regolith.lunar.physics.on_stage import StageDrive, StageJoints, find_way, read_channel, way_here
from regolith.lunar.physics.plan import Clearance
from regolith.lunar.physics.read import read_world
from regolith.lunar.physics.steering import read_layout
from regolith.lunar.physics.world import Pose, Shape
from regolith.lunar.stage import schema
from regolith.lunar.stage.dynamics import apply_dynamics

STEERING, DRIVE, ARM = (schema.rover_joint(joint, "fl") for joint in ("steering", "drive", "suspension"))


class StagePhysics:
    """What Omni PhysX does with a stage: takes the targets of its drives, and writes where its bodies are."""

    def __init__(self, stage: Usd.Stage) -> None:
        self._stage = stage
        self.engine = open_engine(stage)
        self._bodies = [body.path for body in self.engine.world.bodies]

    def step(self, seconds: float) -> None:
        for joint in self.engine.world.joints:
            drive = UsdPhysics.DriveAPI(self._stage.GetPrimAtPath(joint.path), "angular")
            position, velocity = drive.GetTargetPositionAttr().Get(), drive.GetTargetVelocityAttr().Get()
            self.engine.drive(
                joint.path, position=None if position is None else math.radians(position),
                velocity=None if velocity is None else math.radians(velocity),
            )  # fmt: skip
        self.engine.step(round(seconds / self.engine.timestep_s))
        motion = self.engine.motion(self._bodies)
        parents = UsdGeom.XformCache()
        for path, place, turn in zip(self._bodies, motion.position, motion.orientation, strict=True):
            prim = self._stage.GetPrimAtPath(path)
            world = Gf.Matrix4d(Gf.Rotation(Gf.Quatd(*turn.tolist())), Gf.Vec3d(*place.tolist()))
            local = world * parents.GetParentToWorldTransform(prim).GetInverse()
            prim.GetAttribute("xformOp:translate").Set(local.ExtractTranslation())
            prim.GetAttribute("xformOp:orient").Set(local.ExtractRotationQuat())


def test_angles_of_joints_are_read_off_the_bodies(rover_stage: Usd.Stage) -> None:
    physics = StagePhysics(rover_stage)
    joints = StageJoints(rover_stage, read_world(rover_stage, with_ground=False))
    for joint, angle in ((STEERING, 0.4), (DRIVE, None)):
        joints.drive(joint, position=angle, velocity=None if angle else 0.9)
    assert rover_stage.GetAttributeAtPath(f"{STEERING}.drive:angular:physics:targetPosition").Get() == pytest.approx(
        math.degrees(0.4)
    )
    physics.step(1.0)
    joints.look()
    for joint in (STEERING, DRIVE, ARM):
        found, true = joints.joint(joint).position, physics.engine.joint(joint).position
        step = abs(physics.engine.joint(joint).velocity) * physics.engine.timestep_s  # poses are those before it
        assert abs(math.remainder(found - true, 2.0 * math.pi)) < step + 1e-6, joint
    assert joints.joint(STEERING).position == pytest.approx(0.4, abs=0.05)
    place, turn = joints.pose(schema.ROVER_CHASSIS)
    motion = physics.engine.motion([schema.ROVER_CHASSIS])
    assert place == pytest.approx(motion.position[0], abs=1e-6)
    assert turn.as_matrix() == pytest.approx(motion.rotation[0], abs=1e-6)


def test_targets_are_the_sessions_and_go_with_it(rover_stage: Usd.Stage) -> None:
    before = rover_stage.GetRootLayer().ExportToString()
    joints = StageJoints(rover_stage, read_world(rover_stage, with_ground=False))
    joints.drive(ARM, position=0.1)
    joints.drive(DRIVE, velocity=1.0)
    assert rover_stage.GetRootLayer().ExportToString() == before
    layer = Sdf.Layer.CreateAnonymous("authored.usda")
    layer.ImportFromString(before)
    authored = Usd.Stage.Open(layer)
    name = f"{ARM}.drive:angular:physics:targetPosition"
    assert rover_stage.GetAttributeAtPath(name).Get() != authored.GetAttributeAtPath(name).Get()
    joints.close()
    assert rover_stage.GetAttributeAtPath(name).Get() == authored.GetAttributeAtPath(name).Get()
    joints.close()


def stage_drive(stage: Usd.Stage, route: np.ndarray, *, time_max_s: float = 120.0) -> StageDrive:
    """A drive at 0.2 m/s by what the stage says."""
    world = read_world(stage, with_ground=False)
    layout = read_layout(world)
    return StageDrive(
        StageJoints(stage, world), layout, route, speed=0.2, mode="ackermann", time_max_s=time_max_s,
        channel=read_channel(stage, layout, speed=0.2, seed=7),
    )  # fmt: skip


def drive(stage: Usd.Stage, route: np.ndarray, *, frame_s: float = 0.02, time_max_s: float = 120.0) -> tuple:
    """Drive along a way in an app whose frames take so long; outcome and driven."""
    physics = StagePhysics(stage)
    driven = stage_drive(stage, route, time_max_s=time_max_s)
    now, outcome = 0.0, None
    while outcome is None:
        physics.step(frame_s)
        now += frame_s
        outcome = driven.tick(now)
    driven.close()
    return outcome, driven


@pytest.mark.parametrize("frame_s", [0.02, 0.25])
def test_it_drives_along_its_way_however_long_frames_take(rover_stage: Usd.Stage, frame_s: float) -> None:
    route = np.array([(0.0, 0.0), (2.0, 0.0), (3.0, 1.5)])
    outcome, driven = drive(rover_stage, route, frame_s=frame_s)
    assert outcome == "reached"
    places = np.array([row["position_m"][:2] for row in driven.rows])
    assert np.linalg.norm(places[-1] - route[-1]) < 0.3
    assert driven.driven_m == pytest.approx(driven.length_m, abs=0.6)
    assert 3.5 / 0.2 < driven.time_s < 5.0 / 0.2
    steps = np.diff([float(row["time_s"]) for row in driven.rows])
    assert (steps > 0.099).all()
    session = rover_stage.GetSessionLayer()
    assert not session.GetPrimAtPath(STEERING) or not session.GetPrimAtPath(STEERING).properties


def test_it_gives_up_when_time_is_up(rover_stage: Usd.Stage) -> None:
    outcome, driven = drive(rover_stage, np.array([(0.0, 0.0), (5.0, 0.0)]), time_max_s=2.0)
    assert outcome == "timeout" and driven.time_s == pytest.approx(2.0, abs=0.03) and 0.0 < driven.driven_m < 0.5


AHEAD = np.array([(0.0, 0.0), (5.0, 0.0)])


def targets(stage: Usd.Stage, frame_s: float, until_s: float) -> tuple[StageDrive, np.ndarray]:
    """Commands on a stage that nobody simulates: time [s] and target of one wheel [rad/s], shape [N, 2]."""
    driven, found = stage_drive(stage, AHEAD), []
    for now in np.arange(0.3, 0.3 + until_s, frame_s):
        driven.tick(float(now))
        value = stage.GetAttributeAtPath(f"{DRIVE}.drive:angular:physics:targetVelocity").Get()
        found.append((now - 0.3, math.radians(value)))
    driven.close()
    return driven, np.array(found)


@pytest.mark.parametrize("frame_s", [0.01, 0.02, 1.0 / 60.0, 0.09])
def test_commands_come_late_and_weaker_as_the_stage_says(rover_stage: Usd.Stage, frame_s: float) -> None:
    """What is commanded in a step of 20 ms is there 12 steps later, however long the app's frames are."""
    _, straight = targets(rover_stage, frame_s, 1.0)
    assert straight[0, 1] > 0.0 and len(np.unique(straight[:, 1])) > 5
    apply_dynamics(rover_stage, {"action_delay_steps": 12, "action_gain": 0.5})
    _, late = targets(rover_stage, frame_s, 1.0)
    step = np.floor(late[:, 0] / 0.02 + 1e-6).astype(int)
    commanded = np.floor(straight[:, 0] / 0.02 + 1e-6).astype(int)
    for now, value in zip(step, late[:, 1], strict=True):
        held = straight[commanded <= now - 12, 1]
        assert value == pytest.approx(0.5 * held[-1] if len(held) else 0.0, abs=1e-6)


def test_noise_of_actions_and_readings_is_that_of_a_traverse(rover_stage: Usd.Stage) -> None:
    """A share of the rate at the rover's speed; of a metre, half a turn, the steering's limit. One seed, one noise."""
    apply_dynamics(rover_stage, {"action_noise": 0.05})
    _, noisy = targets(rover_stage, 0.1, 25.0)
    layout = read_layout(read_world(rover_stage, with_ground=False))
    assert noisy[100:, 1].mean() == pytest.approx(0.2 / layout.radius, rel=0.02)
    assert noisy[100:, 1].std() == pytest.approx(0.05 * 0.2 / layout.radius, rel=0.25)
    apply_dynamics(rover_stage, {"action_noise": 0.05, "proprioception_noise": 0.01})
    (driven, one), (again, other) = (targets(rover_stage, 0.1, 25.0) for _ in range(2))
    read, same = (np.array([row["measured"] for row in each.rows]) for each in (driven, again))
    assert (one == other).all() and (read == same).all()
    assert read.std(axis=0) == pytest.approx(0.01 * np.array([1.0, 1.0, math.pi, *layout.limit]), rel=0.25)
    place = driven.rows[-1]["position_m"]
    assert place == pytest.approx(driven.rows[0]["position_m"], abs=1e-9)  # what is kept is the truth


def test_a_stage_that_says_nothing_has_no_channel(rover_stage: Usd.Stage) -> None:
    layout = read_layout(read_world(rover_stage, with_ground=False))
    assert read_channel(rover_stage, layout, speed=0.2, seed=0) is None


def test_a_weaker_drive_goes_half_as_far(rover_stage: Usd.Stage) -> None:
    apply_dynamics(rover_stage, {"action_gain": 0.5})
    _, driven = drive(rover_stage, AHEAD, time_max_s=8.0)
    assert driven.driven_m == pytest.approx(0.5 * 0.2 * 8.0, rel=0.15)


def test_ways_by_pictures_are_refused_by_name() -> None:
    assert [way_here(avoid) for avoid in ("none", "labels", "both")] == ["none", "labels", "labels"]
    for avoid in ("model", "policy", "all"):
        with pytest.raises(InputError, match=f"avoid: '{avoid}'"):
            way_here(avoid)


def test_a_pose_on_the_stage_may_be_any(rover_stage: Usd.Stage) -> None:
    """A parked rover has its bodies where it stands, tilted and turned."""
    turn = Rotation.from_euler("zyx", [130.0, -6.0, 4.0], degrees=True).as_quat(scalar_first=True)
    rover = rover_stage.GetPrimAtPath(schema.ROVER)
    rover.GetAttribute("xformOp:translate").Set(Gf.Vec3d(1.0, 2.0, 0.4))
    rover.GetAttribute("xformOp:orient").Set(Gf.Quatd(*turn.tolist()))
    joints = StageJoints(rover_stage, read_world(rover_stage, with_ground=False))
    assert joints.joint(STEERING).position == pytest.approx(0.0, abs=1e-6)
    place, found = joints.pose(schema.ROVER_CHASSIS)
    assert place == pytest.approx([1.0, 2.0, 0.4]) and found.as_quat(scalar_first=True) == pytest.approx(turn)


CORNERS = np.array([(x, y, z) for x in (-0.4, 0.4) for y in (-0.4, 0.4) for z in (0.0, 0.5)])


def rocks(*places: tuple[float, float]) -> Clearance:
    turn = np.array([1.0, 0.0, 0.0, 0.0])
    shapes = [Shape(str(at), "hull", Pose(np.array([*at, 0.0]), turn), (), CORNERS) for at in places]
    return Clearance.of_rocks(shapes, half=10.0)


WAY: dict[str, Any] = {"half_m": 10.0, "goals": None, "distance_m": 6.0, "clearance_m": 1.1}


def test_a_goal_is_ahead_or_as_nearly_so_as_can_be() -> None:
    start = np.array([1.0, 1.0])
    straight = find_way(rocks(), start, 0.5 * math.pi, avoid="labels", **WAY)
    assert straight == pytest.approx(np.array([(1.0, 1.0), (1.0, 7.0)]))
    beside = find_way(rocks((1.0, 7.0)), start, 0.5 * math.pi, avoid="labels", **WAY)
    bearing = math.atan2(*(beside[-1] - start)[::-1])
    assert 0.0 < abs(bearing - 0.5 * math.pi) < 0.6
    through = find_way(rocks((1.0, 7.0)), start, 0.5 * math.pi, avoid="none", **WAY)
    assert through == pytest.approx(straight)
    border = find_way(rocks(), np.array([8.0, 0.0]), 0.0, avoid="none", **WAY)
    assert np.abs(border).max() < 10.0


def test_places_are_driven_to_in_turn_round_what_lies_between() -> None:
    goals = np.array([(4.0, 0.0), (4.0, 4.0)])
    there: dict[str, Any] = {**WAY, "goals": goals}
    way = find_way(rocks((2.0, 0.0)), np.zeros(2), 0.0, avoid="labels", **there)
    assert any((corner == goals[0]).all() for corner in way) and (way[-1] == goals[1]).all() and len(way) > 3
    with pytest.raises(InputError, match="waypoints"):
        find_way(rocks((4.0, 4.0)), np.zeros(2), 0.0, avoid="labels", **there)
    with pytest.raises(InputError, match="clearance_m"):
        find_way(rocks((0.5, 0.0)), np.zeros(2), 0.0, avoid="labels", **WAY)
    far: dict[str, Any] = WAY | {"distance_m": 900.0}
    with pytest.raises(InputError, match="distance_m: 900"):
        find_way(rocks(), np.zeros(2), 0.0, avoid="none", **far)


def test_a_baked_stage_is_read_without_its_ground() -> None:
    stage = ground_stage()
    add_rover(stage)
    stage.GetPrimAtPath(schema.TERRAIN).RemoveProperty(schema.GRID_SHAPE)
    assert read_world(stage, with_ground=False).ground is None
    with pytest.raises(InputError):
        read_world(stage)
