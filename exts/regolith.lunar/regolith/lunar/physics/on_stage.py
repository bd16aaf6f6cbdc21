"""The rover of a stage that somebody else simulates, as the app that has it open does: driven by its prims alone.

Commands are targets of the joints' `PhysicsDriveAPI`, in the stage's session layer; where the rover is is read off the
transforms of its bodies. Planner, controller and limits are those of a traverse, and so are delay, gain and noise
between them and the rover, by what the stage says (`stage.dynamics.read_actuation`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pxr import Sdf, Usd, UsdGeom, UsdPhysics
from scipy.spatial.transform import Rotation

from regolith.lunar.params import InputError
from regolith.lunar.params.dynamics import CONTROL_S
from regolith.lunar.physics.actuation import Actuation, Channel, command_channel, reading_channel
from regolith.lunar.physics.drive import PERIOD_S, Outcome, heading_of, outcome_of
from regolith.lunar.physics.engine import JointState
from regolith.lunar.physics.plan import Clearance
from regolith.lunar.physics.steering import Actuators, Follower, Layout, Mode, Route
from regolith.lunar.physics.world import World
from regolith.lunar.stage import schema
from regolith.lunar.stage.dynamics import read_actuation

TURNS = 24
"""Directions a goal is sought in, from straight ahead on, alternately to the left and to the right."""

WAYS: dict[str, Literal["none", "labels"]] = {"none": "none", "labels": "labels", "both": "labels"}
"""Ways of driving of `regolith traverse` to that of the one drive here; those by pictures are not among them."""

Row = dict[str, np.ndarray]


def way_here(avoid: str) -> Literal["none", "labels"]:
    """Way of driving, of what `regolith traverse --avoid` takes.

    Raises:
        InputError: It goes by pictures, which nothing takes here.
    """
    if avoid not in WAYS:
        raise InputError("avoid", avoid, "none, labels or both (of which labels is driven): no pictures are taken here")
    return WAYS[avoid]


def read_channel(stage: Usd.Stage, layout: Layout, *, speed: float, seed: int) -> tuple[Actuation, Actuation] | None:
    """What lies between controller and rover by the stage: of commands, then of readings; None where it says nothing.

    Args:
        stage: Stage with the rover.
        layout: Its wheels.
        speed: Of its centre [m/s].
        seed: Of the noise.
    """
    channel = Channel.of(read_actuation(stage))
    if channel == Channel():
        return None
    commands = command_channel(channel, layout, speed=speed, seed=seed)
    return commands, reading_channel(channel, layout, speed=speed, seed=seed, columns=7)  # joints tell no rates


class StageJoints:
    """Joints of a stage; `close` takes the targets away again."""

    def __init__(self, stage: Usd.Stage, world: World) -> None:
        """Take a stage.

        Args:
            stage: The stage that is simulated.
            world: What was read of it while its bodies were where it says.
        """
        self._stage = stage
        self._joints = {joint.path: joint for joint in world.joints}
        turns = {body.path: Rotation.from_quat(body.pose.orientation, scalar_first=True) for body in world.bodies}
        self._rest = {
            path: turns[joint.parent].inv() * turns[joint.child]
            for path, joint in self._joints.items()
            if joint.parent is not None
        }
        """Turn of each child in its parent's frame, as authored."""
        self._cache = UsdGeom.XformCache()
        self._set: set[Sdf.Path] = set()

    def look(self) -> None:
        """Read anew where bodies are."""
        self._cache.Clear()

    def pose(self, body: str) -> tuple[np.ndarray, Rotation]:
        """Place of a body in the world [m], shape [3], and its turn, as of the last look."""
        matrix = np.array(self._cache.GetLocalToWorldTransform(self._stage.GetPrimAtPath(body)))
        return matrix[3, :3], Rotation.from_matrix(matrix[:3, :3].T)

    def joint(self, joint: str) -> JointState:
        """Angle of a revolute joint, as of the last look; speed and effort, which no prim has, are NaN."""
        known = self._joints[joint]
        assert known.parent is not None
        turn = self.pose(known.parent)[1].inv() * self.pose(known.child)[1]
        moved = (self._rest[joint].inv() * turn).as_rotvec()
        return JointState(known.start + float(moved @ known.axis), math.nan, math.nan)

    def drive(self, joint: str, *, position: float | None = None, velocity: float | None = None) -> None:
        """Set targets of a revolute joint's drive [rad, rad/s]; None leaves one as it is."""
        drive = UsdPhysics.DriveAPI(self._stage.GetPrimAtPath(joint), "angular")
        with Usd.EditContext(self._stage, self._stage.GetSessionLayer()):
            for value, attribute in (
                (position, drive.CreateTargetPositionAttr), (velocity, drive.CreateTargetVelocityAttr)
            ):  # fmt: skip
                if value is not None:
                    made = attribute()
                    made.Set(math.degrees(value))
                    self._set.add(made.GetPath())

    def close(self) -> None:
        """Take the targets off the session layer: those authored count again."""
        with Usd.EditContext(self._stage, self._stage.GetSessionLayer()):
            for path in self._set:
                self._stage.GetPrimAtPath(path.GetPrimPath()).RemoveProperty(path.name)
        self._set.clear()


