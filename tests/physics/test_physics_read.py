"""What is read of a stage, and what is refused of it in one line."""

import math

import numpy as np
import pytest
from pxr import Gf, Sdf, UsdGeom, UsdPhysics
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation
from small_stage import G, about, add_rover, bind_friction, ground_stage, solid

from regolith.lunar.params import InputError, load_preset
from regolith.lunar.physics.read import read_gravity, read_terrain, read_world
from regolith.lunar.physics.world import DENSITY, FRICTION, MOON_GRAVITY
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.spec import SceneSpec

AT = (1.0, 2.0, 3.0)


@pytest.fixture(scope="module", name="scene")
def fixture_scene():
    """A small scene with relief and rocks, and its stage."""
    params = load_preset("v3")
    relief = {"near_cell_m": 0.05, "near_radius_m": 2.0, "mid_cell_m": 0.1, "mid_radius_m": 4.0, "pebble_density": 0.0}
    params = params.model_copy(
        update={
            "terrain": params.terrain.model_copy(update={"cell_m": 0.4, "far_radius_m": 200.0}),
            "relief": params.relief.model_copy(update=relief),
            "rocks": params.rocks.model_copy(update={"diameter_min_m": 0.08, "subdivision": 3}),
            "rover": params.rover.model_copy(update={"model": "viper"}),
        }
    )
    scene = build_scene(
        params, SceneSpec(seed=3, crater_density=0.5, rock_abundance=0.01, rock_exponent=1.6, relief_strength=1.0)
    )
    return scene, author_stage(scene)


def test_the_ground_is_the_stages_own_with_its_relief(scene) -> None:
    built, stage = scene
    field = read_world(stage).ground
    assert field is not None
    y, x = np.meshgrid(
        *(np.linspace(-half, half, len(field.z)) for half in (field.half_y, field.half_x)), indexing="ij"
    )
    assert field.z == pytest.approx(built.terrain.height(x, y), abs=1e-6)
    assert np.abs(field.z - built.terrain.grid.height(x, y)).max() > 0.005  # the relief's share
    spots = np.random.default_rng(0).uniform(-15.0, 15.0, (2, 200))
    assert read_terrain(stage).height(*spots) == pytest.approx(built.terrain.height(*spots), abs=1e-6)
    fine = read_world(stage, cell_m=0.2).ground
    assert fine is not None
    assert fine.z[::2, ::2] == pytest.approx(field.z, abs=1e-9)


def test_rocks_are_the_hulls_of_their_own_meshes(scene) -> None:
    built, stage = scene
    rocks = built.rocks
    world = read_world(stage, rock_min_m=0.2)
    inside = (np.abs(rocks.position[:, :2]) <= built.terrain.grid.half_x).all(axis=1)
    wanted = np.flatnonzero((rocks.diameter >= 0.2) & inside)
    shapes = {shape.path: shape for shape in world.fixed}
    assert len(shapes) == len(wanted) > 20
    for index in wanted[::7]:
        shape = shapes[f"{schema.ROCKS}/rock_{index:05d}"]
        assert shape.points is not None
        corners, mesh = shape.points + shape.pose.position, rocks.points(int(index))
        assert ConvexHull(corners).volume == pytest.approx(ConvexHull(mesh).volume, rel=1e-5)
        assert corners.min(axis=0) == pytest.approx(mesh.min(axis=0), abs=1e-5)
        assert shape.friction == pytest.approx(viper.FRICTION[1])


def test_the_rover_is_a_tree_of_thirteen_bodies(scene) -> None:
    _, stage = scene
    world = read_world(stage)
    assert len(world.bodies) == 13
    assert sum(body.mass or 0.0 for body in world.bodies) == pytest.approx(viper.MASS_KG, rel=1e-6)
    assert {joint.kind for joint in world.joints} == {"revolute"}
    assert {world.root_of(body.path) for body in world.bodies} == {schema.ROVER_CHASSIS}
    wheel = next(joint for joint in world.joints if joint.path == schema.rover_joint("drive", "rl"))
    assert wheel.drive is not None
    assert wheel.drive.damping == pytest.approx(math.degrees(viper.DRIVES["drive"].damping), rel=1e-6)
    assert wheel.drive.force_max == viper.DRIVES["drive"].torque
    steering = next(joint for joint in world.joints if joint.path == schema.rover_joint("steering", "rl"))
    assert (steering.lower, steering.upper) == pytest.approx((-math.radians(50.0), math.radians(50.0)), rel=1e-6)


