"""The one reader of masks: what a pixel of a mask means, whatever file it lies in.

A mask's value at a pixel is, in this order:

- its colour, where the class map is of colours: grey and palettes are the colours they show;
- its grey: the sample of a grey picture of 8 or 16 bits, of a colour picture whose channels agree, and of a palette
  that is grey through and through, which is how lossless optimisers store grey;
- the index into a palette that has colours.

Grey of 1, 2 or 4 bits has two readings, the sample itself and the 8-bit grey it stands for (white is 255): the class
map decides, and where both fit and differ the picture is refused. Refused too is whatever would be a guess: formats
that lose values, several pictures in a file, pixels that are not opaque, floating point, white stored as 0, a palette
whose order its encoder chose.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

from regolith.lunar.files import shown_name
from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import InputError
from regolith.lunar.perception.decode import opened, orientation, ppm_white, raw_mode, turn_upright
from regolith.lunar.perception.depth import histogram, is_deep, read_deep

FORMATS = frozenset({"PNG", "TIFF", "BMP", "DIB", "GIF", "PPM"})
"""Formats that keep every value."""
TIFF_COMPRESSIONS = frozenset(
    {"raw", "tiff_raw_16", "tiff_ccitt", "group3", "group4", "packbits", "tiff_lzw"}
    | {"tiff_deflate", "tiff_adobe_deflate", "zstd", "lzma"}
)
"""Compressions of a TIFF that keep every value, as Pillow calls them."""
KEEPS = "a PNG, TIFF, BMP, GIF or PGM that keeps every value"


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """Which mask values, or colours, are which class."""

    values: Mapping[int, int]
    """Value, or colour as R · 65536 + G · 256 + B, to a value of `labels.CLASSES` or `IGNORE`."""
    colors: bool
    """Whether the keys are colours."""
    source: str = "what --classes names"
    """Where the keys come from, as an error says it."""


OWN_CLASSES = ClassMap({value: value for value in (*CLASSES.values(), IGNORE)}, False, "classes")
"""Masks that hold our own class values."""


def decode_mask(path: Path, classes: ClassMap = OWN_CLASSES) -> np.ndarray:
    """Read a mask, upright by its own orientation, as our classes.

    Args:
        path: The file.
        classes: What its values or colours mean.

    Returns:
        uint8 [H, W].

    Raises:
        InputError: The file is missing, no picture or damaged, its values cannot be told for certain, or one of them
            has no class.
    """
    with opened(path, "mask") as image:
        if image is None:
            raise _refused(path, "a TIFF of a rare kind", "a mask of whole numbers in one channel, or of 8-bit colours")
        _check_file(image, path)
        raw = raw_mode(image)
        if is_deep(image):
            keys = [_deep(image, path, classes)]
            lies = orientation(image)
        else:
            white = ppm_white(image)
            image.load()
            lies = orientation(image)  # a TIFF has been turned by now
            keys = [_colors(image, path)] if classes.colors else _values(image, path, raw, white)
    return turn_upright(_look_up(keys, path, classes), lies)


def _refused(path: Path, value: str, allowed: str) -> InputError:
    return InputError(shown_name(path), value, allowed)


def _check_file(image: ImageFile.ImageFile, path: Path) -> None:
    """Refuse files that lose values or leave open which picture, or which end of the scale, is meant."""
    if image.format not in FORMATS:
        raise _refused(path, f"a {image.format} picture", KEEPS)
    count = getattr(image, "n_frames", 1)
    if count != 1:
        raise _refused(path, f"{count} pictures in one file", "one mask a file")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        packing = image.info.get("compression", "raw")
        if packing not in TIFF_COMPRESSIONS:
            raise _refused(path, f"a TIFF compressed as {packing}", KEEPS)
        if image.tag_v2.get(262) == 0:
            raise _refused(path, "a TIFF whose white is 0", "a TIFF whose black is 0")
        if 0 in np.atleast_1d(image.tag_v2.get(338, ())):
            raise _refused(path, "a TIFF with a channel of no stated meaning", "one channel, or colours in --classes")
        if 2 in np.atleast_1d(image.tag_v2.get(339, ())) and image.mode == "L":
            raise _refused(path, "signed values of 8 bits", "whole numbers from 0 on")
    if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B", "RGB", "RGBA", "LA", "PA", "RGBX"):
        what = "floating-point values" if image.mode == "F" else f"a picture of mode {image.mode}"
        raise _refused(path, what, "whole numbers in one channel, or RGB colours")
    if raw_mode(image) in ("BGR;15", "BGR;16"):
        raise _refused(path, "a picture of 5 or 6 bits a channel", KEEPS)
    boxes = [tile.extents for tile in image.tile]
    if image.format == "GIF" and boxes != [(0, 0, *image.size)]:
        raise _refused(path, "a GIF whose picture does not fill it", "a mask of one whole picture")


def _colors(image: Image.Image, path: Path) -> np.ndarray:
    """Return colours as R · 65536 + G · 256 + B, uint32 [H, W]."""
    if image.mode.startswith("I"):
        raise _refused(path, "a picture of more than 8 bits", "colours of 8 bits a channel")
    _check_opaque(image, path)
    rgb = np.asarray(image.convert("RGB"))
    return rgb[..., 0].astype(np.uint32) << 16 | rgb[..., 1].astype(np.uint32) << 8 | rgb[..., 2]


def _values(image: Image.Image, path: Path, raw: str, white: int | None) -> list[np.ndarray]:
    """Return the values of a mask, int [H, W], once for each way to read them."""
    _check_opaque(image, path)
    if white not in (None, 255, 65535):
        raise _refused(path, f"a picture whose white is {white}", "white of 255 or 65535")
    if image.mode in ("P", "PA"):
        return [_palette_values(image, path)]
    array = np.asarray(image)
    if image.mode == "1" or raw in ("L;2", "L;4"):
        grey = array.astype(np.uint8) * (255 if image.mode == "1" else 1)
        unit = {"L;2": 85, "L;4": 17}.get(raw, 255)
        return [grey, grey // unit] if image.format in ("PNG", "TIFF") else [grey]
    if array.ndim == 3:
        channels = array[..., : 1 if image.mode == "LA" else 3]
        array = _agreeing(channels, path)
    return [array]


def _agreeing(channels: np.ndarray, path: Path) -> np.ndarray:
    """Return the grey of channels [H, W, C] that agree."""
    if any((channels[..., i] != channels[..., 0]).any() for i in range(1, channels.shape[2])):
        raise _refused(path, "a picture in colour", "one channel, or colours in --classes")
    return channels[..., 0]


def _palette_values(image: Image.Image, path: Path) -> np.ndarray:
    index = np.asarray(image if image.mode == "P" else image.getchannel("P"))
    colors = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    used = np.flatnonzero(histogram(index))
    if not len(colors) or used[-1] >= len(colors):
        raise _refused(path, f"an index {used[-1]} beyond the palette's {len(colors)} colours", "indices with a colour")
    grey = (colors == colors[:, :1]).all(axis=1)
    greys = colors[:, 0]
    if grey.all():
        for value in used:
            if greys[value] in greys[:value]:
                what = f"a palette where {value} and a lower index are one grey, {greys[value]}"
                raise _refused(path, what, "a palette of different greys, or one channel")
        return greys[index]
    if image.format == "GIF":
        raise _refused(path, "a GIF with a palette of colours, whose order its encoder chose", "colours in --classes")
    if grey[used].all() and (greys[used] != used).any():
        what = f"pixels of grey alone, such as index {used[greys[used] != used][0]}, with a palette of colours"
        raise _refused(path, what, "colours in --classes, or one channel")
    return index


def _check_opaque(image: Image.Image, path: Path) -> None:
    clear = False
    if image.mode in ("LA", "RGBA", "PA"):
        clear = image.getchannel("A").getextrema()[0] != 255
    key = image.info.get("transparency")
    if key is not None and not clear:
        if image.mode in ("P", "PA"):
            alpha = np.full(256, 255)
            if isinstance(key, bytes):
                alpha[: len(key)] = list(key[:256])
            else:
                alpha[key] = 0
            index = np.asarray(image if image.mode == "P" else image.getchannel("P"))
            clear = (alpha[histogram(index) > 0] < 255).any()
        elif image.mode in ("L", "1", "RGB") or image.mode.startswith("I"):
            clear = True  # a key colour: what it hides, an encoder may have changed
    if clear:
        raise _refused(path, "transparency", "a mask that is opaque everywhere")


def _deep(image: ImageFile.ImageFile, path: Path, classes: ClassMap) -> np.ndarray:
    """Return the grey of a picture with several channels of 16 bits."""
    if classes.colors:
        raise _refused(path, "a picture of more than 8 bits", "colours of 8 bits a channel")
    if image.info.get("transparency") is not None:
        raise _refused(path, "transparency", "a mask that is opaque everywhere")
    samples, _ = read_deep(path, image)
    count = samples.shape[2]
    if count in (2, 4):
        if (samples[..., -1] != 65535).any():
            raise _refused(path, "transparency", "a mask that is opaque everywhere")
        count -= 1
    return _agreeing(samples[..., :count], path)


def _look_up(readings: list[np.ndarray], path: Path, classes: ClassMap) -> np.ndarray:
    """Map values to classes by the reading whose every value has one, uint8 [H, W]."""
    fitting: list[np.ndarray] = []
    strange: list[int] = []
    for keys in readings:
        found = _distinct(keys)
        unknown = [value for value in found.tolist() if value not in classes.values]
        strange += unknown[:1]
        if not unknown:
            table = np.zeros(int(found[-1]) + 1, np.uint8)
            table[found] = [classes.values[value] for value in found.tolist()]
            fitting.append(table[keys])
    if not fitting:
        known = ", ".join(f"#{value:06x}" if classes.colors else str(value) for value in sorted(classes.values))
        shown = f"colour #{strange[0]:06x}" if classes.colors else f"value {strange[0]}"
        raise _refused(path, shown, f"{classes.source}: {known}")
    if any((mask != fitting[0]).any() for mask in fitting[1:]):
        what = f"grey of few bits, which may mean {_list(readings[0])} or {_list(readings[1])}"
        raise _refused(path, what, "grey of 8 bits where both have a class")
    return fitting[0]


def _list(keys: np.ndarray) -> str:
    return ", ".join(map(str, _distinct(keys).tolist()))


def _distinct(keys: np.ndarray) -> np.ndarray:
    """Return the distinct values of whole numbers, ascending, without a copy of the picture."""
    if keys.dtype.itemsize <= 2:
        return np.flatnonzero(histogram(keys))
    if keys.min() < 0 or keys.max() >= 1 << 24:
        return np.unique(keys)
    present = np.zeros(1 << 24, bool)
    present[keys.ravel()] = True
    return np.flatnonzero(present)
