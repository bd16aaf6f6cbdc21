"""Pictures of a viewport as it draws them, for live inference: no second render, and nobody waits."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from regolith.lunar.render import rtx


class ViewportFrames:
    """The newest picture of a viewport, by an annotator on the viewport's own render product."""

    def __init__(self) -> None:
        self.path = ""
        """Render product attached to; empty for none."""
        self._held = contextlib.ExitStack()
        self._annotator: Any = None
        self._picture = np.zeros(0, np.uint8)

    def attach(self, render_product_path: str) -> None:
        """Attach to a viewport; to the one that is attached already, nothing is done, to one without path neither.

        To be called again whenever `viewport_api.render_product_path` changes: with the resolution, with the stage.

        Args:
            render_product_path: `viewport_api.render_product_path`; empty while a stage has just been opened.
        """
        if render_product_path == self.path:
            return
        self.detach()
        if not render_product_path:
            return
        with contextlib.ExitStack() as held:
            annotator = rtx.attach_annotator("rgb", render_product_path, {})
            held.callback(annotator.detach)
            self._held = held.pop_all()
        self._annotator, self.path = annotator, render_product_path

    def poll(self, width: int, height: int) -> np.ndarray | None:
        """Copy the newest picture as it is, in one piece: the main thread's time is for nothing else.

        Lets go of a viewport whose graph is gone, as with its stage: `path` is empty then.

        Args:
            width: `viewport_api.resolution`'s width [px].
            height: Its height [px].

        Returns:
            uint8, shape [H, W, 4], used again by the next call; None while there is none, or none of that size since
            the last change of size.
        """
        if self._annotator is None:
            return None
        try:
            data = np.asarray(rtx.read_annotator(self._annotator))
        except rtx.GraphLostError:
            self.detach()
            return None
        if data.size != 4 * width * height or data.dtype != np.uint8:
            return None
        if self._picture.shape != (height, width, 4):
            self._picture = np.empty((height, width, 4), np.uint8)
        np.copyto(self._picture, data.reshape(height, width, 4))  # Replicator uses its buffer again
        return self._picture

    def detach(self) -> None:
        """Let go of the viewport; a second time nothing."""
        self._annotator, self.path = None, ""
        self._picture = np.zeros(0, np.uint8)
        self._held.close()
