"""One traverse: a rover follows a way over a stage, and what it did is kept.

A trajectory is an `.npz` with T rows, one every `PERIOD_S`; columns of 4 are the wheels fl, fr, rl, rr:

```
time_s              float64 [T]     since the start; the pose at the time, then the command until the next
position_m          float64 [T, 3]  of the rover's origin, world frame
orientation         float64 [T, 4]  unit quaternion (w, x, y, z), rover to world
velocity_m_s        float64 [T, 3]  of the chassis' centre of mass, world frame
suspension_rad      float64 [T, 4]  angles of the suspension joints
steering_rad        float64 [T, 4]  angles of the steering joints
wheel_rad           float64 [T, 4]  angles of the drive joints, whole turns included
wheel_rate_rad_s    float64 [T, 4]  rates of the drive joints
drive_torque_n_m    float64 [T, 4]  of the drives
measured            float64 [T, 13] as the controller reads them, noise included: x and y [m], heading [rad], steering
                                    [rad], wheel rates [rad/s], pitch and roll [rad]
commanded           float64 [T, 8]  steering [rad], then wheel rates [rad/s], as the controller wants them
applied             float64 [T, 8]  the same, as the drives were set: within limits of angle, rate and acceleration,
                                    and after delay, gain and noise
slip                float64 [T, 4]  slip ratio in [-1, 1]; 0 for a wheel that stands
load_n              float64 [T, 4]  normal force of the ground
sinkage_m           float64 [T, 4]  into the soil; 0 on hard ground
route_m             float64 [N, 2]  corners of the way that was followed
```
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from regolith.lunar.params import InputError
from regolith.lunar.physics.actuation import Actuation, reading_channel
from regolith.lunar.physics.engine import Engine
from regolith.lunar.physics.steering import Actuators, Command, Follower, Layout, Mode, Route
from regolith.lunar.physics.wheel_soil import WheelSoil, read_rolling
from regolith.lunar.physics.world import Pose
from regolith.lunar.stage import schema
from regolith.lunar.stage.terrain import Terrain

PERIOD_S = 0.1
"""Time between commands [s]."""

SETTLE_S = 2.0
"""Time for the rover to come to rest before it drives [s]."""

DROP_M = 0.03
"""Height above the ground the rover is set down from [m]."""

REACHED_M = 0.3
"""Distance to the goal that counts as reached [m]."""

STUCK_S, STUCK_M = 30.0, 0.1
"""Time [s] in which a rover that does not get so far [m], nor turns by `STUCK_RAD`, is stuck."""

STUCK_RAD = 0.2

TIPPED_COS = math.cos(math.radians(45.0))
"""Cosine of the tilt at which a rover has tipped over."""

Outcome = Literal["reached", "stuck", "tipped", "timeout"]


class Pilot(Protocol):
    """Says what the joints are to do, asked every `PERIOD_S`."""

    def command(self, state: Mapping[str, np.ndarray]) -> Command:
        """What they are to do in a state: a row of a trajectory, but for what is commanded."""
        ...


class Look(Protocol):
    """Looks at a drive while it goes on."""

    def __call__(self, rows: Sequence[dict[str, np.ndarray]], touched: Iterable[str], *, last: bool) -> object:
        """Take the rows of its trajectory so far, and the rocks touched, by their prims."""
        ...


@dataclasses.dataclass
class Touch:
    """A rock the rover touched."""

    rock: str
    """Prim."""
    first_s: float
    """When [s]."""
    contacts: int
    """How often it began to touch."""
    force_max: float
    """Largest force of one contact [N], of those seen every `PERIOD_S`."""
    parts: list[str]
    """Prims of the rover's shapes that touched."""


@dataclasses.dataclass(frozen=True)
class Drive:
    """What came of a traverse."""

    outcome: Outcome
    trajectory: dict[str, np.ndarray]
    touches: list[Touch]
    cpu_s: float
    """Processor time of simulation and control [s]."""

    @property
    def time_s(self) -> float:
        """Simulated time [s]."""
        return float(self.trajectory["time_s"][-1])

    @property
    def distance_m(self) -> float:
        """Length of the rover's way over the plane [m]."""
        return float(np.linalg.norm(np.diff(self.trajectory["position_m"][:, :2], axis=0), axis=1).sum())

    @property
    def slip_mean(self) -> float:
        """Mean magnitude of the slip of wheels that were driven."""
        rates, slip = self.trajectory["applied"][:, 4:], np.abs(self.trajectory["slip"])
        return float(slip[np.abs(rates) > 0.0].mean()) if (rates != 0.0).any() else 0.0


