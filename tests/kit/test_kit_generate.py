"""Export from the panel: through Replicator and the one dataset writer; held, ended, resumed, verified."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Kit
from panel import Panel


@pytest.fixture
def panel(lunar: Kit) -> Panel:
    import omni.replicator.core as rep

    rep.quirks.reset()
    panel = Panel(lunar)
    panel.model.use_preset("v1")
    for path, value in {
        "generate.frames": 3, "generate.size": "64x48", "generate.split": "train_dr", "dataset.frames_per_scene": 2,
        "relief.enabled": False, "rocks.abundance": (0.004, 0.004),
    }.items():  # fmt: skip
        panel.model.commit(path, value)
    assert panel.model.actions["generate"].enabled, panel.model.actions["generate"].reason
    return panel


def begin_task(path: Path) -> None:
    """Write the file of a task without frames."""
    from regolith.lunar.dataset.chunk import ChunkTask
    from regolith.lunar.dataset.contract import Contract
    from regolith.lunar.params import load_preset

    contract = Contract.of(load_preset("v1"), split="val", frames=1, seed=0, width=64, height=48)
    ChunkTask(path, path.parent, contract, ()).write()


def verified(folder: Path) -> bool:
    """Whether `regolith verify` accepts a split: every check holds."""
    from regolith.lunar.dataset.verify import verify

    found = verify(folder)
    assert not found["problems"], found["problems"]
    return all(check["holds"] for check in found["checks"] if check["applies"])


def test_one_click_writes_a_split_that_verify_accepts(panel: Panel, data: Path) -> None:
    import omni.replicator.core as rep

    panel.open("dataset")
    panel.press("generate")
    panel.kit.until(lambda: panel.model.works["generate"].done > 0, 120)
    panel.screen.frames(2)
    assert panel.widget("progress:generate").visible
    work = panel.until_work("generate", "finished", "failed", seconds=200)
    assert work.state == "finished", work.text
    folder = data / "dataset" / "train_dr"
    assert verified(folder)
    assert len(list((folder / "rgb").glob("*.png"))) == len(list((folder / "mask").glob("*.png"))) == 3
    assert not rep.leftovers()
    assert {step[1] for step in rep.quirks.steps} == {0.0}


def test_our_stage_is_there_again_afterwards_with_its_edits(panel: Panel) -> None:
    import omni.usd

    panel.press("author")
    panel.until_work("stage", "finished")
    panel.model.commit("domain.sun_elevation_deg", (33.0, 33.0))
    panel.until_work("stage", "finished")
    context = omni.usd.get_context()
    url = context.get_stage_url()
    sun = "/World/Sun.xformOp:rotateXYZ"
    assert panel.kit.until(lambda: abs(context.get_stage().GetAttributeAtPath(sun).Get()[1] - 57.0) < 1e-3)
    panel.model.commit("generate.frames", 1)
    panel.press("generate")
    work = panel.until_work("generate", "finished", "failed", seconds=200)
    assert work.state == "finished", work.text
    assert context.get_stage_url() == url
    assert abs(context.get_stage().GetAttributeAtPath(sun).Get()[1] - 57.0) < 1e-3
    assert panel.controller.host.stage_state().ours
    assert panel.model.actions["randomize"].enabled


def test_held_ended_and_resumed(panel: Panel, data: Path) -> None:
    panel.open("dataset")
    panel.press("generate")
    work = panel.model.works["generate"]
    assert panel.kit.until(lambda: work.done >= 1, 120)
    panel.press("pause")
    held = work.done
    assert work.state == "paused" and panel.text("action:pause") == "Resume"
    panel.kit.until(lambda: False, 0.5)
    assert work.done <= held + 1
    panel.press("cancel")
    panel.until_work("generate", "interrupted", "finished", seconds=100)
    panel.press("generate")
    panel.until_work("generate", "finished", seconds=200)
    assert verified(data / "dataset" / "train_dr")


def test_disabled_while_exporting(panel: Panel) -> None:
    """The fixture looks for render products, annotators and objects left behind."""
    panel.press("generate")
    work = panel.model.works["generate"]
    assert panel.kit.until(lambda: work.done >= 1, 120)


def test_a_new_stage_while_exporting_is_an_error_with_words(panel: Panel) -> None:
    import omni.usd

    panel.press("generate")
    work = panel.model.works["generate"]
    assert panel.kit.until(lambda: work.done >= 1, 120)
    omni.usd.get_context().new_stage()
    panel.until_work("generate", "failed", "finished", "interrupted", seconds=200)
    assert work.text
    panel.kit.logs.clear()


def test_a_renderer_that_fails_is_said(panel: Panel) -> None:
    import omni.replicator.core as rep
    from omni.kit.notification_manager import posted

    rep.quirks.fail_after = 2
    panel.press("generate")
    work = panel.until_work("generate", "failed", "finished", seconds=200)
    assert work.state == "failed" and "lost its device" in work.text
    assert "lost its device" in posted[-1].text
    rep.quirks.reset()


def test_headless_chunks_start_isaac_sims_own_python(
    panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regolith.lunar.kit.generate import chunk_options

    options = chunk_options(2.5)
    assert options["executor"] == "isaac"
    command = [word.replace("{task}", str(tmp_path / "task.json")) for word in shlex.split(options["command"])]
    assert command[-1] == "--gain=2.5"
    begin_task(tmp_path / "task.json")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    started = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    result = json.loads((tmp_path / "task.result.json").read_text("utf-8"))  # our package was found, Isaac Sim was not
    assert "isaacsim" in result["error"]["message"], started.stderr
    (tmp_path / "isaac").mkdir()
    (tmp_path / "isaac" / "python.sh").write_text("")
    monkeypatch.setenv("ISAAC_PATH", str(tmp_path / "isaac"))
    assert str(tmp_path / "isaac" / "python.sh") in chunk_options(1.0)["command"]


def test_gain_reaches_the_renderer(panel: Panel, data: Path) -> None:
    """A split goes on with the gain it was begun with, and refuses another."""
    panel.model.commit("generate.frames", 1)
    panel.model.commit("drawing.gain", 2.5)
    panel.press("generate")
    assert panel.until_work("generate", "finished", "failed", seconds=200).state == "finished"
    contract = json.loads((data / "dataset" / "train_dr" / "dataset.json").read_text("utf-8"))
    assert contract["renderer"]["gain"] == 2.5
    panel.model.commit("generate.frames", 2)
    panel.model.commit("generate.extend", True)
    panel.model.commit("drawing.gain", 1.0)
    panel.press("generate")
    work = panel.until_work("generate", "finished", "failed", seconds=200)
    assert work.state == "failed" and "gain" in work.text


@pytest.fixture
def gpus() -> Iterator[Callable[[int], None]]:
    """Let RTX draw with a number of GPUs."""
    import carb.settings

    settings = carb.settings.get_settings()
    yield lambda count: settings.set("/renderer/multiGpu/currentGpuCount", count)
    settings.destroy_item("/renderer/multiGpu/currentGpuCount")


def told_of_gpus() -> list[str]:
    """Warnings about GPUs that were posted since the last look."""
    from omni.kit.notification_manager import NotificationStatus, posted

    told = [note.text for note in posted if note.status == NotificationStatus.WARNING and "GPU" in note.text]
    posted.clear()
    return told


@pytest.mark.parametrize("count", [None, 1, 2])
def test_more_than_one_gpu_is_told_once_an_export_and_a_preview(
    panel: Panel, gpus: Callable[[int], None], count: int | None
) -> None:
    """Not of every frame, and not where RTX draws with one, or does not say."""
    if count is not None:
        gpus(count)
    panel.model.commit("generate.frames", 2)
    panel.press("generate")
    assert panel.until_work("generate", "finished", "failed", seconds=200).state == "finished"
    told = told_of_gpus()
    panel.press("preview")
    assert panel.kit.until(panel.controller.host.live_state)
    panel.kit.pump(20)
    told += told_of_gpus()
    assert len(told) == (2 if count == 2 else 0)
    assert all("with 2 GPUs" in text and "--/renderer/multiGpu/enabled=false" in text for text in told)


@pytest.mark.parametrize("ours", [True, False])
def test_a_stage_with_something_to_lose_is_asked_for(panel: Panel, data: Path, ours: bool) -> None:
    import omni.usd

    context = omni.usd.get_context()
    if ours:
        panel.press("author")
        panel.until_work("stage", "finished")
    else:
        context.new_stage()
        context.set_pending_edit(True)
    mine = context.get_stage()
    mine.DefinePrim("/World/Rover", "Xform")
    panel.open("dataset")
    panel.press("generate")
    panel.screen.frames(3)
    assert not panel.model.actions["generate"].enabled and panel.model.works["generate"].state == "idle"
    panel.screen.click(panel.screen.find("Export dataset", "question:Keep the open one"))
    panel.kit.pump(10)
    assert context.get_stage() == mine and mine.GetPrimAtPath("/World/Rover")
    assert panel.model.works["generate"].state == "idle" and panel.model.actions["generate"].enabled
    panel.model.commit("generate.frames", 1)
    panel.press("generate")
    panel.screen.frames(3)
    panel.screen.click(panel.screen.find("Export dataset", "question:Export in its place"))
    assert panel.until_work("generate", "finished", "failed", seconds=200).state == "finished"


def test_disabled_before_the_first_frame(panel: Panel) -> None:
    """The export ends after the extension: nothing is taken back, held or kept alive any more (the fixture looks)."""
    import carb.settings

    panel.author()
    panel.model.commit("generate.split", "val")
    panel.press("generate")
    panel.kit.pump(3)
    assert panel.model.works["generate"].state == "running" and panel.model.works["generate"].done == 0
    panel.kit.disable("regolith.lunar")
    panel.kit.until(lambda: False, 0.3)
    assert carb.settings.get_settings().get("/rtx/rendermode") is None


def test_our_stage_is_known_again_by_the_address_kit_gives(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    import omni.usd

    context = omni.usd.get_context()
    plain = type(context).get_stage_url
    monkeypatch.setattr(type(context), "get_stage_url", lambda self: plain(self) and "//" + plain(self).lstrip("/"))
    panel.author()
    panel.model.commit("generate.frames", 1)
    panel.press("generate")
    assert panel.until_work("generate", "finished", "failed", seconds=200).state == "finished"
    assert panel.controller.host.stage_state().ours and panel.model.actions["randomize"].enabled


def test_a_slider_moved_meanwhile_is_shown_afterwards(panel: Panel) -> None:
    import omni.usd
    from omni.kit.notification_manager import posted

    panel.author()
    url = omni.usd.get_context().get_stage_url()
    pause, work = panel.model.actions["pause"], panel.model.works["generate"]
    panel.model.actions["generate"].run()
    pause.run()  # held before a frame of the app has passed: the export cannot end meanwhile
    panel.model.set("domain.sun_elevation_deg", (33.0, 33.0))
    panel.kit.pump(20)
    assert not panel.model.actions["author"].enabled and panel.model.actions["author"].reason == "an export runs"
    assert work.state == "paused"
    pause.run()
    assert panel.until_work("generate", "finished", "failed", seconds=200).state == "finished"
    context = omni.usd.get_context()
    sun = "/World/Sun.xformOp:rotateXYZ"
    assert panel.kit.until(lambda: abs(context.get_stage().GetAttributeAtPath(sun).Get()[1] - 57.0) < 1e-3)
    assert context.get_stage_url() == url and not any("closed" in note.text for note in posted)


def test_a_bad_model_ends_the_preview(panel: Panel, tmp_path: Path) -> None:
    import omni.kit.viewport.utility as viewport
    from omni.kit.notification_manager import posted

    viewport.open_viewport()
    panel.press("preview")
    assert panel.kit.until(lambda: panel.model.live is not None and panel.model.live.provider, 60)
    panel.model.commit("model.path", str(tmp_path / "none.onnx"))
    assert panel.kit.until(lambda: panel.model.live is None, 60)
    panel.kit.pump(3)
    assert panel.controller.host.live_state() is None and "none.onnx" in posted[-1].text
