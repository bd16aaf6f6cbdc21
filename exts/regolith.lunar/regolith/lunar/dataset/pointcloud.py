"""Point clouds out of depth: what each pixel sees, in the camera's frame and in the world's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from regolith.lunar.params import InputError
from regolith.lunar.stage.lens import TO_USD, Lens
from regolith.lunar.stage.pose import camera_matrix
from regolith.lunar.stage.spec import Stance

CAMERA = ("camera_x_m", "camera_y_m", "camera_z_m", "heading_deg", "pitch_deg", "roll_deg", "fov_deg")
"""Values of a frame's spec that fix its camera; `lens_k1` and `lens_k2` beside them where the lens distorts, and
`rover` where one carries it."""


@dataclasses.dataclass(frozen=True)
class FrameCamera:
    """A frame's camera: where it stands and how it projects.

    Camera frame: x right, y down, z forward (OpenCV). World frame: the stage's, z up.
    """

    lens: Lens
    camera_to_world: np.ndarray
    """Pose for column vectors, p_world = R p_camera + t, float64, shape [4, 4]."""

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], width: int, height: int) -> FrameCamera:
        """Make the view of a frame from what it was drawn from (`FrameSpec.to_dict`).

        Args:
            spec: Values by name.
            width: Picture width [px].
            height: Picture height [px].

        Raises:
            InputError: A value that fixes the camera is missing, as in frames that were not generated.
        """
        missing = [name for name in CAMERA if name not in spec]
        if missing:
            raise InputError(f"spec.{missing[0]}", None, "the camera of a frame drawn by `regolith generate`")
        x, y, z, heading, pitch, roll, fov = (float(spec[name]) for name in CAMERA)
        k1, k2 = float(spec.get("lens_k1", 0.0)), float(spec.get("lens_k2", 0.0))
        rover = spec.get("rover")
        stance = Stance.from_dict(rover) if rover is not None and rover["carries"] else None
        usd = camera_matrix((x, y, z), heading, pitch, roll, stance=stance)
        pose = np.eye(4)
        pose[:3, :3] = (TO_USD[:, None] * usd[:3, :3]).T
        pose[:3, 3] = usd[3, :3]
        return cls(Lens.from_fov(fov, width, height, k1=k1, k2=k2), pose)

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Points of the camera frame in the world frame [m], shape [..., 3]."""
        return points @ self.camera_to_world[:3, :3].T + self.camera_to_world[:3, 3]


def unproject(depth: np.ndarray, lens: Lens) -> tuple[np.ndarray, np.ndarray]:
    """Turn depth into points.

    Args:
        depth: Distance from the lens along the pixel-centre ray [m], shape [H, W]; not finite where nothing is.
        lens: The camera's projection.

    Returns:
        Points in the camera frame [m], float64, shape [N, 3], and their pixels (column, row), int64, shape [N, 2], by
        row; without the pixels that see nothing.
    """
    rows, columns = np.nonzero(np.isfinite(depth))
    rays = lens.rays(columns + 0.5, rows + 0.5)
    points = rays * (depth[rows, columns] / np.linalg.norm(rays, axis=-1))[:, None]
    seen = np.isfinite(points).all(axis=-1)  # beyond the fold a lens shows nothing
    return points[seen], np.stack([columns, rows], axis=-1)[seen]


def point_cloud(arrays: Mapping[str, np.ndarray], view: FrameCamera) -> dict[str, np.ndarray]:
    """Make a frame's point cloud.

    Args:
        arrays: Outputs by name: depth, rgb, mask and, where there is one, instance.
        view: The frame's camera.

    Returns:
        points_camera, points_world (float32 [N, 3], metres), rgb (uint8 [N, 3]), class (uint8 [N]), instance (uint16
        [N], where given), pixel (uint16 [N, 2]: column, row; its centre is half a pixel further), camera_to_world
        (float64 [4, 4], column vectors), K (float64 [3, 3], positions from the picture's corner), dist (float64 [5],
        OpenCV's k1, k2, p1, p2, k3).
    """
    points, pixel = unproject(arrays["depth"], view.lens)
    columns, rows = pixel.T
    cloud = {
        "points_camera": points.astype(np.float32),
        "points_world": view.to_world(points).astype(np.float32),
        "rgb": arrays["rgb"][rows, columns],
        "class": arrays["mask"][rows, columns],
    }
    if "instance" in arrays:
        cloud["instance"] = arrays["instance"][rows, columns]
    return cloud | {
        "pixel": pixel.astype(np.uint16),
        "camera_to_world": view.camera_to_world,
        "K": view.lens.matrix,
        "dist": view.lens.coefficients,
    }
