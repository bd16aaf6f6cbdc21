"""A stage compiled on a Mitsuba back end: what every back end offers the renderer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from regolith.lunar.params.models import SAMPLES
from regolith.lunar.render.base import Quality, StoppedError
from regolith.lunar.render.view import View


@dataclasses.dataclass(frozen=True)
class Labels:
    """What the ray through each pixel's centre meets; height H, width W."""

    mask: np.ndarray
    """Class (`regolith.lunar.labels`), uint8, shape [H, W]."""
    instance: np.ndarray
    """Rock number + 1 in stage order, 0 elsewhere, uint16, shape [H, W]."""
    depth: np.ndarray
    """Distance from the lens along the ray [m], float32, shape [H, W]; inf on sky."""
    normals: np.ndarray
    """Geometric normal in the world frame, float32, shape [H, W, 3]; 0 on sky."""


@dataclasses.dataclass(frozen=True)
class DrawOptions:
    """How a picture is drawn."""

    samples: int
    """Samples per pixel; a power of two."""
    quality: Quality
    """Light transport."""
    threads: int
    """Threads to use."""
    labels: bool
    """Whether to return labels; they cost a ray a pixel."""
    stop: Callable[[], bool] | None
    """Asked between two launches whether to give the picture up. It changes no pixel."""

    @property
    def finer(self) -> int:
        """Times the samples of the quality, 1 at least: bounced light is taken from so many times its directions."""
        return max(self.samples // SAMPLES[self.quality], 1)


class CompiledScene(Protocol):
    """A stage's geometry on a back end; light, camera and materials come with every picture."""

    def move(self, matrices: Mapping[int, np.ndarray]) -> None:
        """Place objects that move (`compile.Placed.moves`) elsewhere.

        Args:
            matrices: Number of the object to its local-to-world matrix for row vectors, float64, shape [4, 4].
        """
        ...

    def draw(self, view: View, width: int, height: int, options: DrawOptions) -> tuple[np.ndarray, Labels | None]:
        """Draw a view.

        Args:
            view: Camera, light and materials.
            width: Picture width in pixels.
            height: Picture height in pixels.
            options: How.

        Returns:
            Radiance without stars, float32, shape [H, W], in units of the sun's irradiance per steradian; the labels,
            or None.

        Raises:
            StoppedError: `options.stop` returned true.
        """
        ...

    def classes(self, view: View, width: int, height: int) -> np.ndarray:
        """Draw the class at each pixel centre alone: equal to `draw`'s, uint8, shape [H, W]."""
        ...

    def blocked(self, starts: np.ndarray, way: np.ndarray) -> np.ndarray:
        """Tell whether rays meet anything.

        Args:
            starts: Where they start [m], shape [N, 3].
            way: Direction of all of them, unit vector, shape [3].

        Returns:
            bool, shape [N].
        """
        ...

    def heights(self, at: np.ndarray) -> np.ndarray:
        """Height of the topmost surface of what stays, the rover not counted.

        Args:
            at: x, y [m], shape [N, 2].

        Returns:
            [m], float64, shape [N]; -inf over nothing.
        """
        ...


def check_wanted(stop: Callable[[], bool] | None) -> None:
    """Give a picture up where nobody wants it any more.

    Raises:
        StoppedError: `stop` is there and returns true.
    """
    if stop is not None and stop():
        raise StoppedError
