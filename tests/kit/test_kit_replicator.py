"""Export and live pictures on the real kernel: its settings, its event loop, its frames; Replicator is a double."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("mitsuba") is None:
    pytest.skip("the Replicator double draws with mitsuba (tests/kit/requirements.txt)", allow_module_level=True)

SIZE = {"width": 64, "height": 48}
TOUCHED = (
    "/rtx/post/histogram/enabled",
    "/rtx/rendermode",
    "/rtx/background/source/color",
    "/app/viewport/grid/enabled",
)


@pytest.fixture
def rep(lunar: Any) -> Iterator[Any]:
    """Replicator over an empty stage; what is left attached or changed fails the test."""
    import carb.settings

    lunar.enable("omni.replicator.core")
    import omni.replicator.core as rep
    import omni.usd

    settings = carb.settings.get_settings()
    set_here = {"/rtx/post/histogram/enabled": True, "/rtx/rendermode": "RaytracedLighting"}
    for path, value in set_here.items():
        settings.set(path, value)
    before = {path: settings.get(path) for path in TOUCHED}
    omni.usd.get_context().new_stage()
    rep.quirks.reset()
    yield rep
    assert rep.leftovers() == []
    assert {path: settings.get(path) for path in TOUCHED} == before
    for path in set_here:  # the kernel is every test's
        settings.destroy_item(path)
    omni.usd.get_context().close_stage()


def small_params() -> Any:
    """Preset v1 with a coarse ground and few rocks."""
    from regolith.lunar.params import load_preset

    base = load_preset("v1")
    return base.model_copy(
        update={
            "dataset": base.dataset.model_copy(update={"frames_per_scene": 2, "instance": True}),
            "terrain": base.terrain.model_copy(update={"cell_m": 0.3, "far_radius_m": 300.0}),
            "rocks": base.rocks.model_copy(update={"diameter_min_m": 0.1}),
            "render": base.render.model_copy(update={"quality": "draft"}),
        }
    )


def test_export_in_the_apps_own_loop(lunar: Any, rep: Any, tmp_path: Path) -> None:
    """Scenes are built in threads of the kernel's loop, frames wait for its updates; stopped, it goes on."""
    from regolith.lunar.dataset.app_run import generate_async
    from regolith.lunar.dataset.verify import verify
    from regolith.lunar.render.replicator import ReplicatorRenderer

    events: list[dict[str, Any]] = []
    main = threading.get_ident()

    def emit(event: dict[str, Any]) -> None:
        assert threading.get_ident() == main
        events.append(event)

    def export(**options: Any) -> Any:
        return lunar.run(
            generate_async(small_params(), tmp_path, split="val", frames=3, **SIZE, renderer=ReplicatorRenderer(),
                         emit=emit, **options), 60.0)  # fmt: skip

    assert export(stop=lambda: len(events) >= 2)["stopped"]
    result = export()
    assert result["frames"] == 3 and not result["stopped"]
    assert result["renderer"]["real_time"] == "RealTimePathTracing" and result["renderer"]["replicator"].startswith(
        "1.13"
    )
    assert verify(tmp_path / "val")["problems"] == []


def test_the_app_updates_while_a_scene_is_built(lunar: Any, rep: Any, tmp_path: Path) -> None:
    """Longest gap between two updates of the kernel while terrain and rocks are built and written."""
    from omni.kit.async_engine import run_coroutine

    from regolith.lunar.dataset.app_run import generate_async
    from regolith.lunar.render.replicator import ReplicatorRenderer

    task = run_coroutine(
        generate_async(small_params(), tmp_path, split="val", frames=1, **SIZE, renderer=ReplicatorRenderer())
    )
    updates, end = 0, time.monotonic() + 60.0
    while not rep.quirks.steps and not task.done() and time.monotonic() < end:
        lunar.app.update()
        updates += 1
        time.sleep(0.001)
    assert lunar.until(task.done, 60.0) and task.result()["frames"] == 1
    assert updates > 50


def test_a_cancelled_export_leaves_the_kernel_clean(lunar: Any, rep: Any, tmp_path: Path) -> None:
    from omni.kit.async_engine import run_coroutine

    from regolith.lunar.dataset.app_run import generate_async
    from regolith.lunar.render.replicator import ReplicatorRenderer

    task = run_coroutine(
        generate_async(small_params(), tmp_path, split="val", frames=3, **SIZE, renderer=ReplicatorRenderer())
    )
    assert lunar.until(lambda: rep.quirks.steps, 60.0)
    task.cancel()
    assert lunar.until(task.done)
    with pytest.raises(asyncio.CancelledError):
        task.result()
    lunar.pump(5)  # meanwhile Replicator stops


def test_live_pictures_of_a_viewport(lunar: Any, rep: Any) -> None:
    import omni.usd

    from regolith.lunar.dataset.chunk import author_scene
    from regolith.lunar.render.viewport import ViewportFrames

    _, stage = author_scene(small_params(), seed=0, split="val", number=0, baked=True)
    omni.usd.get_context()._take(stage, stage.GetRootLayer().identifier)
    frames = ViewportFrames()
    frames.attach("/Render/viewport_64x48")
    for _ in range(rep.quirks.empty + 1):
        assert frames.poll(64, 48) is None
        rep.draw_viewports()
    picture = frames.poll(64, 48)
    assert picture is not None and picture.shape == (48, 64, 4) and picture[..., :3].std() > 1.0
    frames.detach()
