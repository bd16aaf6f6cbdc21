"""The camera's path of a film in the 3D view: a line, and a small frustum at each key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from regolith.lunar.studio.scene_aim import CameraPose

if TYPE_CHECKING:
    import viser

COLOUR = (232, 196, 92)
DEPTH_M = 0.55
"""Length of a key's frustum along its axis [m]."""
PLACES = 200
"""Most corners of the line."""


class PathMark:
    """Line and frusta; nothing where there is no path."""

    def __init__(self, scene: viser.SceneApi) -> None:
        self._scene = scene
        self._frusta: list[Any] = []
        self._line = scene.add_line_segments(
            "/film/path",
            np.zeros((1, 2, 3), np.float32),
            COLOUR,
            thickness=2.0,
            thickness_units="screen",
            visible=False,
        )

    def place(self, eye_m: np.ndarray, poses: Sequence[CameraPose]) -> None:
        """Show a path.

        Args:
            eye_m: Lens frame by frame [m], shape [N, 3]; N is 0 for no path.
            poses: Camera at each key.
        """
        thin = np.unique(np.linspace(0, max(len(eye_m) - 1, 0), PLACES).round().astype(int))
        self._line.visible = len(eye_m) > 1
        if self._line.visible:
            places = eye_m[thin]
            self._line.points = np.stack([places[:-1], places[1:]], axis=1).astype(np.float32)
        while len(self._frusta) < len(poses):
            self._frusta.append(self._frustum(len(self._frusta)))
        for index, frustum in enumerate(self._frusta):
            frustum.visible = index < len(poses)
            if index < len(poses):
                pose = poses[index]
                y = np.tan(0.5 * pose.fov_rad)
                frustum.fov, frustum.aspect = pose.fov_rad, pose.aspect
                frustum.scale = DEPTH_M * float(np.cbrt(y * y * pose.aspect / 3.0))  # viser's frusta have equal volumes
                frustum.position = pose.position
                frustum.wxyz = Rotation.from_matrix(pose.axes).as_quat(scalar_first=True)

    def _frustum(self, index: int) -> Any:
        return self._scene.add_camera_frustum(
            f"/film/key_{index}", 0.6, 16 / 9, color=COLOUR, thickness=1.5, thickness_units="screen",
            cast_shadow=False, receive_shadow=False,
        )  # fmt: skip
