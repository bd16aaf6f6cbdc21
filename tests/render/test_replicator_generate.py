"""Splits drawn inside an app, and by headless Isaac Sim, through a Replicator that draws."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit_doubles import KitApp, environment
from PIL import Image

from regolith.lunar.dataset import chunk
from regolith.lunar.dataset.app_run import generate_async
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.outputs import Output, file_name
from regolith.lunar.dataset.survey import OURS
from regolith.lunar.dataset.verify import verify
from regolith.lunar.labels import ROCK, SKY
from regolith.lunar.params import InputError, Interval, Params, change_params, load_preset
from regolith.lunar.render.replicator import ReplicatorRenderer

BASE = load_preset("v1")
PARAMS: Params = BASE.model_copy(
    update={
        "dataset": BASE.dataset.model_copy(
            update={"frames_per_scene": 2, "depth": True, "normals": True, "instance": True}
        ),
        "terrain": BASE.terrain.model_copy(update={"cell_m": 0.4, "far_radius_m": 200.0}),
        "rocks": BASE.rocks.model_copy(update={"diameter_min_m": 0.15, "shape_count": 2}),
        "craters": BASE.craters.model_copy(update={"diameter_min_m": 1.5}),
        "render": BASE.render.model_copy(update={"quality": "draft"}),
    }
)
ARGS: dict[str, Any] = {"split": "val", "frames": 3, "width": 64, "height": 48, "seed": 5}


def export(out: Path, params: Params = PARAMS, **changes: Any) -> dict[str, Any]:
    """Draw the test split in the app, with changes."""
    return asyncio.run(generate_async(params, out, renderer=ReplicatorRenderer(), **{**ARGS, **changes}))


def test_cancel_during_a_step_that_never_returns(kit: KitApp, tmp_path: Path) -> None:
    """The export ends, its lock is free, what is on disk is whole, and the same export goes on from there."""
    stopped = False
    many: dict[str, Any] = ARGS | {"frames": 5}

    def take(event: dict[str, Any]) -> None:
        if event["event"] == "progress" and event["done"] and not kit.rep.quirks.endless:
            kit.rep.quirks.endless = True
            asyncio.get_running_loop().call_later(0.3, stop)

    def stop() -> None:
        nonlocal stopped
        stopped = True

    renderer = ReplicatorRenderer(stopped=lambda: stopped)
    result = asyncio.run(generate_async(PARAMS, tmp_path, renderer=renderer, emit=take, stop=lambda: stopped, **many))
    assert result["stopped"] and 1 <= result["frames"] < many["frames"]
    kit.rep.quirks.endless = False
    assert not export(tmp_path, frames=many["frames"])["stopped"]
    assert verify(tmp_path / "val")["problems"] == []


def digest(split: Path) -> dict[str, str]:
    """Hash of every file that belongs to a split."""
    beside = OURS - {"dataset.json", "frames.jsonl"}
    files = [path.relative_to(split) for path in sorted(split.rglob("*")) if path.is_file()]
    return {
        str(path): hashlib.sha256((split / path).read_bytes()).hexdigest()
        for path in files
        if path.parts[0] not in beside
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split drawn in one go."""
    from kit_doubles import running_app

    out = tmp_path_factory.mktemp("undisturbed")
    with running_app():
        export(out)
    return out / "val"


def test_a_split_drawn_in_the_app_is_whole(undisturbed: Path) -> None:
    found = verify(undisturbed)
    assert found["problems"] == [] and found["frames"] == 3
    contract = Contract.read(undisturbed)
    assert contract.renderer["name"] == "replicator" and contract.renderer["kit"] == "110.4.0+double"
    assert not (undisturbed / ".chunks").exists()


def test_masks_equal_those_of_the_embedded_renderer(undisturbed: Path, tmp_path: Path) -> None:
    """The same stages, frames and sensor: only the light transport is another renderer's."""
    generate(PARAMS, tmp_path, executor="in-process", **ARGS)
    theirs, ours = read_journal(undisturbed), read_journal(tmp_path / "val")
    for index in range(3):
        assert theirs[index].spec == ours[index].spec
        for output in ("mask", "instance"):
            name = file_name(output, index)
            mask, wanted = (np.asarray(Image.open(split / name)) for split in (undisturbed, tmp_path / "val"))
            assert (mask == wanted).all()
        depth, label = (
            np.load(undisturbed / file_name("depth", index)),
            np.asarray(Image.open(undisturbed / file_name("mask", index))),
        )
        assert (np.isinf(depth) == (label == SKY)).all() and (label == ROCK).any()


