"""Meshes as they are written to a layer: facet normals and extent."""

import numpy as np
import pytest
from pxr import Sdf

from regolith.lunar.stage import layer as write
from regolith.lunar.stage.layer import face_normals


@pytest.mark.parametrize("corners", [3, 4])
def test_face_normals_are_those_of_the_cross_product(corners: int) -> None:
    """Sides of triangles and diagonals of quads span the facet; one without area points up."""
    random = np.random.default_rng(corners)
    points = random.normal(size=(500, 3)).astype(np.float32)
    faces = random.permuted(np.tile(np.arange(500), (2000, 1)), axis=1)[:, :corners]
    faces[7] = 3
    p = points.astype(np.float64)[faces]
    u, v = (p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]) if corners == 3 else (p[:, 2] - p[:, 0], p[:, 3] - p[:, 1])
    expected = np.cross(u, v)
    expected[7] = (0.0, 0.0, 1.0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    normals = face_normals(points, faces)
    assert normals.dtype == np.float32
    assert np.abs(normals - expected).max() < 5.1e-5
    assert np.array_equal(normals, normals.round(4).astype(np.float32))


def test_a_written_mesh_carries_its_extent() -> None:
    """The extent is the box of the points."""
    layer = Sdf.Layer.CreateAnonymous("mesh.usda")
    spec = write.prim(layer, "/Mesh", "Mesh")
    points = np.random.default_rng(0).uniform(-3.0, 5.0, (40, 3)).astype(np.float32)
    write.mesh(spec, (points, np.arange(39).reshape(-1, 3)))
    extent = np.array(layer.GetAttributeAtPath("/Mesh.extent").default)
    assert np.array_equal(extent, [points.min(axis=0), points.max(axis=0)])
