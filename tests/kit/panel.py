"""The panel under a test's hands: real clicks, drags and keys on the real omni.ui."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Kit

TITLE = "Regolith Lunar"


class Panel:
    """The window of the extension that is enabled."""

    def __init__(self, kit: Kit) -> None:
        import omni.ui as ui

        self.kit, self.screen = kit, kit.screen
        from regolith.lunar.kit.controller import Controller

        # looked for once, while no worker runs: gc.get_objects shows tuples that a thread has not finished
        self._controller = weakref.ref(next(o for o in gc.get_objects() if isinstance(o, Controller)))
        self.screen.frames(3)
        window = ui.Workspace.get_window(TITLE)
        window.position_x, window.position_y = 10, 10
        window.height = 820
        self.screen.frames(3)

    @property
    def controller(self) -> Any:
        """The controller of the running extension; not kept alive by a test."""
        return self._controller()

    @property
    def model(self) -> Any:
        """The view-model, to look at what a click has done."""
        return self.controller.model

    def widget(self, identifier: str) -> Any:
        """A widget by its identifier."""
        return self.screen.find(TITLE, identifier)

    def has(self, identifier: str) -> bool:
        """Whether a widget is there."""
        try:
            self.widget(identifier)
        except LookupError:
            return False
        return True

    def open(self, *sections: str) -> None:
        """Open these sections and collapse all others."""
        for section in self.model.sections:
            self.widget(f"section:{section.key}").collapsed = section.key not in sections
        self.screen.frames(3)

    def click(self, identifier: str) -> None:
        """Click a widget."""
        self.screen.click(self.widget(identifier))

    def press(self, action: str) -> None:
        """Click an action's button."""
        self.click(f"action:{action}")

    def drag(self, identifier: str, start: float, stop: float) -> None:
        """Drag inside a widget, by shares of its width."""
        self.screen.drag(self.widget(identifier), start, stop)

    def enter(self, identifier: str, text: str) -> None:
        """Replace a text field's content and leave the field."""
        widget = self.widget(identifier)
        widget.model.set_value("")
        self.screen.click(widget)
        self.screen.type(text)
        self.screen.click(self.widget("file"))

    def text(self, identifier: str) -> str:
        """Text of a label or button."""
        return self.widget(identifier).text

    def until_work(self, key: str, *states: str, seconds: float = 60.0) -> Any:
        """Wait for a state of a line of work, and return it."""
        work = self.model.works[key]
        assert self.kit.until(lambda: work.state in states, seconds), (work.state, work.text, list(work.log))
        return work

    def author(self, preset: str = "v1") -> Any:
        """Choose a preset and author a stage by its button; returns the stage that is open."""
        import omni.usd

        self.model.use_preset(preset)
        self.press("author")
        self.until_work("stage", "finished")
        return omni.usd.get_context().get_stage()

    def capture(self, path: Path) -> None:
        """Save the screen."""
        self.screen.capture(path)
