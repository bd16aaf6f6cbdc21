"""What an author says about motion that no engine here does, refused by its prim.

Properties of physics are those of the namespaces `NAMESPACES`. Of these `READ` are simulated, `SOLVER` steer PhysX' own
solver and not what is simulated, and `NEUTRAL` are allowed where their value means nothing. Any other is refused where
it is authored: what is not known here is not left out without a word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from pxr import Usd, UsdPhysics

from regolith.lunar.params import InputError

NAMESPACES = ("physics:", "physx", "drive:", "limit:", "state:")
"""How names of properties begin that say how things move."""

READ = frozenset(
    f"physics:{name}"
    for name in (
        "gravityDirection", "gravityMagnitude", "mass", "density", "centerOfMass", "diagonalInertia", "principalAxes",
        "rigidBodyEnabled", "collisionEnabled", "jointEnabled", "approximation", "body0", "body1", "localPos0",
        "localPos1", "localRot0", "localRot1", "axis", "lowerLimit", "upperLimit", "staticFriction", "dynamicFriction",
        "restitution",
    )
) | {
    "physxJoint:armature", "physxArticulation:enabledSelfCollisions", "physxMaterial:compliantContactStiffness",
    "physxMaterial:compliantContactDamping",
}  # fmt: skip
"""Names of what is read; drives have names of their own."""

SOLVER = (
    "physics:excludeFromArticulation", "physics:mergeGroup", "physxArticulation:*", "physxCollision:contactOffset",
    "physxContactReport:*", "physxConvexHullCollision:*", "physxCookedData:*", "physxLimit:*:bounceThreshold",
    "physxLimit:*:contactDistance", "physxMaterial:improvePatchFriction", "physxRigidBody:contactSlopCoefficient",
    "physxRigidBody:enableCCD", "physxRigidBody:enableSpeculativeCCD", "physxRigidBody:maxDepenetrationVelocity",
    "physxRigidBody:sleepThreshold", "physxRigidBody:solver*IterationCount", "physxRigidBody:stabilizationThreshold",
    "physxScene:*",
)  # fmt: skip
"""Patterns of names of how PhysX solves, which an engine here does in its own way."""

Rule = tuple[Callable[[Any], bool], str]


def _is(*values: object) -> Rule:
    return lambda value: value in values, " or ".join(map(str, values)) + ", or nothing authored"


def _at_least(least: float) -> Rule:
    return lambda value: float(value) >= least, f"at least {least:g}, or nothing authored"


ZERO: Rule = (lambda value: not np.any(np.asarray(value, np.float64)), "0, or nothing authored")
OFF, ON = _is(False), _is(True)
ENDLESS: Rule = (math.isinf, "inf, or nothing authored")

NEUTRAL: dict[str, Rule] = {
    "physics:velocity": ZERO,
    "physics:angularVelocity": ZERO,
    "physics:kinematicEnabled": OFF,
    "physics:startsAsleep": OFF,
    "physics:breakForce": ENDLESS,
    "physics:breakTorque": ENDLESS,
    "physics:invertFilteredGroups": OFF,
    "limit:*:physics:low": ENDLESS,
    "limit:*:physics:high": ENDLESS,
    "state:*:physics:position": ZERO,
    "state:*:physics:velocity": ZERO,
    "physxRigidBody:linearDamping": ZERO,
    "physxRigidBody:angularDamping": (lambda value: value <= 0.0501, "at most 0.05, PhysX' own, or nothing authored"),
    "physxRigidBody:disableGravity": OFF,
    "physxRigidBody:enableGyroscopicForces": ON,
    "physxRigidBody:locked*Axis": ZERO,
    "physxRigidBody:maxAngularVelocity": _at_least(5729.0),
    "physxRigidBody:maxLinearVelocity": _at_least(1000.0),
    "physxRigidBody:maxContactImpulse": _at_least(1e30),
    "physxRigidBody:retainAccelerations": OFF,
    "physxRigidBody:solveContact": ON,
    "physxCollision:restOffset": (lambda value: value == 0.0 or math.isinf(value), "0, or nothing authored"),
    "physxCollision:*orsionalPatchRadius": ZERO,
    "physxJoint:jointFriction": ZERO,
    "physxJoint:maxJointVelocity": _at_least(1e6),
    "physxLimit:*:stiffness": ZERO,
    "physxLimit:*:damping": ZERO,
    "physxLimit:*:restitution": ZERO,
    "physxMaterial:frictionCombineMode": _is("average"),
    "physxMaterial:restitutionCombineMode": _is("average"),
    "physxMaterial:dampingCombineMode": _is("average"),
    "physxMaterial:compliantContactAccelerationSpring": OFF,
    "physxScene:invertCollisionGroupFilter": OFF,
}
"""Pattern of a name to the values that leave the motion as it is, and how they are told."""


def refuse_unread(prims: Iterable[Usd.Prim]) -> None:
    """Refuse what is authored about motion and not simulated.

    Args:
        prims: Those that are simulated.

    Raises:
        InputError: There is such a thing; names prim and property.
    """
    for prim in prims:
        if str(prim.GetTypeName()).startswith("Physx"):
            raise InputError(str(prim.GetPath()), prim.GetTypeName(), "prims of UsdPhysics")
        for found in prim.GetAuthoredProperties(lambda name: str(name).startswith(NAMESPACES)):
            if not _idle(prim):
                _check(prim, found)


def refuse_moving(prims: Iterable[Usd.Prim]) -> None:
    """Refuse bodies among ground and rocks, which stand still here.

    Raises:
        InputError: One is a rigid body.
    """
    for prim in prims:
        if (body := UsdPhysics.RigidBodyAPI(prim)) and body.GetRigidBodyEnabledAttr().Get():
            raise InputError(f"{prim.GetPath()}.physics:rigidBodyEnabled", True, "False: ground and rocks stand still")


def _idle(prim: Usd.Prim) -> bool:
    """Whether a prim is a body, a joint or a collider and none of it is enabled."""
    names = ("physics:rigidBodyEnabled", "physics:jointEnabled", "physics:collisionEnabled")
    switches = [attribute.Get() for name in names if (attribute := prim.GetAttribute(name))]
    return bool(switches) and not any(switches)


def _check(prim: Usd.Prim, found: Usd.Property) -> None:
    name, field = found.GetName(), str(found.GetPath())
    of_joint = name == "physics:collisionEnabled" and bool(UsdPhysics.Joint(prim))
    if name in READ and not of_joint:
        return
    if isinstance(found, Usd.Relationship):
        targets = ", ".join(str(path) for path in found.GetTargets())
        allowed = _scene(prim) if name == "physics:simulationOwner" else ""
        if targets not in ("", allowed):
            raise InputError(field, targets, allowed or "no targets")
        return
    value = found.Get() if isinstance(found, Usd.Attribute) and found.HasAuthoredValue() else None
    own = _own_drive(prim)
    if value is None or name.startswith(own):
        return
    fits, allowed = _rule(name, of_joint=of_joint, own=own)
    if not fits(value):
        raise InputError(field, value if isinstance(value, bool | float | int | str) else str(value), allowed)


def _rule(name: str, *, of_joint: bool, own: str) -> Rule:
    """What a property that is not read may be; `own` begins names of the drive that is read."""
    if name.startswith("drive:"):
        return lambda value: False, f"a drive {own}… alone"
    if of_joint:
        return OFF
    for pattern, rule in NEUTRAL.items():
        if fnmatchcase(name, pattern):
            return rule
    known = any(fnmatchcase(name, pattern) for pattern in SOLVER)
    return lambda value: known, "nothing authored, for it is not simulated"


def _own_drive(prim: Usd.Prim) -> str:
    """How names of the drive begin that is read of a joint."""
    return "drive:linear:physics:" if UsdPhysics.PrismaticJoint(prim) else "drive:angular:physics:"


def _scene(prim: Usd.Prim) -> str:
    """Path of the scene whose gravity is read (`physics.read.read_gravity`)."""
    return next((str(each.GetPath()) for each in prim.GetStage().Traverse() if UsdPhysics.Scene(each)), "")
