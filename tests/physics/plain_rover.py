"""Stages the physics tests share: a ground of given heights, boxes and balls, and a plain rover of UsdPhysics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

from regolith.lunar.stage import schema
from regolith.lunar.stage.author import grid_quads
from regolith.lunar.stage.mesh import Heightfield

G = 1.62
WHEEL_RADIUS = 0.25
WHEELS = {"fl": (0.6, 0.6), "fr": (0.6, -0.6), "rl": (-0.6, 0.6), "rr": (-0.6, -0.6)}
CHASSIS_MASS, WHEEL_MASS = 370.0, 15.0


def ground_stage(
    height=lambda x, y: np.zeros(np.broadcast(x, y).shape), *, half: float = 6.0, cell: float = 0.25
) -> Usd.Stage:
    """A stage under lunar gravity whose ground is a grid of heights [m] and nothing else."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.Xform.Define(stage, schema.WORLD)
    scene = UsdPhysics.Scene.Define(stage, f"{schema.WORLD}/PhysicsScene")
    scene.CreateGravityMagnitudeAttr(G)
    scene.CreateGravityDirectionAttr((0, 0, -1))
    UsdGeom.Xform.Define(stage, schema.GROUND)
    axis = np.linspace(-half, half, 2 * round(half / cell) + 1)
    points, faces = grid_quads(Heightfield(np.asarray(height(axis[None, :], axis[:, None]), np.float32), cell))
    mesh = UsdGeom.Mesh.Define(stage, schema.TERRAIN)
    mesh.CreatePointsAttr(points.tolist())
    mesh.CreateFaceVertexCountsAttr([4] * len(faces))
    mesh.CreateFaceVertexIndicesAttr(faces.ravel().tolist())
    prim = mesh.GetPrim()
    prim.CreateAttribute(schema.GRID_SHAPE, Sdf.ValueTypeNames.Int2).Set(Gf.Vec2i(len(axis), len(axis)))
    prim.CreateAttribute(schema.GRID_CELL, Sdf.ValueTypeNames.Double).Set(cell)
    return stage


def bind_friction(prim: Usd.Prim, friction: float, *, density: float | None = None) -> None:
    """Bind a physics material of its own."""
    material = UsdShade.Material.Define(
        prim.GetStage(), f"{schema.WORLD}/Looks/{prim.GetName()}_{round(100 * friction)}"
    )
    physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    physics.CreateDynamicFrictionAttr(friction)
    physics.CreateStaticFrictionAttr(friction)
    if density is not None:
        physics.CreateDensityAttr(density)
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, materialPurpose="physics")


def solid(
    stage: Usd.Stage, kind: str, path: str, at: Sequence[float] | np.ndarray, *, body: bool = True, turn=None
) -> Usd.Prim:
    """A solid that collides, as a body of its own or fixed."""
    prim = stage.DefinePrim(path, kind)
    xform = UsdGeom.Xformable(prim)
    xform.AddTranslateOp().Set(Gf.Vec3d(*at))
    if turn is not None:
        xform.AddOrientOp().Set(Gf.Quatf(turn))
    UsdPhysics.CollisionAPI.Apply(prim)
    if body:
        UsdPhysics.RigidBodyAPI.Apply(prim)
    return prim


def about(axis: Sequence[float], degrees: float) -> Gf.Quatf:
    """A turn about an axis."""
    return Gf.Quatf(Gf.Rotation(Gf.Vec3d(*axis), degrees).GetQuat())


def _link(stage: Usd.Stage, path: str, at: Sequence[float], mass: float, inertia: Sequence[float]) -> Usd.Prim:
    body = UsdGeom.Xform.Define(stage, path)
    body.AddTranslateOp().Set(Gf.Vec3d(*at))
    UsdPhysics.RigidBodyAPI.Apply(body.GetPrim())
    api = UsdPhysics.MassAPI.Apply(body.GetPrim())
    api.CreateMassAttr(mass)
    api.CreateDiagonalInertiaAttr(Gf.Vec3f(*inertia))
    return body.GetPrim()


def _hinge(
    stage: Usd.Stage, name: str, ends: tuple[str, str], at: Sequence[float], axis: str, drive: tuple[float, float]
) -> None:
    joint = UsdPhysics.RevoluteJoint.Define(stage, f"/World/Rover/joints/{name}")
    for relation, end in zip((joint.CreateBody0Rel(), joint.CreateBody1Rel()), ends, strict=True):
        relation.SetTargets([end])
    first, second = (
        UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath(end)).ExtractTranslation() for end in ends
    )
    joint.CreateLocalPos0Attr(Gf.Vec3f(Gf.Vec3d(*at) - first))
    joint.CreateLocalPos1Attr(Gf.Vec3f(Gf.Vec3d(*at) - second))
    joint.CreateAxisAttr(axis)
    api = UsdPhysics.DriveAPI.Apply(joint.GetPrim(), "angular")
    api.CreateStiffnessAttr(drive[0] * math.radians(1.0))
    api.CreateDampingAttr(drive[1] * math.radians(1.0))


def add_rover(stage: Usd.Stage, *, friction: float = 0.5, lift: float = 0.0) -> None:
    """A plain rover: chassis, four wheels that steer and are driven; origin on the ground under the chassis' centre."""
    UsdGeom.Xform.Define(stage, "/World/Rover").AddTranslateOp().Set(Gf.Vec3d(0, 0, lift))
    chassis = _link(stage, "/World/Rover/chassis", (0, 0, 0.5), CHASSIS_MASS, (60.0, 60.0, 80.0))
    UsdPhysics.ArticulationRootAPI.Apply(chassis)
    UsdGeom.Scope.Define(stage, "/World/Rover/joints")
    for name, (x, y) in WHEELS.items():
        at = (x, y, WHEEL_RADIUS)
        _link(stage, f"/World/Rover/steering_{name}", at, 2.0, (0.05, 0.05, 0.05))
        half = 0.5 * WHEEL_MASS * WHEEL_RADIUS**2
        wheel = _link(stage, f"/World/Rover/wheel_{name}", at, WHEEL_MASS, (0.6 * half, half, 0.6 * half))
        tyre = UsdGeom.Cylinder.Define(stage, f"/World/Rover/wheel_{name}/tyre")
        tyre.CreateAxisAttr("Y")
        tyre.CreateRadiusAttr(WHEEL_RADIUS)
        tyre.CreateHeightAttr(0.2)
        UsdPhysics.CollisionAPI.Apply(tyre.GetPrim())
        bind_friction(tyre.GetPrim(), friction)
        lifted = (x, y, WHEEL_RADIUS + lift)
        ends = ("/World/Rover/chassis", f"/World/Rover/steering_{name}", str(wheel.GetPath()))
        _hinge(stage, f"steering_{name}", ends[:2], lifted, "Z", (2e4, 2e3))
        _hinge(stage, f"drive_{name}", ends[1:], lifted, "Y", (0.0, 200.0))
