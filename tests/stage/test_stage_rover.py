"""The rover on the stage: sizes, masses, joints that close, wheels on the ground, no rock in it, cameras on its rig."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, get_args

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdPhysics

from regolith.lunar.params import CameraView, InputError, change_params, dump_params, load_preset, validate
from regolith.lunar.params.models import Params
from regolith.lunar.randomize import aim_frame, draw_frame, draw_values, narrowed, outside
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.camera import seat_camera
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.pose import rover_matrix
from regolith.lunar.stage.rover_stance import SINK_M, fits, move_rover, park, stand
from regolith.lunar.stage.scene import Scene
from regolith.lunar.stage.spec import FrameSpec, Stance, rng

BENT = Stance(1.0, -2.0, 0.3, 70.0, 6.0, -4.0, (8.0, 8.0, -8.0, -8.0), carries=True)
VIEW = {"height_m": 2.0, "pitch_deg": -10.0, "heading_deg": 30.0, "fov_deg": 70.0}


def with_rover(scene: Scene, **changes: object) -> Scene:
    """The scene with a rover on it, at the origin unless it carries the camera."""
    return dataclasses.replace(scene, params=change_params(scene.params, {"rover.model": "viper", **changes}))


@pytest.fixture(name="stage")
def fixture_stage(small_scene) -> Usd.Stage:
    return author_stage(with_rover(small_scene("v1", 0, 0.0003)))


def place_of(stage: Usd.Stage, path: str) -> Any:
    return UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath(path))


def bodies(stage: Usd.Stage) -> list[Usd.Prim]:
    return [prim for prim in stage.Traverse() if UsdPhysics.RigidBodyAPI(prim)]


def test_size_and_mass_are_the_published_ones(stage: Usd.Stage) -> None:
    """What is drawn fills NASA's outer size to a millimetre; masses add up to NASA's."""
    box = UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_])
    size = box.ComputeWorldBound(stage.GetPrimAtPath(schema.ROVER)).ComputeAlignedRange()
    assert np.array(size.GetSize()) == pytest.approx((1.53, 1.53, 2.45), abs=1e-3)
    assert size.GetMin()[2] == pytest.approx(0.0, abs=1e-3)
    masses = [UsdPhysics.MassAPI(body).GetMassAttr().Get() for body in bodies(stage)]
    assert sum(masses) == pytest.approx(430.0) and len(masses) == 13
    for body in bodies(stage):  # a body's moments obey the triangle inequality
        a, b, c = sorted(UsdPhysics.MassAPI(body).GetDiagonalInertiaAttr().Get())
        assert 0.0 < a <= b <= c <= a + b


def test_bodies_are_siblings_and_chained(stage: Usd.Stage) -> None:
    """Rigid bodies lie directly under the rover, none in another; each joint hangs its body on the one before."""
    assert {str(body.GetPath().GetParentPath()) for body in bodies(stage)} == {schema.ROVER}
    roots = [prim for prim in stage.Traverse() if UsdPhysics.ArticulationRootAPI(prim)]
    assert [str(root.GetPath()) for root in roots] == [schema.ROVER_CHASSIS]
    for corner in schema.CORNERS:
        on = schema.ROVER_CHASSIS
        for joint, part in schema.JOINTS.items():
            made = UsdPhysics.RevoluteJoint(stage.GetPrimAtPath(schema.rover_joint(joint, corner)))
            assert made.GetBody0Rel().GetTargets() == [on]
            on = schema.rover_body(part, corner)
            assert made.GetBody1Rel().GetTargets() == [on]
            drive = UsdPhysics.DriveAPI(made.GetPrim(), "angular")
            assert (drive.GetStiffnessAttr().Get() > 0.0) == (joint != "drive") and drive.GetDampingAttr().Get() > 0.0


@pytest.mark.parametrize("stance", [None, BENT])
def test_joints_close(stage: Usd.Stage, stance: Stance | None) -> None:
    """Both bodies of a joint have its anchor and its axis in one place, level and bent."""
    if stance is not None:
        move_rover(stage, stance)
        assert np.allclose(np.array(place_of(stage, schema.ROVER_CHASSIS)), rover_matrix(stance), atol=1e-9)
    for corner in schema.CORNERS:
        for name in schema.JOINTS:
            joint = UsdPhysics.RevoluteJoint(stage.GetPrimAtPath(schema.rover_joint(name, corner)))
            ends = []
            for targets, offset in (
                (joint.GetBody0Rel(), joint.GetLocalPos0Attr()), (joint.GetBody1Rel(), joint.GetLocalPos1Attr())
            ):  # fmt: skip
                body = place_of(stage, str(targets.GetTargets()[0]))
                axis = np.eye(3)["XYZ".index(joint.GetAxisAttr().Get())]
                ends.append((*body.Transform(Gf.Vec3d(offset.Get())), *body.TransformDir(Gf.Vec3d(*axis.tolist()))))
            assert np.allclose(*ends, atol=1e-6)
    for corner, (_, side) in schema.CORNERS.items():  # the arm's turn is the joint's
        rest = viper.corner_places(corner)["wheel"]
        local = (
            place_of(stage, schema.ROVER)
            .GetInverse()
            .Transform(place_of(stage, schema.rover_body("wheel", corner)).ExtractTranslation())
        )
        bend = 0.0 if stance is None else np.radians(stance.arms_deg[list(schema.CORNERS).index(corner)])
        assert float(local[2]) - rest[2] == pytest.approx(side * viper.ARM_M * np.sin(bend), abs=1e-6)


def test_the_suspension_carries_the_rover_level(stage: Usd.Stage) -> None:
    """At rest the drives' torques balance a quarter of the chassis' weight at each corner, by virtual work."""
    for corner, (_, side) in schema.CORNERS.items():
        drive = UsdPhysics.DriveAPI(stage.GetPrimAtPath(schema.rover_joint("suspension", corner)), "angular")
        torque = drive.GetStiffnessAttr().Get() * drive.GetTargetPositionAttr().Get() * side
        places, masses = viper.corner_places(corner), viper.corner_bodies(corner)
        arms = {part: abs(place[1]) - viper.PIVOT_Y_M for part, place in places.items()}
        arms["suspension"] = abs(masses["suspension"].centre_m[1])
        load = 0.25 * 430.0 * 1.62 * arms["wheel"] - sum(masses[part].mass_kg * 1.62 * arms[part] for part in arms)
        assert -torque == pytest.approx(load, rel=1e-6)


def test_ground_and_rocks_collide_beside_a_rover_only(stage: Usd.Stage, small_scene) -> None:
    """Every rock is a convex hull, the terrain its mesh, wheels cylinders about Y, all with one friction."""
    rocks = stage.GetPrimAtPath(schema.ROCKS).GetChildren()
    assert rocks and all(
        UsdPhysics.MeshCollisionAPI(rock).GetApproximationAttr().Get() == "convexHull" for rock in rocks
    )
    colliding = [prim for prim in stage.Traverse() if UsdPhysics.CollisionAPI(prim)]
    assert set(rocks) | {stage.GetPrimAtPath(schema.TERRAIN)} <= set(colliding)
    assert all(prim.GetRelationship("material:binding:physics").GetTargets() == [schema.TRACTION] for prim in colliding)
    wheels = [UsdGeom.Cylinder(prim) for prim in colliding if prim.GetTypeName() == "Cylinder"]
    assert [(wheel.GetAxisAttr().Get(), wheel.GetRadiusAttr().Get()) for wheel in wheels] == [("Y", 0.25)] * 4
    bare = author_stage(small_scene("v1", 0, 0.0003))
    assert "hysics" not in bare.GetRootLayer().ExportToString() and not bare.GetPrimAtPath(schema.ROVER)


def test_nothing_is_said_of_a_rover_that_is_not_there() -> None:
    """Parameters without a rover are written as they were before there was one, and read back either way."""
    plain = json.loads(dump_params(load_preset("v3")))
    assert "rover" not in plain and not {"rig", "view"} & set(plain["camera"])
    for changes in ({"rover.model": "viper"}, {"camera.rig": "viper", "camera.view": "aftcam_left"}):
        params = change_params(load_preset("v3"), changes)
        assert params.has_rover and validate(Params, json.loads(dump_params(params))) == params
    assert validate(Params, plain) == load_preset("v3")


@pytest.mark.parametrize("heading", [0.0, 77.0, 200.0])
def test_wheels_rest_on_the_ground(scene: Scene, heading: float) -> None:
    """The deepest point of every wheel, sampled over its tread, is pressed in as said, to the ground's roughness."""
    stance = stand(scene.terrain, 0.4, -0.7, heading, carries=False)
    matrix = rover_matrix(stance)
    angle, across = np.meshgrid(np.linspace(np.pi, 2 * np.pi, 61), np.linspace(-0.1, 0.1, 9))
    rim = np.stack([0.25 * np.cos(angle), across, 0.25 * np.sin(angle)], axis=-1).reshape(-1, 3)
    for corner, bend in zip(schema.CORNERS, np.radians(stance.arms_deg), strict=True):
        x, pivot, z = viper.corner_places(corner)["suspension"]
        turn = np.array([[1, 0, 0], [0, np.cos(bend), np.sin(bend)], [0, -np.sin(bend), np.cos(bend)]])
        out = viper.corner_places(corner)["wheel"][1] - pivot
        points = (rim + np.array([0.0, out, 0.0])) @ turn + (x, pivot, z)
        world = points @ matrix[:3, :3] + matrix[3, :3]
        depth = scene.terrain.height(world[:, 0], world[:, 1]) - world[:, 2]
        assert depth.max() == pytest.approx(SINK_M, abs=0.02)


