"""Rock masks of Apollo photographs, shipped as polygons and bilevel masks: no pixel of a photograph is among them."""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pydantic import BaseModel, ConfigDict

from regolith.lunar.labels import IGNORE, REGOLITH, ROCK, SKY
from regolith.lunar.params import InputError

FILE = Path(__file__).with_name("apollo_masks.json")
APOLLO = "apollo"
"""What `regolith evaluate real --masks` calls these masks."""
BOULDERS = "boulder close-ups"
OTHERS = "other frames"
ASPECT_TOLERANCE = 0.005
"""Largest relative difference of two aspect ratios of one framing: what rounding to whole pixels makes of it."""

Outline = list[tuple[float, float]]
"""Corners of a polygon, (x, y) [px of the mask's own size]."""


class ApolloMask(BaseModel):
    """The true classes of one photograph, or of a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Of the photograph's file, without its ending."""
    nasa_id: str
    """Of the photograph it was cut from."""
    mission: str
    boulder: bool
    """Whether boulders fill the picture."""
    size: tuple[int, int]
    """Width and height [px]."""
    source: tuple[int, int]
    """Width and height of the photograph `crop` refers to [px]."""
    crop: tuple[int, int, int, int]
    """Left, top, right and bottom in that photograph [px]."""
    confidence: str
    """Of its annotator: A, B, C."""
    remarks: str
    rocks: list[Outline]
    ground: list[Outline]
    """What is no rock inside a rock's outline."""
    sky: str
    """Bilevel TIFF of its own size, compressed as a fax of Group 4 (ITU-T T.6), in base64."""
    ignore: str
    """The same: outlines, what was too unclear or too small to label, hardware, people, film borders."""
    sha256: str
    """Of the classes in its own size: uint8, row by row."""

    @property
    def group(self) -> str:
        """Which figures it is pooled with."""
        return BOULDERS if self.boulder else OTHERS

    def draw(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return its classes, uint8 [H, W].

        Args:
            size: Width and height [px]; left out, its own.
        """
        size = size or self.size
        image = Image.new("L", size, REGOLITH)
        draw = ImageDraw.Draw(image)
        scale = np.divide(size, self.size)
        for value, outlines in ((ROCK, self.rocks), (REGOLITH, self.ground)):
            for outline in outlines:
                corners = (np.array(outline) + 0.5) * scale - 0.5 if size != self.size else np.array(outline)
                draw.polygon([(float(x), float(y)) for x, y in corners], fill=value, outline=value)
        for value, text in ((SKY, self.sky), (IGNORE, self.ignore)):
            with Image.open(io.BytesIO(base64.b64decode(text))) as layer:
                image.paste(value, mask=layer.resize(size, Image.Resampling.NEAREST))
        return np.asarray(image)


@functools.cache
def apollo_masks() -> tuple[ApolloMask, ...]:
    """Return the shipped masks."""
    data: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return tuple(ApolloMask.model_validate(row) for row in data["masks"])


def photograph_name(name: str) -> str:
    """Return a file's name without NASA's name of a size (`…~orig`), in lower case; it has no ending."""
    return name.split("~", maxsplit=1)[0].lower()


def find_masks(name: str) -> list[ApolloMask]:
    """Return the masks of a photograph: the one of its name, or all that were cut from the NASA photograph it is.

    Args:
        name: Of its file, without the ending (`photograph_name`).
    """
    name = photograph_name(name)
    named = [mask for mask in apollo_masks() if mask.name.lower() == name]
    return named or [mask for mask in apollo_masks() if mask.nasa_id.lower() == name]


def draw_masks(masks: Sequence[ApolloMask], name: str, shape: tuple[int, int]) -> np.ndarray:
    """Draw the masks of a photograph in its own size.

    Args:
        masks: As `find_masks` returns them, at least one.
        name: Of the photograph's file, without the ending.
        shape: Height and width of the photograph.

    Returns:
        Classes uint8 [H, W]; of a whole photograph of NASA's, what no mask covers is `IGNORE`.

    Raises:
        InputError: Its aspect ratio is another, so it shows something else.
    """
    height, width = shape
    whole = masks[0].name.lower() != photograph_name(name)
    full = masks[0].source if whole else masks[0].size
    if abs(width * full[1] / (height * full[0]) - 1) > ASPECT_TOLERANCE:
        what = "photograph" if whole else "part of the photograph"
        raise InputError(
            name,
            f"{width}×{height} px",
            f"the {what} that was labelled, {full[0]}×{full[1]} px or that in another size",
        )
    if not whole:
        return masks[0].draw((width, height))
    classes = np.full(shape, IGNORE, np.uint8)
    for mask in masks:
        left, top, right, bottom = np.rint(np.array(mask.crop) * np.tile(np.divide((width, height), full), 2)).astype(
            int
        )
        classes[top:bottom, left:right] = mask.draw((int(right - left), int(bottom - top)))
    return classes
