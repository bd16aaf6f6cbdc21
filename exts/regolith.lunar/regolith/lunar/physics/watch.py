"""A drive to be watched while it goes on: a map of it, and what one of the rover's cameras sees, every few metres."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from regolith.lunar.files import write_bytes
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import CameraView, PictureSize
from regolith.lunar.physics.engine import Engine
from regolith.lunar.physics.sight import Sight
from regolith.lunar.physics.sketch import Sketch
from regolith.lunar.physics.stance import read_stance

MAP, VIEW = "map", "view"
"""Kinds of the pictures: what their files' names begin with, and what their `artifact` events say."""
SIZE = PictureSize(384, 288)
"""Size of what the camera sees."""

Row = dict[str, np.ndarray]


class Watch:
    """Draws the drives over one stage into a folder, and says so in `artifact` events."""

    def __init__(
        self,
        out: Path,
        sketch: Sketch,
        emit: Emit,
        *,
        every_m: float,
        engine: Engine,
        sight: Sight | None,
        view: CameraView,
    ) -> None:
        """Take what is drawn.

        Args:
            out: Folder of the pictures.
            sketch: Map of the stage.
            emit: Receives the events.
            every_m: Length of the rover's way between two pictures [m].
            engine: Engine that holds the rover.
            sight: What the rover sees; None for a map alone.
            view: The camera it sees with.
        """
        self._out, self._sketch, self._emit, self._every = out, sketch, emit, every_m
        self._engine, self._sight, self._view = engine, sight, view
        self._name, self._route = "", np.zeros((0, 2))
        self._told: Callable[[float], object] = lambda share: None
        self._due = self._length = 0.0

    def begin(self, name: str, route: np.ndarray, told: Callable[[float], object]) -> None:
        """Begin another drive.

        Args:
            name: What its files' names end in.
            route: Corners of the way planned, shape [N, 2] [m].
            told: Takes the share of it that is driven, below 1.
        """
        self._name, self._route, self._told = name, route, told
        self._due = self._length = 0.0

    @property
    def pictures(self) -> dict[str, str]:
        """Kind to file name of the pictures of the present drive."""
        kinds = (MAP,) if self._sight is None else (MAP, VIEW)
        return {kind: f"{kind}_{self._name}.png" for kind in kinds}

    def see(self, rows: Sequence[Row], touched: Iterable[str], *, last: bool) -> None:
        """Look at a drive, and draw it where it is time to.

        Args:
            rows: Of its trajectory so far, at least one.
            touched: Prims of the rocks that were touched.
            last: Whether it is over.
        """
        if len(rows) > 1 and not last:  # the last row was seen before
            self._length += float(np.linalg.norm((rows[-1]["position_m"] - rows[-2]["position_m"])[:2]))
        if self._length < self._due and not last:
            return
        self._due = self._length + self._every
        stance = read_stance(self._engine)
        driven = np.array([row["position_m"][:2] for row in rows])
        self._put(MAP, self._sketch.draw(self._route, driven, math.radians(stance.heading_deg), touched))
        if self._sight is not None:
            self._put(VIEW, _png(self._sight.take(stance, self._view)[0].rgb))
        planned = float(np.linalg.norm(np.diff(self._route, axis=0), axis=1).sum())
        self._told(min(self._length / planned, 0.99))

    def _put(self, kind: str, picture: bytes) -> None:
        path = self._out / f"{kind}_{self._name}.png"
        write_bytes(path, picture)
        self._emit({"event": "artifact", "path": str(path), "kind": kind})


def _png(rgb: np.ndarray) -> bytes:
    """A picture, uint8 [H, W, 3], as a PNG file."""
    data = io.BytesIO()
    Image.fromarray(rgb).save(data, "PNG")
    return data.getvalue()