def test_a_stopped_export_goes_on_to_the_same_bytes(kit: KitApp, undisturbed: Path, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []  # one before the first frame, and one a frame
    first = export(tmp_path, emit=events.append, stop=lambda: len(events) > 1)
    assert first["stopped"] and first["frames"] == 1
    assert [event["done"] for event in events] == sorted(event["done"] for event in events)
    assert verify(tmp_path / "val")["problems"] != []
    kit.rep.quirks.steps.clear()
    again = export(tmp_path)
    assert not again["stopped"] and again["drawn"] == 2
    assert digest(tmp_path / "val") == digest(undisturbed)
    kit.rep.quirks.steps.clear()
    assert export(tmp_path)["drawn"] == 0 and kit.rep.quirks.steps == []


def test_a_cancelled_export_lets_go_of_everything_and_goes_on(kit: KitApp, undisturbed: Path, tmp_path: Path) -> None:
    """What an extension does on shutdown: the task is cancelled in the middle of a frame."""

    async def run() -> None:
        started = asyncio.Event()
        task = asyncio.ensure_future(
            generate_async(PARAMS, tmp_path, renderer=ReplicatorRenderer(), emit=lambda event: (
                started.set() if event.get("done") else None
            ), **ARGS)
        )  # fmt: skip
        await started.wait()
        await asyncio.sleep(0.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert kit.rep.leftovers() == []
        for _ in range(5):  # the app goes on, and Replicator stops
            await kit.app.next_update_async()

    asyncio.run(run())
    export(tmp_path)
    assert digest(tmp_path / "val") == digest(undisturbed)


def test_a_lost_renderer_is_an_error_and_the_export_goes_on(kit: KitApp, undisturbed: Path, tmp_path: Path) -> None:
    kit.rep.quirks.fail_after = 6
    with pytest.raises(RuntimeError, match="lost its device"):
        export(tmp_path)
    assert kit.rep.leftovers() == []
    kit.rep.quirks.reset()
    export(tmp_path)
    assert digest(tmp_path / "val") == digest(undisturbed)


def test_closing_the_stage_ends_the_export_with_a_clear_line(kit: KitApp, tmp_path: Path) -> None:
    """The user opens another stage meanwhile: that one stays."""
    events: list[dict[str, Any]] = []

    def emit(event: dict[str, Any]) -> None:
        events.append(event)
        if len(events) == 2:  # the first is sent before, the second after a frame is drawn
            kit.context.new_stage()
            events.append({"url": kit.context.get_stage_url()})

    with pytest.raises(RuntimeError, match="the stage was closed while frames were taken"):
        export(tmp_path, emit=emit)
    assert kit.context.get_stage_url() == events[2]["url"]


def test_the_users_stage_is_open_again(kit: KitApp, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.usda"
    theirs.write_text("#usda 1.0\n")
    kit.context.open_stage(str(theirs))
    export(tmp_path / "out", frames=1)
    assert kit.context.get_stage_url() == str(theirs)
    kit.context.new_stage()
    untitled = kit.context.get_stage_url()
    export(tmp_path / "out", frames=1)  # nothing to draw: nothing is opened
    assert kit.context.get_stage_url() == untitled
    kit.context.open_stage(str(theirs))
    theirs.unlink()
    notes: list[str] = []
    export(tmp_path / "more", frames=1, emit=lambda event: notes.append(event.get("message", "")))
    assert any("theirs.usda" in note for note in notes)


def test_the_app_goes_on_while_a_scene_is_built(kit: KitApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building waits for the app's next frames here: on the app's own thread these would never come."""
    build = chunk.author_scene
    went_on = threading.Event()

    def slow(*args: Any, **options: Any) -> Any:
        assert went_on.wait(120.0), "the app stood still"
        return build(*args, **options)

    async def run() -> None:
        monkeypatch.setattr(chunk, "author_scene", slow)
        task = asyncio.ensure_future(
            generate_async(PARAMS, tmp_path, renderer=ReplicatorRenderer(), **{**ARGS, "frames": 1})
        )
        for _ in range(30):
            await kit.app.next_update_async()
        went_on.set()
        await task

    asyncio.run(run())


def test_the_app_goes_on_while_frames_are_written(kit: KitApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing waits for the app's frames here, with more frames than may wait, and to the last of them."""
    encode = Output.encode

    def slow(*args: Any) -> bytes:
        until, end = kit.app.frames + 8, time.monotonic() + 120.0
        while kit.app.frames < until:
            assert time.monotonic() < end, "the app stood still"
            time.sleep(0.001)
        return encode(*args)

    monkeypatch.setattr(Output, "encode", slow)
    params = PARAMS.model_copy(update={"dataset": BASE.dataset.model_copy(update={"frames_per_scene": 20})})
    assert export(tmp_path, params, frames=8)["frames"] == 8


def test_a_paused_export_draws_nothing(kit: KitApp, tmp_path: Path) -> None:
    paused = True

    async def run() -> None:
        nonlocal paused
        events: list[dict[str, Any]] = []
        task = asyncio.ensure_future(
            generate_async(PARAMS, tmp_path, renderer=ReplicatorRenderer(), paused=lambda: paused, emit=events.append,
                         **{**ARGS, "frames": 1})
        )  # fmt: skip
        while kit.context.is_new_stage() and not task.done():
            await kit.app.next_update_async()
        for _ in range(50):
            await kit.app.next_update_async()
        assert not task.done() and kit.rep.quirks.steps == []
        paused = False
        assert (await task)["frames"] == 1

    asyncio.run(run())


def test_share_of_rock_is_held_by_labels_alone(kit: KitApp, tmp_path: Path) -> None:
    params = PARAMS.model_copy(
        update={"randomize": PARAMS.randomize.model_copy(update={"rock_share": Interval(0.001, 1.0), "redraws": 3})}
    )
    export(tmp_path, params)
    generate(params, tmp_path / "ours", executor="in-process", **ARGS)
    theirs, ours = read_journal(tmp_path / "val"), read_journal(tmp_path / "ours" / "val")
    assert [theirs[i].redraws for i in range(3)] == [ours[i].redraws for i in range(3)]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"split": "holdout"}, "split: 'holdout'"),
        ({"frames": 0}, "frames: 0"),
        ({"width": 5}, "width: 5"),
        ({"height": 5000}, "height: 5000"),
        ({"seed": 6}, "seed: 6"),
        ({"frames": 4}, "frames: 4"),
    ],
)
def test_bad_input_is_named(kit: KitApp, undisturbed: Path, changes: dict[str, Any], line: str) -> None:
    before = digest(undisturbed)
    with pytest.raises(InputError, match=line):
        export(undisturbed.parent, **changes)
    assert digest(undisturbed) == before


