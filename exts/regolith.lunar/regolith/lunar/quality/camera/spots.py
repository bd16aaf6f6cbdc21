"""Hot pixels: single pixels far brighter than all their neighbours.

Light that passed the lens is spread over the nearest neighbours; dark current is not. Only pixels whose neighbours are
even and dark enough are looked at, which is judged without the pixel itself; the signal of a hot pixel is distributed
as `render.sensor.add_hot_pixels` draws it, so that the share below the threshold is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from scipy import ndimage

from regolith.lunar.quality.camera.found import CONFIDENCE, Found, unknown
from regolith.lunar.render.sensor import HOT_MEAN

ABOVE = 0.15
"""Linear value that a hot pixel is above the mean of its neighbours."""
EVEN = 0.04
"""Largest standard deviation of the neighbours, as a linear value."""
BRIGHT = 0.6
"""Largest mean of the neighbours: above it white hides what a hot pixel adds."""
SPREAD = 0.1
"""What the nearest neighbours are above the diagonal ones, in parts of what the pixel is above all of them, from which
on it is light."""
PSF_MIN = 0.6
"""Least blur [px] that tells a hot pixel from a glint, whose `SPREAD` it makes 0.15."""
PIXELS_MIN = 100_000
"""Fewest pixels that are looked at."""
_CROSS = np.array([[-1, 1, -1], [1, 0, 1], [-1, 1, -1]]) / 4.0
_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]]) / 8.0


def count_hot(linear: np.ndarray) -> tuple[int, int]:
    """Count hot pixels, and the pixels that were looked at, in linear values float [H, W]."""
    mean = ndimage.convolve(linear, _RING)
    square = ndimage.convolve(linear**2, _RING)
    looked = (np.sqrt(np.maximum(square - mean**2, 0.0)) <= EVEN) & (mean <= BRIGHT)
    spread = ndimage.convolve(linear, _CROSS)
    above = linear - mean
    return int((looked & (above > ABOVE) & (spread < SPREAD * above)).sum()), int(looked.sum())


def find_hot_pixels(rows: Sequence[tuple[int, int]], psf: Found) -> Found:
    """Hot pixels per million.

    Args:
        rows: Of each picture that is no JPEG, which smears single pixels (`count_hot`).
        psf: Blur of the lens [px].
    """
    hot, looked = (sum(column) for column in zip(*rows, strict=True)) if rows else (0, 0)
    if looked < PIXELS_MIN:
        return unknown(f"{looked} pixels amid even ground in pictures that are no JPEG; {PIXELS_MIN} are needed")
    seen = np.exp(-ABOVE / HOT_MEAN) * looked * 1e-6
    tail = (1.0 - CONFIDENCE) / 2.0
    low = scipy.stats.chi2.ppf(tail, 2 * hot) / 2.0 if hot else 0.0  # exact interval of a Poisson mean (Garwood 1936)
    high = scipy.stats.chi2.isf(tail, 2 * hot + 2) / 2.0
    note = f"{hot} among {looked} pixels with even neighbours"
    told = psf.status == "identified" and psf.interval is not None and psf.interval[0] >= PSF_MIN
    if told or not hot:
        return Found("identified", note, hot / seen, (low / seen, high / seen), looked)
    note += "; glints would look the same, for the lens is not known to spread them"
    return Found("bound", note, hot / seen, (-np.inf, high / seen), looked)
