"""What a physics engine is given: bodies, joints, drives, fixed solids and the ground of a stage, in SI units.

Frames: world is Z up, metres. Quaternions are (w, x, y, z). Angles are radians, whatever the stage had.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from pxr import Usd

MOON_GRAVITY = 1.62
"""Gravity of a stage without a PhysicsScene [m/s²]: the Moon's at its surface (NASA Moon Fact Sheet)."""

FRICTION = 0.5
"""Friction of what has no physics material: PhysX's default material (PhysX 5 guide, "Rigid Body Collision")."""

DENSITY = 1000.0
"""Density of what has neither mass nor density [kg/m³]: UsdPhysics' default, water's."""

ShapeKind = Literal["box", "sphere", "cylinder", "capsule", "hull"]
JointKind = Literal["revolute", "prismatic", "fixed"]


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where a frame is in another."""

    position: np.ndarray
    """[m], float64, shape [3]."""
    orientation: np.ndarray
    """Unit quaternion (w, x, y, z), float64, shape [4]."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """A convex solid that collides."""

    path: str
    """Prim."""
    kind: ShapeKind
    pose: Pose
    """In the frame of its body, or the world's where it is fixed. Cylinders and capsules lie along their Z."""
    size: tuple[float, ...]
    """Half sides of a box, radius of a sphere, radius and half length of the others [m]; empty for a hull."""
    points: np.ndarray | None = None
    """Corners of a hull [m], float64, shape [V, 3], in the frame of `pose`."""
    friction: float = FRICTION
    """Coefficient of its material; that of a contact is the mean of both."""
    density: float = DENSITY
    """[kg/m³]; counts where its body has no mass."""
    restitution: float = 0.0
    """Speed after an impact over that before it, of one that moves; without effect beside a stiffness."""
    stiffness: float = 0.0
    """Of each of its contacts, of one that moves [N/m]; 0 for hard ones."""
    damping: float = 0.0
    """Of such contacts [N s/m]."""


@dataclasses.dataclass(frozen=True)
class Body:
    """A rigid body."""

    path: str
    """Prim."""
    pose: Pose
    """In the world, as authored."""
    shapes: tuple[Shape, ...]
    mass: float | None
    """[kg]; None where the shapes' densities decide."""
    inertia: np.ndarray | None
    """Principal moments [kg m²], shape [3]; None where the shapes decide, scaled to the mass."""
    axes: np.ndarray
    """Principal axes as a quaternion in the body's frame, shape [4]; only where `inertia` is given."""
    center: np.ndarray | None
    """Centre of mass in the body's frame [m], shape [3]; None where the shapes decide."""


@dataclasses.dataclass(frozen=True)
class Drive:
    """Actuator of a joint: force = stiffness (position − q) + damping (velocity − q̇), within ± `force_max`."""

    stiffness: float
    """[N m/rad] or [N/m]."""
    damping: float
    """[N m s/rad] or [N s/m]."""
    force_max: float
    """[N m] or [N]; infinite for none."""
    position: float
    """Authored target [rad] or [m]."""
    velocity: float
    """Authored target [rad/s] or [m/s]."""


@dataclasses.dataclass(frozen=True)
class Joint:
    """What holds a child body to its parent; bodies and joints make trees."""

    path: str
    """Prim."""
    kind: JointKind
    parent: str | None
    """Body; None for the world."""
    child: str
    """Body."""
    anchor: np.ndarray
    """Place of the joint in the child's frame [m], shape [3]."""
    axis: np.ndarray
    """Unit axis in the child's frame, shape [3]; the coordinate is the child's motion against the parent."""
    start: float
    """Coordinate at the authored poses [rad] or [m]."""
    lower: float
    """Lower limit [rad] or [m]; −inf for none."""
    upper: float
    """Upper limit [rad] or [m]; inf for none."""
    armature: float
    """Inertia of the actuator at the joint [kg m²] or [kg]."""
    drive: Drive | None


@dataclasses.dataclass(frozen=True)
class GroundField:
    """The ground as a regular grid of heights centred on the origin."""

    path: str
    """Prim it stands for in contacts."""
    z: np.ndarray
    """Heights [m], float64, shape [rows along +Y, columns along +X]."""
    half_x: float
    """Distance from the origin to the border along X [m]."""
    half_y: float
    """Distance from the origin to the border along Y [m]."""
    friction: float


@dataclasses.dataclass(frozen=True)
class World:
    """All of it."""

    gravity: np.ndarray
    """[m/s²], shape [3]."""
    bodies: tuple[Body, ...]
    """Parents before their children."""
    joints: tuple[Joint, ...]
    """The joint that leads to a body comes in the order of the bodies; the roots have none."""
    fixed: tuple[Shape, ...]
    """Solids that never move: rocks among them."""
    ground: GroundField | None
    apart: frozenset[str]
    """Root bodies of articulations whose bodies do not collide with each other."""
    stage: Usd.Stage | None = dataclasses.field(default=None, repr=False, compare=False)
    """Where it was read of, for an engine that reads prims itself."""

    def joint_to(self, body: str) -> Joint | None:
        """Return the joint that leads to a body; None for a root."""
        return next((joint for joint in self.joints if joint.child == body), None)

    def root_of(self, body: str) -> str:
        """Return the first body of the tree a body belongs to."""
        while (joint := self.joint_to(body)) is not None and joint.parent is not None:
            body = joint.parent
        return body
