"""What the user's hand is at: live while it moves, one committed edit once it rests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from regolith.lunar.panel.actions import Action
from regolith.lunar.panel.model import PanelModel

if TYPE_CHECKING:
    from regolith.lunar.studio.loop import Loop

REST_S = 0.35
"""A slider or number that has not moved for this long is committed [s]: pages do not say when one is let go."""
TYPING_S = 0.8
"""A text that nobody has typed in for this long is committed [s]."""


class Edits:
    """The edits on their way from the page to the model."""

    def __init__(self, loop: Loop, model: PanelModel) -> None:
        self._loop, self._model = loop, model
        self._pending: dict[str, Any] = {}
        self.rested: Callable[[str], object] = lambda path: None
        """Called with the path of a field that the hand has left."""

    def held(self, path: str) -> bool:
        """Whether the hand is at a field."""
        return path in self._pending

    def move(self, path: str, value: Any) -> None:
        """A slider or number moves: enter its value now, and commit it at rest."""
        self._pending[path] = value
        self._model.set(path, value)
        self._loop.later(REST_S, self._rest, path, key=("rest", path))

    def type(self, path: str, text: Any) -> None:
        """A text is being typed: it says nothing before it is whole."""
        self._pending[path] = text
        self._loop.later(TYPING_S, self._rest, path, key=("rest", path))

    def commit(self, path: str, value: Any) -> None:
        """Enter a value that was chosen."""
        self._pending.pop(path, None)
        self._model.commit(path, value)
        self.rested(path)

    def reset(self, path: str) -> None:
        """Give a field its default."""
        self._pending.pop(path, None)
        self._model.reset(path)
        self.rested(path)

    def settle(self) -> None:
        """Commit what is still on its way, before anything is done with the values."""
        for path in list(self._pending):
            self._rest(path)

    def press(self, action: Action) -> None:
        """Run an action with what is on the page, also what was typed a moment ago."""
        self.settle()
        action.run()

    def _rest(self, path: str) -> None:
        if path in self._pending:
            self.commit(path, self._pending[path])
