"""The rover as USD: rigid bodies, joints, drives, collision shapes and looks.

The layout is that of `stage.schema`, the numbers those of `stage.rover_viper`. PhysX in Isaac Sim and MuJoCo simulate
the same prims. Units of `UsdPhysics`: kg, m, s, and degrees for the angles of joints, so that stiffness is in N m/deg.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from pxr import Gf, Kind, Sdf, Vt

from regolith.lunar.stage import layer as write
from regolith.lunar.stage import rover_shapes, schema
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage.mesh import TriMesh

_T = Sdf.ValueTypeNames
_ORDER = Vt.TokenArray(["xformOp:translate", "xformOp:orient"])
_BEFORE = {"suspension": "", "steering": "suspension", "drive": "steering"}
"""Joint to the part it hangs on; none for the chassis."""


@dataclasses.dataclass(frozen=True)
class Look:
    """A material of the rover."""

    colour: tuple[float, float, float]
    """Linear Rec. 709; its luminance is the albedo where a renderer knows no gloss."""
    roughness: float
    metallic: float


LOOKS = {
    "Kapton": Look((0.34, 0.20, 0.06), 0.35, 1.0),
    "Panel": Look((0.22, 0.20, 0.15), 0.5, 0.0),
    "Cell": Look((0.020, 0.026, 0.055), 0.15, 0.0),
    "White": Look((0.44, 0.44, 0.42), 0.6, 0.0),
    "Metal": Look((0.14, 0.14, 0.145), 0.4, 1.0),
    "Dark": Look((0.03, 0.03, 0.03), 0.6, 0.0),
    "Glass": Look((0.012, 0.012, 0.015), 0.05, 0.0),
    "Lamp": Look((0.55, 0.58, 0.62), 0.2, 0.0),
}
"""Materials by the names of the meshes they are on. Gold foil and bare metal reflect in one direction most of what they
do not absorb: their colours are those of the rest, which goes everywhere."""


def write_rover(layer: Sdf.Layer) -> None:
    """Write the rover at the world's origin, level, and what makes the stage collide with it."""
    _write_scene(layer)
    rover = write.prim(layer, schema.ROVER, "Xform", doc="VIPER-like rover: +X ahead, +Y left, origin on the ground.")
    rover.kind = Kind.Tokens.component
    _write_place(rover, (0.0, 0.0, 0.0))
    _write_looks(layer)
    chassis = _write_body(layer, schema.ROVER_CHASSIS, viper.CHASSIS, (0.0, 0.0, 0.0), "PhysicsArticulationRootAPI")
    _collide_chassis(chassis)
    _write_shapes(chassis, rover_shapes.chassis())
    write.prim(layer, schema.ROVER_JOINTS, "Scope")
    for corner, (_, side) in schema.CORNERS.items():
        places = viper.corner_places(corner)
        for part, body in viper.corner_bodies(corner).items():
            spec = _write_body(layer, schema.rover_body(part, corner), body, places[part])
            _write_shapes(spec, rover_shapes.corner_shapes(part, left=side > 0))
            if part == "wheel":
                _collide_wheel(spec)
        for joint in schema.JOINTS:
            _write_joint(layer, joint, corner)


def _write_scene(layer: Sdf.Layer) -> None:
    """Write gravity and friction, and let ground and rocks collide."""
    scene = write.prim(layer, schema.PHYSICS_SCENE, "PhysicsScene")
    write.attribute(scene, "physics:gravityDirection", _T.Vector3f, Gf.Vec3f(0.0, 0.0, -1.0))
    write.attribute(scene, "physics:gravityMagnitude", _T.Float, viper.GRAVITY, doc="Of the Moon [m/s²].")
    doc = "Contact of metal and rock with regolith."
    traction = write.prim(layer, schema.TRACTION, "Material", schemas=["PhysicsMaterialAPI"], doc=doc)
    static, dynamic = viper.FRICTION
    for name, value in (("staticFriction", static), ("dynamicFriction", dynamic), ("restitution", 0.0)):
        write.attribute(traction, f"physics:{name}", _T.Float, value)
    _collide(layer.GetPrimAtPath(schema.TERRAIN), "none")
    for prototype in layer.GetPrimAtPath(schema.PROTOTYPES).nameChildren:
        _collide(prototype, "convexHull")


