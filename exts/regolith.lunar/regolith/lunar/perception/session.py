"""ONNX inference: a photograph of any size in, a mask of the same size out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from regolith.lunar.files import AnyPath
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError, one_line
from regolith.lunar.perception.calibration import softmax
from regolith.lunar.perception.model_files import find_model, is_shipped, read_card
from regolith.lunar.perception.trial import try_once
from regolith.lunar.perception.views import SIZE_PX, VIEWS, Views, check_views

MULTIPLE = 32
"""Height and width the network takes are multiples of this."""
TILE_OVERLAP = 0.25
"""Share of a tile's side that neighbours share."""
STRIP_PX = 1 << 21
"""Pixels of a picture decided at once: what a large one takes beyond itself and its answer does not grow with it."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Classes of a picture of height H and width W."""

    mask: np.ndarray
    """Class at each pixel, uint8 [H, W]."""
    confidence: np.ndarray
    """Softmax probability of that class at the temperature of the model's card, float32 [H, W]."""


def load_model(model: AnyPath = "default", *, threads: int | None = None, cuda: bool = True) -> Segmenter:
    """Load a model; `load_model().segment(rgb).mask` are the classes of a photograph.

    Args:
        model: `.onnx` file with its card NAME.json beside it, or the name of a shipped one: `default`, …
        threads: CPU threads; left out, onnxruntime decides.
        cuda: Whether to use a CUDA device where onnxruntime has one.

    Returns:
        The model: `segment` is for photographs, `predict` for a size and views of your own, `logits` for the network.

    Raises:
        InputError: The file or its card is missing, damaged, or of other classes, or it takes too much to open.
    """
    return Segmenter(Path(model), threads=threads, cuda=cuda)


