"""Noise and directions in space that rocks are shaped by."""

from __future__ import annotations

import numpy as np


def spread_directions(count: int, random: np.random.Generator, *, spread: bool = True) -> np.ndarray:
    """Random unit vectors, shape [count, 3]; with `spread` each is the farthest of several candidates."""
    chosen = np.empty((count, 3))
    for index in range(count):
        candidates = random.normal(size=(8 if spread else 1, 3))
        candidates /= np.linalg.norm(candidates, axis=1, keepdims=True)
        best = 0 if index == 0 else int(np.argmin((candidates @ chosen[:index].T).max(axis=1)))
        chosen[index] = candidates[best]
    return chosen


def smooth(t: np.ndarray) -> np.ndarray:
    """Cubic step from 0 at 0 to 1 at 1."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


class Noise:
    """Gradient noise in space (Perlin 2002), about unit variance over 4, from a shape's own permutation."""

    def __init__(self, random: np.random.Generator) -> None:
        self._table = np.tile(random.permutation(256), 3)
        gradients = random.normal(size=(256, 3))
        gradients /= np.linalg.norm(gradients, axis=1, keepdims=True)
        self._gradients = np.ascontiguousarray(gradients.T, np.float32)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Noise at points, shape [V, 3] -> [V], within about ±1."""
        cell = np.floor(points)
        local = np.ascontiguousarray((points - cell).T, np.float32)
        fade = local * local * local * (local * (local * 6.0 - 15.0) + 10.0)
        i, j, k = np.ascontiguousarray(cell.T.astype(np.intp) & 255)
        offset, weight = (local, local - np.float32(1.0)), (1.0 - fade, fade)  # from the corners below and above
        total = np.zeros(len(points), np.float32)
        for dx in (0, 1):
            row = self._table.take(i + dx) + j
            for dy in (0, 1):
                column = self._table.take(row + dy) + k
                side = weight[dx][0] * weight[dy][1]
                for dz in (0, 1):
                    corner = self._table.take(column + dz)
                    gx, gy, gz = (gradient.take(corner) for gradient in self._gradients)
                    dot = gx * offset[dx][0] + gy * offset[dy][1] + gz * offset[dz][2]
                    total += side * weight[dz][2] * dot
        return 1.6 * total.astype(np.float64)
