"""Point clouds: they project back onto their pixels, and lie on the stage they were drawn from."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from rocky_split import write_rocky
from scipy.spatial.transform import Rotation
from small_split import spec

from regolith.lunar.dataset.export import export
from regolith.lunar.dataset.formats.pointcloud import save_arrays
from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.pointcloud import FrameCamera, point_cloud, unproject
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.labels import REGOLITH, ROCK, SKY
from regolith.lunar.params import InputError, Interval, load_preset
from regolith.lunar.randomize import draw_scene, narrowed
from regolith.lunar.stage.author import build_scene
from regolith.lunar.stage.lens import MIN_SLOPE, Lens
from regolith.lunar.stage.pose import camera_matrix

WIDTH, HEIGHT = 160, 120
SIDE = 96


def view(**changes: float) -> FrameCamera:
    return FrameCamera.from_spec(spec(0).to_dict() | changes, WIDTH, HEIGHT)


@settings(max_examples=40, deadline=None)
@given(
    fov=st.floats(30, 100),
    k1=st.floats(-0.2, 0.3),
    k2=st.floats(-0.02, 0.1),
    heading=st.floats(0, 360),
    pitch=st.floats(-89, 89),
    roll=st.floats(-30, 30),
    seed=st.integers(0, 99),
)
@example(fov=100.0, k1=-0.16, k2=0.03, heading=30.0, pitch=-60.0, roll=20.0, seed=0)
@example(fov=84.0, k1=0.3, k2=0.1, heading=300.0, pitch=80.0, roll=-30.0, seed=1)
def test_points_project_onto_their_pixels(fov, k1, k2, heading, pitch, roll, seed) -> None:
    """From the world frame, through OpenCV's own projection, K and coefficients as stored: within half a pixel."""
    lens = Lens.from_fov(fov, WIDTH, HEIGHT, k1=k1, k2=k2)
    assume(not lens.folds)  # were every lens taken to fold, Hypothesis would find nothing to try and fail
    seen = view(
        fov_deg=fov, lens_k1=k1, lens_k2=k2, heading_deg=heading, pitch_deg=pitch, roll_deg=roll, camera_x_m=-31.0
    )
    draw = np.random.default_rng(seed)
    depth = draw.uniform(0.5, 40, (HEIGHT, WIDTH)).astype(np.float32)
    depth[draw.random(depth.shape) < 0.2] = np.inf
    arrays = {"depth": depth, "rgb": np.zeros((HEIGHT, WIDTH, 3), np.uint8), "mask": np.zeros(depth.shape, np.uint8)}
    cloud = point_cloud(arrays, seen)
    assert len(cloud["points_world"]) == np.isfinite(depth).sum()
    inverse = np.linalg.inv(cloud["camera_to_world"])
    rotation, _ = cv2.Rodrigues(inverse[:3, :3])
    found, _ = cv2.projectPoints(
        cloud["points_world"].astype(np.float64), rotation, inverse[:3, 3], cloud["K"], cloud["dist"]
    )
    error = np.linalg.norm(found[:, 0] - (cloud["pixel"] + 0.5), axis=1)
    assert error.max() <= 0.05  # half a pixel is asked; float32 leaves far less


@pytest.mark.parametrize(("fov", "k1", "k2"), [(100.0, -0.3, 0.0), (84.0, -0.3, 0.0), (100.0, -0.2, -0.02)])
def test_a_lens_that_folds_shows_nothing_beyond_the_fold(fov: float, k1: float, k2: float) -> None:
    """Where the distorted radius hardly grows with the true one any more; inside, every pixel has its point."""
    true = np.linspace(0.0, 3.0, 300_001)
    distorted = true * (1 + k1 * true**2 + k2 * true**4)
    fold_px = (
        distorted[np.argmax(np.gradient(distorted, true) < MIN_SLOPE)] * 0.5 * WIDTH / np.tan(np.radians(0.5 * fov))
    )
    points, pixel = unproject(np.full((HEIGHT, WIDTH), 7.0), Lens.from_fov(fov, WIDTH, HEIGHT, k1=k1, k2=k2))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    inside = np.hypot(columns + 0.5 - WIDTH / 2, rows + 0.5 - HEIGHT / 2) < fold_px
    seen = np.zeros(inside.shape, bool)
    seen[pixel[:, 1], pixel[:, 0]] = True
    assert (seen == inside).all() and 0 < inside.sum() < inside.size
    assert np.allclose(np.linalg.norm(points, axis=1), 7.0)


def test_distance_along_the_ray_is_the_depth() -> None:
    """Not the distance from the image plane: at the border of a wide picture the two differ by half."""
    lens = Lens.from_fov(100, WIDTH, HEIGHT, k1=0.1)
    points, pixel = unproject(np.full((HEIGHT, WIDTH), 7.0), lens)
    assert np.allclose(np.linalg.norm(points, axis=1), 7.0)
    corner = points[(pixel == 0).all(axis=1)][0]
    assert corner[0] < 0 and corner[1] < 0 and 0 < corner[2] < 6