def test_on_a_plane_the_rover_tilts_with_it(scene: Scene) -> None:
    """On an inclined plane it takes the plane's slope exactly, its arms straight, whichever way it heads."""

    class Plane:
        def height(self, x, y):
            return 0.1 * x + 0.05 * y + 1.0

    up = np.array([-0.1, -0.05, 1.0]) / np.linalg.norm([-0.1, -0.05, 1.0])
    for heading in (0.0, 50.0, 190.0):
        stance = stand(Plane(), 2.0, 1.0, heading, carries=False)  # type: ignore[arg-type]
        assert rover_matrix(stance)[2, :3] == pytest.approx(up, abs=2e-3)
        assert max(map(abs, stance.arms_deg)) < 0.05


def test_a_frame_s_rover_stands_in_no_rock(small_scene) -> None:
    """On a stony scene no vertex of a rock lies in the chassis or a wheel; where one does, the place is refused."""
    scene = with_rover(small_scene("v3", 1, 0.02), **{"camera.rig": "viper", "camera.view": "hazcam_front_left"})
    rocks = scene.rocks
    for draw in range(2):
        _, stance = seat_camera(scene, rng=rng(draw, "c"), **VIEW)
        assert stance is not None and stance.carries
        matrix = rover_matrix(stance)
        for index in np.flatnonzero(np.hypot(*(rocks.position[:, :2] - matrix[3, :2]).T) < rocks.radius + 1.2):
            points = (rocks.points(int(index)) - matrix[3, :3]) @ matrix[:3, :3].T
            for centre, size in viper.chassis_boxes().values():
                assert not (np.abs(points - centre) < 0.5 * np.array(size)).all(axis=1).any()
            beside = np.abs(np.abs(points[:, 1]) - viper.AXLE_Y_M) < 0.1
            for x in (-viper.AXLE_X_M, viper.AXLE_X_M):
                assert not (beside & (np.hypot(points[:, 0] - x, points[:, 2] - 0.25) < 0.25)).any()
    largest = rocks.position[0]
    stance = stand(scene.terrain, float(largest[0]), float(largest[1]), 0.0, carries=True)
    assert not fits(scene.terrain, rocks, stance)


