"""Pictures of what a model sees: rock red with an outline, regolith faint green, sky untouched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from PIL import Image, ImageDraw, ImageFont

from regolith.lunar.labels import REGOLITH, ROCK, SKY

ROCK_COLOR = (235, 52, 40)
REGOLITH_COLOR = (64, 190, 96)
IGNORE_COLOR = (110, 110, 110)
ROCK_OPACITY = 0.42
REGOLITH_OPACITY = 0.10
STRIP_PX = 1 << 21
"""Pixels of a picture tinted at once."""
SHEET_CELLS, SHEET_COLUMNS, SHEET_CELL_PX = 8, 4, 240
"""Most pictures on the contact sheet of a stratum, pictures in a row, and the side of each [px]."""
PAPER = (19, 18, 17)
INK = (233, 230, 224)


def class_layer(
    mask: np.ndarray,
    *,
    opacity: float = ROCK_OPACITY,
    rock: bool = True,
    outline: bool = True,
    regolith: bool = True,
    outline_px: int | None = None,
) -> np.ndarray:
    """Draw classes as a layer to lay over a picture; a class other than rock and regolith stays clear.

    Args:
        mask: Classes, uint8 [H, W].
        opacity: Opacity of rock in [0, 1]; regolith is fainter by `REGOLITH_OPACITY` over `ROCK_OPACITY`.
        rock: Whether rock is tinted.
        outline: Whether rock has an opaque outline.
        regolith: Whether regolith is tinted.
        outline_px: Width of the outline [px]; left out, 1/500 of the long side.

    Returns:
        RGBA with straight alpha, uint8 [H, W, 4]; clear pixels are 0 throughout.
    """
    table = np.zeros((256, 4), np.uint8)
    if regolith:
        table[REGOLITH] = (*REGOLITH_COLOR, round(255 * opacity * REGOLITH_OPACITY / ROCK_OPACITY))
    if rock:
        table[ROCK] = (*ROCK_COLOR, round(255 * opacity))
    table[table[:, 3] == 0] = 0
    layer = table[mask]
    if outline:
        layer[_outline(mask == ROCK, outline_px or _outline_px(mask.shape))] = (*ROCK_COLOR, 255)
    return layer


def _outline_px(shape: tuple[int, ...]) -> int:
    """Width of an outline: 1/500 of the picture's long side."""
    return max(1, round(max(shape) / 500))


def _outline(rock: np.ndarray, width: int) -> np.ndarray:
    """Rim of the true pixels."""
    inside = np.asarray(scipy.ndimage.binary_erosion(rock, iterations=width, border_value=1), bool)
    return rock & ~inside


def blend(rgb: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Lay a layer over a picture.

    Args:
        rgb: Picture, uint8 [H, W, 3].
        layer: RGBA with straight alpha, uint8 [H, W, 4].

    Returns:
        uint8 [H, W, 3], a new array.
    """
    alpha = layer[..., 3:].astype(np.uint32)
    mixed = rgb * (255 - alpha) + layer[..., :3] * alpha
    return ((mixed + 127) // 255).astype(np.uint8)


def draw_overlay(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Tint a picture by class; a class other than rock and regolith keeps its pixels.

    Args:
        rgb: Picture, uint8 [H, W, 3].
        mask: Classes, uint8 [H, W].

    Returns:
        uint8 [H, W, 3], a new array.
    """
    if rgb.shape[:2] != mask.shape:
        raise ValueError(f"picture has shape {rgb.shape[:2]}, mask {mask.shape}")
    out = np.empty_like(rgb)
    reach = _outline_px(mask.shape)
    rows = max(1, STRIP_PX // mask.shape[1])
    for top in range(0, len(mask), rows):
        above = min(top, reach)  # an outline is decided by what lies around it
        layer = class_layer(mask[top - above : top + rows + reach], outline_px=reach)
        out[top : top + rows] = blend(rgb[top : top + rows], layer[above : above + rows])
    return out


def draw_classes(mask: np.ndarray) -> np.ndarray:
    """Draw classes as flat colours: rock red, regolith green, sky black, ignored pixels grey.

    Args:
        mask: Classes, uint8 [H, W].

    Returns:
        uint8 [H, W, 3].
    """
    out = np.full((*mask.shape, 3), IGNORE_COLOR, np.uint8)
    for value, color in ((REGOLITH, REGOLITH_COLOR), (ROCK, ROCK_COLOR), (SKY, (0, 0, 0))):
        out[mask == value] = color
    return out


def sheet_cell(rgb: np.ndarray, side: int = SHEET_CELL_PX) -> np.ndarray:
    """Reduce a picture, uint8 [H, W, 3], to what a contact sheet of a stratum shows of it."""
    scale = side / max(rgb.shape[:2])
    return rgb if scale >= 1 else np.asarray(_fit(rgb, side))


def contact_sheet(
    pictures: Sequence[tuple[np.ndarray, str]], *, columns: int | None = None, cell: int = 360
) -> Image.Image:
    """Lay pictures out on one sheet, each with a caption below it.

    Args:
        pictures: Picture uint8 [H, W, 3] and caption; at least one.
        columns: Pictures in a row; left out, about as many as rows.
        cell: Side of the square a picture is fitted into [px]; rows are only as high as the tallest one needs.
    """
    fitted = [_fit(array, cell) for array, _ in pictures]
    height = max(picture.height for picture in fitted)
    columns = columns or min(len(pictures), max(1, round(len(pictures) ** 0.5)))
    rows = -(-len(pictures) // columns)
    gap, line = 8, 20
    font = ImageFont.load_default(13)
    size = (columns * (cell + gap) + gap, rows * (height + line + gap) + gap)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (picture, (_, caption)) in enumerate(zip(fitted, pictures, strict=True)):
        x, y = gap + (i % columns) * (cell + gap), gap + (i // columns) * (height + line + gap)
        sheet.paste(picture, (x + (cell - picture.width) // 2, y + (height - picture.height) // 2))
        while caption and draw.textlength(caption, font=font) > cell:
            caption = caption[:-2].rstrip("…") + "…" if len(caption) > 2 else ""  # noqa: PLW2901
        draw.text((x, y + height + 2), caption, INK, font=font)
    return sheet


def _fit(rgb: np.ndarray, side: int) -> Image.Image:
    picture = Image.fromarray(rgb)
    scale = side / max(picture.size)
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
