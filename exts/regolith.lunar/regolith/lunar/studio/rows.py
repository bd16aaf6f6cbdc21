"""One row a field: its editor by kind, its reset, and below it why its value is not allowed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from regolith.lunar.panel.forms import Field
from regolith.lunar.panel.presentation import hint, step_of, tidy
from regolith.lunar.params import Interval, as_text
from regolith.lunar.studio.edits import Edits
from regolith.lunar.studio.parts import QUIET, assign, from_page, icon_of, markup

if TYPE_CHECKING:
    from viser import GuiApi

    from regolith.lunar.studio.loop import Loop

Editor = Literal["check", "choice", "range", "slider", "number", "text"]

STEPS = 2000
"""Most steps of a slider: with more, one would be less than a pixel."""
WHOLE = 2**53 - 1
"""Largest whole number a page holds exactly."""
DIGITS = 7
"""Decimals a number field shows and takes."""


def editor_of(field: Field) -> Editor:
    """The editor of a field: the one place that decides how a kind looks on the page."""
    if field.kind == "bool":
        return "check"
    if field.kind == "choice":
        return "choice"
    bounded = field.ge is not None and field.le is not None
    if field.optional or field.kind not in ("int", "float", "interval"):
        return "text"  # an empty one leaves it out
    if field.kind == "interval":
        return "range" if bounded else "text"
    step = step_of(field)
    if bounded and (field.le - field.ge) / step <= STEPS:  # type: ignore[operator]
        return "slider"
    return "number" if step >= 10**-DIGITS * 10 else "text"


class Row:
    """A field's row: empty until it is first shown, then kept up to date by `refresh`."""

    def __init__(
        self, gui: GuiApi, loop: Loop, edits: Edits, field: Field, label: str, *,
        home: Path, pick: Callable[[Field], object],
    ) -> None:  # fmt: skip
        """Make it in the present container.

        Args:
            gui: Of the server.
            loop: Everything here happens on it.
            edits: Takes what the user enters.
            field: The field.
            label: What it is called.
            home: Folder relative paths lie in.
            pick: Lets the user choose the path of a field.
        """
        self._gui, self._loop, self._edits, self._home, self._pick = gui, loop, edits, home, pick
        self.field, self._label = field, f"{label} [{field.unit}]" if field.unit else label
        self._root = gui.add_folder(None, visible=False)
        self._faces: list[tuple[Any, Callable[[Any], Any]]] = []
        """Widgets, and how a value looks in each; None leaves it as it is."""
        self._hand: Any = None
        """The widget that was changed last."""
        self._message: Any = None
        self._reset: Any = None

    def show(self, on: bool) -> None:
        """Show or hide it."""
        if on and self._reset is None:
            self._build()
        assign(self._root, "visible", on)

    def refresh(self) -> None:
        """Show value, message and whether a reset would change it; the widget under the hand is left alone."""
        if self._reset is None:
            return
        field = self.field
        for widget, face in self._faces:
            if widget is not self._hand or not self._edits.held(field.path):
                shown = face(field.value)
                if shown is not None:
                    assign(widget, "value", shown)
        assign(self._reset, "disabled", not field.changed)
        words = field.problem
        if words and self._message is None:
            with self._root:
                self._message = self._gui.add_html(markup("message", words))
        elif self._message is not None:
            assign(self._message, "content", markup("message", words))
            assign(self._message, "visible", bool(words))

    # editors

    def _build(self) -> None:
        build = {
            "check": self._check, "choice": self._choice, "range": self._range,
            "slider": self._slider, "number": self._number, "text": self._text,
        }  # fmt: skip
        with self._root:
            build[editor_of(self.field)]()
            self._reset = self._gui.add_button("", icon=icon_of("arrow-back-up"), color=QUIET, disabled=True)
        self._reset.on_click(from_page(self._loop, lambda value: self._edits.reset(self.field.path)))
        self.refresh()

    def _follow(
        self, widget: Any, enter: Callable[[str, Any], object], read: Callable[[Any], Any], face: Callable[[Any], Any]
    ) -> None:
        """Join a widget and the field.

        Args:
            widget: The widget.
            enter: Takes the field's path and what is entered.
            read: What a widget's value enters; None for nothing.
            face: How the field's value looks in the widget; None leaves it as it is.
        """

        def changed(value: Any) -> None:
            parts = value if isinstance(value, (tuple, list)) else (value,)
            if any(isinstance(part, float) and not math.isfinite(part) for part in parts):
                return  # no widget of a page sends this
            entered = read(value)
            if entered is not None:
                self._hand = widget
                enter(self.field.path, entered)

        widget.on_update(from_page(self._loop, changed, key=("row", self.field.path, len(self._faces))))
        self._faces.append((widget, face))

    def _check(self) -> None:
        box = self._gui.add_checkbox(self._label, bool(self.field.value), hint=self.field.tooltip)
        self._follow(box, self._edits.commit, bool, bool)

    def _choice(self) -> None:
        field, choices = self.field, self.field.choices
        value = str(field.value) if str(field.value) in choices else choices[0]
        menu = self._gui.add_dropdown(self._label, choices, initial_value=value, hint=field.tooltip)
        self._follow(menu, self._edits.commit, str, lambda value: str(value) if str(value) in choices else None)

    def _slider(self) -> None:
        field, step, kind = self.field, step_of(self.field), float if self.field.kind == "float" else int
        low, high = kind(field.ge), kind(field.le)  # type: ignore[arg-type]

        def face(value: Any) -> Any:
            return kind(min(max(value, low), high)) if isinstance(value, (int, float)) else None

        slider = self._gui.add_slider(
            self._label, low, high, kind(step), _or(face(field.value), low), marks=(), hint=field.tooltip
        )
        slider.precision = DIGITS if kind is float else 0
        self._follow(slider, self._edits.move, lambda value: kind(tidy(value, step)), face)

    def _number(self) -> None:
        field, step, kind = self.field, step_of(self.field), float if self.field.kind == "float" else int

        def face(value: Any) -> Any:
            return kind(value) if isinstance(value, (int, float)) else None

        low = None if field.ge is None else kind(field.ge)
        high = None if field.le is None else kind(min(field.le, WHOLE))
        number = self._gui.add_number(
            self._label, _or(face(field.value), low or kind(0)), min=low, max=high, step=kind(step), hint=field.tooltip
        )
        number.precision = DIGITS if kind is float else 0
        self._follow(number, self._edits.move, kind, face)

    def _range(self) -> None:
        """Two thumbs on the allowed range, and both ends as numbers that take what is typed."""
        field, step = self.field, step_of(self.field)
        low, high = float(field.ge), float(field.le)  # type: ignore[arg-type]

        def thumbs(value: Any) -> tuple[float, float] | None:
            ends = ends_of(value)
            inside = ends is not None and low <= ends[0] <= ends[1] <= high
            return ends if inside else None

        def drawn(value: tuple[float, ...]) -> Any:
            if len(value) != 2:
                return None
            lo, hi = sorted(min(max(tidy(end, step), low), high) for end in value)
            return Interval(lo, hi)

        slider = self._gui.add_multi_slider(
            self._label, low, high, float(step), thumbs(field.value) or (low, high),
            min_range=1e-9, marks=(), hint=field.tooltip,
        )  # fmt: skip
        slider.precision = DIGITS
        self._follow(slider, self._edits.move, drawn, thumbs)
        numbers = self._gui.add_vector2("", ends_of(field.value) or (low, high), step=step, hint=field.tooltip)
        numbers.precision = DIGITS
        self._follow(numbers, self._edits.move, lambda value: value if len(value) == 2 else None, ends_of)

    def _text(self) -> None:
        field = self.field
        told = f"{field.tooltip}\n{empty}" if (empty := _empty_words(field)) else field.tooltip
        entry = self._gui.add_text(self._label, self._write(field.value), hint=told)

        def face(value: Any) -> str | None:
            text = self._read(entry.value)
            same = text in (value, as_text(value) if value is not None else None) or _says(text, value)
            return None if same else self._write(value)

        # typed text is entered as it is once nobody types any more; an empty one is told apart from none by the model
        self._follow(entry, self._edits.type, lambda text: self._read(text) or "", face)
        if field.picks:
            button = self._gui.add_button("", icon=icon_of("folder-open"), color=QUIET)
            button.on_click(from_page(self._loop, lambda value: self._pick(field)))

    def _write(self, value: Any) -> str:
        """A value as text: paths in the folder of relative ones as these."""
        if value is None:
            return ""
        text = as_text(value)
        if self.field.picks and Path(text).is_absolute() and Path(text).is_relative_to(self._home):
            return Path(text).relative_to(self._home).as_posix()
        return text

    def _read(self, text: str) -> Any:
        """What a text enters: None for an empty one, a path in full."""
        text = text.strip()
        if not text:
            return None
        if self.field.kind == "path" and "\0" not in text and not text.startswith("~"):
            return self._home / text
        return text


def _says(text: Any, value: Any) -> bool:
    """Whether a text is a number's, in whatever spelling."""
    try:
        return isinstance(text, str) and isinstance(value, float) and float(text) == value
    except ValueError:
        return False


def ends_of(value: Any) -> tuple[float, float] | None:
    """Both ends of an interval, or of what was entered in its place."""
    if isinstance(value, Interval):
        return value.lo, value.hi
    parts = str(value).split(",") if value is not None else []
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        return None
    return low, high


def _or(value: Any, other: Any) -> Any:
    return other if value is None else value


def _empty_words(field: Field) -> str:
    """What an empty text means."""
    words = hint(field)
    return f"Empty: {words}." if words and field.optional else ""
