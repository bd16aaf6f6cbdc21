"""Sun and rover camera in the 3D view, and the handles they are aimed by."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from regolith.lunar.stage.mesh import Heightfield
from regolith.lunar.stage.shapes import icosphere
from regolith.lunar.stage.spec import FrameSpec
from regolith.lunar.studio.scene_aim import CameraPose, Turn, angles, direction, limited, on_level, sun_of

if TYPE_CHECKING:
    import viser

Aim = Callable[[dict[str, float]], None]

SUN_COLOUR = (255, 196, 84)
ROVER_COLOUR = (92, 184, 255)

DOME_M = 4.0
"""Radius of the dome the sun's handle moves on [m]."""

RIM_M = 0.04
"""Height of the dome's rim above the ground [m]."""

DEPTH_M = 1.4
"""Length of the camera's frustum along its axis [m]."""

TARGET_M = 3.0
"""Distance of the handle on the camera's axis from the lens [m]."""

DOUBLE_CLICK_S = 2.5
"""Longest time between the clicks of a double click [s], as they arrive: a busy page holds the second back,
and one click does nothing."""


class SunMark:
    """A ball on a dome around the rover: the direction to the sun."""

    def __init__(self, scene: viser.SceneApi, aim: Aim) -> None:
        self._aim = aim
        self.centre, self.sun = np.zeros(3), np.array([0.0, 0.0, 1.0])
        line: dict[str, Any] = {"thickness": 1.5, "thickness_units": "screen"}
        nothing = np.zeros((1, 2, 3), np.float32)
        self._ring = scene.add_line_segments("/sun/ring", nothing, (96, 78, 46), **line)
        self._arc = scene.add_line_segments("/sun/arc", nothing, (150, 116, 56), **line)
        self._ray = scene.add_line_segments("/sun/ray", nothing, SUN_COLOUR, **line)
        self.ball = scene.add_glb("/sun/ball", _ball(0.22, SUN_COLOUR))
        self._label = scene.add_label("/sun/label", "", anchor="bottom-center", font_screen_scale=0.85)
        self._turns: dict[int, Turn] = {}
        self.ball.on_drag(self._dragged)

    def place(self, spec: FrameSpec, foot: np.ndarray, ground: Heightfield | None) -> None:
        """Show a frame's sun.

        Args:
            spec: The frame.
            foot: Ground under the rover camera [m], shape [3].
            ground: What the dome stands on; None for level ground.
        """
        self.centre, self.sun = foot, sun_of(spec)
        place = foot + DOME_M * self.sun
        self.ball.position = place
        self._label.position = place + np.array([0.0, 0.0, 0.35])
        self._label.text = f"sun {spec['sun_elevation_deg']:.1f}° · az {spec['sun_azimuth_deg'] % 360:.0f}°"
        rim = _circle() + foot
        if ground is not None:
            rim[:, 2] = ground.facet_height(rim[:, 0], rim[:, 1])
        self._ring.points = _joined(rim + np.array([0.0, 0.0, RIM_M]))
        heights = np.linspace(0.0, spec["sun_elevation_deg"], 25)
        arc = np.array([direction(height, spec["sun_azimuth_deg"]) for height in heights]) * DOME_M
        self._arc.points = _joined(arc + foot)
        self._ray.points = _joined(np.stack([foot, place]))

    async def _dragged(self, event: Any) -> None:
        """Follow a drag; a coroutine function, so that viser calls it in order."""
        eye = event.client.camera.position
        if event.phase == "start":
            grabbed = np.array(event.start_position)
            self._turns[event.client_id] = Turn(self.centre, DOME_M, np.array(self.ball.position), grabbed, eye)
        if turn := self._turns.get(event.client_id):
            elevation, azimuth = angles(turn.to(np.array(event.end_position), eye))
            elevation = limited("sun_elevation_deg", elevation)
            self._aim({"sun_elevation_deg": elevation, "sun_azimuth_deg": azimuth})
        if event.phase == "end":
            self._turns.pop(event.client_id, None)


