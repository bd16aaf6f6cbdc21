"""The page: what the rover sees on the left, the stage in the middle, the parameters on the right.

Server-scoped: every tab shows the same, and a tab that comes later or again shows what the others show.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.panel.forms import Field, Section
from regolith.lunar.panel.host import Host, Pick
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.observe import Change
from regolith.lunar.panel.presentation import MAIN
from regolith.lunar.studio import style
from regolith.lunar.studio.commands import Commands
from regolith.lunar.studio.edits import Edits
from regolith.lunar.studio.frame import FrameRows
from regolith.lunar.studio.parts import QUIET, ActionButton, assign, from_page, icon_of, marked
from regolith.lunar.studio.sections import SectionView
from regolith.lunar.studio.welcome import Welcome
from regolith.lunar.studio.works import WorkView

if TYPE_CHECKING:
    from viser import ViserServer

    from regolith.lunar.studio.loop import Loop

ICONS: dict[str, str] = {
    "author": "mountain", "preview": "eye", "generate": "photo-down", "train": "chart-line",
    "undo": "arrow-back", "redo": "arrow-forward", "load": "folder", "save": "device-floppy",
}  # fmt: skip
TOOLS = ("undo", "redo", "load", "save")
SEARCH_S = 0.12
"""Time without a key after which is searched [s]."""


class Page:
    """View of a `PanelModel`; everything on the loop's thread."""

    def __init__(
        self, server: ViserServer, loop: Loop, model: PanelModel, host: Host, picture: Callable[[], object]
    ) -> None:
        """Build it.

        Args:
            server: Of the pages.
            loop: Everything here happens on it.
            model: What is shown.
            host: Remembers what was dismissed, lets the user choose paths.
            picture: Builds the widgets of the rover's picture in the container that is open when it is called.
        """
        self._server, self._gui, self._loop, self._model, self._host = server, server.gui, loop, model, host
        self._edits = Edits(loop, model)
        self._edits.rested = lambda path: self._refresh_fields({path})
        self._sections: list[SectionView] = []
        self._works: dict[str, WorkView] = {}
        self._buttons: list[ActionButton] = []
        self._frame: FrameRows | None = None
        self._query = ""
        self._build(picture)
        self._subscription = model.subscribe(self._changed)

    # building

    def _build(self, picture: Callable[[], object]) -> None:
        gui = self._gui
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, brand_color=style.BRAND)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(style.RIGHT)
        gui.add_html(f'<i class="rl-params"></i><style>{style.CSS}</style>')
        with gui.add_folder("Tools"):
            self._build_top()
        for section in self._model.sections:
            self._sections.append(
                SectionView(
                    gui, self._loop, self._model, self._edits, section, home=self._host.data_folder, pick=self._choose,
                    extra=self._build_frame if section.key == "stage" else None,
                )
            )  # fmt: skip
        self._none = marked(gui, "note", "No parameter has these words.", visible=False)
        with gui.add_folder("Main"):
            self._build_foot()
        camera = gui.add_panel()
        with camera.add_tab("Rover camera", icon_of("camera")):
            picture()
        camera.dock_left()
        camera.set_width(style.LEFT)
        self._build_works(camera)
        self._commands = Commands(gui, self._loop, self._model, self._edits.press)
        self._welcome = Welcome(self._server, self._loop, self._host)

    def _build_top(self) -> None:
        gui, model = self._gui, self._model
        marked(gui, "fixed top")
        hint = "Scene generation all parameters start from."
        self._preset = gui.add_dropdown("Preset", model.presets, initial_value=model.preset, hint=hint)
        self._preset.on_update(from_page(self._loop, self._use_preset))
        for key in TOOLS:
            self._button(key, label=False)
        self._search = gui.add_text("Search", "", hint="Show only parameters whose name or help has these words.")
        self._search.on_update(
            from_page(self._loop, lambda text: self._loop.later(SEARCH_S, self._find, text, key="search"))
        )
        self._file = gui.add_html(self._file_words())

    def _build_foot(self) -> None:
        marked(self._gui, "fixed foot")
        self._summary = self._gui.add_html("", visible=False)
        self._stage = self._gui.add_html("")
        for key in MAIN:
            self._button(key)
        self._refresh_summary()
        self._refresh_stage()

    def _button(self, key: str, *, label: bool = True) -> None:
        action, color = self._model.actions[key], None if key == "author" else QUIET
        press = self._edits.press
        self._buttons.append(
            ActionButton(self._gui, self._loop, action, press, icon=ICONS[key], color=color, label=label)
        )

    def _build_frame(self) -> None:
        self._frame = FrameRows(self._gui, self._loop, self._model)

    def _build_works(self, camera: Any) -> None:
        self._work_panel = self._gui.add_panel(visible=False)
        with self._work_panel.add_tab("Work", icon_of("activity")):
            marked(self._gui, "works")
            for key, work in self._model.works.items():
                if key == "stage":  # a line above the main buttons says what it is doing
                    continue
                self._works[key] = WorkView(self._gui, self._loop, self._model, work, self._edits.press)
        self._work_panel.dock_below(camera)
        self._show_works()

    # following the model

    def _changed(self, change: Change) -> None:
        if change.kind == "fields":
            self._refresh_fields(
                change.keys or {field.path for view in self._sections for field in view.section.fields}
            )
        elif change.kind == "actions":
            self._refresh_actions()
        elif change.kind == "work":
            for key in change.keys or self._works:
                if key in self._works:
                    self._works[key].refresh()
                elif key == "stage":
                    self._refresh_stage()
            self._show_works()
        elif change.kind == "history":
            assign(self._preset, "value", self._model.preset)
            assign(self._file, "content", self._file_words())
        elif change.kind == "shot" and self._frame is not None:
            self._frame.refresh()

    def _refresh_fields(self, paths: Any) -> None:
        for view in self._sections:
            view.refresh_rows(paths)
        self._refresh_summary()

    def _refresh_actions(self) -> None:
        for button in self._buttons:
            button.refresh()
        for view in self._sections:
            view.refresh_actions()
        for work in self._works.values():
            work.refresh_actions()
        self._commands.refresh()

    def _refresh_summary(self) -> None:
        wrong = wrong_fields([view.section for view in self._sections])
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        text = f"Not allowed: {', '.join(wrong[:3])}{more}" if wrong else ""
        assign(self._summary, "content", f'<div class="rl-message rl-summary" role="status">{html.escape(text)}</div>')
        assign(self._summary, "visible", bool(wrong))

    def _refresh_stage(self) -> None:
        work = self._model.works["stage"]
        name = "message rl-summary" if work.state == "failed" else "note"
        text = html.escape(f"{work.title}: {work.text}" if work.text else "")
        words = f'<div class="rl-{name}" data-work="stage" data-state="{work.state}">{text}</div>'
        assign(self._stage, "content", words)

    def _show_works(self) -> None:
        assign(self._work_panel, "visible", any(view.shown for view in self._works.values()))

    def _file_words(self) -> str:
        file, dirty = self._model.file, self._model.dirty
        name = html.escape(file.name) if file else f"preset {html.escape(self._model.preset)}"
        state = " · changed" if dirty else ""
        return f'<div class="rl-note rl-file-state" data-dirty="{str(dirty).lower()}">{name}{state}</div>'

    # what the user does

    def _use_preset(self, name: str) -> None:
        if name != self._model.preset:
            self._edits.settle()
            self._model.use_preset(name)

    def _find(self, text: str) -> None:
        self._query = text.strip()
        found = {field.path for field in self._model.search(self._query)} if self._query else None
        for view in self._sections:
            view.find(None if found is None else {field.path for field in view.section.fields if field.path in found})
        assign(self._none, "visible", found is not None and not found)

    def _choose(self, field: Field) -> None:
        """Let the user choose the path of a field."""
        kind = "folder" if field.picks == "folder" else "file"
        start = Path(self._host.data_folder / str(field.value)) if field.value else None
        self._model.choose(Pick(field.label, kind, start), lambda place: self._edits.commit(field.path, str(place)))

    def close(self) -> None:
        """Follow the model no more; the widgets end with the server."""
        self._subscription.close()


def wrong_fields(sections: Sequence[Section]) -> list[str]:
    """Name the fields whose value is not allowed; one whose name others have too, with its section or heading."""
    count = Counter(field.label for section in sections for field in section.fields)
    names: list[str] = []
    for section in sections:
        here = Counter(field.label for field in section.fields)
        for field in section.fields:
            if field.problem:
                place = section.title if here[field.label] == 1 else field.group or section.title
                names.append(field.label if count[field.label] == 1 else f"{place}: {field.label}")
    return names
