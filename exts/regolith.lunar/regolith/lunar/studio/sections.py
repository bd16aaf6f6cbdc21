"""The panel's sections on the page, built by one function from the view-model's forms."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.panel.forms import Field, Section
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.presentation import BUTTONS, labels
from regolith.lunar.studio.edits import Edits
from regolith.lunar.studio.parts import QUIET, ActionButton, assign, from_page, icon_of, marked
from regolith.lunar.studio.path_rows import PathRows
from regolith.lunar.studio.rows import Row

if TYPE_CHECKING:
    from viser import GuiApi

    from regolith.lunar.studio.loop import Loop


class SectionView:
    """One collapsable section: a header that opens it, and rows that are made when they are first shown."""

    def __init__(
        self, gui: GuiApi, loop: Loop, model: PanelModel, edits: Edits, section: Section, *,
        home: Path, pick: Callable[[Field], object], extra: Callable[[], Any] | None = None,
    ) -> None:  # fmt: skip
        """Build it in the present container.

        Args:
            gui: Of the server.
            loop: Everything here happens on it.
            model: The panel's model.
            edits: Takes what the user enters.
            section: The form on show.
            home: Folder relative paths lie in.
            pick: Lets the user choose a path for a field.
            extra: Builds more rows below the first group's; called when the section is first opened.
        """
        self._gui, self._loop, self._model, self._edits, self.section = gui, loop, model, edits, section
        self._home, self._pick, self._extra = home, pick, extra
        self.open = not section.collapsed
        self._found: Collection[str] | None = None
        self._head = gui.add_button(section.title, icon=icon_of("chevron-right"), color=QUIET)
        self._head.on_click(from_page(loop, lambda value: self.toggle()))
        self._body = gui.add_folder(None)
        self.rows: dict[str, Row | PathRows] = {}
        self._groups: dict[str, Any] = {}
        self._buttons: list[ActionButton] = []
        self._more: Any = None
        self._tail: Any = None
        self._reset: Any = None
        self.refresh()

    def toggle(self) -> None:
        """Open or shut it."""
        self.open = not self.open
        self.refresh()

    def find(self, paths: Collection[str] | None) -> None:
        """Show only some fields; None for all, where the section is open."""
        if paths != self._found:
            self._found = paths
            self.refresh()

    def refresh(self) -> None:
        """Show what belongs on show now, and the section's state."""
        found, searching = self._found or (), self._found is not None
        shown = bool(found) if searching else self.open
        assign(self._head, "visible", bool(found) or not searching)
        self._refresh_head()
        if shown:
            self._build()
        assign(self._body, "visible", shown)
        if not shown:
            return
        groups: set[str] = set()
        for path, row in self.rows.items():
            on = path in found if searching else True
            row.show(on)
            if on:
                groups.add(row.field.group)
        for name, heading in self._groups.items():
            assign(heading, "visible", name in groups)
        assign(self._tail, "visible", not searching)
        if self._more is not None:
            assign(self._more, "visible", not searching)

    def refresh_rows(self, paths: Collection[str]) -> None:
        """Show fields anew."""
        mine = [field.path for field in self.section.fields if field.path in paths]
        for path in mine:
            if path in self.rows:
                self.rows[path].refresh()
        if mine:
            self._refresh_head()

    def refresh_actions(self) -> None:
        """Show the buttons anew."""
        for button in self._buttons:
            button.refresh()

    def _refresh_head(self) -> None:
        changed = sum(field.changed for field in self.section.fields)
        wrong = sum(bool(field.problem) for field in self.section.fields)
        words = [self.section.title]
        if wrong:
            words.append(f"{wrong} not allowed")
        if changed:
            words.append(f"{changed} changed")
        assign(self._head, "label", "  ·  ".join(words))
        assign(self._head, "color", "red" if wrong else QUIET)
        assign(self._head, "icon", icon_of("chevron-down" if self.open or self._found else "chevron-right"))
        if self._reset is not None:
            assign(self._reset, "disabled", not changed)

    def _build(self) -> None:
        """Make what the section holds; the rows themselves come when they are shown."""
        if self._tail is not None:
            return
        section, names = self.section, labels(self.section.fields)
        with self._body:
            for field in section.fields:
                if field.group and field.group not in self._groups:
                    if self._groups and self._more is None and self._extra is not None:
                        self._add_extra()
                    self._groups[field.group] = marked(self._gui, "group", field.group)
                self.rows[field.path] = self._row(field, names[field.path])
            self._tail = self._gui.add_folder(None)
            with self._tail:
                self._add_buttons()

    def _row(self, field: Field, label: str) -> Row | PathRows:
        if field.kind == "keys":
            return PathRows(self._gui, self._loop, self._model, self._edits, field)
        return Row(self._gui, self._loop, self._edits, field, label, home=self._home, pick=self._pick)

    def _add_extra(self) -> None:
        assert self._extra is not None
        self._more = self._gui.add_folder(None)
        with self._more:
            self._extra()

    def _add_buttons(self) -> None:
        key, title = self.section.key, self.section.title.lower()
        for row in BUTTONS.get(key, ()):
            for name in row:
                action = self._model.actions.get(name)
                if action is not None:  # one that only makes sense with a field the host withholds is not there
                    self._buttons.append(ActionButton(self._gui, self._loop, action, self._edits.press, color=QUIET))
        self._reset = self._gui.add_button(f"Reset {title}", icon=icon_of("restore"), color=QUIET)
        self._reset.on_click(from_page(self._loop, lambda value: self._reset_all()))
        self._refresh_head()

    def _reset_all(self) -> None:
        self._edits.settle()
        self._model.reset_section(self.section.key)
