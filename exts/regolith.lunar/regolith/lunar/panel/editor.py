"""Editing: fields, undo, presets and files, on top of the values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.request import Request, is_request, read_request
from regolith.lunar.dataset.splits import counted
from regolith.lunar.panel.context import PanelContext
from regolith.lunar.panel.forms import Field, Section
from regolith.lunar.panel.values import PRESET, Values, enter, flatten
from regolith.lunar.params import InputError, Params, PictureSize, load_params, load_preset, save_params

HISTORY = 500
"""Undo steps kept."""


class ParameterEditor:
    """The state of the fields, how it became so, and how it is edited."""

    def __init__(self, context: PanelContext, sections: Iterable[Section]) -> None:
        """Start with the context's values.

        Args:
            context: Of the panel.
            sections: The fields that are offered.
        """
        self.sections = tuple(sections)
        """Their `Field` objects stay the same; `value`, `default` and `message` follow the state."""
        self._context = context
        self._fields = {field.path: field for section in self.sections for field in section.fields}
        self._committed = context.values
        self._undo: list[Values] = []
        self._redo: list[Values] = []
        self._depth = 0
        self._saved = flatten(context.values.params)
        self._file: Path | None = None
        self._summary: Any = None
        self._refresh()

    def _edited(self, *, committed: bool) -> None:
        """Called after every edit, for what depends on the values.

        Args:
            committed: Whether it was one on release, rather than while a slider moves.
        """

    # -- fields -------------------------------------------------------------------------------------------------------

    def field(self, path: str) -> Field:
        """Field by its path.

        Raises:
            KeyError: There is none.
        """
        return self._fields[path]

    def search(self, text: str) -> list[Field]:
        """Fields that have every word of a text in their name, heading or help; names first, none for no text."""
        return find_fields(self.sections, text)

    def set(self, path: str, value: Any) -> None:
        """Enter a value while a slider moves: no undo step, only cheap reactions (sun and material, not terrain).

        A value that is not allowed stays entered with a message, and the last allowed one counts; so it is with
        `commit`.

        Args:
            path: Of the field.
            value: As typed, or text, `Path`, a pair for an interval; None or blank for a field that may be left out.

        Raises:
            KeyError: No field has that path.
        """
        self._enter({path: value})
        self._edited(committed=False)

    def commit(self, path: str, value: Any) -> None:
        """Enter a value on release, enter or click: one undo step; a terrain is rebuilt where it has to be.

        Raises:
            KeyError: No field has that path.
        """
        self._commit({path: value})

    def take(self, values: Mapping[str, Any]) -> None:
        """Enter several values, by the paths of their fields, as one undo step.

        Raises:
            KeyError: No field has one of the paths.
        """
        self._commit(values)

    def settle(self) -> None:
        """Make one undo step of what was set and not committed, if anything."""
        self._step()

    def reset(self, path: str) -> None:
        """Give a field what its preset, file or model says, as one undo step.

        Raises:
            KeyError: No field has that path.
        """
        self._commit({path: self._context.values.base[path]})

    def reset_section(self, key: str) -> None:
        """Give a section's fields what their preset, file or model says, as one undo step.

        Raises:
            KeyError: There is no such section.
        """
        sections = {section.key: section for section in self.sections}
        self._commit({field.path: self._context.values.base[field.path] for field in sections[key].fields})

    def ask_for(self, *prefixes: str) -> None:
        """Mark empty fields that something the user wants cannot do without: their messages are then shown.

        Args:
            prefixes: Of the sources whose fields they are; the empty one is that of `Params`.
        """
        problems = self._context.values.problems(*prefixes)
        asked = [path for path in problems if path in self._fields and not self._fields[path].asked]
        for path in asked:
            self._fields[path].asked = True
        if asked:
            self._context.changed("fields", *asked)

    def _enter(self, changes: Mapping[str, Any]) -> None:
        unknown = [path for path in changes if path not in self._fields]
        if unknown:
            raise KeyError(unknown[0])
        self._context.values = enter(self._context.values, changes, refuse=self._context.refuse)
        self._refresh()

    def _commit(self, changes: Mapping[str, Any]) -> None:
        """Enter values and make one undo step of all that changed since the last."""
        self._enter(changes)
        self._step()
        self._edited(committed=True)

    def _step(self) -> None:
        now = self._context.values
        if _same(now, self._committed):
            return
        self._undo = [*self._undo[1 - HISTORY :], self._committed]
        self._redo.clear()
        self._depth += 1
        self._committed = now
        self._tell()

    # -- history ------------------------------------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._undo) or not _same(self._context.values, self._committed)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return bool(self._redo)

    @property
    def undo_depth(self) -> int:
        """Steps made less steps taken back; every change of it is told as `history`. A host's own undo mirrors it."""
        return self._depth

    def undo(self) -> bool:
        """Take back the last step; False where there is none."""
        self._step()  # what a slider did since counts as one
        return self._go(self._undo, self._redo, -1)

    def redo(self) -> bool:
        """Take the last taken-back step again; False where there is none."""
        self._step()
        return self._go(self._redo, self._undo, 1)

    def _go(self, source: list[Values], target: list[Values], steps: int) -> bool:
        if not source:
            return False
        target.append(self._committed)
        self._depth += steps
        self._context.values = self._committed = source.pop()
        self._refresh()
        self._tell()
        self._edited(committed=True)
        return True

    # -- presets and files --------------------------------------------------------------------------------------------

    @property
    def dirty(self) -> bool:
        """Whether the parameters differ from the file or preset they are of, what is not allowed among them."""
        entered = self._context.values.entered
        return any(entered[path] != value for path, value in self._saved.items())

    @property
    def preset(self) -> str:
        """Preset the parameters started from."""
        return self._context.values.good[PRESET]

    @property
    def file(self) -> Path | None:
        """File the parameters were loaded from or saved to."""
        return self._file

    def use_preset(self, name: str) -> bool:
        """Start from a preset, as one undo step; False with a message to the user where there is none of that name."""
        try:
            params = load_preset(name)
        except InputError as error:
            self._context.host.notify(str(error), "error")
            return False
        self._replace(params, None)
        return True

    def load(self, path: Path) -> bool:
        """Take the parameters of a file, as one undo step; False with a message to the user where it cannot be used.

        Of a request (`dataset.request`) also split, frames, size and seed; where it would be drawn into a split that is
        there, it goes into another folder.
        """
        try:
            if is_request(path):
                self._take(read_request(path))
            else:
                self._replace(load_params(path), path)
        except InputError as error:
            self._context.host.notify(str(error), "error")
            return False
        return True

    def _take(self, asked: Request) -> None:
        out = self._context.absolute(self._context.values.good["generate.out"])
        while (out / asked.split).exists():
            out = out.with_name(f"{out.name}-again")
        size = PictureSize(*asked.size)
        export = {"split": asked.split, "frames": asked.frames, "size": size, "seed": asked.seed, "out": out}
        self._replace(asked.parameters(), None, {f"generate.{name}": value for name, value in export.items()})
        self._context.host.notify(f"Request of {asked.made_by}: {counted(asked.frames, 'frame')}, to export into {out}")

    def _replace(self, params: Params, file: Path | None, beside: Mapping[str, Any] | None = None) -> None:
        """Start from parameters, and enter values of other fields beside them."""
        self._step()
        flat = {path: value for path, value in flatten(params).items() if path in self._fields or path == PRESET}
        entered = enter(self._context.values, flat | dict(beside or {}))
        base = dict(entered.base) | flat
        self._context.values = Values(entered.entered, entered.good, entered.models, entered.messages, base)
        self._saved, self._file = flat, file
        self._refresh()
        self._step()
        self._tell()
        self._edited(committed=True)

    def save(self, path: Path) -> bool:
        """Write the parameters that count; False with a message to the user where the file cannot be written."""
        params = self._context.values.params
        try:
            self._context.check_inside("params", path)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_params(params, path)
        except InputError as error:
            self._context.host.notify(str(error), "error")
            return False
        except OSError as error:
            allowed = f"a path that can be written ({error.strerror})"
            self._context.host.notify(str(InputError("params", str(path), allowed)), "error")
            return False
        self._saved, self._file = flatten(params), path
        self._tell()
        self._edited(committed=True)
        return True

    # -- what a view shows --------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        values = self._context.values
        changed = []
        for path, field in self._fields.items():
            now = (values.entered[path], values.base[path], values.messages.get(path, ""))
            field.asked = field.asked and bool(now[2])
            if now != (field.value, field.default, field.message) or type(now[0]) is not type(field.value):
                field.value, field.default, field.message = now
                changed.append(path)
        if changed:
            self._context.changed("fields", *changed)
            self._tell()

    def _tell(self) -> None:
        """Tell the observers of undo, redo, dirty, file and preset, where one of them changed."""
        now = (self._depth, self.can_undo, self.can_redo, self.dirty, self._file, self.preset)
        if now != self._summary:
            self._summary = now
            self._context.changed("history")


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
