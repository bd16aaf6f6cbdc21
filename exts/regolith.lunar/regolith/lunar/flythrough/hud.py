"""What is written over a film's frames: title, legend, frame counter, and a rover's own view in a corner."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from regolith.lunar.perception.overlay import INK, PAPER, REGOLITH_COLOR, ROCK_COLOR

TITLE_S, FADE_S = 3.0, 0.6
"""How long the title of a film stays, and how long it takes to come and to go [s]."""
PANEL = 150
"""Opacity of what lies below text, of 255."""
BASE_PX = 540
"""Height of a picture for which sizes are given below [px]; others are scaled."""
INSET_SHARE = 0.33
"""Side of the inset over the height of the picture."""
FAINT = (176, 173, 168)


@dataclasses.dataclass(frozen=True)
class Caption:
    """What is said of one frame."""

    title: str
    subtitle: str
    opacity: float
    """Of the title, 0 … 1."""
    number: int
    """Of the frame, from 1."""
    count: int
    """Frames of the film."""
    time_s: float
    """In the film."""
    rock_share: float
    """Share of rock in the ground the model sees."""
    sun_deg: float
    """Elevation of the sun."""
    inset: str = ""
    """What the inset shows."""


def title_opacity(time_s: float, seconds: float) -> float:
    """Opacity of the title at a time of a film of a length [s]."""
    stay = min(TITLE_S, 0.6 * seconds)
    return float(np.clip(min(time_s / FADE_S, (stay - time_s) / FADE_S + 1.0), 0.0, 1.0))


def draw_hud(picture: np.ndarray, caption: Caption, inset: np.ndarray | None = None) -> np.ndarray:
    """Write over a frame.

    Args:
        picture: The frame with its overlay, uint8 [H, W, 3].
        caption: What is said of it.
        inset: What a camera of the rover sees, with its overlay, uint8 [h, w, 3].

    Returns:
        uint8 [H, W, 3], a new array.
    """
    base = Image.fromarray(picture).convert("RGBA")
    scale = base.height / BASE_PX
    layer = Image.new("RGBA", base.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    _title(draw, caption, scale)
    _legend(draw, base.height, scale)
    _counter(draw, caption, base.size, scale)
    if inset is not None:
        _inset(layer, draw, inset, caption.inset, scale)
    return np.asarray(Image.alpha_composite(base, layer).convert("RGB"))


@cache
def _font(size: int, text: str = "") -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, or for a text with characters it lacks matplotlib's DejaVu Sans."""
    font = ImageFont.load_default(size)

    def drawn(character: str) -> bytes:
        picture = Image.new("L", (2 * size, 2 * size))
        ImageDraw.Draw(picture).text((0, 0), character, 255, font=font)
        return picture.tobytes()

    if drawn("\uffff") not in map(drawn, set(text)):
        return font
    from matplotlib import get_data_path

    return ImageFont.truetype(str(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size)


def _title(draw: ImageDraw.ImageDraw, caption: Caption, scale: float) -> None:
    if not caption.title or caption.opacity <= 0.0:
        return
    large, small = _font(round(32 * scale), caption.title), _font(round(15.5 * scale), caption.subtitle)
    left, top, pad = round(24 * scale), round(20 * scale), round(12 * scale)
    widths = [draw.textlength(caption.title, font=large), draw.textlength(caption.subtitle, font=small)]
    width, high = max(widths), round(33 * scale) + (round(23 * scale) if caption.subtitle else 0)
    alpha = round(PANEL * caption.opacity)
    box = (left, top, left + 2 * pad + round(4 * scale) + width, top + high + 2 * round(8 * scale))
    draw.rounded_rectangle(box, radius=round(4 * scale), fill=(*PAPER, alpha))
    ink = round(255 * caption.opacity)
    bar = (left, top, left + round(3 * scale), box[3])
    draw.rectangle(bar, fill=(*ROCK_COLOR, ink))
    x = left + pad + round(4 * scale)
    draw.text((x, top + round(24 * scale)), caption.title, (*INK, ink), font=large, anchor="lm")
    if caption.subtitle:
        draw.text((x, top + round(54 * scale)), caption.subtitle, (*FAINT, ink), font=small, anchor="lm")


def _legend(draw: ImageDraw.ImageDraw, height: int, scale: float) -> None:
    font = _font(round(16 * scale))
    left, gap, chip = round(24 * scale), round(8 * scale), round(14 * scale)
    entries = [("rock", (*ROCK_COLOR, 255)), ("regolith", (*REGOLITH_COLOR, 255)), ("sky", (12, 12, 12, 255))]
    widths = [round(draw.textlength(name, font=font)) for name, _ in entries]
    wide = sum(widths) + len(entries) * (chip + gap) + (len(entries) - 1) * 2 * gap + 2 * round(12 * scale)
    bottom = height - round(20 * scale)
    top = bottom - round(32 * scale)
    draw.rounded_rectangle((left, top, left + wide, bottom), radius=round(4 * scale), fill=(*PAPER, PANEL))
    x, middle = left + round(12 * scale), (top + bottom) / 2.0
    for (name, colour), width in zip(entries, widths, strict=True):
        edge = (x, round(middle - chip / 2), x + chip, round(middle + chip / 2))
        draw.rectangle(edge, fill=colour, outline=(*FAINT, 255), width=max(1, round(scale)) if name == "sky" else 0)
        draw.text((x + chip + gap, middle), name, (*INK, 255), font=font, anchor="lm")
        x += chip + 3 * gap + width


def _counter(draw: ImageDraw.ImageDraw, caption: Caption, size: tuple[int, int], scale: float) -> None:
    font = _font(round(16 * scale))
    digits = len(str(caption.count))
    words = [
        f"rock {100.0 * caption.rock_share:.0f} % of the ground", f"sun {caption.sun_deg:.1f}°",
        f"{caption.number:0{digits}d} / {caption.count}",
    ]  # fmt: skip
    widest = [f"rock {100:.0f} % of the ground", f"sun {88.8:.1f}°", f"{caption.count} / {caption.count}"]
    gap, pad = round(20 * scale), round(12 * scale)
    widths = [round(draw.textlength(word, font=font)) for word in widest]
    wide = sum(widths) + gap * (len(words) - 1) + 2 * pad
    right, bottom = size[0] - round(24 * scale), size[1] - round(20 * scale)
    left, top = right - wide, bottom - round(32 * scale)
    draw.rounded_rectangle((left, top, right, bottom), radius=round(4 * scale), fill=(*PAPER, PANEL))
    x, middle = left + pad, (top + bottom) / 2.0
    for word, width in zip(words, widths, strict=True):
        draw.text((x + width, middle), word, (*INK, 255), font=font, anchor="rm")
        x += width + gap
    line = max(1, round(2 * scale))
    done = left + wide * caption.number / caption.count
    draw.rectangle((left, bottom - line, done, bottom - 1), fill=(*INK, 210))


def _inset(layer: Image.Image, draw: ImageDraw.ImageDraw, inset: np.ndarray, name: str, scale: float) -> None:
    side = round(INSET_SHARE * layer.height)
    shown = Image.fromarray(inset)
    shown = shown.resize((round(side * shown.width / shown.height), side), Image.Resampling.LANCZOS)
    right, top, edge = layer.width - round(24 * scale), round(20 * scale), max(1, round(1.5 * scale))
    left, bar, font = right - shown.width, round(26 * scale), _font(round(14 * scale))
    box = (left - edge, top - edge, right + edge - 1, top + side + bar + edge - 1)
    draw.rectangle(box, fill=(*PAPER, 255))
    layer.paste(shown.convert("RGBA"), (left, top))
    draw.text((left + round(8 * scale), top + side + bar / 2.0), name, (*INK, 255), font=font, anchor="lm")
    draw.rectangle(box, outline=(*INK, 200), width=edge)
