"""Draw a split inside an app that goes on meanwhile: the same frames, journal, lock and resume as `generate`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from regolith.lunar.dataset.chunk import CHUNKS, Task, draw_task, read_part
from regolith.lunar.dataset.layout import FrameRecord, write_contract
from regolith.lunar.dataset.run import begin, close_split, log_fields, note_renderer, outcome, read_result, room
from regolith.lunar.dataset.steps import author_scene
from regolith.lunar.dataset.survey import LOG, agree, lock, report_survey, survey
from regolith.lunar.dataset.write import FrameWriter, append_records
from regolith.lunar.files import append_lines
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import Params, writable_folder
from regolith.lunar.render import rtx
from regolith.lunar.render.base import Frame, Output, Quality

if TYPE_CHECKING:
    from pxr import Usd

    from regolith.lunar.stage.author import Scene


class AppRenderer(Protocol):
    """A renderer that waits for the frames of its app: `render.replicator.ReplicatorRenderer`."""

    baked: bool

    def describe(self) -> dict[str, Any]:
        """Describe the renderer (`Renderer.describe`)."""
        ...

    async def load_async(self, stage: Usd.Stage) -> Usd.Stage:
        """Take a stage (`Renderer.load`)."""
        ...

    async def render_async(self, width: int, height: int, *, quality: Quality, outputs: frozenset[Output]) -> Frame:
        """Render a frame (`Renderer.render`)."""
        ...

    async def labels_async(self, width: int, height: int) -> np.ndarray:
        """Draw the classes (`Renderer.labels`)."""
        ...

    def check(self) -> None:
        """Check that the stage is still open in the app.

        Raises:
            RuntimeError: It was closed.
        """
        ...

    def close(self) -> None:
        """Let go of everything; a second time nothing."""
        ...

    async def restore_async(self) -> None:
        """Close, and show what the app showed before.

        Raises:
            RuntimeError: That is no longer there.
        """
        ...


class Alongside:
    """Takes the steps of a chunk beside the app's loop: numbers in threads, the renderer frame by frame."""

    def __init__(self, renderer: AppRenderer, *, paused: Callable[[], bool], stop: Callable[[], bool]) -> None:
        self.renderer, self.pace = renderer, rtx.Guest()
        self.paused, self.stop = paused, stop

    def describe(self) -> dict[str, Any]:
        """Describe the renderer."""
        return self.renderer.describe()

    async def author(self, params: Params, *, seed: int, split: str, number: int) -> tuple[Scene, Usd.Stage]:
        """Build and author a scene in a thread."""
        baked = self.renderer.baked
        return await self.pace.aside(partial(author_scene, params, seed=seed, split=split, number=number, baked=baked))

    async def load(self, stage: Usd.Stage) -> Usd.Stage:
        """Open the stage in the app."""
        return await self.renderer.load_async(stage)

    async def ready(self) -> None:
        """Wait while the run is paused; the stage has to be open then."""
        while self.paused() and not self.stop():
            await self.pace.update()
        self.renderer.check()

    async def labels(self, width: int, height: int) -> np.ndarray:
        """Draw the classes."""
        return await self.renderer.labels_async(width, height)

    async def render(self, width: int, height: int, *, quality: Quality, outputs: frozenset[Output]) -> Frame:
        """Draw a frame."""
        return await self.renderer.render_async(width, height, quality=quality, outputs=outputs)

    async def room(self, writer: FrameWriter) -> None:
        """Let the app draw until the writer has room."""
        while writer.full:
            await self.pace.update()

    async def flush(self, writer: FrameWriter) -> None:
        """Let the app draw until everything is written."""
        while writer.busy:
            await self.pace.update()

    def close(self) -> None:
        """Let go of the renderer."""
        self.renderer.close()


async def export_async(
    params: Params,
    out: Path,
    *,
    split: str,
    frames: int,
    width: int,
    height: int,
    seed: int = 0,
    renderer: AppRenderer,
    emit: Emit = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
    paused: Callable[[], bool] = lambda: False,
    extend: bool = False,
    other_backend: bool = False,
) -> dict[str, Any]:
    """Complete a split to `frames` frames in the app this runs in; frames already on disk stay as they are.

    The app's stage is another one meanwhile, scene after scene; afterwards the one that was open is opened again from
    its file, or a new one where it had none: changes that were not saved are gone, so ask before. When the coroutine
    is cancelled, the app keeps the stage it has. A cancelled, stopped or killed run is resumed by the same call.

    Args:
        params: Parameters; they must equal those the folder was begun with.
        out: Dataset folder; the split lands in OUT/SPLIT.
        split: Split to draw.
        frames: Frames the split shall have.
        width: Picture width in pixels.
        height: Picture height in pixels.
        seed: Seed of the dataset.
        renderer: Draws the frames; it is closed at the end, however that comes.
        emit: Receives `progress` and `note` events, on the app's thread.
        stop: Whether to end after the frame being drawn.
        paused: Whether to wait before the next frame.
        extend: Whether a split that was begun with fewer frames may grow.
        other_backend: Whether a split begun on another renderer may be continued.

    Returns:
        What `generate` returns, and `stopped`: whether `stop` ended it before the split was complete.

    Raises:
        InputError: Bad split or size, a folder begun with other parameters, in use by another run, or without room.
        RuntimeError: The renderer failed.
    """
    folder, contract = begin(params, out, split=split, frames=frames, width=width, height=height, seed=seed)
    writable_folder("out", folder)
    cancelled = False
    try:
        with room(folder), lock(folder):
            if not agree(folder, contract, extend=extend):
                contract["renderer"] = renderer.describe()
                write_contract(folder, contract)
            found = await asyncio.to_thread(survey, folder, frames=frames, outputs=contract["outputs"])
            report_survey(found, folder, emit)
            missing = tuple(index for index in range(frames) if index not in found.done)
            path = folder.resolve() / CHUNKS / "in_app.json"
            task = Task(path, path.parent.parent, contract, missing, other_backend=other_backend)
            done = await _draw(task, found.done, Alongside(renderer, paused=paused, stop=stop), emit)
            close_split(folder, contract, done)
    except (asyncio.CancelledError, GeneratorExit):  # nothing may be waited for any more
        cancelled = True
        raise
    finally:
        if cancelled:
            renderer.close()
        else:
            await _restore(renderer, emit)
    return outcome(folder, contract, found, done) | {"stopped": len(done) < frames}


async def _draw(task: Task, done: dict[int, FrameRecord], steps: Alongside, emit: Emit) -> dict[int, FrameRecord]:
    """Draw a task and journal its frames as they come to lie on disk; returns every frame of the split."""
    done, total, offset = dict(done), len(done) + len(task.indices), 0

    def note(offset: int) -> int:
        records, offset = read_part(task, offset)
        if records:
            append_records(task.split, records)
            done.update({record.index: record for record in records})
        emit({"event": "progress", "done": len(done), "total": total})
        return offset

    task.path.parent.mkdir(exist_ok=True)
    note(0)
    async with contextlib.aclosing(draw_task(task, lambda task: steps, steps.stop)) as drawing:
        async for _ in drawing:
            offset = note(offset)
    note(offset)
    result = read_result(task, "ended")
    note_renderer(task.contract, result["renderer"])
    append_lines(task.split / LOG, [json.dumps({"event": "chunk", "time": time.time(), **log_fields(result)})])
    return done


async def _restore(renderer: AppRenderer, emit: Emit) -> None:
    try:
        await renderer.restore_async()
    except RuntimeError as error:
        emit({"event": "note", "message": f"the stage that was open before: {error}"})
