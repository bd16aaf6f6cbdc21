"""A stereo pair: a right camera beside the stage's own, which is the left one. Pure numpy.

Both have one lens and parallel axes, and the right one is displaced by the baseline along the left one's +X: with
OpenCV's names R = I and T = (-baseline, 0, 0), so that a pair whose lens does not distort is rectified as it stands.

Disparity is x_left - x_right of a point in the pinhole pictures of the pair, f · baseline / z (Hartley & Zisserman
2004, Multiple View Geometry, 9.5.1), z along the optical axis and f of the pinhole without distortion. It belongs to
the pixel of the left picture that sees the point. Of pictures through a distorting lens it is the disparity after both
were undistorted to the camera matrix they have (`Lens.matrix`): undistort the disparity as the left picture, each pixel
to the nearest, and it is that of the undistorted pair. In the distorted pictures themselves a point also moves down or
up; `right_positions` says where it is there.
"""

from __future__ import annotations

import numpy as np

from regolith.lunar.params import InputError, Params
from regolith.lunar.stage.lens import Lens
from regolith.lunar.stage.rover_viper import MOUNTS, pair_baseline_m

PAIR = ("right", "disparity")
"""Outputs of a frame that need a right camera."""


def baseline_m(params: Params) -> float:
    """Distance of the right camera from the left one [m]; 0 for no right camera.

    On a rover's rig it is that of the rig's own pair; all who ask, ask here.
    """
    camera = params.camera
    return camera.baseline_m if camera.rig == "mast" else pair_baseline_m(camera.view)


def check_pair(params: Params) -> None:
    """Refuse outputs of a stereo pair without one, and a baseline beside a rig's own.

    Raises:
        InputError: Naming `camera.baseline_m` or `camera.view`, and the output that needs it.
    """
    camera = params.camera
    wanted = [f"dataset.{name}" for name in PAIR if getattr(params.dataset, name)]
    if camera.rig != "mast":
        if camera.baseline_m > 0.0:
            raise InputError("camera.baseline_m", camera.baseline_m, f"0 m on the rig {camera.rig}, which has its own")
        if wanted and baseline_m(params) <= 0.0:
            pairs = ", ".join(view for view in MOUNTS if pair_baseline_m(view) > 0.0)
            raise InputError("camera.view", camera.view, f"{pairs}, with {wanted[0]}")
    elif wanted and baseline_m(params) <= 0.0:
        raise InputError("camera.baseline_m", baseline_m(params), f"above 0 m, with {wanted[0]}")


def disparity(depth: np.ndarray, lens: Lens, baseline: float) -> np.ndarray:
    """Disparity of what each pixel of the left picture sees, whether the right camera sees it too or not.

    Args:
        depth: Distance from the left lens along the pixel-centre ray [m], shape [H, W]; inf on sky.
        lens: The lens of both cameras.
        baseline: Distance of the cameras [m].

    Returns:
        x_left - x_right in the pinhole pictures [px], float32, shape [H, W]; 0 on sky, which is infinitely far.
    """
    height, width = depth.shape
    rays = lens.rays(*np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5))
    return (lens.focal_px * baseline * np.linalg.norm(rays, axis=-1) / depth).astype(np.float32)


def right_positions(disparity_px: np.ndarray, lens: Lens) -> np.ndarray:
    """Where the right picture shows what each pixel of the left one sees, unless something hides it there.

    Args:
        disparity_px: As `disparity` returns it, shape [H, W].
        lens: The lens of both cameras; through a distorting one positions differ in y too.

    Returns:
        (x, y) from the top left corner [px], inside the picture or not, float64, shape [H, W, 2].
    """
    height, width = disparity_px.shape
    rays = lens.rays(*np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5))
    rays[..., 0] -= disparity_px / lens.focal_px
    return lens.project(rays)
