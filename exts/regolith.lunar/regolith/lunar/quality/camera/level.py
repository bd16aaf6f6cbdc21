"""Exposure and colour: how bright the ground lies in the pictures, and whether they have colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regolith.lunar.labels import REGOLITH
from regolith.lunar.quality.camera.found import Found, unknown
from regolith.lunar.quality.camera.vignetting import SHADOW

GROUND_MIN = 1000
"""Fewest pixels of lit ground."""
PICTURES_MIN = 3
"""Fewest pictures that tell a range."""


def ground_level(linear: np.ndarray, classes: np.ndarray | None) -> float | None:
    """Median linear value of a picture's lit ground; None of too little.

    Args:
        linear: Linear values, float [H, W].
        classes: uint8 [H, W]; without them all that is no shadow or sky counts.
    """
    ground = linear if classes is None else linear[classes == REGOLITH]
    if ground.size < GROUND_MIN:
        return None
    lit = ground[ground > SHADOW * np.quantile(ground, 0.75)]
    return float(np.median(lit)) if lit.size >= GROUND_MIN else None


def find_exposure(grounds: Sequence[float | None], key: float) -> Found:
    """Range of the exposure offsets [EV] that bring level ground from `sensor.exposure_key` to where it lies.

    Args:
        grounds: Of each picture (`ground_level`).
        key: Linear value of level Lambert ground without an offset.
    """
    levels = [level for level in grounds if level is not None]
    if len(levels) < PICTURES_MIN:
        return unknown(f"{len(levels)} pictures with enough lit ground; {PICTURES_MIN} are needed")
    offsets = np.log2(np.array(levels) / key)
    low, high = np.quantile(offsets, (0.05, 0.95)) if len(offsets) >= 20 else (offsets.min(), offsets.max())
    note = (
        f"lit ground of {len(levels)} pictures against sensor.exposure_key {key:g}; slopes and phase angle of the "
        "ground, which is no level Lambert surface, are in the range"
    )
    return Found("identified", note, float(np.median(offsets)), (float(low), float(high)), len(offsets))


def find_saturation(grey: Sequence[bool]) -> Found:
    """Colour left in the pictures, told only where there is none.

    Args:
        grey: Whether each picture has no colour.
    """
    coloured = sum(not each for each in grey)
    if coloured:
        return unknown(f"{coloured} pictures have colour; how much of the scene's is not told from white balance")
    return Found("identified", "the pictures are grey", 0.0, (0.0, 0.0), len(grey))
