"""The stereo pair: disparity against OpenCV's projection, the right camera on the stage and in the scene."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Usd, UsdGeom

from regolith.lunar.params import InputError, change_params, dump_params, load_preset
from regolith.lunar.randomize import aim_frame, draw_frame, draw_scene, narrowed
from regolith.lunar.stage import edit, schema
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.camera import place_camera, right_offset
from regolith.lunar.stage.lens import Lens
from regolith.lunar.stage.point_mesh import point_to_mesh
from regolith.lunar.stage.pose import rover_matrix
from regolith.lunar.stage.rover_viper import MOUNTS, pair_baseline_m
from regolith.lunar.stage.spec import rng
from regolith.lunar.stage.stereo import check_pair, disparity, right_positions

WIDTH, HEIGHT, BASELINE = 48, 32, 0.4
PAIR = {"camera.baseline_m": BASELINE, "dataset.right": True, "dataset.disparity": True}
SMALL = {
    "terrain.cell_m": 0.4, "terrain.size_m": 40, "rocks.far_radius_m": 0, "rocks.diameter_min_m": 0.3,
    "relief.enabled": False,
}  # fmt: skip


def projected(points: np.ndarray, lens: Lens, shift: float) -> np.ndarray:
    """Where OpenCV shows points [N, 3] of the left camera's frame to a camera displaced by `shift` to the right."""
    found, _ = cv2.projectPoints(points, np.zeros(3), np.array([-shift, 0.0, 0.0]), lens.matrix, lens.coefficients)
    return found.reshape(-1, 2)


@settings(max_examples=40, deadline=None)
@given(
    k=st.sampled_from([(0.0, 0.0), (-0.12, 0.03), (0.2, 0.0)]), fov=st.floats(30, 80), baseline=st.floats(0.01, 2),
    seed=st.integers(0, 2**31),
)  # fmt: skip
def test_disparity_leads_to_where_opencv_shows_the_point(k, fov, baseline: float, seed: int) -> None:
    """Points at random distances behind each pixel: x_left - x_right without distortion, both positions with it."""
    lens = Lens.from_fov(fov, WIDTH, HEIGHT, k1=k[0], k2=k[1])
    pinhole = Lens.from_fov(fov, WIDTH, HEIGHT)
    depth = np.random.default_rng(seed).uniform(0.5, 500.0, (HEIGHT, WIDTH)).astype(np.float32)
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = lens.rays(x, y)
    points = (rays * (depth / np.linalg.norm(rays, axis=-1))[..., None]).reshape(-1, 3)
    found = disparity(depth, lens, baseline)
    assert found.dtype == np.float32 and found.shape == depth.shape
    straight = projected(points, pinhole, 0.0) - projected(points, pinhole, baseline)
    np.testing.assert_allclose(found.ravel(), straight[:, 0], rtol=1e-6)
    np.testing.assert_allclose(straight[:, 1], 0.0, atol=1e-9)
    there = right_positions(found, lens).reshape(-1, 2)
    inside = np.abs(rays.reshape(-1, 3)[:, 0] - straight[:, 0] / lens.focal_px) < lens.corner  # else it may have folded
    np.testing.assert_allclose(there[inside], projected(points, lens, baseline)[inside], atol=1e-4)


def test_the_sky_has_no_disparity_and_stays_where_it_is() -> None:
    lens = Lens.from_fov(60.0, WIDTH, HEIGHT, k1=-0.1)
    found = disparity(np.full((HEIGHT, WIDTH), np.inf, np.float32), lens, BASELINE)
    assert (found == 0.0).all()
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    np.testing.assert_allclose(right_positions(found, lens), np.stack([x, y], axis=-1), atol=1e-9)


def test_outputs_of_a_pair_need_one() -> None:
    params = load_preset("v1")
    check_pair(params)
    check_pair(change_params(params, PAIR))
    with pytest.raises(InputError, match=r"camera\.baseline_m: 0\.0 .*above 0 m, with dataset\.disparity"):
        check_pair(change_params(params, {"dataset.disparity": True}))


