"""The rover in the 3D view: the stage's own bodies, where its frame has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from pxr import Usd, UsdGeom
from scipy.spatial.transform import Rotation
from studio_stand import Stand, until

from regolith.lunar.params import Params, load_preset
from regolith.lunar.randomize import draw_frame, draw_scene
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.spec import FrameSpec, Stance
from regolith.lunar.studio.scene import SceneView
from regolith.lunar.studio.scene_rover import ROVER, body_glb, read_rover

TILTED = Stance(1.0, -2.0, 0.3, 130.0, -8.0, 5.0, (4.0, 4.0, -4.0, -4.0), carries=False)
BODIES = [schema.ROVER_CHASSIS] + [
    schema.rover_body(part, corner) for part in ("suspension", "steering", "wheel") for corner in schema.CORNERS
]


@pytest.fixture(scope="module", name="drawn")
def fixture_drawn() -> tuple[Params, Usd.Stage, FrameSpec]:
    params = load_preset("v1")
    params = params.model_copy(update={"rover": params.rover.model_copy(update={"model": "viper"})})
    scene = build_scene(params, draw_scene(params, 0, "train_dr", 0))
    return params, author_stage(scene), draw_frame(params, 0, "train_dr", 0, scene)


@pytest.fixture(scope="module", name="view")
def fixture_view(stand: Stand) -> Iterator[SceneView]:
    view = SceneView(stand.server, lambda values: None, triangles=2000)
    yield view
    view.close()


def test_meshes_are_those_of_the_bodies(drawn: tuple[Params, Usd.Stage, FrameSpec]) -> None:
    import io

    import trimesh

    _, stage, _ = drawn
    meshes = read_rover(stage)
    assert set(meshes) == set(BODIES) and "Kapton" in meshes[schema.ROVER_CHASSIS]
    triangles = sum(len(mesh.faces) for parts in meshes.values() for mesh in parts.values())
    assert triangles < 30_000
    read = trimesh.load(io.BytesIO(body_glb(meshes[schema.ROVER_CHASSIS])), file_type="glb")
    points = np.concatenate([mesh.points for mesh in meshes[schema.ROVER_CHASSIS].values()])
    assert read.bounds == pytest.approx(np.array([points.min(axis=0), points.max(axis=0)]), abs=1e-5)


def test_it_stands_where_the_stage_has_it(
    stand: Stand, view: SceneView, drawn: tuple[Params, Usd.Stage, FrameSpec]
) -> None:
    params, stage, spec = drawn
    view.show(stage, spec, 96, 72)
    until(lambda: not view.busy)
    for frame in (spec, dataclasses.replace(spec, rover=TILTED)):
        view.move(frame)
        until(lambda: not view.busy)
        apply_frame(stage, params, frame, 96, 72)
        cache = UsdGeom.XformCache()
        rover = _matrix(stand, ROVER)
        for path in BODIES:
            found = _matrix(stand, f"{ROVER}/{path.rpartition('/')[2]}") @ rover
            true = np.array(cache.GetLocalToWorldTransform(stage.GetPrimAtPath(path)))
            assert found == pytest.approx(true, abs=1e-6), path


def test_a_stage_without_a_rover_has_none(stand: Stand, view: SceneView) -> None:
    params = load_preset("v1")
    scene = build_scene(params, draw_scene(params, 0, "train_dr", 0))
    view.show(author_stage(scene), draw_frame(params, 0, "train_dr", 0, scene), 96, 72)
    until(lambda: not view.busy)
    assert stand.server.scene.get_handle_by_name(ROVER) is None


def _matrix(stand: Stand, name: str) -> np.ndarray:
    """Pose of a node in its parent's frame for row vectors, shape [4, 4]."""
    node = stand.server.scene.get_handle_by_name(name)
    assert node is not None, name
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(np.array(node.wxyz), scalar_first=True).as_matrix().T
    matrix[3, :3] = node.position
    return matrix
