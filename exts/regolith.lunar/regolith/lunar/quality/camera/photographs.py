"""Photographs as the camera saved them: one channel, not reduced, with what the file says of its compression."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from regolith.lunar.files import shown_name
from regolith.lunar.params import InputError
from regolith.lunar.perception.decode import opened, orientation, turn_upright
from regolith.lunar.perception.depth import full_scale, is_deep, read_deep
from regolith.lunar.perception.photos import SIDE_MIN_PX, read_photo
from regolith.lunar.quality.camera.response import Curve

COLOUR_LEVELS = 2
"""Mean difference of channels up to which an 8-bit picture is grey: what JPEG's rounding of chroma leaves."""


@dataclasses.dataclass(frozen=True)
class Photograph:
    """One photograph of height H and width W."""

    name: str
    saved: np.ndarray
    """Saved values of its green channel, or of its only one, float32 [H, W], 0 … 1."""
    white: float
    """Steps from black to white: 255 of 8 bits."""
    grey: bool
    """Whether it has no colour."""
    steps: np.ndarray | None = None
    """Luminance quantization table of a JPEG file, float64 [8, 8]; None of other files."""
    classes: np.ndarray | None = None
    """uint8 [H, W] of `labels`, where there is a mask."""

    def linear(self, curve: Curve) -> np.ndarray:
        """Its linear values by an assumed response, float64 [H, W]."""
        table = curve.decode(np.arange(int(self.white) + 1) / self.white)
        return table[np.rint(self.saved * self.white).astype(np.intp)]

    @property
    def clipped(self) -> np.ndarray:
        """Where it is black or white, bool [H, W]."""
        return (self.saved <= 0.0) | (self.saved >= 1.0)


def read_photograph(path: Path, notes: list[str]) -> Photograph:
    """Read a photograph upright, with all bits it has.

    A colour picture is measured in green: most of the luminance, and the channel a Bayer sensor samples twice.

    Args:
        path: The file.
        notes: Receives what cannot be told of the file for certain.

    Raises:
        InputError: The file cannot be used (`perception.photos.read_photo`).
    """
    name = shown_name(path)
    steps = None
    with opened(path, "photograph") as image:
        if image is None or is_deep(image):
            samples, white = read_deep(path, image)
            colors = samples[..., : samples.shape[2] - (samples.shape[2] in (2, 4))]
            if white is None:
                white, note = full_scale(colors, name)
                notes += [f"{name}: {note}"] if note else []
            if np.issubdtype(colors.dtype, np.floating):
                raise InputError(name, "floating point", "a picture of 8 to 16 bits, as a camera saves it")
            colors = turn_upright(colors, 1 if image is None else orientation(image))
        else:
            white, colors = 255.0, None
            tables = getattr(image, "quantization", None) or {}
            if 0 in tables:
                steps = np.array(tables[0], np.float64).reshape(8, 8)
    if colors is None:
        colors = read_photo(path, notes=notes)
    height, width = colors.shape[:2]
    if min(height, width) < SIDE_MIN_PX:
        raise InputError(name, f"{width}×{height} px", f"a photograph of at least {SIDE_MIN_PX} px on each side")
    spread = np.ptp(colors.astype(np.int32), axis=2).mean() if colors.shape[2] == 3 else 0.0
    chosen = colors[..., 1 if colors.shape[2] == 3 else 0]
    saved = np.clip(chosen.astype(np.float32) / np.float32(white), 0.0, 1.0)
    return Photograph(name, saved, white, bool(spread <= COLOUR_LEVELS * white / 255.0), steps)