def place_rover(terrain: Terrain, layout: Layout, xy: np.ndarray, heading: float) -> Pose:
    """Pose of the chassis on the plane through the ground under its wheels, `DROP_M` above the highest of them.

    Args:
        terrain: Ground.
        layout: Wheels.
        xy: Place [m], shape [2].
        heading: Anticlockwise from +X [rad].
    """
    cos, sin = math.cos(heading), math.sin(heading)
    feet = xy + layout.hub @ np.array([[cos, sin], [-sin, cos]])
    z = terrain.height(feet[:, 0], feet[:, 1])
    slope = np.linalg.lstsq(np.column_stack([feet - xy, np.ones(len(feet))]), z, rcond=None)[0]
    up = np.array([-slope[0], -slope[1], 1.0]) / math.sqrt(1.0 + slope[0] ** 2 + slope[1] ** 2)
    left = np.cross(up, [cos, sin, 0.0])
    left /= np.linalg.norm(left)
    turn = Rotation.from_matrix(np.column_stack([np.cross(left, up), left, up]))
    lift = float((z - (feet - xy) @ slope[:2]).max())
    return Pose(np.array([*xy, lift + DROP_M]), turn.as_quat(scalar_first=True))


class _Rocks:
    """Rocks that were touched."""

    def __init__(self) -> None:
        self.touches: dict[str, Touch] = {}
        self._now: set[str] = set()

    def see(self, engine: Engine, now_s: float) -> None:
        """Take in what touches now."""
        seen: set[str] = set()
        for contact in engine.contacts():
            rock, part = contact.second, contact.first
            if not rock.startswith(f"{schema.ROCKS}/"):
                continue
            touch = self.touches.setdefault(rock, Touch(rock, now_s, 0, 0.0, []))
            touch.contacts += rock not in self._now and rock not in seen
            touch.force_max = max(touch.force_max, contact.force)
            if part not in touch.parts:
                touch.parts.append(part)
            seen.add(rock)
        self._now = seen


def drive_route(
    engine: Engine,
    layout: Layout,
    route: np.ndarray,
    *,
    start: Pose,
    speed: float,
    mode: Mode,
    time_max_s: float,
    soil: WheelSoil | None = None,
    actuation: Actuation | None = None,
    pilot: Pilot | None = None,
    watch: Look | None = None,
) -> Drive:
    """Drive along a way until its end, or until it goes no further.

    Args:
        engine: Engine that holds the stage.
        layout: Wheels.
        route: Corners of the way [m], shape [N, 2].
        start: Pose of the chassis.
        speed: Of the rover's centre [m/s].
        mode: How turns are made.
        time_max_s: Simulated time after which it is given up [s].
        soil: Soil under the wheels; None for hard ground.
        actuation: Delay, gain and noise between the controller and the drives, and of what it reads (`measured`); None
            for none of these.
        pilot: Drives instead of following the way; at its last corner it has reached the goal.
        watch: Looks at each row, and once more at the end; its time counts for nothing.

    Raises:
        InputError: A rock is where the rover is set down.
    """
    began, watched = time.process_time(), 0.0
    simulate = engine.step if soil is None else soil.step
    engine.reset({schema.ROVER_CHASSIS: start})
    path, rocks = Route(route), _Rocks()
    rocks.see(engine, 0.0)
    if rocks.touches:
        where = "({:.2f}, {:.2f}) m".format(*route[0])
        raise InputError("waypoints", where, f"a start without {', '.join(rocks.touches)} under or in the rover")
    simulate(round(SETTLE_S / engine.timestep_s))
    follower = Follower(layout, path, speed=speed, mode=mode)
    actuators = Actuators(engine, layout, period_s=PERIOD_S)
    sensors = actuation and reading_channel(actuation.channel, layout, speed=speed, seed=actuation.seed)
    rows: list[dict[str, np.ndarray]] = []
    outcome: Outcome = "timeout"
    for tick in range(math.ceil(time_max_s / PERIOD_S)):
        state = _read_state(engine, layout, tick * PERIOD_S)
        state["measured"] = measured = _measure(state, sensors)
        command = pilot.command(state) if pilot else follower.command(measured[:2], float(measured[2]))
        applied = actuators.apply(command, measured[3:7])
        state["commanded"] = np.concatenate([command.steering, command.rates])
        state["applied"] = np.concatenate([applied.steering, applied.rates])
        state["sinkage_m"] = np.zeros(4) if soil is None else soil.sinkage
        rows.append(state)
        rocks.see(engine, tick * PERIOD_S)
        watched += _look(watch, rows, rocks, last=False)
        if (ended := outcome_of(rows, route[-1])) is not None:
            outcome = ended
            break
        if actuation is None:
            simulate(round(PERIOD_S / engine.timestep_s))
        else:
            state["applied"] = actuation.drive(engine, layout, applied, simulate, PERIOD_S)
    watched += _look(watch, rows, rocks, last=True)
    trajectory = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    cpu_s = time.process_time() - began - watched
    return Drive(outcome, trajectory | {"route_m": route}, list(rocks.touches.values()), cpu_s)


