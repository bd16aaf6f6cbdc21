"""The camera's path on the page: a row a key, the buttons of the path, and the slider along it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from regolith.lunar.panel.forms import Field
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.observe import Change
from regolith.lunar.panel.presentation import LATEST_S, PATH_BUTTONS, TIME_STEP_S, key_words
from regolith.lunar.studio.edits import Edits
from regolith.lunar.studio.parts import QUIET, ActionButton, assign, from_page, icon_of, marked, markup

if TYPE_CHECKING:
    from viser import GuiApi

    from regolith.lunar.studio.loop import Loop

DIGITS = 3
"""Decimals of a time."""


class KeyRow:
    """A key: its time, what aims the camera by it, moves it to the view and takes it away, and where it is."""

    def __init__(self, gui: GuiApi, loop: Loop, model: PanelModel, edits: Edits, index: int) -> None:
        """Build it in the present container.

        Args:
            gui: Of the server.
            loop: Everything here happens on it.
            model: The panel's model.
            edits: Takes what the user enters.
            index: Number of the key, from 0.
        """
        self._model, self._edits, self._index = model, edits, index
        path = model.path
        self._root = gui.add_folder(None)
        with self._root:
            self._time = gui.add_number(
                f"Key {index + 1} [s]", 0.0, min=0.0, max=LATEST_S, step=0.5, disabled=index == 0,
                hint="When the camera is there; the film begins at the first key." if index == 0 else
                "When the camera is there.",
            )  # fmt: skip
            self._time.precision = DIGITS
            self._time.on_update(from_page(loop, self._retime, key=("key time", index)))
            for icon, hint, run in (
                ("viewfinder", "Aim the camera as this key has it.", path.go),
                ("camera-plus", "Move this key to the present view.", path.replace),
                ("trash", "Take this key away.", path.remove),
            ):
                button = gui.add_button("", icon=icon_of(icon), color=QUIET, hint=hint)
                button.on_click(from_page(loop, lambda value, run=run: self._press(run)))
            self._words = marked(gui, "note key")

    def refresh(self) -> None:
        """Show the key, where there is one of its number."""
        keys = self._model.path.keys
        assign(self._root, "visible", self._index < len(keys))
        if self._index < len(keys):
            key = keys[self._index]
            assign(self._time, "value", key.time_s)
            assign(self._words, "content", markup("note key", key_words(key)))

    def _retime(self, time_s: float) -> None:
        if self._index < len(self._model.path.keys) and math.isfinite(time_s):
            self._edits.move(self._model.path.field, self._model.path.with_time(self._index, time_s))

    def _press(self, run: Any) -> None:
        self._edits.settle()
        if self._index < len(self._model.path.keys):  # a page may press what another has taken away
            run(self._index)


class PathRows:
    """The field of the keys; follows the model by itself."""

    def __init__(self, gui: GuiApi, loop: Loop, model: PanelModel, edits: Edits, field: Field) -> None:
        """Make it in the present container, empty until it is first shown.

        Args:
            gui: Of the server.
            loop: Everything here happens on it.
            model: The panel's model.
            edits: Takes what the user enters.
            field: The field.
        """
        self._gui, self._loop, self._model, self._edits, self.field = gui, loop, model, edits, field
        self._root = gui.add_folder(None, visible=False)
        self._keys: list[KeyRow] = []
        self._buttons: list[ActionButton] = []
        self._words: Any = None
        self._list: Any = None
        self._message: Any = None
        self._time: Any = None

    def show(self, on: bool) -> None:
        """Show or hide it."""
        if on and self._words is None:
            self._build()
        assign(self._root, "visible", on)

    def refresh(self) -> None:
        """Show the keys and where on the path the view is."""
        if self._words is None:
            return
        path = self._model.path
        with self._list:
            while len(self._keys) < len(path.keys):
                self._keys.append(KeyRow(self._gui, self._loop, self._model, self._edits, len(self._keys)))
        for row in self._keys:
            row.refresh()
        assign(self._words, "content", markup("note", path.words))
        assign(self._message, "content", markup("message path", path.message))
        assign(self._message, "visible", bool(path.message))
        assign(self._time, "visible", path.seconds > 0.0)
        if path.seconds > 0.0:
            assign(self._time, "max", path.seconds)
            assign(self._time, "value", round(min(path.time_s, path.seconds), DIGITS))

    def _build(self) -> None:
        gui, path, loop = self._gui, self._model.path, self._loop
        with self._root:
            self._words = marked(gui, "note")
            self._list = gui.add_folder(None)
            self._message = marked(gui, "message path", visible=False)
            adding, keeping = PATH_BUTTONS
            self._add_buttons(adding)
            self._time = gui.add_slider(
                "Time [s]", 0.0, 1.0, TIME_STEP_S, 0.0, visible=False, marks=(),
                hint="Move the camera along the path: what the film shows at this time.",
            )  # fmt: skip
            self._time.precision = DIGITS
            self._time.on_update(from_page(loop, path.scrub, key="path time"))
            self._add_buttons(keeping)
        self._subscription = self._model.subscribe(self._changed)
        self.refresh()

    def _add_buttons(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            action = self._model.actions[key]
            self._buttons.append(ActionButton(self._gui, self._loop, action, self._edits.press, color=QUIET))

    def _changed(self, change: Change) -> None:
        if change.kind == "path":
            self.refresh()
        elif change.kind == "actions":
            for button in self._buttons:
                button.refresh()
