"""Every action of the panel in the command palette (Ctrl+K), the frequent ones with a key of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from regolith.lunar.panel.actions import Action
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.presentation import action_words
from regolith.lunar.studio.parts import assign

if TYPE_CHECKING:
    from viser import GuiApi

    from regolith.lunar.studio.loop import Loop

KEYS: dict[str, tuple[Any, Any]] = {
    "undo": ("Z", "cmd/ctrl"),
    "redo": ("Z", "cmd/ctrl+shift"),
    "save": ("S", "cmd/ctrl"),
    "load": ("O", "cmd/ctrl"),
    "author": ("enter", "cmd/ctrl"),
    "randomize": ("N", "alt"),
    "exact": ("X", "alt"),
    "preview": ("L", "alt"),
    "generate": ("E", "alt"),
    "train": ("T", "alt"),
}
"""Action to key and modifiers. Letters alone move the 3D view."""

REST_S = 0.6
"""Time without a change after which commands follow [s]: viser's page draws the 3D view before it takes one, and all
that comes after it waits."""


class Commands:
    """The palette's commands; kept up to date with the actions."""

    def __init__(self, gui: GuiApi, loop: Loop, model: PanelModel, press: Callable[[Action], object]) -> None:
        """Register them.

        Args:
            gui: Of the server.
            loop: Calls `press`.
            model: The panel's model.
            press: Runs an action.
        """
        self._loop = loop
        self._commands: list[tuple[Action, Any]] = []
        for action in model.actions.values():
            key, modifier = KEYS.get(action.key, (None, None))
            command = gui.add_command(action.label, description=action_words(action), hotkey=key, modifier=modifier)

            async def trigger(event: Any, action: Action = action) -> None:
                loop.call(press, action)

            command.on_trigger(trigger)
            self._commands.append((action, command))

    def refresh(self) -> None:
        """Show the actions as they are, once they stay so for `REST_S`."""
        self._loop.later(REST_S, self._show, key="commands")

    def _show(self) -> None:
        for action, command in self._commands:
            assign(command, "label", action.label)
            assign(command, "description", action_words(action))
