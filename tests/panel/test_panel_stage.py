"""The stage on show: what is built is what is exported, and an edit touches only what it changes."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

import pytest
from panel_host import Bench, Held, MemoryHost, Waiting
from pxr import Sdf, Usd

from regolith.lunar.panel.host import OpenStage
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.params import Interval, dump_params
from regolith.lunar.randomize import draw_frame, draw_scene, narrowed, scene_number
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.spec import FrameSpec


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A panel with a coarse terrain, whose stages are quick to write down and compare."""
    bench.model.commit("terrain.cell_m", 0.5)
    return bench


def exported(model: PanelModel, split: str, index: int) -> tuple[FrameSpec, Usd.Stage]:
    """Frame and stage as the generator makes them from the same parameters."""
    params = model.params
    scene = build_scene(narrowed(params, split), draw_scene(params, 0, split, scene_number(params, index)))
    stage = author_stage(scene)
    spec = draw_frame(params, 0, split, index, scene)
    apply_frame(stage, params, spec, 256, 256)
    return spec, stage


def text(stage: Usd.Stage | None) -> str:
    """A stage without what it says it shows, which also names parameters that decide nothing about the scene."""
    assert stage is not None
    layer = Sdf.Layer.CreateAnonymous(".usda")
    layer.TransferContent(stage.GetRootLayer())
    layer.GetPrimAtPath(schema.WORLD).ClearInfo("customData")
    return layer.ExportToString()


def sun(bench: Bench) -> tuple[float, ...]:
    assert bench.host.stage is not None
    return tuple(bench.host.stage.GetAttributeAtPath(f"{schema.SUN}.xformOp:rotateXYZ").Get())


@pytest.mark.parametrize(("split", "index"), [("train_dr", 0), ("train_nodr", 21), ("test_photoreal", 3)])
def test_stage_shows_the_frame_that_is_exported(bench: Bench, split: str, index: int) -> None:
    bench.model.commit("shot.split", split)
    bench.model.commit("shot.frame", index)
    bench.author()
    spec, stage = exported(bench.model, split, index)
    assert bench.host.authored == [spec]
    assert text(bench.host.stage) == text(stage)
    work = bench.model.works["stage"]
    assert work.text.startswith(f"frame {index} of {split}: ") and work.text.endswith(" rocks")


def test_frames_of_a_scene_share_the_stage_and_others_do_not(bench: Bench) -> None:
    """Twenty frames a scene: frame 19 edits the open stage, frame 20 needs another."""
    bench.author()
    bench.model.commit("shot.frame", 19)
    bench.rest("stage")
    assert len(bench.host.authored) == 1 and len(bench.host.applied) == 1
    assert text(bench.host.stage) == text(exported(bench.model, "train_dr", 19)[1])
    bench.run("randomize")
    bench.rest("stage")
    assert bench.model.field("shot.frame").value == 20 and len(bench.host.authored) == 2
    assert text(bench.host.stage) == text(exported(bench.model, "train_dr", 20)[1])


def test_moving_slider_moves_the_sun_and_leaves_the_ground(bench: Bench) -> None:
    bench.author()
    assert bench.host.stage is not None
    ground, before = bench.host.stage.GetPrimAtPath(schema.GROUND), sun(bench)
    points = ground.GetAttribute("points").Get()
    for lo in (10.0, 20.0, 30.0):
        bench.model.set("domain.sun_elevation_deg", (lo, lo))
        bench.until(lambda: len(bench.host.applied) and bench.host.applied[-1]["sun_elevation_deg"] == lo)  # noqa: B023
        assert sun(bench) != before and bench.host.applied[-1]["sun_elevation_deg"] == lo
    assert len(bench.host.authored) == 1 and ground.GetAttribute("points").Get() == points
    assert bench.model.works["stage"].state == "finished"


def test_newest_position_of_a_fast_drag_wins(bench: Bench) -> None:
    bench.author()
    for lo in range(1, 60):
        bench.model.set("domain.sun_elevation_deg", (float(lo), float(lo)))
    bench.until(lambda: bench.host.applied and bench.host.applied[-1]["sun_elevation_deg"] == 59.0)
    assert len(bench.host.applied) < 10


