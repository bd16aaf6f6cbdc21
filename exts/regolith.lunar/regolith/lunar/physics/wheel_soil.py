"""Wheels of an engine on soil that gives way: what `physics.soil` says limits their grip and holds them back.

The engine's ground is hard. So every few steps a wheel's friction on the ground becomes what the soil bears at its
slip and load, thrust over load, and the soil's resistance is a force on its axle. Sinkage moves nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from regolith.lunar.params import InputError
from regolith.lunar.physics.engine import Engine
from regolith.lunar.physics.soil import Rim, Soil, loaded_wheel, slip_ratio
from regolith.lunar.physics.world import Shape, World

CREEP_M_S = 0.005
"""Speed of rim and axle below which a wheel stands, with all of Coulomb's grip [m/s]: slip means nothing there."""

SLIPS = np.concatenate([np.linspace(0.0, 0.3, 13), np.linspace(0.35, 1.0, 9)])
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


@dataclasses.dataclass(frozen=True)
class Rolling:
    """How wheels roll; arrays share the length N."""

    along: np.ndarray
    """Unit vectors ahead along the ground, world frame, shape [N, 3]."""
    speed: np.ndarray
    """Of the axles ahead [m/s], shape [N]."""
    aside: np.ndarray
    """Of the axles to the side [m/s], shape [N]."""
    rim: np.ndarray
    """ω r of the rims [m/s], shape [N]."""
    load: np.ndarray
    """Normal force of the ground [N], shape [N]."""

    @property
    def slip(self) -> np.ndarray:
        """Slip ratio in [−1, 1], shape [N]; 0 for wheels that stand."""
        moves = np.maximum(np.abs(self.rim), np.abs(self.speed)) > CREEP_M_S
        return np.where(moves, slip_ratio(self.rim, self.speed), 0.0)


def read_rolling(engine: Engine, wheels: Wheels) -> Rolling:
    """How wheels roll over the ground now."""
    motion, force = engine.motion(wheels.bodies), engine.loads(wheels.bodies)
    load = np.sqrt((force * force).sum(axis=1))
    axle = (motion.rotation @ wheels.axle[:, :, None])[..., 0]
    (ax, ay, az), (fx, fy, fz) = axle.T, force.T
    fz = np.where(load > 0.0, fz, 1.0)  # what hangs in the air is taken as on level ground
    along = np.stack([ay * fz - az * fy, az * fx - ax * fz, ax * fy - ay * fx], axis=1)  # axle × force
    along /= np.sqrt((along * along).sum(axis=1))[:, None] + 1e-12
    return Rolling(
        along=along,
        speed=(motion.velocity * along).sum(axis=1),
        aside=(motion.velocity * axle).sum(axis=1),
        rim=(motion.spin * axle).sum(axis=1) * wheels.radius,
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
        self._loads = load_max * np.linspace(0.0, 1.0, LOADS + 1)[1:] ** 2
        try:
            states = [[loaded_wheel(soil, rim, load, slip) for slip in SLIPS] for load in self._loads]
        except ValueError as error:
            raise InputError("soil", str(error), "soil that bears the wheels") from None
        thrust = np.array([[state.torque / rim.radius for state in row] for row in states])
        pull, load, sinkage = (
            np.array([[getattr(state, name) for state in row] for row in states])
            for name in ("pull", "load", "sinkage")
        )
        self._table = np.stack([thrust / load, (thrust - pull) / load, sinkage], axis=-1)
        """Grip, resistance over load, and sinkage [m], shape [LOADS, slips, 3]."""
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
        rolling = read_rolling(self._engine, self._wheels)
        run = np.where(np.abs(rolling.rim) >= np.abs(rolling.speed), rolling.rim, rolling.speed)  # and whither
        fast = np.abs(run)
        shear = np.hypot(rolling.rim - rolling.speed, rolling.aside)  # of the rim over the ground, whichever way
        slip = np.where(fast < CREEP_M_S, 1.0, np.minimum(shear / np.maximum(fast, CREEP_M_S), 1.0))
        grip, resistance, sinkage = self._read(rolling.load, slip)
        drag = rolling.load * resistance * np.minimum(np.maximum(run / CREEP_M_S, -1.0), 1.0)
        self._engine.set_grip(self._wheels.bodies, grip)
        self._engine.push(self._wheels.bodies, -drag[:, None] * rolling.along)
        self.sinkage = np.where(rolling.load > 0.0, sinkage, 0.0)

    def _read(self, load: np.ndarray, slip: np.ndarray) -> np.ndarray:
        """Read the table between its nodes, bilinear, shape [3, N]."""
        row = np.minimum(np.maximum(np.searchsorted(self._loads, load) - 1, 0), LOADS - 2)
        column = np.minimum(np.maximum(np.searchsorted(SLIPS, slip) - 1, 0), len(SLIPS) - 2)
        u = (load - self._loads[row]) / (self._loads[row + 1] - self._loads[row])
        v = ((slip - SLIPS[column]) / (SLIPS[column + 1] - SLIPS[column]))[:, None]
        u = np.minimum(np.maximum(u, 0.0), 1.0)[:, None]
        low = self._table[row, column] * (1.0 - v) + self._table[row, column + 1] * v
        high = self._table[row + 1, column] * (1.0 - v) + self._table[row + 1, column + 1] * v
        return (low * (1.0 - u) + high * u).T
