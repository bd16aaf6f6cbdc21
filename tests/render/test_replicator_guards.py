"""The RTX renderer over a Replicator that does its worst: labels that come late, graphs and stages that go."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from kit_doubles import KitApp
from pxr import Sdf, Usd
from render_stage import aim_camera, make_stage

from regolith.lunar.labels import REGOLITH, SKY
from regolith.lunar.render.replicator import ReplicatorRenderer
from regolith.lunar.render.viewport import ViewportFrames
from regolith.lunar.stage import schema

SIZE = (64, 48)
BACKGROUND = {"0": {"class": "BACKGROUND"}}


def mask(stage: Usd.Stage) -> np.ndarray:
    async def run() -> np.ndarray:
        renderer = ReplicatorRenderer()
        try:
            await renderer.load_async(stage)
            return await renderer.mask_async(*SIZE)
        finally:
            await renderer.close_async()

    return asyncio.run(run())


@pytest.mark.parametrize("table", [{}, BACKGROUND])
def test_labels_that_come_late_are_waited_for(kit: KitApp, table: dict[str, Any]) -> None:
    """Zeros read as a picture of nothing but sky, with or without names; depth says that there is something."""
    plain = mask(make_stage())
    kit.rep.quirks.late, kit.rep.quirks.late_table = 7, table
    assert (mask(make_stage()) == plain).all() and (plain == REGOLITH).any()


@pytest.mark.parametrize(
    ("table", "told"),
    [({}, r"nothing for semantic_segmentation \(no idToLabels\)"), (BACKGROUND, r"labelled \d+% of the picture sky")],
)
def test_labels_that_never_come_are_an_error(kit: KitApp, table: dict[str, Any], told: str) -> None:
    kit.rep.quirks.late, kit.rep.quirks.late_table = 10**6, table
    with pytest.raises(RuntimeError, match=f"Replicator .*{told}.*, after 32 frames"):
        mask(make_stage())
    assert kit.rep.leftovers() == []


def test_a_picture_of_the_sky_alone_is_one(kit: KitApp) -> None:
    kit.rep.quirks.late, kit.rep.quirks.late_table = 10**6, BACKGROUND  # as Replicator has it where nothing is in sight
    stage = make_stage()
    aim_camera(stage, pitch=40.0)
    assert (mask(stage) == SKY).all()


@pytest.mark.parametrize("version", ["107.3", "110.1", "110.4"])
def test_rtx_does_not_expose(kit: KitApp, version: str) -> None:
    """The double exposes as RTX of that Kit does; the picture stays the same and the stage as it was."""
    kit.app.version = version
    stage = make_stage()
    stage.GetPrimAtPath(schema.CAMERA).CreateAttribute("exposure:iso", Sdf.ValueTypeNames.Float).Set(400.0)
    kit.context._take(stage, "moon.usda")
    before = stage.GetSessionLayer().ExportToString()

    async def run() -> Any:
        renderer = ReplicatorRenderer()
        try:
            await renderer.load_async(stage)
            frames = [await renderer.render_async(*SIZE) for _ in range(2)]
            assert (frames[0].rgb == frames[1].rgb).all()
            return frames[0].rgb
        finally:
            await renderer.close_async()

    lit = asyncio.run(run())[-1].mean()
    assert 100 < lit < 180, lit
    assert stage.GetSessionLayer().ExportToString() == before


def test_subframes_by_version(kit: KitApp) -> None:
    """A real-time mode that traces paths gathers them over more frames."""

    async def run() -> set[int]:
        renderer = ReplicatorRenderer()
        try:
            await renderer.load_async(make_stage())
            kit.rep.quirks.steps.clear()
            await renderer.render_async(*SIZE)
            return {subframes for subframes, _ in kit.rep.quirks.steps}
        finally:
            await renderer.close_async()

    assert asyncio.run(run()) == {64}
    kit.app.version = "107.3"
    assert asyncio.run(run()) == {8}


def test_a_render_product_goes_before_its_stage(kit: KitApp) -> None:
    """One that stays keeps its memory, and takes its prim off whatever stage is open by then."""

    async def run() -> None:
        renderer = ReplicatorRenderer()
        await renderer.load_async(make_stage())
        await renderer.mask_async(*SIZE)
        kit.context.new_stage()
        assert kit.rep.leftovers() == []
        with pytest.raises(RuntimeError, match="stage was closed"):
            await renderer.mask_async(*SIZE)
        kit.context.new_stage()  # nobody looks any more

    asyncio.run(run())


def test_a_graph_somebody_cleared_is_an_error(kit: KitApp) -> None:
    async def run() -> None:
        renderer = ReplicatorRenderer()
        await renderer.load_async(make_stage())
        await renderer.mask_async(*SIZE)
        for annotator in kit.rep._annotators.ATTACHED:
            annotator.dead = True
        await renderer.mask_async(*SIZE)

    with pytest.raises(RuntimeError, match=r"Replicator's graph is gone: .*not attached"):
        asyncio.run(run())
    assert kit.rep.leftovers() == []


def test_a_viewport_without_product_or_graph_is_let_go_of(kit: KitApp) -> None:
    kit.rep.quirks.empty = 0
    kit.context._take(make_stage(), "moon.usda")
    frames, path = ViewportFrames(), "/Render/viewport_1_64x48"
    frames.attach(path)
    kit.rep.draw_viewports()
    assert frames.poll(*SIZE) is not None
    frames.attach("")
    assert frames.path == "" and frames.poll(*SIZE) is None and kit.rep.leftovers() == []
    frames.attach(path)
    kit.context._take(make_stage(), "other.usda")
    assert frames.poll(*SIZE) is None and frames.path == ""
    frames.attach(path)
    kit.rep.draw_viewports()
    assert frames.poll(*SIZE) is not None
    frames.detach()


def test_the_timeline_is_stopped_before_a_stage_is_replaced(kit: KitApp) -> None:
    """A stage replaced while it plays, or in the very frame it was stopped in, ends the app."""
    import omni.timeline  # type: ignore[import-not-found]

    timeline = omni.timeline.get_timeline_interface()
    timeline.play()
    timeline.commit()
    plain = mask(make_stage())
    assert (plain == REGOLITH).any() and timeline.is_stopped()


def test_frames_are_rendered_alike_by_the_owner_of_the_app(kit: KitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SimulationApp stops its timeline and waits for late labels as well."""
    import sys
    import types

    import omni.timeline  # type: ignore[import-not-found]

    wanted = mask(make_stage())
    kit.rep.quirks.late = 3
    monkeypatch.setitem(sys.modules, "isaacsim", types.SimpleNamespace(RUNNING=object()))  # type: ignore[arg-type]
    timeline = omni.timeline.get_timeline_interface()
    timeline.play()
    timeline.commit()
    renderer = ReplicatorRenderer()
    renderer.load(make_stage())
    assert (renderer.mask(*SIZE) == wanted).all()
    renderer.close()
