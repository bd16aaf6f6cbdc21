"""Smoke tests with the real renderer: each falsifies one assumption of `docs/RTX.md`."""

# pyright: reportMissingImports=false
from __future__ import annotations

import gc
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import omni.kit.app
import omni.kit.test
import omni.ui as ui
import omni.usd

from regolith.lunar.kit import adapter
from regolith.lunar.kit.controller import Controller
from regolith.lunar.kit.window import TITLE

WAIT_S = 240.0
"""Longest wait for one step: the first frames compile shaders [s]."""
DARK = 6
"""Largest 8-bit value that counts as black."""


class RegolithRtxTest(omni.kit.test.AsyncTestCase):
    """The panel's actions on RTX."""

    async def setUp(self) -> None:
        """Open the panel; data goes to a folder of the test's own."""
        self.folder = Path(tempfile.mkdtemp(prefix="regolith-test-"))
        ui.Workspace.show_window(TITLE, True)
        await self.frames(4)
        self.controller = next(o for o in gc.get_objects() if isinstance(o, Controller))
        self.controller.host.data_folder = self.folder
        self.model = self.controller.model
        self.model.use_preset("v1")

    async def tearDown(self) -> None:
        """Let go of everything that runs."""
        if self.model.live is not None:
            self.model.actions["preview"].run()
        await self.frames(2)

    async def frames(self, count: int) -> None:
        """Wait for frames of the app."""
        for _ in range(count):
            await omni.kit.app.get_app().next_update_async()

    async def until(self, condition: Any, what: str) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + WAIT_S
        while not condition():
            self.assertLess(time.monotonic(), end, f"no {what} within {WAIT_S:.0f} s")
            await self.frames(1)

    async def author(self) -> Any:
        """Author a stage by its action, and let a stage of somebody else go."""
        await omni.usd.get_context().new_stage_async()
        omni.usd.get_context().set_pending_edit(False)
        work = self.model.works["stage"]
        self.controller.host.ask = _first_answer
        self.model.actions["author"].run()
        await self.until(lambda: work.state in ("finished", "failed"), "stage")
        self.assertEqual(work.state, "finished", work.text)
        await self.frames(60)
        return omni.usd.get_context().get_stage()

    async def test_window_and_menu(self) -> None:
        """The window is there, hides, and comes back."""
        window = ui.Workspace.get_window(TITLE)
        self.assertIsNotNone(window)
        ui.Workspace.show_window(TITLE, False)
        await self.frames(4)
        ui.Workspace.show_window(TITLE, True)
        await self.frames(4)
        self.assertTrue(ui.Workspace.get_window(TITLE).visible)

    async def test_black_sky_and_one_light(self) -> None:
        """No rig, no ambient light: the sky is black and the ground is lit; also when authored a second time."""
        for _ in range(2):
            stage = await self.author()
            lights = [p for p in stage.Traverse() if p.GetTypeName().endswith("Light")]
            self.assertEqual([str(p.GetPath()) for p in lights], ["/World/Sun"])
            picture = await self.picture()
            if picture is None:
                raise unittest.SkipTest("no viewport")
            sky, ground = picture[: len(picture) // 10], picture[-len(picture) // 4 :]
            self.assertLessEqual(int(np.percentile(sky, 95)), DARK)
            self.assertGreater(float(ground.mean()), 2 * DARK)

    async def picture(self) -> np.ndarray | None:
        """What the viewport shows, uint8 [H, W, 3]; None without one."""
        from regolith.lunar.render.viewport import ViewportFrames

        window = adapter.viewport_window()
        if window is None:
            return None
        frames, found = ViewportFrames(), None
        api = window.viewport_api
        frames.attach(api.render_product_path)
        try:
            end = time.monotonic() + WAIT_S
            while found is None and time.monotonic() < end:
                await self.frames(1)
                found = frames.poll(int(api.resolution[0]), int(api.resolution[1]))
        finally:
            frames.detach()
        return None if found is None else found[..., :3]

    async def test_a_grey_plane_measures_what_the_formula_says(self) -> None:
        """`HdrColor` is radiance in UsdLux's units: no exposure of RTX's own is left in it."""
        from regolith.lunar.render.first_run import GREY_TOLERANCE, measure_grey

        found = await self.measured(measure_grey)
        print("grey plane, measured over expected:", [round(grey.ratio, 4) for grey in found])
        for grey in found:
            self.assertLess(abs(grey.ratio - 1.0), GREY_TOLERANCE, found)

    async def test_pictures_have_settled_by_the_frames_gathered(self) -> None:
        """The frames gathered for one by default are enough; the numbers are printed."""
        from regolith.lunar.render.first_run import SETTLED_DB, SUBFRAMES, measure_subframes
        from regolith.lunar.render.rtx_quality import gathered_frames

        stage = await self.author()
        found = await self.measured(lambda renderer: measure_subframes(renderer, stage))
        print("PSNR [dB] by frames gathered:", {count: round(value, 1) for count, value in found.items()})
        used = max(count for count in SUBFRAMES if count <= gathered_frames()["default"])
        self.assertGreater(found[used], SETTLED_DB, found)

    async def measured(self, measure: Any) -> Any:
        """What a function of `render.first_run` measures; the stage of before is open again afterwards."""
        from regolith.lunar.render.replicator import ReplicatorRenderer

        renderer = ReplicatorRenderer()
        try:
            return await measure(renderer)
        finally:
            await renderer.restore_async()

    async def test_preview_shows_an_overlay(self) -> None:
        """Frames reach the model, and go on reaching it while the app draws."""
        await self.author()
        if adapter.viewport_window() is None:
            self.skipTest("no viewport")
        self.model.actions["preview"].run()
        await self.until(lambda: self.model.live is not None and self.model.live.frames_per_s > 0, "preview")
        await self.frames(200)
        live = self.model.live
        self.assertTrue(live is not None and live.frames_per_s > 0 and not live.problem, live)

    async def test_export_twice_gives_the_same_labels(self) -> None:
        """One seed, two exports: equal masks, every pixel labelled, and `verify` has nothing to say."""
        from regolith.lunar.dataset.verify import verify

        masks = []
        for name in ("one", "two"):
            for path, value in {
                "generate.out": self.folder / name,
                "generate.frames": 4,
                "generate.size": "256",
            }.items():
                self.model.commit(path, value)
            self.model.actions["generate"].run()
            work = self.model.works["generate"]
            await self.until(lambda work=work: work.state in ("finished", "failed"), "generate")
            self.assertEqual(work.state, "finished", work.text)
            split = self.folder / name / self.model.field("generate.split").value
            self.assertEqual(verify(split)["problems"], [])
            masks.append([path.read_bytes() for path in sorted((split / "mask").glob("*.png"))])
        self.assertEqual(masks[0], masks[1])


def _first_answer(question: Any) -> Any:
    from regolith.lunar.panel.host import Finished

    return Finished(question.answers[0])
