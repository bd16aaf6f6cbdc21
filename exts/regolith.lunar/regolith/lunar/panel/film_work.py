"""The film of the camera's path as a companion: of the keys entered, over the scene of the frame on show."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from regolith.lunar.flythrough.keyframes import save_keyframes
from regolith.lunar.flythrough.verb import OTHER
from regolith.lunar.panel.camera_path import CameraPath
from regolith.lunar.panel.context import PanelContext
from regolith.lunar.panel.film import FILM
from regolith.lunar.panel.host import Question
from regolith.lunar.panel.row_work import RowWork
from regolith.lunar.panel.work import WorkState
from regolith.lunar.randomize import scene_number

NEW, LATER = "New folder", "Not now"


class FilmWork(RowWork):
    """Renders the film."""

    def __init__(self, context: PanelContext, path: CameraPath, enter: Callable[[str, Path], object]) -> None:
        """Make it, with nothing under way.

        Args:
            context: Of the panel.
            path: The camera's path.
            enter: Enters a value by the path of its field.
        """
        super().__init__(context, FILM)
        self._path, self._enter = path, enter

    def problem(self) -> str:
        """Why it cannot be started; empty where it can."""
        return self._path.problem() or super().problem()

    def _ended(self, state: WorkState) -> None:
        super()._ended(state)
        if state == "failed" and OTHER in self.work.text:
            free = self._free(self._out)
            text = f"{self._out.name} has the film of another path. Render into {free.name}?"
            question = Question("Another film", text, (NEW, LATER))
            self._context.after(self._context.host.ask(question), lambda answer: self._answered(answer, free))

    def _free(self, out: Path) -> Path:
        """A folder beside another that is not there yet."""
        return next(path for n in itertools.count(2) if not (path := out.with_name(f"{out.name}-{n}")).exists())

    def _answered(self, answer: str, out: Path) -> None:
        if answer == NEW:
            self._enter("film.out", out)
            if not self.problem() and not self.work.active:
                self.begin_entered()

    def _decided(self) -> dict[str, Any]:
        good = self._context.values.good
        scene = scene_number(self._context.values.params, good["shot.frame"])
        return super()._decided() | {"seed": good["generate.seed"], "split": good["shot.split"], "scene": scene}

    def _given(self) -> dict[str, Callable[[Path], object]]:
        keyframes = self._path.keyframes
        assert keyframes is not None
        return super()._given() | {"path": partial(save_keyframes, keyframes)}
