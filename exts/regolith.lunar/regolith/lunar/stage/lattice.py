"""Topology of the ground: faces of regular lattices with a hole, and strips that sew two polylines together."""

from __future__ import annotations

from collections.abc import Callable

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


def split_edges(
    faces: np.ndarray, count: int, long: Callable[[np.ndarray, np.ndarray], np.ndarray], xy: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Halve edges of triangles; those with a halved edge are split in two, three or four, so that they stay conforming.

    Args:
        faces: Vertex numbers, int32, shape [F, 3].
        count: Number of the first new vertex.
        long: Says which edges are halved: numbers of both ends, the lower first, to bool, shape [E] each.
        xy: Places of the vertices in the plane, shape [V, 2].

    Returns:
        Triangles turned as before, int32, shape [G, 3], and the ends of the edge each new vertex halves, shape [N, 2].
    """
    start, end = faces, np.roll(faces, -1, axis=1)
    key = np.minimum(start, end).astype(np.int64) * count + np.maximum(start, end)
    halved = long(*np.divmod(key.ravel(), count)).reshape(key.shape)
    edges, number = np.unique(key[halved], return_inverse=True)
    middle = np.full(key.shape, -1, np.int64)
    middle[halved] = count + number
    ends = np.column_stack(np.divmod(edges, count))
    place = np.concatenate([xy, 0.5 * (xy[ends[:, 0]] + xy[ends[:, 1]])]) if len(ends) else xy
    many = halved.sum(axis=1)
    parts = [faces[many == 0]]
    for marks in (1, 2, 3):
        mine = np.flatnonzero(many == marks)
        if not len(mine):
            continue
        # turned so that the one halved edge comes first, or the one whole edge last
        first = {1: halved[mine].argmax(axis=1), 2: (halved[mine].argmin(axis=1) + 1) % 3, 3: np.zeros(len(mine), int)}
        turn = (first[marks][:, None] + np.arange(3)) % 3
        a, b, c = np.take_along_axis(faces[mine], turn, axis=1).T
        m, n, o = np.take_along_axis(middle[mine], turn, axis=1).T
        if marks == 1:
            parts += [np.column_stack([a, m, c]), np.column_stack([m, b, c])]
        elif marks == 3:
            parts += [np.column_stack(corner) for corner in ((a, m, o), (m, b, n), (o, n, c), (m, n, o))]
        else:
            short = np.hypot(*(place[a] - place[n]).T) < np.hypot(*(place[m] - place[c]).T)
            parts += [
                np.column_stack([m, b, n]),
                np.column_stack([a, np.where(short, n, m), np.where(short, c, c)]),
                np.column_stack([np.where(short, a, m), np.where(short, m, n), np.where(short, n, c)]),
            ]
    return np.concatenate(parts).astype(np.int32), ends


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
