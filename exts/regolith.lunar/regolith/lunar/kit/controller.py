"""What lives as long as the extension: the panel's model, its host, the observers. Windows come and go before it."""

from __future__ import annotations

from typing import Any

from regolith.lunar.kit import adapter
from regolith.lunar.kit.check import MachineCheck
from regolith.lunar.kit.drive import AppDrive, Asked
from regolith.lunar.kit.host import KitHost
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.work import Work
from regolith.lunar.physics.traverse import Traverse
from regolith.lunar.render import rtx


class History:
    """The panel's undo steps as steps of Kit's own undo; a step taken back in one is no longer there in the other."""

    def __init__(self, model: PanelModel) -> None:
        self._model = model
        self._depth = model.undo_depth
        self._busy = False
        self._push = adapter.register_undo(self._undo, self._redo)
        self._subscription = model.subscribe(lambda change: self._follow() if change.kind == "history" else None)

    def _follow(self) -> None:
        """Put a step that was just committed on Kit's stack."""
        depth = self._model.undo_depth
        grown, self._depth = depth > self._depth, depth
        if grown and not self._busy:
            self._push(depth)

    def undo(self) -> None:
        """Take a step back from the panel: by Kit's undo where it is next there, so that both stay in step."""
        self._model.settle()
        if self._model.can_undo and adapter.next_undo() == self._model.undo_depth:
            adapter.undo()
        else:
            self._run(self._model.actions["undo"].run)

    def redo(self) -> None:
        """Do it again from the panel."""
        self._model.settle()
        if self._model.can_redo and adapter.next_redo() == self._model.undo_depth + 1:
            adapter.redo()
        else:
            self._run(self._model.actions["redo"].run)

    def _undo(self, step: int) -> None:
        while self._model.undo_depth >= step and self._model.can_undo:  # what a slider did since goes with it
            self._run(self._model.undo)

    def _redo(self, step: int) -> None:
        if self._model.undo_depth < step:
            self._run(self._model.redo)

    def _run(self, function: Any) -> None:
        self._busy = True
        try:
            function()
        finally:
            self._busy = False

    def close(self) -> None:
        """Let go of Kit's stack: our steps on it do nothing any more."""
        self._subscription.close()
        adapter.unregister_undo()


class Controller:
    """Owner of model, host and observers; `close` leaves nothing behind."""

    def __init__(self) -> None:
        self.host = KitHost()
        self.model = PanelModel(self.host)
        self.host.on_stage_lost = self.model.stage_closed
        self.history = History(self.model)
        self.check = MachineCheck(self.host, self._busy)
        self.drive = AppDrive(self.host, self._asked, self._using)
        self.collapsed: dict[str, bool] = {}
        """Sections the user collapsed or opened, by their keys."""
        self._observers = [
            rtx.observe_update(self._tick),
            rtx.observe_stage("CLOSING", self._closing),
            rtx.observe_stage("CLOSED", self._closed),
        ]

    @property
    def works(self) -> dict[str, Work]:
        """The model's lines of work, the check's, and that of the drive in the app."""
        return self.model.works | {work.key: work for work in (self.check.work, self.drive.work)}

    def _asked(self) -> Asked:
        """What is entered of a drive.

        Raises:
            InputError: Something that is not allowed.
        """
        verb = self.model.entered("traverse")
        assert isinstance(verb, Traverse)
        return Asked(verb, 0.5 * self.model.params.terrain.size_m)

    def _using(self) -> str:
        """What has the app; empty where it can be had for a drive."""
        works = (self.check.work, *(self.model.works[key] for key in ("generate", "stage")))
        return next((f"{work.title} is under way" for work in works if work.active), "")

    def _busy(self) -> str:
        """Why a check cannot have the app now; empty where it can."""
        stage = self.host.stage_state()
        if stage is not None and stage.unsaved:
            return f"{stage.name or 'the untitled stage'} has unsaved changes: save it, or open a new stage"
        if self.drive.work.active:
            return "the rover drives: stop it first"
        if self.model.live is not None:
            return "the preview runs: stop it first"
        return next((f"{work.title} is under way" for work in self.model.works.values() if work.active), "")

    def _tick(self, event: Any) -> None:
        self.host.tick()
        self.model.tick()
        self.drive.tick()

    def _closing(self, event: Any) -> None:
        self.host.stage_closing()

    def _closed(self, event: Any) -> None:
        if self.host.stage_closed():
            self.model.stage_closed()

    def close(self) -> None:
        """End previews and exports, let companions run on, give back what was changed."""
        self._observers.clear()
        self.history.close()
        self.check.close()
        self.drive.close()
        self.model.close()
        self.host.close()
