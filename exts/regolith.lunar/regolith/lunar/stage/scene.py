"""A scene: what stays while light and camera move."""

from __future__ import annotations

import dataclasses

from regolith.lunar.params import Params
from regolith.lunar.stage.rocks import RockField
from regolith.lunar.stage.spec import SceneSpec, Stance
from regolith.lunar.stage.terrain import Terrain


@dataclasses.dataclass(frozen=True)
class Scene:
    """One scene: everything that stays while light and camera move."""

    params: Params
    spec: SceneSpec
    terrain: Terrain
    rocks: RockField
    rover: Stance | None = None
    """Where a rover stands that does not carry the camera."""
