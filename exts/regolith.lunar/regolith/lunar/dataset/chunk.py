"""One chunk of a plan, drawn in a process of its own: `python -m regolith.lunar.dataset.chunk TASK.json`.

The task comes by file and the results go by file, so that any launcher will do: a local process, a Ray task, a
container with Isaac Sim. Beside `TASK.json` lie then

    TASK.jsonl         a part journal: one `FrameRecord` a line, for every frame that is whole on disk
    TASK.result.json   how it ended: {status, error, renderer, seconds, frames, peak_rss, host}

A chunk that is started again skips the frames its part journal already has.
"""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.dataset.contract import Contract, first_difference
from regolith.lunar.dataset.layout import FrameRecord, present, read_lines, scan_lines
from regolith.lunar.dataset.views import Views, read_views, scene_of
from regolith.lunar.dataset.write import FrameWriter
from regolith.lunar.files import write_json
from regolith.lunar.jobs.tether import end_with
from regolith.lunar.params import InputError, Params
from regolith.lunar.randomize import draw_frame, draw_scene, narrowed
from regolith.lunar.reading import read_json
from regolith.lunar.render.base import (
    AppRenderer,
    AtOnce,
    Renderer,
    StoppedError,
    check_outputs,
    closed_after,
    run_through,
    sampling,
)
from regolith.lunar.stage.spec import FrameSpec
from regolith.lunar.system import STOP_SIGNALS, peak_bytes

if TYPE_CHECKING:
    from pxr import Usd

    from regolith.lunar.stage.scene import Scene

CHUNKS = ".chunks"
"""Folder of a split where tasks, part journals and results lie while a run goes on."""


@dataclasses.dataclass(frozen=True)
class ChunkTask:
    """What a chunk has to draw."""

    path: Path
    """The task's own file; its part journal and result lie beside it."""
    split: Path
    """Folder of the split."""
    contract: Contract
    """The split's; its renderer is empty where the task only asks for the renderer's description."""
    indices: tuple[int, ...]
    """Frames to draw, whole scenes together."""
    threads: int | None = None
    """Threads of the renderer; None for all cores."""
    memory: int = 0
    """Memory the chunk is expected to take [bytes], for a scheduler; 0 where it is not known."""
    other_backend: bool = False
    """Whether frames of another renderer back end than the contract's are welcome."""
    parent: int | None = None
    """Process whose end also ends the chunk; None where others see to that."""

    @property
    def part(self) -> Path:
        """Part journal."""
        return self.path.with_suffix(".jsonl")

    @property
    def stop(self) -> Path:
        """File whose presence asks every chunk of the split to finish its frame and end."""
        return self.split / CHUNKS / "stop"

    @property
    def result(self) -> Path:
        """Result file."""
        return self.path.with_suffix(".result.json")

    def write(self) -> None:
        """Write the task's file.

        Raises:
            OSError: It cannot be written.
        """
        plain = {"path": str(self.path), "split": str(self.split), "contract": self.contract.to_dict()}
        write_json(self.path, dataclasses.asdict(self) | plain)

    @classmethod
    def read(cls, path: Path) -> ChunkTask:
        """Read a task's file; paths in it hold on every machine that shares the folder."""
        data = read_json(path)
        contract, indices = Contract.from_dict(data["contract"], str(path)), tuple(data["indices"])
        return cls(**data | {"path": path, "split": Path(data["split"]), "contract": contract, "indices": indices})


def run_task(
    task: ChunkTask, open_renderer: Callable[[ChunkTask], Renderer], signalled: Callable[[], bool] = lambda: False
) -> Generator[int, None, None]:
    """Draw a chunk and yield each frame's number as it is handed to the writer; leaves the result file.

    Args:
        task: What to draw.
        open_renderer: Opens the renderer that the task asks for.
        signalled: Whether to end after the present frame, as the task's stop file also asks.
    """
    drawing = draw_task(task, lambda task: AtOnce(open_renderer(task)), signalled)
    try:
        while True:
            try:
                index = run_through(drawing.__anext__())
            except StopAsyncIteration:
                return
            yield index
    finally:
        run_through(drawing.aclose())