def test_another_renderer_is_refused(kit: KitApp, undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "val")
    kit.app.version = "107.3"
    with pytest.raises(InputError, match=r"renderer\.kit: '107"):
        export(tmp_path, frames=4, extend=True)
    assert export(tmp_path, frames=4, extend=True, other_backend=True)["drawn"] == 1


# headless Isaac Sim


def worker(*more: str) -> str:
    """Command line of a chunk, as a user writes it, with the doubles for Isaac Sim's packages."""
    return " ".join([environment(), *more, sys.executable, "-m regolith.lunar.dataset.isaac_worker {task}"])


def test_headless_chunks_write_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    """`generate --executor isaac`: SimulationApp ends each process with status 0 inside `close`, and all is there."""
    result = generate(PARAMS, tmp_path, executor="isaac", command=f"{worker()} --picture hdr --/app/x=1", **ARGS)
    assert result["renderer"]["name"] == "replicator"
    assert digest(tmp_path / "val") == digest(undisturbed)
    assert verify(tmp_path / "val")["problems"] == []


def test_a_simulation_app_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no RTX device was found"):
        generate(PARAMS, tmp_path, executor="isaac", command=worker("DOUBLE_NO_GPU=1"), **ARGS)


def test_arguments_for_kit_reach_simulation_app() -> None:
    from regolith.lunar.dataset.isaac_worker import EXTRA_ARGS, launch_config

    config = launch_config(["--/app/x=1"])
    assert config["headless"] is True and config["extra_args"] == [*EXTRA_ARGS, "--/app/x=1"]
    assert "--/rtx/descriptorSets=360000" in config["extra_args"]


def test_outputs_it_cannot_draw_are_refused_before_anything_is_drawn(kit: KitApp, tmp_path: Path) -> None:
    """In the app and by headless Isaac Sim, in one line; nothing is left on disk, nothing was opened or stepped."""
    params = change_params(PARAMS, {"dataset.hazard": True, "dataset.shadow": True})
    line = r"dataset\.shadow: True .*draws no shadow, hazard, the embedded one does"
    untitled = kit.context.get_stage_url()
    with pytest.raises(InputError, match=line):
        export(tmp_path / "app", params)
    with pytest.raises(InputError, match=line):
        generate(params, tmp_path / "isaac", executor="isaac", command=worker(), **ARGS)
    assert kit.rep.quirks.steps == [] and kit.context.get_stage_url() == untitled
    assert not list(tmp_path.rglob("*.*"))