class Segmenter:
    """A model that is ready to segment pictures."""

    def __init__(self, model: Path | str = "default", *, threads: int | None = None, cuda: bool = True) -> None:
        """Load a model and check its card.

        Args:
            model: `.onnx` file with its card NAME.json beside it, or the name of a shipped one.
            threads: CPU threads; left out, onnxruntime decides.
            cuda: Whether to use a CUDA device where onnxruntime has one.

        Raises:
            InputError: The file or its card is missing, damaged, or of other classes, or it takes too much to open.
        """
        import onnxruntime

        self.path = find_model(model)
        self.card = read_card(self.path)
        if not is_shipped(self.path):
            try_once(self.path, self.card["sha256"])
        options = onnxruntime.SessionOptions()
        options.enable_mem_pattern = False  # a plan for each size of input holds up to twice what a run needs
        if threads:
            options.intra_op_num_threads = threads
        wanted = ["CUDAExecutionProvider"] if cuda else []
        providers = [p for p in wanted if p in onnxruntime.get_available_providers()] + ["CPUExecutionProvider"]
        if len(providers) > 1 and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA's and cuDNN's libraries, where packages of Python brought them
        try:
            self._session = onnxruntime.InferenceSession(str(self.path), options, providers=providers)
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            line = str(error).splitlines()[0][:100]
            raise InputError("model", str(self.path), f"a model onnxruntime loads ({line})") from None
        names = [*(i.name for i in self._session.get_inputs()), *(o.name for o in self._session.get_outputs())]
        if names != ["image", "logits"]:
            raise InputError("model", str(self.path), f"one input `image` and one output `logits`, not {names}")
        self.provider: str = self._session.get_providers()[0]
        self.logits(np.full((1, 2 * MULTIPLE, 2 * MULTIPLE, 3), 96, np.uint8))  # what cannot work is refused at once

    @property
    def photo_px(self) -> int:
        """Long side photographs are best brought to, by the model's card [px]."""
        return self.card.get("photo_px", SIZE_PX)

    @property
    def photo_tta(self) -> Views:
        """Views of a photograph that are best averaged, by the model's card."""
        return self.card.get("photo_tta", "none")

    @property
    def temperature(self) -> float:
        """What logits are divided by where probabilities are made of them, by the model's card."""
        return float(self.card.get("temperature", 1.0))

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Run the network as it is.

        Args:
            images: uint8 [N, H, W, 3] RGB, H and W multiples of 32.

        Returns:
            float32 [N, 3, H, W].

        Raises:
            InputError: The model takes no such pictures, or gives something else.
        """
        count, height, width = images.shape[:3]
        expected = (count, len(CLASSES), height, width)
        try:
            found = np.asarray(self._session.run(["logits"], {"image": np.ascontiguousarray(images)})[0])
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise self._unlike(f"it does not run: {error}") from None
        if found.dtype != np.float32 or found.shape != expected:
            raise self._unlike(f"it gives {found.dtype} {list(found.shape)}")
        if not np.isfinite(found).all():
            raise self._unlike("it gives values that are no numbers")
        return found

    def _unlike(self, reason: str) -> InputError:
        wanted = f"a model of uint8 [N, H, W, 3] to finite float32 [N, {len(CLASSES)}, H, W]"
        return InputError("model", str(self.path), f"{wanted} ({one_line(reason, 100)})")

    def release(self) -> None:
        """Give back the memory that runs on large pictures took and the next one would use again.

        onnxruntime keeps it by a memory pool of its own, which it only shrinks at the end of a run that asks for it.
        """
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run(["logits"], {"image": np.zeros((1, MULTIPLE, MULTIPLE, 3), np.uint8)}, options)

    def segment(self, rgb: np.ndarray) -> Prediction:
        """Segment a photograph at the size and in the views that the model's card names for photographs.

        Args:
            rgb: Picture, uint8 [H, W, 3].

        Returns:
            Classes and their probabilities at the picture's own pixels, [H, W].

        Raises:
            ValueError: Another type or shape.
        """
        return self.predict(rgb, size=self.photo_px, tta=self.photo_tta)

    def predict(
        self, rgb: np.ndarray, *, size: int | None = SIZE_PX, tile: bool = False, tta: Views = "none"
    ) -> Prediction:
        """Segment a picture at its own aspect ratio and in its own pixels.

        Args:
            rgb: Picture, uint8 [H, W, 3].
            size: Long side the network works at [px], or the side of a tile; None for the picture's own size.
            tile: Cut the picture into overlapping tiles at full resolution instead of scaling it down.
            tta: Views of the picture whose probabilities are averaged.

        Raises:
            InputError: A size or views there are none of.
            ValueError: A picture of another type or shape.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
            raise ValueError(f"picture is {rgb.dtype} {rgb.shape}, expected uint8 [H, W, 3]")
        if size is not None and (type(size) is not int or size < 1):
            raise InputError("size", size, "a whole number at least 1 px")
        check_views("tta", tta)
        height, width = rgb.shape[:2]
        tiled = tile and size is not None and max(height, width) > size
        views: Iterable[WeightedLogits] = self._views(rgb, size, tiled, tta)
        rows = height
        if not tiled:  # logits at working size: small, and used by every strip
            views, rows = list(views), max(1, STRIP_PX // width)
        mask = np.empty((height, width), np.uint8)
        confidence = np.empty((height, width), np.float32)
        for top in range(0, height, rows):
            strip = slice(top, min(top + rows, height))
            probabilities = _mean_probabilities(views, strip, (height, width), self.temperature, VIEWS[tta].of_logits)
            mask[strip] = probabilities.argmax(axis=0)
            confidence[strip] = probabilities.max(axis=0)
        return Prediction(mask, confidence)

    def _views(self, rgb: np.ndarray, size: int | None, tiled: bool, tta: Views) -> Iterator[WeightedLogits]:
        """Yield each view, one run of the network after the other."""
        height, width = rgb.shape[:2]
        for scale, weight in VIEWS[tta].sizes.items():
            factor = scale if size is None or tiled else scale * size / max(height, width)
            working = (max(1, round(width * factor)), max(1, round(height * factor)))
            small = rgb if working == (width, height) else _resize(rgb, working)
            for mirrored in (False, True) if VIEWS[tta].mirror else (False,):
                view = small[:, ::-1] if mirrored else small
                logits = self._tiled(view, size) if tiled and size is not None else self._padded(view)
                yield WeightedLogits(logits[:, :, ::-1] if mirrored else logits, weight)

    def predict_letterboxed(self, rgb: np.ndarray, *, side: int = SIZE_PX) -> np.ndarray:
        """Segment a picture the way the published figure was made: inside a black square, bars included.

        Args:
            rgb: Picture, uint8 [H, W, 3].
            side: Side of the square [px], a multiple of 32.

        Returns:
            Classes of the square, uint8 [side, side].
        """
        height, width = rgb.shape[:2]
        scale = side / max(height, width)
        w, h = max(1, round(width * scale)), max(1, round(height * scale))
        square = np.zeros((side, side, 3), np.uint8)
        top, left = (side - h) // 2, (side - w) // 2
        square[top : top + h, left : left + w] = _resize(rgb, (w, h))
        return self.logits(square[None])[0].argmax(axis=0).astype(np.uint8)

    def _padded(self, rgb: np.ndarray) -> np.ndarray:
        """Logits float32 [3, H, W] of a picture of any size; its edge pixels fill up to multiples of 32."""
        height, width = rgb.shape[:2]
        return self.logits(padded(rgb)[None])[0][:, :height, :width]

    def _tiled(self, rgb: np.ndarray, side: int) -> np.ndarray:
        """Logits of overlapping tiles, averaged with weights that fall off linearly towards a tile's rim."""
        height, width = rgb.shape[:2]
        total = np.zeros((len(CLASSES), height, width), np.float32)
        weight = np.zeros((height, width), np.float32)
        for y, x in _tile_corners(height, width, side):
            part = rgb[y : y + side, x : x + side]
            h, w = part.shape[:2]
            ramp = np.minimum.outer(_ramp(h), _ramp(w)).astype(np.float32)
            total[:, y : y + h, x : x + w] += self._padded(part) * ramp
            weight[y : y + h, x : x + w] += ramp
        return total / weight


def padded(rgb: np.ndarray) -> np.ndarray:
    """Fill a picture, uint8 [H, W, 3], up to multiples of `MULTIPLE` below and to the right with its edge pixels."""
    height, width = rgb.shape[:2]
    return np.pad(rgb, [(0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)], mode="edge")


def _resize(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))


