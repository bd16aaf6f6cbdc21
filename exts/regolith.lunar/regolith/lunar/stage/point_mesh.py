"""Points and triangle meshes: how far, and whether inside."""

from __future__ import annotations

import math

import numpy as np

from regolith.lunar.stage.mesh import TriMesh


def point_to_mesh(point: np.ndarray, mesh: TriMesh) -> float:
    """Distance [m] of a point to the nearest triangle (Ericson 2005, Real-Time Collision Detection, 5.1.5)."""
    a, b, c = mesh.points.astype(np.float64)[mesh.faces].transpose(1, 0, 2)
    ab, ac, ap = b - a, c - a, point - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-300)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    within = (v >= 0) & (w >= 0) & (v + w <= 1)
    foot = a + v[:, None] * ab + w[:, None] * ac
    best = np.where(within, ((point - foot) ** 2).sum(1), np.inf).min()
    for start, edge in ((a, ab), (a, ac), (b, c - b)):
        t = ((point - start) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-300)
        near = start + np.clip(t, 0.0, 1.0)[:, None] * edge
        best = min(best, ((point - near) ** 2).sum(1).min())
    return math.sqrt(best)


def point_in_mesh(point: np.ndarray, mesh: TriMesh) -> bool:
    """Whether a point lies inside a closed mesh: its winding number by solid angles (Van Oosterom & Strackee 1983)."""
    a, b, c = (mesh.points.astype(np.float64)[mesh.faces] - point).transpose(1, 0, 2)
    la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
    triple = (a * np.cross(b, c)).sum(1)
    below = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
    return bool(abs(np.arctan2(triple, below).sum()) > math.pi)
