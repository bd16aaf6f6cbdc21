"""The panel's model: fields, undo, files, actions and what is under way, for any view."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from regolith.lunar.panel.forms import Field, Section
from regolith.lunar.panel.host import Host, LiveState
from regolith.lunar.panel.observe import Callback, Subscription
from regolith.lunar.panel.work import Work
from regolith.lunar.params import Params


class Action:
    """A button: `action:KEY` is its widget's identifier; the same object for the panel's whole life."""

    key: str
    label: str
    """Changes with the state: `Start training`, `Stop training`."""
    tooltip: str
    enabled: bool
    reason: str
    """Why it is not enabled, empty where it is; a view shows it as the tooltip of the greyed button."""

    def run(self) -> None:
        """Do it; where it is not enabled, tell the user the reason instead."""
        ...


class PanelModel:
    """State of the panel. It outlives any window; all calls on the host's main thread."""

    sections: tuple[Section, ...]
    """Their `Field` objects stay the same; `value`, `default` and `message` follow the state."""
    actions: dict[str, Action]
    """Keys: author, randomize, preview, choose_model, export, pause, cancel, train, use_model, evaluate,
    evaluate_photos, report, open_folder, choose_python, undo, redo, load, save."""
    works: dict[str, Work]
    """Keys: stage, export, training, evaluate, model."""
    live: LiveState | None
    """The running preview."""
    preset: str
    """Preset the parameters started from."""
    file: Path | None
    """File the parameters were loaded from or saved to."""

    def __init__(self, host: Host, *, preset: str = "v3", clock: Callable[[], float] = time.monotonic) -> None: ...

    # fields
    def field(self, path: str) -> Field: ...
    def set(self, path: str, value: Any) -> None:
        """While a slider moves: no undo step, only cheap reactions (sun and material, not terrain)."""

    def commit(self, path: str, value: Any) -> None:
        """On release, enter, click: one undo step; a terrain rebuild starts here."""

    def reset(self, path: str) -> None: ...
    def reset_section(self, key: str) -> None: ...
    def search(self, text: str) -> list[Field]: ...

    # history and files
    @property
    def can_undo(self) -> bool: ...
    @property
    def can_redo(self) -> bool: ...
    @property
    def dirty(self) -> bool: ...
    def undo(self) -> bool: ...
    def redo(self) -> bool: ...
    def use_preset(self, name: str) -> bool: ...
    def load(self, path: Path) -> bool: ...
    def save(self, path: Path) -> bool: ...

    # state
    @property
    def params(self) -> Params:
        """The last valid parameters."""
        ...

    @property
    def valid(self) -> bool:
        """Whether no field has a message."""
        ...

    def subscribe(self, callback: Callback) -> Subscription: ...
    def tick(self) -> None:
        """Once a frame, on the main thread: looks at tasks and runs, never waits, tells the observers."""

    def stage_closed(self) -> None:
        """Called by the host when the stage `Host.author` opened was closed or replaced by something else."""

    def close(self) -> None:
        """End previews and in-process work, let go of companions: they run on and are found again."""