def test_terrain_waits_for_the_release(bench: Bench) -> None:
    bench.author()
    for size in (41.0, 42.0, 43.0):
        bench.model.set("terrain.size_m", size)
        for _ in range(20):
            bench.model.tick()
            time.sleep(0.002)
    assert len(bench.host.authored) == 1 and not bench.host.applied
    bench.changes.clear()
    bench.model.commit("terrain.size_m", 44.0)
    assert bench.model.works["stage"].state == "running"
    bench.rest("stage")
    assert len(bench.host.authored) == 2
    assert text(bench.host.stage) == text(exported(bench.model, "train_dr", 0)[1])
    assert any(change.kind == "work" and "stage" in change.keys for change in bench.changes)


def test_undo_brings_the_stage_back(bench: Bench) -> None:
    bench.author()
    first = text(bench.host.stage)
    bench.model.commit("domain.sun_elevation_deg", (70.0, 70.0))
    bench.model.commit("craters.density", (1.0, 1.0))
    bench.rest("stage")
    assert text(bench.host.stage) != first
    bench.model.undo()
    bench.model.undo()
    bench.rest("stage")
    assert text(bench.host.stage) == first


def test_edit_that_the_stage_does_not_show_leaves_it_alone(bench: Bench) -> None:
    bench.author()
    bench.model.commit("training.epochs", 3)
    bench.model.commit("generate.workers", 2)
    bench.model.commit("craters.exponent", "steep")
    for _ in range(20):
        bench.model.tick()
        time.sleep(0.002)
    assert len(bench.host.authored) == 1 and not bench.host.applied


def test_nothing_is_built_before_it_is_asked_for(bench: Bench) -> None:
    bench.model.commit("terrain.size_m", 44.0)
    for _ in range(10):
        bench.model.tick()
    assert bench.model.works["stage"].state == "idle" and not bench.host.authored


@pytest.mark.parametrize(
    "state", [OpenStage(ours=False, unsaved=False, name="rover.usd"), OpenStage(ours=True, unsaved=True, name="mine")]
)
def test_stage_with_something_to_lose_is_asked_about(bench: Bench, state: OpenStage) -> None:
    bench.host.state, bench.host.answers["Author stage"] = state, "Keep the open one"
    bench.run("author")
    bench.model.tick()
    (question,) = bench.host.questions
    assert state.name in question.text and question.answers[-1] == "Keep the open one"
    assert not bench.host.authored and bench.model.works["stage"].state == "idle"
    bench.host.answers["Author stage"] = "Open the new stage"
    bench.run("author")
    bench.until(lambda: bench.host.authored)
    bench.rest("stage")
    assert bench.model.works["stage"].state == "finished"


def test_question_is_asked_once_while_it_is_open(bench: Bench) -> None:
    bench.host.state = OpenStage(ours=False, unsaved=True)
    bench.run("author")
    bench.run("author")
    assert len(bench.host.questions) == 1


def test_rebuilt_terrain_asks_before_it_replaces_a_users_changes(bench: Bench) -> None:
    bench.author()
    bench.host.state = OpenStage(ours=True, unsaved=True, name="moon.usda")
    bench.host.answers["Author stage"] = "Keep the open one"
    bench.model.commit("terrain.size_m", 44.0)
    bench.until(lambda: bench.host.questions)
    bench.rest("stage")
    assert "unsaved changes" in bench.host.questions[0].text and len(bench.host.authored) == 1
    bench.model.commit("domain.sun_elevation_deg", (70.0, 70.0))  # the kept stage is no longer followed
    bench.model.tick()
    assert not bench.model.works["stage"].active and not bench.model.actions["randomize"].enabled


