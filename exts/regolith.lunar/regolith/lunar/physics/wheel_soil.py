"""Wheels of an engine on soil that gives way: what `physics.soil` says limits their grip and holds them back.

The engine's ground is hard. So every few steps a wheel's friction on the ground becomes what the soil bears at its
slip and load, thrust over load, and the soil's resistance is a force on its axle. Sinkage moves nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

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

HOLD_S = 0.016
"""Time for which grip and resistance hold [s]."""


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A wheel of a stage."""

    body: str
    """Prim."""
    rim: Rim
    axle: np.ndarray
    """Unit vector in the body's frame, shape [3]."""


def find_wheels(world: World, bodies: Sequence[str]) -> list[Wheel]:
    """Read the rims of bodies from their collision cylinders.

    Raises:
        InputError: A body has no cylinder to collide with.
    """
    return [_wheel(next((body.shapes for body in world.bodies if body.path == path), ()), path) for path in bodies]


def _wheel(shapes: tuple[Shape, ...], path: str) -> Wheel:
    from scipy.spatial.transform import Rotation

    rim = next((shape for shape in shapes if shape.kind == "cylinder"), None)
    if rim is None:
        raise InputError("stage", path, "a body with a Cylinder that collides")
    axle = Rotation.from_quat(rim.pose.orientation, scalar_first=True).apply([0.0, 0.0, 1.0])
    return Wheel(path, Rim(rim.size[0], 2.0 * rim.size[1]), axle)


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


def read_rolling(engine: Engine, wheels: Sequence[Wheel]) -> Rolling:
    """How wheels roll over the ground now."""
    motion = engine.motion([wheel.body for wheel in wheels])
    axle = np.einsum("nij,nj->ni", motion.rotation, np.array([wheel.axle for wheel in wheels]))
    force = engine.loads([wheel.body for wheel in wheels])
    load = np.linalg.norm(force, axis=1)
    up = np.where(load[:, None] > 0.0, force, [0.0, 0.0, 1.0])  # what hangs in the air is taken as on level ground
    along = np.cross(axle, up)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    radius = np.array([wheel.rim.radius for wheel in wheels])
    return Rolling(
        along=along,
        speed=(motion.velocity * along).sum(axis=1),
        aside=(motion.velocity * axle).sum(axis=1),
        rim=(motion.spin * axle).sum(axis=1) * radius,
        load=load,
    )


class WheelSoil:
    """The soil under the wheels of one engine, which was opened with their bodies as `gripping`."""

    def __init__(self, engine: Engine, wheels: Sequence[Wheel], soil: Soil, *, load_max: float) -> None:
        """Tabulate the soil.

        Args:
            engine: Engine.
            wheels: Its wheels, all with the same rim.
            soil: Soil.
            load_max: Largest load of a wheel [N]; more counts as that, in proportion.

        Raises:
            InputError: The rims differ, or such a load sinks a wheel to its axle.
        """
        rims = {wheel.rim for wheel in wheels}
        if len(rims) != 1:
            raise InputError("stage", f"{len(rims)} sizes of wheels", "wheels of one size on soil")
        self._engine, self._wheels = engine, wheels
        self._bodies = [wheel.body for wheel in wheels]
        (rim,) = rims
        self._loads = load_max * np.linspace(0.0, 1.0, LOADS + 1)[1:] ** 2
        try:
            states = [[loaded_wheel(soil, rim, load, slip) for slip in SLIPS] for load in self._loads]
        except ValueError as error:
            raise InputError("soil", str(error), "soil that bears the wheels") from None
        self._grip = np.array([[state.torque / rim.radius / state.load for state in row] for row in states])
        self._drag = np.array(
            [[(state.torque / rim.radius - state.pull) / state.load for state in row] for row in states]
        )
        self._sinkage = np.array([[state.sinkage for state in row] for row in states])
        self.sinkage = np.zeros(len(wheels))
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
        load = rolling.load
        run = np.where(np.abs(rolling.rim) >= np.abs(rolling.speed), rolling.rim, rolling.speed)  # and whither
        fast = np.abs(run)
        stands = fast < CREEP_M_S
        shear = np.hypot(rolling.rim - rolling.speed, rolling.aside)  # of the rim over the ground, whichever way
        slip = np.where(stands, 1.0, np.minimum(shear / np.maximum(fast, CREEP_M_S), 1.0))
        cells = self._cells(load, slip)
        self._engine.set_grip(self._bodies, _blend(self._grip, cells))
        drag = load * _blend(self._drag, cells) * np.clip(run / CREEP_M_S, -1.0, 1.0)
        self._engine.push(self._bodies, -drag[:, None] * rolling.along)
        self.sinkage = np.where(load > 0.0, _blend(self._sinkage, cells), 0.0)

    def _cells(self, load: np.ndarray, slip: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Row, column and fractions of the table's cell of each wheel."""
        row = np.clip(np.searchsorted(self._loads, load) - 1, 0, LOADS - 2)
        column = np.clip(np.searchsorted(SLIPS, slip) - 1, 0, len(SLIPS) - 2)
        u = (load - self._loads[row]) / (self._loads[row + 1] - self._loads[row])
        v = (slip - SLIPS[column]) / (SLIPS[column + 1] - SLIPS[column])
        return row, column, np.clip(u, 0.0, 1.0), np.clip(v, 0.0, 1.0)


def _blend(table: np.ndarray, cells: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Read a table between its nodes, bilinear."""
    row, column, u, v = cells
    low = table[row, column] * (1.0 - v) + table[row, column + 1] * v
    high = table[row + 1, column] * (1.0 - v) + table[row + 1, column + 1] * v
    return low * (1.0 - u) + high * u
