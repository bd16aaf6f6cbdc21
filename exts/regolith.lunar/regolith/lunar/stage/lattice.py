"""Topology of the ground: faces of regular lattices with a hole, and strips that sew two polylines together."""

from __future__ import annotations

import numpy as np


def lattice_faces(ids: np.ndarray, keep: np.ndarray | None = None) -> np.ndarray:
    """Split lattice cells into two triangles each, counter-clockwise from above.

    Args:
        ids: Vertex numbers, rows along +Y and columns along +X, shape [R, C].
        keep: Cells to mesh, bool, shape [R - 1, C - 1]; all by default.

    Returns:
        int32, shape [F, 3].
    """
    quads = np.empty((ids.shape[0] - 1, ids.shape[1] - 1, 6), np.int32)
    for corner in (0, 3):
        quads[..., corner] = ids[:-1, :-1]
    quads[..., 1] = ids[:-1, 1:]
    for corner in (2, 4):
        quads[..., corner] = ids[1:, 1:]
    quads[..., 5] = ids[1:, :-1]
    return (quads if keep is None else quads[keep]).reshape(-1, 3)


def strip_faces(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Triangulate the strip between two polylines that run side by side and cover the same stretch evenly.

    Args:
        inner: Vertex numbers of the polyline on the left of the running direction, shape [M + 1], or of several such
            lines, shape [K, M + 1].
        outer: Vertex numbers of the one on the right, shape [N + 1] or [K, N + 1].

    Returns:
        int32, shape [(M + N) K, 3], counter-clockwise when the inner line lies to the left of the outer one; strip by
        strip where there are several.
    """
    m, n = inner.shape[-1] - 1, outer.shape[-1] - 1
    # An edge joins the strip at the middle of its stretch; integers keep ties exact.
    keys = np.concatenate([(2 * np.arange(m) + 1) * n, (2 * np.arange(n) + 1) * m])
    order = np.argsort(keys, kind="stable")
    from_inner = order < m
    i = np.cumsum(from_inner) - from_inner
    j = np.cumsum(~from_inner) - ~from_inner
    third = np.where(from_inner, inner[..., np.minimum(i + 1, m)], outer[..., np.minimum(j + 1, n)])
    return np.stack([inner[..., i], outer[..., j], third], axis=-1).reshape(-1, 3).astype(np.int32)


def border_ids(ids: np.ndarray) -> np.ndarray:
    """Vertex numbers around a lattice's border, counter-clockwise from its first vertex, shape [2 (R + C) - 4]."""
    return np.concatenate([ids[0, :-1], ids[:-1, -1], ids[-1, :0:-1], ids[:0:-1, 0]])


def border_sides(ids: np.ndarray) -> list[np.ndarray]:
    """Split a lattice's border into its four sides, counter-clockwise, each with both of its corners."""
    return [ids[0, :], ids[:, -1], ids[-1, ::-1], ids[::-1, 0]]


def blend_weight(half: int, share: float) -> np.ndarray:
    """Weight over a lattice of 2 half + 1 nodes a side: 0 at its border, 1 from `share` of the half-width inwards.

    Returns:
        float64, shape [2 half + 1, 2 half + 1].
    """
    nodes = np.arange(2 * half + 1)
    depth = np.minimum(nodes, 2 * half - nodes) / max(1.0, share * half)
    inset = np.clip(np.minimum(depth[:, None], depth[None, :]), 0.0, 1.0)
    return inset * inset * (3.0 - 2.0 * inset)


def refine(z: np.ndarray, ratio: int) -> np.ndarray:
    """Interpolate a lattice bilinearly to `ratio` times the resolution, shape [ratio (R - 1) + 1, …]."""
    if ratio == 1:
        return z
    for axis in (0, 1):
        z = np.moveaxis(z, axis, 0)
        t = (np.arange(ratio) / ratio)[None, :, None]
        fine = (z[:-1, None] * (1.0 - t) + z[1:, None] * t).reshape(-1, z.shape[1])
        z = np.moveaxis(np.concatenate([fine, z[-1:]]), 0, axis)
    return z
