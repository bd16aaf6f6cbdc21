"""Photographs of any kind as uint8 RGB pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from regolith.lunar.files import shown_name
from regolith.lunar.params import InputError
from regolith.lunar.perception.decode import opened, orientation, turn_upright
from regolith.lunar.perception.depth import is_deep, read_deep, to_8_bit
from regolith.lunar.perception.folders import survey
from regolith.lunar.perception.masks import decode_mask

SIDE_MIN_PX = 32
"""Shortest side a photograph must have: the stride of the network's last stage."""
STRIP_PX = 1 << 22
"""Pixels brought to RGB at once, about: a large picture is in memory once as it is stored, and once as RGB."""


def find_photos(images: Path) -> list[Path]:
    """Return the photographs of a folder by name, or the one file given; masks and results of a run are none.

    Raises:
        InputError: There is none.
    """
    return survey(images).photos


def read_photo(path: Path, *, notes: list[str] | None = None, most_px: int | None = None) -> np.ndarray:
    """Read a photograph upright: EXIF orientation applied, transparency on black, first picture of several.

    More than 8 bits are brought to 8 by what white is in the file (`perception.depth`): nothing is stretched, so a
    12-bit frame in a 16-bit file keeps its exposure, in grey and in colour.

    Args:
        path: The file.
        notes: Receives what cannot be told of the file for certain, or was done to it, one line each.
        most_px: Pixels beyond which a picture is reduced by a whole factor, a JPEG while it is decoded; left out, it
            never is.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: The file is missing, no picture, damaged, too small or too large, or its brightness cannot be told.
    """
    name = shown_name(path)
    notes = [] if notes is None else notes
    with opened(path, "photograph") as image:
        if image is None or is_deep(image):
            samples, white = read_deep(path, image)
        elif image.mode[0] in "IF":
            samples, white = np.asarray(image)[..., None], 65535.0 if image.format == "PPM" else None
        else:
            _check_size(image.width, image.height, name)
            stored = image.size
            factor = _factor(stored, most_px)
            image.draft(None, (stored[0] // factor, stored[1] // factor))
            ImageOps.exif_transpose(image, in_place=True)
            rgb = _to_rgb(image, _factor(image.size, most_px))
            if factor > 1:
                notes.append(_reduction(stored, rgb))
            return rgb
        lies = 1 if image is None else orientation(image)
        rgb, note = to_8_bit(samples, white, name)
        del samples
        if note is not None:
            notes.append(note)
        stored = (rgb.shape[1], rgb.shape[0])
        _check_size(*stored, name)
        factor = _factor(stored, most_px)
        if factor > 1:
            rgb = np.asarray(Image.fromarray(rgb).reduce(factor))
            notes.append(_reduction(stored, rgb))
        return np.ascontiguousarray(turn_upright(rgb, lies))


def _check_size(width: int, height: int, name: str) -> None:
    if min(height, width) < SIDE_MIN_PX:
        raise InputError(name, f"{width}×{height} px", f"a photograph of at least {SIDE_MIN_PX} px on each side")


def _factor(size: tuple[int, int], most_px: int | None) -> int:
    """Factor a picture is reduced by."""
    return 1 if most_px is None else max(1, math.ceil(math.sqrt(size[0] * size[1] / most_px)))


def _reduction(stored: tuple[int, int], rgb: np.ndarray) -> str:
    height, width = rgb.shape[:2]
    whole = sorted(stored, reverse=width > height)
    return f"its {whole[0]}×{whole[1]} px reduced to {width}×{height}"


def _to_rgb(image: Image.Image, factor: int) -> np.ndarray:
    """Bring a picture to uint8 [H, W, 3], strip by strip, reduced by a whole factor."""
    width, height = image.size
    out = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    rows = factor * max(1, STRIP_PX // (factor * width))
    for top in range(0, height, rows):
        strip = _opaque(image.crop((0, top, width, min(top + rows, height))))
        reduced = strip.reduce(factor) if factor > 1 else strip
        out[top // factor : top // factor + reduced.height] = np.asarray(reduced)
    return out


def _opaque(image: Image.Image) -> Image.Image:
    """Convert a picture to RGB, transparency on black."""
    if image.mode == "PA" or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image.convert("RGB")


def read_mask(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read the true classes of a photograph.

    Args:
        path: Picture of our own class values, as `perception.masks` reads it.
        shape: Height and width of the photograph.

    Returns:
        uint8 [H, W].

    Raises:
        InputError: The file is missing or damaged, has another size, or holds a value that is no class.
    """
    mask = decode_mask(path)
    if mask.shape != shape:
        size = f"{mask.shape[1]}×{mask.shape[0]} px"
        raise InputError(shown_name(path), size, f"the photograph's size, {shape[1]}×{shape[0]} px")
    return mask
