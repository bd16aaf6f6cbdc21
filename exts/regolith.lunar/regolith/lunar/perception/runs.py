"""COCO's run lengths: masks as runs of 0 and 1 in turn, column by column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CHARACTERS_MAX = 7
"""Most characters of one length: 35 bits."""


def run_lengths(text: str) -> np.ndarray:
    """Read compressed run lengths, as pycocotools writes them.

    Args:
        text: Lengths of runs; from the fourth on, the difference to the last but one. Five bits a character, low ones
            first, 32 where more follow, sign-extended, from character 48 on.

    Returns:
        int64 [runs].

    Raises:
        ValueError: It is no such text.
    """
    codes = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((codes & 32) == 0)
    if not codes.size or codes.min() < 0 or codes.max() > 63 or not ends.size or ends[-1] != codes.size - 1:
        raise ValueError("no compressed run lengths")
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1
    if sizes.max() > CHARACTERS_MAX:
        raise ValueError("a run length of too many digits")
    place = 5 * (np.arange(codes.size) - np.repeat(starts, sizes))
    values = np.add.reduceat((codes & 31) << place, starts)
    values -= ((codes[ends] & 16) >> 4) << (5 * sizes)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def draw_runs(lengths: np.ndarray | Sequence[int], shape: tuple[int, int]) -> np.ndarray:
    """Draw runs as a mask.

    Args:
        lengths: Of runs of 0 and 1 in turn, column by column.
        shape: Height and width.

    Returns:
        bool [H, W].

    Raises:
        ValueError: They do not fill it.
    """
    runs = np.asarray(lengths, np.int64)
    pixels = shape[0] * shape[1]
    if runs.ndim != 1 or (runs < 0).any() or (runs > pixels).any() or int(runs.sum()) != pixels:
        raise ValueError(f"runs that do not fill {shape[1]}×{shape[0]} px")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(shape[::-1]).T
