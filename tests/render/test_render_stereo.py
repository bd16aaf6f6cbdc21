"""The right picture and the disparity: where a point is in the left picture, and where it is in the right one."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom
from render_stage import add_right, aim_camera, aim_sun, make_stage, set_sensor
from scipy import ndimage

from regolith.lunar.labels import SKY
from regolith.lunar.params import InputError
from regolith.lunar.render.base import Frame
from regolith.lunar.render.mitsuba import MitsubaRenderer
from regolith.lunar.render.view import read_camera
from regolith.lunar.stage import schema
from regolith.lunar.stage.lens import Lens
from regolith.lunar.stage.stereo import right_positions

BASELINE = 0.4
PAIR: frozenset[str] = frozenset(["right", "disparity", "depth"])
BENT = {"k1": -0.2, "k2": 0.04}
WIDTH, HEIGHT = 192, 144
PATCH = 16


def distances_of_right(renderer: MitsubaRenderer, stage: Usd.Stage) -> np.ndarray:
    """What the camera itself measures from where the right one is, as depth [m]; the stage keeps it there."""
    right = UsdGeom.Xformable(stage.GetPrimAtPath(schema.CAMERA_RIGHT))
    pose = right.ComputeLocalToWorldTransform(Usd.TimeCode.Default())
    stage.GetAttributeAtPath(f"{schema.CAMERA}.xformOp:transform").Set(pose)
    depth = renderer.render(WIDTH, HEIGHT, quality="draft", samples=1, outputs=frozenset(["depth"])).depth
    assert depth is not None
    return depth


def seen_by_both(frame: Frame, lens: Lens, right_depth: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Pixels of the left picture whose point the right camera has in sight, away from edges of what is nearer."""
    assert frame.disparity is not None and frame.depth is not None
    rays = lens.rays(*np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5))
    points = rays * (frame.depth / np.linalg.norm(rays, axis=-1))[..., None] - (BASELINE, 0.0, 0.0)
    finite = np.where(np.isfinite(right_depth), right_depth, 1e4)
    met = ndimage.map_coordinates(finite, at, order=1, mode="nearest")
    clear = np.abs(met - np.linalg.norm(points, axis=-1)) < 0.02 * met
    jump = ndimage.maximum_filter(frame.disparity, 5) - ndimage.minimum_filter(frame.disparity, 5)
    row, column = at[0], at[1]
    inside = (row > 1) & (row < HEIGHT - 2) & (column > 1) & (column < WIDTH - 2)
    return clear & (jump < 1.5) & inside & (frame.mask != SKY)


