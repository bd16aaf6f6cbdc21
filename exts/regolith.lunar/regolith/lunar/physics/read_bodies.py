"""Rigid bodies, collision shapes and joints of a stage, read from UsdPhysics."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterable

import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.transform import Rotation

from regolith.lunar.params import InputError
from regolith.lunar.physics.world import DENSITY, FRICTION, Body, Drive, Joint, JointKind, Pose, Shape, ShapeKind
from regolith.lunar.stage.reading import read_mesh

AXES = {"X": np.array([1.0, 0.0, 0.0]), "Y": np.array([0.0, 1.0, 0.0]), "Z": np.array([0.0, 0.0, 1.0])}
CONE_SIDES = 32
"""Sides of the prism that stands for a cone."""
GAP_M = 1e-3
"""Largest distance between the two anchors of a joint that does not slide [m]."""
SOLIDS = (UsdGeom.Cube, UsdGeom.Sphere, UsdGeom.Cylinder, UsdGeom.Capsule, UsdGeom.Cone)


def rigid(matrix: Gf.Matrix4d) -> Gf.Matrix4d:
    """The rotation and translation of a transform, without its scale."""
    return matrix.RemoveScaleShear()


def pose_of(matrix: Gf.Matrix4d) -> Pose:
    """Pose of a transform without scale."""
    turn = matrix.ExtractRotationQuat().GetNormalized()
    return Pose(np.array(matrix.ExtractTranslation()), np.array([turn.GetReal(), *turn.GetImaginary()]))


def owner(prim: Usd.Prim) -> Usd.Prim | None:
    """The rigid body a prim is part of: itself or the nearest one above; None for the fixed world."""
    while prim and not prim.IsPseudoRoot():
        if body := UsdPhysics.RigidBodyAPI(prim):
            return prim if body.GetRigidBodyEnabledAttr().Get() else None
        prim = prim.GetParent()
    return None


def friction_of(prim: Usd.Prim) -> tuple[float, float]:
    """Dynamic friction and density [kg/m³] of the physics material a prim is bound to, or the defaults."""
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
    physics = UsdPhysics.MaterialAPI(material.GetPrim()) if material else None
    if not physics:
        return FRICTION, DENSITY
    return float(physics.GetDynamicFrictionAttr().Get()), float(physics.GetDensityAttr().Get()) or DENSITY


def _give_of(prim: Usd.Prim) -> dict[str, float]:
    """How the contacts of a prim give way by its physics material: fields of `Shape`."""
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
    if not material or not material.GetPrim().HasAPI(UsdPhysics.MaterialAPI):
        return {}
    return {
        "restitution": float(UsdPhysics.MaterialAPI(material.GetPrim()).GetRestitutionAttr().Get()),
        "stiffness": _number(material.GetPrim(), "physxMaterial:compliantContactStiffness", 0.0),
        "damping": _number(material.GetPrim(), "physxMaterial:compliantContactDamping", 0.0),
    }


def read_shapes(prims: Iterable[Usd.Prim], cache: UsdGeom.XformCache) -> dict[str, list[Shape]]:
    """Read collision shapes, by the path of their body; "" for those of the world.

    Raises:
        InputError: A shape no engine here collides, or a scale it cannot have.
    """
    found: dict[str, list[Shape]] = {}
    for prim in prims:
        collision = UsdPhysics.CollisionAPI(prim)
        if not collision or not collision.GetCollisionEnabledAttr().Get():
            continue
        body = owner(prim)
        frame = rigid(cache.GetLocalToWorldTransform(body)) if body else Gf.Matrix4d(1.0)
        shape = _read_shape(prim, cache.GetLocalToWorldTransform(prim) * frame.GetInverse(), moves=body is not None)
        shape = dataclasses.replace(shape, **_give_of(prim))
        found.setdefault(str(body.GetPath()) if body else "", []).append(shape)
    return found


def _read_shape(prim: Usd.Prim, matrix: Gf.Matrix4d, *, moves: bool) -> Shape:
    path = str(prim.GetPath())
    friction, density = friction_of(prim)
    if UsdGeom.Mesh(prim):
        token = UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get()
        if token != "convexHull" and not (moves and token in (None, "none")):
            raise InputError(f"{path}.physics:approximation", str(token), "convexHull")
        return hull_shape(path, read_mesh(prim).points, matrix, friction=friction, density=density)
    solid = next(filter(None, (kind(prim) for kind in SOLIDS)), None)
    if solid is None:
        raise InputError(path, prim.GetTypeName(), "Cube, Sphere, Cylinder, Capsule, Cone or Mesh to collide")
    if isinstance(solid, UsdGeom.Cone):
        return hull_shape(path, _cone_points(solid), matrix, friction=friction, density=density)
    linear = np.array(matrix)[:3, :3]
    scale = np.linalg.norm(linear, axis=1)
    turn = linear / scale[:, None]
    if np.linalg.det(turn) < 0.0:  # mirrored: these solids are their own mirror images
        turn[0] *= -1.0
    kind, size, along = _solid_size(solid, scale, path)
    rotation = Rotation.from_matrix(turn.T) * _onto(along)
    pose = Pose(np.array(matrix.ExtractTranslation()), rotation.as_quat(scalar_first=True))
    return Shape(path, kind, pose, size, friction=friction, density=density)


def _onto(axis: str) -> Rotation:
    """Rotation that takes Z to an axis."""
    return {
        "X": Rotation.from_euler("y", 90.0, degrees=True),
        "Y": Rotation.from_euler("x", -90.0, degrees=True),
        "Z": Rotation.identity(),
    }[axis]


def _solid_size(
    solid: UsdGeom.Cube | UsdGeom.Sphere | UsdGeom.Cylinder | UsdGeom.Capsule, scale: np.ndarray, path: str
) -> tuple[ShapeKind, tuple[float, ...], str]:
    """Kind, size as in `Shape`, and the axis it lies along."""
    if isinstance(solid, UsdGeom.Cube):
        return "box", tuple(0.5 * solid.GetSizeAttr().Get() * scale), "Z"
    if isinstance(solid, UsdGeom.Sphere):
        _even(scale, path)
        return "sphere", (solid.GetRadiusAttr().Get() * scale[0],), "Z"
    axis = str(solid.GetAxisAttr().Get())
    along = "XYZ".index(axis)
    across = np.delete(scale, along)
    _even(scale if isinstance(solid, UsdGeom.Capsule) else across, path)
    size = (solid.GetRadiusAttr().Get() * across[0], 0.5 * solid.GetHeightAttr().Get() * scale[along])
    return "cylinder" if isinstance(solid, UsdGeom.Cylinder) else "capsule", size, axis


def _even(scale: np.ndarray, path: str) -> None:
    if np.ptp(scale) > 1e-6 * scale.max():
        raise InputError(
            f"{path} scale", tuple(round(float(part), 6) for part in scale), "the same across a round solid"
        )


def _cone_points(cone: UsdGeom.Cone) -> np.ndarray:
    angle = np.arange(CONE_SIDES) * 2.0 * np.pi / CONE_SIDES
    radius, half = cone.GetRadiusAttr().Get(), 0.5 * cone.GetHeightAttr().Get()
    base = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), np.full(CONE_SIDES, -half)])
    return _onto(str(cone.GetAxisAttr().Get())).apply(np.vstack([base, [0.0, 0.0, half]]))


def hull_shape(
    path: str, points: np.ndarray, matrix: Gf.Matrix4d, *, friction: float = FRICTION, density: float = DENSITY
) -> Shape:
    """The convex hull of points, shape [V, 3], under a transform; its frame lies at the mean of the corners.

    Raises:
        InputError: The points are flat.
    """
    linear = np.array(matrix)
    placed = np.asarray(points, np.float64) @ linear[:3, :3] + linear[3, :3]
    try:
        corners = placed[ConvexHull(placed).vertices]
    except (QhullError, ValueError):
        raise InputError(f"{path}.points", f"{len(points)} points", "a mesh that is not flat") from None
    center = corners.mean(axis=0)
    pose = Pose(center, np.array([1.0, 0.0, 0.0, 0.0]))
    return Shape(path, "hull", pose, (), corners - center, friction=friction, density=density)


def read_body(prim: Usd.Prim, shapes: tuple[Shape, ...], cache: UsdGeom.XformCache) -> Body:
    """Read a rigid body with its mass.

    Raises:
        InputError: Neither shapes nor `diagonalInertia` say how hard it is to turn.
    """
    api = UsdPhysics.MassAPI(prim)
    mass, density = float(api.GetMassAttr().Get() or 0.0), float(api.GetDensityAttr().Get() or 0.0)
    if density and not mass:
        shapes = tuple(Shape(**{**vars(shape), "density": density}) for shape in shapes)
    inertia = np.array(api.GetDiagonalInertiaAttr().Get() or (0.0, 0.0, 0.0), np.float64)
    turn = api.GetPrincipalAxesAttr().Get() or Gf.Quatf(0.0)
    axes = np.array([turn.GetReal(), *turn.GetImaginary()], np.float64)
    center = np.array(api.GetCenterOfMassAttr().Get() or (-math.inf,) * 3, np.float64)
    given = bool((inertia > 0.0).all())
    if not shapes and not (given and mass):
        allowed = "a collision shape, or physics:mass with physics:diagonalInertia"
        raise InputError(str(prim.GetPath()), "a body without inertia", allowed)
    matrix = cache.GetLocalToWorldTransform(prim)
    return Body(
        path=str(prim.GetPath()),
        pose=pose_of(rigid(matrix)),
        shapes=shapes,
        mass=mass or None,
        inertia=inertia if given else None,
        axes=axes if np.linalg.norm(axes) > 0.0 else np.array([1.0, 0.0, 0.0, 0.0]),
        center=center if np.isfinite(center).all() else None,
    )


def read_joints(prims: Iterable[Usd.Prim], cache: UsdGeom.XformCache) -> tuple[list[Joint], list[str]]:
    """Read joints as trees.

    Returns:
        Joints, those of a parent before those of its children, and the bodies that are roots of such trees.

    Raises:
        InputError: A joint of a kind or with a drive no engine here has, or joints that close a loop.
    """
    ends: dict[str, list[tuple[Usd.Prim, str | None, str]]] = {}
    marked: list[str] = []
    seen: list[str] = []
    for prim in prims:
        if UsdPhysics.ArticulationRootAPI(prim) and (body := owner(prim)):
            marked.append(str(body.GetPath()))
        joint = UsdPhysics.Joint(prim)
        if not joint or not joint.GetJointEnabledAttr().Get():
            continue
        first, second = (_end(prim, name) for name in ("physics:body0", "physics:body1"))
        if second is None and first is None:
            raise InputError(f"{prim.GetPath()}.physics:body1", "nothing", "a rigid body")
        for one, other in ((first, second), (second, first)):
            if other is not None:
                ends.setdefault(one or "", []).append((prim, one, other))
        seen += [path for path in (first, second) if path]
    moved = {other for links in ends.values() for prim, _, other in links if _end(prim, "physics:body1") == other}
    roots = sorted(dict.fromkeys(seen), key=lambda path: (path not in marked, path in moved))
    joints: list[Joint] = []
    done: set[str] = set()
    used: set[str] = set()
    started: list[str] = []
    for root in ["", *roots]:
        if root in done or (root == "" and root not in ends):
            continue
        if root:
            started.append(root)
        done.add(root)
        queue = deque([root])
        while queue:
            for prim, parent, child in ends.get(queue.popleft(), []):
                if str(prim.GetPath()) in used:
                    continue
                if child in done:
                    raise InputError(str(prim.GetPath()), "a joint that closes a loop", "joints that make a tree")
                used.add(str(prim.GetPath()))
                done.add(child)
                joints.append(_read_joint(prim, parent, child, cache))
                queue.append(child)
    return joints, started


def _end(prim: Usd.Prim, name: str) -> str | None:
    targets = prim.GetRelationship(name).GetTargets()
    if not targets:
        return None
    body = owner(prim.GetStage().GetPrimAtPath(targets[0]))
    return str(body.GetPath()) if body else None


def _frame(prim: Usd.Prim, end: int, cache: UsdGeom.XformCache) -> Gf.Matrix4d:
    """Frame of a joint's end in the world, without scale."""
    joint = UsdPhysics.Joint(prim)
    targets = prim.GetRelationship(f"physics:body{end}").GetTargets()
    target = prim.GetStage().GetPrimAtPath(targets[0]) if targets else None
    matrix = cache.GetLocalToWorldTransform(target) if target else Gf.Matrix4d(1.0)
    place = (joint.GetLocalPos0Attr() if end == 0 else joint.GetLocalPos1Attr()).Get() or Gf.Vec3f(0.0)
    turn = (joint.GetLocalRot0Attr() if end == 0 else joint.GetLocalRot1Attr()).Get() or Gf.Quatf(1.0)
    local = Gf.Matrix4d().SetRotate(Gf.Quatd(turn).GetNormalized())
    frame = local * rigid(matrix)
    return frame.SetTranslateOnly(matrix.Transform(Gf.Vec3d(place)))


