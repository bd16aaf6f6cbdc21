"""The slow steps of a chunk, as different hosts take them: at once, or beside the event loop of an app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from regolith.lunar.dataset.write import FrameWriter
from regolith.lunar.params import Params
from regolith.lunar.randomize import draw_scene, narrowed
from regolith.lunar.render.base import Frame, Output, Quality, Renderer

if TYPE_CHECKING:
    from pxr import Usd

    from regolith.lunar.stage.author import Scene


class Steps(Protocol):
    """What a chunk waits for while it draws."""

    def describe(self) -> dict[str, Any]:
        """Describe the renderer (`Renderer.describe`)."""
        ...

    async def author(self, params: Params, *, seed: int, split: str, number: int) -> tuple[Scene, Usd.Stage]:
        """Build and author a scene."""
        ...

    async def load(self, stage: Usd.Stage) -> Usd.Stage:
        """Give the renderer a stage; returns the one to edit (`Renderer.load`)."""
        ...

    async def ready(self) -> None:
        """Wait until the next frame may be drawn.

        Raises:
            RuntimeError: The host has closed the stage.
        """
        ...

    async def labels(self, width: int, height: int) -> np.ndarray:
        """Draw the classes (`Renderer.labels`)."""
        ...

    async def render(self, width: int, height: int, *, quality: Quality, outputs: frozenset[Output]) -> Frame:
        """Draw a frame (`Renderer.render`)."""
        ...

    async def room(self, writer: FrameWriter) -> None:
        """Wait until the writer takes a frame without waiting itself."""
        ...

    async def flush(self, writer: FrameWriter) -> None:
        """Wait until the writer has written what it was given."""
        ...

    def close(self) -> None:
        """Let go of the renderer."""
        ...


def author_scene(params: Params, *, seed: int, split: str, number: int, baked: bool = False) -> tuple[Scene, Usd.Stage]:
    """Build a scene of a split and author its stage.

    Args:
        params: Parameters of the dataset.
        seed: Seed of the dataset.
        split: Split the scene belongs to.
        number: Number of the scene inside its split.
        baked: Whether to write the fine ground as meshes.

    Returns:
        The scene, and its stage in memory.
    """
    from regolith.lunar.stage.author import author_stage, build_scene

    scene = build_scene(narrowed(params, split), draw_scene(params, seed, split, number))
    return scene, author_stage(scene, baked=baked)


class AtOnce:
    """Takes every step at once: for processes that do nothing else."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer

    def describe(self) -> dict[str, Any]:
        """Describe the renderer."""
        return self.renderer.describe()

    async def author(self, params: Params, *, seed: int, split: str, number: int) -> tuple[Scene, Usd.Stage]:
        """Build and author a scene."""
        return author_scene(params, seed=seed, split=split, number=number, baked=self.renderer.baked)

    async def load(self, stage: Usd.Stage) -> Usd.Stage:
        """Give the renderer a stage."""
        return self.renderer.load(stage)

    async def ready(self) -> None:
        """Nothing: nobody else is here."""

    async def labels(self, width: int, height: int) -> np.ndarray:
        """Draw the classes."""
        return self.renderer.labels(width, height)

    async def render(self, width: int, height: int, *, quality: Quality, outputs: frozenset[Output]) -> Frame:
        """Draw a frame."""
        return self.renderer.render(width, height, quality=quality, outputs=outputs)

    async def room(self, writer: FrameWriter) -> None:
        """Nothing: `put` waits."""

    async def flush(self, writer: FrameWriter) -> None:
        """Nothing: the writer's end waits."""

    def close(self) -> None:
        """Let go of the renderer."""
        self.renderer.close()
