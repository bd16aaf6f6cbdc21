"""The tests meant for an RTX machine, run here over the doubles: whole, so that they can fail for real there."""

from __future__ import annotations

import unittest

import pytest
from conftest import Kit

NAMES = [
    "test_window_and_menu", "test_black_sky_and_one_light", "test_a_grey_plane_measures_what_the_formula_says",
    "test_pictures_have_settled_by_the_frames_gathered", "test_preview_shows_an_overlay",
    "test_export_twice_gives_the_same_labels",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_native(lunar: Kit, name: str) -> None:
    import omni.kit.viewport.utility as viewport
    import omni.replicator.core as rep

    lunar.enable("omni.kit.test")
    from regolith.lunar.kit import tests

    rep.quirks.reset()
    viewport.open_viewport(resolution=(160, 120))
    guard = _draw_every_frame(rep)
    case = tests.RegolithRtxTest(name)

    async def run() -> None:
        await case.setUp()
        try:
            case.model.commit("generate.frames", 1)
            await getattr(case, name)()
        finally:
            await case.tearDown()

    try:
        lunar.run(run(), 200)
    except unittest.SkipTest as skipped:
        pytest.fail(f"skipped: {skipped}")
    finally:
        guard.reset()


def _draw_every_frame(rep):
    """Let the viewport of the double draw now and then, as a renderer does."""
    from regolith.lunar.kit import adapter
    from regolith.lunar.render import rtx

    count = 0

    def draw(event: object) -> None:
        nonlocal count
        count += 1
        if count % 40 == 0 and adapter.stage() is not None and adapter.stage().GetPrimAtPath("/World/Camera"):
            rep.draw_viewports()

    return rtx.observe_update(draw)


def test_every_native_test_is_listed(lunar: Kit) -> None:
    lunar.enable("omni.kit.test")
    from regolith.lunar.kit import tests

    assert [n for n in vars(tests.RegolithRtxTest) if n.startswith("test_")] == NAMES
