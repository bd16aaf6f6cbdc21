"""*Check this machine* from the menu, in the app's loop, over the doubles: what is at fault is told, nothing stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from check_scene import small_params
from check_stand import Viewport, stand
from conftest import TITLE, Kit
from panel import Panel

ITEM = f"Tools/{TITLE}/Check this machine"


@pytest.fixture
def viewport(lunar: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Viewport]:
    """The viewport of an app in which a check can run."""
    with stand(lunar, tmp_path, monkeypatch) as viewport:
        yield viewport


@pytest.fixture
def panel(lunar: Kit, viewport: Viewport) -> Panel:
    return Panel(lunar)


def click_item() -> None:
    """Click the entry of the menu."""
    import omni.kit.menu.utils as menus

    menus.find_item(ITEM).onclick_fn()


def finished(panel: Panel, data: Path) -> dict[str, dict[str, Any]]:
    """Steps of the check by name, once it has ended."""
    work = panel.controller.check.work
    assert panel.kit.until(lambda: not work.active, 300), (work.text, list(work.log))
    report = json.loads((data / "rtx_check" / "rtx_check.json").read_text("utf-8"))
    assert report["status"] == "finished" and report["host"] == "app"
    assert list(work.log) == [f"{s['state']:<8} {s['name']}: {s['seen']}" for s in report["steps"]]
    return {step["name"]: step for step in report["steps"]}


def until_step(panel: Panel, name: str) -> None:
    """Wait for the beginning of a step."""
    work = panel.controller.check.work
    assert panel.kit.until(lambda: work.text == name or not work.active, 300) and work.active


def test_one_click_checks_the_machine(panel: Panel, data: Path, tmp_path: Path) -> None:
    """Every step holds; the stage that was open is open again, and the user is told where the report lies."""
    import omni.usd
    from omni.kit.notification_manager import posted

    theirs = tmp_path / "theirs.usda"
    theirs.write_text("#usda 1.0\n")
    omni.usd.get_context().open_stage(str(theirs))
    click_item()
    work = panel.controller.check.work
    assert panel.kit.until(lambda: work.done >= 2, 100)
    panel.screen.frames(2)
    assert panel.widget("line:check").visible and "Check this machine" in panel.text("line-text:check")
    click_item()
    assert "a check is under way" in posted[-1].text
    steps = finished(panel, data)
    assert {step["state"] for step in steps.values()} == {"ok"}, steps
    assert list(steps)[-3:] == ["viewport", "preview", "settings"]
    assert str(data / "rtx_check") in posted[-1].text and f"all {len(steps)} steps hold" in posted[-1].text
    assert (data / "rtx_check" / "viewport.png").is_file() and (data / "rtx_check" / "rgb.png").is_file()
    assert omni.usd.get_context().get_stage_url() == str(theirs)


def test_what_is_at_fault_is_told_and_the_rest_is_checked(
    panel: Panel, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewport that shows a light of its own, and a model that does not load."""
    import omni.replicator.core as rep
    import onnxruntime
    from omni.kit.notification_manager import posted

    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("libcudnn.so.9: cannot open shared object file")

    monkeypatch.setattr(onnxruntime, "InferenceSession", broken)
    click_item()
    until_step(panel, "viewport")
    rep.quirks.haze = 60
    steps = finished(panel, data)
    failed = [name for name, step in steps.items() if step["state"] == "failed"]
    assert failed == ["inference", "viewport", "preview"], steps
    assert "libcudnn.so.9" in steps["inference"]["seen"] and "libcudnn.so.9" in steps["preview"]["seen"]
    assert "at most 6" in steps["viewport"]["seen"]
    assert "does not hold: inference, viewport, preview" in posted[-1].text


def test_a_viewport_without_pictures_and_one_that_is_closed(
    panel: Panel, viewport: Viewport, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import omni.kit.viewport.utility as utility

    from regolith.lunar.kit import check

    monkeypatch.setattr(check, "WAIT_S", 1.0)
    click_item()
    until_step(panel, "viewport")
    viewport.draws = False
    until_step(panel, "preview")
    utility.close_viewport()
    steps = finished(panel, data)
    assert steps["viewport"]["state"] == "failed" and "no picture in 1 s" in steps["viewport"]["seen"]
    assert steps["preview"]["state"] == "failed" and "open a viewport" in steps["preview"]["seen"]


def test_without_a_viewport_there_is_nothing_to_fail(panel: Panel, data: Path, tmp_path: Path) -> None:
    import omni.kit.viewport.utility as utility

    from regolith.lunar.kit import check
    from regolith.lunar.rtx_check.checklist import Context

    utility.close_viewport()
    context = Context(tmp_path, tmp_path, small_params(), 48)
    for look in (check.see_viewport, check.see_preview):
        seen = panel.kit.run(look(panel.controller.host, context))
        assert seen.state == "absent" and "Window > Viewport" in seen.text


def test_disabled_in_the_middle_of_a_check(panel: Panel, data: Path) -> None:
    """The report says how far it came; the fixture looks for what is left."""
    click_item()
    until_step(panel, "export")
    panel.kit.until(lambda: False, 1.0)
    panel.kit.disable("regolith.lunar")
    panel.kit.pump(5)
    report = json.loads((data / "rtx_check" / "rtx_check.json").read_text("utf-8"))
    steps = {step["name"]: step for step in report["steps"]}
    assert report["status"] == "ended early" and steps["export"]["state"] == "failed"
    assert "disabled" in steps["export"]["seen"] and steps["settings"]["state"] == "not run"
    panel.kit.enable("regolith.lunar")
    panel.kit.pump(2)


def test_unsaved_work_is_not_thrown_away(panel: Panel, data: Path) -> None:
    import omni.usd
    from omni.kit.notification_manager import posted

    omni.usd.get_context().new_stage()
    omni.usd.get_context().set_pending_edit(True)
    click_item()
    assert "unsaved changes" in posted[-1].text and not panel.controller.check.work.active
    assert not (data / "rtx_check").exists()
    omni.usd.get_context().set_pending_edit(False)
