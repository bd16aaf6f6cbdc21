"""Annotators of the double, and what they see."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import sys
import time
from typing import Any

import numpy as np
import omni.usd

from ._picture import Picture, forget, look
from .annotators import AnnotatorError, AnnotatorRegistryError
from .create import LATE, PRODUCTS, RenderProduct

ANNOTATORS = {
    "rgb": set(),
    "LdrColor": set(),
    "HdrColor": set(),
    "distance_to_camera": set(),
    "normals": set(),
    "semantic_segmentation": {"colorize", "semanticFilter", "semanticTypes", "mapping"},
    "instance_segmentation": {"colorize", "semanticFilter", "semanticTypes"},
}
"""Annotator to the parameters it takes."""

ATTACHED: list[Annotator] = []


@dataclasses.dataclass
class Quirks:
    """How awkward to be; a test sets them and `reset`s them."""

    flat: bool = False
    """Buffers without shape."""
    number_keys: bool = False
    """Ids as numbers in tables, not as text."""
    empty: int = 2
    """Frames after attaching for which there is nothing."""
    late: int = 0
    """Frames with pixels for which every id is still 0."""
    late_table: dict[str, Any] = dataclasses.field(default_factory=dict)
    """`idToLabels` of these."""
    noise: float = 0.0
    """Standard deviation of light over the light, for one subframe; it falls as samples are gathered."""
    light: float = 1.0
    """Factor on the light of `HdrColor`."""
    fail_after: int = -1
    """Frames after which a step raises; never, if negative."""
    endless: bool = False
    """Whether steps wait for ever."""
    haze: int = 0
    """Light that the picture has beside the stage's, in its 8-bit levels."""
    long_normals: bool = False
    """Whether normals are twice as long as they should be."""
    unlabelled: bool = False
    """Whether the mesh that is met first has no label."""
    drift: int = 0
    """Captures after which one is told that all rock is regolith, again and again; 0 for never."""
    keeps: bool = False
    """Whether the orchestrator gives no setting back."""
    steps: list[tuple[int, float | None]] = dataclasses.field(default_factory=list)
    """(rt_subframes, delta_time) of every step."""

    def reset(self) -> None:
        LATE.clear()
        fresh = Quirks()
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(fresh, field.name))


quirks = Quirks()


class Annotator:
    """An annotator on one render product, or on a viewport's by its path."""

    __slots__ = ("_buffer", "_info", "_params", "_product", "age", "dead", "name")

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        self.name, self._params = name, params
        self._product: RenderProduct | str | None = None
        self._buffer = np.zeros(0, np.uint8)
        self._info: dict[str, Any] = {}
        self.age = 0
        self.dead = False
        """Whether the graph it was in is gone."""

    def attach(self, render_products: Any) -> None:
        products = render_products if isinstance(render_products, list) else [render_products]
        if len(products) != 1:
            raise ValueError("one render product an annotator")
        if self._product is not None:
            raise RuntimeError(f"{self.name} is attached already")
        if isinstance(products[0], RenderProduct) and products[0].destroyed:
            raise RuntimeError(f"{products[0].path} was destroyed")
        self._product, self.age, self.dead = products[0], 0, not products[0]
        ATTACHED.append(self)

    def detach(self) -> None:
        if self._product is None:
            raise RuntimeError(f"{self.name} is not attached")
        if isinstance(self._product, RenderProduct) and self._product.destroyed and not self.dead:
            raise RuntimeError(f"{self._product.path} was destroyed before {self.name} was detached")
        self._product = None
        ATTACHED.remove(self)
        if not ATTACHED:
            forget()

    def get_data(
        self, device: str | None = None, do_array_copy: bool = False, use_legacy_structure: bool = True
    ) -> Any:
        if self._product is None:
            raise AnnotatorError(f"Unable to get data, {self.name} is not attached to any render products.")
        if self.dead:
            raise AnnotatorRegistryError(f"Annotator {self.name} is not attached to any render products.")
        data = self._buffer.copy() if do_array_copy else self._buffer
        if self.name.endswith("segmentation"):
            return {"data": data, "info": self._info}
        return data

    def see(self, frame: int, seen: dict[Any, Picture]) -> None:
        """Take a frame into the buffer, which is used again; `seen` is what others see of it."""
        if self.dead:
            return
        self.age += 1
        product = self._product
        if isinstance(product, RenderProduct):
            size, camera = product.resolution, product.camera
        else:
            width, height = re.fullmatch(r".*_(\d+)x(\d+)", product).groups()
            size, camera = (int(width), int(height)), "/World/Camera"
        if self.age <= quirks.empty:
            return
        if (camera, size) not in seen:
            seen[camera, size] = look(camera, *size)
        data, self._info = read(self.name, seen[camera, size], self._params, frame)
        if "idToLabels" in self._info and self.age <= quirks.empty + quirks.late:
            data, self._info = np.zeros_like(data), {"idToLabels": quirks.late_table}
        data = data.reshape(-1) if quirks.flat else data
        if self._buffer.shape == data.shape and self._buffer.dtype == data.dtype:
            self._buffer[...] = data
        else:
            self._buffer = data.copy()


