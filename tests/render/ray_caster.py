"""A ray caster apart from the renderers': triangles of a stage, read by pxr, and Möller & Trumbore in float64."""

from __future__ import annotations

import numpy as np
from pxr import Usd, UsdGeom

BATCH = 1 << 21
"""Ray-triangle pairs tried at once."""


def triangles(stage: Usd.Stage, *, without: str = "/nothing") -> np.ndarray:
    """Triangles of all meshes that are drawn but those under a path, in the world [m], shape [T, 3, 3]."""
    cache = UsdGeom.XformCache()
    found = []
    for prim in stage.Traverse():
        if not UsdGeom.Mesh(prim) or prim.GetPath().HasPrefix(without):
            continue
        mesh = UsdGeom.Mesh(prim)
        points = np.array(mesh.GetPointsAttr().Get(), np.float64)
        matrix = np.array(cache.GetLocalToWorldTransform(prim), np.float64)
        points = points @ matrix[:3, :3] + matrix[3, :3]
        (sides,) = set(mesh.GetFaceVertexCountsAttr().Get())
        corners = points[np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, sides)]
        found += [corners[:, [0, k, k + 1]] for k in range(1, sides - 1)]
    return np.concatenate(found)


def cast(soup: np.ndarray, starts: np.ndarray, ways: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays meet triangles first (Möller & Trumbore 1997, Fast, Minimum Storage Ray/Triangle Intersection).

    Args:
        soup: Triangles, shape [T, 3, 3].
        starts: Shape [N, 3].
        ways: Shape [N, 3].

    Returns:
        Distances in lengths of the directions, inf for none, and the triangles' numbers, shape [N] each.
    """
    distance, number = np.full(len(starts), np.inf), np.zeros(len(starts), int)
    a, e1, e2 = soup[:, 0], soup[:, 1] - soup[:, 0], soup[:, 2] - soup[:, 0]
    step = max(1, BATCH // len(soup))
    for first in range(0, len(starts), step):
        part = slice(first, first + step)
        way, start = ways[part, None], starts[part, None]
        p = np.cross(way, e2)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1.0 / np.einsum("rtk,tk->rt", p, e1)
            to = start - a
            u = np.einsum("rtk,rtk->rt", to, p) * inverse
            q = np.cross(to, e1)
            v = np.einsum("rtk,rtk->rt", np.broadcast_to(way, q.shape), q) * inverse
            t = np.einsum("rtk,tk->rt", q, e2) * inverse
            met = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-9)
        t = np.where(met, t, np.inf)
        distance[part], number[part] = t.min(axis=1), t.argmin(axis=1)
    return distance, number


def topmost(soup: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Height of the highest triangle at x, y, shape [N, 2]; nan over nothing. Tries those whose box holds a point."""
    low, high = soup[..., :2].min(axis=1), soup[..., :2].max(axis=1)
    near = (low < at.max(axis=0)).all(axis=1) & (high > at.min(axis=0)).all(axis=1)
    if not near.any():
        return np.full(len(at), np.nan)
    above = soup[near, :, 2].max() + 1.0
    starts = np.column_stack([at, np.full(len(at), above)])
    height = above - cast(soup[near], starts, np.tile([0.0, 0.0, -1.0], (len(at), 1)))[0]
    return np.where(np.isfinite(height), height, np.nan)


def normals(soup: np.ndarray) -> np.ndarray:
    """Unit normals of triangles, shape [T, 3]."""
    found = np.cross(soup[:, 1] - soup[:, 0], soup[:, 2] - soup[:, 0])
    return found / np.linalg.norm(found, axis=1, keepdims=True)
