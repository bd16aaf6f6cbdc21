"""The camera's path in Kit: a row a key, the buttons of the path, and the slider along it."""

# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import omni.ui as ui

from regolith.lunar.kit import style
from regolith.lunar.kit.buttons import ActionButton
from regolith.lunar.kit.text import plain, tooltip
from regolith.lunar.panel.forms import Field
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.observe import Change
from regolith.lunar.panel.presentation import LATEST_S, PATH_BUTTONS, key_words

WIDE = 52
"""Width of a button of a key [px]."""


class PathRow:
    """The field of the keys; follows the model by itself."""

    def __init__(self, model: PanelModel, field: Field) -> None:
        """Build it in the present container.

        Args:
            model: The panel's model.
            field: The field.
        """
        self._model, self.field = model, field
        self._updating = self._editing = False
        self._subscriptions: list[Any] = []
        self._keys: list[tuple[ui.VStack, Any, ui.Label]] = []
        """Of each key, also of those that were taken away: its row, its time and the words below."""
        self._buttons: list[ActionButton] = []
        with ui.VStack(height=0, spacing=3, identifier=field.path):
            self._words = ui.Label("", name="faint", word_wrap=True, identifier=f"words:{field.path}")
            self._list = ui.VStack(height=0, spacing=1)
            self._message = ui.Label(
                "", name="message", word_wrap=True, visible=False, identifier=f"message:{field.path}"
            )
            adding, keeping = PATH_BUTTONS
            self._add_buttons(adding)
            with ui.HStack(height=style.ROW, spacing=style.GAP, visible=False) as self._scrub:
                ui.Label("Time  [s]", width=style.LABEL_WIDTH)
                self._slider = ui.FloatSlider(
                    min=0.0, max=1.0, step=0.01, format="%.2f", identifier="path:time",
                    tooltip="Move the camera along the path: what the film shows at this time",
                )  # fmt: skip
            self._add_buttons(keeping)
        self._moved = self._slider.model.subscribe_value_changed_fn(self._move)
        self._observer = model.subscribe(self._changed)
        self.refresh()

    def refresh(self) -> None:
        """Show the keys and where on the path the view is; a time under the user's hand is left alone."""
        path = self._model.path
        keys = path.keys
        with self._list:
            while len(self._keys) < len(keys):
                self._build_key(len(self._keys))
        self._updating = True
        try:
            for index, (row, time, place) in enumerate(self._keys):
                row.visible = index < len(keys)  # omni.ui takes no widget away inside its own event
                if row.visible:
                    place.text = plain(key_words(keys[index]))
                    if not self._editing:
                        time.model.set_value(keys[index].time_s)
            self._scrub.visible = path.seconds > 0.0
            if path.seconds > 0.0:
                self._slider.max = path.seconds
                self._slider.model.set_value(min(path.time_s, path.seconds))
        finally:
            self._updating = False
        self._words.text = plain(path.words)
        self._message.text = plain(path.message)
        self._message.visible = bool(path.message)

    def close(self) -> None:
        """Follow the model no more."""
        self._observer.close()
        self._moved = None
        self._subscriptions.clear()

    def _add_buttons(self, keys: tuple[str, ...]) -> None:
        with ui.HStack(height=0, spacing=style.GAP):
            self._buttons += [ActionButton(self._model.actions[key]) for key in keys]

    def _build_key(self, index: int) -> None:
        path = self._model.path
        with ui.VStack(height=0, spacing=1) as row:
            with ui.HStack(height=style.ROW, spacing=style.GAP):
                ui.Label(
                    f"Key {index + 1}  [s]", width=70, tooltip="When the camera is there; the film begins at key 1"
                )
                time = ui.FloatDrag(
                    min=0.0, max=LATEST_S, step=0.1, format="%.2f", enabled=index > 0, identifier=f"key:{index}:time"
                )
                for name, text, words, run in (
                    ("go", "Go", "Aim the camera as this key has it", path.go),
                    ("here", "Here", "Move this key to the present view", path.replace),
                    ("remove", "x", "Take this key away", path.remove),
                ):
                    ui.Button(
                        text, width=WIDE if name != "remove" else style.ROW, tooltip=tooltip(words),
                        identifier=f"key:{index}:{name}", clicked_fn=self._pressed(run, index),
                    )  # fmt: skip
            place = ui.Label("", name="faint", height=16, elided_text=True, identifier=f"key:{index}:place")
        self._keys.append((row, time, place))
        self._follow(time.model, index)

    def _pressed(self, run: Callable[[int], None], index: int) -> Callable[[], None]:
        return lambda: run(index) if index < len(self._model.path.keys) else None

    def _follow(self, value: Any, index: int) -> None:
        """Live while a time is dragged, one committed edit on release."""

        def changed(_: Any) -> None:
            if not self._updating:
                self._model.set(self.field.path, self._model.path.with_time(index, value.as_float))

        def begin(_: Any) -> None:
            self._editing = True

        def end(_: Any) -> None:
            self._editing = False
            if not self._updating:
                self._model.commit(self.field.path, self._model.path.with_time(index, value.as_float))

        self._subscriptions += [
            value.subscribe_value_changed_fn(changed),
            value.subscribe_begin_edit_fn(begin),
            value.subscribe_end_edit_fn(end),
        ]

    def _move(self, value: Any) -> None:
        if not self._updating:
            self._model.path.scrub(value.as_float)

    def _changed(self, change: Change) -> None:
        if change.kind == "path":
            self.refresh()
        elif change.kind == "actions":
            for button in self._buttons:
                button.refresh()