def read(name: str, picture: Picture, params: dict[str, Any], frame: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Data of an annotator, and its info."""
    if name in ("rgb", "LdrColor"):
        return np.minimum(picture.ldr.astype(np.uint16) + quirks.haze, 255).astype(np.uint8), {}
    if name == "HdrColor":
        gathered = quirks.steps[-1][0] if quirks.steps else 1
        noise = np.random.default_rng(frame).normal(0.0, quirks.noise / gathered**0.5, picture.hdr.shape[:2])
        return (picture.hdr * quirks.light * (1.0 + noise[..., None])).astype(np.float16), {}
    if name == "distance_to_camera":
        return picture.depth, {}
    if name == "normals":
        normals = picture.normals * (2.0 if quirks.long_normals else 1.0)
        return np.concatenate([normals, np.zeros_like(normals[..., :1])], axis=-1), {}
    if params.get("colorize", True):
        raise ValueError("colours are not drawn; colorize=False")
    semantic = name == "semantic_segmentation"
    names = list(picture.labels if semantic else picture.prims)
    if quirks.unlabelled:
        names[0] = ""
    if quirks.drift and frame % quirks.drift == 0 and semantic:
        names = ["regolith" if name == "rock" else name for name in names]
    met = list(dict.fromkeys(name for name in names if name))
    turn = frame % max(len(met), 1)
    ids = {value: number for number, value in enumerate(met[turn:] + met[:turn], start=2)}
    lut = np.array([ids.get(value, 1) for value in names] + [0], np.uint32)  # the last is the sky's, index -1

    def entry(value: str) -> Any:
        return {"class": value} if semantic else value

    table = {0: entry("BACKGROUND"), 1: entry("UNLABELLED")} | {number: entry(value) for value, number in ids.items()}
    return lut[picture.mesh], {"idToLabels": table if quirks.number_keys else {str(k): v for k, v in table.items()}}


_frames = 0


def capture(rt_subframes: int, delta_time: float | None) -> None:
    """Take a frame with every annotator on a render product."""
    global _frames
    _frames += 1
    quirks.steps.append((rt_subframes, delta_time))
    if quirks.fail_after >= 0 and len(quirks.steps) > quirks.fail_after:
        raise RuntimeError("the renderer lost its device")
    if len(quirks.steps) > int(os.environ.get("DOUBLE_DIES_AFTER", sys.maxsize)):
        os.kill(os.getpid(), signal.SIGKILL)
    if len(quirks.steps) > int(os.environ.get("DOUBLE_HANGS_AFTER", sys.maxsize)):
        time.sleep(3600.0)
    seen: dict[Any, Picture] = {}
    for annotator in list(ATTACHED):
        if isinstance(annotator._product, RenderProduct):
            annotator.see(_frames, seen)


def draw_viewports() -> None:
    """Let the viewports draw: annotators on their render products get a picture."""
    seen: dict[Any, Picture] = {}
    for annotator in list(ATTACHED):
        if not isinstance(annotator._product, RenderProduct):
            annotator.see(0, seen)


def leftovers() -> list[str]:
    """What somebody forgot to let go of."""
    return [product.path for product in PRODUCTS] + LATE + [annotator.name for annotator in ATTACHED]


def _stage_closing() -> None:
    for annotator in ATTACHED:
        annotator.dead = True


omni.usd.CLOSING.append(_stage_closing)
