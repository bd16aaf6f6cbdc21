"""What every physics engine here does, by prim path and in SI units."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from regolith.lunar.physics.world import Pose, World


@dataclasses.dataclass(frozen=True)
class JointState:
    """Where a joint is."""

    position: float
    """[rad] or [m]."""
    velocity: float
    """[rad/s] or [m/s]."""
    effort: float
    """What its drive exerts [N m] or [N]."""


@dataclasses.dataclass(frozen=True)
class Contact:
    """Two solids that touch."""

    first: str
    """Prim of the one that moves, or of one of them."""
    second: str
    """Prim of the other; of the ground `/World/Ground`."""
    position: np.ndarray
    """[m], world frame, shape [3]."""
    normal: np.ndarray
    """Unit vector from `second` to `first`, world frame, shape [3]."""
    force: float
    """Along the normal [N]."""


@dataclasses.dataclass(frozen=True)
class Motion:
    """How bodies move; arrays share the length N."""

    position: np.ndarray
    """Origins in the world [m], shape [N, 3]."""
    orientation: np.ndarray
    """Unit quaternions (w, x, y, z) of the bodies in the world, shape [N, 4]."""
    rotation: np.ndarray
    """Columns are the bodies' axes in the world, shape [N, 3, 3]."""
    velocity: np.ndarray
    """Of the centres of mass, world frame [m/s], shape [N, 3]."""
    spin: np.ndarray
    """World frame [rad/s], shape [N, 3]."""


class Joints(Protocol):
    """Joints with drives, wherever they are simulated."""

    def drive(self, joint: str, *, position: float | None = None, velocity: float | None = None) -> None:
        """Set targets of a joint's drive [rad, rad/s] or [m, m/s]; None leaves one as it is."""
        ...

    def joint(self, joint: str) -> JointState:
        """Where a joint is now."""
        ...


class Engine(Joints, Protocol):
    """A simulation of one stage."""

    world: World
    timestep_s: float

    @property
    def time_s(self) -> float:
        """Simulated time since `reset` [s]."""
        ...

    def reset(self, poses: Mapping[str, Pose] | None = None) -> None:
        """Go back to the authored state at rest, and to the authored targets of drives.

        Args:
            poses: Root body to where it is in the world instead; what hangs on it comes with it.
        """
        ...

    def step(self, count: int = 1) -> None:
        """Simulate `count` steps."""
        ...

    def motion(self, bodies: Sequence[str]) -> Motion:
        """How bodies move now."""
        ...

    def contacts(self) -> list[Contact]:
        """What touches in the step just made."""
        ...

    def loads(self, bodies: Sequence[str]) -> np.ndarray:
        """Sum of the normal forces of the ground on bodies in the step just made [N], world frame, shape [N, 3]."""
        ...

    def push(self, bodies: Sequence[str], forces: np.ndarray) -> None:
        """Exert forces on centres of mass until told otherwise [N], world frame, shape [N, 3]."""
        ...

    def set_grip(self, bodies: Sequence[str], friction: np.ndarray) -> None:
        """Set the friction of bodies on the ground, shape [N]; on all else it stays.

        Only of bodies the engine was opened with as `gripping`.
        """
        ...
