"""The contract of a renderer: a USD stage in, labelled frames out."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np

from regolith.lunar.stage.spec import FrameSpec

if TYPE_CHECKING:
    from pxr import Usd

Quality = Literal["draft", "default", "reference"]
Output = Literal["depth", "instance", "normals"]
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


@dataclasses.dataclass(frozen=True)
class Frame:
    """One rendered frame; arrays share height H and width W, row 0 at the top."""

    rgb: np.ndarray
    """Picture as the sensor saves it, uint8, shape [H, W, 3]."""
    label: np.ndarray
    """Class at each pixel centre (`regolith.lunar.labels`), uint8, shape [H, W]."""
    depth: np.ndarray | None = None
    """Distance from the lens along the pixel-centre ray [m], float32, shape [H, W]; inf on sky."""
    instance: np.ndarray | None = None
    """Rock number + 1 in stage order, 0 elsewhere, uint16, shape [H, W]."""
    normals: np.ndarray | None = None
    """Geometric normal in the world frame at the pixel centre, float32, shape [H, W, 3]; 0 on sky."""
    spec: FrameSpec | None = None
    """What the frame was drawn from; a renderer, which sees only the stage, leaves it to its caller."""

    def arrays(self, outputs: Iterable[str]) -> dict[str, np.ndarray]:
        """Arrays by the dataset's names of outputs: rgb, mask, depth, normals, instance.

        Raises:
            ValueError: The frame does not carry one of them.
        """
        names = {"mask": "label"}
        found = {output: getattr(self, names.get(output, output)) for output in outputs}
        for output, array in found.items():
            if array is None:
                raise ValueError(f"the frame has no {output}")
        return found


class Renderer(Protocol):
    """Draws the camera's view of a stage.

    Geometry is compiled by `load`; light, camera, materials and sensor are read off the stage at every `render`,
    so moving them costs nothing.
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
        outputs: frozenset[Output] = frozenset(),
    ) -> Frame:
        """Render the stage's camera.

        Args:
            width: Picture width in pixels.
            height: Picture height in pixels; pixels are square, the vertical field of view follows.
            quality: Samples and light transport.
            outputs: Which of depth, normals and instance to return.
        """
        ...

    def labels(self, width: int, height: int) -> np.ndarray:
        """Draw the classes the stage's camera sees, without any light: equal to `render(...).label`.

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