def test_a_parked_rover_keeps_off_the_camera(small_scene) -> None:
    """On a mast the rover is a thing like others: the lens keeps its clearance, the frame carries its place."""
    scene = with_rover(small_scene("v3"))
    parked = park(scene.terrain, scene.rocks, roam_m=4.0, random=rng(0, "rover"))
    scene = dataclasses.replace(scene, rover=parked)
    matrix = rover_matrix(parked)
    for draw in range(10):
        lens, stance = seat_camera(scene, rng=rng(draw, "c"), **VIEW)
        assert stance == parked
        local = (np.array(lens) - matrix[3, :3]) @ matrix[:3, :3].T
        outside_box = np.maximum(np.abs(local - (0, 0, 1.225)) - (0.765, 0.765, 1.225), 0.0)
        assert np.linalg.norm(outside_box) >= scene.params.camera.clearance_m


def test_a_scene_parks_its_rover(small_scene) -> None:
    """A scene built with a rover that carries no camera has its place from its own seed."""
    bare = small_scene("v1", 0, 0.0003)
    built = build_scene(with_rover(bare).params, bare.spec)
    random = rng(bare.spec.seed, "rover")
    assert built.rover == park(bare.terrain, bare.rocks, roam_m=bare.params.camera.roam_m, random=random)