def test_frames_are_right_handed_and_as_usd_has_them() -> None:
    """Camera x right, y down, z forward; USD's camera looks along its -Z with +Y up."""
    seen = view(heading_deg=90.0, pitch_deg=0.0, roll_deg=0.0, camera_x_m=1.0, camera_y_m=2.0, camera_z_m=3.0)
    forward = seen.to_world(np.array([[0, 0, 5.0], [1, 0, 0], [0, 1, 0]]))
    assert np.allclose(forward, [[1, 7, 3], [2, 2, 3], [1, 2, 2]])
    assert np.isclose(np.linalg.det(seen.camera_to_world[:3, :3]), 1)
    usd = camera_matrix((1.0, 2.0, 3.0), 90.0, 0.0, 0.0)
    assert np.allclose(seen.to_world(np.array([0, 0, 1.0])), np.array([0, 0, -1, 1.0]) @ usd[:, :3])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A split of the real renderer, v1's ground and rocks, one scene; and its parameters."""
    base = load_preset("v1")
    params = base.model_copy(
        update={
            "dataset": base.dataset.model_copy(update={"depth": True, "normals": True, "instance": True}),
            "sensor": base.sensor.model_copy(update={"lens_k1": Interval(-0.12), "lens_k2": Interval(0.02)}),
        }
    )
    root = tmp_path_factory.mktemp("drawn")
    generate(params, root / "in", split="val", frames=2, width=SIDE, height=SIDE)
    export(root / "in/val", root / "out", to="pointcloud")
    scene = build_scene(narrowed(params, "val"), draw_scene(params, 0, "val", 0))
    return root, scene, [dict(np.load(path)) for path in sorted((root / "out/val").iterdir())]


def test_files_hold_what_the_frames_see(drawn) -> None:
    root, _, clouds = drawn
    for frame, cloud in zip(open_split(root / "in/val"), clouds, strict=True):
        depth = np.load(frame.path("depth"))
        columns, rows = cloud["pixel"].T
        assert len(cloud["pixel"]) == np.isfinite(depth).sum() > 2000
        assert np.isfinite(depth[rows, columns]).all()
        assert (cloud["rgb"] == frame.rgb[rows, columns]).all()
        assert (cloud["class"] == frame.mask[rows, columns]).all()
        assert not (cloud["class"] == SKY).any()
        assert ((cloud["instance"] > 0) == (cloud["class"] == ROCK)).all()
        assert np.abs(cloud["dist"][:2] - (-0.12, 0.02)).max() == 0


def test_ground_points_lie_on_the_ground(drawn) -> None:
    """Within millimetres of the triangles the stage has, through a lens that distorts: the fold of pose and lens."""
    _, scene, clouds = drawn
    grid = scene.terrain.grid
    for cloud in clouds:
        x, y, z = cloud["points_world"][cloud["class"] == REGOLITH].astype(np.float64).T
        inside = (np.abs(x) < grid.half_x) & (np.abs(y) < grid.half_y)
        assert inside.sum() > 1000
        height = grid.facet_height(x[inside], y[inside])
        assert np.abs(z[inside] - height).max() < 0.002


def test_rock_points_lie_on_their_own_rocks(drawn) -> None:
    """Instance number k is rock k - 1 of the scene: its points lie in the box about its mesh."""
    _, scene, clouds = drawn
    rocks = scene.rocks
    seen = 0
    for cloud in clouds:
        for number in np.unique(cloud["instance"][cloud["class"] == ROCK]).astype(int):
            rock = number - 1
            mesh = rocks.prototypes[rocks.shape[rock]][rocks.lod[rock]].points * rocks.scale[rock]
            w, x, y, z = rocks.orientation[rock].astype(float)
            corners = Rotation.from_quat((x, y, z, w)).apply(mesh) + rocks.position[rock]
            points = cloud["points_world"][cloud["instance"] == number]
            assert (points >= corners.min(axis=0) - 0.001).all() and (points <= corners.max(axis=0) + 0.001).all()
            seen += 1
    assert seen > 10


def test_bytes_depend_on_the_arrays_alone(tmp_path: Path, monkeypatch) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.zeros(0, np.uint8)}
    save_arrays(tmp_path / "one.npz", arrays)
    monkeypatch.setattr("time.localtime", lambda *_: (2001, 1, 1, 0, 0, 0, 0, 1, 0))
    save_arrays(tmp_path / "two.npz", arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz") as read:
        assert (read["a"] == arrays["a"]).all() and read["b"].shape == (0,)


def test_depth_is_required(tmp_path: Path) -> None:
    write_rocky(tmp_path / "val", 1, seed=1, extras=("instance",))
    with pytest.raises(InputError, match=r"dataset\.depth: False is not allowed; allowed: true"):
        export(tmp_path / "val", tmp_path / "out", to="pointcloud")


def test_a_camera_is_required() -> None:
    with pytest.raises(InputError, match=r"spec\.camera_x_m: missing"):
        FrameCamera.from_spec({"source": "photo.png"}, WIDTH, HEIGHT)
