"""Faces of rocks that are no bare rock: regolith that lies on them, and inclusions that crop out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from regolith.lunar.params.scene import RockParams
from regolith.lunar.stage.layer import face_normals
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.rocks import RockField
from regolith.lunar.stage.solid import Noise
from regolith.lunar.stage.spec import rng

COARSEST = 2
"""Coarsest level of detail with patches: rocks from 22 pixels on."""


def rock_patches(rocks: RockField, params: RockParams, seed: int) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yield the rocks with patches and their faces, int32, each of: dust, bright inclusions, dark ones.

    Args:
        rocks: Rocks of the scene.
        params: Share of inclusions.
        seed: Seed of the scene's geometry.
    """
    skins: dict[tuple[int, int], _Skin] = {}
    patched = (rocks.lod >= COARSEST) & ((rocks.dust > 0.0) | (params.clasts > 0.0))
    for index in np.flatnonzero(patched).tolist():
        key = int(rocks.shape[index]), int(rocks.lod[index])
        if key not in skins:
            skins[key] = _Skin(rocks.prototypes[key[0]][key[1]], params.clasts, rng(seed, "patches", key[0]))
        skin = skins[key]
        turn = Rotation.from_quat(rocks.orientation[index].astype(np.float64), scalar_first=True)
        dust = skin.dusty(turn.as_matrix()[2], float(rocks.dust[index]))
        kind = np.where(dust, 0, skin.kind + 1)
        yield index, [np.flatnonzero(kind == number).astype(np.int32) for number in (0, 2, 3)]


class _Skin:
    """What patches of one prototype hang on, face by face."""

    def __init__(self, mesh: TriMesh, clasts: float, random: np.random.Generator) -> None:
        noise = Noise(random)
        octaves = ((7.0, 0.3), (29.0, 0.2), (110.0, 0.25))  # the finest frays the border
        border = sum(share * noise(scale * mesh.points + scale) for scale, share in octaves)
        favour = border + 0.12 * np.clip(hollows(mesh), -2.0, 2.0)
        self.favour = favour.astype(np.float32)[mesh.faces].mean(axis=1)
        self.normals = face_normals(mesh.points, mesh.faces)
        self.kind = inclusions(mesh.points, clasts, random)[mesh.faces[:, 0]]

    def dusty(self, up: np.ndarray, amount: float) -> np.ndarray:
        """Which faces regolith covers: those that face up, sooner in hollows; bool, shape [F].

        Args:
            up: World's vertical in the prototype's frame, shape [3].
            amount: 0 leaves the rock bare, 1 covers what is less steep than about 45°.
        """
        if amount <= 0.0:
            return np.zeros(len(self.normals), bool)
        facing = self.normals @ up.astype(np.float32)
        return (facing + self.favour > 1.25 - 0.6 * amount) & (facing > 0.25)


def hollows(mesh: TriMesh) -> np.ndarray:
    """How far each vertex lies below its surroundings over a few per cent of the size, in RMS, shape [V]."""
    count = len(mesh.points)
    a, b = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]).T
    link = sparse.csr_matrix((np.ones(len(a), np.float32), (a, b)), shape=(count, count))
    mean = sparse.diags(1.0 / np.asarray(link.sum(axis=1)).ravel()).dot(link).astype(np.float32)
    radius = np.linalg.norm(mesh.points, axis=1).astype(np.float32)
    around = radius
    for _ in range(max(2, round(0.02 * (count / 12.0) ** 0.5 * 3.0) ** 2 // 4)):
        around = mean @ around
    depth = around - radius
    return depth / max(float(depth.std()), 1e-9)


def inclusions(points: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Which points lie in an inclusion: 0 none, 1 bright, 2 dark; uint8, shape [V].

    Args:
        points: Places on the unit mesh, shape [V, 3].
        share: Share of the surface.
        random: Stream of the shape.
    """
    kind = np.zeros(len(points), np.uint8)
    if share <= 0.0:
        return kind
    noise = Noise(random)
    size = np.minimum(0.009 * (1.0 + random.pareto(1.9, 8000)), 0.05)
    size = size[np.cumsum(np.pi * size**2) < share * 2.2]  # a unit rock has a surface of about 2.2
    centers = points[random.integers(0, min(len(points), 10242), len(size))]
    bent = points + 0.02 * np.stack([noise(14.0 * points + shift) for shift in (0.0, 31.0, 67.0)], axis=1)
    for number, index in enumerate(
        KDTree(bent, balanced_tree=False, compact_nodes=False).query_ball_point(centers, size)
    ):
        kind[index] = 1 + number % 2
    return kind
