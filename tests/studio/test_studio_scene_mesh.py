"""What a browser gets of a stage: faithful near the camera, whole, and light enough."""

from __future__ import annotations

import numpy as np
import pytest
from pxr import Usd
from scene_stage import small_stage
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from regolith.lunar.params import InputError
from regolith.lunar.render.compile import read_geometry
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import author_stage
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.shapes import icosphere
from regolith.lunar.studio.scene_mesh import (
    RAYS,
    SceneMesh,
    StageContent,
    build_mesh,
    coarser,
    quaternions,
    read_content,
    sphere_level,
)


@pytest.fixture(scope="module", name="content")
def fixture_content() -> StageContent:
    return read_content(small_stage().stage)


@pytest.fixture(scope="module", name="mesh")
def fixture_mesh(content: StageContent) -> SceneMesh:
    return build_mesh(content)


def facet_heights(mesh: TriMesh, faces: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Heights of triangles that do not overlap seen from above, at places inside them."""
    z = np.full(len(xy), np.nan)
    corners = mesh.points[faces].astype(np.float64)
    reach = np.linalg.norm(corners[..., :2] - corners[..., :2].mean(axis=1, keepdims=True), axis=2).max()
    for number, near in enumerate(KDTree(corners[..., :2].mean(axis=1)).query_ball_point(xy, reach)):
        a, b, c = corners[near].transpose(1, 0, 2)
        u, v, w = (b - a)[:, :2], (c - a)[:, :2], xy[number] - a[:, :2]
        area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
        s, t = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / area, (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / area
        depth = np.minimum(np.minimum(s, t), 1.0 - s - t)
        best = int(np.argmax(depth))
        assert depth[best] > -1e-6
        z[number] = a[best, 2] + s[best] * (b - a)[best, 2] + t[best] * (c - a)[best, 2]
    return z


def test_the_ground_is_true_to_millimetres_where_the_camera_roams(content: StageContent, mesh: SceneMesh) -> None:
    random = np.random.default_rng(0)
    radius, angle = content.focus_m * np.sqrt(random.random(400)), 2.0 * np.pi * random.random(400)
    xy = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    seen = facet_heights(mesh.ground, mesh.ground.faces[: mesh.near], xy)
    error = np.abs(seen - small_stage().scene.terrain.height(xy[:, 0], xy[:, 1]))
    assert error.max() < 0.02
    assert np.sqrt((error**2).mean()) < 0.005
    assert np.ptp(seen) > 0.1  # there is something to be true to


def test_errors_grow_only_with_the_distance(content: StageContent) -> None:
    thin = build_mesh(content, triangles=6000)
    random = np.random.default_rng(1)
    half = content.half_m - 0.5
    xy = random.uniform(-half, half, (500, 2))
    error = np.abs(
        facet_heights(thin.ground, thin.ground.faces[: thin.near], xy)
        - small_stage().scene.terrain.height(xy[:, 0], xy[:, 1])
    )
    distance = np.hypot(*xy.T)
    assert thin.near <= 6000
    assert error[distance < content.focus_m].max() < error[distance > 2.0 * content.focus_m].max()
    allowed = thin.tolerance_m * np.maximum(distance / content.focus_m, 1.0)
    assert (error < 4.0 * allowed + 0.01).all()


def test_budget_and_bytes(mesh: SceneMesh) -> None:
    assert mesh.near <= 100_000
    assert len(mesh.ground.faces) < 150_000
    assert mesh.bytes < 4_000_000
    flat = build_mesh(read_content(small_stage("v1").stage))
    assert flat.near < mesh.near  # smooth ground needs less, and gets no more


def test_ground_and_far_relief_are_one_surface(content: StageContent, mesh: SceneMesh) -> None:
    a, b, c = mesh.ground.points[mesh.ground.faces].astype(np.float64).transpose(1, 0, 2)
    u, v = b - a, c - a
    assert (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0] > 0.0).all()
    edges = np.sort(mesh.ground.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    assert uses.max() == 2
    rim = np.unique(edges[uses == 1])
    assert len(rim) == RAYS
    assert np.hypot(*mesh.ground.points[rim, :2].T).min() > 0.99 * small_stage().params.terrain.far_radius_m
    own = {tuple(point) for point in content.ground.far.points.tolist()}
    beyond = mesh.ground.points[int(mesh.ground.faces[: mesh.near].max()) + 1 :]
    assert all(tuple(point) in own for point in beyond.tolist())


def test_every_rock_is_drawn_once_where_the_renderer_puts_it(content: StageContent, mesh: SceneMesh) -> None:
    geometry = read_geometry(small_stage().stage)
    rocks = [placed for placed in geometry.objects if placed.instance]
    index = np.concatenate([batch.index for batch in mesh.batches])
    assert sorted(index.tolist()) == list(range(len(rocks)))
    turns = quaternions(content.rocks.turn)

    for batch in mesh.batches:
        number = int(batch.index[0])
        placed = rocks[number]
        whole = (
            geometry.shapes[placed.shape].mesh.points.astype(np.float64) @ placed.matrix[:3, :3] + placed.matrix[3, :3]
        )
        turn = Rotation.from_quat(turns[number], scalar_first=True)
        shown = turn.apply(batch.mesh.points * content.rocks.scale[number]) + content.rocks.position[number]
        assert KDTree(whole).query(shown)[0].max() < 0.2 * content.rocks.diameter[number]
        assert np.allclose(content.rocks.placed(batch.mesh.points, batch.index[:1])[0], shown, atol=1e-5)
        assert np.allclose(np.ptp(batch.mesh.points, axis=0), np.ptp(geometry.shapes[placed.shape].mesh.points, axis=0))
        if len(batch.mesh.faces) == 1280:
            assert KDTree(whole).query(shown)[0].max() < 0.02 * content.rocks.diameter[number]
    near = np.hypot(*content.rocks.position[:, :2].T) < content.focus_m
    large = content.rocks.diameter > 0.6
    finest = {int(i): len(batch.mesh.faces) for batch in mesh.batches for i in batch.index}
    assert all(finest[i] == 1280 for i in np.flatnonzero(near & large).tolist())


def test_levels_of_rocks() -> None:
    sphere, faces = icosphere(3)
    stretched = TriMesh((sphere * (2.0, 1.0, 0.5)).astype(np.float32), faces)
    assert sphere_level(stretched) == 3
    assert len(coarser(stretched, 1).faces) == 80
    assert np.allclose(np.ptp(coarser(stretched, 1).points, axis=0), np.ptp(stretched.points, axis=0))
    other = TriMesh(stretched.points, faces[::-1])  # some other mesh with as many triangles
    assert coarser(other, 1) is other


def test_hidden_rocks_are_left_out_and_a_baked_ground_is_refused() -> None:
    stage = author_stage(small_stage().scene)
    count = len(read_content(stage).rocks.prototype)
    rocks = stage.GetPrimAtPath(schema.ROCKS).GetChildren()
    rocks[0].GetAttribute("visibility").Set("invisible")
    rocks[1].SetActive(False)
    assert len(read_content(stage).rocks.prototype) == count - 2
    stage.RemovePrim(schema.ROCKS)
    bare = read_content(stage)
    assert not build_mesh(bare).batches
    with pytest.raises(InputError, match="grid"):
        read_content(author_stage(small_stage().scene, baked=True))
    with pytest.raises(InputError, match="grid"):
        read_content(Usd.Stage.CreateInMemory())