def test_a_rovers_rig_has_its_own_pairs() -> None:
    """Both cameras where the rover's mounts have them, as parallel as those; who looks another way has no partner."""
    found = {view: pair_baseline_m(view) for view in MOUNTS}
    assert found.pop("navcam_left") == pytest.approx(0.4) and found.pop("aftcam_left") == pytest.approx(0.2)
    assert set(found.values()) == {0.0}
    rig = {"camera.rig": "viper", "camera.view": "aftcam_left"}
    outputs = {"dataset.right": True}
    params = change_params(load_preset("v1"), SMALL | rig | outputs)
    check_pair(params)
    with pytest.raises(InputError, match=r"camera\.view: .*allowed: navcam_left, aftcam_left, with dataset\.right"):
        check_pair(change_params(params, {"camera.view": "hazcam_front_left"}))
    with pytest.raises(InputError, match=r"camera\.baseline_m: 0\.3 .*0 m on the rig viper"):
        check_pair(change_params(params, {"camera.baseline_m": 0.3}))
    scene = build_scene(narrowed(params, "val"), draw_scene(params, 0, "val", 0))
    stage = author_stage(scene)
    spec = draw_frame(params, 0, "val", 1, scene)
    edit.apply_frame(stage, params, spec, 64, 48)
    assert spec.rover is not None
    right = UsdGeom.Xformable(stage.GetPrimAtPath(schema.CAMERA_RIGHT))
    pose = np.array(right.ComputeLocalToWorldTransform(Usd.TimeCode.Default()))
    rover = rover_matrix(spec.rover)
    np.testing.assert_allclose(pose[3, :3], np.array(MOUNTS["aftcam_right"].place_m) @ rover[:3, :3] + rover[3, :3])
    assert aim_frame(spec, scene, {"sun_elevation_deg": 9.0}).rover == spec.rover


def test_nothing_is_written_of_a_pair_that_is_not_there() -> None:
    """Parameters of before there were pairs keep their bytes; those of a pair are read back."""
    plain = load_preset("v3")
    text = dump_params(plain)
    assert not any(word in text for word in ("baseline", "right", "disparity"))
    pair = change_params(plain, PAIR)
    assert type(pair).model_validate_json(dump_params(pair)) == pair != plain
    assert type(plain).model_validate_json(text) == plain


@pytest.fixture(scope="module")
def params():
    return change_params(load_preset("v1"), SMALL | PAIR)


@pytest.fixture(scope="module")
def scene(params):
    return build_scene(narrowed(params, "val"), draw_scene(params, 0, "val", 0))


def test_the_stage_has_the_right_camera_beside_the_left_one(params, scene) -> None:
    """Axes and lens as the left one's, by the baseline along its +X; the same sensor with noise of its own."""
    stage = author_stage(scene)
    spec = draw_frame(params, 0, "val", 1, scene)
    edit.apply_frame(stage, params, spec, 64, 48)
    left, right = (stage.GetPrimAtPath(path) for path in (schema.CAMERA, schema.CAMERA_RIGHT))
    poses = [np.array(UsdGeom.Xformable(p).ComputeLocalToWorldTransform(Usd.TimeCode.Default())) for p in (left, right)]
    np.testing.assert_allclose(poses[1][:3], poses[0][:3], atol=1e-12)
    np.testing.assert_allclose(poses[1][3, :3] - poses[0][3, :3], BASELINE * poses[0][0, :3], atol=1e-12)
    offset = right_offset(
        scene, heading_deg=spec["heading_deg"], pitch_deg=spec["pitch_deg"], roll_deg=spec["roll_deg"]
    )
    assert offset is not None
    np.testing.assert_allclose(offset, BASELINE * poses[0][0, :3], atol=1e-12)
    own = {"xformOp:transform", "xformOp:translate", "xformOpOrder", "stereoRole", f"{schema.SENSOR}noiseSeed"}
    values = [
        {a.GetName(): a.Get() for a in p.GetAuthoredAttributes() if a.GetName() not in own} for p in (left, right)
    ]
    assert values[0] == values[1] and len(values[0]) > 15
    seeds = [p.GetAttribute(f"{schema.SENSOR}noiseSeed").Get() for p in (left, right)]
    assert seeds[0] == spec.seed != seeds[1]
    assert [p.GetAttribute("stereoRole").Get() for p in (left, right)] == ["left", "right"]
    other = draw_frame(params, 0, "val", 2, scene)
    edit.apply_frame(stage, params, other, 64, 48)
    edit.apply_frame(stage, params, spec, 64, 48)
    assert right.GetAttribute(f"{schema.SENSOR}noiseSeed").Get() == seeds[1]


