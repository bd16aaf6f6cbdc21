"""The studio as the panel's host: hands stages to the renderer and the 3D view, and questions to the page."""

from __future__ import annotations

import logging
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from regolith.lunar.panel.forms import PROGRAMS
from regolith.lunar.panel.host import (
    ExportRequest,
    Finished,
    Level,
    LiveSettings,
    LiveState,
    OpenStage,
    Pick,
    Question,
    Task,
)
from regolith.lunar.panel.tasks import Waiting
from regolith.lunar.params import InputError, Params
from regolith.lunar.studio.workspace import Workspace

if TYPE_CHECKING:
    from pxr import Usd

    from regolith.lunar.stage.spec import FrameSpec


class Camera(Protocol):
    """What draws the stage through the rover's camera: `studio.camera.RoverCamera`."""

    def open(self, stage: Usd.Stage, spec: FrameSpec, params: Params, width: int, height: int) -> Future[Any]:
        """Draw another stage from now on."""
        ...

    def apply(self, params: Params, spec: FrameSpec, width: int, height: int) -> Future[Any]:
        """Edit the stage into another frame of its scene."""
        ...


class Scene(Protocol):
    """The page's 3D view: `studio.scene.SceneView`."""

    def show(self, stage: Usd.Stage, spec: FrameSpec, width: int, height: int, /) -> None:
        """Show another stage."""
        ...

    def move(self, spec: FrameSpec, width: int, height: int, /) -> None:
        """Follow an edit of the frame."""
        ...


class Live(Protocol):
    """What segments the pictures: `studio.live.LiveInference`."""

    def set(self, settings: LiveSettings | None) -> Future[Any]:
        """Start, change or stop (None)."""
        ...

    @property
    def state(self) -> LiveState | None:
        """What it is doing."""
        ...


class Dialogs(Protocol):
    """What asks and tells on the page: `studio.dialogs.Dialogs`."""

    def ask(self, question: Question) -> Task:
        """Ask the user."""
        ...

    def pick_path(self, pick: Pick) -> Task:
        """Let the user choose a path inside the workspace."""
        ...

    def notify(self, text: str, level: Level = "info") -> None:
        """Show a message that goes away by itself."""
        ...

    def open_path(self, path: Path) -> None:
        """Offer a file or folder of the workspace."""
        ...


class StudioHost:
    """`panel.host.Host` in the studio; all on the loop's thread."""

    name = "studio"
    baked = exports_here = False
    withheld = PROGRAMS | {"drawing.headless"}
    """Beside what names programs: where to draw, for the studio only draws in processes of their own."""

    def __init__(self, workspace: Workspace, *, camera: Camera, scene: Scene, live: Live, dialogs: Dialogs) -> None:
        """Join the parts.

        Args:
            workspace: Where everything is written.
            camera: Draws the stage.
            scene: Shows it in three dimensions.
            live: Segments what the camera draws.
            dialogs: Ask and tell.
        """
        self.runs_folder, self.data_folder = workspace.runs, workspace.data
        self.confine: Path | None = workspace.root
        self.python: Path | None = Path(sys.executable)
        self._workspace, self._camera, self._scene, self._live = workspace, camera, scene, live
        self._dialogs = dialogs
        self._open = False

    # the stage

    def stage_state(self) -> OpenStage | None:
        """The stage that is open; it is always the panel's, and made from its fields at any time."""
        return OpenStage(ours=True, unsaved=False, name="stage", key="stage") if self._open else None

    def author(self, stage: Usd.Stage, params: Params, spec: FrameSpec, width: int, height: int) -> Task:
        """Hand a stage to the renderer and to the 3D view."""
        self._open = True
        self._scene.show(stage, spec, width, height)  # reads it before the camera's thread edits it
        return Waiting(self._camera.open(stage, spec, params, width, height), text="opening the stage")

    def apply_frame(self, params: Params, spec: FrameSpec, width: int, height: int) -> Task:
        """Edit the stage into another frame of its scene."""
        if not self._open:
            return Finished(error=InputError("stage", "closed", "a stage authored by the panel"))
        task = Waiting(self._camera.apply(params, spec, width, height))
        self._scene.move(spec, width, height)
        return task

    # live preview

    def set_live(self, settings: LiveSettings | None) -> Task:
        """Start, change or stop the live preview."""
        return Waiting(self._live.set(settings), text="loading the model")

    def live_state(self) -> LiveState | None:
        """The running preview."""
        return self._live.state

    # export

    def start_export(self, request: ExportRequest) -> Task | None:
        """None: a companion draws it."""
        return None

    def export_options(self, request: ExportRequest) -> dict[str, Any]:
        """Nothing beyond what the request says."""
        return {}

    # dialogs and messages

    def ask(self, question: Question) -> Task:
        """Ask the user."""
        return self._dialogs.ask(question)

    def pick_path(self, pick: Pick) -> Task:
        """Let the user choose a path inside the workspace."""
        return self._dialogs.pick_path(pick)

    def notify(self, text: str, level: Level = "info") -> None:
        """Show a message that goes away by itself."""
        self._dialogs.notify(text, level)

    def open_path(self, path: Path) -> None:
        """Offer a file or folder of the workspace."""
        self._dialogs.open_path(path)

    def remember(self, key: str, value: str) -> None:
        """Keep a text beyond this session."""
        try:
            self._workspace.remember(key, value)
        except InputError as error:
            logging.getLogger(__name__).warning("%s", error)
            self.notify(str(error), "warning")

    def remembered(self, key: str) -> str:
        """Text kept under a key."""
        return self._workspace.remembered(key)
