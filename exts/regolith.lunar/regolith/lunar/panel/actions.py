"""The panel's buttons: what they are called now, whether they can be pressed, and why not."""

from __future__ import annotations

from collections.abc import Callable


def _nothing() -> str:
    return ""


class Action:
    """A button; `action:KEY` is its widget's identifier. The same object for the panel's whole life."""

    def __init__(
        self,
        key: str,
        label: str | Callable[[], str],
        tooltip: str,
        run: Callable[[], None],
        *,
        reason: Callable[[], str] = _nothing,
        refuse: Callable[[str], None],
    ) -> None:
        """Make it.

        Args:
            key: Name in `PanelModel.actions`.
            label: Text, or what says it for the present state.
            tooltip: One sentence on what it does.
            run: Does it.
            reason: Says why it cannot be done now; empty where it can.
            refuse: Shows that reason to a user who asks for it all the same.
        """
        self.key, self.tooltip = key, tooltip
        self._say, self._do, self._ask, self._refuse = label, run, reason, refuse
        self.label = label if isinstance(label, str) else label()
        """Changes with the state: `Start training`, `Stop training`."""
        self.reason = reason()
        """Why it is not enabled, empty where it is; a view shows it as the tooltip of the greyed button."""

    @property
    def enabled(self) -> bool:
        """Whether it can be pressed."""
        return not self.reason

    def refresh(self) -> bool:
        """Bring label and reason up to date; whether either changed."""
        label = self._say if isinstance(self._say, str) else self._say()
        now = (label, self._ask())
        changed = now != (self.label, self.reason)
        self.label, self.reason = now
        return changed

    def run(self) -> None:
        """Do it; where it is not enabled, tell the user the reason instead."""
        self.refresh()
        if self.reason:
            self._refuse(f"{self.label}: {self.reason}")
        else:
            self._do()
