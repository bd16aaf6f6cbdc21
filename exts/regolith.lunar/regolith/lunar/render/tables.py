"""The compiled scene packed into the flat arrays both shaders gather from."""

from __future__ import annotations

import dataclasses

import numpy as np

from regolith.lunar.render.compile import SceneTables
from regolith.lunar.render.view import Material
from regolith.lunar.stage.spec import rng

FLAT = 1
"""Flag of an object whose facets are shaded flat."""


@dataclasses.dataclass(frozen=True)
class PackedScene:
    """Flat arrays of a scene; shapes placed once and for good are already in the world frame."""

    vertices: np.ndarray
    """x, y, z [m] and the shading normal as octahedral 2 × 16 bits in the float's bits, float32, shape [V, 4]."""
    faces: np.ndarray
    """Vertex numbers in `vertices` and a 0, uint32, shape [F, 4]."""
    matrices: np.ndarray
    """Rows of the local-to-world matrix for column vectors, float32, shape [objects, 12]."""
    objects: np.ndarray
    """First face, material, flags, first of its `patches` or 0; uint32, shape [objects, 4]."""
    patches: np.ndarray
    """An unused 0, then the material of each face of the objects whose faces have their own, uint8, shape [P]."""
    labels: np.ndarray
    """Class and instance number, uint32, shape [objects, 2]."""
    shape_vertices: np.ndarray
    """First vertex of each shape, int64, shape [shapes + 1]."""
    shape_faces: np.ndarray
    """First face of each shape, int64, shape [shapes + 1]."""


def pack_normals(normals: np.ndarray) -> np.ndarray:
    """Pack unit normals as octahedral coordinates of 16 bits each (Meyer et al. 2010), float32 bits, shape [V]."""
    x, y, z = np.ascontiguousarray(normals.T)
    total = np.maximum(np.abs(x) + np.abs(y) + np.abs(z), np.float32(1e-30))
    x, y = x / total, y / total
    below = np.flatnonzero(z < 0.0)
    bx, by = x[below], y[below]
    x[below] = (1.0 - np.abs(by)) * np.where(bx < 0.0, np.float32(-1.0), np.float32(1.0))
    y[below] = (1.0 - np.abs(bx)) * np.where(by < 0.0, np.float32(-1.0), np.float32(1.0))
    low, high = (np.round((part.astype(np.float64) * 0.5 + 0.5) * 65535.0).astype(np.uint32) for part in (x, y))
    return (low | (high << np.uint32(16))).view(np.float32)


def matrix_row(matrix: np.ndarray) -> np.ndarray:
    """Row of `PackedScene.matrices` of a matrix for row vectors, shape [12]."""
    return matrix.T[:3].ravel()


def pack_scene(tables: SceneTables) -> PackedScene:
    """Lay the compiled scene out for gathering."""
    single = tables.fixed
    first_vertex = np.concatenate([[0], np.cumsum([len(shape.points) for shape in tables.shapes])])
    first_face = np.concatenate([[0], np.cumsum([len(shape.faces) for shape in tables.shapes])])
    vertices = np.empty((first_vertex[-1], 4), np.float32)
    faces = np.empty((first_face[-1], 4), np.uint32)
    faces[:, 3] = 0
    for number, shape in enumerate(tables.shapes):
        points, normals = shape.points, shape.normals
        if number in single:
            matrix = single[number].matrix
            points, normals = world_points(points, matrix), _world_normals(normals, matrix)
        block = vertices[first_vertex[number] : first_vertex[number + 1]]
        block[:, :3] = points
        block[:, 3] = pack_normals(normals)
        corners = faces[first_face[number] : first_face[number + 1]]
        np.add(shape.faces, np.uint32(first_vertex[number]), out=corners[:, :3])
    eye = np.eye(4)
    matrices = np.stack([matrix_row(eye if o.shape in single else o.matrix) for o in tables.objects])
    objects = np.array(
        [[first_face[o.shape], o.material, FLAT * tables.shapes[o.shape].flat, 0] for o in tables.objects], np.uint32
    )
    patched = [number for number, o in enumerate(tables.objects) if o.patches is not None]
    patches = [np.zeros(1, np.uint8), *(o.patches for o in tables.objects if o.patches is not None)]
    objects[patched, 3] = np.cumsum([len(part) for part in patches])[:-1]
    return PackedScene(
        vertices=vertices,
        faces=faces,
        matrices=matrices.astype(np.float32),
        objects=objects,
        patches=np.concatenate(patches),
        labels=np.array([[o.label, o.instance] for o in tables.objects], np.uint32),
        shape_vertices=first_vertex,
        shape_faces=first_face,
    )


SCENE = {"type": "scene", "embree_use_robust_intersections": True}
"""Mitsuba scene to add shapes to. Embree's default mode lets rays slip through the edge two triangles share, which
labels ground as sky; the robust mode does not (Woop et al. 2013, Watertight Ray/Triangle Intersection)."""


def flatten(tables: SceneTables, packed: PackedScene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join all objects to one mesh in the world frame.

    Returns:
        Points [m], float32, shape [V, 3]; faces, uint32, shape [F, 3]; first face of each object, and the end, int64,
        shape [objects + 1].
    """
    single = tables.fixed
    points, faces, first, offset = [], [], [0], 0
    for number, placed in enumerate(tables.objects):
        lo, hi = packed.shape_vertices[placed.shape : placed.shape + 2]
        local = packed.vertices[lo:hi, :3]
        m = packed.matrices[number].reshape(3, 4)
        points.append(local if placed.shape in single else local @ m[:, :3].T + m[:, 3])
        a, b = packed.shape_faces[placed.shape : placed.shape + 2]
        faces.append(packed.faces[a:b, :3] + np.uint32(offset) - np.uint32(lo))
        offset += len(local)
        first.append(first[-1] + len(faces[-1]))
    return np.concatenate(points), np.concatenate(faces), np.array(first)


def world_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points in the world frame, float32, shape [V, 3]; the matrix is for row vectors."""
    if np.array_equal(matrix, np.eye(4)):
        return points
    return (points.astype(np.float64) @ matrix[:3, :3] + matrix[3, :3]).astype(np.float32)


def _world_normals(normals: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    if np.array_equal(matrix, np.eye(4)):
        return normals
    linear = matrix[:3, :3]
    cofactor = np.linalg.inv(linear).T * np.linalg.det(linear)
    turned = normals.astype(np.float64) @ cofactor
    turned /= np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-30)
    return turned.astype(np.float32)


MATERIAL_ROW = tuple(Material().row)
"""Names of the values in a material's row."""

ROW_WIDTH = -(-len(MATERIAL_ROW) // 4) * 4
"""Values of a row with what fills its last four."""


def material_rows(materials: tuple[Material, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Pack materials: rows float32, shape [M, ROW_WIDTH], and the seeds' hashes, uint32, shape [M]."""
    rows = np.zeros((len(materials), ROW_WIDTH), np.float32)
    rows[:, : len(MATERIAL_ROW)] = [list(material.row.values()) for material in materials]
    seeds = np.array([int(rng(material.seed, "texture").integers(1 << 32)) for material in materials], np.uint32)
    return rows, seeds
