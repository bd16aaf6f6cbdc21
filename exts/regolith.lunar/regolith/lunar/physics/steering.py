"""Steering of a rover whose four wheels all turn: a path to follow, and what the joints are asked for.

Rover frame: +X ahead, +Y left, origin under the chassis' centre. A turn has its centre on the Y axis, at 1 / curvature;
every axle points at it, so that no wheel scrubs. On the spot the centre is the origin.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Literal, Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from regolith.lunar.params import InputError
from regolith.lunar.physics.engine import Joints
from regolith.lunar.physics.wheel_soil import Wheels, find_wheels
from regolith.lunar.physics.world import World
from regolith.lunar.stage import schema

LOOKAHEAD_M = 1.0
"""Distance along the path of the point that is steered for [m]."""

CURVATURE_MAX = 0.8
"""Tightest turn while driving [1/m]: within 50° of steering for wheels half a metre ahead of the centre and aside."""

AIM_RAD = math.radians(60.0)
"""Bearing of the point steered for beyond which the rover turns on the spot, until it is below a quarter of it."""

STEERING_RATE = 0.5
"""Fastest turn of a steering joint [rad/s]."""

WHEEL_ACCELERATION = 1.0
"""Fastest change of a wheel's rate [rad/s²]."""

WAIT_RAD = 0.3
"""Steering error at which the wheels stand [rad]; below it they run in proportion."""

Mode = Literal["ackermann", "point-turn"]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Wheels of a rover, in the order of `schema.CORNERS`."""

    wheels: Wheels
    pivot: np.ndarray
    """Steering axes in the rover's frame [m], shape [4, 2]."""
    hub: np.ndarray
    """Middles of the wheels where they point ahead [m], shape [4, 2]."""
    limit: np.ndarray
    """Largest steering angle [rad], shape [4]."""
    steering: tuple[str, ...]
    """Steering joints."""
    drives: tuple[str, ...]
    """Drive joints."""

    @property
    def radius(self) -> float:
        """Radius of a wheel [m]."""
        return float(self.wheels.radius[0])


def read_layout(world: World) -> Layout:
    """Read where the wheels of the rover are.

    Raises:
        InputError: There is no such rover on the stage.
    """
    bodies = {body.path: body for body in world.bodies}
    joints = {joint.path: joint for joint in world.joints}
    steering = tuple(schema.rover_joint("steering", corner) for corner in schema.CORNERS)
    drives = tuple(schema.rover_joint("drive", corner) for corner in schema.CORNERS)
    hubs = tuple(schema.rover_body("wheel", corner) for corner in schema.CORNERS)
    lacking = [path for path in (schema.ROVER_CHASSIS, *hubs) if path not in bodies]
    lacking += [path for path in (*steering, *drives) if path not in joints or joints[path].drive is None]
    if lacking:
        raise InputError("stage", lacking[0], "a stage with a rover: author it with --rover.model viper")
    base = bodies[schema.ROVER_CHASSIS].pose
    level = Rotation.from_quat(base.orientation, scalar_first=True).inv()

    def places(paths: Iterable[str]) -> np.ndarray:
        """Origins of bodies in the chassis' plane [m], shape [4, 2], where the wheels point ahead."""
        return level.apply(np.array([bodies[path].pose.position for path in paths]) - base.position)[:, :2]

    return Layout(
        wheels=find_wheels(world, hubs),
        pivot=places(joints[path].child for path in steering),
        hub=places(hubs),
        limit=np.array([joints[path].upper for path in steering]),
        steering=steering,
        drives=drives,
    )


@dataclasses.dataclass(frozen=True)
class Command:
    """What the joints are asked for; arrays in the order of `schema.CORNERS`."""

    steering: np.ndarray
    """Angles of the steering joints [rad], shape [4]."""
    rates: np.ndarray
    """Rates of the wheels [rad/s], shape [4]."""


def turn_about(layout: Layout, *, speed: float, curvature: float) -> Command:
    """Drive at a speed [m/s] of the centre along a curvature [1/m], positive to the left."""
    x, y = layout.pivot.T
    steering = np.arctan2(curvature * x, 1.0 - curvature * y)
    arm = np.hypot(curvature * x, 1.0 - curvature * y) - curvature * (layout.hub - layout.pivot)[:, 1]
    return Command(steering, speed * arm / layout.radius)


def turn_on_spot(layout: Layout, *, rate: float) -> Command:
    """Turn about the centre at a rate [rad/s], positive to the left."""
    x, y = layout.pivot.T
    steering = np.arctan2(-x * np.sign(y), np.abs(y))
    arm = np.hypot(x, y) + np.linalg.norm(layout.hub - layout.pivot, axis=1)
    return Command(steering, -np.sign(y) * rate * arm / layout.radius)


def seen_from(point: np.ndarray, place: np.ndarray, heading: float) -> tuple[float, float]:
    """A point [m] from a place [m] with a heading [rad], anticlockwise from +X: how far ahead and to the left [m]."""
    east, north = point - place
    ahead = math.cos(heading) * east + math.sin(heading) * north
    aside = -math.sin(heading) * east + math.cos(heading) * north
    return ahead, aside


