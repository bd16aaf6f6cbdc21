"""The extension in Kit: menu entry, window, and the controller that outlives it."""

# pyright: reportMissingImports=false
from __future__ import annotations

import contextlib

import omni.ext
import omni.ui as ui
from omni.kit.menu.utils import MenuHelperExtensionFull

from regolith.lunar.kit import adapter

__all__ = ["RegolithExtension"]


class RegolithExtension(omni.ext.IExt, MenuHelperExtensionFull):
    """Starts and ends with the extension."""

    def on_startup(self, ext_id: str) -> None:
        """Start; what was started is ended again where something fails, for Kit then calls no `on_shutdown`."""
        self._controller = None
        try:
            from regolith.lunar.kit.controller import Controller
            from regolith.lunar.kit.window import TITLE, RegolithWindow
            from regolith.lunar.scratch import sweep_scratch
        except ImportError as error:  # missing, or of a version that lacks something
            adapter.notify(adapter.install_hint(error), warning=True)
            return
        sweep_scratch()
        self._controller = controller = Controller()
        with contextlib.ExitStack() as stack:
            stack.callback(controller.close)
            self.menu_startup(lambda: RegolithWindow(controller), TITLE, "Panel", f"Tools/{TITLE}")
            stack.callback(self.menu_shutdown)
            self._remove_item = adapter.add_menu_item(f"Tools/{TITLE}/Check this machine", controller.check.start)
            if adapter.setting("showOnStartup"):
                ui.Workspace.show_window(TITLE, True)
            stack.pop_all()

    def on_shutdown(self) -> None:
        """End: window and menu first, then what they showed."""
        if self._controller is not None:
            self._remove_item()
            self.menu_shutdown()
            self._controller.close()