@pytest.mark.parametrize("view", get_args(CameraView))
def test_the_camera_is_where_the_rig_has_it(small_scene, view: str) -> None:
    """Read off the stage, the camera is at its mount on the tilted rover, and looks as it is mounted."""
    scene = with_rover(small_scene("v3"), **{"camera.rig": "viper", "camera.view": view})
    params = scene.params
    scene = dataclasses.replace(scene, params=narrowed(params, "train_dr"))
    spec = draw_frame(params, 0, "train_dr", 3, scene)
    stage = author_stage(scene)
    apply_frame(stage, params, spec, 64, 48)
    local = place_of(stage, schema.CAMERA) * place_of(stage, schema.ROVER).GetInverse()
    mount = viper.MOUNTS[view]
    assert np.allclose(local.ExtractTranslation(), mount.place_m, atol=1e-6)
    yaw, pitch = np.radians(mount.yaw_deg), np.radians(mount.pitch_deg)
    axis = (np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch))
    assert np.allclose(-np.array(local)[2, :3], axis, atol=1e-6)
    assert np.array(local)[0, 2] == pytest.approx(0.0, abs=1e-6)  # no roll against the rover
    fov = 2.0 * np.degrees(np.arctan(0.5 * params.camera.aperture_mm / UsdGeom.Camera(
        stage.GetPrimAtPath(schema.CAMERA)).GetFocalLengthAttr().Get()))  # fmt: skip
    assert fov == pytest.approx(mount.fov_deg, rel=1e-5)
    assert FrameSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_every_mount_is_a_choice() -> None:
    """Cameras of the rig and choices of the parameter are the same, and stereo pairs are level and parallel."""
    assert set(get_args(CameraView)) == set(viper.MOUNTS)
    for pair in ("navcam", "aftcam"):
        left, right = viper.MOUNTS[f"{pair}_left"], viper.MOUNTS[f"{pair}_right"]
        yaw = np.radians(left.yaw_deg)
        base = np.subtract(right.place_m, left.place_m)
        assert base == pytest.approx(np.linalg.norm(base) * np.array([np.sin(yaw), -np.cos(yaw), 0.0]), abs=1e-9)
        assert (left.yaw_deg, left.pitch_deg, left.fov_deg) == (right.yaw_deg, right.pitch_deg, right.fov_deg)


@pytest.mark.parametrize("sampling", ["independent", "sobol"])
def test_a_rig_fixes_its_own_values_and_no_other(sampling: str) -> None:
    """Height, pitch, roll and field of view are the rig's in every split; all other draws stay as they were."""
    base = change_params(load_preset("v3"), {"randomize.sampling": sampling})
    params = change_params(base, {"camera.rig": "viper", "camera.view": "hazcam_rear_left"})
    mount = viper.MOUNTS["hazcam_rear_left"]
    fixed = {"height_m": mount.place_m[2], "pitch_deg": mount.pitch_deg, "roll_deg": 0.0, "fov_deg": mount.fov_deg}
    for split in ("train_dr", "test_photoreal"):
        values = draw_values(params, 1, split, 7)
        assert values == draw_values(base, 1, split, 7) | fixed
        assert outside(params, split, values) == []


def test_the_rover_goes_where_its_camera_is_held(small_scene) -> None:
    """A held place or heading moves the rover; another height than the rig's, or a place in a rock, is refused."""
    scene = with_rover(small_scene("v3"), **{"camera.rig": "viper"})
    params = scene.params
    scene = dataclasses.replace(scene, params=narrowed(params, "train_dr"))
    spec = draw_frame(params, 0, "train_dr", 0, scene)
    assert spec.rover is not None
    held = aim_frame(spec, scene, {"camera_x_m": spec.camera_x_m + 0.02, "pitch_deg": -20.0})
    assert held.camera_x_m == pytest.approx(spec.camera_x_m + 0.02, abs=3e-3) and held["pitch_deg"] == -20.0
    turned = aim_frame(spec, scene, {"heading_deg": spec["heading_deg"] + 3.0})
    assert turned.rover is not None and turned.rover.heading_deg == pytest.approx((spec.rover.heading_deg + 3.0) % 360)
    with pytest.raises(InputError, match="height_m"):
        aim_frame(spec, scene, {"height_m": 1.0})
    x, y = scene.rocks.position[0, :2].tolist()
    with pytest.raises(InputError, match=r"^(rover|camera)"):
        aim_frame(spec, scene, {"camera_x_m": x, "camera_y_m": y})
