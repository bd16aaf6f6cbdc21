"""ONNX inference: a photograph of any size in, a mask of the same size out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from regolith.lunar.files import file_digest
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError

SIZE_PX = 512
"""Default long side a picture is brought to."""
MULTIPLE = 32
"""Height and width the network takes are multiples of this."""
TILE_OVERLAP = 0.25
"""Share of a tile's side that neighbours share."""
Views = Literal["none", "flip", "flip-scale"]
"""Views of a picture whose probabilities are averaged: itself, with its mirror image, and both at `VIEW_SCALES`."""
VIEW_SCALES = (0.75, 1.0, 1.5)
"""Sizes relative to the working size; a rock too small for the network at one may be seen at the next."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Classes of a picture of height H and width W."""

    mask: np.ndarray
    """Class at each pixel, uint8 [H, W]."""
    confidence: np.ndarray
    """Softmax probability of that class, float32 [H, W]."""


def find_model(model: Path | str) -> Path:
    """Return the file of a model: a name of a shipped one (`default`, `default-fp16`, …), or a path.

    Raises:
        InputError: There is no such file.
    """
    shipped = shipped_models()
    if str(model) in shipped:
        return shipped[str(model)]
    path = Path(model)
    if path.is_file():
        return path
    if not shipped and str(model) == "default":
        raise InputError("model", "default", "an .onnx file: this installation ships no model; train and export one")
    names = ", ".join([*shipped, ""])
    raise InputError("model", str(model), f"{names}or an .onnx file written by `regolith export-model`")


def shipped_models() -> dict[str, Path]:
    """Return the models that come with this installation by name, `default` first."""
    extension = Path(__file__).parents[3]  # exts/regolith.lunar
    found: dict[str, Path] = {}
    for folder in (extension / "data" / "models", extension.parents[1] / "models"):
        for path in sorted(folder.glob("*.onnx")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items(), key=lambda item: (item[0] != "default", item[0])))


class Segmenter:
    """A model that is ready to segment pictures."""

    def __init__(self, model: Path | str = "default", *, threads: int | None = None, cuda: bool = True) -> None:
        """Load a model and check its card.

        Args:
            model: `.onnx` file with its card NAME.json beside it, or the name of a shipped one.
            threads: CPU threads; left out, onnxruntime decides.
            cuda: Whether to use a CUDA device where onnxruntime has one.

        Raises:
            InputError: The file or its card is missing, damaged, or of other classes.
        """
        import onnxruntime

        self.path = find_model(model)
        self.card = read_card(self.path)
        options = onnxruntime.SessionOptions()
        if threads:
            options.intra_op_num_threads = threads
        wanted = ["CUDAExecutionProvider"] if cuda else []
        providers = [p for p in wanted if p in onnxruntime.get_available_providers()] + ["CPUExecutionProvider"]
        try:
            self._session = onnxruntime.InferenceSession(str(self.path), options, providers=providers)
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            line = str(error).splitlines()[0][:100]
            raise InputError("model", str(self.path), f"a model onnxruntime loads ({line})") from None
        names = [*(i.name for i in self._session.get_inputs()), *(o.name for o in self._session.get_outputs())]
        if names != ["image", "logits"]:
            raise InputError("model", str(self.path), f"one input `image` and one output `logits`, not {names}")
        self.provider: str = self._session.get_providers()[0]

    @property
    def photo_px(self) -> int:
        """Long side photographs are best brought to, by the model's card [px]."""
        return self.card.get("photo_px", SIZE_PX)

    @property
    def photo_tta(self) -> Views:
        """Views of a photograph that are best averaged, by the model's card."""
        return self.card.get("photo_tta", "none")

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Run the network as it is.

        Args:
            images: uint8 [N, H, W, 3] RGB, H and W multiples of 32.

        Returns:
            float32 [N, 3, H, W].
        """
        return np.asarray(self._session.run(["logits"], {"image": np.ascontiguousarray(images)})[0])

    def predict(
        self, rgb: np.ndarray, *, size: int | None = SIZE_PX, tile: bool = False, tta: Views = "none"
    ) -> Prediction:
        """Segment a picture at its own aspect ratio and in its own pixels.

        Args:
            rgb: Picture, uint8 [H, W, 3].
            size: Long side the network works at [px], or the side of a tile; None for the picture's own size.
            tile: Cut the picture into overlapping tiles at full resolution instead of scaling it down.
            tta: Views of the picture whose probabilities are averaged.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
            raise ValueError(f"picture is {rgb.dtype} {rgb.shape}, expected uint8 [H, W, 3]")
        if tta == "none":
            return _decide(_softmax(self._logits_at(rgb, size, tile, 1.0)))
        total = np.zeros((len(CLASSES), *rgb.shape[:2]), np.float32)
        scales = VIEW_SCALES if tta == "flip-scale" else (1.0,)
        for scale in scales:
            total += _softmax(self._logits_at(rgb, size, tile, scale))
            total += _softmax(self._logits_at(rgb[:, ::-1], size, tile, scale)[:, :, ::-1])
        return _decide(total / (2 * len(scales)))

    def _logits_at(self, rgb: np.ndarray, size: int | None, tile: bool, scale: float) -> np.ndarray:
        """Logits float32 [3, H, W] of a picture worked on at `scale` times its working size."""
        height, width = rgb.shape[:2]
        tiled = tile and size is not None and max(height, width) > size
        if size is not None and not tiled:
            scale *= size / max(height, width)
        working = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = rgb if working == (width, height) else _resize(rgb, working)
        logits = self._tiled(small, size) if tiled and size is not None else self._padded(small)
        return _upsample(logits, (height, width))

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
        filled = np.pad(rgb, [(0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)], mode="edge")
        return self.logits(filled[None])[0][:, :height, :width]

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


