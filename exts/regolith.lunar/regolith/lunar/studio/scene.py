"""The stage in the browser's 3D view: ground, rocks, sun and rover camera, with handles that aim them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from regolith.lunar.stage.spec import FrameSpec

if TYPE_CHECKING:
    import viser
    from pxr import Usd


class SceneView:
    """What a page shows in its middle; scene nodes are shared by all tabs.

    Every method may be called from any thread. Geometry is made on a thread of its own; the stage is read before
    `show` returns and never touched again.
    """

    def __init__(self, server: viser.ViserServer, aim: Callable[[dict[str, float]], None]) -> None:
        """Make an empty view.

        Args:
            server: Server whose pages show it.
            aim: Takes values by their names in `FrameSpec.values`, or camera_x_m and camera_y_m, while a handle is
                dragged, at most 30 times a second; called on a thread of viser's, so that it only passes them on.
        """
        raise NotImplementedError

    def show(self, stage: Usd.Stage, spec: FrameSpec, w: int, h: int) -> None:
        """Show a stage of the `stage.schema` layout, seen by a frame of w × h pixels."""
        raise NotImplementedError

    def move(self, spec: FrameSpec) -> None:
        """Move sun and rover camera to those of a frame; cheap."""
        raise NotImplementedError

    def picture(self, rgb: np.ndarray | None) -> None:
        """Show a picture in the rover camera's frustum, uint8, shape [H, W, 3]; None for none."""
        raise NotImplementedError

    def look_through(self, client: viser.ClientHandle) -> None:
        """Put one tab's eye where the rover camera is."""
        raise NotImplementedError

    def look_over(self, client: viser.ClientHandle) -> None:
        """Put one tab's eye behind and above the rover camera."""
        raise NotImplementedError

    def close(self) -> None:
        """End the view's thread."""
        raise NotImplementedError
