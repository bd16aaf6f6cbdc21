"""Editing: fields, undo, presets and files, on top of the values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from regolith.lunar.panel.desk import Desk
from regolith.lunar.panel.forms import Field, Section
from regolith.lunar.panel.values import PRESET, Values, enter, flatten
from regolith.lunar.params import InputError, Params, load_params, load_preset, save_params

HISTORY = 500
"""Undo steps kept."""


class Entry:
    """The state of the fields, and how it became so."""

    def __init__(self, desk: Desk, sections: Iterable[Section]) -> None:
        self._desk = desk
        self.fields = {field.path: field for section in sections for field in section.fields}
        self._committed = desk.values
        self._undo: list[Values] = []
        self._redo: list[Values] = []
        self.depth = 0
        """Steps made less steps taken back; a host's own undo mirrors it."""
        self._saved = flatten(desk.values.params)
        self._summary: Any = None
        self.file: Path | None = None
        self._refresh()

    # -- edits --------------------------------------------------------------------------------------------------------

    def set(self, changes: Mapping[str, Any]) -> None:
        """Enter values without an undo step.

        Raises:
            KeyError: No field has that path.
        """
        unknown = [path for path in changes if path not in self.fields]
        if unknown:
            raise KeyError(unknown[0])
        self._desk.values = enter(self._desk.values, changes, refuse=self._desk.refuse)
        self._refresh()

    def commit(self, changes: Mapping[str, Any]) -> None:
        """Enter values and make one undo step of all that changed since the last."""
        self.set(changes)
        self._step()

    def _step(self) -> None:
        now = self._desk.values
        if _same(now, self._committed):
            return
        self._undo = [*self._undo[1 - HISTORY :], self._committed]
        self._redo.clear()
        self.depth += 1
        self._committed = now
        self._tell()

    def reset(self, paths: Iterable[str]) -> None:
        """Give fields what their preset, file or model says, as one undo step."""
        self.commit({path: self._desk.values.base[path] for path in paths})

    # -- history ------------------------------------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._undo) or not _same(self._desk.values, self._committed)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return bool(self._redo)

    def undo(self) -> bool:
        """Take back the last step; False where there is none."""
        self._step()  # what a slider did since counts as one
        if not self._undo:
            return False
        self._redo.append(self._committed)
        self.depth -= 1
        self._go(self._undo.pop())
        return True

    def redo(self) -> bool:
        """Take the last taken-back step again; False where there is none."""
        self._step()
        if not self._redo:
            return False
        self._undo.append(self._committed)
        self.depth += 1
        self._go(self._redo.pop())
        return True

    def _go(self, values: Values) -> None:
        self._desk.values = self._committed = values
        self._refresh()
        self._tell()

    # -- presets and files --------------------------------------------------------------------------------------------

    @property
    def dirty(self) -> bool:
        """Whether the parameters differ from the file or preset, what is not allowed among them."""
        entered = self._desk.values.entered
        return any(entered[path] != value for path, value in self._saved.items())

    def use_preset(self, name: str) -> bool:
        """Start from a preset, as one undo step; False with a message where there is none of that name."""
        try:
            params = load_preset(name)
        except InputError as error:
            self._desk.host.notify(str(error), "error")
            return False
        self._replace(params, None)
        return True

    def load(self, path: Path) -> bool:
        """Take the parameters of a file, as one undo step; False with a message where it cannot be used."""
        try:
            params = load_params(path)
        except InputError as error:
            self._desk.host.notify(str(error), "error")
            return False
        self._replace(params, path)
        return True

    def _replace(self, params: Params, file: Path | None) -> None:
        self._step()
        flat = {path: value for path, value in flatten(params).items() if path in self.fields or path == PRESET}
        entered = enter(self._desk.values, flat)
        base = dict(entered.base) | flat
        self._desk.values = Values(entered.entered, entered.good, entered.models, entered.messages, base)
        self._saved, self.file = flat, file
        self._refresh()
        self._step()
        self._tell()

    def save(self, path: Path) -> bool:
        """Write the parameters that count to a file; False with a message where that cannot be."""
        params = self._desk.values.params
        try:
            self._desk.check_inside("params", path)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_params(params, path)
        except InputError as error:
            self._desk.host.notify(str(error), "error")
            return False
        except OSError as error:
            allowed = f"a path that can be written ({error.strerror})"
            self._desk.host.notify(str(InputError("params", str(path), allowed)), "error")
            return False
        self._saved, self.file = flatten(params), path
        self._tell()
        return True

    # -- what a view shows --------------------------------------------------------------------------------------------

    @property
    def preset(self) -> str:
        """Preset the parameters started from."""
        return self._desk.values.good[PRESET]

    def _refresh(self) -> None:
        values = self._desk.values
        changed = []
        for path, field in self.fields.items():
            now = (values.entered[path], values.base[path], values.messages.get(path, ""))
            if now != (field.value, field.default, field.message) or type(now[0]) is not type(field.value):
                field.value, field.default, field.message = now
                changed.append(path)
        if changed:
            self._desk.changed("fields", *changed)
            self._tell()

    def _tell(self) -> None:
        """Tell the observers of undo, redo, dirty, file and preset, where one of them changed."""
        now = (self.depth, self.can_undo, self.can_redo, self.dirty, self.file, self.preset)
        if now != self._summary:
            self._summary = now
            self._desk.changed("history")


def _same(one: Values, other: Values) -> bool:
    return one is other or (one.entered == other.entered and one.good == other.good and one.base == other.base)


def find_fields(sections: Iterable[Section], text: str) -> list[Field]:
    """Fields with every word of a text in label, path, heading, section or help; those with them in the label first."""
    words = text.casefold().split()
    if not words:
        return []
    found: list[tuple[bool, Field]] = []
    for section in sections:
        for field in section.fields:
            label = f"{field.label} {field.path} {field.path.replace('_', ' ')}".casefold()
            rest = f"{field.group} {section.title} {field.unit} {field.tooltip}".casefold()
            if all(word in label or word in rest for word in words):
                found.append((not all(word in label for word in words), field))
    return [field for _, field in sorted(found, key=lambda entry: entry[0])]