def read_card(model: Path) -> dict[str, Any]:
    """Read and check the card beside a model.

    Raises:
        InputError: It is missing, of another file, of other classes, or of a variant of other weights than the model
            beside it.
    """
    path = model.with_suffix(".json")
    try:
        card = json.loads(path.read_text("utf-8"))
    except OSError:
        raise InputError("model", str(model), f"a model with its card {path.name} beside it") from None
    except ValueError:
        raise InputError("model", str(path), "a card of well-formed JSON") from None
    if not isinstance(card, dict) or card.get("classes") != CLASSES:
        found = card.get("classes") if isinstance(card, dict) else card
        raise InputError(f"{path.name}: classes", found or "nothing", str(CLASSES))
    if card.get("sha256") != file_digest(model):
        raise InputError("model", str(model), f"the file its card {path.name} describes: the sha256 differs")
    size, views = card.get("photo_px", SIZE_PX), card.get("photo_tta", "none")
    if type(size) is not int or not 64 <= size <= 8192:
        raise InputError(f"{path.name}: photo_px", size, "64 … 8192")
    if views not in get_args(Views):
        raise InputError(f"{path.name}: photo_tta", views, ", ".join(get_args(Views)))
    _check_variant(model, card)
    return card


def _check_variant(model: Path, card: dict[str, Any]) -> None:
    """Refuse NAME-fp16 that was made of another NAME than the one beside it: whoever compares them would be misled."""
    variant = card.get("variant")
    if not isinstance(variant, dict):
        return
    first = model.with_name(f"{model.stem.removesuffix('-' + str(variant.get('kind')))}.json")
    try:
        expected = json.loads(first.read_text("utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # it stands alone
    if first.stem != model.stem and variant.get("of") != expected:
        raise InputError("model", str(model), f"a variant of {first.stem}.onnx beside it; this one has other weights")


def _resize(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))


def _upsample(logits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize logits float32 [3, h, w] to [3, H, W], bilinear."""
    if logits.shape[1:] == shape:
        return logits
    size = (shape[1], shape[0])
    return np.stack([np.asarray(Image.fromarray(c).resize(size, Image.Resampling.BILINEAR)) for c in logits])


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits [3, H, W]."""
    power = np.exp(logits - logits.max(axis=0))
    return power / power.sum(axis=0)


def _decide(probabilities: np.ndarray) -> Prediction:
    """Take the likeliest class of probabilities [3, H, W]."""
    return Prediction(
        probabilities.argmax(axis=0).astype(np.uint8), probabilities.max(axis=0).astype(np.float32, copy=False)
    )


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
