"""Opacity of a Réseau plate's crosses, from how much darker the pictures are where they would be.

Only of whole frames: the crosses stand where `render.optics.reseau_cover` has them. What chance makes of the same
figure is measured beside them, with the crosses shifted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from scipy import ndimage

from regolith.lunar.quality.camera.found import CONFIDENCE, Found, unknown
from regolith.lunar.render.optics import PLATE_LINE_MM, PLATE_MM, reseau_cover

SHIFTS_MM = tuple((dy, dx) for dy in (-3.2, -2.3, 2.3, 3.2) for dx in (-3.2, -2.3, 2.3, 3.2))
"""Down and across that crosses are shifted by for comparison [mm], past the central one's arms."""
UNEVEN_MAX = 0.2
"""Largest standard deviation of what is around a pixel, over its mean: rocks and shadows differ by more."""
LIT = 0.02
"""Least linear value around a line that can be darkened."""
WINDOW = 5
"""Side of what is around a pixel, beyond twice the width of a line [px]."""
PICTURES_MIN = 3
"""Fewest whole frames."""


def opacity(linear: np.ndarray) -> tuple[float, float] | None:
    """Opacity of the crosses by one picture, and its standard error; None where too little is lit.

    A line's pixels are held against the mean of what is around them and under no line.

    Args:
        linear: Linear values, float [H, W].
    """
    scale = max(linear.shape) / PLATE_MM
    line = int(np.ceil(PLATE_LINE_MM * scale))  # pixels that hold its width
    cover = reseau_cover(*linear.shape).astype(np.float64)
    clear, side = (cover == 0.0).astype(np.float64), 2 * line + WINDOW
    share = np.maximum(ndimage.uniform_filter(clear, side), 1e-9)
    around = ndimage.uniform_filter(linear * clear, side) / share
    square = ndimage.uniform_filter(linear**2 * clear, side) / share
    lit = (around > LIT) & (square - around**2 <= (UNEVEN_MAX * around) ** 2)
    darker = np.where(lit, np.clip(1.0 - linear / np.maximum(around, LIT), -1.0, 1.0), 0.0)

    def fit(at: np.ndarray) -> float:
        weight = (at**2)[lit].sum()
        return float((at * darker).sum() / weight) if weight > 0.1 * (cover**2).sum() else np.nan

    shifts = [(round(scale * dy), round(scale * dx)) for dy, dx in SHIFTS_MM]
    beside = np.array([fit(np.roll(cover, shift, axis=(0, 1))) for shift in shifts])
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
    half = float(scipy.stats.t.isf((1.0 - CONFIDENCE) / 2.0, len(rows) - 1) * np.sqrt(max(scatter, 1.0) / weight.sum()))
    seen = "crosses of a plate are there" if mean > half else "no crosses of a plate are seen"
    return Found("identified", f"{seen}, by {len(rows)} whole frames", mean, (mean - half, mean + half), len(rows))
