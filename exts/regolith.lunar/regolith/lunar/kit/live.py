"""Live preview: the viewport's newest frame through the model (`panel.inference`), the result over the viewport.

The main thread's share is one short `tick` a frame: hand omni.ui a finished layer of bounded size, hand the model's
thread a plain copy of the newest picture. It never waits, at the end neither.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

import numpy as np
from PIL import Image

from regolith.lunar.kit.overlay import ViewportOverlay
from regolith.lunar.labels import ROCK
from regolith.lunar.panel.host import LiveSettings, LiveState
from regolith.lunar.panel.inference import LiveInference
from regolith.lunar.params import InputError
from regolith.lunar.perception.overlay import class_layer
from regolith.lunar.perception.session import Prediction
from regolith.lunar.system import join_command

LONG_SIDE_PX = 640
"""Frames are brought to this before inference: the model works at 512, and an upload of the layer stays below 1 ms."""
INSTALL = (
    f"onnxruntime for Isaac Sim's Python: {join_command([sys.executable, '-m', 'pip', 'install', 'onnxruntime'])}; "
    "on a GPU with CUDA 12 'onnxruntime-gpu<1.27' instead, newer ones want CUDA 13"
)
NO_VIEWPORT = "open a viewport to see the preview: Window > Viewport"


class Frames(Protocol):
    """Where a viewport's pictures come from (`render.viewport.ViewportFrames`)."""

    def attach(self, render_product_path: str) -> None:
        """Take pictures of a render product from now on."""
        ...

    def poll(self, width: int, height: int) -> np.ndarray | None:
        """Copy the newest picture of that size, uint8 [H, W, 3 or 4]; None while there is none.

        The next call may use the array again; there is none before the model is done with it.
        """
        ...

    def detach(self) -> None:
        """Take none any more."""
        ...


class Model(Protocol):
    """What the preview needs of `perception.session.Segmenter`."""

    provider: str

    def predict(self, rgb: np.ndarray) -> Prediction:
        """Segment a picture, uint8 [H, W, 3]."""
        ...


@dataclasses.dataclass(frozen=True)
class Result:
    """What the model made of a frame."""

    layer: np.ndarray
    """RGBA uint8 [H, W, 4]."""
    rock_share: float
    milliseconds: float
    at_rest: bool = False


def load_model(name: str) -> Model:
    """Load a model.

    Raises:
        InputError: It cannot be loaded, or onnxruntime is not installed.
    """
    try:
        from regolith.lunar.perception.session import Segmenter

        return Segmenter(name)
    except ImportError as error:
        raise InputError("preview", f"no onnxruntime ({error})", INSTALL) from None


def segment(model: Model, frame: np.ndarray, settings: LiveSettings) -> Result:
    """Segment a frame and draw the layer; on the model's thread.

    Args:
        model: Loaded model.
        frame: Picture, uint8 [H, W, 3 or 4].
        settings: Opacity and the classes on show.
    """
    rgb = scale_frame(frame)
    start = time.perf_counter()
    mask = model.predict(rgb).mask
    milliseconds = 1e3 * (time.perf_counter() - start)
    layer = class_layer(
        mask, opacity=settings.opacity, rock=settings.rock, outline=settings.outline, regolith=settings.regolith
    )
    return Result(np.ascontiguousarray(layer), float(np.mean(mask == ROCK)), milliseconds)


def scale_frame(frame: np.ndarray) -> np.ndarray:
    """Bring a frame without its alpha to at most `LONG_SIDE_PX`, uint8 [H, W, 3], at its own aspect ratio."""
    rgb = np.ascontiguousarray(frame[..., :3])
    height, width = rgb.shape[:2]
    scale = LONG_SIDE_PX / max(height, width)
    if scale >= 1.0:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))


class LivePreview:
    """A preview from its start to `close`; it outlives stages and viewports."""

    def __init__(
        self,
        settings: LiveSettings,
        frames: Frames,
        viewport: Callable[[], Any | None],
        *,
        load: Callable[[str], Model] = load_model,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Start it; the model is loaded on its thread.

        Args:
            settings: Model, looks and rate.
            frames: Where pictures come from.
            viewport: Returns the active viewport window, None without one.
            load: Loads a model by its name.
            clock: Seconds.
        """
        self._frames, self._viewport = frames, viewport
        self._settings = settings
        self._inference: LiveInference[Model, np.ndarray, Result] = LiveInference(
            segment, self._take, load, clock=clock
        )
        self._result: Result | None = None
        """What the model made of the newest frame, until it is shown."""
        self._overlay: ViewportOverlay | None = None
        self._product, self._size = "", (0, 0)
        self.ready = self._inference.set(settings)
        """Done once the model is loaded; InputError where it cannot be used."""

    @property
    def state(self) -> LiveState:
        """What it is doing."""
        return self._inference.state or LiveState()

    def change(self, settings: LiveSettings) -> Future[None]:
        """Go on with other settings; done once their model is loaded."""
        self._settings = settings
        return self._inference.set(settings)

    def tick(self) -> None:
        """Do the main thread's share of one frame."""
        if not self._attach():
            return
        result, self._result = self._result, None
        if result is not None and self._overlay is not None:
            self._overlay.show(result.layer)
            self._overlay.describe(self.state, legend=self._settings.legend)
        elif self.state.problem and self._overlay is not None:
            self._overlay.hide()
        if self._inference.ready:
            frame = self._frames.poll(*self._size)
            if frame is not None:
                self._inference.see(frame)

    def _take(self, result: Result) -> None:
        self._result = result

    def _attach(self) -> bool:
        """Whether there is a viewport; overlay and frames follow it when it or its render product changes."""
        window = self._viewport()
        if window is None:
            self.detach()
            self._inference.tell(NO_VIEWPORT)
            return False
        if self._overlay is None or self._overlay.window is not window:
            self.detach()
            self._overlay = ViewportOverlay(window)
        api = window.viewport_api
        product, self._size = api.render_product_path, (int(api.resolution[0]), int(api.resolution[1]))
        if product != self._product:
            self._frames.detach()
            self._frames.attach(product)
            self._product = product
            self._forget()
        return True

    def _forget(self) -> None:
        """Show nothing that comes of what the viewport had before."""
        self._inference.forget()
        self._result = None

    def detach(self) -> None:
        """Let go of viewport and render product (stage or viewport closing); the next `tick` looks for them again."""
        if self._product:
            self._frames.detach()
            self._product = ""
        if self._overlay is not None:
            self._overlay.destroy()
            self._overlay = None
        self._forget()

    def close(self) -> None:
        """End it at once; the model's thread drops what it has in hand, a model it loads too, and ends by itself."""
        self.detach()
        self._inference.end()
