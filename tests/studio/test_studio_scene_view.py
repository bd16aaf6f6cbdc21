"""The 3D view: poses of its nodes, and the real thing in a browser."""

from __future__ import annotations

import dataclasses
import io
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page
from scene_stage import HEIGHT, WIDTH, small_stage
from scipy.spatial.transform import Rotation
from studio_stand import PATIENCE_S, Stand, Tabs, until

from regolith.lunar.panel.host import Eye
from regolith.lunar.render.view import read_camera, read_sun
from regolith.lunar.stage.spec import FrameSpec
from regolith.lunar.studio import scene_marks
from regolith.lunar.studio.scene import FRAME, SceneView
from regolith.lunar.studio.scene_aim import CameraPose, direction

TRIANGLES = 4000
"""Of the ground: software draws it."""


class Model:
    """What stands behind the view: holds what a handle asks for, and moves the view."""

    def __init__(self, spec: FrameSpec) -> None:
        self.spec = spec
        self.asked: list[dict[str, float]] = []
        self.view: SceneView | None = None

    def aim(self, values: dict[str, float]) -> None:
        self.asked.append(values)
        place = {name: value for name, value in values.items() if name.startswith("camera_")}
        rest = {name: value for name, value in values.items() if name not in place}
        self.spec = dataclasses.replace(self.spec, values=self.spec.values | rest, **place)
        assert self.view is not None
        self.view.move(self.spec)


@pytest.fixture(scope="module", name="model")
def fixture_model(stand: Stand) -> Iterator[Model]:
    small = small_stage()
    model = Model(small.lit(sun_elevation_deg=14.0, sun_azimuth_deg=small.spec["heading_deg"] + 70.0))
    model.view = SceneView(stand.server, model.aim, triangles=TRIANGLES)
    model.view.show(small.stage, model.spec, WIDTH, HEIGHT)
    until(lambda: not view_of(model).busy)
    yield model
    model.view.close()


@pytest.fixture(autouse=True)
def fixture_same_start(model: Model) -> Iterator[None]:
    start = model.spec
    model.asked.clear()
    yield
    model.spec = start
    view_of(model).move(start)


def view_of(model: Model) -> SceneView:
    assert model.view is not None
    return model.view


def node(stand: Stand, name: str) -> Any:
    handle = stand.server.scene.get_handle_by_name(name)
    assert handle is not None, name
    return handle


def client_of(stand: Stand) -> Any:
    return until(lambda: next(iter(stand.server.get_clients().values()), None))


def canvas(page: Page) -> np.ndarray:
    """What the page shows, float in 0 … 1, shape [H, W, 3]; it draws no faster than software can."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")) / 255.0


def settled(page: Page, holds: Callable[[np.ndarray], bool]) -> np.ndarray:
    """Wait for a picture."""
    shot: list[np.ndarray] = []
    until(lambda: shot.append(canvas(page)) or holds(shot[-1]))
    return shot[-1]


def pixel(client: Any, page: Page, point: np.ndarray) -> tuple[float, float]:
    """Where a tab's eye sees a place."""
    eye = client.camera
    x, y, z = Rotation.from_quat(eye.wxyz, scalar_first=True).as_matrix().T @ (np.asarray(point) - eye.position)
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    focal = 0.5 * box["height"] / math.tan(0.5 * eye.fov)
    return box["x"] + 0.5 * box["width"] + focal * x / z, box["y"] + 0.5 * box["height"] + focal * y / z


def drag(page: Page, start: tuple[float, float], by: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + by[0], start[1] + by[1], steps=3)
    page.mouse.up()