def test_solids_lie_where_they_are_drawn() -> None:
    """Each is turned, scaled and off its body; its size and its axis in the world are compared."""
    stage = ground_stage()
    body = UsdGeom.Xform.Define(stage, "/World/Body")
    body.AddTranslateOp().Set(Gf.Vec3d(*AT))
    body.AddOrientOp().Set(about((0, 0, 1), 90.0))
    body.AddScaleOp().Set(Gf.Vec3f(2.0))
    UsdPhysics.RigidBodyAPI.Apply(body.GetPrim())
    for kind, axis in (("Cylinder", "X"), ("Capsule", "Y"), ("Cone", "X"), ("Cube", "Z"), ("Sphere", "Z")):
        prim = solid(stage, kind, f"/World/Body/{kind}", (0.5, 0.0, 0.0), body=False)
        if kind not in ("Cube", "Sphere"):
            prim.GetAttribute("axis").Set(axis)
            prim.GetAttribute("height").Set(0.6)
            prim.GetAttribute("radius").Set(0.1)
    UsdGeom.Xformable(stage.GetPrimAtPath("/World/Body/Cube")).AddScaleOp().Set(Gf.Vec3f(0.1, 0.2, 0.3))
    (found,) = read_world(stage).bodies
    shapes = {shape.path.rpartition("/")[2]: shape for shape in found.shapes}
    turn = Rotation.from_quat(found.pose.orientation, scalar_first=True)
    assert found.pose.position == pytest.approx(AT)

    def along(name: str) -> np.ndarray:
        local = Rotation.from_quat(shapes[name].pose.orientation, scalar_first=True)
        return np.abs((turn * local).apply([0.0, 0.0, 1.0]))

    assert shapes["Cylinder"].size == pytest.approx((0.2, 0.6))
    assert along("Cylinder") == pytest.approx([0.0, 1.0, 0.0], abs=1e-6)  # the body's X
    assert shapes["Capsule"].size == pytest.approx((0.2, 0.6))
    assert along("Capsule") == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)
    assert shapes["Cube"].size == pytest.approx((0.2, 0.4, 0.6))
    assert shapes["Sphere"].size == pytest.approx((2.0,))
    for shape in shapes.values():
        if shape.kind != "hull":
            assert found.pose.position + turn.apply(shape.pose.position) == pytest.approx([1.0, 3.0, 3.0], abs=1e-6)
    cone = shapes["Cone"]
    assert cone.points is not None
    corners = cone.points + cone.pose.position
    assert corners.max(axis=0) == pytest.approx([1.0 + 0.6, 0.2, 0.2], abs=1e-6)  # its tip ahead
    assert corners.min(axis=0) == pytest.approx([1.0 - 0.6, -0.2, -0.2], abs=1e-6)


def test_friction_and_density_are_those_of_the_bound_material() -> None:
    stage = ground_stage()
    ball, box = (solid(stage, kind, f"/World/{kind}", AT) for kind in ("Sphere", "Cube"))
    bind_friction(ball, 0.25, density=3000.0)
    shapes = {body.path: body.shapes[0] for body in read_world(stage).bodies}
    assert (shapes["/World/Sphere"].friction, shapes["/World/Sphere"].density) == pytest.approx((0.25, 3000.0))
    assert (shapes["/World/Cube"].friction, shapes["/World/Cube"].density) == (FRICTION, DENSITY)
    UsdPhysics.MassAPI.Apply(box).CreateDensityAttr(500.0)
    shapes = {body.path: body.shapes[0] for body in read_world(stage).bodies}
    assert shapes["/World/Cube"].density == 500.0


def test_gravity() -> None:
    stage = ground_stage()
    assert read_gravity(stage) == pytest.approx([0.0, 0.0, -G])
    scene = UsdPhysics.Scene(stage.GetPrimAtPath(f"{schema.WORLD}/PhysicsScene"))
    scene.GetGravityDirectionAttr().Set((1, 0, -1))
    scene.GetGravityMagnitudeAttr().Set(2.0)
    assert read_gravity(stage) == pytest.approx([math.sqrt(2.0), 0.0, -math.sqrt(2.0)], rel=1e-6)
    stage.RemovePrim(scene.GetPath())
    assert read_gravity(stage) == pytest.approx([0.0, 0.0, -MOON_GRAVITY])


def _loop(stage) -> None:
    for name, ends in (("a", ("One", "Two")), ("b", ("Two", "Three")), ("c", ("Three", "One"))):
        joint = UsdPhysics.FixedJoint.Define(stage, f"/World/{name}")
        for relation, end in zip((joint.CreateBody0Rel(), joint.CreateBody1Rel()), ends, strict=True):
            if not stage.GetPrimAtPath(f"/World/{end}"):
                solid(stage, "Sphere", f"/World/{end}", AT)
            relation.SetTargets([f"/World/{end}"])


def _apart(stage) -> None:
    for name, x in (("One", 0.0), ("Two", 1.0)):
        solid(stage, "Sphere", f"/World/{name}", (x, 0.0, 3.0))
    joint = UsdPhysics.RevoluteJoint.Define(stage, "/World/hinge")
    joint.CreateBody0Rel().SetTargets(["/World/One"])
    joint.CreateBody1Rel().SetTargets(["/World/Two"])


