"""The studio's parts, joined."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from regolith.lunar.panel.context import say
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.observe import Change
from regolith.lunar.params import InputError, PictureSize, load_params
from regolith.lunar.studio.access import Access
from regolith.lunar.studio.camera import RoverCamera, Shown
from regolith.lunar.studio.camera_panel import CameraPanel
from regolith.lunar.studio.dialogs import Dialogs
from regolith.lunar.studio.host import StudioHost
from regolith.lunar.studio.live import Seen, StudioInference
from regolith.lunar.studio.loop import Loop
from regolith.lunar.studio.page import Page
from regolith.lunar.studio.parts import QUIET, marked
from regolith.lunar.studio.scene import SceneView
from regolith.lunar.studio.scene_aim import CameraPose
from regolith.lunar.studio.serving import start_server, stop_server
from regolith.lunar.studio.workspace import Workspace

TITLE = "Regolith studio"
FRUSTUM_S = 0.3
"""The 3D view's frustum shows the whole picture after this time [s]: the page takes the picture itself first."""


class Assembly:
    """Server, renderer, inference, model and page; a context that ends them all."""

    def __init__(
        self,
        loop: Loop,
        access: Access,
        workspace: Workspace,
        *,
        preset: str,
        params: Path | None,
        size: PictureSize,
        ready: Callable[[], object] = lambda: None,
    ) -> None:
        """Start everything and author the first stage.

        Args:
            loop: Everything here happens on it once it runs.
            access: Guard of the server.
            workspace: Where everything is written.
            preset: Preset to start from.
            params: Parameter file to start from instead.
            size: Of pictures.
            ready: Called once the first picture is there, or cannot be, on the loop.

        Raises:
            InputError: There is no such preset, or the parameter file cannot be used.
        """
        if params is not None:
            load_params(params)  # here it ends the program, in the panel it is a message
        with contextlib.ExitStack() as stack:
            camera = RoverCamera(lambda shown: loop.call(self._drawn, shown, key="drawn"), failed=self._failed)
            stack.callback(camera.close)
            self._loop, self._server = loop, start_server(access, TITLE)
            stack.callback(stop_server, self._server)
            self.live = StudioInference(lambda seen: loop.call(self._segmented, seen, key="segmented"))
            stack.callback(self.live.close)
            self._dialogs = Dialogs(self._server, loop, workspace)
            self._scene = SceneView(self._server, lambda values: loop.call(self._aim, values, key=("aim", *values)))
            stack.callback(self._scene.close)
            self._host = StudioHost(
                workspace, camera=camera, scene=self._scene, live=self.live, dialogs=self._dialogs
            )  # fmt: skip
            self.model = PanelModel(self._host, preset=preset, defaults={"generate.size": size})
            stack.callback(self.model.close)
            if params is not None:
                self.model.load(params)
            self.model.actions["author"].run()
            loop.call(importlib.import_module, "trimesh")  # what the 3D view needs, while the stage is being built
            self._picture = CameraPanel(
                self._server, loop, self.model, camera, self.live, home=workspace.data, tell=self._complain
            )
            stack.callback(self._picture.close)
            self._page = Page(self._server, loop, self.model, self._host, self._build_picture)
            stack.callback(self._page.close)
            self._ready = ready
            self._way: Any = None
            """The camera's path on show."""
            self._refused = False
            """Whether the last place a handle was dragged to was refused."""
            self._subscription = self.model.subscribe(self._changed)
            loop.tell = self._complain
            loop.ticks.append(self.model.tick)
            self._stack = stack.pop_all()

    def _build_picture(self) -> None:
        """Make the widgets of the rover's picture, and those that bring one's own eye to its camera."""
        gui = self._server.gui
        self._picture.build()
        marked(gui, "group", "Your eye in the 3D view")
        for label, key, look in (
            ("Through the camera", "5", self._scene.look_through),
            ("Behind the rover", "6", self._scene.look_over),
        ):
            move = self._loop.handler(lambda event, look=look: look(event.client) if event.client else None)
            gui.add_button(label, color=QUIET).on_click(move)
            gui.add_command(f"Eye: {label}", hotkey=key, modifier="alt").on_trigger(move)  # type: ignore[arg-type]
        hint = "Aim the rover camera as you look at the stage here, for a key of a film, say."
        bring = self._loop.handler(self._bring)
        gui.add_button("Camera to my eye", color=QUIET, hint=hint).on_click(bring)
        gui.add_command("Eye: Camera to my eye", hotkey="7", modifier="alt").on_trigger(bring)  # type: ignore[arg-type]

    def _complain(self, text: str) -> None:
        self._dialogs.notify(text, "error")
        self._tell_ready()

    def _failed(self, error: Exception) -> None:
        """Say why there is no picture; on the render thread."""
        self._loop.call(self._complain, say(error), key="drawing failed")

    def _drawn(self, shown: Shown) -> None:
        """Show a picture of the rover's camera."""
        self._picture.show(shown)
        self._tell_ready()
        if shown.whole:
            self._loop.later(FRUSTUM_S, self._scene.picture, shown.rgb, key="frustum")
        self.live.see(shown)

    def _tell_ready(self) -> None:
        ready, self._ready = self._ready, lambda: None
        ready()

    def _segmented(self, seen: Seen) -> None:
        """Show what the model made of one."""
        self._picture.segmented(seen)

    def _aim(self, values: dict[str, float]) -> None:
        """Hold what a handle of the 3D view was dragged to."""
        try:
            self.model.aim(values)
            self._refused = False
        except InputError as error:  # beyond a limit, or among the rocks: the handle goes back
            if not self._refused:  # told once, however long it is held there
                self._refused = True
                self._dialogs.notify(str(error), "warning")
            if self.model.spec is not None:
                self._scene.move(self.model.spec)

    def _bring(self, event: Any) -> None:
        """Aim the rover's camera as the page looks that asks for it; where it cannot be, the loop says why."""
        if event.client is not None:
            self.model.aim_as(self._scene.eye(event.client))

    def _changed(self, change: Change) -> None:
        if change.kind == "shot" and self.model.spec is not None:
            self._scene.move(self.model.spec)
        elif change.kind == "path" and self.model.path.way is not self._way:
            path, self._way = self.model.path, self.model.path.way
            lens = np.zeros((0, 3)) if self._way is None else self._way.eye_m
            self._scene.path(lens, [CameraPose.at(stop, path.aspect) for stop in path.stops])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