def test_nodes_are_where_the_stage_says(stand: Stand, model: Model) -> None:
    small = small_stage()
    for values in (
        {},
        {"heading_deg": 200.0, "pitch_deg": -31.0, "roll_deg": 12.0, "fov_deg": 93.0},
        {"sun_elevation_deg": 71.0, "sun_azimuth_deg": 355.0},
    ):
        spec = small.lit(**values)
        stage = small.edited(spec)
        view_of(model).move(spec)
        until(lambda: not view_of(model).busy)
        frustum, pinhole = node(stand, "/rover/frustum"), read_camera(stage)
        right, up, forward = pinhole.axes
        assert np.array_equal(frustum.position, pinhole.origin)
        axes = Rotation.from_quat(frustum.wxyz, scalar_first=True).as_matrix()
        assert np.allclose(axes.T, [right, -up, forward], atol=1e-9)
        assert math.tan(0.5 * frustum.fov) * frustum.aspect == pytest.approx(pinhole.tan_x, rel=1e-6)
        sun = np.asarray(node(stand, "/light/sun").position)
        assert np.allclose(sun, read_sun(stage).direction, atol=1e-6)
        foot, ball = np.asarray(node(stand, "/rover/foot").position), np.asarray(node(stand, "/sun/ball").position)
        assert np.allclose((ball - foot) / np.linalg.norm(ball - foot), sun, atol=1e-6)
        target = np.asarray(node(stand, "/rover/target").position) - pinhole.origin
        assert np.allclose(target / np.linalg.norm(target), forward)
        assert foot[2] == pytest.approx(float(small.scene.terrain.height(foot[0], foot[1])), abs=1e-6)


def test_a_new_size_reshapes_the_frustum(stand: Stand, model: Model) -> None:
    view_of(model).move(model.spec, 600, 200)
    until(lambda: not view_of(model).busy)
    frustum = node(stand, "/rover/frustum")
    assert frustum.aspect == 3.0
    assert math.tan(0.5 * frustum.fov) * 3.0 == pytest.approx(math.tan(math.radians(0.5 * model.spec["fov_deg"])))
    view_of(model).move(model.spec, WIDTH, HEIGHT)
    until(lambda: not view_of(model).busy)
    assert node(stand, "/rover/frustum").aspect == WIDTH / HEIGHT


def test_a_burst_of_moves_ends_with_the_last_suns_shadows(stand: Stand, model: Model) -> None:
    view = view_of(model)

    def shadows_under(elevations: list[float]) -> int:
        for elevation in elevations:
            view.move(small_stage().lit(sun_elevation_deg=elevation))
        until(lambda: not view.busy)
        return len(node(stand, "/shadow").faces)

    low = shadows_under([7.0])
    assert low > 500
    assert shadows_under(np.linspace(60.0, 7.0, 200).tolist()) == low
    assert shadows_under([40.0]) < 0.5 * low
    assert shadows_under([7.0]) == low


def test_only_the_newest_stage_is_shown(stand: Stand, model: Model) -> None:
    view = view_of(model)
    tests = small_stage("v1"), small_stage("v3")
    for small in (*tests, *tests):
        view.show(small.stage, small.spec, WIDTH, HEIGHT)
    until(lambda: not view.busy)
    assert view.solid is not None
    assert len(view.solid.content.rocks.prototype) == len(tests[1].scene.rocks)
    assert np.array_equal(node(stand, "/ground").vertices, view.solid.mesh.ground.points)
    batches = [name for name in stand.server.scene._handle_from_node_name if name.startswith("/rocks/")]
    assert len(batches) == len(view.solid.mesh.batches)


def test_calls_from_many_threads_do_no_harm(model: Model) -> None:
    view, failures = view_of(model), []

    def worry(seed: int) -> None:
        random = np.random.default_rng(seed)
        try:
            for _ in range(15):
                view.move(small_stage().lit(sun_azimuth_deg=random.uniform(0, 360), pitch_deg=random.uniform(-40, 10)))
                view.picture((random.random((12, 16, 3)) * 255).astype(np.uint8))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=worry, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    view.picture(None)
    until(lambda: not view.busy)
    assert not failures


def test_a_path_is_a_line_with_a_frustum_at_each_key(stand: Stand, model: Model) -> None:
    line = np.stack([np.linspace(0.0, 3.0, 500), np.zeros(500), np.full(500, 2.0)], axis=1)
    stops = [Eye(tuple(line[n].tolist()), 10.0 * n, -5.0, 0.0, 50.0) for n in (0, 1, 2)]
    for count in (3, 2, 0):
        poses = [CameraPose.at(stop, 1.5) for stop in stops[:count]]
        view_of(model).path(line if count else line[:0], poses)
        assert node(stand, "/film/path").visible == bool(count)
        assert [node(stand, f"/film/key_{n}").visible for n in range(3)] == [n < count for n in range(3)]
    drawn = node(stand, "/film/path").points
    assert np.allclose(drawn[0, 0], line[0]) and np.allclose(drawn[-1, 1], line[-1]) and len(drawn) < 200
    assert np.allclose(node(stand, "/film/key_1").position, line[1])


