"""The rover of a stage in the 3D view."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from pxr import Usd, UsdGeom

from regolith.lunar.stage import schema
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.reading import read_mesh
from regolith.lunar.stage.rover import LOOKS
from regolith.lunar.stage.rover_stance import rover_places
from regolith.lunar.stage.spec import Stance

if TYPE_CHECKING:
    import viser

ROVER = "/machine"
"""Node of the rover; that of the camera's marks is another."""

BRIGHTER = 1.6
"""Colours over those of the materials: the ground's is brighter than its albedo, too."""

RoverMeshes = dict[str, dict[str, TriMesh]]
"""Path of a body to its meshes, each by the name of its material, in the body's frame [m]."""


def read_rover(stage: Usd.Stage) -> RoverMeshes:
    """Read the meshes of a stage's rover; none where there is none."""
    rover = stage.GetPrimAtPath(schema.ROVER)
    found: RoverMeshes = {}
    for body in rover.GetChildren() if rover else ():
        meshes = {prim.GetName(): read_mesh(prim) for prim in body.GetChildren() if prim.IsA(UsdGeom.Mesh)}
        if meshes:
            found[str(body.GetPath())] = meshes
    return found


class RoverNodes:
    """One node a body, below that of the rover."""

    def __init__(self, scene: viser.SceneApi, meshes: RoverMeshes) -> None:
        """Add them.

        Args:
            scene: Scene of the server.
            meshes: Of the bodies.
        """
        self._nodes: dict[str, Any] = {schema.ROVER: scene.add_frame(ROVER, show_axes=False)}
        for path, parts in meshes.items():
            name = f"{ROVER}/{path.rpartition('/')[2]}"
            self._nodes[path] = scene.add_glb(name, body_glb(parts), cast_shadow=False, receive_shadow=False)

    def place(self, stance: Stance) -> None:
        """Put the rover as it stands, its wheels ahead."""
        for path, (place, turn) in rover_places(stance).items():
            node = self._nodes[path]
            node.position = np.array(place)
            node.wxyz = np.array([turn.GetReal(), *turn.GetImaginary()])


def body_glb(parts: dict[str, TriMesh]) -> bytes:
    """Binary glTF of a body's meshes in the colours of their materials, none of them metal: there is no sky to mirror.

    Args:
        parts: Meshes by the names of their materials.
    """
    import trimesh
    from trimesh.exchange.gltf import export_glb
    from trimesh.visual import TextureVisuals

    scene = trimesh.Scene()
    for name, mesh in parts.items():
        corners = np.asarray(mesh.points, np.float64)[mesh.faces].reshape(-1, 3)  # flat sides: no corner is shared
        faces = np.arange(len(corners)).reshape(-1, 3)
        look = TextureVisuals(uv=np.zeros((len(corners), 2)), material=_material(name))
        scene.add_geometry(trimesh.Trimesh(corners, faces, process=False, visual=look), geom_name=name)
    return export_glb(scene)


@functools.lru_cache
def _material(name: str) -> Any:
    from trimesh.visual.material import PBRMaterial

    look = LOOKS.get(name, LOOKS["White"])
    colour = [round(255.0 * min(part * BRIGHTER, 1.0)) for part in look.colour]
    return PBRMaterial(baseColorFactor=[*colour, 255], metallicFactor=0.0, roughnessFactor=max(look.roughness, 0.4))
