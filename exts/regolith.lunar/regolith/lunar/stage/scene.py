"""A scene: what stays while light and camera move."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from regolith.lunar.params import Params
from regolith.lunar.stage.mesh import TriMesh
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


class Rocks(Protocol):
    """Rocks that a camera keeps clear of; arrays share the length N (`rocks.RockField`)."""

    @property
    def position(self) -> np.ndarray:
        """Origins of their meshes in the world frame [m], shape [N, 3]."""
        ...

    @property
    def radius(self) -> np.ndarray:
        """Largest horizontal distance of each mesh from its origin [m], shape [N]."""
        ...

    def mesh(self, index: int) -> TriMesh:
        """One rock's mesh in the world frame."""
        ...


class Surroundings(Protocol):
    """What a camera keeps clear of: a scene, or what a stage has of one."""

    @property
    def params(self) -> Params:
        """Parameters of the camera."""
        ...

    @property
    def terrain(self) -> Terrain:
        """The ground."""
        ...

    @property
    def rocks(self) -> Rocks:
        """The rocks."""
        ...
