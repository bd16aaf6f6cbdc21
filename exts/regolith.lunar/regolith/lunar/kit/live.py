"""Live preview: the viewport's newest frame through the model on a worker thread, the result over the viewport.

The main thread's share is one short `tick` a frame: hand omni.ui a finished layer of bounded size, hand the worker a
plain copy of the newest picture. It never waits, at the end neither.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from PIL import Image

from regolith.lunar.kit.overlay import ViewportOverlay
from regolith.lunar.labels import ROCK
from regolith.lunar.panel.host import LiveSettings, LiveState
from regolith.lunar.params import InputError
from regolith.lunar.perception.overlay import class_layer
from regolith.lunar.perception.session import Prediction

LONG_SIDE_PX = 640
"""Frames are brought to this before inference: the model works at 512, and an upload of the layer stays below 1 ms."""
SMOOTHING = 0.2
"""Weight of the newest frame in milliseconds and frames/s."""
INSTALL = "onnxruntime for Isaac Sim's Python: ./python.sh -m pip install onnxruntime-gpu (or onnxruntime for the CPU)"
NO_VIEWPORT = "open a viewport to see the preview: Window > Viewport"

_log = logging.getLogger(__name__)


class Frames(Protocol):
    """Where a viewport's pictures come from (`render.viewport.ViewportFrames`)."""

    def attach(self, render_product_path: str) -> None:
        """Take pictures of a render product from now on."""
        ...

    def poll(self, width: int, height: int) -> np.ndarray | None:
        """Copy the newest picture of that size, uint8 [H, W, 3 or 4]; None while there is none.

        The next call may use the array again; there is none before the worker is done with it.
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
    """What the worker made of a frame."""

    layer: np.ndarray
    """RGBA uint8 [H, W, 4]."""
    rock_share: float
    milliseconds: float


def load_model(name: str) -> Model:
    """Load a model on the worker thread.

    Raises:
        InputError: It cannot be loaded, or onnxruntime is not installed.
    """
    try:
        from regolith.lunar.perception.session import Segmenter

        return Segmenter(name)
    except ImportError as error:
        raise InputError("preview", f"no onnxruntime ({error})", INSTALL) from None


def segment(model: Model, frame: np.ndarray, settings: LiveSettings) -> Result:
    """Segment a frame and draw the layer; on the worker thread.

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
        """Start it; the model is loaded on the worker thread.

        Args:
            settings: Model, looks and rate.
            frames: Where pictures come from.
            viewport: Returns the active viewport window, None without one.
            load: Loads a model by its name.
            clock: Seconds.
        """
        self._frames, self._viewport, self._load, self._clock = frames, viewport, load, clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="regolith-preview")
        self._settings = settings
        self._model: Model | None = None
        self._loading: Future[Model] = self._pool.submit(load, settings.model)
        self._job: tuple[Future[Result], int] | None = None
        self._generation = 0
        """Counts viewports, render products and models; what a frame of an older one gave is not shown."""
        self._overlay: ViewportOverlay | None = None
        self._product, self._size = "", (0, 0)
        self._next = self._last = 0.0
        self.state = LiveState()

    @property
    def ready(self) -> Future[Model]:
        """Done once the model is loaded."""
        return self._loading

    @property
    def failed(self) -> bool:
        """Whether there is no model to go on with."""
        return self._model is None and self._loading.done() and self._loading.exception() is not None

    def change(self, settings: LiveSettings) -> Future[Model]:
        """Go on with other settings; the old model serves until a new one is loaded."""
        if settings.model != self._settings.model or self.state.problem:
            self._loading = self._pool.submit(self._load, settings.model)
        self._settings = settings
        return self._loading

    def tick(self) -> None:
        """Do the main thread's share of one frame."""
        if not self._take_model() or self._model is None or not self._attach():
            return
        now = self._clock()
        if self._job is not None:
            job, generation = self._job
            if not job.done():
                return
            self._job = None
            if generation == self._generation:
                self._show(job, now)
        if now < self._next:
            return
        frame = self._frames.poll(*self._size)
        if frame is None:
            return
        self._next = now + 1.0 / self._settings.rate_hz
        self._job = self._pool.submit(segment, self._model, frame, self._settings), self._generation

    def _take_model(self) -> bool:
        """Whether there is a model; a load that failed is told in the state."""
        if not self._loading.done():
            return self._model is not None
        error = self._loading.exception()
        if error is not None:
            self._tell(problem=str(error))
            return False
        loaded = self._loading.result()
        if loaded is not self._model:
            self._model = loaded
            self._generation += 1
            provider = loaded.provider.removesuffix("ExecutionProvider")
            self.state = LiveState(model=_model_name(self._settings.model, loaded), provider=provider)
        return True

    def _attach(self) -> bool:
        """Whether there is a viewport; overlay and frames follow it when it or its render product changes."""
        window = self._viewport()
        if window is None:
            self.detach()
            self._tell(problem=NO_VIEWPORT)
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
            self._generation += 1
        return True

    def _show(self, job: Future[Result], now: float) -> None:
        error = job.exception()
        if error is not None:
            _log.error("live preview: %s", error)
            self._tell(problem=f"inference failed: {error}")
            return
        result = job.result()
        rate = 1.0 / (now - self._last) if self._last else 0.0
        self._last = now
        old = self.state
        self.state = dataclasses.replace(
            old,
            milliseconds=_smooth(old.milliseconds, result.milliseconds),
            frames_per_s=_smooth(old.frames_per_s, rate),
            rock_share=result.rock_share,
            problem="",
        )
        if self._overlay is not None:
            self._overlay.show(result.layer)
            self._overlay.describe(self.state, legend=self._settings.legend)

    def _tell(self, *, problem: str) -> None:
        if problem != self.state.problem:
            self.state = dataclasses.replace(self.state, problem=problem)
            if self._overlay is not None:
                self._overlay.hide()

    def detach(self) -> None:
        """Let go of viewport and render product (stage or viewport closing); the next `tick` looks for them again."""
        if self._product:
            self._frames.detach()
            self._product = ""
        if self._overlay is not None:
            self._overlay.destroy()
            self._overlay = None
        self._generation += 1
        self._last = 0.0

    def close(self) -> None:
        """End it at once; the worker drops what it has in hand, a model being loaded too, and ends by itself."""
        self.detach()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._job = self._model = None


def _model_name(name: str, model: Model) -> str:
    card = getattr(model, "card", {})
    return str(card.get("name") or name.replace("\\", "/").rpartition("/")[2].removesuffix(".onnx"))


def _smooth(old: float, new: float) -> float:
    return new if old == 0.0 else (1.0 - SMOOTHING) * old + SMOOTHING * new
