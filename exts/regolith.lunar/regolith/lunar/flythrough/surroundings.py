"""Ground and rocks of a stage file, for a camera that keeps clear of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from pxr import Usd, UsdGeom

from regolith.lunar.params import Params
from regolith.lunar.physics.course import open_stage
from regolith.lunar.physics.read import read_terrain
from regolith.lunar.physics.sight import frame_shown
from regolith.lunar.stage import schema
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.reading import read_mesh
from regolith.lunar.stage.terrain import Terrain


@dataclasses.dataclass(frozen=True)
class StageRocks:
    """The rocks of a stage (`stage.scene.Rocks`); N of them."""

    position: np.ndarray
    """Origins in the world frame [m], float64, shape [N, 3]."""
    radius: np.ndarray
    """Largest horizontal distances from them [m], float64, shape [N]."""
    meshes: tuple[TriMesh, ...]
    """In the world frame."""

    def mesh(self, index: int) -> TriMesh:
        """One rock's mesh in the world frame."""
        return self.meshes[index]


@dataclasses.dataclass(frozen=True)
class StageSurroundings:
    """What a stage has of a scene (`stage.scene.Surroundings`)."""

    params: Params
    terrain: Terrain
    rocks: StageRocks


def read_surroundings(path: Path, params: Params) -> StageSurroundings:
    """Read ground and rocks off a stage file.

    Args:
        path: The file.
        params: Parameters of the camera.

    Raises:
        InputError: It cannot be opened, or has no ground.
    """
    stage = open_stage(path)
    return StageSurroundings(params, read_terrain(stage), _read_rocks(stage))


def parameters_shown(path: Path) -> dict[str, object] | None:
    """Parameters of the scene that a stage file shows, as plain values; None where it says none.

    Raises:
        InputError: It cannot be opened, or what it says is none.
    """
    shown = frame_shown(open_stage(path))
    return None if shown is None else shown[0].model_dump(mode="json")


def _read_rocks(stage: Usd.Stage) -> StageRocks:
    cache, scope = UsdGeom.XformCache(), stage.GetPrimAtPath(schema.ROCKS)
    position, radius, meshes = [], [], []
    for prim in scope.GetChildren() if scope else ():
        matrix, mesh = np.array(cache.GetLocalToWorldTransform(prim)), read_mesh(prim)
        points = mesh.points.astype(np.float64) @ matrix[:3, :3] + matrix[3, :3]
        position.append(matrix[3, :3])
        radius.append(np.hypot(*(points[:, :2] - matrix[3, :2]).T).max(initial=0.0))
        meshes.append(TriMesh(points=points, faces=mesh.faces))
    return StageRocks(np.array(position).reshape(-1, 3), np.array(radius), tuple(meshes))
