"""A split drawn in the app as a task of the panel, and the command that starts a headless Isaac Sim instead."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.app_run import generate_async
from regolith.lunar.jobs.events import Event
from regolith.lunar.kit import adapter
from regolith.lunar.kit.tasks import Job
from regolith.lunar.machine import isaac_launcher
from regolith.lunar.panel.host import GenerateRequest, Progress
from regolith.lunar.params import InputError
from regolith.lunar.render.replicator import ReplicatorRenderer
from regolith.lunar.system import ISAAC_PYTHON, join_command

EXTENSION = Path(__file__).parents[3]
"""`exts/regolith.lunar`."""


class AppGenerate:
    """A split being drawn in the app (`panel.host.Task`, `Pausable`)."""

    def __init__(self, request: GenerateRequest, ended: Callable[[], None]) -> None:
        """Start it.

        Args:
            request: What to draw.
            ended: Called once the app shows what it showed before.
        """
        self.progress = Progress(text="starting")
        self._stop = self._paused = False
        self._ended = ended
        self._job = Job(self._draw(request))

    async def _draw(self, request: GenerateRequest) -> dict[str, Any]:
        try:
            return await generate_async(
                request.params,
                request.out,
                split=request.split,
                frames=request.frames,
                width=request.width,
                height=request.height,
                seed=request.seed,
                renderer=ReplicatorRenderer(gain=request.gain, stopped=lambda: self._stop),
                emit=self._take,
                stop=lambda: self._stop,
                paused=lambda: self._paused,
                extend=bool(request.options.get("extend")),
                other_backend=bool(request.options.get("other_backend")),
            )
        finally:
            self._ended()

    def _take(self, event: Event) -> None:
        if event["event"] == "progress":
            self.progress = Progress(event["done"], event["total"])
        elif event["event"] == "note":
            adapter.notify(event["message"])

    def done(self) -> bool:
        """Whether it has ended."""
        return self._job.done()

    def result(self) -> Any:
        """What `generate_async` returned.

        Raises:
            asyncio.CancelledError: It was cancelled before the split was complete.
        """
        result = self._job.result()
        if result["stopped"]:
            raise asyncio.CancelledError
        return result

    def cancel(self) -> None:
        """End, giving up the frame being drawn; the same export goes on from there."""
        self._stop = True

    def abort(self) -> None:
        """End at once, with what is on disk: the extension is going."""
        self._stop = True
        self._job.cancel()

    def pause(self) -> None:
        """Hold before the next frame."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        self._paused = False


def chunk_options(gain: float) -> dict[str, Any]:
    """Options with which `regolith generate` draws its chunks in headless Isaac Sims.

    Args:
        gain: Radiance over RTX's `HdrColor`.

    Raises:
        InputError: No Isaac Sim is found to start.
    """
    python = isaac_python()
    words = [python, EXTENSION / "regolith" / "lunar" / "dataset" / "isaac_worker.py"]
    return {"executor": "isaac", "command": f"{join_command(words)} {{task}} --gain={gain}"}


def isaac_python() -> Path:
    """Python of the Isaac Sim this runs in: the workstation's `ISAAC_PYTHON`, or the interpreter of a pip installation.

    Raises:
        InputError: There is neither.
    """
    roots = [Path(root) for root in (os.environ.get("ISAAC_PATH"), adapter.token("app"), adapter.token("kit")) if root]
    for root in roots:
        for folder in (root, *list(root.parents)[:2]):
            if found := isaac_launcher(folder):
                return found
    running = Path(sys.executable)
    if running.name.startswith("python"):
        return running
    raise InputError("executor", "isaac", f"an Isaac Sim with {ISAAC_PYTHON}, or one installed by pip")