def find_way(
    clearance: Clearance,
    start: np.ndarray,
    heading: float,
    *,
    half_m: float,
    goals: np.ndarray | None,
    distance_m: float,
    clearance_m: float,
    avoid: Literal["none", "labels"],
) -> np.ndarray:
    """Corners of a way from where the rover stands, shape [N, 2] [m].

    Args:
        clearance: Of the rocks.
        start: Where it stands [m], shape [2].
        heading: Anticlockwise from +X [rad].
        half_m: Half the side of the working area [m].
        goals: Where to, one after the other, shape [M, 2] [m]; None for a goal that there is a way to, as nearly ahead
            as can be.
        distance_m: Of such a goal [m].
        clearance_m: From the middle of the rover to a rock that is avoided [m].
        avoid: Whether rocks are driven round.

    Raises:
        InputError: There is no such way.
    """

    def joined(places: Sequence[np.ndarray]) -> np.ndarray | None:
        pieces = [np.array([start])]
        for place in places:
            here = pieces[-1][-1]
            inside = bool((np.abs(place) < half_m).all())
            way = clearance.way(here, place, clearance_m) if avoid == "labels" else np.array([here, place])
            if way is None or not inside:
                return None
            pieces.append(way[1:])
        return np.concatenate(pieces)

    choices: Iterator[list[np.ndarray]] = iter([list(goals)] if goals is not None else [])
    if goals is None:
        choices = (
            [start + distance_m * np.array([math.cos(heading + turn), math.sin(heading + turn)])] for turn in _turns()
        )
    for places in choices:
        route = joined(places)
        if route is not None:
            return route
    if goals is not None:
        raise InputError("waypoints", goals.tolist(), f"places with a way {clearance_m:g} m clear of rocks")
    allowed = f"less, or a rover parked elsewhere: from ({start[0]:.1f}, {start[1]:.1f}) m there is no way"
    field, value = ("clearance_m", clearance_m) if avoid == "labels" else ("distance_m", distance_m)
    raise InputError(field, value, allowed)


def _turns() -> Iterator[float]:
    for step in range(TURNS // 2 + 1):
        yield from dict.fromkeys((step * 2.0 * math.pi / TURNS, -step * 2.0 * math.pi / TURNS))


class StageDrive:
    """Drives along a way, a command every `PERIOD_S`; `close` leaves the drives as they were authored."""

    def __init__(
        self,
        joints: StageJoints,
        layout: Layout,
        route: np.ndarray,
        *,
        speed: float,
        mode: Mode,
        time_max_s: float,
        channel: tuple[Actuation, Actuation] | None = None,
    ) -> None:
        """Stand at its beginning.

        Args:
            joints: Of the rover.
            layout: Its wheels.
            route: Corners of the way, shape [N, 2] [m].
            speed: Of the rover's centre [m/s].
            mode: How turns are made.
            time_max_s: Simulated time after which it is given up [s].
            channel: What commands and readings pass (`read_channel`); None for nothing.
        """
        self._joints, self._goal, self._time_max = joints, route[-1], time_max_s
        path = Route(route)
        self._follower = Follower(layout, path, speed=speed, mode=mode)
        self._layout, self._actuators = layout, Actuators(joints, layout, period_s=PERIOD_S)
        self._actuation, self._sensors = channel or (None, None)
        self._wanted = np.zeros(8)
        self._given, self._steps = np.zeros(8), 0
        self.rows: list[Row] = []
        """Time since the start [s], position [m], orientation (w, x, y, z) and what the controller reads (`measured`: x
        and y [m], heading, steering [rad]) at each command."""
        self.length_m = path.length
        """Of the way."""

    @property
    def driven_m(self) -> float:
        """Length of the rover's way over the plane [m]."""
        places = np.array([row["position_m"][:2] for row in self.rows]).reshape(-1, 2)
        return float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())

    @property
    def time_s(self) -> float:
        """Simulated time of the last command [s]."""
        return float(self.rows[-1]["time_s"]) if self.rows else 0.0

    def tick(self, now_s: float) -> Outcome | None:
        """Command what is due at a simulated time since the start [s]; how it ended, None where it goes on."""
        due = not self.rows or now_s >= self.time_s + PERIOD_S - 1e-6
        if due and (outcome := self._decide(now_s)) is not None:
            return outcome
        if self._actuation is not None:
            self._pass(self._actuation, now_s - float(self.rows[0]["time_s"]))
        return None

    def _decide(self, now_s: float) -> Outcome | None:
        """Read where the rover is and command it; how it ended, None where it goes on."""
        self._joints.look()
        position, turn = self._joints.pose(schema.ROVER_CHASSIS)
        row = {"time_s": np.array(now_s), "position_m": position, "orientation": turn.as_quat(scalar_first=True)}
        steered = [self._joints.joint(path).position for path in self._layout.steering]
        truth = np.array([*position[:2], heading_of(row), *steered])
        row["measured"] = measured = truth if self._sensors is None else self._sensors.read(truth)
        self.rows.append(row)
        if (outcome := outcome_of(self.rows, self._goal)) is not None:
            return outcome
        if now_s >= self._time_max:
            return "timeout"
        if self._actuation is not None:
            self._pass(self._actuation, now_s - float(self.rows[0]["time_s"]) - CONTROL_S)
        applied = self._actuators.apply(self._follower.command(measured[:2], float(measured[2])), measured[3:])
        self._wanted = np.concatenate([applied.steering, applied.rates])
        return None

    def _pass(self, actuation: Actuation, passed_s: float) -> None:
        """Pass on what is wanted in each step up to a time since the first command [s], and set the drives."""
        for _ in range(self._steps, math.floor(passed_s / CONTROL_S + 1e-6) + 1):
            self._given = actuation.act(self._wanted)
            self._steps += 1
        for path, angle in zip(self._layout.steering, self._given[:4].tolist(), strict=True):
            self._joints.drive(path, position=angle)
        for path, rate in zip(self._layout.drives, self._given[4:].tolist(), strict=True):
            self._joints.drive(path, velocity=rate)

    def close(self) -> None:
        """Take the commands away."""
        self._joints.close()
