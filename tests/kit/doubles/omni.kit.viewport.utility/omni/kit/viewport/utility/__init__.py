"""Double of omni.kit.viewport.utility: a viewport that is a real omni.ui window with a letterboxed picture in it.

A test opens one with `open_viewport`, shows pictures in it with `draw` and closes it with `close_viewport`.
"""

from __future__ import annotations

import numpy as np
import omni.ui as ui
import omni.usd

blank = 0
"""How often a viewport still has no render product: for a moment after a stage was opened."""


class ViewportAPI:
    """What a viewport shows."""

    __slots__ = ("__weakref__", "_serial", "camera_path", "resolution", "updates_enabled")

    _count = 0

    def __init__(self, resolution: tuple[int, int]) -> None:
        ViewportAPI._count += 1
        self._serial = ViewportAPI._count
        self.camera_path = "/OmniverseKit_Persp"
        self.resolution = resolution
        self.updates_enabled = True

    @property
    def id(self) -> str:
        return f"viewport{self._serial}"

    @property
    def render_product_path(self) -> str:
        global blank
        if blank:
            blank -= 1
            return ""
        width, height = self.resolution
        return f"/Render/OmniverseKit/HydraTextures/omni_kit_widget_viewport_{self._serial}_{width}x{height}"

    @property
    def stage(self) -> object:
        return omni.usd.get_context().get_stage()

    @property
    def usd_context_name(self) -> str:
        return ""


class ViewportWindow:
    """A window with a viewport; `get_frame` gives one lasting frame per key on top of the picture."""

    def __init__(self, title: str, width: int, height: int, resolution: tuple[int, int]) -> None:
        self.viewport_api = ViewportAPI(resolution)
        self.name = title
        self._window = ui.Window(title, width=width, height=height)
        self._frames: dict[str, ui.Frame] = {}
        self._provider = ui.ByteImageProvider()
        with self._window.frame:
            self._stack = ui.ZStack()
        with self._stack:
            ui.Rectangle(style={"background_color": 0xFF000000})
            ui.ImageWithProvider(self._provider, fill_policy=ui.IwpFillPolicy.IWP_PRESERVE_ASPECT_FIT)

    @property
    def title(self) -> str:
        return self.name

    def get_frame(self, frame_id: str) -> ui.Frame:
        if not isinstance(frame_id, str):
            raise TypeError("frame_id")
        if frame_id not in self._frames:
            with self._stack:
                self._frames[frame_id] = ui.Frame(horizontal_clipping=True)
        return self._frames[frame_id]

    def destroy(self) -> None:
        self._window.destroy()


_window: ViewportWindow | None = None


def get_active_viewport_window(window_name: str | None = None) -> ViewportWindow | None:
    return _window


def get_active_viewport(usd_context_name: str = "") -> ViewportAPI | None:
    return None if _window is None else _window.viewport_api


def open_viewport(
    *, width: int = 560, height: int = 420, resolution: tuple[int, int] = (320, 240), x: int = 700, y: int = 20
) -> ViewportWindow:
    """Open the viewport window."""
    global _window
    close_viewport()
    _window = ViewportWindow("Viewport", width, height, resolution)
    _window._window.position_x, _window._window.position_y = x, y
    return _window


def close_viewport() -> None:
    """Close the viewport window as a layout change does."""
    global _window
    if _window is not None:
        _window.destroy()
        _window = None


def draw(picture: np.ndarray) -> None:
    """Show a rendered picture, uint8 [H, W, 3]."""
    height, width = picture.shape[:2]
    rgba = np.dstack([picture, np.full((height, width), 255, np.uint8)])
    _window._provider.set_data_array(np.ascontiguousarray(rgba), [width, height])
