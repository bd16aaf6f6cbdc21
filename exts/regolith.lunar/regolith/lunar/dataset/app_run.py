"""A run inside an app that goes on meanwhile: the same frames, journal, lock and resume as `generate`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from regolith.lunar.dataset.chunk import CHUNKS, ChunkTask, draw_task, read_part
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.journal import OpenJournal
from regolith.lunar.dataset.run import SplitRun, begin
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import Params
from regolith.lunar.render.base import AppRenderer, check_outputs

_T = TypeVar("_T")


async def generate_async(
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
        renderer: Draws the frames; it is closed at the end, however that comes. One that is told when to stop
            (`ReplicatorRenderer`) gives up the frame it is at.
        emit: Receives `progress` and `note` events, on the app's thread.
        stop: Whether to end after the frame being drawn.
        paused: Whether to wait before the next frame.
        extend: Whether a split that was begun with fewer frames may grow.
        other_backend: Whether a split begun on another renderer may be continued.

    Returns:
        What `generate` returns, and `stopped`: whether `stop` ended it before the split was complete.

    Raises:
        InputError: Bad split or size, an output the renderer lacks, a folder begun with other parameters, in use by
            another run, or without room.
        RuntimeError: The renderer failed.
    """
    folder, contract = begin(params, out, split=split, frames=frames, width=width, height=height, seed=seed)
    check_outputs(renderer, contract.extras)
    run = _AppRun(folder, contract, renderer, emit=emit, stop=stop, paused=paused, other_backend=other_backend)
    cancelled = False
    try:
        result = await run.complete(extend=extend)
    except (asyncio.CancelledError, GeneratorExit):  # nothing may be waited for any more
        cancelled = True
        raise
    finally:
        if cancelled:
            renderer.close()
        else:
            await _restore(renderer, emit)
    return result | {"stopped": result["frames"] < frames}


class _AppRun(SplitRun):
    """A run that an app's own renderer draws, frame by frame beside the app's loop."""

    def __init__(
        self, folder: Path, contract: Contract, renderer: AppRenderer, *, emit: Emit, stop: Callable[[], bool],
        paused: Callable[[], bool], other_backend: bool,
    ) -> None:  # fmt: skip
        super().__init__(folder, contract, emit)
        self._renderer, self._stop, self._paused, self._other_backend = renderer, stop, paused, other_backend

    def check_nodes(self, known: Contract | None) -> None:
        """The app is one machine; `agree` compares it with the split's."""

    async def describe(self) -> dict[str, Any]:
        """Describe the renderer."""
        return self._renderer.describe()

    async def aside(self, work: Callable[[], _T]) -> _T:
        """Do slow work while the app goes on."""
        return await self._renderer.aside(work)

    async def draw(self, journal: OpenJournal) -> None:
        """Draw the missing frames and journal them as they come to lie on disk; stops where asked to."""
        path, missing = self.folder.resolve() / CHUNKS / "in_app.json", tuple(journal.missing().tolist())
        task = ChunkTask(path, path.parent.parent, self.contract, missing, other_backend=self._other_backend)
        offset = 0

        def note(offset: int) -> int:
            records, offset = read_part(task, offset)
            journal.append(records)
            self.emit({"event": "progress", "done": len(journal), "total": journal.frames})
            return offset

        task.path.parent.mkdir(exist_ok=True)
        note(0)
        drawing = draw_task(task, lambda task: self._renderer, self._stop, self._paused)
        async with contextlib.aclosing(drawing) as frames:
            async for _ in frames:
                offset = note(offset)
        note(offset)
        self.take_result(task, "ended")


async def _restore(renderer: AppRenderer, emit: Emit) -> None:
    try:
        await renderer.restore_async()
    except RuntimeError as error:
        emit({"event": "note", "message": f"the stage that was open before: {error}"})
