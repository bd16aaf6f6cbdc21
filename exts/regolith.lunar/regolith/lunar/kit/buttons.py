"""Buttons of the panel's actions."""

# pyright: reportMissingImports=false
from __future__ import annotations

import omni.ui as ui

from regolith.lunar.kit.text import plain, tooltip
from regolith.lunar.panel.actions import Action
from regolith.lunar.panel.presentation import action_words


def action_tooltip(action: Action) -> str:
    """What an action does, and why it cannot be done now."""
    return tooltip(action_words(action))


class ActionButton:
    """A button that shows an action's label and, greyed, the reason why it cannot be done."""

    def __init__(self, action: Action, *, main: bool = False) -> None:
        self._action, self._main = action, main
        self.widget = ui.Button(
            plain(action.label), height=26 if main else 24, identifier=f"action:{action.key}", clicked_fn=action.run
        )
        self.refresh()

    def refresh(self) -> None:
        """Show the action's present state."""
        action = self._action
        self.widget.text = plain(action.label)
        self.widget.name = ("main" if self._main else "") if action.enabled else "grey"
        self.widget.set_tooltip(action_tooltip(action))
