"""Stages the physics tests share: a ground of given heights, boxes and balls, and the rover."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade
from scipy.spatial.transform import Rotation

from regolith.lunar.stage import schema
from regolith.lunar.stage.author import grid_quads
from regolith.lunar.stage.mesh import Heightfield
from regolith.lunar.stage.rover import write_rover

G = 1.62
"""Gravity of the stages [m/s²]."""
WHEELS = [schema.rover_body("wheel", corner) for corner in schema.CORNERS]
DRIVES = [schema.rover_joint("drive", corner) for corner in schema.CORNERS]


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


def add_rover(stage: Usd.Stage) -> None:
    """The rover as `author` writes it, on ground of height 0 about the origin."""
    stage.RemovePrim(schema.PHYSICS_SCENE)
    UsdGeom.Scope.Define(stage, schema.PROTOTYPES)
    write_rover(stage.GetRootLayer())


def box_on_slope(at: np.ndarray, degrees: float, *, of_box: float, of_slope: float) -> Usd.Stage:
    """A stage with a box of 0.5 m, /World/Box, on a slope about Y, each with a friction of its own.

    Args:
        at: Where the box stands on the slope [m], shape [3].
        degrees: Of the slope, downwards to +X.
        of_box: Friction of the box.
        of_slope: Friction of the slope.
    """
    stage = ground_stage()
    turn, rotation = about((0, 1, 0), degrees), Rotation.from_euler("y", degrees, degrees=True)
    slope = solid(stage, "Cube", "/World/Slope", at + rotation.apply([0, 0, -0.5]), body=False, turn=turn)
    UsdGeom.Xformable(slope).AddScaleOp().Set(Gf.Vec3f(40, 4, 1))
    UsdGeom.Cube(slope).CreateSizeAttr(1.0)
    box = solid(stage, "Cube", "/World/Box", at + rotation.apply([0, 0, 0.25]), turn=turn)
    UsdGeom.Cube(box).CreateSizeAttr(0.5)
    bind_friction(slope, of_slope)
    bind_friction(box, of_box)
    return stage