@pytest.mark.parametrize(
    "later",
    [
        OpenStage(ours=False, unsaved=False, name="rover.usd", key="2"),
        OpenStage(ours=False, unsaved=True, name="old.usd", key="1"),
    ],
)
def test_stage_opened_or_edited_while_terrain_is_built_is_asked_about(bench: Bench, later: OpenStage) -> None:
    """The user agreed to lose one stage as it was, not the next one."""
    bench.host.state = OpenStage(ours=False, unsaved=False, name="old.usd", key="1")
    bench.host.answers["Author stage"] = "Open the new stage"
    bench.run("author")
    bench.model.tick()
    assert bench.model.works["stage"].state == "running"
    bench.host.state, bench.host.answers["Author stage"] = later, "Keep the open one"
    bench.rest("stage")
    assert [later.name in question.text for question in bench.host.questions] == [later.name == "old.usd", True]
    assert not bench.host.authored and bench.model.works["stage"].state == "idle"


def test_stage_agreed_to_is_not_asked_about_twice(bench: Bench) -> None:
    bench.host.state = OpenStage(ours=False, unsaved=True, name="old.usd", key="1")
    bench.host.answers["Author stage"] = "Open the new stage"
    bench.run("author")
    bench.until(lambda: bench.host.authored)
    assert len(bench.host.questions) == 1


def test_stage_opened_while_the_question_is_open_is_asked_about_too(bench: Bench) -> None:
    bench.host.state = OpenStage(ours=False, unsaved=False, name="old.usd", key="1")
    held = bench.host.held["Author stage"] = Held()
    bench.run("author")
    bench.host.state = OpenStage(ours=False, unsaved=False, name="rover.usd", key="2")
    del bench.host.held["Author stage"]
    held.finish("Open the new stage")
    bench.until(lambda: len(bench.host.questions) == 2)
    assert "rover.usd" in bench.host.questions[1].text and not bench.host.authored


def test_closed_stage_is_let_go(bench: Bench) -> None:
    bench.author()
    bench.host.stage = bench.host.state = None
    bench.model.stage_closed()
    bench.model.commit("domain.sun_elevation_deg", (70.0, 70.0))
    for _ in range(10):
        bench.model.tick()
    assert bench.model.works["stage"].state == "idle" and not bench.host.applied
    assert bench.model.actions["randomize"].reason == "author a stage first"
    bench.author()
    assert len(bench.host.authored) == 2


def test_stage_closed_while_one_is_built(bench: Bench) -> None:
    bench.run("author")
    bench.model.stage_closed()
    time.sleep(0.6)
    bench.model.tick()
    assert bench.model.works["stage"].state == "idle" and not bench.host.authored


def test_host_that_takes_its_time_shows_progress(bench: Bench) -> None:
    held = bench.host.placing = Held()
    bench.run("author")
    bench.until(lambda: bench.model.works["stage"].text == "opening")
    assert bench.model.works["stage"].fraction == 0.25
    bench.model.commit("domain.sun_elevation_deg", (70.0, 70.0))
    for _ in range(20):
        bench.model.tick()
        time.sleep(0.002)
    assert not bench.host.applied  # the frame waits for the stage
    held.finish()
    bench.rest("stage")
    bench.until(lambda: bench.host.applied)
    assert bench.host.applied[-1]["sun_elevation_deg"] == 70.0


def test_parameters_that_do_not_go_together_say_so(bench: Bench) -> None:
    bench.author()
    bench.model.commit("shot.split", "test_photoreal")
    bench.rest("stage")
    bench.model.commit("test_domain.albedo", (0.15, 0.5))
    bench.rest("stage")
    assert bench.model.works["stage"].state == "failed" and "albedo" in bench.model.works["stage"].text
    bench.model.undo()
    bench.rest("stage")
    assert bench.model.works["stage"].state == "finished"


def test_redraws_for_a_share_of_rock_are_told(bench: Bench) -> None:
    bench.model.commit("randomize.rock_share", (0.01, 0.5))
    bench.author()
    assert "drawn again at export" in bench.model.works["stage"].text


