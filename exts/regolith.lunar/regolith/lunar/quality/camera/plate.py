"""Opacity of a Réseau plate's crosses, from how much darker the pictures are where they would be.

Only of whole frames: the crosses stand where `render.optics.reseau_cover` has them. What chance makes of the same
figure is measured beside them, with the crosses shifted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage, stats

from regolith.lunar.quality.camera.found import CONFIDENCE, Found, unknown
from regolith.lunar.quality.camera.photographs import Photograph
from regolith.lunar.render.optics import PLATE_LINE_MM, PLATE_MM, reseau_cover

SHIFTS = tuple((dy, dx) for dy in (-8, -5, 5, 8) for dx in (-8, -5, 5, 8))
"""Rows and columns that the crosses are shifted by for comparison, in line widths of at least a pixel: both, so that no
line lies on another."""
LIT = 0.02
"""Least linear value around a line that can be darkened."""
PICTURES_MIN = 2
"""Fewest whole frames."""


def surroundings(photo: Photograph) -> np.ndarray:
    """Median saved value to the four sides of each pixel that lines through it do not cross, float32 [H, W]."""
    clear = line_px(photo.saved.shape)
    far = np.abs(np.arange(-clear - 3, clear + 4)) > clear
    return ndimage.median_filter(photo.saved, footprint=np.outer(far, far))


def line_px(shape: tuple[int, ...]) -> int:
    """Width of a line of the crosses in a picture of that shape, in whole pixels that hold it [px]."""
    return int(np.ceil(PLATE_LINE_MM / PLATE_MM * max(shape)))


def opacity(linear: np.ndarray, around: np.ndarray) -> tuple[float, float] | None:
    """Opacity of the crosses by one picture, and its standard error; None where too little is lit.

    Args:
        linear: Linear values, float [H, W].
        around: Those of the `surroundings`.
    """
    lit = around > LIT
    darker = np.where(lit, np.clip(1.0 - linear / np.maximum(around, LIT), -1.0, 1.0), 0.0)
    cover = reseau_cover(*linear.shape).astype(np.float64)

    def fit(at: np.ndarray) -> float:
        weight = (at**2)[lit].sum()
        return float((at * darker).sum() / weight) if weight > 0.1 * (cover**2).sum() else np.nan

    line = line_px(linear.shape)
    beside = np.array([fit(np.roll(cover, (line * dy, line * dx), axis=(0, 1))) for dy, dx in SHIFTS])
    there = fit(cover)
    if np.isnan(there) or np.isnan(beside).any():
        return None
    return there - float(beside.mean()), float(beside.std(ddof=1))


def find_reseau(measured: Sequence[tuple[float, float] | None]) -> Found:
    """Opacity of the plate by each picture's (`opacity`)."""
    rows = [row for row in measured if row is not None]
    if len(rows) < PICTURES_MIN:
        return unknown(f"{len(rows)} whole frames lit where a plate's crosses would be; {PICTURES_MIN} are needed")
    values, errors = np.array(rows).T
    weight = 1.0 / np.maximum(errors, 1e-6) ** 2
    mean = float((weight * values).sum() / weight.sum())
    scatter = float((weight * (values - mean) ** 2).sum() / (len(rows) - 1))
    half = stats.norm.isf((1.0 - CONFIDENCE) / 2.0) * np.sqrt(max(scatter, 1.0) / weight.sum())
    seen = "crosses of a plate are there" if mean > half else "no crosses of a plate are seen"
    return Found("identified", f"{seen}, by {len(rows)} whole frames", mean, (mean - half, mean + half), len(rows))
