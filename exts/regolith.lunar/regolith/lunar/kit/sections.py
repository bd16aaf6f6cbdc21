"""The panel's sections, built by one function from the view-model's forms."""

# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import omni.ui as ui

from regolith.lunar.kit import style
from regolith.lunar.kit.buttons import ActionButton
from regolith.lunar.kit.path_rows import PathRow
from regolith.lunar.kit.rows import Row
from regolith.lunar.kit.works import Bar, Lines, Log, MetricPlot, Pictures
from regolith.lunar.panel.forms import Field, Section
from regolith.lunar.panel.host import Pick
from regolith.lunar.panel.model import Action, PanelModel
from regolith.lunar.panel.presentation import BUTTONS, CURVES, WORKS, labels

Choose = Callable[[Pick, Callable[[Path], None]], None]
FieldRow = Row | PathRow
View = Bar | Lines | Log | MetricPlot | Pictures


class SectionView:
    """One collapsable section."""

    def __init__(
        self, model: PanelModel, section: Section, choose: Choose, *, collapsed: bool,
        toggled: Callable[[bool], None], more: Iterable[Action] = (),
    ) -> None:  # fmt: skip
        """Build it in the present container.

        Args:
            model: The panel's model.
            section: The form on show.
            choose: Lets the user choose a path.
            collapsed: Whether it starts collapsed.
            toggled: Told when the user collapses or opens it.
            more: Buttons beside those of the model.
        """
        self.rows: dict[str, FieldRow] = {}
        self.buttons: dict[str, ActionButton] = {}
        self.works: dict[str, list[View]] = {}
        self.frame = ui.CollapsableFrame(
            section.title, collapsed=collapsed, height=0, identifier=f"section:{section.key}"
        )
        self.frame.set_collapsed_changed_fn(toggled)
        with self.frame, ui.VStack(height=0, spacing=3):
            self.rows = build_rows(model, section, section.fields, choose)
            with ui.HStack(height=20):
                ui.Spacer()
                ui.Button(
                    f"Reset {section.title.lower()}",
                    name="tool",
                    width=0,
                    tooltip="Give every field of this section its default again",
                    identifier=f"reset:section:{section.key}",
                    clicked_fn=lambda: model.reset_section(section.key),
                )
            for keys in BUTTONS.get(section.key, ()):
                with ui.HStack(height=0, spacing=style.GAP):
                    for key in (key for key in keys if key in model.actions):
                        self.buttons[key] = ActionButton(model.actions[key])
            for action in more:
                self.buttons[action.key] = ActionButton(action)
            for key in WORKS.get(section.key, ()):
                self.works[key] = work_views(model, key)

    def close(self) -> None:
        """Drop the subscriptions."""
        self.frame.set_collapsed_changed_fn(None)
        for row in self.rows.values():
            row.close()


def work_views(model: PanelModel, key: str) -> list[View]:
    """Progress, curves (of a training), pictures, table and log of a line of work."""
    work = model.works[key]
    views: list[View] = [Bar(work)]
    views += [MetricPlot(work, curve) for curve in CURVES if key == "training"]
    return [*views, Pictures(work), Lines(work), Log(work)]


def build_rows(model: PanelModel, section: Section, fields: Iterable[Field], choose: Choose) -> dict[str, FieldRow]:
    """Build a row for each of some fields of a section, under the headings of their groups."""
    rows: dict[str, FieldRow] = {}
    names = labels(section.fields)
    group = None
    for field in fields:
        if field.group != group:
            group = field.group
            if group:
                ui.Label(group, name="group", height=20)
        keys = field.kind == "keys"
        rows[field.path] = PathRow(model, field) if keys else Row(model, field, choose, names[field.path])
    return rows
