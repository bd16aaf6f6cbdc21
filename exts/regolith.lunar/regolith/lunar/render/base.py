"""The contract of a renderer: a USD stage in, labelled frames out."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np

from regolith.lunar.params import InputError
from regolith.lunar.stage.spec import FrameSpec

if TYPE_CHECKING:
    from pxr import Usd

Quality = Literal["draft", "default", "reference"]
_T = TypeVar("_T")


class StoppedError(Exception):
    """A picture was given up before it was whole, as whoever asked for it wished."""


def run_through(awaitable: Awaitable[_T]) -> _T:
    """Run a coroutine that never waits to its end, without an event loop.

    One piece of code so serves hosts that own their process and hosts whose event loop has to go on.

    Raises:
        RuntimeError: It waits for something.
    """
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a step waits for an event loop that does not run")


def check_outputs(renderer: object, outputs: Iterable[str]) -> None:
    """Refuse outputs that a renderer cannot draw, by its `lacks`; one without draws all.

    Raises:
        InputError: Naming the first of them.
    """
    missing = [name for name in outputs if name in getattr(renderer, "lacks", frozenset())]
    if missing:
        allowed = f"false: this renderer draws no {', '.join(missing)}, the embedded one does"
        raise InputError(f"dataset.{missing[0]}", True, allowed)


def sampling(renderer: Any, samples: int) -> dict[str, Any]:
    """Argument of `Renderer.render` that asks for a number of samples a pixel; none for 0, the quality's own.

    Raises:
        InputError: The renderer takes no number of samples.
    """
    if not samples:
        return {}
    if "samples" not in inspect.signature(renderer.render).parameters:
        raise InputError(
            "render.samples", samples, "0: this renderer takes no number of samples, the embedded one does"
        )
    return {"samples": samples}


@dataclasses.dataclass(frozen=True)
class Frame:
    """One rendered frame; arrays share height H and width W, row 0 at the top."""

    rgb: np.ndarray
    """Picture as the sensor saves it, uint8, shape [H, W, 3]."""
    mask: np.ndarray
    """Class at each pixel centre (`regolith.lunar.labels`), uint8, shape [H, W]."""
    extras: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    """The other outputs that were asked for, by their names in the dataset."""
    spec: FrameSpec | None = None
    """What the frame was drawn from; a renderer, which sees only the stage, leaves it to its caller."""

    @property
    def depth(self) -> np.ndarray | None:
        """Distance from the lens along the pixel-centre ray [m], float32, shape [H, W]; inf on sky."""
        return self.extras.get("depth")

    @property
    def normals(self) -> np.ndarray | None:
        """Geometric normal in the world frame at the pixel centre, float32, shape [H, W, 3]; 0 on sky."""
        return self.extras.get("normals")

    @property
    def instance(self) -> np.ndarray | None:
        """Rock number + 1 in stage order, 0 elsewhere, uint16, shape [H, W]."""
        return self.extras.get("instance")

    @property
    def right(self) -> np.ndarray | None:
        """Picture of the right camera of a stereo pair, uint8, shape [H, W, 3]."""
        return self.extras.get("right")

    @property
    def disparity(self) -> np.ndarray | None:
        """Disparity of the rectified pair (`stage.stereo`) [px], float32, shape [H, W]; 0 on sky."""
        return self.extras.get("disparity")

    @property
    def shadow(self) -> np.ndarray | None:
        """Shadow: 0 lit by the sun's centre, 1 cast, 2 turned away from it, 255 sky and rover, uint8, shape [H, W]."""
        return self.extras.get("shadow")

    @property
    def crater(self) -> np.ndarray | None:
        """1 + number on the stage of the youngest crater a point lies in, 0 for none, uint16, shape [H, W]."""
        return self.extras.get("crater")

    @property
    def slope(self) -> np.ndarray | None:
        """Slope over a rover's footprint [deg], float32, shape [H, W]; NaN on sky and rover."""
        return self.extras.get("slope")

    @property
    def hazard(self) -> np.ndarray | None:
        """Hazards to a rover: bit 0 slope, bit 1 step, 255 sky and rover, uint8, shape [H, W]."""
        return self.extras.get("hazard")

    def arrays(self, outputs: Iterable[str]) -> dict[str, np.ndarray]:
        """Arrays by the dataset's names of outputs.

        Raises:
            ValueError: The frame does not carry one of them.
        """
        held = {"rgb": self.rgb, "mask": self.mask, **self.extras}
        names = list(outputs)
        for name in names:
            if name not in held:
                raise ValueError(f"the frame has no {name}")
        return {name: held[name] for name in names}


