"""Vignetting: the power of the cos⁴ law, from how brightness falls off along the rows of many photographs.

What a row shows in common goes into a constant of its own: that ground is brighter near the horizon, or sky dark, tells
nothing. What is left of light and scene along the rows is a slope for each picture, and chance; chance differs from
picture to picture, and the interval is that of the pictures' mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regolith.lunar.labels import REGOLITH
from regolith.lunar.quality.camera.found import Found, mean_interval, unknown
from regolith.lunar.quality.camera.photographs import Photograph
from regolith.lunar.render.optics import vignette
from regolith.lunar.stage.lens import Lens

CELLS = 32
"""Cells along the longer side of a picture."""
PICTURES_MIN = 5
"""Fewest pictures that tell scene from lens."""
SHADOW = 0.25
"""Part of the upper quartile of a picture's light below which a cell is shadow or sky."""
OUTLIER, ROUNDS = 2.5, 5
"""Robust standard deviations beyond which a cell is left out: rocks, shadows; rounds of that."""


def cells_of(values: np.ndarray, side: int, measure: str) -> np.ndarray:
    """Cut an array [H, W] into square cells and return the `median` or `mean` of each, float [H // side, W // side]."""
    rows, columns = (length // side for length in values.shape)
    cut = values[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.median(cut, axis=(1, 3)) if measure == "median" else cut.mean(axis=(1, 3))


def fall_off(photo: Photograph, linear: np.ndarray, fov_deg: float) -> float | None:
    """Power of the cos⁴ law by one picture; None where too little of it is lit ground.

    Args:
        photo: A whole frame: its centre is the lens's.
        linear: Its linear values, float [H, W].
        fov_deg: Horizontal field of view [deg].
    """
    height, width = photo.saved.shape
    side = max(1, max(height, width) // CELLS)
    linear = cells_of(linear, side, "median")
    law = vignette(np.ones((height, width), np.float32), vignetting=1.0, lens=Lens.from_fov(fov_deg, width, height))
    law = np.log(cells_of(law.astype(np.float64), side, "mean"))
    across = np.broadcast_to(np.linspace(-1.0, 1.0, linear.shape[1]), linear.shape)
    lit = linear > max(SHADOW * float(np.quantile(linear, 0.75)), 1e-4)
    lit &= cells_of(photo.clipped, side, "mean") < 0.5
    if photo.classes is not None:
        lit &= cells_of(photo.classes == REGOLITH, side, "mean") > 0.5
    light = np.log(np.maximum(linear, 1e-9))
    for _ in range(ROUNDS):
        if lit.sum() < 4 * CELLS:
            return None
        row = np.flatnonzero(lit) // lit.shape[1]

        def centred(values: np.ndarray, row: np.ndarray = row, lit: np.ndarray = lit) -> np.ndarray:
            return values[lit] - (np.bincount(row, values[lit]) / np.maximum(np.bincount(row), 1))[row]

        columns = np.stack([centred(law), centred(across)], axis=1)
        (power, slope), *_ = np.linalg.lstsq(columns, centred(light), rcond=None)
        residual = np.zeros_like(light)
        residual[lit] = centred(light) - columns @ (power, slope)
        kept = lit & (np.abs(residual) <= OUTLIER * 1.4826 * np.median(np.abs(residual[lit])) + 1e-12)
        if kept.sum() == lit.sum():
            break
        lit = kept
    return float(power)


def find_vignetting(powers: Sequence[float | None], fov_deg: float) -> Found:
    """Power of the cos⁴ law of a lens.

    Args:
        powers: By each picture (`fall_off`).
        fov_deg: Horizontal field of view that was assumed [deg].
    """
    found = [power for power in powers if power is not None]
    if len(found) < PICTURES_MIN:
        return unknown(f"{len(found)} whole frames with enough lit ground; {PICTURES_MIN} are needed")
    values = np.array(found)
    low, high = mean_interval(values)
    note = f"fall-off along the rows of {len(found)} whole frames, at {fov_deg:g}° of view"
    return Found("identified", note, float(values.mean()), (low, high), len(found))
