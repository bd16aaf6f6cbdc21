"""Find frames that show the same picture, by perceptual hash."""

from __future__ import annotations

import numpy as np
import scipy
from PIL import Image

HASH_SIDE = 16
"""Side of the block of DCT coefficients the hash keeps; its square is the number of bits."""

DISTANCE = 24
"""Most bits in which the hashes of two copies of a picture differ.

Measured on 980 generated frames of 256 × 256 px: copies through JPEG of quality 50 differ by at most 16 bits, with
added noise of 5 grey levels by at most 14, of 10 by at most 24; the two most alike of all different frames by 66.
Of 120 frames of the plainest preset at 48 × 48 px the two most alike differ by 68.
"""

BLOCK, WIDTH = 512, 8192
"""Pictures compared with others at once: some 60 MB."""


def picture_bits(rgb: np.ndarray) -> np.ndarray:
    """Perceptual hash of a picture: the signs of its low DCT coefficients about their median.

    Bit for bit what `imagehash.phash` gives, which Isaac Sim has not.

    Args:
        rgb: uint8, shape [H, W, 3].

    Returns:
        uint64, shape [HASH_SIDE² / 64].
    """
    side = 4 * HASH_SIDE
    grey = Image.fromarray(rgb).convert("L").resize((side, side), Image.Resampling.LANCZOS)
    columns = np.asarray(scipy.fft.dct(np.asarray(grey, np.float64), axis=0))
    low = np.asarray(scipy.fft.dct(columns, axis=1))[:HASH_SIDE, :HASH_SIDE]
    return np.packbits(low > np.median(low)).view(np.uint64)


def earlier_copies(
    bits: np.ndarray, distance: int = DISTANCE, *, series: np.ndarray | None = None
) -> list[tuple[int, int, int]]:
    """Find every hash that differs in few bits from one before it.

    Args:
        bits: uint64, shape [N, words].
        distance: Most bits two copies may differ in.
        series: Which series each hash is of, int64 [N], -1 for none: those of one are alike and not compared.

    Returns:
        (copy, the first it is near to, bits that differ), ordered by the copy's number.
    """
    found: dict[int, tuple[int, int]] = {}
    for start in range(0, len(bits), BLOCK):
        rows = _signs(bits[start : start + BLOCK])
        for other in range(start, len(bits), WIDTH):
            columns = _signs(bits[other : other + WIDTH])
            differ = (rows.shape[1] - rows @ columns.T) / 2
            near = np.triu(differ <= distance, k=1 + start - other)
            if series is not None:
                one, two = series[start : start + BLOCK, None], series[None, other : other + WIDTH]
                near &= (one != two) | (one < 0)
            first = near.argmax(axis=0)
            for j in np.flatnonzero(near.any(axis=0)).tolist():
                found.setdefault(other + j, (start + int(first[j]), int(differ[first[j], j])))
    return [(copy, first, bits_apart) for copy, (first, bits_apart) in sorted(found.items())]


def _signs(bits: np.ndarray) -> np.ndarray:
    """Bits as ±1, float32 [N, words · 64]: the product of two hashes is that of equal bits less that of others."""
    return 2 * np.unpackbits(bits.view(np.uint8), axis=1).astype(np.float32) - 1
