"""The panel's window: toolbar, search, sections, main buttons. It holds no state: hiding it destroys it."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

import omni.ui as ui
from omni.kit.menu.utils import MenuHelperWindow

from regolith.lunar.kit import style
from regolith.lunar.kit.buttons import ActionButton, action_tooltip
from regolith.lunar.kit.controller import Controller
from regolith.lunar.kit.sections import SectionView, build_rows
from regolith.lunar.kit.text import plain, tooltip
from regolith.lunar.kit.works import Line
from regolith.lunar.panel.observe import Change
from regolith.lunar.panel.presentation import MAIN, live_words
from regolith.lunar.params import preset_names

TITLE = "Regolith Lunar"


class RegolithWindow(MenuHelperWindow):
    """A view of the controller's model; docks beside Property."""

    def __init__(self, controller: Controller) -> None:
        super().__init__(TITLE, width=style.WIDTH, height=style.HEIGHT)
        self._controller = controller
        self._model = controller.model
        self._sections: list[SectionView] = []
        self._rows: dict[str, Any] = {}
        self._buttons: list[ActionButton] = []
        self._lines: dict[str, Line] = {}
        self._tools: dict[str, ui.Button] = {}
        self._updating = False
        self._query = ""
        self._subscriptions: list[Any] = []
        self.deferred_dock_in("Property", ui.DockPolicy.DO_NOTHING)
        self.frame.set_build_fn(self._build)
        self._observer = self._model.subscribe(self._changed)
        self._check_observer = controller.check.subscribe(self._changed)
        self._drive_observer = controller.drive.subscribe(self._changed)

    # building

    def _build(self) -> None:
        self._drop()
        with ui.VStack(spacing=style.GAP, style=style.PANEL_STYLE):
            self._build_toolbar()
            self._build_search()
            with ui.ScrollingFrame(
                horizontal_scrollbar_policy=ui.ScrollBarPolicy.SCROLLBAR_ALWAYS_OFF, identifier="scroll"
            ):
                self._body = ui.Frame(build_fn=self._build_body)
            self._build_main()
        self._refresh_history()
        self._refresh_live()

    def _build_toolbar(self) -> None:
        with ui.HStack(height=26, spacing=style.GAP):
            ui.Spacer(width=2)
            ui.Label("Preset", width=44, tooltip="Scene generation all parameters start from")
            self._preset = ui.ComboBox(0, *preset_names(), width=64, identifier="preset")
            self._subscriptions.append(self._preset.model.subscribe_item_changed_fn(self._choose_preset))
            for key, text in (("load", "Load"), ("save", "Save")):
                self._tool(key, text)
            self._file = ui.Label("", name="faint", elided_text=True, identifier="file")
            with ui.VStack(width=10):
                ui.Spacer()
                self._dirty = ui.Circle(
                    name="dirty",
                    radius=4,
                    width=10,
                    height=10,
                    tooltip="Changed since it was saved",
                    identifier="dirty",
                )
                ui.Spacer()
            for key, text in (("undo", "Undo"), ("redo", "Redo")):
                self._tool(key, text)
            ui.Spacer(width=2)

    def _tool(self, key: str, text: str) -> None:
        action = self._model.actions[key]
        history = self._controller.history
        run = {"undo": history.undo, "redo": history.redo}.get(key, action.run)
        self._tools[key] = ui.Button(
            text, name="tool", width=0, tooltip=tooltip(action.tooltip), identifier=f"action:{key}", clicked_fn=run
        )

    def _build_search(self) -> None:
        with ui.HStack(height=style.ROW, spacing=style.GAP):
            ui.Spacer(width=2)
            with ui.ZStack():
                field = ui.StringField(
                    identifier="search", tooltip="Show only fields whose name or help has these words"
                )
                field.model.set_value(self._query)
                self._hint = ui.Label("  Search parameters", name="faint", visible=not self._query)
            self._clear = ui.Button(
                "×",
                name="tool",
                width=style.ROW,
                visible=bool(self._query),
                identifier="search:clear",
                clicked_fn=lambda: field.model.set_value(""),
            )
            ui.Spacer(width=2)
        self._subscriptions.append(field.model.subscribe_value_changed_fn(self._searched))

    def _build_body(self) -> None:
        self._close_sections()
        with ui.VStack(height=0, spacing=2):
            if self._query:
                self._build_found()
                return
            for section in self._model.sections:
                view = SectionView(
                    self._model,
                    section,
                    self._model.choose,
                    collapsed=self._controller.collapsed.get(section.key, section.collapsed),
                    toggled=lambda shut, key=section.key: self._controller.collapsed.__setitem__(key, shut),
                    more=(self._controller.drive.action,) if section.key == "traverse" else (),
                )
                self._sections.append(view)
                self._rows |= view.rows

    def _build_found(self) -> None:
        found = {field.path for field in self._model.search(self._query)}
        for section in self._model.sections:
            fields = [field for field in section.fields if field.path in found]
            if fields:
                ui.Label(section.title, name="title", height=26)
                self._rows |= build_rows(self._model, section, fields, self._model.choose)
        if not found:
            ui.Label("No parameter has these words.", name="faint", height=30, alignment=ui.Alignment.CENTER)

    def _build_main(self) -> None:
        with ui.VStack(height=0, spacing=style.GAP):
            ui.Line(height=1)
            self._lines = {key: Line(work) for key, work in self._controller.works.items()}
            with ui.HStack(height=0):
                ui.Spacer(width=4)
                self._live = ui.Label("", name="faint", height=0, visible=False, word_wrap=True, identifier="live")
                ui.Spacer(width=4)
            with ui.HStack(height=28, spacing=style.GAP):
                ui.Spacer(width=2)
                self._buttons = [ActionButton(self._model.actions[key], main=True) for key in MAIN]
                ui.Spacer(width=2)
            ui.Spacer(height=2)

    # following the model

    def _changed(self, change: Change) -> None:
        if change.kind == "fields":
            for path in change.keys or self._rows:
                if path in self._rows:
                    self._rows[path].refresh()
        elif change.kind == "actions":
            self._refresh_actions()
        elif change.kind == "work":
            for key, line in self._lines.items():
                if not change.keys or key in change.keys:
                    line.refresh()
            for view in self._sections:
                for key, shown in view.works.items():
                    if not change.keys or key in change.keys:
                        for part in shown:
                            part.refresh()
        elif change.kind == "live":
            self._refresh_live()
        elif change.kind == "history":
            self._refresh_history()

    def _refresh_actions(self) -> None:
        for button in self._buttons:
            button.refresh()
        for view in self._sections:
            for button in view.buttons.values():
                button.refresh()
        for key, widget in self._tools.items():
            action = self._model.actions[key]
            widget.name = "tool" if action.enabled else "toolgrey"
            widget.set_tooltip(action_tooltip(action))

    def _refresh_history(self) -> None:
        if not self._tools:
            return
        self._updating = True
        try:
            names = preset_names()
            if self._model.preset in names:
                self._preset.model.get_item_value_model().set_value(names.index(self._model.preset))
        finally:
            self._updating = False
        self._dirty.visible = self._model.dirty
        file = self._model.file
        self._file.text = plain(file.name) if file else ""
        self._file.set_tooltip(str(file) if file else "")
        self._refresh_actions()

    def _refresh_live(self) -> None:
        if not self._tools:
            return
        live = self._model.live
        self._live.visible = live is not None
        if live is None:
            return
        self._live.name = "message" if live.problem else "faint"
        self._live.text = plain(live_words(live))

    # what the user does

    def _choose_preset(self, model: Any, item: Any) -> None:
        if not self._updating:
            self._model.use_preset(preset_names()[model.get_item_value_model().as_int])

    def _searched(self, model: Any) -> None:
        self._query = model.as_string.strip()
        self._hint.visible = self._clear_visible(self._query)
        self._body.rebuild()

    def _clear_visible(self, query: str) -> bool:
        self._clear.visible = bool(query)
        return not query

    # end

    def _close_sections(self) -> None:
        for view in self._sections:
            view.close()
        for row in self._rows.values():
            row.close()
        self._sections.clear()
        self._rows.clear()

    def _drop(self) -> None:
        self._subscriptions.clear()
        self._close_sections()
        self._buttons.clear()
        self._lines.clear()
        self._tools.clear()

    def destroy(self) -> None:
        """Leave nothing that holds the model or the controller."""
        self._observer.close()
        self._check_observer.close()
        self._drive_observer.close()
        self._drop()
        self.frame.set_build_fn(None)
        super().destroy()