def _apply(spec: Sdf.PrimSpec, *schemas: str) -> None:
    """Apply API schemas beside those a prim has."""
    before = spec.GetInfo("apiSchemas").prependedItems if spec.HasInfo("apiSchemas") else []
    added = [name for name in schemas if name not in before]
    spec.SetInfo("apiSchemas", Sdf.TokenListOp.Create(prependedItems=[*before, *added]))


def _collide(spec: Sdf.PrimSpec, approximation: str = "") -> None:
    """Make a shape one that things collide with; a mesh says how it is to be simplified."""
    _apply(spec, "PhysicsCollisionAPI", "MaterialBindingAPI")
    if approximation:
        _apply(spec, "PhysicsMeshCollisionAPI")
        write.attribute(spec, "physics:approximation", _T.Token, approximation, uniform=True)
    relationship = Sdf.RelationshipSpec(spec, "material:binding:physics", False)
    relationship.targetPathList.explicitItems = [Sdf.Path(schema.TRACTION)]


def _write_looks(layer: Sdf.Layer) -> None:
    write.prim(layer, schema.ROVER_LOOKS, "Scope")
    for name, look in LOOKS.items():
        path = f"{schema.ROVER_LOOKS}/{name}"
        material = write.prim(layer, path, "Material")
        output = write.attribute(material, "outputs:surface", _T.Token)
        output.connectionPathList.explicitItems = [Sdf.Path(f"{path}/Surface.outputs:surface")]
        shader = write.prim(layer, f"{path}/Surface", "Shader")
        write.attribute(shader, "info:id", _T.Token, "UsdPreviewSurface", uniform=True)
        write.attribute(shader, "inputs:diffuseColor", _T.Color3f, Gf.Vec3f(*look.colour))
        write.attribute(shader, "inputs:roughness", _T.Float, look.roughness)
        write.attribute(shader, "inputs:metallic", _T.Float, look.metallic)
        write.attribute(shader, "outputs:surface", _T.Token)


def _write_shapes(body: Sdf.PrimSpec, shapes: dict[str, TriMesh]) -> None:
    """Write a body's meshes, each named after its material."""
    for name, shape in shapes.items():
        spec = write.child(body, name, "Mesh", schemas=["MaterialBindingAPI"])
        write.mesh(spec, shape)
        write.bind(spec, f"{schema.ROVER_LOOKS}/{name}")


def _write_place(spec: Sdf.PrimSpec, place: tuple[float, float, float]) -> None:
    write.attribute(spec, "xformOp:translate", _T.Double3, Gf.Vec3d(*place))
    write.attribute(spec, "xformOp:orient", _T.Quatd, Gf.Quatd(1.0))
    write.attribute(spec, "xformOpOrder", _T.TokenArray, _ORDER, uniform=True)


def _write_body(
    layer: Sdf.Layer, path: str, body: viper.Body, place: tuple[float, float, float], *schemas: str
) -> Sdf.PrimSpec:
    """Write a rigid body with its mass properties at a place in the rover's frame [m]."""
    spec = write.prim(layer, path, "Xform", schemas=["PhysicsRigidBodyAPI", "PhysicsMassAPI", *schemas])
    _write_place(spec, place)
    write.attribute(spec, "physics:mass", _T.Float, body.mass_kg)
    write.attribute(spec, "physics:centerOfMass", _T.Point3f, Gf.Vec3f(*body.centre_m))
    write.attribute(spec, "physics:diagonalInertia", _T.Float3, Gf.Vec3f(*body.inertia))
    write.attribute(spec, "physics:principalAxes", _T.Quatf, Gf.Quatf(1.0))
    return spec


