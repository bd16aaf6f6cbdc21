"""The measurements for a first run on RTX, over a Replicator that draws: they see what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from kit_doubles import KitApp
from render_stage import make_stage

from regolith.lunar.render.capture_layer import CaptureLayer
from regolith.lunar.render.first_run import SUBFRAMES, measure_grey, measure_subframes
from regolith.lunar.render.replicator import ReplicatorRenderer


def measured(measure: Callable[[ReplicatorRenderer], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    async def run() -> Any:
        renderer = ReplicatorRenderer(**options)
        try:
            return await measure(renderer)
        finally:
            await renderer.close_async()

    return asyncio.run(run())


@pytest.mark.parametrize("version", ["107.3", "110.4"])
def test_a_grey_plane_measures_what_the_formula_says(kit: KitApp, version: str) -> None:
    kit.app.version = version
    found = measured(measure_grey)
    assert [grey.ratio for grey in found] == pytest.approx([1.0] * 3, rel=0.01)
    assert found[2].expected == pytest.approx(4.0 * found[1].expected) == pytest.approx(2.0 * found[0].expected)


def test_a_camera_that_is_exposed_is_seen(kit: KitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CaptureLayer, "expose_neutrally", lambda self, camera: None)
    assert all(abs(grey.ratio - 1.0) > 0.1 for grey in measured(measure_grey))


def test_the_inverse_of_the_ratio_is_the_gain(kit: KitApp) -> None:
    found = measured(measure_grey, gain=2.0)
    assert [grey.ratio for grey in found] == pytest.approx([2.0] * 3, rel=0.01)


def test_pictures_settle_with_the_frames_gathered(kit: KitApp) -> None:
    """The double's noise falls with the root of their number: 6 dB for four times as many, less the reference's own."""
    kit.rep.quirks.noise = 0.5
    found = measured(lambda renderer: measure_subframes(renderer, make_stage(), size=(64, 48)))
    assert tuple(found) == SUBFRAMES
    assert found[32] - found[8] == pytest.approx(6.0, abs=1.0)
    assert found[8] < found[32] < found[128] < found[256]
    assert [count for count, _ in kit.rep.quirks.steps if count > 1] == [256, *SUBFRAMES]
