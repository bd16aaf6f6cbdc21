"""Wheels of an engine on soil that gives way: what `physics.soil` says limits their grip and holds them back.

The engine's ground is hard. So every few steps a wheel's friction on the ground becomes what the soil bears at its
slip and load, thrust over load, and the soil's resistance is a force on its axle. Sinkage moves nothing.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
import operator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from regolith.lunar.params import InputError
from regolith.lunar.physics.engine import Engine
from regolith.lunar.physics.soil import Rim, Soil, loaded_wheel, slip_ratio
from regolith.lunar.physics.world import Shape, World

CREEP_M_S = 0.005
"""Speed of rim and axle below which a wheel stands, with all of Coulomb's grip [m/s]: slip means nothing there."""

SLIPS = np.concatenate([np.linspace(0.0, 0.3, 13), np.linspace(0.35, 1.0, 9)]).tolist()
"""Slips of the table."""

LOADS = 12
"""Loads of the table, evenly in their square root."""

HOLD_S = 0.02
"""Time for which grip and resistance hold [s]."""


@dataclasses.dataclass(frozen=True)
class Wheels:
    """Wheels of a stage; arrays share the length N."""

    bodies: tuple[str, ...]
    """Prims."""
    rims: tuple[Rim, ...]
    axle: np.ndarray
    """Unit vectors in the bodies' frames, shape [N, 3]."""
    radius: np.ndarray
    """Of the rims [m], shape [N]."""


def find_wheels(world: World, bodies: Sequence[str]) -> Wheels:
    """Read wheels from the collision cylinders of bodies.

    Raises:
        InputError: A body has no cylinder to collide with.
    """
    shapes = {body.path: body.shapes for body in world.bodies}
    found = [_cylinder(shapes.get(path, ()), path) for path in bodies]
    rims = tuple(
        Rim(round(shape.size[0], 6), round(2.0 * shape.size[1], 6)) for shape in found
    )  # turned ones differ in the last bits
    turn = Rotation.from_quat([shape.pose.orientation for shape in found], scalar_first=True)
    return Wheels(tuple(bodies), rims, turn.apply([0.0, 0.0, 1.0]), np.array([rim.radius for rim in rims]))


def _cylinder(shapes: tuple[Shape, ...], path: str) -> Shape:
    rim = next((shape for shape in shapes if shape.kind == "cylinder"), None)
    if rim is None:
        raise InputError("stage", path, "a body with a Cylinder that collides")
    return rim


class Rolling(NamedTuple):
    """How a wheel rolls; in plain numbers, for arrays of four take longer."""

    along: tuple[float, float, float]
    """Unit vector ahead along the ground, world frame."""
    speed: float
    """Of the axle ahead [m/s]."""
    aside: float
    """Of the axle to the side [m/s]."""
    rim: float
    """ω r of the rim [m/s]."""
    load: float
    """Normal force of the ground [N]."""

    @property
    def slip(self) -> float:
        """Slip ratio in [−1, 1]; 0 for a wheel that stands."""
        moves = max(abs(self.rim), abs(self.speed)) > CREEP_M_S
        return float(slip_ratio(self.rim, self.speed)) if moves else 0.0