def _collide_chassis(chassis: Sdf.PrimSpec) -> None:
    """Give the chassis boxes for its frame, its body and its mast."""
    for name, (centre, size) in viper.chassis_boxes().items():
        box = write.child(chassis, name, "Cube")
        write.attribute(box, "size", _T.Double, 1.0)
        write.attribute(box, "extent", _T.Float3Array, Vt.Vec3fArray([Gf.Vec3f(-0.5), Gf.Vec3f(0.5)]))
        write.attribute(box, "purpose", _T.Token, "guide", uniform=True)
        write.attribute(box, "xformOp:translate", _T.Double3, Gf.Vec3d(*centre))
        write.attribute(box, "xformOp:scale", _T.Float3, Gf.Vec3f(*size))
        order = Vt.TokenArray(["xformOp:translate", "xformOp:scale"])
        write.attribute(box, "xformOpOrder", _T.TokenArray, order, uniform=True)
        _collide(box)


def _collide_wheel(wheel: Sdf.PrimSpec) -> None:
    """Give a wheel a cylinder about its axle."""
    rim = write.child(wheel, "Collision", "Cylinder")
    radius, half = viper.WHEEL_RADIUS_M, 0.5 * viper.WHEEL_WIDTH_M
    write.attribute(rim, "axis", _T.Token, "Y", uniform=True)
    write.attribute(rim, "radius", _T.Double, radius)
    write.attribute(rim, "height", _T.Double, 2.0 * half)
    extent = Vt.Vec3fArray([Gf.Vec3f(-radius, -half, -radius), Gf.Vec3f(radius, half, radius)])
    write.attribute(rim, "extent", _T.Float3Array, extent)
    write.attribute(rim, "purpose", _T.Token, "guide", uniform=True)
    _collide(rim)


def _write_joint(layer: Sdf.Layer, joint: str, corner: str) -> None:
    """Write a joint at the origin of the body it moves; both of its frames are parallel to the rover's."""
    drive, places = viper.DRIVES[joint], viper.corner_places(corner)
    part, on = schema.JOINTS[joint], _BEFORE[joint]
    base = places[on] if on else (0.0, 0.0, 0.0)
    spec = write.prim(
        layer, schema.rover_joint(joint, corner), "PhysicsRevoluteJoint", schemas=["PhysicsDriveAPI:angular"]
    )
    for name, path in (
        ("physics:body0", schema.rover_body(on, corner) if on else schema.ROVER_CHASSIS),
        ("physics:body1", schema.rover_body(part, corner)),
    ):
        Sdf.RelationshipSpec(spec, name, False).targetPathList.explicitItems = [Sdf.Path(path)]
    write.attribute(spec, "physics:axis", _T.Token, drive.axis, uniform=True)
    offset = Gf.Vec3f(*(a - b for a, b in zip(places[part], base, strict=True)))
    write.attribute(spec, "physics:localPos0", _T.Point3f, offset)
    write.attribute(spec, "physics:localPos1", _T.Point3f, Gf.Vec3f(0.0))
    for name in ("physics:localRot0", "physics:localRot1"):
        write.attribute(spec, name, _T.Quatf, Gf.Quatf(1.0))
    if drive.limit_deg is not None:
        write.attribute(spec, "physics:lowerLimit", _T.Float, -drive.limit_deg)
        write.attribute(spec, "physics:upperLimit", _T.Float, drive.limit_deg)
    target: tuple[str, float] = ("targetVelocity", 0.0)
    if drive.stiffness:
        target = ("targetPosition", viper.preload_deg(corner) if joint == "suspension" else 0.0)
    values: tuple[tuple[str, Sdf.ValueTypeName, Any], ...] = (
        ("type", _T.Token, "force"),
        ("stiffness", _T.Float, drive.stiffness),
        ("damping", _T.Float, drive.damping),
        ("maxForce", _T.Float, drive.torque),
        (target[0], _T.Float, target[1]),
    )
    for name, kind, value in values:
        write.attribute(spec, f"drive:angular:physics:{name}", kind, value, uniform=name == "type")