def pursuit_curvature(ahead: float, aside: float) -> float:
    """Curvature [1/m] of the arc to a point ahead and to the left [m], within `CURVATURE_MAX`."""
    curvature = 2.0 * aside / max(ahead * ahead + aside * aside, 1e-6)
    return float(np.clip(curvature, -CURVATURE_MAX, CURVATURE_MAX))


def spot_rate(layout: Layout, speed: float) -> float:
    """Rate [rad/s] of a turn on the spot at which no wheel's middle is faster than `speed` [m/s]."""
    return speed / float(np.linalg.norm(layout.hub, axis=1).max())


class Route:
    """A way along straight pieces."""

    def __init__(self, points: np.ndarray) -> None:
        """Take the corners of the way [m], shape [N, 2], N at least 2, no two in a row at one place."""
        self.points = np.asarray(points, np.float64)
        self._steps = np.diff(self.points, axis=0)
        self._lengths = np.linalg.norm(self._steps, axis=1)
        self._starts = np.concatenate([[0.0], np.cumsum(self._lengths)])
        self._passed = 0.0

    @property
    def length(self) -> float:
        """[m]."""
        return float(self._starts[-1])

    def at(self, distance: float) -> np.ndarray:
        """Point [m] at a distance from the start [m]."""
        return np.array([np.interp(distance, self._starts, column) for column in self.points.T])

    def ahead(self, place: np.ndarray, lookahead: float) -> np.ndarray:
        """The point [m] to steer for: `lookahead` [m] beyond that nearest to a place, and never back.

        The nearest is sought no farther than twice the lookahead beyond the last one: a way may come by itself again.
        """
        share = ((place - self.points[:-1]) * self._steps).sum(axis=1) / self._lengths**2
        low = np.maximum(self._starts[:-1], self._passed)
        high = np.minimum(self._starts[1:], self._passed + 2.0 * lookahead)
        along = np.minimum(np.maximum(self._starts[:-1] + share * self._lengths, low), high)
        feet = self.points[:-1] + ((along - self._starts[:-1]) / self._lengths)[:, None] * self._steps
        gap = np.where(low <= high, ((feet - place) ** 2).sum(axis=1), np.inf)
        self._passed = float(along[int(gap.argmin())])
        return self.at(self._passed + lookahead)


class Way(Protocol):
    """A way to go."""

    def ahead(self, place: np.ndarray, lookahead: float) -> np.ndarray:
        """The point [m], shape [2], to steer for from a place [m]: `lookahead` [m] along the way."""
        ...


class Follower:
    """Pure pursuit (Coulter 1992, CMU-RI-TR-92-01) of a path, turning on the spot where the path does."""

    def __init__(self, layout: Layout, path: Way, *, speed: float, mode: Mode) -> None:
        """Take a path to follow.

        Args:
            layout: Wheels.
            path: Way.
            speed: Of the centre [m/s].
            mode: Whether only turns too tight to drive are made on the spot, or all of them.
        """
        self._layout, self._path, self._speed = layout, path, speed
        self._aim = AIM_RAD if mode == "ackermann" else AIM_RAD / 8.0
        self._turning = False

    def command(self, place: np.ndarray, heading: float) -> Command:
        """What the joints are to do at a place [m] with a heading [rad], anticlockwise from +X."""
        ahead, aside = seen_from(self._path.ahead(place, LOOKAHEAD_M), place, heading)
        bearing = math.atan2(aside, ahead)
        self._turning = abs(bearing) > (0.25 * self._aim if self._turning else self._aim)
        if self._turning:
            return turn_on_spot(self._layout, rate=math.copysign(spot_rate(self._layout, self._speed), bearing))
        return turn_about(self._layout, speed=self._speed, curvature=pursuit_curvature(ahead, aside))


class Actuators:
    """The rover's joints: commands within limits, at rates they can do, and no driving while wheels still turn."""

    def __init__(self, joints: Joints, layout: Layout, *, period_s: float) -> None:
        """Take the joints that are commanded every `period_s`."""
        self._joints, self._layout, self._period = joints, layout, period_s
        self._rates = np.zeros(4)

    def apply(self, command: Command, steered: np.ndarray) -> Command:
        """Set the drives, and say to what.

        Args:
            command: What the controller wants.
            steered: Angles of the steering joints as they are read [rad], shape [4].
        """
        layout = self._layout
        wanted = np.clip(command.steering, -layout.limit, layout.limit)
        reach = STEERING_RATE * self._period
        steering = np.clip(wanted, steered - reach, steered + reach)
        share = max(0.0, 1.0 - float(np.abs(wanted - steered).max()) / WAIT_RAD)
        reach = WHEEL_ACCELERATION * self._period
        self._rates = np.clip(command.rates * share, self._rates - reach, self._rates + reach)
        for path, angle in zip(layout.steering, steering, strict=True):
            self._joints.drive(path, position=float(angle))
        for path, rate in zip(layout.drives, self._rates, strict=True):
            self._joints.drive(path, velocity=float(rate))
        return Command(steering, self._rates.copy())