def patch_shifts(left: np.ndarray, warped: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Displacement of every textured patch between two pictures [px], shape [N, 2] (Lucas & Kanade 1981)."""
    mean = 0.5 * (left + warped)
    down, along = np.gradient(mean, axis=0), np.gradient(mean, axis=1)
    found = []
    for y in range(0, HEIGHT - PATCH, PATCH // 2):
        for x in range(0, WIDTH - PATCH, PATCH // 2):
            place = np.s_[y : y + PATCH, x : x + PATCH]
            slopes = np.stack([along[place].ravel(), down[place].ravel()], axis=1)
            slopes -= slopes.mean(axis=0)
            change = (warped - left)[place].ravel()
            if usable[place].all() and np.linalg.eigvalsh(slopes.T @ slopes)[0] > 4.0 * PATCH**2:
                found.append(np.linalg.lstsq(slopes, change - change.mean(), rcond=None)[0])
    return np.array(found)


@pytest.mark.parametrize("lens_values", [{}, BENT], ids=["straight", "bent"])
def test_the_right_picture_warped_by_disparity_is_the_left_one(fused: MitsubaRenderer, lens_values) -> None:
    """To a tenth of a pixel over patches that both see; a disparity that is off by 0.3 px shows."""
    stage = make_stage(bump=0.3)
    stage.GetPrimAtPath(schema.LOOK_GROUND).GetAttribute(schema.PHOTOMETRY + "mottling").Set(0.9)
    aim_sun(stage, elevation=20.0, azimuth=80.0)
    aim_camera(stage, pitch=-14.0, **lens_values)
    add_right(stage, BASELINE)
    fused.load(stage)
    frame = fused.render(WIDTH, HEIGHT, quality="draft", samples=64, outputs=PAIR)
    lens = read_camera(stage).lens(WIDTH, HEIGHT)
    assert frame.right is not None and frame.disparity is not None
    left, right = (picture[..., 0].astype(np.float64) for picture in (frame.rgb, frame.right))

    def shifts(disparity: np.ndarray) -> np.ndarray:
        at = right_positions(disparity, lens)[..., ::-1].transpose(2, 0, 1) - 0.5
        warped = ndimage.map_coordinates(right, at, order=3, mode="nearest")
        return patch_shifts(left, warped, seen_by_both(frame, lens, right_depth, at))

    right_depth = distances_of_right(fused, stage)
    found = shifts(frame.disparity)
    assert len(found) > 100 and frame.disparity.max() > 20.0
    assert np.linalg.norm(found, axis=1).mean() < 0.1
    assert np.abs(found.mean(axis=0)).max() < 0.03
    off = shifts(frame.disparity + np.float32(0.3))
    assert off[:, 0].mean() < -0.25 and abs(off[:, 1].mean()) < 0.03


@pytest.mark.parametrize("lens_values", [{}, BENT], ids=["straight", "bent"])
def test_a_matcher_finds_the_disparity_in_the_undistorted_pair(fused: MitsubaRenderer, lens_values) -> None:
    """As OpenCV undistorts and matches; through a bent lens it does not without undistorting."""
    stage = make_stage(bump=0.5)
    aim_camera(stage, pitch=-25.0, **lens_values)
    add_right(stage, 0.25)
    fused.load(stage)
    frame = fused.render(320, 240, quality="draft", outputs=PAIR)
    assert frame.right is not None and frame.disparity is not None
    lens = read_camera(stage).lens(320, 240)
    matrix = lens.matrix - [[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]]  # OpenCV's pixels have whole centres
    maps = cv2.initUndistortRectifyMap(matrix, lens.coefficients, np.eye(3), matrix, (320, 240), cv2.CV_32FC1)
    left, right = (cv2.remap(picture, *maps, cv2.INTER_CUBIC)[..., 0] for picture in (frame.rgb, frame.right))
    wanted = cv2.remap(frame.disparity, *maps, cv2.INTER_NEAREST)
    matcher = cv2.StereoSGBM.create(
        numDisparities=64, blockSize=7, P1=400, P2=1600, uniquenessRatio=10, disp12MaxDiff=1
    )

    def off(left: np.ndarray, right: np.ndarray, disparity: np.ndarray) -> np.ndarray:
        found = matcher.compute(left, right) / 16.0
        return np.abs(found - disparity)[(found > 0.0) & (disparity > 0.0)]

    undistorted = off(left, right, wanted)
    assert undistorted.size > 0.5 * wanted.size and np.median(undistorted) < 0.25 and (undistorted < 1.0).mean() > 0.95
    if lens.distorted:
        assert np.median(off(frame.rgb[..., 0], frame.right[..., 0], frame.disparity)) > 0.5


@pytest.mark.parametrize("lens_values", [{}, BENT], ids=["straight", "bent"])
def test_disparity_of_a_plane(renderer: MitsubaRenderer, lens_values) -> None:
    """Ground seen from straight above is as far along the axis everywhere; ground ahead as its plane says."""
    stage = make_stage(rocks=0)
    renderer.load(stage)
    aim_camera(stage, pitch=-90.0, position=(0.0, 0.0, 2.0), fov=60.0, **lens_values)
    add_right(stage, BASELINE)
    frame = renderer.render(40, 24, quality="draft", samples=1, outputs=PAIR)
    focal = 20.0 / math.tan(math.radians(30.0))
    assert frame.disparity is not None
    np.testing.assert_allclose(frame.disparity, np.full((24, 40), focal * BASELINE / 2.0), rtol=2e-5)
    aim_camera(stage, pitch=-40.0, position=(0.0, 0.0, 1.5), fov=40.0, **lens_values)
    add_right(stage, BASELINE)
    lens = Lens.from_fov(40.0, 40, 24, **lens_values)
    frame = renderer.render(40, 24, quality="draft", samples=1, outputs=PAIR)
    y = lens.rays(*np.meshgrid(np.arange(40) + 0.5, np.arange(24) + 0.5))[..., 1]
    sine, cosine = math.sin(math.radians(40.0)), math.cos(math.radians(40.0))
    wanted = lens.focal_px * BASELINE * (y * cosine + sine) / 1.5  # the ray (x, y, 1) falls y cos + sin a metre ahead
    assert frame.disparity is not None
    np.testing.assert_allclose(frame.disparity, wanted, rtol=2e-5)


def test_the_left_picture_is_the_same_with_and_without_the_right_one(renderer: MitsubaRenderer) -> None:
    """Whatever is asked for beside it; the right one is that of a camera which stands there, with its own noise."""
    stage = make_stage()
    set_sensor(stage, fullWell=3000.0, readNoise=8.0, noiseSeed=3.0)
    renderer.load(stage)
    plain = renderer.render(48, 32, outputs=frozenset(["depth"]))
    add_right(stage, BASELINE, noise_seed=7)
    pair = renderer.render(48, 32, outputs=PAIR)
    alone = renderer.render(48, 32, outputs=frozenset(["right"]))
    for frame in (pair, alone):
        assert (frame.rgb == plain.rgb).all() and (frame.mask == plain.mask).all()
    assert (pair.depth == plain.depth).all()
    assert pair.right is not None and pair.disparity is not None
    assert (alone.right == pair.right).all() and (pair.right != pair.rgb).any()
    assert ((pair.disparity == 0.0) == (pair.mask == SKY)).all() and (pair.mask == SKY).any()
    left, right = (stage.GetPrimAtPath(path) for path in (schema.CAMERA, schema.CAMERA_RIGHT))
    pose = UsdGeom.Xformable(right).ComputeLocalToWorldTransform(Usd.TimeCode.Default())
    left.GetAttribute("xformOp:transform").Set(pose)
    assert (renderer.render(48, 32).rgb != pair.right).any()
    left.GetAttribute(schema.SENSOR + "noiseSeed").Set(7.0)
    assert (renderer.render(48, 32).rgb == pair.right).all()


def test_back_ends_agree_on_the_pair() -> None:
    """The same disparity, and the same right picture up to noise, through a bent lens too."""
    cases: list[dict[str, Any]] = [{}, BENT]
    for lens_values in cases:
        stage = make_stage(model="hapke", bump=0.4)
        aim_camera(stage, **lens_values)
        add_right(stage, BASELINE)
        pairs = []
        for backend in ("llvm", "scalar"):
            renderer = MitsubaRenderer(backend)
            renderer.load(stage)
            pairs.append(renderer.render(80, 60, quality="draft", outputs=PAIR))
            renderer.close()
        a, b = pairs
        assert a.disparity is not None and b.disparity is not None and a.right is not None and b.right is not None
        assert np.mean(np.abs(a.disparity - b.disparity) <= 1e-3) >= 0.999
        assert np.sqrt(np.mean((a.right.astype(float) - b.right) ** 2)) < 255 / 10 ** (22 / 20)


def test_what_is_no_pair_is_refused(fused: MitsubaRenderer, stage: Usd.Stage) -> None:
    """No right camera; one that stands elsewhere, is turned, or has another lens: nothing of it would be true."""
    fused.load(stage)
    with pytest.raises(InputError, match=r"stage: .* a stage with a right camera, /World/Camera/Right"):
        fused.render(32, 24, outputs=frozenset(["disparity"]))
    add_right(stage, BASELINE)
    right = UsdGeom.Camera(stage.GetPrimAtPath(schema.CAMERA_RIGHT))
    move = right.GetPrim().GetAttribute("xformOp:translate")
    for place in ((-0.1, 0.0, 0.0), (0.0, 0.0, 0.0), (0.4, 0.001, 0.0)):
        move.Set(Gf.Vec3d(*place))
        with pytest.raises(InputError, match=r"/World/Camera/Right: 'moved by .* to the right of the left one"):
            fused.render(32, 24, outputs=frozenset(["right"]))
    move.Set(Gf.Vec3d(0.4, 0.0, 0.0))
    assert fused.render(32, 24, quality="draft", outputs=frozenset(["right"])).right is not None
    turn = right.AddRotateYOp()
    turn.Set(0.1)
    with pytest.raises(InputError, match="axes and lens"):
        fused.render(32, 24, outputs=frozenset(["right"]))
    turn.Set(0.0)
    right.GetPrim().CreateAttribute(schema.SENSOR + "k1", Sdf.ValueTypeNames.Double).Set(0.01)
    with pytest.raises(InputError, match="axes and lens"):
        fused.render(32, 24, outputs=frozenset(["right"]))