def test_the_moon_in_a_browser(stand: Stand, model: Model, tabs: Tabs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Black sky over grey ground; the handles aim; the eye goes through the camera and back."""
    monkeypatch.setattr(scene_marks, "DOUBLE_CLICK_S", PATIENCE_S)  # a busy page may take longer between two clicks
    page = tabs.open(stand.url, width=900, height=500, scale=1.0)
    client = client_of(stand)
    lit = settled(page, lambda shot: 0.15 < shot[300:, :550].mean() < 0.8)
    assert (lit[:40, 330:550].max(axis=2) == 0.0).mean() > 0.5  # sky
    ground = lit[300:, :550]
    assert np.abs(ground - ground.mean(axis=2, keepdims=True)).mean() < 0.03  # grey
    assert ground.std() > 0.05  # relief, rocks, shadows

    _drags_the_sun(stand, model, page, client, lit)
    _drags_the_camera(stand, model, page, client)

    until(lambda: not view_of(model).busy)
    page.mouse.dblclick(*pixel(client, page, node(stand, "/rover/body").position))
    lens = np.array([model.spec.camera_x_m, model.spec.camera_y_m, model.spec.camera_z_m])
    axis = direction(model.spec["pitch_deg"], model.spec["heading_deg"])

    def looks_through() -> bool:  # where it is and where it looks come one after the other
        forward = Rotation.from_quat(client.camera.wxyz, scalar_first=True).as_matrix()[:, 2]
        return np.allclose(client.camera.position, lens) and np.allclose(forward, axis, atol=1e-4)

    until(looks_through)
    settled(page, lambda shot: np.abs(shot - lit).mean() > 0.05)
    eye = view_of(model).eye(client)  # and the camera would come back to the eye
    assert eye.place_m == pytest.approx(lens.tolist())
    assert direction(eye.pitch_deg, eye.heading_deg) == pytest.approx(axis.tolist(), abs=1e-4)
    wide = FRAME * math.tan(math.radians(0.5 * model.spec["fov_deg"]))
    assert math.tan(math.radians(0.5 * eye.fov_deg)) == pytest.approx(wide, rel=1e-3)

    view_of(model).look_over(client)
    until(lambda: client.camera.position[2] > lens[2] + 1.0)
    assert client.camera.look_at[2] < lens[2]


def _drags_the_sun(stand: Stand, model: Model, page: Page, client: Any, before: np.ndarray) -> None:
    ball = node(stand, "/sun/ball")
    start = pixel(client, page, ball.position)
    drag(page, start, (90.0, -60.0))
    until(
        lambda: model.asked and np.allclose(pixel(client, page, ball.position), (start[0] + 90, start[1] - 60), atol=3)
    )
    assert all(set(values) == {"sun_elevation_deg", "sun_azimuth_deg"} for values in model.asked)
    assert model.spec["sun_elevation_deg"] > 20.0
    until(lambda: not view_of(model).busy)
    settled(page, lambda shot: np.abs(shot - before)[300:, :550].mean() > 0.02)  # shading and shadows turned
    model.asked.clear()


def _drags_the_camera(stand: Stand, model: Model, page: Page, client: Any) -> None:
    foot = node(stand, "/rover/foot")
    start, place = pixel(client, page, foot.position), np.array(foot.position)
    drag(page, start, (50.0, 15.0))
    until(lambda: model.asked and abs(pixel(client, page, foot.position)[0] - start[0] - 50.0) < 4.0)
    assert all(set(values) == {"camera_x_m", "camera_y_m"} for values in model.asked)
    assert np.linalg.norm((np.array(foot.position) - place)[:2]) > 0.3
    model.asked.clear()
    target = node(stand, "/rover/target")
    start = pixel(client, page, target.position)
    drag(page, start, (40.0, 20.0))
    until(
        lambda: (
            model.asked and np.allclose(pixel(client, page, target.position), (start[0] + 40, start[1] + 20), atol=3)
        )
    )
    assert all(set(values) == {"heading_deg", "pitch_deg"} for values in model.asked)
