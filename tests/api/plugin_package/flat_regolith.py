"""A package of somebody else: a renderer and an export format, found by their entry points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Usd

from regolith.lunar.dataset.formats.source import Source, Step
from regolith.lunar.labels import ROCK
from regolith.lunar.render import Frame


class FlatRenderer:
    """Draws noise of the frame's seed, under a square of rock."""

    name = "flat"
    baked = False

    def __init__(self, *, threads: int | None = None) -> None:
        self.threads = threads
        self._stage: Usd.Stage | None = None

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "version": "1.2"}

    def load(self, stage: Usd.Stage) -> Usd.Stage:
        self._stage = stage
        return stage

    def render(self, width: int, height: int, *, quality: str = "default", outputs: Any = frozenset()) -> Frame:
        assert self._stage is not None
        seed = self._stage.GetAttributeAtPath("/World/Camera.regolith:sensor:noiseSeed").Get()
        rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        return Frame(rgb, self.mask(width, height))

    def mask(self, width: int, height: int) -> np.ndarray:
        classes = np.zeros((height, width), np.uint8)
        classes[:4, :4] = ROCK
        return classes

    def close(self) -> None:
        self._stage = None


class Unfinished:
    """No renderer yet."""

    name = "unfinished"

    def __init__(self, *, threads: int | None = None) -> None:
        self.threads = threads


def write_listing(sources: Sequence[Source], out: Path, step: Step) -> None:
    """Write a line a frame: split, number, pixels of rock."""
    lines = []
    for source in sources:
        for record in source.records:
            lines.append(f"{source.name} {record.index} {(source.array('mask', record) == ROCK).sum()}\n")
            step()
    (out / "listing.txt").write_text("".join(lines), "ascii")


def write_nothing(sources: Sequence[Source], out: Path, step: Step) -> None:
    """Fail half way."""
    (out / "half.txt").write_text("half", "ascii")
    raise KeyError("no such\nthing")