def test_a_stage_without_pair_is_as_before(params, scene) -> None:
    """Byte by byte the stage with a pair, less the right camera, the left one's role and the parameters' words."""
    plain = change_params(params, {"camera.baseline_m": 0.0, "dataset.right": False, "dataset.disparity": False})
    spec = draw_frame(params, 0, "val", 1, scene)
    texts = []
    for asked in (plain, params):
        stage = author_stage(dataclasses.replace(scene, params=narrowed(asked, "val")))
        edit.apply_frame(stage, asked, spec, 64, 48)
        if asked is params:
            stage.RemovePrim(schema.CAMERA_RIGHT)
            stage.GetPrimAtPath(schema.CAMERA).RemoveProperty("stereoRole")
            edit.note_frame(stage, plain, spec)
        texts.append(stage.GetRootLayer().ExportToString())
        with pytest.raises(InputError, match=r"/World/Camera/Right\.xformOp:translate"):
            edit.set_baseline(stage, 0.1)
    assert texts[0] == texts[1]


def test_the_right_lens_is_as_clear_as_the_left_one(params, scene) -> None:
    """On ground strewn with rocks; places that suit the left lens alone are passed over."""
    wide = with_baseline(scene, 1.5)
    pose = {"height_m": 0.6, "pitch_deg": -6.0, "heading_deg": 40.0, "fov_deg": 60.0, "roll_deg": 10.0}
    offset = right_offset(wide, heading_deg=pose["heading_deg"], pitch_deg=pose["pitch_deg"], roll_deg=pose["roll_deg"])
    assert offset is not None and np.linalg.norm(offset) == pytest.approx(1.5) and offset[2] < -0.2
    moved = 0
    for draw in range(40):
        lens = np.array(place_camera(wide, rng=rng(3, draw), **pose))
        alone = np.array(place_camera(with_baseline(scene, 0.0), rng=rng(3, draw), **pose))
        moved += int((lens != alone).any())
        right = lens + offset
        assert right[2] - scene.terrain.height(right[:1], right[1:2])[0] >= 0.25
        beside = np.hypot(*(scene.rocks.position[:, :2] - right[:2]).T) < scene.rocks.radius + 0.25
        assert all(point_to_mesh(right, scene.rocks.mesh(int(k))) >= 0.25 for k in np.flatnonzero(beside))
    assert 0 < moved < 40


def test_a_frame_cannot_be_turned_so_that_the_right_lens_is_in_the_ground(params, scene) -> None:
    """Held by hand as drawn it stays; rolled until the right lens touches ground it is refused."""
    wide = with_baseline(scene, 5.0)
    spec = draw_frame(params, 0, "val", 1, scene)
    assert aim_frame(spec, scene, {"sun_elevation_deg": 9.0}).camera_x_m == spec.camera_x_m
    with pytest.raises(InputError, match=r"camera: .*0\.25 m or more from ground"):
        aim_frame(spec, wide, {"roll_deg": 45.0})


def with_baseline(scene, baseline: float):
    """The scene for another baseline."""
    camera = scene.params.camera.model_copy(update={"baseline_m": baseline})
    return dataclasses.replace(scene, params=scene.params.model_copy(update={"camera": camera}))
