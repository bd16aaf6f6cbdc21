"""The studio as the panel's host: hands stages to the renderer and the 3D view, and questions to the page."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from regolith.lunar.panel.forms import PROGRAMS
from regolith.lunar.panel.host import (
    Finished,
    GenerateRequest,
    Level,
    LiveSettings,
    LiveState,
    OpenStage,
    Pick,
    Progress,
    Question,
    Task,
)
from regolith.lunar.panel.tasks import Waiting
from regolith.lunar.params import InputError, Params
from regolith.lunar.studio.workspace import Workspace

if TYPE_CHECKING:
    from pxr import Usd

    from regolith.lunar.stage.spec import FrameSpec


REPLACE = "Replace"
"""Answer with which a file that is there may be replaced."""


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
    """What segments the pictures: `studio.live.StudioInference`."""

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


class SavedPath:
    """A path to save to, as `panel.host.Task`: the user is asked before a file that is there is replaced."""

    progress = Progress()

    def __init__(self, choice: Task, ask: Callable[[Question], Task]) -> None:
        """Wait for the choice.

        Args:
            choice: Its result is the path, None for none.
            ask: Asks the user.
        """
        self._choice, self._ask = choice, ask
        self._question: Task | None = None

    def done(self) -> bool:
        """Whether there is a path, or none for good; asks once one that is taken was chosen."""
        if not self._choice.done():
            return False
        path = self._choice.result()
        if self._question is None and path is not None and os.path.lexists(path):
            text = f"{path.name} is there already: replace what it holds?"
            self._question = self._ask(Question("Replace?", text, (REPLACE, "Cancel")))
        return self._question is None or self._question.done()

    def result(self) -> Path | None:
        """The path; None where none was chosen, or what is there is kept."""
        kept = self._question is not None and self._question.result() != REPLACE
        return None if kept else self._choice.result()

    def cancel(self) -> None:
        """Take the dialog on show away."""
        (self._question or self._choice).cancel()


class StudioHost:
    """`panel.host.Host` in the studio; all on the loop's thread."""

    name = "studio"
    baked = generates_here = False
    withheld = PROGRAMS | {"drawing.headless", "drawing.gain"}
    """Beside what names programs: what is about Isaac Sim, for the studio only draws in processes of their own."""

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
        self.protected: tuple[Path, ...] = (workspace.own,)
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

    def eye(self) -> None:
        """None: every page's own eye is its own; the camera is aimed by what is in the 3D view."""

    def look_through(self) -> None:
        """Nothing: the picture is always the camera's."""

    # live preview

    def set_live(self, settings: LiveSettings | None) -> Task:
        """Start, change or stop the live preview."""
        return Waiting(self._live.set(settings), text="loading the model")

    def live_state(self) -> LiveState | None:
        """The running preview."""
        return self._live.state

    # generate

    def start_generate(self, request: GenerateRequest) -> Task | None:
        """None: a companion draws it."""
        return None

    def generate_options(self, request: GenerateRequest) -> dict[str, Any]:
        """Nothing beyond what the request says."""
        return {}

    # dialogs and messages

    def ask(self, question: Question) -> Task:
        """Ask the user."""
        return self._dialogs.ask(question)

    def pick_path(self, pick: Pick) -> Task:
        """Let the user choose a path inside the workspace; one to save to takes no file's place unasked."""
        choice = self._dialogs.pick_path(pick)
        return SavedPath(choice, self.ask) if pick.kind == "save" else choice

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