def _read_joint(prim: Usd.Prim, parent: str | None, child: str, cache: UsdGeom.XformCache) -> Joint:
    path = str(prim.GetPath())
    kind, axis = _kind(prim)
    first, second = (_frame(prim, end, cache) for end in (0, 1))
    forward = _end(prim, "physics:body1") == child
    body = rigid(cache.GetLocalToWorldTransform(prim.GetStage().GetPrimAtPath(child)))
    local = (second if forward else first) * body.GetInverse()
    direction = np.array(local.TransformDir(Gf.Vec3d(*axis)))
    between = second * first.GetInverse()
    offset = np.array(between.ExtractTranslation())
    turn = between.ExtractRotationQuat().GetNormalized()
    start = 0.0
    if kind == "prismatic":
        start = float(offset @ axis)
    elif (gap := float(np.linalg.norm(offset))) > GAP_M:
        raise InputError(f"{path}.physics:localPos", f"ends {gap:.3g} m apart", "ends at one place")
    elif kind == "revolute":
        angle = 2.0 * math.atan2(float(np.array(turn.GetImaginary()) @ axis), turn.GetReal())
        start = math.remainder(angle, 2.0 * math.pi)
    unit = math.radians(1.0) if kind == "revolute" else 1.0
    lower, upper = _limits(prim, kind)
    return Joint(
        path=path,
        kind=kind,
        parent=parent,
        child=child,
        anchor=np.array(local.ExtractTranslation()),
        axis=direction if forward else -direction,
        start=start,
        lower=lower * unit,
        upper=upper * unit,
        armature=_number(prim, "physxJoint:armature", 0.0),
        drive=None if kind == "fixed" else _read_drive(prim, "angular" if kind == "revolute" else "linear", unit),
    )


