"""The checklist of `docs/RTX.md` in Kit's test runner, and what of the window a check does not look at."""

# pyright: reportMissingImports=false
from __future__ import annotations

import contextlib
import gc
import json

import omni.kit.app
import omni.kit.test
import omni.ui as ui
import omni.usd

from regolith.lunar.kit.controller import Controller
from regolith.lunar.kit.window import TITLE
from regolith.lunar.rtx_check.report import REPORT
from regolith.lunar.scratch import scratch_folder


class RegolithRtxTest(omni.kit.test.AsyncTestCase):
    """The extension on RTX."""

    async def setUp(self) -> None:
        """Open the panel; data goes to a folder of the test's own."""
        self.held = contextlib.ExitStack()
        self.folder = self.held.enter_context(scratch_folder())
        ui.Workspace.show_window(TITLE, True)
        await self.frames(4)
        self.controller = next(o for o in gc.get_objects() if isinstance(o, Controller))
        self.controller.host.data_folder = self.folder

    async def tearDown(self) -> None:
        """Delete that folder."""
        self.held.close()

    async def frames(self, count: int) -> None:
        """Wait for frames of the app."""
        for _ in range(count):
            await omni.kit.app.get_app().next_update_async()

    async def test_window_and_menu(self) -> None:
        """The window is there, hides, and comes back."""
        window = ui.Workspace.get_window(TITLE)
        self.assertIsNotNone(window)
        ui.Workspace.show_window(TITLE, False)
        await self.frames(4)
        ui.Workspace.show_window(TITLE, True)
        await self.frames(4)
        self.assertTrue(ui.Workspace.get_window(TITLE).visible)

    async def test_check_this_machine(self) -> None:
        """Every step of the checklist holds, which has time limits of its own."""
        await omni.usd.get_context().new_stage_async()
        omni.usd.get_context().set_pending_edit(False)
        work = self.controller.check.work
        self.controller.check.start()
        self.assertTrue(work.active, work.text)
        while work.active:
            await self.frames(1)
        steps = json.loads((self.folder / "rtx_check" / REPORT).read_text("utf-8"))["steps"]
        self.assertEqual([step for step in steps if step["state"] not in ("ok", "absent")], [])
