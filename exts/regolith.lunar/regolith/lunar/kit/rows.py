"""One row a field: label, editor by kind, reset, and the validity message below."""

# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import omni.ui as ui

from regolith.lunar.kit import style
from regolith.lunar.kit.text import plain, tooltip
from regolith.lunar.panel.forms import Field
from regolith.lunar.panel.host import Pick
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.presentation import decimals, hint, step_of, tidy
from regolith.lunar.params import Interval

UNBOUNDED = 1e9
"""Limit of a number that has none."""
PATH_LETTERS = 28
"""Longest path that a field shows from its beginning."""


class Row:
    """A field's row; `refresh` shows the field's present state."""

    def __init__(
        self, model: PanelModel, field: Field, pick: Callable[[Pick, Callable[[Path], None]], None], label: str
    ) -> None:
        """Build it in the present container.

        Args:
            model: The panel's model.
            field: The field on show.
            pick: Lets the user choose a path and hands it on.
            label: What it is called.
        """
        self._model, self.field, self._pick = model, field, pick
        self._tooltip = tooltip(field.tooltip)
        self._updating = self._editing = False
        self._subscriptions: list[Any] = []
        self._show: Callable[[Any], None] = lambda value: None
        build = {
            "bool": self._check,
            "choice": self._choice,
            "interval": self._interval,
            "int": self._number,
            "float": self._number,
        }.get(field.kind, self._text)
        if field.optional and field.kind in ("int", "float", "interval"):
            build = self._text  # empty leaves it out
        with ui.VStack(height=0, spacing=1) as self.root:
            with ui.HStack(height=style.ROW, spacing=style.GAP):
                unit = f"  [{field.unit}]" if field.unit else ""
                with ui.VStack(width=style.LABEL_WIDTH):
                    self._label = ui.Label(
                        plain(label + unit), height=style.ROW, tooltip=self._tooltip, elided_text=True
                    )
                build()
                self._reset = reset_mark(field.path, lambda: model.reset(field.path))
            self._message = ui.Label(
                "", name="message", word_wrap=True, visible=False, identifier=f"message:{field.path}"
            )
        self.refresh()

    def refresh(self) -> None:
        """Show value, message and whether a reset would change it; a value under the user's hand is left alone."""
        field = self.field
        self._message.text = plain(field.problem)
        self._message.visible = bool(field.problem)
        self._label.name = "changed" if field.changed else ""
        self._reset.visible = field.changed
        if not self._editing:
            self._updating = True
            try:
                self._show(field.value)
            finally:
                self._updating = False

    def close(self) -> None:
        """Drop the subscriptions."""
        self._subscriptions.clear()
        self._show = lambda value: None

    # editors

    def _follow(self, value_model: Any, read: Callable[[], Any]) -> None:
        """Live while it is dragged, one committed edit on release."""

        def changed(_: Any) -> None:
            if not self._updating:
                self._model.set(self.field.path, read())

        def begin(_: Any) -> None:
            self._editing = True

        def end(_: Any) -> None:
            self._editing = False
            if not self._updating:
                self._model.commit(self.field.path, read())

        self._subscriptions += [
            value_model.subscribe_value_changed_fn(changed),
            value_model.subscribe_begin_edit_fn(begin),
            value_model.subscribe_end_edit_fn(end),
        ]

    def _check(self) -> None:
        with ui.VStack(width=style.ROW):
            ui.Spacer()
            box = ui.CheckBox(height=0, tooltip=self._tooltip, identifier=self.field.path)
            ui.Spacer()
        ui.Spacer()
        self._show = box.model.set_value

        def changed(model: Any) -> None:
            if not self._updating:
                self._model.commit(self.field.path, model.as_bool)

        self._subscriptions.append(box.model.subscribe_value_changed_fn(changed))

    def _choice(self) -> None:
        choices = self.field.choices
        combo = ui.ComboBox(0, *choices, tooltip=self._tooltip, identifier=self.field.path)
        index = combo.model.get_item_value_model()

        def show(value: Any) -> None:
            if str(value) in choices:
                index.set_value(choices.index(str(value)))

        def changed(model: Any, item: Any) -> None:
            if not self._updating:
                self._model.commit(self.field.path, choices[index.as_int])

        self._show = show
        self._subscriptions.append(combo.model.subscribe_item_changed_fn(changed))

    def _number(self) -> None:
        field = self.field
        bounded = field.ge is not None and field.le is not None
        low = -UNBOUNDED if field.ge is None else field.ge
        high = UNBOUNDED if field.le is None else field.le
        common: dict[str, Any] = {"tooltip": self._tooltip, "identifier": field.path}
        if field.kind == "int":
            slider = ui.IntSlider if bounded and high - low <= 1000 else ui.IntDrag
            widget = slider(min=round(low), max=round(high), **common)
            self._show = lambda value: widget.model.set_value(0 if value is None else int(value))
            self._follow(widget.model, lambda: widget.model.as_int)
            return
        step = step_of(field)
        widget = (ui.FloatSlider if bounded else ui.FloatDrag)(
            min=low, max=high, step=step, format=number_format(step), **common
        )
        self._show = lambda value: widget.model.set_value(0.0 if value is None else float(value))
        self._follow(widget.model, lambda: tidy(widget.model.as_float, step))

    def _interval(self) -> None:
        """Two ends, and a bar that shows which part of the allowed range they span."""
        field = self.field
        step = step_of(field)
        low, high = (-UNBOUNDED if field.ge is None else field.ge), (UNBOUNDED if field.le is None else field.le)
        ends: list[Any] = []
        with ui.VStack(spacing=1, identifier=field.path):
            with ui.HStack(height=style.ROW, spacing=style.GAP):
                for name in ("lo", "hi"):
                    ends.append(
                        ui.FloatDrag(
                            min=low,
                            max=high,
                            step=step,
                            format=number_format(step),
                            tooltip=f"{'From' if name == 'lo' else 'To'}: {self._tooltip}",
                            name="end",
                            identifier=f"{field.path}:{name}",
                        )
                    )
            with ui.ZStack(height=3):
                ui.Rectangle(name="range")
                with ui.HStack():
                    before = ui.Spacer(width=ui.Fraction(1))
                    span = ui.Rectangle(name="span", width=ui.Fraction(1))
                    after = ui.Spacer(width=ui.Fraction(1))

        def draw(lo: float, hi: float) -> None:
            size = max(high - low, 1e-12)
            before.width = ui.Fraction(max((lo - low) / size, 1e-4))
            span.width = ui.Fraction(max((hi - lo) / size, 0.006))
            after.width = ui.Fraction(max((high - hi) / size, 1e-4))

        def show(value: Any) -> None:
            if isinstance(value, Interval):
                ends[0].model.set_value(value.lo)
                ends[1].model.set_value(value.hi)
                draw(value.lo, value.hi)

        def read(moved: int) -> Interval:
            values = [tidy(end.model.as_float, step) for end in ends]
            if values[0] > values[1]:  # an end that is dragged past the other takes it along
                values[1 - moved] = values[moved]
                self._updating = True
                ends[1 - moved].model.set_value(values[moved])
                self._updating = False
            draw(*values)
            return Interval(*values)

        self._show = show
        for index, end in enumerate(ends):
            self._follow(end.model, lambda index=index: read(index))

    def _text(self) -> None:
        field = self.field
        with ui.ZStack():
            entry = ui.StringField(tooltip=self._tooltip, identifier=field.path)
            with ui.HStack():
                ui.Spacer(width=8)
                face = ui.Label("", visible=False, elided_text=True, identifier=f"face:{field.path}")

        def show(value: Any) -> None:
            text = "" if value is None else str(value)
            entry.model.set_value(text)
            dress(text)

        def dress(text: str) -> None:
            """While nobody types: a hint for nothing, the end of a long path."""
            long = bool(field.picks) and len(text) > PATH_LETTERS
            face.text = path_end(text) if long else "" if text else hint(field)
            face.name, face.visible = "" if long else "faint", bool(face.text)
            entry.name = "faced" if long else ""
            entry.set_tooltip(f"{plain(text)}\n{self._tooltip}" if long else self._tooltip)

        def begin(_: Any) -> None:
            self._editing = True
            face.visible, entry.name = False, ""

        def end(model: Any) -> None:
            self._editing = False
            dress(model.as_string)
            text = model.as_string.strip()
            known = "" if field.value is None else str(field.value)
            if not self._updating and text != known:
                self._model.commit(field.path, text if text or not field.optional else None)

        self._show = show
        self._subscriptions += [entry.model.subscribe_begin_edit_fn(begin), entry.model.subscribe_end_edit_fn(end)]
        if field.picks:
            ui.Button(
                "...",
                width=26,
                tooltip=f"Choose a {field.picks}",
                identifier=f"pick:{field.path}",
                clicked_fn=self._browse,
            )

    def _browse(self) -> None:
        field = self.field
        kind = "folder" if field.picks == "folder" else "file"
        start = Path(field.value) if field.value and Path(str(field.value)).exists() else None
        self._pick(Pick(field.label, kind, start), lambda path: self._model.commit(field.path, str(path)))


def reset_mark(path: str, reset: Callable[[], None]) -> ui.ZStack:
    """Kit's small square beside a value that is not the default; a click gives the default back."""
    with ui.VStack(width=14):
        ui.Spacer()
        with ui.ZStack(width=14, height=14) as mark:
            ui.Rectangle(
                name="reset",
                tooltip="Changed; click to reset",
                identifier=f"reset:{path}",
                mouse_pressed_fn=lambda x, y, button, modifier: reset() if button == 0 else None,
            )
        ui.Spacer()
    return mark


def number_format(step: float) -> str:
    """Printf format of a value on a slider of that step."""
    return f"%.{decimals(step)}f" if step >= 1e-4 else "%.3g"


def path_end(path: str) -> str:
    """End of a long path, from a folder's name on where that fits."""
    end = plain(path)[-(PATH_LETTERS - 4) :]
    cut = end.find("/")
    return f".../{end[cut + 1 :]}" if 0 <= cut < len(end) - 1 else f"...{end}"
