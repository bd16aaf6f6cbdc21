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
import json
import os
import platform
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.layout import FrameRecord, first_difference, present, scan_journal
from regolith.lunar.dataset.steps import AtOnce, Steps
from regolith.lunar.dataset.write import FrameWriter
from regolith.lunar.files import write_json
from regolith.lunar.params import InputError, Params, validate
from regolith.lunar.randomize import draw_frame, scene_number
from regolith.lunar.render.base import Renderer, run_through
from regolith.lunar.stage.spec import FrameSpec

CHUNKS = ".chunks"
"""Folder of a split where tasks, part journals and results lie while a run goes on."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What a chunk has to draw."""

    path: Path
    """The task's own file; its part journal and result lie beside it."""
    split: Path
    """Folder of the split."""
    contract: dict[str, Any]
    """Contents of `dataset.json`; its renderer is empty where the task only asks for the renderer's description."""
    indices: tuple[int, ...]
    """Frames to draw, whole scenes together."""
    threads: int | None = None
    """Threads of the renderer; None for all cores."""
    memory: int = 0
    """Memory the chunk is expected to take [bytes], for a scheduler; 0 where it is not known."""
    other_backend: bool = False
    """Whether frames of another renderer back end than the contract's are welcome."""
    parent: int | None = None
    """Process whose end also ends the chunk; None where it runs on another machine."""

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
        data = dataclasses.asdict(self) | {"path": str(self.path), "split": str(self.split)}
        write_json(self.path, data)

    @classmethod
    def read(cls, path: Path) -> Task:
        """Read a task's file; paths in it hold on every machine that shares the folder."""
        data = json.loads(path.read_text("utf-8"))
        return cls(**data | {"path": path, "split": Path(data["split"]), "indices": tuple(data["indices"])})


def run_task(
    task: Task, open_renderer: Callable[[Task], Renderer], signalled: Callable[[], bool] = lambda: False
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
    task: Task, open_steps: Callable[[Task], Steps], signalled: Callable[[], bool] = lambda: False
) -> AsyncGenerator[int, None]:
    """Draw a chunk as `run_task` does, in the steps of a host that may have an event loop to keep alive.

    Args:
        task: What to draw.
        open_steps: Opens the renderer that the task asks for, and how its steps are taken.
        signalled: Whether to end after the present frame.
    """

    def stopped() -> bool:
        return signalled() or task.stop.exists()

    clock = _Clock()
    result: dict[str, Any] = {"status": "finished", "error": None, "renderer": None}
    drawn = 0
    try:
        with contextlib.closing(open_steps(task)) as steps:
            result["renderer"] = steps.describe()
            clock.lap("start")
            _agree(task, result["renderer"])
            with FrameWriter(task.split, task.part) as writer:
                async with contextlib.aclosing(_frames(task, steps, writer, clock, stopped)) as frames:
                    async for index in frames:
                        drawn += 1
                        yield index
                await steps.flush(writer)
            clock.lap("wait")
            clock.seconds |= {"encode": writer.encode_s, "write": writer.write_s}
        if stopped():
            result["status"] = "interrupted"
    except Exception as error:
        result |= failed(error)
    seconds = {name: round(value, 4) for name, value in clock.seconds.items()}
    write_result(task, result | {"frames": drawn, "seconds": seconds})


def failed(error: Exception) -> dict[str, Any]:
    """The part of a result that tells of an error."""
    return {"status": "failed", "error": _describe_error(error)}


def write_result(task: Task, result: dict[str, Any]) -> None:
    """Write a task's result file: what is given, with this process's peak memory and host."""
    write_json(task.result, result | {"peak_rss": peak_bytes(), "host": platform.node()})


def peak_bytes() -> int:
    """Largest resident memory of this process so far [bytes].

    `getrusage` would tell that of the process it was forked from, where that was larger: Linux carries `ru_maxrss` over
    `execve`; the mark in `/proc` starts anew (proc_pid_status(5), VmHWM).
    """
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
        if found:
            return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


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


def _agree(task: Task, renderer: dict[str, Any]) -> None:
    """Refuse to add frames of another back end, which would not be the same bytes."""
    agreed = task.contract["renderer"]
    if not agreed or task.other_backend:
        return
    difference = first_difference(agreed, renderer, "renderer")
    if difference is not None:
        field, old, new = difference
        raise InputError(field, new, f"{old!r}, as {platform.node()} lacks, or --other-backend to mix back ends")


async def _frames(
    task: Task, steps: Steps, writer: FrameWriter, clock: _Clock, stopped: Callable[[], bool]
) -> AsyncGenerator[int, None]:
    from regolith.lunar.stage.edit import apply_frame

    if not task.indices:
        return
    params = validate(Params, task.contract["parameters"])
    seed, split, width, height = (task.contract[key] for key in ("seed", "split", "width", "height"))
    outputs = task.contract["outputs"]
    extra: Any = frozenset(output for output in outputs if output not in ("rgb", "mask"))
    done, _ = scan_journal(task.part)
    scenes: dict[int, list[int]] = {}
    for index in task.indices:
        if index not in done or not present(task.split, done[index]):
            scenes.setdefault(scene_number(params, index), []).append(index)
    for number, indices in scenes.items():
        if stopped():
            return
        scene, stage = await steps.author(params, seed=seed, split=split, number=number)
        clock.lap("scene")
        stage = await steps.load(stage)
        clock.lap("load")
        for index in indices:
            await steps.ready()
            if stopped():
                return
            spec, redraws = await _aim(
                params, steps, stage, scene, seed=seed, split=split, index=index, size=(width, height)
            )
            apply_frame(stage, params, spec, width, height)
            clock.lap("aim")
            frame = await steps.render(width, height, quality=params.render.quality, outputs=extra)
            clock.lap("render")
            await steps.room(writer)
            writer.put(index, frame.arrays(outputs), seed=spec.seed, spec=spec.to_dict(), redraws=redraws)
            clock.lap("wait")
            yield index


async def _aim(
    params: Params, steps: Steps, stage: Any, scene: Any, *, seed: int, split: str, index: int, size: tuple[int, int]
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
        share = float((await steps.labels(*size) == ROCK).mean())
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
        "message": f"{type(error).__name__}: {' '.join(str(error).split())}",
        "errno": code,
        "filename": None if where is None else str(where),
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def open_embedded(task: Task) -> Renderer:
    """Open the embedded renderer for a task."""
    from regolith.lunar.render import open_renderer

    return open_renderer(validate(Params, task.contract["parameters"]).render.backend, threads=task.threads)


def read_part(task: Task, offset: int) -> tuple[list[FrameRecord], int]:
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


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, however it went; what was being written does not count."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def main() -> int:
    """Run the task named on the command line; SIGTERM and SIGINT finish the frame being written."""
    task = Task.read(Path(sys.argv[1]))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if task.parent is not None:
        threading.Thread(target=_end_with, args=(task.parent,), daemon=True).start()
    for _ in run_task(task, open_embedded, stop.is_set):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
