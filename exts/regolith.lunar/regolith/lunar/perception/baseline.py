"""What no learning at all reaches on labelled photographs: rock is where a pixel is far from its neighbourhood."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.perception.metrics import rock_scores

SIGMAS = (0.008, 0.016, 0.032, 0.064, 0.128)
"""Neighbourhoods tried: standard deviation of a Gaussian, as a share of the photograph's long side."""
SIDES = ("bright", "dark", "both")
"""Which pixels are rock: brighter than their neighbourhood, darker, or either."""
NOISE = 0.02
"""Grey level (of 1) added to a neighbourhood's spread, so that flat ground has no contrast."""
EDGES = np.arange(0.0, 6.0, 0.02)
"""Thresholds tried [standard deviations of the neighbourhood]."""
NOTE = (
    "a threshold on local contrast whose neighbourhood, side and level were chosen on these very photographs: "
    "the best it can do here, and more than it would do on others"
)


def local_contrast(rgb: np.ndarray, sigma_px: float) -> np.ndarray:
    """Return how far each pixel's brightness is from its neighbourhood's mean, in the neighbourhood's deviations.

    Args:
        rgb: Photograph, uint8 [H, W, 3].
        sigma_px: Standard deviation of the Gaussian neighbourhood [px].

    Returns:
        float32 [H, W], negative where darker.
    """
    grey = rgb.astype(np.float32).mean(axis=2) / 255
    mean = scipy.ndimage.gaussian_filter(grey, sigma_px)
    variance = scipy.ndimage.gaussian_filter(grey * grey, sigma_px) - mean * mean
    return (grey - mean) / (np.sqrt(np.maximum(variance, 0)) + NOISE)


class ContrastBaseline:
    """The best local-contrast threshold of labelled photographs, found from counts summed over them."""

    def __init__(self) -> None:
        self._counts = np.zeros((len(SIGMAS), len(SIDES), 2, len(EDGES) + 1), np.int64)
        self._rock = 0

    def add(self, rgb: np.ndarray, truth: np.ndarray) -> None:
        """Add a photograph uint8 [H, W, 3] and its true classes uint8 [H, W]."""
        valid = truth != IGNORE
        rock = truth[valid] == ROCK
        self._rock += int(np.count_nonzero(rock))
        for i, sigma in enumerate(SIGMAS):
            contrast = local_contrast(rgb, sigma * max(truth.shape))[valid]
            for j, value in enumerate((contrast, -contrast, np.abs(contrast))):
                places = np.searchsorted(EDGES, value, side="right")
                for is_rock in (0, 1):
                    self._counts[i, j, is_rock] += np.bincount(places[rock == is_rock], minlength=len(EDGES) + 1)

    def best(self) -> dict[str, Any] | None:
        """Return the rock figures of the best threshold with its parameters; None where nothing is labelled rock."""
        if not self._rock:
            return None
        above = self._counts[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]  # counts of value >= EDGES[k]
        fp, tp = above[:, :, 0], above[:, :, 1]
        i, j, k = (int(v) for v in np.unravel_index(np.argmax(tp / (self._rock + fp)), tp.shape))
        hits, false = int(tp[i, j, k]), int(fp[i, j, k])
        return rock_scores(hits, false, self._rock - hits) | {
            "sigma": SIGMAS[i],
            "side": SIDES[j],
            "threshold": round(float(EDGES[k]), 6),
            "note": NOTE,
        }
