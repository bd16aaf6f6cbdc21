"""The rover driven in the app, over doubles of its timeline and physics: none of this has seen PhysX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Kit
from panel import Panel


@pytest.fixture
def panel(lunar: Kit) -> Panel:
    return Panel(lunar)


@pytest.fixture
def rover(panel: Panel) -> Iterator[Any]:
    """A stage with a rover is open, and rolls while the timeline plays."""
    import omni.timeline
    from drive_stand import RollingRover

    panel.model.use_preset("v1")
    for path, value in (
        ("rover.model", "viper"), ("traverse.distance_m", 3.0), ("traverse.speed_m_s", 2.0), ("traverse.avoid", "none"),
    ):  # fmt: skip
        panel.model.commit(path, value)
    panel.press("author")
    panel.until_work("stage", "finished")
    import omni.usd

    made = RollingRover(omni.usd.get_context().get_stage())
    omni.timeline.SIMULATIONS.append(made)
    panel.open("traverse")
    yield made
    omni.timeline.SIMULATIONS.remove(made)


def until_driven(panel: Panel) -> Any:
    work = panel.controller.drive.work
    assert panel.kit.until(lambda: not work.active, 60), (work.text, list(work.log))
    panel.screen.frames(2)
    return work


def test_a_click_drives_the_rover_and_all_is_as_it_was(panel: Panel, rover: Any) -> None:
    import carb.settings
    import omni.timeline
    import omni.usd

    stage = omni.usd.get_context().get_stage()
    before, settings = stage.GetRootLayer().ExportToString(), carb.settings.get_settings()
    ends = omni.timeline.get_timeline_interface().get_end_time()
    held: list[Any] = []
    omni.timeline.SIMULATIONS.append(
        watch := lambda event, seconds: held.append(
            (settings.get("/physics/updateToUsd"), settings.get("/physics/fabricEnabled"))
        )
    )
    panel.press("app_drive")
    assert panel.kit.until(lambda: panel.controller.drive.work.done > 1.0, 60), panel.controller.drive.work.text
    panel.screen.frames(2)
    assert panel.text("action:app_drive") == "Stop the drive in the app" and panel.widget("line:app_drive").visible
    work = until_driven(panel)
    omni.timeline.SIMULATIONS.remove(watch)
    assert work.state == "finished" and work.text.startswith("the goal is reached after 2."), work.text
    assert set(held[:-1]) == {(True, False)}
    assert (settings.get("/physics/updateToUsd"), settings.get("/physics/fabricEnabled")) == (None, None)
    assert rover.events == ["play", "step", "stop"]
    assert omni.timeline.get_timeline_interface().is_stopped()
    assert omni.timeline.get_timeline_interface().get_end_time() == ends
    assert stage.GetRootLayer().ExportToString() == before
    assert not panel.controller.host.stage_state().unsaved
    assert panel.text("action:app_drive") == "Drive in the app"


def test_what_the_stage_says_of_delay_holds_in_the_app(panel: Panel, rover: Any) -> None:
    """Twenty-five steps of 20 ms: for half a second the wheels are told to stand."""
    import omni.timeline
    import omni.usd
    from pxr import Sdf

    from regolith.lunar.stage import schema

    stage = omni.usd.get_context().get_stage()
    delay = stage.GetPrimAtPath(schema.ROVER).CreateAttribute(
        schema.DYNAMICS + schema.ACTUATION["action_delay_steps"][0], Sdf.ValueTypeNames.Double, custom=True
    )
    delay.Set(25.0)
    wheel = f"{schema.rover_joint('drive', 'fl')}.drive:angular:physics:targetVelocity"
    told: list[tuple[float, float]] = []

    def watch(event: str, seconds: float) -> None:
        if event == "step":
            now = told[-1][0] + seconds if told else seconds
            told.append((now, stage.GetAttributeAtPath(wheel).Get() or 0.0))

    omni.timeline.SIMULATIONS.append(watch)
    panel.press("app_drive")
    work = until_driven(panel)
    omni.timeline.SIMULATIONS.remove(watch)
    assert work.state == "finished" and work.text.endswith("straight on"), work.text
    assert {value for now, value in told if now < 0.5} == {0.0}
    assert max(value for _, value in told) > 0.0


def test_ways_by_pictures_are_the_buttons_reason(panel: Panel, rover: Any) -> None:
    panel.model.commit("traverse.avoid", "model")
    panel.screen.frames(2)
    assert panel.controller.drive.action.reason.startswith("avoid: 'model' is not allowed")
    panel.model.commit("traverse.avoid", "both")
    panel.screen.frames(2)
    assert panel.controller.drive.action.reason == ""


def test_it_ends_when_it_is_told_to_and_when_the_timeline_is_stopped(panel: Panel, rover: Any) -> None:
    import omni.timeline

    rover.asleep = True
    timeline = omni.timeline.get_timeline_interface()
    panel.press("app_drive")
    assert panel.kit.until(timeline.is_playing, 60)
    assert "the rover drives" in panel.controller._busy()
    panel.press("app_drive")
    work = until_driven(panel)
    assert work.state == "interrupted" and work.text.startswith("stopped after 0.0 m")
    panel.press("app_drive")
    assert panel.kit.until(timeline.is_playing, 60)
    timeline.stop()
    timeline.commit()
    assert until_driven(panel).state == "interrupted"


def test_what_it_lacks_is_the_buttons_reason(panel: Panel) -> None:
    action = panel.controller.drive.action
    panel.screen.frames(2)
    assert action.reason == "author a stage first"
    panel.author()
    panel.screen.frames(2)
    assert action.reason.startswith("no rover on the stage")
    panel.model.commit("traverse.speed_m_s", 99)
    panel.model.commit("rover.model", "viper")
    panel.press("author")
    panel.until_work("stage", "finished")
    panel.screen.frames(2)
    assert action.reason.startswith("speed_m_s: ")
