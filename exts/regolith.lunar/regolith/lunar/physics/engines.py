"""The engines there are, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pxr import Usd

from regolith.lunar.physics.engine import Engine
from regolith.lunar.physics.mujoco import MujocoEngine
from regolith.lunar.physics.ovphysx import PhysxEngine
from regolith.lunar.physics.read import read_world
from regolith.lunar.physics.world import World

TIMESTEP_S = 0.005
"""Step of a simulation [s]."""

EngineName = Literal["mujoco", "ovphysx"]


def open_engine(
    stage: Usd.Stage | World,
    *,
    engine: EngineName = "mujoco",
    timestep_s: float = TIMESTEP_S,
    gripping: Sequence[str] = (),
) -> Engine:
    """Load a stage into an engine, at its authored state.

    Args:
        stage: Stage in metres, Z up, or what was read of one (`physics.read.read_world`).
        engine: Which.
        timestep_s: Step [s].
        gripping: Bodies whose friction on the ground will be set (`Engine.set_grip`).

    Raises:
        InputError: The engine is not installed, or something on the stage cannot be simulated; names its prim.
    """
    world = stage if isinstance(stage, World) else read_world(stage)
    kinds: dict[EngineName, type[MujocoEngine | PhysxEngine]] = {"mujoco": MujocoEngine, "ovphysx": PhysxEngine}
    return kinds[engine](world, timestep_s=timestep_s, gripping=gripping)