async def draw_task(
    task: ChunkTask,
    open_renderer: Callable[[ChunkTask], AppRenderer],
    signalled: Callable[[], bool] = lambda: False,
    paused: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[int, None]:
    """Draw a chunk as `run_task` does, with a renderer whose host may have an event loop to keep alive.

    Args:
        task: What to draw.
        open_renderer: Opens the renderer that the task asks for.
        signalled: Whether to end after the present frame.
        paused: Whether to wait before the next frame.
    """

    def stopped() -> bool:
        return signalled() or task.stop.exists()

    clock = _Clock()
    result: dict[str, Any] = {"status": "finished", "error": None, "renderer": None}
    drawn = 0
    try:
        renderer = open_renderer(task)
        async with closed_after(renderer):
            result["renderer"] = renderer.describe()
            clock.lap("start")
            _agree(task, result["renderer"])
            check_outputs(renderer, task.contract.extras)
            sampling(renderer, task.contract.params.render.samples)
            with FrameWriter(task.split, task.part) as writer:
                async with contextlib.aclosing(_frames(task, renderer, writer, clock, stopped, paused)) as frames:
                    async for index in frames:
                        drawn += 1
                        yield index
                while writer.busy:
                    await renderer.update()
            clock.lap("wait")
            clock.seconds |= {"encode": writer.encode_s, "write": writer.write_s}
        if stopped():
            result["status"] = "interrupted"
    except StoppedError:
        result["status"] = "interrupted"
    except Exception as error:
        result |= failed(error)
    seconds = {name: round(value, 4) for name, value in clock.seconds.items()}
    write_result(task, result | {"frames": drawn, "seconds": seconds})


def failed(error: Exception) -> dict[str, Any]:
    """The part of a result that tells of an error."""
    return {"status": "failed", "error": _describe_error(error)}


def write_result(task: ChunkTask, result: dict[str, Any]) -> None:
    """Write a task's result file: what is given, with this process's peak memory and host."""
    write_json(task.result, result | {"peak_rss": peak_bytes(), "host": platform.node()})


class _Clock:
    """Time spent per stage [s].

    start (process and renderer), scene (build and author), load, aim, render and wait (for the writer) are of the
    drawing thread; encode (CPU time) and write of the writer's threads.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """Count the time since the last lap to a stage."""
        now = time.monotonic()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


def _agree(task: ChunkTask, renderer: dict[str, Any]) -> None:
    """Refuse to add frames of another back end, which would not be the same bytes."""
    agreed = task.contract.renderer
    if not agreed or task.other_backend:
        return
    difference = first_difference(agreed, renderer, "renderer")
    if difference is not None:
        field, old, new = difference
        raise InputError(field, new, f"{old!r}, as {platform.node()} lacks, or --other-backend to mix back ends")


def author_scene(params: Params, *, seed: int, split: str, number: int, baked: bool = False) -> tuple[Scene, Usd.Stage]:
    """Build a scene of a split and author its stage.

    Args:
        params: Parameters of the dataset.
        seed: Seed of the dataset.
        split: Split the scene belongs to.
        number: Number of the scene inside its split.
        baked: Whether to write the fine ground as meshes.

    Returns:
        The scene, and its stage in memory.
    """
    from regolith.lunar.stage.author import author_stage, build_scene

    scene = build_scene(narrowed(params, split), draw_scene(params, seed, split, number))
    return scene, author_stage(scene, baked=baked)


def _open_scene(views: Views | None, params: Params, **scene: Any) -> tuple[Scene | None, Usd.Stage]:
    """A scene and its stage (`author_scene`); of a stage file that frames were chosen on, that stage alone."""
    from pxr import Usd

    path = None if views is None else views.stage
    return author_scene(params, **scene) if path is None else (None, Usd.Stage.Open(str(path)))


async def _frames(
    task: ChunkTask,
    renderer: AppRenderer,
    writer: FrameWriter,
    clock: _Clock,
    stopped: Callable[[], bool],
    paused: Callable[[], bool],
) -> AsyncGenerator[int, None]:
    from regolith.lunar.stage.edit import apply_frame

    if not task.indices:
        return
    contract = task.contract
    params, seed, split, width, height = contract.params, contract.seed, contract.split, contract.width, contract.height
    views = read_views(task.split, contract)
    done, _ = scan_lines(read_lines(task.part))
    scenes: dict[int, list[int]] = {}
    for index in task.indices:
        if index not in done or not present(task.split, done[index]):
            scenes.setdefault(scene_of(params, views, index), []).append(index)
    for number, indices in scenes.items():
        if stopped():
            return
        build = partial(_open_scene, views, params, seed=seed, split=split, number=number, baked=renderer.baked)
        scene, stage = await renderer.aside(build)
        clock.lap("scene")
        stage = await renderer.load_async(stage)
        clock.lap("load")
        for index in indices:
            while paused() and not stopped():
                await renderer.update()
            renderer.check()
            if stopped():
                return
            if views is not None:
                spec, redraws = views.specs[index], 0
            else:
                spec, redraws = await _aim(
                    params, renderer, stage, scene, seed=seed, split=split, index=index, size=(width, height)
                )
            apply_frame(stage, params, spec, width, height)
            clock.lap("aim")
            frame = await renderer.render_async(
                width, height, quality=params.render.quality, outputs=frozenset(contract.extras),
                samples=params.render.samples or None,
            )  # fmt: skip
            clock.lap("render")
            while writer.full:
                await renderer.update()
            writer.put(index, frame.arrays(contract.outputs), seed=spec.seed, spec=spec.to_dict(), redraws=redraws)
            clock.lap("wait")
            yield index


async def _aim(
    params: Params,
    renderer: AppRenderer,
    stage: Any,
    scene: Any,
    *,
    seed: int,
    split: str,
    index: int,
    size: tuple[int, int],
) -> tuple[FrameSpec, int]:
    """Draw a frame until its share of rock is in range; after `randomize.redraws` of them keep the nearest.

    Returns:
        What to draw, and how often it was drawn again.
    """
    from regolith.lunar.labels import ROCK
    from regolith.lunar.stage.edit import apply_frame

    wanted = params.randomize.rock_share
    spec = draw_frame(params, seed, split, index, scene)
    if wanted.lo <= 0.0 and wanted.hi >= 1.0:
        return spec, 0
    best, best_miss = spec, float("inf")
    for attempt in range(params.randomize.redraws + 1):
        if attempt:
            spec = draw_frame(params, seed, split, index, scene, attempt=attempt)
        apply_frame(stage, params, spec, *size)
        share = float((await renderer.mask_async(*size) == ROCK).mean())
        miss = max(wanted.lo - share, share - wanted.hi)
        if miss <= 0.0:
            return spec, attempt
        if miss < best_miss:
            best, best_miss = spec, miss
    return best, params.randomize.redraws


def _describe_error(error: Exception) -> dict[str, Any]:
    if isinstance(error, InputError):
        return {"field": error.field, "value": _plain(error.value), "allowed": error.allowed}
    code = error.errno if isinstance(error, OSError) else None
    where = getattr(error, "filename", None)
    return {
        "message": ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split())))),
        "errno": code,
        "filename": None if where is None else str(where),
        "traceback": "".join(traceback.format_exception(error)),
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def open_embedded(task: ChunkTask) -> Renderer:
    """Open the embedded renderer for a task."""
    from regolith.lunar.render import open_renderer

    return open_renderer(task.contract.params.render.backend, threads=task.threads)


def read_part(task: ChunkTask, offset: int) -> tuple[list[FrameRecord], int]:
    """Read what a part journal gained since `offset` [bytes], whole lines only, and where it ends now."""
    try:
        with task.part.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    whole = data[: data.rfind(b"\n") + 1]
    records = [FrameRecord.from_line(line.decode("utf-8")) for line in whole.split(b"\n") if line]
    return records, offset + len(whole)


def main() -> int:
    """Run the task named on the command line; SIGTERM and SIGINT finish the frame being written."""
    task = ChunkTask.read(Path(sys.argv[1]))
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    if task.parent is not None:
        end_with(task.parent)
    for _ in run_task(task, open_embedded, stop.is_set):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