class Renderer(Protocol):
    """Draws the camera's view of a stage.

    Geometry is compiled by `load`; light, camera, materials and sensor are read off the stage at every `render`,
    so moving them costs nothing. So is where the rover is, and moving that costs less than a `load`.
    """

    name: str
    baked: bool
    """Whether it needs the fine ground as meshes (`stage.author.author_stage`), for it does not know the recipe."""

    def describe(self) -> dict[str, Any]:
        """Name, versions, back end and CPU class: what decides the bytes of a frame."""
        ...

    def load(self, stage: Usd.Stage) -> Usd.Stage:
        """Compile the stage's geometry.

        Returns:
            The stage to edit from now on: the one given, or the copy of it that is drawn.
        """
        ...

    def render(
        self,
        width: int,
        height: int,
        *,
        quality: Quality = "default",
        outputs: frozenset[str] = frozenset(),
    ) -> Frame:
        """Render the stage's camera.

        One that also takes `samples`, a number of samples a pixel instead of the quality's, is asked by it where
        `render.samples` is set (`sampling`).

        Args:
            width: Picture width in pixels.
            height: Picture height in pixels; pixels are square, the vertical field of view follows.
            quality: Samples and light transport.
            outputs: Which outputs to return beside rgb and mask: depth, normals, instance, shadow, where the stage has
                a right camera right, disparity, and where it says what they need (`stage.truth`) crater, slope, hazard.
        """
        ...

    def mask(self, width: int, height: int) -> np.ndarray:
        """Draw the classes the stage's camera sees, without any light: equal to `render(...).mask`.

        Args:
            width: Picture width in pixels.
            height: Picture height in pixels.

        Returns:
            Class at each pixel centre (`regolith.lunar.labels`), uint8, shape [H, W].
        """
        ...

    def close(self) -> None:
        """Free what the renderer holds."""
        ...


class AppRenderer(Protocol):
    """A renderer in a host whose event loop goes on meanwhile: `Renderer`, waiting for the frames of its app."""

    baked: bool

    def describe(self) -> dict[str, Any]:
        """Describe the renderer (`Renderer.describe`)."""
        ...

    async def aside(self, work: Callable[[], _T]) -> _T:
        """Do slow work that touches nothing of the app."""
        ...

    async def update(self) -> None:
        """Let the app draw a frame."""
        ...

    async def load_async(self, stage: Usd.Stage) -> Usd.Stage:
        """Take a stage (`Renderer.load`)."""
        ...

    async def render_async(
        self, width: int, height: int, *, quality: Quality, outputs: frozenset[str], samples: int | None = None
    ) -> Frame:
        """Render a frame (`Renderer.render`), with a number of samples a pixel or the quality's own."""
        ...

    async def mask_async(self, width: int, height: int) -> np.ndarray:
        """Draw the classes (`Renderer.mask`)."""
        ...

    def check(self) -> None:
        """Check that the stage is still open in the app.

        Raises:
            RuntimeError: It was closed.
        """
        ...

    def close(self) -> None:
        """Let go of everything at once; a second time nothing."""
        ...

    async def close_async(self) -> None:
        """`close`, and wait until the app has ended what it began."""
        ...

    async def restore_async(self) -> None:
        """Close, and show what the app showed before.

        Raises:
            RuntimeError: That is no longer there.
        """
        ...


@contextlib.asynccontextmanager
async def closed_after(renderer: AppRenderer) -> AsyncIterator[None]:
    """Close a renderer after a block; at once where the block is cancelled, for then nothing is waited for any more."""
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        renderer.close()
        raise
    finally:
        await renderer.close_async()  # does not wait for what was closed at once


class AtOnce:
    """A renderer as an `AppRenderer` that never waits (`run_through`), for processes that do nothing else."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer, self.baked = renderer, renderer.baked
        self.lacks, self.render = getattr(renderer, "lacks", frozenset()), renderer.render

    def describe(self) -> dict[str, Any]:
        """Describe the renderer."""
        return self._renderer.describe()

    async def aside(self, work: Callable[[], _T]) -> _T:
        """Do slow work here and now."""
        return work()

    async def update(self) -> None:
        """Let other threads go on for a moment."""
        time.sleep(0.001)

    async def load_async(self, stage: Usd.Stage) -> Usd.Stage:
        """Give the renderer a stage."""
        return self._renderer.load(stage)

    async def render_async(
        self, width: int, height: int, *, quality: Quality, outputs: frozenset[str], samples: int | None = None
    ) -> Frame:
        """Render a frame."""
        asked = sampling(self, samples or 0)
        return self.render(width, height, quality=quality, outputs=outputs, **asked)

    async def mask_async(self, width: int, height: int) -> np.ndarray:
        """Draw the classes."""
        return self._renderer.mask(width, height)

    def check(self) -> None:
        """Nobody else can close the stage."""

    def close(self) -> None:
        """Let go of the renderer."""
        self._renderer.close()

    async def close_async(self) -> None:
        """Let go of the renderer."""
        self.close()

    async def restore_async(self) -> None:
        """Close; nothing was shown before."""
        self.close()
