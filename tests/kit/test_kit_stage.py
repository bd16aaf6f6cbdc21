"""The stage in Kit: authored by a click, lit and aimed by sliders, undone, kept from being thrown away."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from conftest import OUT, Kit
from panel import Panel


@pytest.fixture
def panel(lunar: Kit) -> Panel:
    return Panel(lunar)


def value(stage: Any, path: str) -> Any:
    return stage.GetAttributeAtPath(path).Get()


SUN = "/World/Sun.xformOp:rotateXYZ"


def test_a_click_authors_a_stage_off_the_main_thread(panel: Panel, data: Path) -> None:
    import carb.settings
    import omni.usd

    from regolith.lunar.render import rtx

    updates = 0

    def watch(_: object) -> None:
        nonlocal updates
        updates += panel.model.works["stage"].state == "running"

    panel.model.use_preset("v1")
    guard = rtx.observe_update(watch)
    panel.press("author")
    work = panel.until_work("stage", "finished")
    guard.reset()
    stage = omni.usd.get_context().get_stage()
    assert "rocks" in work.text and stage.GetDefaultPrim().GetPath() == "/World"
    assert stage.GetPrimAtPath("/World/Ground/Terrain") and stage.GetPrimAtPath("/World/Rocks/rock_00000")
    assert value(stage, "/World/Ground.regolith:relief:baked") in (True, None)
    assert Path(omni.usd.get_context().get_stage_url()).parent == data / "stages"
    settings = carb.settings.get_settings()
    assert settings.get("/rtx/sceneDb/ambientLightIntensity") == 0.0
    assert settings.get("/rtx/background/source/color") == [0.0, 0.0, 0.0]
    assert settings.get("/rtx/post/histogram/enabled") is False
    assert settings.get("/rtx/useViewLightingMode") is False
    assert settings.get("/rtx/rendermode") == rtx.real_time_mode() == "RealTimePathTracing"
    assert updates > 1, "the app goes on meanwhile"


def test_a_dragged_slider_changes_the_sun_on_the_stage(panel: Panel) -> None:
    stage = panel.author()
    before = value(stage, SUN)
    terrain = stage.GetPrimAtPath("/World/Ground/Terrain").GetAttribute("points").Get()
    panel.open("light")
    panel.drag("domain.sun_elevation_deg:lo", 0.3, 0.6)
    panel.until_work("stage", "finished")
    after = value(stage, SUN)
    assert after != before and panel.model.undo_depth == 2  # the preset, and this
    assert stage.GetPrimAtPath("/World/Ground/Terrain").GetAttribute("points").Get() == terrain
    import omni.kit.undo

    omni.kit.undo.undo()
    panel.kit.until(lambda: value(stage, SUN) == before)
    assert value(stage, SUN) == before
    omni.kit.undo.redo()
    assert panel.kit.until(lambda: value(stage, SUN) == after)


def test_a_slider_moves_the_sun_while_it_is_dragged(panel: Panel) -> None:
    """Not only on release: each position reaches the stage within a few frames."""
    stage = panel.author()
    seen = {tuple(value(stage, SUN))}
    for degrees in (12.0, 20.0, 30.0):
        panel.model.set("domain.sun_elevation_deg", (degrees, degrees))
        assert panel.kit.until(lambda: tuple(value(stage, SUN)) not in seen, 3.0)
        assert abs(value(stage, SUN)[1] - (90.0 - degrees)) < 1e-3
        seen.add(tuple(value(stage, SUN)))
    host = panel.controller.host
    params, spec, width, height = host._frame
    for index in range(40):
        values = spec.values | {"sun_elevation_deg": 10.0 + 0.5 * index, "albedo": 0.1 + 0.001 * index}
        host.apply_frame(params, dataclasses.replace(spec, values=values), width, height).result()
        assert abs(value(stage, SUN)[1] - (90.0 - values["sun_elevation_deg"])) < 1e-3


def test_an_edit_touches_only_what_changed(panel: Panel) -> None:
    from pxr import Tf, Usd

    stage = panel.author()
    paths: set[str] = set()
    rebuilt: set[str] = set()

    def changed(notice: Any, sender: Any) -> None:
        paths.update(map(str, notice.GetChangedInfoOnlyPaths()))
        rebuilt.update(map(str, notice.GetResyncedPaths()))

    guard = Tf.Notice.Register(Usd.Notice.ObjectsChanged, changed, stage)
    panel.model.commit("domain.sun_azimuth_deg", (90.0, 90.0))
    panel.until_work("stage", "finished")
    assert panel.kit.until(lambda: bool(paths))
    guard.Revoke()
    assert paths <= {"/World/Sun.xformOp:rotateXYZ", "/World/Camera.exposure", "/World"}  # which holds the parameters
    assert not rebuilt


def test_a_terrain_edit_rebuilds_on_release_with_a_note(panel: Panel) -> None:
    import omni.usd

    panel.author()
    url = omni.usd.get_context().get_stage_url()
    panel.model.set("terrain.hill_height_m", 5.0)
    panel.kit.pump(20)
    assert panel.model.works["stage"].state == "finished"
    panel.open("stage")
    panel.model.commit("terrain.hill_height_m", 5.0)
    work = panel.model.works["stage"]
    assert work.state == "running"
    panel.screen.frames(2)
    assert panel.widget("line:stage").visible and panel.text("line-text:stage")
    panel.until_work("stage", "finished")
    assert omni.usd.get_context().get_stage_url() != url and not Path(url).exists()


def test_randomize_shows_the_next_frame_as_it_is_exported(panel: Panel) -> None:
    from regolith.lunar.randomize import draw_frame, draw_scene  # noqa: F401

    stage = panel.author()
    first = value(stage, "/World/Camera.xformOp:transform")
    panel.open("stage")
    panel.press("randomize")
    panel.until_work("stage", "finished")
    assert panel.model.field("shot.frame").value == 1
    assert panel.kit.until(lambda: value(stage, "/World/Camera.xformOp:transform") != first)


def test_a_stage_of_somebody_else_is_asked_for(panel: Panel) -> None:
    import omni.usd

    context = omni.usd.get_context()
    context.new_stage()
    mine = context.get_stage()
    panel.model.use_preset("v1")
    panel.press("author")
    panel.screen.frames(3)
    panel.capture(OUT / "question.png")
    title = "Author stage"
    panel.screen.click(panel.screen.find(title, "question:Keep the open one"))
    panel.kit.pump(10)
    assert context.get_stage() == mine and panel.model.works["stage"].state == "idle"
    panel.press("author")
    panel.screen.frames(3)
    panel.screen.click(panel.screen.find(title, "question:Open the new stage"))
    panel.until_work("stage", "finished")
    assert context.get_stage() != mine


def test_a_hand_edited_stage_of_ours_is_asked_for_too(panel: Panel) -> None:
    stage = panel.author()
    assert not panel.controller.host.stage_state().unsaved
    stage.DefinePrim("/World/Rover", "Xform")
    state = panel.controller.host.stage_state()
    assert state.ours and state.unsaved
    panel.press("author")
    panel.screen.frames(3)
    panel.screen.click(panel.screen.find("Author stage", "question:Keep the open one"))
    panel.kit.pump(10)
    assert stage.GetPrimAtPath("/World/Rover")


def test_closing_the_stage_gives_the_settings_back(panel: Panel) -> None:
    import carb.settings
    import omni.usd

    settings = carb.settings.get_settings()
    settings.set("/rtx/post/histogram/enabled", True)
    settings.destroy_item("/rtx/rendermode")
    panel.author()
    assert settings.get("/rtx/post/histogram/enabled") is False
    omni.usd.get_context().new_stage()
    assert settings.get("/rtx/post/histogram/enabled") is True and settings.get("/rtx/rendermode") is None
    assert not panel.model.actions["randomize"].enabled
    panel.kit.pump(3)


def test_a_folder_that_cannot_be_written_is_said(panel: Panel, data: Path) -> None:
    from omni.kit.notification_manager import posted

    data.write_text("in the way")
    panel.model.use_preset("v1")
    panel.press("author")
    work = panel.until_work("stage", "failed")
    assert "dataFolder" in work.text and posted


def test_the_labels_are_what_replicator_reads(panel: Panel) -> None:
    from pxr import Usd, UsdSemantics

    stage = panel.author()
    query = UsdSemantics.LabelsQuery("class", Usd.TimeCode.Default())
    rock = stage.GetPrimAtPath("/World/Rocks/rock_00000")
    assert list(query.ComputeUniqueInheritedLabels(rock)) == ["rock"]
    assert list(query.ComputeUniqueInheritedLabels(stage.GetPrimAtPath("/World/Ground/Terrain"))) == ["regolith"]


def test_a_stage_opened_while_terrain_is_built_is_asked_for(panel: Panel) -> None:
    import omni.usd

    context = omni.usd.get_context()
    panel.model.use_preset("v1")
    panel.press("author")
    context.new_stage()
    mine = context.get_stage()
    mine.DefinePrim("/World/Rover", "Xform")
    title, keep = "Author stage", "question:Keep the open one"

    def asked() -> bool:
        panel.screen.frames(1)
        try:
            return bool(panel.screen.find(title, keep))
        except LookupError:
            return False

    assert panel.kit.until(asked, 60)
    panel.screen.click(panel.screen.find(title, keep))
    panel.kit.pump(10)
    assert context.get_stage() == mine and panel.model.works["stage"].state == "idle"


def test_a_stage_edited_while_the_new_one_is_saved_stays(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    import omni.usd

    from regolith.lunar.kit import host

    stage = panel.author()
    save, saved, edited = host.save_stage, threading.Event(), threading.Event()

    def slow(new: Any, path: Path) -> None:
        save(new, path)
        saved.set()
        assert edited.wait(30)

    monkeypatch.setattr(host, "save_stage", slow)
    panel.press("author")
    assert panel.kit.until(saved.is_set, 60)
    stage.DefinePrim("/World/Rover", "Xform")
    edited.set()
    work = panel.until_work("stage", "failed", "finished")
    assert work.state == "failed" and "meanwhile" in work.text
    assert omni.usd.get_context().get_stage() == stage and stage.GetPrimAtPath("/World/Rover")


@pytest.mark.parametrize("before", ["foreign", "ours"])
def test_sky_and_light_hold_from_the_first_frame_on(panel: Panel, before: str) -> None:
    """The app looks for lights, and draws, once a stage is open: the settings have to hold by then."""
    import carb.settings
    import omni.usd

    from regolith.lunar.kit.host import LOOK
    from regolith.lunar.render import rtx

    settings, seen = carb.settings.get_settings(), {}
    if before == "ours":
        panel.author()
    else:
        omni.usd.get_context().new_stage()
    names = (*LOOK, "/rtx/rendermode")
    guards = [
        rtx.observe_stage(name, lambda event, name=name: seen.update({name: [settings.get(n) for n in names]}))
        for name in ("OPENING", "OPENED")
    ]
    panel.model.use_preset("v1")
    panel.model.commit("terrain.hill_height_m", 4.0)
    panel.press("author")
    if before == "foreign":
        panel.screen.frames(3)
        panel.screen.click(panel.screen.find("Author stage", "question:Open the new stage"))
    assert panel.kit.until(lambda: len(seen) == 2, 60)
    panel.until_work("stage", "finished")
    del guards
    wanted = [*(rtx.CAPTURE_SETTINGS[name] for name in LOOK), rtx.real_time_mode()]
    assert seen == {"OPENING": wanted, "OPENED": wanted}
    omni.usd.get_context().new_stage()
    assert settings.get("/rtx/rendermode") is None  # given back


@pytest.mark.parametrize(
    ("path", "entered"),
    [
        ("/World/Sun.inputs:intensity", 5.0),
        ("/World/Camera.focalLength", 50.0),
        ("/World/Looks/Rock/Surface.inputs:roughness", 0.1),
    ],
)
def test_sun_camera_and_material_edited_by_hand_are_a_users_changes(panel: Panel, path: str, entered: float) -> None:
    from pxr import Sdf

    stage = panel.author()
    panel.model.commit("domain.sun_elevation_deg", (33.0, 33.0))
    panel.until_work("stage", "finished")
    camera = stage.GetPrimAtPath("/World/Camera")
    camera.CreateAttribute("omni:kit:centerOfInterest", Sdf.ValueTypeNames.Vector3d).Set((0.0, 0.0, -9.0))
    assert not panel.controller.host.stage_state().unsaved
    assert stage.GetAttributeAtPath(path).Set(entered)
    assert panel.controller.host.stage_state().unsaved


def test_the_lighting_menu_is_told_and_is_no_step_of_the_users(panel: Panel) -> None:
    import omni.kit.undo

    panel.kit.enable("omni.kit.viewport.menubar.lighting")
    try:
        from omni.kit.viewport.menubar.lighting import chosen

        panel.author()
        assert chosen == [("stage", "")]
        assert {entry.name for entry in omni.kit.undo.get_undo_stack()} == {"RegolithEdit"}
    finally:
        panel.kit.disable("omni.kit.viewport.menubar.lighting")