class RoverMark:
    """The rover camera's frustum on its mast: its foot moves it over the ground, a ball on its axis aims it."""

    def __init__(self, scene: viser.SceneApi, aim: Aim, look: Callable[[viser.ClientHandle], None]) -> None:
        """Add it to a scene.

        Args:
            scene: Scene of the server.
            aim: Takes what a drag asks for.
            look: Called with the tab that double-clicked the camera.
        """
        self._aim, self._look = aim, look
        self.half_m = 0.0
        """Half the side of the square the foot stays in [m]."""
        line: dict[str, Any] = {"thickness": 1.5, "thickness_units": "screen"}
        nothing = np.zeros((1, 2, 3), np.float32)
        self.frustum = scene.add_camera_frustum(
            "/rover/frustum", 0.6, 4 / 3, color=ROVER_COLOUR, thickness=2.0, thickness_units="screen",
            cast_shadow=False, receive_shadow=False,
        )  # fmt: skip
        self._mast = scene.add_line_segments("/rover/mast", nothing, ROVER_COLOUR, **line)
        self._axis = scene.add_line_segments("/rover/axis", nothing, (58, 108, 150), **line)
        self.foot = scene.add_glb("/rover/foot", _disc(0.30, 0.08, ROVER_COLOUR))
        self.body = scene.add_glb("/rover/body", _box((0.34, 0.26, 0.30), ROVER_COLOUR))
        self.target = scene.add_glb("/rover/target", _ball(0.07, ROVER_COLOUR))
        self._pose: CameraPose | None = None
        self._turns: dict[int, Turn] = {}
        self._moves: dict[tuple[int, str], np.ndarray] = {}
        self._clicked: dict[int, float] = {}
        for handle in (self.foot, self.body):
            handle.on_drag(self._moved)
        self.target.on_drag(self._turned)
        self.body.on_click(self._clicks)

    def place(self, spec: FrameSpec, width: int, height: int) -> np.ndarray:
        """Show a frame's camera; returns the foot of its mast [m], shape [3]."""
        self._pose = pose = CameraPose.of(spec, width, height)
        foot = pose.position - np.array([0.0, 0.0, spec["height_m"]])
        target = pose.position + TARGET_M * pose.forward
        y = np.tan(0.5 * pose.fov_rad)
        self.frustum.fov, self.frustum.aspect = pose.fov_rad, pose.aspect
        self.frustum.scale = DEPTH_M * float(np.cbrt(y * y * pose.aspect / 3.0))  # viser's frusta have equal volumes
        self.frustum.position = pose.position
        self.frustum.wxyz = self.body.wxyz = Rotation.from_matrix(pose.axes).as_quat(scalar_first=True)
        self.body.position = pose.position - 0.18 * pose.forward
        self.foot.position, self.target.position = foot, target
        self._mast.points = _joined(np.stack([foot, pose.position]))
        self._axis.points = _joined(np.stack([pose.position + DEPTH_M * pose.forward, target]))
        return foot

    async def _moved(self, event: Any) -> None:
        """Move the mast over the ground, on the level it was taken at."""
        key = event.client_id, event.target.name
        eye, start = event.client.camera.position, np.array(event.start_position)
        if event.phase == "start":
            self._moves[key] = np.array([*(np.array(self.foot.position) - start)[:2], start[2]])
        if (taken := self._moves.get(key)) is not None:
            place = on_level(eye, np.array(event.end_position), taken[2])
            if place is not None:
                x, y = np.clip(place[:2] + taken[:2], -self.half_m, self.half_m).tolist()
                self._aim({"camera_x_m": x, "camera_y_m": y})
        if event.phase == "end":
            self._moves.pop(key, None)

    async def _turned(self, event: Any) -> None:
        """Turn the camera to the ball on its axis."""
        eye, pose = event.client.camera.position, self._pose
        if event.phase == "start" and pose is not None:
            ball, grabbed = np.array(self.target.position), np.array(event.start_position)
            self._turns[event.client_id] = Turn(pose.position, TARGET_M, ball, grabbed, eye)
        if turn := self._turns.get(event.client_id):
            pitch, heading = angles(turn.to(np.array(event.end_position), eye))
            self._aim({"heading_deg": heading, "pitch_deg": limited("pitch_deg", pitch)})
        if event.phase == "end":
            self._turns.pop(event.client_id, None)

    async def _clicks(self, event: Any) -> None:
        now = time.monotonic()
        if now - self._clicked.pop(event.client_id, -1e9) < DOUBLE_CLICK_S:
            self._look(event.client)
        else:
            self._clicked[event.client_id] = now


@functools.lru_cache
def _circle() -> np.ndarray:
    """The dome's rim about the origin [m], shape [N, 3]."""
    turns = np.linspace(0.0, 360.0, 145)
    return np.array([direction(0.0, turn) for turn in turns]) * DOME_M


def _joined(points: np.ndarray) -> np.ndarray:
    """Polyline, shape [N, 3], as segments, float32, shape [N - 1, 2, 3]."""
    return np.stack([points[:-1], points[1:]], axis=1).astype(np.float32)


@functools.lru_cache
def _ball(radius: float, colour: tuple[int, int, int]) -> bytes:
    points, faces = icosphere(3)
    return _glowing(points * radius, faces, colour)


@functools.lru_cache
def _disc(radius: float, height: float, colour: tuple[int, int, int]) -> bytes:
    import trimesh

    disc = trimesh.creation.cylinder(radius, height, sections=40)
    return _glowing(np.asarray(disc.vertices), np.asarray(disc.faces), colour)


@functools.lru_cache
def _box(size: tuple[float, float, float], colour: tuple[int, int, int]) -> bytes:
    import trimesh

    box = trimesh.creation.box(size)
    return _glowing(np.asarray(box.vertices), np.asarray(box.faces), colour)


def _glowing(points: np.ndarray, faces: np.ndarray, colour: tuple[int, int, int]) -> bytes:
    """Binary glTF of a mesh that shows its colour whatever the light."""
    import trimesh
    from trimesh.exchange.gltf import export_glb
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    glow = (np.array(colour) / 255.0) ** 2.2
    material = PBRMaterial(
        baseColorFactor=[0, 0, 0, 255], emissiveFactor=glow.tolist(), metallicFactor=0.0, roughnessFactor=1.0
    )
    look = TextureVisuals(uv=np.zeros((len(points), 2)), material=material)
    return export_glb(trimesh.Scene(trimesh.Trimesh(points, faces, process=False, visual=look)))