def test_close_ends_the_worker(host: MemoryHost) -> None:
    import threading

    model = PanelModel(host, preset="v1")
    model.actions["author"].run()
    model.close()
    deadline = time.monotonic() + 240
    while any(thread.name.startswith("regolith-stage") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not host.authored


def test_frame_edit_builds_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the slider to the stage: one edit of the open stage, of the terrain and rocks that are there."""
    bench.author()
    built: list[object] = []
    for name in ("build_scene", "author_stage"):
        monkeypatch.setattr(f"regolith.lunar.stage.author.{name}", lambda *given, **options: built.append(given))
    before = bench.model._stage._frame_builder.last
    for k in range(4):
        bench.model.set("domain.sun_elevation_deg", Interval(10 + k, 10 + k))
        bench.until(lambda k=k: len(bench.host.applied) == k + 1)
    assert [spec["sun_elevation_deg"] for spec in bench.host.applied] == [10, 11, 12, 13]
    after = bench.model._stage._frame_builder.last
    assert not built and before is not None and after is not None
    assert after.scene.terrain is before.scene.terrain and after.scene.rocks is before.scene.rocks


def test_an_edited_stage_says_what_it_shows(bench: Bench) -> None:
    """What the layer says of a stage is the parameters and the frame of the last edit, aims included."""

    def said() -> dict[str, Any]:
        assert bench.host.stage is not None
        return bench.host.stage.GetPrimAtPath(schema.WORLD).GetCustomDataByKey(schema.SHOWN)

    bench.author()
    assert said()["parameters"] == dump_params(bench.model.params)
    bench.model.commit("domain.sun_elevation_deg", Interval(21, 21))
    bench.until(lambda: bench.host.applied)
    assert said()["parameters"] == dump_params(bench.model.params)
    assert FrameSpec.from_dict(json.loads(said()["frame"])) == bench.model.spec
    bench.model.aim({"sun_azimuth_deg": 77.0})
    spec = FrameSpec.from_dict(json.loads(said()["frame"]))
    assert spec == bench.model.spec and spec["sun_azimuth_deg"] == 77.0


def test_shot_is_hashable_and_knows_its_size(bench: Bench) -> None:
    bench.model.commit("generate.size", "640x480")
    shot = bench.model._stage._shot()
    assert (shot.width, shot.height) == (640, 480) and dataclasses.replace(shot, frame=1) != shot


def test_edits_during_an_export_wait_until_the_stage_is_back(bench: Bench) -> None:
    bench.author()
    task = bench.host.waiting = Waiting()
    bench.run("generate")
    assert bench.model.actions["author"].reason == "an export runs" == bench.model.actions["randomize"].reason
    for lo in (10.0, 20.0, 30.0):
        bench.model.set("domain.sun_elevation_deg", (lo, lo))
        for _ in range(20):
            bench.model.tick()
            time.sleep(0.002)
    assert not bench.host.applied and not bench.host.notes and bench.model.works["stage"].state == "finished"
    task.finish({"split": "train_dr", "frames": 4, "drawn": 4})
    bench.until(lambda: bench.host.applied)
    assert bench.host.applied[-1]["sun_elevation_deg"] == 30.0 and len(bench.host.authored) == 1
    task = bench.host.waiting = Waiting()
    bench.run("generate")
    bench.model.commit("terrain.size_m", 44.0)
    bench.model.set("domain.sun_elevation_deg", (40.0, 40.0))
    task.cancel()
    bench.until(lambda: len(bench.host.authored) == 2)
    assert bench.host.authored[-1]["sun_elevation_deg"] == 40.0


def test_what_is_built_when_an_export_starts_waits_too(bench: Bench) -> None:
    bench.author()
    task = bench.host.waiting = Waiting()
    bench.model.commit("terrain.size_m", 44.0)
    bench.run("generate")
    time.sleep(0.6)
    bench.model.tick()
    assert len(bench.host.authored) == 1
    task.finish({"split": "train_dr", "frames": 4, "drawn": 4})
    bench.until(lambda: len(bench.host.authored) == 2)


def test_no_export_while_a_stage_is_being_opened(bench: Bench) -> None:
    held = bench.host.placing = Held()
    bench.host.waiting = Waiting()
    bench.run("author")
    bench.until(lambda: bench.host.authored)
    bench.model.actions["generate"].run()
    assert not bench.host.generated and "being opened" in bench.host.notes[-1][1]
    held.finish()
    bench.rest("stage")
    assert bench.model.actions["generate"].enabled