def _ball_joint(stage) -> None:
    _apart(stage)
    stage.GetPrimAtPath("/World/hinge").SetTypeName("PhysicsSphericalJoint")


def _accelerating(stage) -> None:
    add_rover(stage)
    path = schema.rover_joint("drive", "fl")
    stage.GetPrimAtPath(path).GetAttribute("drive:angular:physics:type").Set("acceleration")


def _no_inertia(stage) -> None:
    UsdPhysics.RigidBodyAPI.Apply(UsdGeom.Xform.Define(stage, "/World/Empty").GetPrim())


def _trimesh(stage) -> None:
    mesh = UsdGeom.Mesh(solid(stage, "Mesh", "/World/Cave", AT, body=False))
    mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (0, 1, 0)])


def _flat(stage) -> None:
    mesh = UsdGeom.Mesh(solid(stage, "Mesh", "/World/Card", AT))
    mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)])
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 3, 2])


def _egg(stage) -> None:
    UsdGeom.Xformable(solid(stage, "Sphere", "/World/Egg", AT)).AddScaleOp().Set(Gf.Vec3f(1, 1, 2))


def _inches(stage) -> None:
    UsdGeom.SetStageMetersPerUnit(stage, 0.0254)


def _baked(stage) -> None:
    stage.GetPrimAtPath(schema.TERRAIN).RemoveProperty(schema.GRID_SHAPE)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_loop, "joints that make a tree"),
        (_apart, "/World/hinge.physics:localPos"),
        (_ball_joint, "PhysicsRevoluteJoint, PhysicsPrismaticJoint or PhysicsFixedJoint"),
        (_accelerating, "drive_fl.drive:angular:physics:type"),
        (_no_inertia, "physics:diagonalInertia"),
        (_trimesh, "/World/Cave.physics:approximation"),
        (_flat, "a mesh that is not flat"),
        (_egg, "/World/Egg scale"),
        (_inches, "a stage in metres"),
        (_baked, schema.GRID_SHAPE),
    ],
)
def test_what_cannot_be_simulated_is_refused_by_name(spoil, words: str) -> None:
    stage = ground_stage()
    spoil(stage)
    with pytest.raises(InputError) as error:
        read_world(stage)
    assert words in str(error.value)


CHASSIS, HINGE = schema.ROVER_CHASSIS, schema.rover_joint("drive", "fl")
NUMBER, TOKEN, SWITCH = Sdf.ValueTypeNames.Float, Sdf.ValueTypeNames.Token, Sdf.ValueTypeNames.Bool

AUTHORED = [
    (CHASSIS, "physics:velocity", Sdf.ValueTypeNames.Vector3f, Gf.Vec3f(1, 0, 0), Gf.Vec3f(0.0)),
    (CHASSIS, "physics:angularVelocity", Sdf.ValueTypeNames.Vector3f, Gf.Vec3f(0, 9, 0), Gf.Vec3f(0.0)),
    (CHASSIS, "physics:kinematicEnabled", SWITCH, True, False),
    (CHASSIS, "physics:startsAsleep", SWITCH, True, False),
    (CHASSIS, "physxRigidBody:linearDamping", NUMBER, 50.0, 0.0),
    (CHASSIS, "physxRigidBody:angularDamping", NUMBER, 50.0, 0.05),
    (CHASSIS, "physxRigidBody:disableGravity", SWITCH, True, False),
    (CHASSIS, "physxRigidBody:lockedPosAxis", Sdf.ValueTypeNames.Int, 1, 0),
    (CHASSIS, "physxRigidBody:maxAngularVelocity", NUMBER, 10.0, 6000.0),
    (CHASSIS, "physxForce:force", Sdf.ValueTypeNames.Vector3f, Gf.Vec3f(1, 0, 0), None),
    (HINGE, "physxJoint:jointFriction", NUMBER, 50.0, 0.0),
    (HINGE, "physxJoint:maxJointVelocity", NUMBER, 5.0, 1e6),
    (HINGE, "physics:breakForce", NUMBER, 0.001, math.inf),
    (HINGE, "physics:breakTorque", NUMBER, 0.001, math.inf),
    (HINGE, "physics:collisionEnabled", SWITCH, True, False),
    (HINGE, "limit:rotY:physics:low", NUMBER, -1.0, -math.inf),
    (HINGE, "physxLimit:angular:stiffness", NUMBER, 10.0, 0.0),
    (HINGE, "state:angular:physics:velocity", NUMBER, 10.0, 0.0),
    (HINGE, "drive:rotX:physics:stiffness", NUMBER, 10.0, None),
    (schema.TRACTION, "physxMaterial:frictionCombineMode", TOKEN, "min", "average"),
    (schema.TRACTION, "physxMaterial:restitutionCombineMode", TOKEN, "max", "average"),
    (schema.PHYSICS_SCENE, "physxScene:invertCollisionGroupFilter", SWITCH, True, False),
    (schema.TERRAIN, "physics:kinematicEnabled", SWITCH, True, False),
]


