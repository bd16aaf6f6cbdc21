"""Segmentation of the rover's picture (`panel.inference`), and of photographs dropped in."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from regolith.lunar.jobs.memory import return_memory
from regolith.lunar.labels import ROCK, count_classes
from regolith.lunar.machine import cores
from regolith.lunar.panel.host import LiveSettings
from regolith.lunar.panel.inference import LiveInference, model_name
from regolith.lunar.perception.photos import read_photo
from regolith.lunar.perception.session import Prediction
from regolith.lunar.perception.views import SIZE_PX, Views
from regolith.lunar.studio.camera import Shown

MOVING_PX = 256
"""Long side the network works at while things move; at rest it is that of `regolith evaluate`."""
PHOTO_PX = 1024
"""Longest side of a photograph on the page."""
LOOKED_AT_PX = 24_000_000
"""Pixels beyond which a photograph is reduced before it is looked at."""


class Model(Protocol):
    """What inference needs of `perception.session.Segmenter`."""

    provider: str
    card: dict[str, Any]

    @property
    def photo_px(self) -> int:
        """Long side photographs are best brought to [px]."""
        ...

    @property
    def photo_tta(self) -> Views:
        """Views of a photograph that are best averaged."""
        ...

    def predict(self, rgb: np.ndarray, *, size: int | None = SIZE_PX, tta: Views = "none") -> Prediction:
        """Segment a picture, uint8 [H, W, 3]."""
        ...

    def release(self) -> None:
        """Give back the memory that a large picture took."""
        ...


@dataclasses.dataclass(frozen=True)
class Seen:
    """What the model made of a picture."""

    shown: Shown
    mask: np.ndarray
    """Class at each pixel of the picture, uint8 [h, w]."""
    milliseconds: float

    @property
    def rock_share(self) -> float:
        """Share of the picture's pixels that are rock."""
        return float(np.mean(self.mask == ROCK))

    @property
    def at_rest(self) -> bool:
        """Whether the picture is whole."""
        return self.shown.whole


@dataclasses.dataclass(frozen=True)
class Photo:
    """What the model made of a photograph."""

    name: str
    rgb: np.ndarray
    """The photograph, at most `PHOTO_PX` on its long side, uint8 [h, w, 3]."""
    mask: np.ndarray
    """Classes, uint8 [h, w]."""
    width: int
    """Width of the photograph as it was looked at [px]."""
    height: int
    counts: dict[str, int]
    """Pixels per class of that (`labels.count_classes`)."""
    model: str
    """Name of the model."""
    milliseconds: float
    notes: tuple[str, ...] = ()
    """What is to be said of it, such as that it was reduced."""


class StudioInference(LiveInference[Model, Shown, Seen]):
    """The preview of the rover's picture, and photographs dropped in between."""

    def __init__(
        self,
        done: Callable[[Seen], object],
        *,
        load: Callable[[str], Model] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start its thread, with the preview off.

        Args:
            done: Called on the thread with every result; it is to hand it on.
            load: Loads a model by its name; left out, `perception.session.Segmenter`.
            clock: Monotonic time [s].
        """
        super().__init__(_segment, done, load or _load, clock=clock)

    def photo(self, name: str, content: bytes, model: str) -> Future[Photo]:
        """Segment a photograph.

        Args:
            name: File name it came with.
            content: The file.
            model: An .onnx file, or `default`.

        Returns:
            The result; InputError where the file is no photograph, or the model cannot be used.
        """

        def look(use: Callable[[str], Model]) -> Photo:
            try:
                return _segment_photo(name, content, model, use)
            finally:
                return_memory()

        return self.run(look)

    def close(self) -> None:
        """End the thread after what it is at; what waits is cancelled."""
        self.end()
        self.join()


def _segment(model: Model, shown: Shown, settings: LiveSettings) -> Seen:
    start = time.perf_counter()
    mask = model.predict(shown.rgb, size=SIZE_PX if shown.whole else MOVING_PX).mask
    return Seen(shown, mask, 1e3 * (time.perf_counter() - start))


def _segment_photo(name: str, content: bytes, path: str, use: Callable[[str], Model]) -> Photo:
    notes: list[str] = []
    rgb = decode_photo(name, content, notes=notes)
    model = use(path)
    start = time.perf_counter()
    try:
        mask = model.predict(rgb, size=model.photo_px, tta=model.photo_tta).mask
    finally:
        model.release()
    milliseconds = 1e3 * (time.perf_counter() - start)
    height, width = mask.shape
    small = _fitted(width, height)
    return Photo(
        photo_name(name), _resize(rgb, small, Image.Resampling.LANCZOS),
        _resize(mask, small, Image.Resampling.NEAREST), width, height, count_classes(mask),
        model_name(path, model), milliseconds, tuple(notes),
    )  # fmt: skip


def photo_name(name: str) -> str:
    """The last part of a name a page gave a file, fit for a file name and a line of text."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(c for c in last if c.isprintable()).strip(". ")
    stem, dot, ending = plain.rpartition(".")
    return f"{stem[:60]}{dot}{ending[:8]}" if stem else plain[:60] or "photograph"


def decode_photo(name: str, content: bytes, *, notes: list[str] | None = None) -> np.ndarray:
    """Read an uploaded photograph by `perception.photos.read_photo`, uint8 [H, W, 3] of at most `LOOKED_AT_PX`.

    Args:
        name: File name it came with.
        content: The file.
        notes: Receives what is to be said of it, one line each.

    Raises:
        InputError: It is no photograph, damaged, too small or too large.
    """
    with tempfile.TemporaryDirectory(prefix="regolith-photo-") as folder:
        path = Path(folder) / photo_name(name)
        path.write_bytes(content)
        return read_photo(path, notes=notes, most_px=LOOKED_AT_PX)


def _load(name: str) -> Model:
    """Load a model for this thread; half the cores are left to renderer and page."""
    from regolith.lunar.perception.session import Segmenter

    return Segmenter(name, threads=max(1, cores() // 2))


def _fitted(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, PHOTO_PX / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resize(array: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    return array if size == array.shape[1::-1] else np.asarray(Image.fromarray(array).resize(size, how))
