"""What the rover's camera sees, drawn on a thread of its own: coarse while it moves, as exported once it rests.

Only the newest wish counts. Its first picture is coarse and always finished; what refines it is given up between two
launches of the renderer (`MitsubaRenderer.render`, `stop`) as soon as there is a newer one.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from regolith.lunar.params import InputError, Params
from regolith.lunar.render.base import Frame, Quality, Renderer, StoppedError, sampling
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.spec import FrameSpec

if TYPE_CHECKING:
    from pxr import Usd

Kind = Literal["rgb", "mask", "depth"]

QUICK_PX = 480 * 360
"""Most pixels of a picture of something that moves."""
STEPS: tuple[int, ...] = (1, 4)
"""Samples per pixel of the pictures before the whole one."""
REST_S = 0.2
"""Time without a wish after which things count as at rest [s]."""
DEPTH: frozenset[str] = frozenset({"depth"})

_log = logging.getLogger(__name__)


class Draws(Protocol):
    """What the camera needs of `render.mitsuba.MitsubaRenderer`."""

    def load(self, stage: Usd.Stage) -> Usd.Stage:
        """Compile a stage's geometry."""
        ...

    def render(
        self, width: int, height: int, *, quality: Quality, outputs: frozenset[str], samples: int | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Frame:  # fmt: skip
        """Draw a labelled frame."""
        ...

    def preview(
        self, width: int, height: int, *, samples: int = 1, stop: Callable[[], bool] | None = None
    ) -> np.ndarray:
        """Draw a picture in direct light."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@dataclasses.dataclass(frozen=True)
class Shown:
    """A picture of the stage; arrays share its height h and width w, row 0 at the top."""

    wish: int
    """Number of the wish it fulfils; they count up."""
    rgb: np.ndarray
    """uint8, shape [h, w, 3]."""
    mask: np.ndarray | None
    """Classes of the stage, uint8, shape [h, w]; None where they were not asked for."""
    depth: np.ndarray | None
    """Distance along the pixel-centre ray [m], float32, shape [h, w], inf on sky; None as `mask`."""
    spec: FrameSpec
    params: Params
    width: int
    """Width of the frame [px]; the picture is smaller while things move."""
    height: int
    whole: bool
    """Whether it is at rest: pixel for pixel what export writes for this spec."""
    milliseconds: float
    """Time it took to draw."""


@dataclasses.dataclass
class _Wish:
    """What is to be seen next."""

    params: Params
    spec: FrameSpec
    width: int
    height: int
    stage: Usd.Stage | None
    """A stage to open first; None for the one that is open."""
    made: float
    futures: list[Future[None]]
    number: int = 0


def quick_size(width: int, height: int) -> tuple[int, int]:
    """Size [px] of a frame's picture while it moves: its shape, in at most `QUICK_PX` pixels."""
    scale = min(1.0, math.sqrt(QUICK_PX / (width * height)))
    return max(1, int(width * scale)), max(1, int(height * scale))


class RoverCamera:
    """A renderer and its stage. Every method may be called from any thread and none waits, except `close`."""

    def __init__(
        self,
        done: Callable[[Shown], object],
        *,
        failed: Callable[[Exception], object] = lambda error: _log.error("the picture failed: %s", error),
        open_renderer: Callable[[str], Draws] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the thread; the renderer is made ready at once.

        Args:
            done: Called on the render thread with every picture; it is to hand it on.
            failed: Called there with what kept a picture from being drawn.
            open_renderer: Opens a renderer by the name of its back end; left out, the embedded one.
            clock: Monotonic time [s].
        """
        self._done, self._failed, self._clock = done, failed, clock
        self._open_renderer = open_renderer or _embedded
        self._wake = threading.Condition()
        self._wish: _Wish | None = None
        """The newest wish, until the thread takes it."""
        self._shot: _Wish | None = None
        """The wish being fulfilled; its stage is loaded and edited."""
        self._shown: Shown | None = None
        self._step = 0
        """Step the next picture is of; `len(STEPS)` for the whole one, beyond that there is none."""
        self._masked = self._moving = self._ended = False
        self._wishes = 0
        self._renderer: Draws | None = None
        self._backend = ""
        self._stage: Usd.Stage | None = None
        self._thread = threading.Thread(target=self._run, name="regolith-camera", daemon=True)
        self._thread.start()

    # what is wished for

    def open(self, stage: Usd.Stage, spec: FrameSpec, params: Params, width: int, height: int) -> Future[None]:
        """Draw another stage from now on.

        Args:
            stage: Stage of the `stage.schema` layout, edited by the render thread from now on.
            spec: The frame to show.
            params: Parameters as entered (not narrowed to the split).
            width: Width of the frame [px].
            height: Its height [px].

        Returns:
            Done once the stage is loaded, or a newer one is wished for; InputError where it cannot be drawn.
        """
        return self._want(params, spec, width, height, stage)

    def apply(self, params: Params, spec: FrameSpec, width: int, height: int) -> Future[None]:
        """Edit the stage into another frame of its scene, and draw it.

        Args:
            params: Parameters as entered.
            spec: The frame.
            width: Width of the frame [px].
            height: Its height [px].

        Returns:
            Done once the stage is edited, or a newer frame is wished for; InputError where no stage is open.
        """
        return self._want(params, spec, width, height, None)

    def _want(
        self, params: Params, spec: FrameSpec, width: int, height: int, stage: Usd.Stage | None
    ) -> Future[None]:  # fmt: skip
        future: Future[None] = Future()
        wish = _Wish(params, spec, width, height, stage, self._clock(), [future])
        with self._wake:
            if self._ended:
                future.cancel()
                return future
            if self._wish is not None:  # it has not begun: the newer one takes its place
                wish.stage = stage or self._wish.stage
                wish.futures = [*self._wish.futures, future]
            self._wishes += 1
            wish.number = self._wishes
            self._wish = wish
            self._wake.notify()
        return future

    def moving(self, held: bool) -> None:
        """Hold the whole picture back while a control is held, even one that does not move just now."""
        with self._wake:
            self._moving = held
            self._wake.notify()

    def mask(self, wanted: bool) -> None:
        """Draw mask and depth with every picture, not only with the whole one, as views of them need."""
        with self._wake:
            self._masked = wanted
            if wanted and self._step <= len(STEPS):
                self._step = 0
            self._wake.notify()

    @property
    def shown(self) -> Shown | None:
        """The newest picture; None before the first."""
        return self._shown

    def picture(self, kind: Kind) -> np.ndarray | None:
        """The newest picture's colours, classes or depth (`Shown`); None where there are none."""
        return None if self._shown is None else getattr(self._shown, kind)

    def close(self) -> None:
        """Give up what is being drawn and end the thread; what is still wished for is cancelled."""
        with self._wake:
            self._ended = True
            if self._wish is not None:
                for future in self._wish.futures:
                    future.cancel()
            self._wake.notify()
        self._thread.join()

    # the thread

    def _run(self) -> None:
        try:
            self._warm()
            while self._await_turn():
                if self._wish is not None:
                    self._take_wish()
                else:
                    self._draw()
        finally:
            if self._renderer is not None:
                self._renderer.close()

    def _warm(self) -> None:
        """Open the renderer before there is a stage: its libraries take most of a second to load."""
        try:
            self._use("auto")
        except Exception as error:  # whoever opens a stage is told
            _log.warning("%s", error)

    def _use(self, backend: str) -> Draws:
        renderer = self._renderer
        if renderer is None or backend != self._backend:
            if renderer is not None:
                renderer.close()
            self._renderer = self._stage = None
            renderer = self._renderer = self._open_renderer(backend)
            self._backend = backend
        return renderer

    def _await_turn(self) -> bool:
        """Wait until there is something to do; False at the end."""
        with self._wake:
            while not self._ended and self._wish is None:
                rest = self._rest_s()
                if rest <= 0.0:
                    break
                self._wake.wait(None if math.isinf(rest) else rest)
            return not self._ended

    def _rest_s(self) -> float:
        """Time until the next picture of the present wish is due [s]; inf where there is none to draw."""
        if self._shot is None or self._step > len(STEPS):
            return math.inf
        if self._step < len(STEPS):
            return 0.0
        return math.inf if self._moving else self._shot.made + REST_S - self._clock()

    def _take_wish(self) -> None:
        with self._wake:
            wish, self._wish = self._wish, None
            if wish is None:
                return
            self._shot, self._step = None, 0
        waiting = [future for future in wish.futures if future.set_running_or_notify_cancel()]
        try:
            if wish.stage is not None:
                self._stage = None
                self._stage = self._use(wish.params.render.backend).load(wish.stage)
            if self._stage is None:
                raise InputError("stage", "none", "a stage that could be opened")
            apply_frame(self._stage, wish.params, wish.spec, wish.width, wish.height)
        except Exception as error:
            for future in waiting:
                future.set_exception(error)
            return
        wish.stage = None
        self._shot = wish
        for future in waiting:
            future.set_result(None)

    def _stale(self) -> bool:
        """Whether what is being drawn is no longer wanted.

        A wish's first picture is only given up for another stage: where wishes come faster than pictures there would
        be none at all.
        """
        wish = self._wish
        if self._ended or (wish is not None and wish.stage is not None):
            return True
        return self._step > 0 and (wish is not None or (self._moving and self._step == len(STEPS)))

    def _draw(self) -> None:
        """Draw the present wish's next picture."""
        wish, step, masked = self._shot, self._step, self._masked
        if wish is None or self._renderer is None:
            return
        start = time.perf_counter()
        try:
            frame = self._frame(self._renderer, wish, step, masked)
        except StoppedError:
            return
        except Exception as error:
            self._step = len(STEPS) + 1  # it would fail again
            self._failed(error)
            return
        shown = Shown(
            wish.number, frame.rgb, frame.mask if masked or step == len(STEPS) else None, frame.depth, wish.spec,
            wish.params, wish.width, wish.height, step == len(STEPS), 1e3 * (time.perf_counter() - start),
        )  # fmt: skip
        with self._wake:
            if self._step == step and (masked or not self._masked or shown.whole):
                self._step = step + 1
            self._shown = shown
        self._done(shown)

    def _frame(self, renderer: Draws, wish: _Wish, step: int, masked: bool) -> Frame:
        if step == len(STEPS):
            return renderer.render(
                wish.width, wish.height, quality=wish.params.render.quality, outputs=DEPTH,
                samples=wish.params.render.samples or None, stop=self._stale,
            )  # fmt: skip
        width, height = quick_size(wish.width, wish.height)
        samples = STEPS[step]
        if masked:
            return renderer.render(width, height, quality="draft", outputs=DEPTH, samples=samples, stop=self._stale)
        rgb = renderer.preview(width, height, samples=samples, stop=self._stale)
        return Frame(rgb, np.zeros((0, 0), np.uint8))


class _Whole:
    """A plug-in's renderer, which draws whole pictures only and is not stopped."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self.load, self.close = renderer.load, renderer.close

    def render(
        self, width: int, height: int, *, quality: Quality, outputs: frozenset[str], samples: int | None = None,
        **_: Any,
    ) -> Frame:  # fmt: skip
        asked = sampling(self._renderer, samples or 0)
        return self._renderer.render(width, height, quality=quality, outputs=outputs, **asked)

    def preview(self, width: int, height: int, **_: Any) -> np.ndarray:
        return self._renderer.render(width, height, quality="draft").rgb


def _embedded(backend: str) -> Any:
    from regolith.lunar.render import open_renderer

    renderer = open_renderer(backend)
    return renderer if hasattr(renderer, "preview") else _Whole(renderer)