def _look(watch: Look | None, rows: list[dict[str, np.ndarray]], rocks: _Rocks, *, last: bool) -> float:
    """Let somebody look; returns the processor time that took [s]."""
    began = time.process_time()
    if watch is not None:
        watch(rows, rocks.touches, last=last)
    return time.process_time() - began


def _measure(state: dict[str, np.ndarray], sensors: Actuation | None) -> np.ndarray:
    """What the controller reads of a row, shape [13]."""
    wheels = (state["steering_rad"], state["wheel_rate_rad_s"])
    truth = np.concatenate([state["position_m"][:2], [heading_of(state)], *wheels, tilt_of(state)])
    return truth if sensors is None else sensors.read(truth)


def _read_state(engine: Engine, layout: Layout, now_s: float) -> dict[str, np.ndarray]:
    """A row of a trajectory, but for what is commanded."""
    motion, rolling = engine.motion([schema.ROVER_CHASSIS]), read_rolling(engine, layout.wheels)
    suspension = [engine.joint(schema.rover_joint("suspension", corner)) for corner in schema.CORNERS]
    steering = [engine.joint(path) for path in layout.steering]
    drives = [engine.joint(path) for path in layout.drives]
    return {
        "time_s": np.array(now_s),
        "position_m": motion.position[0],
        "orientation": motion.orientation[0],
        "velocity_m_s": motion.velocity[0],
        "suspension_rad": np.array([joint.position for joint in suspension]),
        "steering_rad": np.array([joint.position for joint in steering]),
        "wheel_rad": np.array([joint.position for joint in drives]),
        "wheel_rate_rad_s": np.array([joint.velocity for joint in drives]),
        "drive_torque_n_m": np.array([joint.effort for joint in drives]),
        "slip": np.array([wheel.slip for wheel in rolling]),
        "load_n": np.array([wheel.load for wheel in rolling]),
    }


def heading_of(state: Mapping[str, np.ndarray]) -> float:
    """Heading of a row of a trajectory, anticlockwise from +X [rad]."""
    w, x, y, z = state["orientation"]
    return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def tilt_of(state: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """Pitch, positive nose up, and roll, positive to the right, of a row of a trajectory [rad]."""
    w, x, y, z = state["orientation"]
    pitch = -math.asin(max(-1.0, min(1.0, 2.0 * (w * y - z * x))))
    return pitch, math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))


def outcome_of(rows: Sequence[dict[str, np.ndarray]], goal: np.ndarray) -> Outcome | None:
    """How a drive ended; None where it goes on.

    Args:
        rows: Of its trajectory so far, one every `PERIOD_S`; of their columns position and orientation count.
        goal: Where to, shape [2] [m].
    """
    state = rows[-1]
    _, x, y, _ = state["orientation"]
    if 1.0 - 2.0 * (x * x + y * y) < TIPPED_COS:
        return "tipped"
    if np.linalg.norm(state["position_m"][:2] - goal) < REACHED_M:
        return "reached"
    span = round(STUCK_S / PERIOD_S)
    if len(rows) > span:
        then = rows[-1 - span]
        moved = np.linalg.norm(state["position_m"] - then["position_m"])
        if moved < STUCK_M and abs(math.remainder(heading_of(state) - heading_of(then), 2.0 * math.pi)) < STUCK_RAD:
            return "stuck"
    return None