@pytest.mark.parametrize(("path", "name", "kind", "value", "neutral"), AUTHORED)
def test_what_would_move_it_otherwise_is_refused_by_prim_and_property(path, name, kind, value, neutral) -> None:
    """Whatever is authored about motion and not simulated; its neutral value is as good as none."""
    stage = ground_stage()
    add_rover(stage)
    attribute = stage.GetPrimAtPath(path).CreateAttribute(name, kind)
    read_world(stage)  # declared is not authored
    attribute.Set(value)
    with pytest.raises(InputError) as error:
        read_world(stage)
    assert error.value.field == f"{path}.{name}"
    assert read_world(stage, with_ground=False).ground is None  # somebody else simulates it
    if neutral is not None:
        attribute.Set(neutral)
        read_world(stage)


def _filtered(stage) -> None:
    wheel = stage.GetPrimAtPath(schema.rover_body("wheel", "fl"))
    UsdPhysics.FilteredPairsAPI.Apply(wheel).CreateFilteredPairsRel().AddTarget(schema.TERRAIN)


def _grouped(stage) -> None:
    group = UsdPhysics.CollisionGroup.Define(stage, "/World/Group")
    group.GetCollidersCollectionAPI().CreateIncludesRel().AddTarget("/World")
    read_world(stage)
    group.CreateFilteredGroupsRel().AddTarget("/World/Group")


def _geared(stage) -> None:
    stage.DefinePrim("/World/Gear", "PhysxPhysicsGearJoint")


def _elsewhere(stage) -> None:
    body = UsdPhysics.RigidBodyAPI(stage.GetPrimAtPath(CHASSIS))
    body.CreateSimulationOwnerRel().AddTarget(f"{schema.WORLD}/PhysicsScene")
    read_world(stage)
    UsdPhysics.Scene.Define(stage, "/World/ZScene")
    body.GetSimulationOwnerRel().SetTargets(["/World/ZScene"])


def _rolling_stone(stage) -> None:
    solid(stage, "Sphere", f"{schema.ROCKS}/rock_00000", AT)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_filtered, "wheel_fl.physics:filteredPairs"),
        (_grouped, "/World/Group.physics:filteredGroups"),
        (_geared, "/World/Gear: 'PhysxPhysicsGearJoint'"),
        (_elsewhere, f"{CHASSIS}.physics:simulationOwner: '/World/ZScene'"),
        (_rolling_stone, "rock_00000.physics:rigidBodyEnabled"),
    ],
)
def test_what_would_collide_or_be_held_otherwise_is_refused(spoil, words: str) -> None:
    stage = ground_stage()
    add_rover(stage)
    spoil(stage)
    with pytest.raises(InputError) as error:
        read_world(stage)
    assert words in str(error.value)


def test_what_steers_the_solver_or_is_switched_off_is_not_refused() -> None:
    stage = ground_stage()
    add_rover(stage)
    for path, name, kind, value in (
        (CHASSIS, "physxRigidBody:sleepThreshold", NUMBER, 0.1),
        (CHASSIS, "physxRigidBody:solverPositionIterationCount", Sdf.ValueTypeNames.Int, 32),
        (schema.PHYSICS_SCENE, "physxScene:timeStepsPerSecond", Sdf.ValueTypeNames.UInt, 240),
        (schema.ROVER, "physxArticulation:sleepThreshold", NUMBER, 0.1),
    ):
        stage.GetPrimAtPath(path).CreateAttribute(name, kind).Set(value)
    still = solid(stage, "Sphere", "/World/Still", AT)
    UsdPhysics.RigidBodyAPI(still).CreateVelocityAttr(Gf.Vec3f(1, 0, 0))
    UsdPhysics.RigidBodyAPI(still).CreateRigidBodyEnabledAttr(False)
    UsdPhysics.CollisionAPI(still).CreateCollisionEnabledAttr(False)
    assert "/World/Still" not in {body.path for body in read_world(stage).bodies}


def test_armature_is_physx_own_attribute() -> None:
    stage = ground_stage()
    add_rover(stage)
    prim = stage.GetPrimAtPath(schema.rover_joint("drive", "fl"))
    prim.CreateAttribute("physxJoint:armature", Sdf.ValueTypeNames.Float).Set(0.25)
    armature = {joint.path: joint.armature for joint in read_world(stage).joints}
    assert armature.pop(str(prim.GetPath())) == 0.25
    assert set(armature.values()) == {0.0}
