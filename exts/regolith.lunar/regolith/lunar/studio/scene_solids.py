"""Ground, rocks, rover, shadows and light of the 3D view."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from regolith.lunar.stage.mesh import Heightfield, TriMesh
from regolith.lunar.stage.spec import FrameSpec, Stance
from regolith.lunar.studio.scene_aim import sun_of
from regolith.lunar.studio.scene_mesh import SceneMesh, StageContent, build_mesh, quaternions
from regolith.lunar.studio.scene_rover import ROVER, RoverNodes
from regolith.lunar.studio.scene_shadow import Casters, Sunset, cut_shadows, make_casters, shaded_rocks

if TYPE_CHECKING:
    import viser

SOIL = (116, 114, 110)
"""Colour of the ground, sRGB."""

DARKNESS = 0.74
"""Opacity of a shadow; what lies in it can still be told."""

SUNLIGHT = 5.0
"""Intensity of a sun at the zenith. Lower ones are brighter, as if the exposure were longer."""

LOWEST = 0.1
"""Sine of the elevation below which the sun gets no brighter."""

FILL = 0.8
"""Intensity of light from everywhere."""


@dataclasses.dataclass(frozen=True)
class Solid:
    """What is shown of one stage."""

    content: StageContent
    mesh: SceneMesh
    casters: Casters
    ground: Heightfield
    """Heights of the working area, for what lies on it."""

    @classmethod
    def of(cls, content: StageContent, triangles: int) -> Solid:
        """Thin what was read of a stage; the ground gets at most so many triangles."""
        mesh = build_mesh(content, triangles=triangles)
        heights = Heightfield(mesh.lattice.astype(np.float32), 2.0 * content.half_m / (len(mesh.lattice) - 1))
        return cls(content, mesh, make_casters(content, mesh), heights)


@dataclasses.dataclass(frozen=True)
class Shadows:
    """What lies in shadow under one sun."""

    ground: TriMesh
    rocks: np.ndarray
    """Whether each rock does, bool, shape [N]."""

    @classmethod
    def of(cls, solid: Solid, sun: np.ndarray) -> Shadows:
        """Find the shadows of a stage under a sun in a direction, shape [3]."""
        sunset = Sunset(solid.casters, sun)
        return cls(cut_shadows(solid.content, solid.mesh, sunset), shaded_rocks(solid.content, sunset))


class Solids:
    """The nodes of ground, rocks, rover, shadows and light."""

    def __init__(self, scene: viser.SceneApi) -> None:
        self._scene = scene
        self.sun = scene.add_light_directional("/light/sun", position=(0.0, 0.0, 1.0), intensity=0.0)
        scene.add_light_ambient("/light/fill", intensity=FILL)
        self._shadow: Any = None
        self._rocks: list[tuple[Any, np.ndarray]] = []
        self._shades: tuple[float, np.ndarray] | None = None
        self._rover: RoverNodes | None = None

    def light(self, spec: FrameSpec) -> None:
        """Point the sun; level ground is as bright under a low one as under a high one, but for the lowest."""
        sun = sun_of(spec)
        self.sun.position = sun
        self.sun.intensity = SUNLIGHT / max(float(sun[2]), LOWEST) ** 0.7

    def replace(self, solid: Solid) -> None:
        """Show another stage, without shadows yet."""
        self.clear()
        ground = solid.mesh.ground
        self._scene.add_mesh_simple(
            "/ground", ground.points, ground.faces, color=SOIL, cast_shadow=False, receive_shadow=False
        )
        rocks = solid.content.rocks
        turns = quaternions(rocks.turn)
        for number, batch in enumerate(solid.mesh.batches):
            handle = self._scene.add_batched_meshes_simple(
                f"/rocks/{number:03d}", batch.mesh.points, batch.mesh.faces, turns[batch.index],
                rocks.position[batch.index].astype(np.float32),
                batched_scales=rocks.scale[batch.index].astype(np.float32),
                batched_colors=np.tile(np.array(SOIL, np.uint8), (len(batch.index), 1)),
                flat_shading=True, lod="off", cast_shadow=False, receive_shadow=False,
            )  # fmt: skip
            self._rocks.append((handle, batch.index))
        if solid.content.rover:
            self._rover = RoverNodes(self._scene, solid.content.rover)

    def stand(self, stance: Stance | None) -> None:
        """Put the rover, where there is one, as it stands in a frame."""
        if self._rover is not None and stance is not None:
            self._rover.place(stance)

    def shade(self, shadows: Shadows, ratio: float) -> None:
        """Show the shadows.

        Args:
            shadows: Of the stage shown.
            ratio: Rock albedo over ground albedo.
        """
        points, faces = shadows.ground.points, shadows.ground.faces.astype(np.uint32)
        if not len(faces):
            if self._shadow is not None:
                self._shadow.visible = False
        elif self._shadow is None:
            self._shadow = self._scene.add_mesh_simple(
                "/shadow", points, faces, color=(0, 0, 0), opacity=DARKNESS, cast_shadow=False, receive_shadow=False
            )
        else:
            self._shadow.vertices, self._shadow.faces, self._shadow.visible = points, faces, True
        if self._shades is not None and self._shades[0] == ratio and (self._shades[1] == shadows.rocks).all():
            return
        self._shades = ratio, shadows.rocks
        left = 1.0 - DARKNESS * shadows.rocks
        grey = 255.0 * (np.array(SOIL) / 255.0) * (ratio * left[:, None]) ** (1.0 / 2.2)
        colours = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
        for handle, index in self._rocks:
            handle.batched_colors = colours[index]

    def clear(self) -> None:
        """Show nothing but the light."""
        for name in ("/ground", "/shadow", "/rocks", ROVER):
            self._scene.remove_by_name(name)
        self._rocks, self._shadow, self._shades, self._rover = [], None, None, None