class WeightedLogits(NamedTuple):
    """What the network says of a picture at one size."""

    logits: np.ndarray
    """float32 [3, h, w], as the picture lies."""
    weight: float


def _mean_probabilities(
    views: Iterable[WeightedLogits], strip: slice, shape: tuple[int, int], temperature: float, of_logits: bool
) -> np.ndarray:
    """Average what views say of some rows of a picture.

    Args:
        views: The views.
        strip: The rows.
        shape: Height and width of the picture.
        temperature: What logits are divided by.
        of_logits: Average logits, and not probabilities.

    Returns:
        Probabilities, float32 [3, rows, W].
    """
    total = np.zeros((len(CLASSES), strip.stop - strip.start, shape[1]), np.float32)
    weights = 0.0
    for logits, weight in views:
        rows = _upsample(logits, strip, shape)
        total += weight * (rows if of_logits else softmax(rows, temperature))
        weights += weight
    total /= weights
    return softmax(total, temperature) if of_logits else total


def _upsample(logits: np.ndarray, strip: slice, shape: tuple[int, int]) -> np.ndarray:
    """Resize logits float32 [3, h, w] to [3, H, W], bilinear, and return the rows of a strip."""
    if logits.shape[1:] == shape:
        return logits[:, strip]
    scale = logits.shape[1] / shape[0]
    size, box = (shape[1], strip.stop - strip.start), (0, strip.start * scale, logits.shape[2], strip.stop * scale)
    return np.stack([np.asarray(Image.fromarray(c).resize(size, Image.Resampling.BILINEAR, box)) for c in logits])


def _tile_corners(height: int, width: int, side: int) -> Iterator[tuple[int, int]]:
    """Yield top-left corners of tiles that cover a picture, evenly spread, overlapping by at least TILE_OVERLAP."""

    def starts(length: int) -> list[int]:
        if length <= side:
            return [0]
        count = int(np.ceil((length - side) / (side * (1 - TILE_OVERLAP)))) + 1
        return [round(i * (length - side) / (count - 1)) for i in range(count)]

    for y in starts(height):
        for x in starts(width):
            yield y, x


def _ramp(n: int) -> np.ndarray:
    """Weights 1, 2, … up to the middle and back, length n."""
    return np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1))
