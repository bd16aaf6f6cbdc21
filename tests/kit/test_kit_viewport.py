"""Live preview over a viewport that does as the real one does when a stage opens: no product, no graph, black."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("mitsuba") is None:
    pytest.skip("the Replicator double draws with mitsuba (tests/kit/requirements.txt)", allow_module_level=True)

from conftest import Kit
from test_kit_live import SIZE, Camera, Threshold, picture, preview, run
from test_kit_replicator import small_params


@pytest.fixture
def viewport(lunar: Kit) -> Iterator[Any]:
    """A viewport on a stage of ours, through a Replicator that draws."""
    lunar.enable("omni.replicator.core")
    import omni.kit.viewport.utility as viewport
    import omni.replicator.core as rep

    rep.quirks.reset()
    open_stage()
    viewport.open_viewport(resolution=(64, 48))
    yield viewport
    viewport.blank = 0


def open_stage() -> None:
    import omni.usd

    from regolith.lunar.dataset.chunk import author_scene

    _, stage = author_scene(small_params(), seed=0, split="val", number=0, baked=True)
    omni.usd.get_context()._take(stage, stage.GetRootLayer().identifier)


def drawn(kit: Kit, live: Any, done: Any) -> None:
    """Let the preview go on, and the viewport draw, until a condition holds."""
    import omni.replicator.core as rep

    assert kit.until(lambda: (rep.draw_viewports(), live.tick(), done())[-1], 20.0), live.state


def previewed(model: Any) -> Any:
    from regolith.lunar.render.viewport import ViewportFrames

    return preview(ViewportFrames(), model)


class Counting(Threshold):
    """One that counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, rgb: np.ndarray) -> Any:
        self.asked += 1
        return super().predict(rgb)


def test_a_viewport_without_a_render_product_is_waited_for(lunar: Kit, viewport: Any) -> None:
    """From the start, and again for a moment once a stage was opened."""
    viewport.blank = 5
    model = Counting()
    live = previewed(model)
    try:
        drawn(lunar, live, lambda: model.asked)
        viewport.blank, before = 5, model.asked
        drawn(lunar, live, lambda: not viewport.blank and model.asked > before + 1)
        assert not live.state.problem
    finally:
        live.close()


def test_a_viewport_whose_stage_was_replaced_is_taken_again(lunar: Kit, viewport: Any) -> None:
    """Its path is the same, the graph behind it another; the preview outlives it though nobody told it."""
    model = Counting()
    live = previewed(model)
    try:
        drawn(lunar, live, lambda: model.asked)
        open_stage()
        before = model.asked
        drawn(lunar, live, lambda: model.asked > before + 1)
    finally:
        live.close()


def test_a_black_viewport_is_told_and_not_segmented(lunar: Kit) -> None:
    import omni.kit.viewport.utility as viewport

    viewport.open_viewport(resolution=SIZE)
    model, camera = Counting(), Camera(np.zeros((SIZE[1], SIZE[0], 4), np.uint8))
    assert camera.picture is not None
    camera.picture[..., 3] = 255
    live = preview(camera, model)
    try:
        run(lunar, live, lambda: "black" in live.state.problem)
        assert model.asked == 0
        camera.picture = picture()
        run(lunar, live, lambda: model.asked and not live.state.problem)
    finally:
        live.close()
