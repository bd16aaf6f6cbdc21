"""The film of the camera's path as a companion: of the keys entered, over the scene of the frame on show."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from regolith.lunar.flythrough.keyframes import save_keyframes
from regolith.lunar.panel.camera_path import CameraPath
from regolith.lunar.panel.context import PanelContext
from regolith.lunar.panel.film import FILM
from regolith.lunar.panel.row_work import RowWork
from regolith.lunar.randomize import scene_number


class FilmWork(RowWork):
    """Renders the film."""

    def __init__(self, context: PanelContext, path: CameraPath) -> None:
        super().__init__(context, FILM)
        self._path = path

    def problem(self) -> str:
        """Why it cannot be started; empty where it can."""
        return self._path.problem() or super().problem()

    def _decided(self) -> dict[str, Any]:
        good = self._context.values.good
        scene = scene_number(self._context.values.params, good["shot.frame"])
        return super()._decided() | {"seed": good["generate.seed"], "split": good["shot.split"], "scene": scene}

    def _given(self) -> dict[str, Callable[[Path], object]]:
        keyframes = self._path.keyframes
        assert keyframes is not None
        return super()._given() | {"path": partial(save_keyframes, keyframes)}
