"""Few triangles for a heightfield: right-triangulated irregular networks.

Evans, Kirkpatrick & Townsend 2001, Algorithmica 30, 264.

A square is split by a diagonal into two right triangles, each of those from its right angle to the middle of its
longest side, and so on. A vertex is kept where leaving it out would put the surface too far off; the errors are made
to grow from the small triangles to the large ones, so that no vertex is kept in the middle of a longer edge.
"""

from __future__ import annotations

import numpy as np


def vertex_errors(z: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """How far off the surface gets without each vertex, or without one that needs it.

    Args:
        z: Heights [m], shape [2ᵏ + 1, 2ᵏ + 1].
        weight: Factor on the errors, shape of `z`.

    Returns:
        Weighted errors, shape of `z`; 0 at the four corners. That of a vertex is no less than those of the vertices of
        finer triangles that hang on it.
    """
    errors = np.zeros_like(z)
    half = 1
    while 2 * half < len(z):
        _middles(z, weight, errors, half)
        half *= 2
    return errors


def _middles(z: np.ndarray, weight: np.ndarray, errors: np.ndarray, half: int) -> None:
    """Errors of the middles of the sides, then of the diagonals, of cells 2 · half nodes wide."""
    step = 2 * half
    corner = z[::step, ::step]
    along_x = np.abs(z[::step, half::step] - 0.5 * (corner[:, :-1] + corner[:, 1:])) * weight[::step, half::step]
    along_y = np.abs(z[half::step, ::step] - 0.5 * (corner[:-1] + corner[1:])) * weight[half::step, ::step]
    if half > 1:  # the diagonals of the cells half as wide that end at a side's middle's neighbours
        finer = errors[half // 2 :: half, half // 2 :: half]
        across = np.maximum(finer[:, 0::2], finer[:, 1::2])
        np.maximum(along_x[:-1], across[0::2], out=along_x[:-1])
        np.maximum(along_x[1:], across[1::2], out=along_x[1:])
        across = np.maximum(finer[0::2], finer[1::2])
        np.maximum(along_y[:, :-1], across[:, 0::2], out=along_y[:, :-1])
        np.maximum(along_y[:, 1:], across[:, 1::2], out=along_y[:, 1:])
    errors[::step, half::step], errors[half::step, ::step] = along_x, along_y
    rising = 0.5 * (corner[:-1, :-1] + corner[1:, 1:])
    falling = 0.5 * (corner[1:, :-1] + corner[:-1, 1:])
    diagonal = np.where(_is_rising(len(rising)), rising, falling)
    centre = np.abs(z[half::step, half::step] - diagonal) * weight[half::step, half::step]
    for side in (along_x[:-1], along_x[1:], along_y[:, :-1], along_y[:, 1:]):
        np.maximum(centre, side, out=centre)
    errors[half::step, half::step] = centre


def _is_rising(cells: int) -> np.ndarray:
    """Whether a cell's diagonal runs from its first row and column to its last, shape [cells, cells]."""
    odd = np.arange(cells) % 2 == 1
    return odd[:, None] == odd[None, :]


def tolerance_for(errors: np.ndarray, triangles: int) -> float:
    """Smallest error to leave out so that at most so many triangles remain; every kept vertex adds at most two."""
    kept = max((triangles - 2) // 2, 0)
    if kept >= errors.size:
        return 0.0
    return float(np.partition(errors.ravel(), errors.size - 1 - kept)[errors.size - 1 - kept])


def network(errors: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangulate with the vertices whose error is above a tolerance.

    Args:
        errors: As from `vertex_errors`, shape [2ᵏ + 1, 2ᵏ + 1].
        tolerance: What may be left out.

    Returns:
        Numbers of the nodes used, row by row, int64, shape [V], and triangles of indices into them, counter-clockwise
        where columns run along +X and rows along +Y, int32, shape [F, 3].
    """
    nodes = len(errors)
    kept = errors > tolerance
    parts: list[np.ndarray] = []
    step = nodes - 1
    while step >= 1:
        parts += _cells(kept, step)
        step //= 2
    faces = np.concatenate(parts)
    used = np.zeros(nodes * nodes, bool)
    used[faces.ravel()] = True
    return np.flatnonzero(used), (np.cumsum(used, dtype=np.int32) - 1)[faces]


def _cells(kept: np.ndarray, step: int) -> list[np.ndarray]:
    """Triangles, as numbers of nodes, of cells `step` nodes wide whose own middles are left out."""
    nodes, cells, half = len(kept), (len(kept) - 1) // step, step // 2
    rising = _is_rising(cells)
    split = kept[half::step, half::step] if step > 1 else np.zeros((cells, cells), bool)
    root = cells == 1
    corner = kept[::step, ::step]
    parts = []
    a, b, c, d = (0, 0), (0, step), (step, step), (step, 0)
    halves = ((rising, (a, b, c), corner[:-1, 1:]), (rising, (a, c, d), corner[1:, :-1]),
              (~rising, (a, b, d), corner[:-1, :-1]), (~rising, (b, c, d), corner[1:, 1:]))  # fmt: skip
    for which, corners, there in halves:  # two a cell, on either side of its diagonal; there if the right angle is
        parts.append(_numbered(which & ~split & (there | root), corners, step, nodes))
    if step > 1:
        m = (half, half)
        along_x, along_y = kept[::step, half::step], kept[half::step, ::step]
        quarters = (((a, b, m), along_x[:-1]), ((b, c, m), along_y[:, 1:]),
                    ((c, d, m), along_x[1:]), ((d, a, m), along_y[:, :-1]))  # fmt: skip
        for corners, side in quarters:  # four a cell, between its middle and a side
            parts.append(_numbered(split & ~side, corners, step, nodes))
    return parts


def _numbered(
    which: np.ndarray, corners: tuple[tuple[int, int], tuple[int, int], tuple[int, int]], step: int, nodes: int
) -> np.ndarray:
    rows, columns = np.nonzero(which)
    first = (rows * nodes + columns) * step
    return np.stack([first + row * nodes + column for row, column in corners], axis=1)