def read_rolling(engine: Engine, wheels: Wheels) -> list[Rolling]:
    """How wheels roll over the ground now."""
    motion, forces = engine.motion(wheels.bodies), engine.loads(wheels.bodies)
    axles = (motion.rotation @ wheels.axle[:, :, None])[..., 0]
    columns = (axles, motion.velocity, motion.spin, forces, wheels.radius)
    return [_roll(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _roll(axle: list[float], velocity: list[float], spin: list[float], force: list[float], radius: float) -> Rolling:
    (ax, ay, az), (vx, vy, vz), (fx, fy, fz) = axle, velocity, force
    load = math.sqrt(fx * fx + fy * fy + fz * fz)
    if load == 0.0:
        fz = 1.0  # what hangs in the air is taken as on level ground
    x, y, z = ay * fz - az * fy, az * fx - ax * fz, ax * fy - ay * fx  # axle × force
    length = math.sqrt(x * x + y * y + z * z) + 1e-12
    along = (x / length, y / length, z / length)
    return Rolling(
        along=along,
        speed=vx * along[0] + vy * along[1] + vz * along[2],
        aside=vx * ax + vy * ay + vz * az,
        rim=(spin[0] * ax + spin[1] * ay + spin[2] * az) * radius,
        load=load,
    )


class WheelSoil:
    """The soil under the wheels of one engine, which was opened with their bodies as `gripping`."""

    def __init__(self, engine: Engine, wheels: Wheels, soil: Soil, *, load_max: float) -> None:
        """Tabulate the soil.

        Args:
            engine: Engine.
            wheels: Its wheels, all with the same rim.
            soil: Soil.
            load_max: Largest load of a wheel [N]; more counts as that, in proportion.

        Raises:
            InputError: The rims differ, or such a load sinks a wheel to its axle.
        """
        rims = set(wheels.rims)
        if len(rims) != 1:
            raise InputError("stage", f"{len(rims)} sizes of wheels", "wheels of one size on soil")
        self._engine, self._wheels = engine, wheels
        (rim,) = rims
        self._loads = (load_max * np.linspace(0.0, 1.0, LOADS + 1)[1:] ** 2).tolist()
        try:
            states = [[loaded_wheel(soil, rim, load, slip) for slip in SLIPS] for load in self._loads]
        except ValueError as error:
            raise InputError("soil", str(error), "soil that bears the wheels") from None
        self._table = [
            [(state.torque / rim.radius / load, state.torque / rim.radius / load - state.pull / load, state.sinkage)
             for state in row]
            for load, row in zip(self._loads, states, strict=True)
        ]  # fmt: skip
        """Grip, resistance over load, and sinkage [m] by load and slip."""
        self.sinkage = np.zeros(len(wheels.bodies))
        """Of each wheel [m], as of the last steps."""

    def step(self, count: int = 1) -> None:
        """Simulate `count` steps on the soil."""
        while count > 0:
            held = min(count, max(1, round(HOLD_S / self._engine.timestep_s)))
            self._act()
            self._engine.step(held)
            count -= held

    def _act(self) -> None:
        """Set grip and resistance from how the wheels roll."""
        grips, pushes, sinkages = [], [], []
        for wheel in read_rolling(self._engine, self._wheels):
            run = wheel.rim if abs(wheel.rim) >= abs(wheel.speed) else wheel.speed  # and whither
            shear = math.hypot(wheel.rim - wheel.speed, wheel.aside)  # of the rim over the ground, whichever way
            slip = 1.0 if abs(run) < CREEP_M_S else min(shear / abs(run), 1.0)
            grip, resistance, sinkage = self._read(wheel.load, slip)
            drag = wheel.load * resistance * min(max(run / CREEP_M_S, -1.0), 1.0)
            grips.append(grip)
            pushes.append([-drag * axis for axis in wheel.along])
            sinkages.append(sinkage if wheel.load > 0.0 else 0.0)
        self._engine.set_grip(self._wheels.bodies, np.array(grips))
        self._engine.push(self._wheels.bodies, np.array(pushes))
        self.sinkage = np.array(sinkages)

    def _read(self, load: float, slip: float) -> list[float]:
        """Read the table between its nodes, bilinear."""
        row, u = _between(self._loads, load)
        column, v = _between(SLIPS, slip)
        corners = (*self._table[row][column : column + 2], *self._table[row + 1][column : column + 2])
        shares = ((1.0 - u) * (1.0 - v), (1.0 - u) * v, u * (1.0 - v), u * v)
        return [sum(map(operator.mul, shares, values)) for values in zip(*corners, strict=True)]


def _between(nodes: Sequence[float], value: float) -> tuple[int, float]:
    """Index of the node below a value, but for the last, and the share of the way to the next, in [0, 1]."""
    index = min(max(bisect.bisect_left(nodes, value) - 1, 0), len(nodes) - 2)
    low, high = nodes[index], nodes[index + 1]
    return index, min(max((value - low) / (high - low), 0.0), 1.0)
