"""The scene compiler: composition, labels, triangulation, shading normals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pxr import Usd, UsdGeom
from render_stage import icosphere, make_stage

from regolith.lunar.labels import IGNORE, REGOLITH, ROCK
from regolith.lunar.params import InputError
from regolith.lunar.reflectance import NUMPY_OPS
from regolith.lunar.render.compile import SceneTables, compile_stage, creased, vertex_normals
from regolith.lunar.render.shading import unpack_normal
from regolith.lunar.render.tables import pack_normals, pack_scene
from regolith.lunar.stage import schema
from regolith.lunar.stage.reading import triangulate


def uses(tables: SceneTables) -> list[int]:
    """How many objects place each shape."""
    return np.bincount([placed.shape for placed in tables.objects], minlength=len(tables.shapes)).tolist()


def test_rocks_of_one_prototype_share_a_shape() -> None:
    """Five references to one mesh: two shapes, six objects, numbered rocks."""
    tables = compile_stage(make_stage(rocks=5))
    assert uses(tables) == [1, 5]
    assert [o.label for o in tables.objects] == [REGOLITH] + [ROCK] * 5
    assert [o.instance for o in tables.objects] == [0, 1, 2, 3, 4, 5]
    assert tables.materials == ("", schema.LOOK_GROUND, schema.LOOK_ROCK)


def test_nearest_labelled_ancestor_counts_and_the_rest_is_ignored() -> None:
    """A mesh without a labelled ancestor is unlabelled; hidden and guide prims are not drawn."""
    stage = make_stage(rocks=3)
    points, faces = icosphere(0)
    for path in ("/World/Rover", "/World/Hidden", "/World/Guide"):
        mesh = UsdGeom.Mesh.Define(stage, path)
        mesh.CreatePointsAttr(points.tolist())
        mesh.CreateFaceVertexCountsAttr([3] * len(faces))
        mesh.CreateFaceVertexIndicesAttr(faces.ravel().tolist())
    UsdGeom.Imageable(stage.GetPrimAtPath("/World/Hidden")).MakeInvisible()
    UsdGeom.Imageable(stage.GetPrimAtPath("/World/Guide")).CreatePurposeAttr("guide")
    UsdGeom.Imageable(stage.GetPrimAtPath(f"{schema.ROCKS}/rock_00001")).MakeInvisible()
    tables = compile_stage(stage)
    labels = {o.path: o.label for o in tables.objects}
    assert labels["/World/Rover"] == IGNORE
    assert "/World/Hidden" not in labels
    assert "/World/Guide" not in labels
    assert sum(label == ROCK for label in labels.values()) == 2


def test_an_overridden_prototype_is_its_own_shape() -> None:
    """A rock whose points are overridden must not share the prototype's."""
    stage = make_stage(rocks=3)
    points, _ = icosphere(2)
    UsdGeom.Mesh(stage.GetPrimAtPath(f"{schema.ROCKS}/rock_00002")).GetPointsAttr().Set((2 * points).tolist())
    assert uses(compile_stage(stage)) == [1, 2, 1]


def test_a_stage_without_meshes_is_refused() -> None:
    """One line instead of an empty picture."""
    with pytest.raises(InputError, match="at least one visible mesh"):
        compile_stage(Usd.Stage.CreateInMemory())


@given(st.lists(st.integers(3, 7), min_size=1, max_size=8))
def test_fans_cover_every_polygon(counts: list[int]) -> None:
    """A polygon of n corners gives n - 2 triangles that start at its first corner, in order."""
    indices = np.arange(sum(counts), dtype=np.int32)
    faces = triangulate(np.array(counts), indices)
    expected, start = [], 0
    for count in counts:
        expected += [[start, start + k, start + k + 1] for k in range(1, count - 1)]
        start += count
    assert faces.tolist() == expected


def test_creases_stay_crisp_and_round_shapes_smooth() -> None:
    """A cube keeps one normal a side; a fine sphere gets radial normals and no split vertices."""
    corner = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    cube = creased(corner, triangulate(np.full(6, 4), quads.ravel()))
    assert len(cube.points) == 24
    assert (np.abs(cube.normals).max(axis=1) > 0.999).all()
    points, faces = icosphere(3)
    ball = creased(points.astype(np.float32), faces)
    assert len(ball.points) == len(points)
    np.testing.assert_allclose(ball.normals, ball.points, atol=0.02)
    np.testing.assert_allclose(vertex_normals(points, faces), points, atol=0.02)


def test_packed_normals_survive() -> None:
    """Octahedral packing to 2 x 16 bits keeps directions to 1e-4."""
    n = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    n[:6] = [[0, 0, 1], [0, 0, -1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    back = np.stack(unpack_normal(NUMPY_OPS, pack_normals(n).view(np.uint32)), axis=1)
    np.testing.assert_allclose(back, n, atol=1e-4)


def test_packing_places_single_shapes_in_the_world() -> None:
    """A shape used once is stored in the world frame with an identity matrix."""
    stage = make_stage(rocks=1)
    packed = pack_scene(compile_stage(stage))
    np.testing.assert_array_equal(packed.matrices[1], np.eye(4)[:3].ravel())
    rock = packed.vertices[packed.shape_vertices[1] :, :3]
    np.testing.assert_allclose(rock.mean(axis=0), [4.0, 0.0, 0.2], atol=1e-3)
