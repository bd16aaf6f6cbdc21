"""MuJoCo behind `physics.engine.Engine`.

What is otherwise than in PhysX, and how it is made up for:

- A mesh collides as its convex hull: the ground is a heightfield.
- Of two frictions MuJoCo takes the larger, PhysX their mean. What moves has priority over what is fixed, and carries
  the mean of its own friction and that of most fixed solids; every other pairing is listed with its mean. So an
  authored friction means the same in both. Only the dynamic one is read: MuJoCo has one coefficient.
- Bodies of one tree, and any two that move, collide by listed pairs only; those a joint holds together never do.
- What grips the ground otherwise than all else is listed with it, and so has a friction of its own there.
- A body's mass scales the inertia of its shapes, as UsdPhysics says.
- A drive is an actuator without dynamics, whose damping the integrator takes implicitly (MuJoCo, "Actuation model").
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError
from regolith.lunar.physics.contact import REBOUND_RATE, REBOUND_STEP, rebound_ratio
from regolith.lunar.physics.engine import Contact, JointState, Motion
from regolith.lunar.physics.world import Body, GroundField, Joint, Pose, Shape, World

IMPRATIO = 10.0
"""How much harder friction is than the normal force: at 1 a box creeps down a slope it should rest on."""

CONTACT_TIME_S = 0.02
"""Time constant of contacts [s], critically damped; a step is at most half of it (MuJoCo, "Solver parameters")."""

CONTACT_IMPEDANCE = (0.01, 0.95, 0.01, 0.5, 2.0)
"""Impedance of contacts, from that at the surface to that 1 cm below it (MuJoCo's `solimp`): what rests sinks in by
some 2 mm under lunar gravity. Harder contacts make what slides hop."""

SPRING_IMPEDANCE = 0.5
"""Impedance of contacts that are springs: their stiffness is exact at rest whatever it is."""

COLLISION_TOLERANCE_M = 1e-4
"""Precision of the depth of contacts of convex solids [m]: a tenth of a millimetre of what sinks in by two."""

BASE_M = 1.0
"""Thickness of the ground below its lowest point [m]."""


def require_mujoco() -> Any:
    """Return MuJoCo.

    Raises:
        InputError: It is not installed.
    """
    try:
        import mujoco
    except ModuleNotFoundError:
        raise InputError("engine", "mujoco", f"mujoco-core: {install_command('physics')}") from None
    return mujoco


class MujocoEngine:
    """A simulation of one stage in MuJoCo."""

    def __init__(self, world: World, *, timestep_s: float, gripping: Sequence[str] = ()) -> None:
        self._mujoco = require_mujoco()
        if not 0.0 < timestep_s <= 0.5 * CONTACT_TIME_S:
            raise InputError("timestep_s", timestep_s, f"above 0 s, at most {0.5 * CONTACT_TIME_S:g} s")
        self.world, self.timestep_s = world, timestep_s
        spec = _Spec(self._mujoco, world, timestep_s, frozenset(gripping))
        self._model = spec.compile()
        self._data = self._mujoco.MjData(self._model)
        self._body = {body.path: self._model.body(body.path).id for body in world.bodies}
        self._joint = {
            joint.path: (self._model.joint(joint.path), joint) for joint in world.joints if joint.kind != "fixed"
        }
        self._actuator = {
            path: self._model.actuator(path).id for path, (_, joint) in self._joint.items() if joint.drive is not None
        }
        self._targets: dict[str, tuple[float, float]] = {}
        self._geoms = spec.geoms(self._model)
        self._owner: list[int] = self._model.geom_bodyid.tolist()
        self._ground = self._geoms.index(world.ground.path) if world.ground else -1
        pairs = np.stack([self._model.pair_geom1, self._model.pair_geom2])
        moving = self._model.geom_bodyid[pairs].sum(axis=0)  # what is fixed is body 0
        grounded = (pairs == self._ground).any(axis=0)
        self._gripping = {path: np.flatnonzero(grounded & (moving == self._body[path])) for path in gripping}
        self.reset()

    @property
    def time_s(self) -> float:
        """Simulated time since `reset` [s]."""
        return float(self._data.time)

    def reset(self, poses: Mapping[str, Pose] | None = None) -> None:
        """Go back to the authored state at rest; the arguments are those of `Engine.reset`."""
        self._mujoco.mj_resetData(self._model, self._data)
        for path, pose in (poses or {}).items():
            if path not in self._body or self.world.joint_to(path) is not None:
                raise KeyError(f"{path} is no root body")
            start = self._model.jnt_qposadr[self._model.body_jntadr[self._body[path]]]
            self._data.qpos[start : start + 7] = (*pose.position, *pose.orientation)
        for path in self._actuator:
            drive = self._joint[path][1].drive
            assert drive is not None
            self.drive(path, position=drive.position, velocity=drive.velocity)
        self._mujoco.mj_forward(self._model, self._data)

    def drive(self, joint: str, *, position: float | None = None, velocity: float | None = None) -> None:
        """Set targets of a joint's drive; None leaves one as it is."""
        drive = self._joint[joint][1].drive
        if drive is None:
            raise KeyError(f"{joint} has no drive")
        old = self._targets.get(joint, (drive.position, drive.velocity))
        new = (old[0] if position is None else position, old[1] if velocity is None else velocity)
        self._targets[joint] = new
        self._data.ctrl[self._actuator[joint]] = drive.stiffness * new[0] + drive.damping * new[1]

    def step(self, count: int = 1) -> None:
        """Simulate `count` steps."""
        self._mujoco.mj_step(self._model, self._data, count)

    def motion(self, bodies: Sequence[str]) -> Motion:
        """How bodies move now."""
        ids = [self._body[path] for path in bodies]
        moving = np.empty((len(ids), 6))
        for row, body in zip(moving, ids, strict=True):
            self._mujoco.mj_objectVelocity(self._model, self._data, self._mujoco.mjtObj.mjOBJ_BODY, body, row, 0)
        return Motion(
            position=self._data.xpos[ids],
            orientation=self._data.xquat[ids],
            rotation=self._data.xmat[ids].reshape(-1, 3, 3),
            velocity=moving[:, 3:],
            spin=moving[:, :3],
        )

    def joint(self, joint: str) -> JointState:
        """Where a joint is now."""
        found, _ = self._joint[joint]
        actuator = self._actuator.get(joint)
        return JointState(
            position=float(self._data.qpos[found.qposadr[0]]),
            velocity=float(self._data.qvel[found.dofadr[0]]),
            effort=0.0 if actuator is None else float(self._data.actuator_force[actuator]),
        )

    def contacts(self) -> list[Contact]:
        """What touches in the step just made."""
        found: list[Contact] = []
        force = np.empty(6)
        for index in range(self._data.ncon):
            contact = self._data.contact[index]
            if contact.efc_address < 0:
                continue
            self._mujoco.mj_contactForce(self._model, self._data, index, force)
            first, second, normal = *(int(geom) for geom in contact.geom), np.array(contact.frame[:3])
            if self._owner[first] != 0:  # the normal leads from geom 0 to geom 1
                normal = -normal
            else:
                first, second = second, first
            found.append(
                Contact(self._geoms[first], self._geoms[second], np.array(contact.pos), normal, float(force[0]))
            )
        return found

    def loads(self, bodies: Sequence[str]) -> np.ndarray:
        """Sum of the normal forces of the ground on bodies in the step just made [N], world frame, shape [N, 3]."""
        contact, force = self._data.contact, self._data.efc_force
        total: dict[int, list[float]] = {self._body[path]: [0.0, 0.0, 0.0] for path in bodies}
        for row, (first, second), normal in zip(
            contact.efc_address.tolist(), contact.geom.tolist(), contact.frame[:, :3].tolist(), strict=True
        ):
            if row < 0 or self._ground not in (first, second):
                continue
            below = first == self._ground  # the normal leads from geom 0 to geom 1
            found = total.get(self._owner[second if below else first])
            if found is not None:
                size = float(force[row])  # of an elliptic cone the first row is the normal force
                for axis in range(3):
                    found[axis] += size * normal[axis] if below else -size * normal[axis]
        return np.array([total[self._body[path]] for path in bodies])

    def push(self, bodies: Sequence[str], forces: np.ndarray) -> None:
        """Exert forces on centres of mass until told otherwise [N], world frame, shape [N, 3]."""
        self._data.xfrc_applied[[self._body[path] for path in bodies], :3] = forces

    def set_grip(self, bodies: Sequence[str], friction: np.ndarray) -> None:
        """Set the friction of bodies on the ground, shape [N]."""
        for path, value in zip(bodies, friction, strict=True):
            self._model.pair_friction[self._gripping[path], :2] = value


class _Spec:
    """Builds a model: parents before children, then the pairs that collide."""

    def __init__(self, mujoco: Any, world: World, timestep_s: float, gripping: frozenset[str]) -> None:
        self._mujoco, self._world, self._gripping = mujoco, world, gripping
        self.spec = mujoco.MjSpec()
        self.spec.compiler.degree = False
        option = self.spec.option
        option.timestep, option.gravity, option.impratio = timestep_s, world.gravity, IMPRATIO
        option.ccd_tolerance = COLLISION_TOLERANCE_M
        option.integrator, option.cone = mujoco.mjtIntegrator.mjINT_IMPLICITFAST, mujoco.mjtCone.mjCONE_ELLIPTIC
        option.disableflags |= mujoco.mjtDisableBit.mjDSBL_FILTERPARENT  # what may collide is listed
        self._timestep_s = timestep_s
        fixed = [shape.friction for shape in world.fixed] + ([world.ground.friction] if world.ground else [])
        self._most = world.ground.friction if world.ground else Counter(fixed).most_common(1)[0][0] if fixed else 0.0
        self._bodies: dict[str, Any] = {}
        self._add_fixed()
        for body in world.bodies:
            self._add_body(body, world.joint_to(body.path))
        self._add_pairs()

    def compile(self) -> Any:
        """The model, with masses as authored."""
        model = self.spec.compile()
        for body in self._world.bodies:
            number = model.body(body.path).id
            if body.mass is not None and body.inertia is None:
                model.body_inertia[number] *= body.mass / model.body_mass[number]
                model.body_mass[number] = body.mass
            if body.center is not None and body.inertia is None:
                model.body_ipos[number] = body.center
        self._mujoco.mj_setConst(model, self._mujoco.MjData(model))
        for body in self._world.bodies:
            for shape in body.shapes:
                if shape.stiffness:
                    self._make_springs(model, shape, float(model.body_invweight0[model.body(body.path).id, 0]))
        return model

    def _make_springs(self, model: Any, shape: Shape, give: float) -> None:
        """Make the contacts of a shape springs; `give` is the inverse of the mass that presses on them [1/kg]."""
        factor = give * (1.0 - SPRING_IMPEDANCE)
        solref = (-shape.stiffness * factor, -shape.damping * factor)
        geom = model.geom(shape.path).id
        pairs = model.pair_geom1 == geom
        for reference, impedance, rows in (
            (model.geom_solref, model.geom_solimp, geom), (model.pair_solref, model.pair_solimp, pairs),
        ):  # fmt: skip
            reference[rows] = solref
            impedance[rows] = (SPRING_IMPEDANCE, SPRING_IMPEDANCE, 0.001, 0.5, 2.0)

    def _contact(self, shape: Shape | None) -> dict[str, tuple[float, ...]]:
        """How the contacts of a shape that moves give way; of what is fixed it does not count."""
        if shape is None or not shape.restitution:
            return {"solref": (CONTACT_TIME_S, 1.0), "solimp": CONTACT_IMPEDANCE}
        ratio, impedance = rebound_ratio(shape.restitution), CONTACT_IMPEDANCE[1]
        time = 1.0 / (min(REBOUND_STEP / self._timestep_s, REBOUND_RATE) * ratio)
        return {"solref": (time, ratio / impedance**0.5), "solimp": (impedance, impedance, 0.001, 0.5, 2.0)}

    @staticmethod
    def geoms(model: Any) -> list[str]:
        """Prim path of each geom."""
        return [model.geom(number).name for number in range(model.ngeom)]

    def _add_fixed(self) -> None:
        for shape in self._world.fixed:
            self._add_shape(self.spec.worldbody, shape, moves=False)
        ground = self._world.ground
        if ground is None:
            return
        low, high = float(ground.z.min()), float(ground.z.max())
        field = self.spec.add_hfield(name=ground.path, nrow=ground.z.shape[0], ncol=ground.z.shape[1])
        height = max(high - low, 1e-6)
        field.size = (ground.half_x, ground.half_y, height, BASE_M)
        field.userdata = ((ground.z - low) / height).ravel()
        self.spec.worldbody.add_geom(
            name=ground.path, type=self._mujoco.mjtGeom.mjGEOM_HFIELD, hfieldname=ground.path, pos=(0.0, 0.0, low),
            contype=0, conaffinity=1, condim=3, friction=(ground.friction, 0.0, 0.0), **self._contact(None),
        )  # fmt: skip

    def _add_body(self, body: Body, joint: Joint | None) -> None:
        parent = self.spec.worldbody if joint is None or joint.parent is None else self._bodies[joint.parent]
        above = None if joint is None or joint.parent is None else self._pose_of(joint.parent)
        pose = _relative(body.pose, above)
        made = self._bodies[body.path] = parent.add_body(name=body.path, pos=pose.position, quat=pose.orientation)
        if body.inertia is not None and body.mass is not None:
            made.explicitinertial = True
            made.mass, made.inertia, made.iquat = body.mass, body.inertia, body.axes
            made.ipos = np.zeros(3) if body.center is None else body.center
        for shape in body.shapes:
            self._add_shape(made, shape, moves=True)
        if joint is None:
            made.add_freejoint(name=body.path)
        elif joint.kind != "fixed":
            self._add_joint(made, joint)

    def _pose_of(self, path: str) -> Pose:
        return next(body.pose for body in self._world.bodies if body.path == path)

    def _add_shape(self, body: Any, shape: Shape, *, moves: bool) -> None:
        kinds = self._mujoco.mjtGeom
        kind = {
            "box": kinds.mjGEOM_BOX, "sphere": kinds.mjGEOM_SPHERE, "cylinder": kinds.mjGEOM_CYLINDER,
            "capsule": kinds.mjGEOM_CAPSULE, "hull": kinds.mjGEOM_MESH,
        }[shape.kind]  # fmt: skip
        friction = 0.5 * (shape.friction + self._most) if moves else shape.friction
        geom = body.add_geom(
            name=shape.path, type=kind, pos=shape.pose.position, quat=shape.pose.orientation, density=shape.density,
            contype=int(moves), conaffinity=int(not moves), condim=3, priority=int(moves),
            friction=(friction, 0.0, 0.0), **self._contact(shape if moves else None),
        )  # fmt: skip
        if shape.points is None:
            geom.size = (*shape.size, *[0.0] * (3 - len(shape.size)))
        else:
            mesh = self.spec.add_mesh(name=shape.path, uservert=shape.points.ravel())
            mesh.inertia = self._mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
            geom.meshname = shape.path

    def _add_joint(self, body: Any, joint: Joint) -> None:
        slides = joint.kind == "prismatic"
        limited = np.isfinite([joint.lower, joint.upper]).any()
        body.add_joint(
            name=joint.path, type=self._mujoco.mjtJoint.mjJNT_SLIDE if slides else self._mujoco.mjtJoint.mjJNT_HINGE,
            pos=joint.anchor, axis=joint.axis, ref=joint.start, armature=joint.armature,
            limited=int(limited), range=np.clip((joint.lower, joint.upper), -1e6, 1e6),
        )  # fmt: skip
        if joint.drive is None:
            return
        drive = joint.drive
        actuator = self.spec.add_actuator(
            name=joint.path, target=joint.path, trntype=self._mujoco.mjtTrn.mjTRN_JOINT,
            gaintype=self._mujoco.mjtGain.mjGAIN_FIXED, biastype=self._mujoco.mjtBias.mjBIAS_AFFINE,
        )  # fmt: skip
        actuator.gainprm[0] = 1.0
        actuator.biasprm[:3] = (0.0, -drive.stiffness, -drive.damping)
        if np.isfinite(drive.force_max):
            actuator.forcelimited, actuator.forcerange = 1, (-drive.force_max, drive.force_max)

    def _add_pairs(self) -> None:
        """List what collides otherwise than by priority: two that move, solids of another friction, what grips."""
        moving = [(body.path, shape) for body in self._world.bodies for shape in body.shapes]
        held = {frozenset((joint.parent, joint.child)) for joint in self._world.joints}
        for (one, first), (other, second) in itertools.combinations(moving, 2):
            root = self._world.root_of(one)
            together = root in self._world.apart and root == self._world.root_of(other)
            if one != other and not together and frozenset((one, other)) not in held:
                self._add_pair(first, second)
        for (_, shape), solid in itertools.product(moving, self._world.fixed):
            if solid.friction != self._most:
                self._add_pair(shape, solid)
        ground = self._world.ground
        for path, shape in moving:
            if ground is not None and path in self._gripping:
                self._add_pair(shape, ground)

    def _add_pair(self, first: Shape, second: Shape | GroundField) -> None:
        mean = 0.5 * (first.friction + second.friction)
        self.spec.add_pair(
            geomname1=first.path, geomname2=second.path, condim=3, friction=(mean, mean, 0.0, 0.0, 0.0),
            **self._contact(first),
        )  # fmt: skip


def _relative(pose: Pose, above: Pose | None) -> Pose:
    """A world pose in the frame of another."""
    if above is None:
        return pose
    back = Rotation.from_quat(above.orientation, scalar_first=True).inv()
    turn = back * Rotation.from_quat(pose.orientation, scalar_first=True)
    return Pose(back.apply(pose.position - above.position), turn.as_quat(scalar_first=True))