def _kind(prim: Usd.Prim) -> tuple[JointKind, np.ndarray]:
    if turning := UsdPhysics.RevoluteJoint(prim):
        return "revolute", AXES[str(turning.GetAxisAttr().Get())]
    if sliding := UsdPhysics.PrismaticJoint(prim):
        return "prismatic", AXES[str(sliding.GetAxisAttr().Get())]
    if UsdPhysics.FixedJoint(prim):
        return "fixed", AXES["X"]
    allowed = "PhysicsRevoluteJoint, PhysicsPrismaticJoint or PhysicsFixedJoint"
    raise InputError(str(prim.GetPath()), prim.GetTypeName(), allowed)


def _limits(prim: Usd.Prim, kind: JointKind) -> tuple[float, float]:
    """Limits as authored: degrees or metres; infinite for none."""
    if kind == "fixed":
        return -math.inf, math.inf
    schema = UsdPhysics.RevoluteJoint if kind == "revolute" else UsdPhysics.PrismaticJoint
    lower, upper = float(schema(prim).GetLowerLimitAttr().Get()), float(schema(prim).GetUpperLimitAttr().Get())
    if lower > upper:
        raise InputError(f"{prim.GetPath()}.physics:lowerLimit", lower, f"at most the upper limit, {upper:g}")
    return lower, upper


def _read_drive(prim: Usd.Prim, name: str, unit: float) -> Drive | None:
    """Read a drive; an angular one's stiffness, damping and targets are per degree and in degrees."""
    drive = UsdPhysics.DriveAPI(prim, name)
    if not drive:
        return None
    if (kind := str(drive.GetTypeAttr().Get())) != "force":
        raise InputError(f"{prim.GetPath()}.drive:{name}:physics:type", kind, "force")
    return Drive(
        stiffness=float(drive.GetStiffnessAttr().Get()) / unit,
        damping=float(drive.GetDampingAttr().Get()) / unit,
        force_max=float(drive.GetMaxForceAttr().Get()),
        position=float(drive.GetTargetPositionAttr().Get()) * unit,
        velocity=float(drive.GetTargetVelocityAttr().Get()) * unit,
    )


def _number(prim: Usd.Prim, name: str, absent: float) -> float:
    """Value of an attribute that no schema here declares."""
    attribute = prim.GetAttribute(name)
    return float(attribute.Get()) if attribute and attribute.HasValue() else absent
