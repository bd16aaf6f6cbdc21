"""The camera's path in Kit: a key where the viewport has flown, the way under a slider, a time dragged, one undo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import OUT, Kit
from panel import Panel


@pytest.fixture
def panel(lunar: Kit) -> Panel:
    return Panel(lunar)


def camera(stage: Any) -> np.ndarray:
    """Pose of the frame's camera on the stage, shape [4, 4]."""
    from pxr import UsdGeom

    return np.array(UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath("/World/Camera")))


def fly(stage: Any, place: tuple[float, float, float], heading_deg: float, pitch_deg: float) -> None:
    """Move the frame's camera as the viewport does that looks through it."""
    from pxr import Gf, UsdGeom

    from regolith.lunar.stage.pose import camera_matrix

    matrix = camera_matrix(place, heading_deg, pitch_deg, 0.0)
    prim = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Camera"))
    prim.GetOrderedXformOps()[0].Set(Gf.Matrix4d(*matrix.ravel().tolist()))


def test_a_path_is_flown_keyed_and_scrubbed(panel: Panel) -> None:
    import omni.kit.viewport.utility as viewport

    window = viewport.open_viewport()
    panel.open("film")
    assert not panel.model.actions["add_key"].enabled
    stage = panel.author()
    path = panel.model.path
    panel.press("add_key")
    first = camera(stage)
    fly(stage, (2.0, 1.0, 25.0), 30.0, -40.0)
    panel.press("add_key")
    key = path.keys[1]
    assert (key.time_s, key.x_m, key.y_m, key.heading_deg, key.pitch_deg, key.roll_deg) == (
        2.0,
        2.0,
        1.0,
        30.0,
        -40.0,
        0,
    )
    assert panel.text("words:way.keys") == "2 keys, 2 s, 48 frames"
    assert panel.text("key:1:place").startswith("x 2.0 y 1.0, ")
    assert panel.kit.until(lambda: path.way is not None)
    panel.drag("path:time", 0.95, 0.5)
    assert 0.7 < path.time_s < 1.3
    np.testing.assert_allclose(camera(stage)[3, :3], path.way.eye_m[round(path.time_s * 24)], atol=1e-3)
    window.viewport_api.camera_path = "/OmniverseKit_Persp"
    panel.click("key:0:go")
    assert window.viewport_api.camera_path == "/World/Camera"
    np.testing.assert_allclose(camera(stage)[3, :3], first[3, :3], atol=2e-3)
    depth = panel.model.undo_depth
    panel.drag("key:1:time", 0.2, 0.8)
    assert path.keys[1].time_s > 2.0 and panel.model.undo_depth == depth + 1
    panel.screen.show(panel.widget("words:way.keys"))
    panel.capture(OUT / "film.png")
    panel.press("undo")
    assert path.keys[1].time_s == 2.0
    panel.model.commit("way.keys", path.with_time(1, 0.0))
    assert panel.widget("message:way.keys").visible and "key 2" in panel.text("message:way.keys")
    panel.press("undo")
    panel.press("play")
    assert path.playing
    assert panel.kit.until(lambda: not path.playing) and path.time_s == 2.0
    panel.click("key:0:remove")
    assert [key.time_s for key in path.keys] == [0.0] and panel.text("key:0:place").startswith("x 2.0 y 1.0, ")
    assert panel.text("words:way.keys").startswith("One key")
