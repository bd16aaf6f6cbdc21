"""PhysX behind `physics.engine.Engine`, by NVIDIA's ovphysx: the solver of Isaac Sim, to hold MuJoCo against.

It reads the stage's own prims, so that what is simulated here is what Isaac Sim simulates. It is given a copy that
differs in this only: the ground's mesh has the heights MuJoCo has, relief included; ground and rocks collide whether or
not they say so, rocks that are not in the world do not; nothing sleeps, and contacts are reported.

- Joints have to be those of an articulation (`PhysicsArticulationRootAPI`). PhysX gives back no force of a drive: it is
  what its law says at the joint's position and rate.
- A step is done by the calling thread: workers of ovphysx spin, and on a busy machine a step then takes seconds.
- Nothing sets a friction while it runs: soil needs MuJoCo.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import math
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, Vt
from scipy.spatial.transform import Rotation

from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError
from regolith.lunar.physics.engine import Contact, JointState, Motion
from regolith.lunar.physics.world import Drive, Joint, Pose, World
from regolith.lunar.scratch import scratch_folder
from regolith.lunar.stage import schema

SCHEMAS = ("PhysxSchema", "OmniUsdPhysicsDeformableSchema")
"""Parts of `physx-usd-schemas` that ovphysx asks for."""

_numbers = itertools.count()


@functools.cache
def require_ovphysx() -> Any:
    """Return ovphysx, on the CPU and without threads of its own.

    Raises:
        InputError: It, or its USD schemas, are not installed.
    """
    try:
        ovphysx, ovstage, warp = (import_module(name) for name in ("ovphysx", "ovstage", "warp"))
        schemas = metadata.distribution("physx-usd-schemas")
    except (ModuleNotFoundError, metadata.PackageNotFoundError):
        raise InputError(
            "engine", "ovphysx", f"ovphysx, in an environment of its own: {install_command('physx')}"
        ) from None
    warp.config.log_level = logging.ERROR
    keys = ovphysx.types.GlobalConfigKey
    ovphysx.set_global_config(keys.DEFAULT_LOG_OUTPUT, False)  # it goes to stdout; what fails raises
    ovphysx.set_global_config(keys.NUM_THREADS, 0)
    ovphysx.PhysX.set_cpu_mode(True)
    places = [str(schemas.locate_file(f"physx_usd_schemas/{name}/resources")) for name in SCHEMAS]
    ovstage.population.register_usd_schemas(places)
    return ovphysx


class PhysxEngine:
    """A simulation of one stage in PhysX."""

    def __init__(self, world: World, *, timestep_s: float, gripping: Sequence[str] = ()) -> None:
        self._ovphysx = require_ovphysx()
        if gripping:
            raise InputError("soil", "lunar", "none with --engine ovphysx, which cannot change a friction")
        if world.stage is None:
            raise InputError("engine", "ovphysx", "mujoco for a world that was not read of a stage")
        _check_joints(world)
        self.world, self.timestep_s = world, timestep_s
        self._joints = {joint.path: joint for joint in world.joints if joint.kind != "fixed"}
        self._types = self._ovphysx.types.SimObjectType
        hung = {path for joint in world.joints for path in (joint.parent, joint.child)}
        kinds = {body.path in hung: None for body in world.bodies}
        self._kinds = [self._types.ARTICULATION_LINK if linked else self._types.RIGID_BODY for linked in kinds]
        self._physx, self._stage = self._open(world.stage)
        self._steps = 0
        self._targets: dict[str, tuple[float, float]] = {}
        self._pushes: dict[str, np.ndarray] = {}
        self._attached = False
        self._seen: dict[str, Any] = {}
        self.reset()

    def _open(self, stage: Usd.Stage) -> tuple[Any, Any]:
        """Give a copy of the stage to ovphysx; it lets go of it with this engine."""
        ovstage = import_module("ovstage")
        physx, held = self._ovphysx.PhysX(), ovstage.Stage(f"regolith-{next(_numbers)}")
        weakref.finalize(self, _close, physx, held)
        with scratch_folder() as folder:
            path = folder / "stage.usdc"
            copy_stage(stage, self.world, path)
            ovstage.population.open_usd(held, str(path), ordinal=1, domains=ovstage.PopulationDomain.ALL)
            held.advance_write_floor(ordinal=1).wait()
        return physx, held

    @property
    def time_s(self) -> float:
        """Simulated time since `reset` [s]."""
        return self._steps * self.timestep_s

    def reset(self, poses: Mapping[str, Pose] | None = None) -> None:
        """Go back to the authored state at rest; the arguments are those of `Engine.reset`."""
        for path in poses or {}:
            if path not in {body.path for body in self.world.bodies} or self.world.joint_to(path) is not None:
                raise KeyError(f"{path} is no root body")
        physx = self._physx
        if self._attached:
            physx.wait_task(physx.detach_ovstage())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="attach_ovstage: the Newton USD schema")  # no stage has any
            physx.wait_task(physx.attach_ovstage(self._stage, read_ordinal=1))
        physx.warmup()
        self._attached, self._steps, self._pushes = True, 0, {}
        self._forget()
        for path, pose in (poses or {}).items():
            self._put(path, pose)
        self._stop()
        self._targets = {
            path: (joint.drive.position, joint.drive.velocity) for path, joint in self._joints.items() if joint.drive
        }

    def _put(self, path: str, pose: Pose) -> None:
        """Put a root body somewhere, and with it what hangs on it."""
        tree = path in self._columns(self._types.ARTICULATION, ["rootPosition"])["rootPosition"]
        kind, prefix = (self._types.ARTICULATION, "root") if tree else (self._types.RIGID_BODY, "")
        place, turn = (f"{prefix}Position", f"{prefix}Orientation") if tree else ("position", "orientation")
        x, y, z, w = np.roll(pose.orientation, -1)
        self._write(kind, {place: {path: pose.position}, turn: {path: np.array([x, y, z, w])}})
        if tree:
            self._physx.update_articulations_kinematic()

    def _stop(self) -> None:
        """Let nothing move: what overlaps is pushed apart in the first step, also in that of `warmup`."""
        types = self._types
        for kind, names in (
            (types.ARTICULATION, ("rootLinearVelocity", "rootAngularVelocity")),
            (types.ARTICULATION_JOINT, ("jointVelocity",)),
            (types.RIGID_BODY, ("linearVelocity", "angularVelocity")),
        ):  # fmt: skip
            found = self._columns(kind, names)
            still = {name: {path: np.zeros_like(row) for path, row in rows.items()} for name, rows in found.items()}
            self._write(kind, still)

    def drive(self, joint: str, *, position: float | None = None, velocity: float | None = None) -> None:
        """Set targets of a joint's drive; None leaves one as it is."""
        if joint not in self._targets:
            raise KeyError(f"{joint} has no drive")
        old = self._targets[joint]
        new = (old[0] if position is None else position, old[1] if velocity is None else velocity)
        if new != old:
            self._targets[joint] = new
            self._aimed = False

    def step(self, count: int = 1) -> None:
        """Simulate `count` steps."""
        if not self._aimed:
            self._aim()
        for _ in range(count):
            for kind in self._kinds if self._pushes else ():
                self._write(kind, {"force": self._pushes})
            self._physx.step_sync(self.timestep_s)
        self._steps += count
        self._seen = {}

    def _aim(self) -> None:
        """Hand the targets of all drives on."""
        columns = {
            name: {path: np.array(_authored(self._joints[path], pair[which])) for path, pair in self._targets.items()}
            for which, name in enumerate(("jointPositionTarget", "jointVelocityTarget"))
        }
        self._write(self._types.ARTICULATION_JOINT, columns)
        self._aimed = True

    def motion(self, bodies: Sequence[str]) -> Motion:
        """How bodies move now."""
        names = ("position", "orientation", "linearVelocity", "angularVelocity")
        if "bodies" not in self._seen:
            found = [self._columns(kind, names) for kind in self._kinds]
            self._seen["bodies"] = [{k: row for part in found for k, row in part[name].items()} for name in names]
        found = [np.array([column[path] for path in bodies], np.float64) for column in self._seen["bodies"]]
        place, turn, velocity, spin = (array.reshape(len(bodies), -1) for array in found)
        turn = Rotation.from_quat(turn)
        return Motion(place, turn.as_quat(scalar_first=True), turn.as_matrix(), velocity, spin)

    def joint(self, joint: str) -> JointState:
        """Where a joint is now."""
        found = self._joints[joint]
        if "joints" not in self._seen:
            columns = self._columns(self._types.ARTICULATION_JOINT, ("jointPosition", "jointVelocity"))
            self._seen["joints"] = list(columns.values())
        scale = math.pi / 180.0 if found.kind == "revolute" else 1.0
        position, velocity = (scale * column[joint].item() for column in self._seen["joints"])
        effort = 0.0 if found.drive is None else _effort(found.drive, self._targets[joint], position, velocity)
        return JointState(position, velocity, effort)

    def contacts(self) -> list[Contact]:
        """What touches in the step just made."""
        if "contacts" not in self._seen:
            self._seen["contacts"] = list(self._contacts())
        return self._seen["contacts"]

    def _contacts(self) -> Iterator[Contact]:
        names = [
            "contactEventCollider", "contactEventOtherCollider", "contactEventSensorSide", "contactEventPointCount",
            "contactEventPointPosition", "contactEventPointNormal", "contactEventPointImpulse",
        ]  # fmt: skip
        columns: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
        with self._reading(self._types.CONTACT_SENSOR, names) as result:
            known = result.dictionary
            for group in result.groups:
                values = [tensor.numpy().copy() for tensor in group.tensors]
                paths = known.get_path_strings(group.prim_list)
                columns[known.token_to_string(group.attribute)] = dict(zip(paths, values, strict=True))
            own, other, sides, counts, places, normals, impulses = (columns[name] for name in names)
            shapes = {shape.path for body in self.world.bodies for shape in body.shapes}
            for body, pairs in own.items():
                end = 0
                for first, second, side, count in zip(pairs, other[body], sides[body], counts[body], strict=True):
                    begin, end = end, end + int(count)
                    ours, theirs = (self._named(known.path_to_string(int(each))) for each in (first, second))
                    if side == 1 and theirs in shapes:
                        continue  # told by the other one
                    for point in range(begin, end):
                        place = np.asarray(places[body][point], np.float64)
                        normal = (1.0 if side == 0 else -1.0) * np.asarray(normals[body][point], np.float64)
                        force = float(np.linalg.norm(impulses[body][point])) / self.timestep_s
                        yield Contact(ours, theirs, place, normal, force)

    def _named(self, path: str) -> str:
        ground = self.world.ground
        return ground.path if ground is not None and path == schema.TERRAIN else path

    def loads(self, bodies: Sequence[str]) -> np.ndarray:
        """Sum of the normal forces of the ground on bodies in the step just made [N], world frame, shape [N, 3]."""
        ground = self.world.ground
        owner = {shape.path: body.path for body in self.world.bodies for shape in body.shapes}
        total = {path: np.zeros(3) for path in bodies}
        for contact in self.contacts():
            if ground is not None and contact.second == ground.path and owner[contact.first] in total:
                total[owner[contact.first]] += contact.force * contact.normal
        return np.array([total[path] for path in bodies])

    def push(self, bodies: Sequence[str], forces: np.ndarray) -> None:
        """Exert forces on centres of mass until told otherwise [N], world frame, shape [N, 3]."""
        self._pushes |= dict(zip(bodies, np.asarray(forces, np.float64), strict=True))
        self._pushes = {path: force for path, force in self._pushes.items() if force.any()}

    def set_grip(self, bodies: Sequence[str], friction: np.ndarray) -> None:
        """Not done: no body is opened as gripping."""
        raise KeyError(f"{', '.join(bodies)}: none was opened as gripping")

    def _forget(self) -> None:
        self._seen, self._aimed = {}, True

    @contextlib.contextmanager
    def _reading(self, kind: Any, names: Sequence[str]) -> Iterator[Any]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="ovphysx is in CPU-only mode")  # and Warp finds no driver
            with self._physx.read_sync(kind, list(names)) as result:
                yield result

    def _columns(self, kind: Any, names: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
        """Columns of all objects of a kind, each by prim."""
        found: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
        with self._reading(kind, names) as result:
            known = result.dictionary
            for group in result.groups:
                rows = [tensor.numpy().copy() for tensor in group.tensors]
                paths = known.get_path_strings(group.prim_list)
                stacked = len(rows) == 1 and rows[0].shape[0] == len(paths) and rows[0].ndim > 1
                found[known.token_to_string(group.attribute)] |= dict(
                    zip(paths, rows[0] if stacked else rows, strict=True)
                )
        return found

    def _write(self, kind: Any, columns: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Write columns of objects of a kind; those that are not named keep theirs, or have no force."""
        ovstage = import_module("ovstage")
        known, names = ovstage.PathDictionary(self._stage), list(columns)
        kept: dict[str, dict[str, np.ndarray]] = {}
        with self._physx.write_sync(kind, names) as session:
            for group in session.groups:
                name, paths = names[group.attribute_index], known.get_path_strings(group.prim_list)
                if name != "force" and not columns[name].keys() >= set(paths):
                    kept = kept or self._columns(kind, names)
                others = kept.get(name, dict.fromkeys(paths, np.zeros(3)))
                rows = [np.asarray(columns[name].get(path, others.get(path)), np.float32) for path in paths]
                whole = len(group.tensors) == 1
                for tensor, row in zip(group.tensors, [np.stack(rows)] if whole else rows, strict=True):
                    tensor.assign(row.reshape(tuple(tensor.shape)))
                session.commit_sync(group)


def _close(physx: Any, held: Any) -> None:
    """Let go of an instance and its stage."""
    with contextlib.suppress(RuntimeError):  # where it was never attached
        physx.wait_task(physx.detach_ovstage())
    held.destroy()
    physx.destroy()


def _check_joints(world: World) -> None:
    for joint in world.joints:
        root = world.root_of(joint.child)
        prims = [world.stage.GetPrimAtPath(path) for path in (root, joint.path)] if world.stage else []
        if joint.parent is None or not any(prim.HasAPI("PhysicsArticulationRootAPI") for prim in prims):
            raise InputError("stage", joint.path, "joints of an articulation (PhysicsArticulationRootAPI) for ovphysx")


def _authored(joint: Joint, value: float) -> float:
    """A coordinate or rate of a joint as USD has it."""
    return math.degrees(value) if joint.kind == "revolute" else value


def _effort(drive: Drive, target: tuple[float, float], position: float, velocity: float) -> float:
    wanted = drive.stiffness * (target[0] - position) + drive.damping * (target[1] - velocity)
    return min(max(wanted, -drive.force_max), drive.force_max)


def copy_stage(stage: Usd.Stage, world: World, path: Path) -> None:
    """Write a stage as ovphysx is to read it.

    Args:
        stage: Stage the world was read of.
        world: What is simulated.
        path: File to write.

    Raises:
        OSError: It cannot be written.
    """
    copy = Usd.Stage.Open(stage.Flatten())
    if world.ground is not None:
        mesh = UsdGeom.Mesh(copy.GetPrimAtPath(schema.TERRAIN))
        points = np.array(mesh.GetPointsAttr().Get(), np.float32)
        if points.shape[0] == world.ground.z.size:
            points[:, 2] = world.ground.z.astype(np.float32).ravel()
            mesh.GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy(points))
        _collide(mesh.GetPrim(), "none")
    fixed = {shape.path for shape in world.fixed}
    rocks = copy.GetPrimAtPath(schema.ROCKS)
    for rock in rocks.GetChildren() if rocks else ():
        if str(rock.GetPath()) in fixed:
            _collide(rock, "convexHull")
    for prim in [prim for prim in copy.Traverse() if UsdGeom.Mesh(prim)]:
        if not prim.HasAPI("PhysicsCollisionAPI") or (prim.GetParent() == rocks and str(prim.GetPath()) not in fixed):
            prim.SetActive(False)  # only to be seen, or too small
    for body in world.bodies:
        prim = copy.GetPrimAtPath(body.path)
        prim.AddAppliedSchema("PhysxContactReportAPI")
        prim.CreateAttribute("physxContactReport:threshold", Sdf.ValueTypeNames.Float, custom=False).Set(0.0)
    _set_scene(copy, world.gravity)
    copy.Export(str(path))


def _collide(prim: Usd.Prim, approximation: str) -> None:
    UsdPhysics.CollisionAPI.Apply(prim)
    UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(approximation)


def _set_scene(stage: Usd.Stage, gravity: np.ndarray) -> None:
    """Set gravity [m/s²] and let nothing sleep."""
    found = next((prim for prim in stage.Traverse() if UsdPhysics.Scene(prim)), None)
    scene = UsdPhysics.Scene(found) if found else UsdPhysics.Scene.Define(stage, schema.PHYSICS_SCENE)
    strength = float(np.linalg.norm(gravity))
    direction = gravity / strength if strength else np.array([0.0, 0.0, -1.0])
    scene.CreateGravityDirectionAttr().Set(Gf.Vec3f(*direction.tolist()))
    scene.CreateGravityMagnitudeAttr().Set(strength)
    prim = scene.GetPrim()
    prim.AddAppliedSchema("PhysxSceneAPI")
    prim.CreateAttribute("physxScene:disableSleeping", Sdf.ValueTypeNames.Bool, custom=False).Set(True)
