"""Generate the frames of a split: plan, chunks in fresh processes, journal, resume."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import re
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.chunk import CHUNKS, Task, read_part
from regolith.lunar.dataset.executors import Executor, ExecutorName, Running, open_executor
from regolith.lunar.dataset.layout import FrameRecord, make_contract, present, write_contract
from regolith.lunar.dataset.plan import plan_chunks
from regolith.lunar.dataset.survey import LOG, Survey, agree, lock, survey
from regolith.lunar.dataset.write import append_records, write_journal
from regolith.lunar.files import append_lines
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.memory import available_bytes
from regolith.lunar.params import InputError, Params, PresetVerb, quantity, writable_folder
from regolith.lunar.randomize import SPLITS, Split, frame_intervals
from regolith.lunar.stage.lens import check_lens

WORKER_BYTES = 1_200_000_000
"""Memory a worker takes on preset v3 [bytes]: the peak that `benchmarks/bench_generate.py` measures. A split's own log
says more as soon as one of its chunks has ended."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
"""Errors of a folder that cannot take the frames."""


class Generate(PresetVerb):
    """Generate labelled frames of a split; run again to resume."""

    split: Split = quantity(..., "Split to draw.")
    frames: int = quantity(..., "Frames the split shall have.", ge=1, le=1_000_000)
    out: Path = quantity(..., "Dataset folder; the split lands in OUT/SPLIT.")
    size: str = quantity("256", "Picture size in pixels: SIDE, or WIDTHxHEIGHT.")
    seed: int = quantity(0, "Seed of the dataset.", ge=0)
    workers: int = quantity(1, "Chunks drawn at once.", ge=1, le=256)
    executor: ExecutorName = quantity(
        "processes",
        "Where chunks run: a local process each, this process, tasks of a Ray cluster whose nodes share OUT, or a "
        "command each that starts Isaac Sim.",
    )
    address: str | None = quantity(None, "Address of the Ray cluster; left out, one on this machine.")
    command: str | None = quantity(None, "Command line of an Isaac Sim chunk; {task} stands for its task file.")
    chunk_frames: int = quantity(200, "Frames of a chunk, rounded to whole scenes.", ge=1, le=100_000)
    retries: int = quantity(2, "Times a chunk is started again whose process died.", ge=0, le=100)
    extend: bool = quantity(False, "Grow a split that was begun with fewer frames.")
    verify: bool = quantity(False, "Read the frames already on disk and redraw those whose hash differs.")
    other_backend: bool = quantity(False, "Continue a split that was begun on another renderer back end.")
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Generate and say where the split is."""
        from regolith.lunar.jobs.progress import show

        width, height = parse_size(self.size)
        with show(self.events, f"generate {self.split}", "frames") as emit:
            return generate(
                self.params,
                self.out,
                split=self.split,
                frames=self.frames,
                width=width,
                height=height,
                seed=self.seed,
                workers=self.workers,
                executor=self.executor,
                address=self.address,
                command=self.command,
                chunk_frames=self.chunk_frames,
                retries=self.retries,
                extend=self.extend,
                hashes=self.verify,
                other_backend=self.other_backend,
                emit=emit,
            )

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the split is and how much of it this run drew."""
        return f"{result['split']}: {result['frames']} frames, {result['drawn']} drawn now"


def parse_size(text: str) -> tuple[int, int]:
    """Read `256` or `640x480` as (width, height).

    Raises:
        InputError: Not a size, or a side outside 16 … 4096 pixels.
    """
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    sides = [int(side) for side in match.groups() if side] if match else []
    if not sides or not all(16 <= side <= 4096 for side in sides):
        raise InputError("size", text, "SIDE or WIDTHxHEIGHT in pixels, each 16 … 4096")
    return sides[0], sides[-1]


def generate(
    params: Params,
    out: Path,
    *,
    split: str,
    frames: int,
    width: int,
    height: int,
    seed: int = 0,
    workers: int = 1,
    executor: str = "processes",
    address: str | None = None,
    command: str | None = None,
    chunk_frames: int = 200,
    retries: int = 2,
    extend: bool = False,
    hashes: bool = False,
    other_backend: bool = False,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Complete a split to `frames` frames; frames already on disk stay as they are.

    Args:
        params: Parameters; they must equal those the folder was begun with.
        out: Dataset folder.
        split: Split to draw.
        frames: Frames the split shall have.
        width: Picture width in pixels.
        height: Picture height in pixels.
        seed: Seed of the dataset.
        workers: Chunks drawn at once.
        executor: Where chunks run (`executors.open_executor`).
        address: Of a Ray cluster.
        command: Of an Isaac Sim chunk.
        chunk_frames: Frames of a chunk.
        retries: Times a chunk is started again whose process died.
        extend: Whether a split that was begun with fewer frames may grow.
        hashes: Whether to read the frames on disk and redraw those whose hash differs.
        other_backend: Whether a split begun on another renderer back end may be continued.
        emit: Receives `progress` and `note` events.

    Returns:
        {split, frames, drawn, broken, extra, renderer}: the folder, the frames it has, how many this run drew, how many
        of those were on disk but broken, files in the folder that are not the split's, the renderer.

    Raises:
        InputError: Bad split or size, a folder begun with other parameters, in use by another run, or without room;
            too little memory.
        RuntimeError: A chunk failed, or its process died again and again.
        KeyboardInterrupt: SIGINT or SIGTERM came; the frames being written were finished first.
    """
    if split not in SPLITS:
        raise InputError("split", split, ", ".join(SPLITS))
    check_lens(frame_intervals(params, split), width, height)
    threads = 1 if executor == "ray" else max(1, _cores() // workers)
    folder = out / split
    contract = make_contract(params, split=split, frames=frames, seed=seed, width=width, height=height, renderer={})
    with contextlib.closing(open_executor(executor, address=address, command=command, threads=threads)) as runs:
        writable_folder("out", folder)
        with room(folder), lock(folder):
            run = _Run(
                folder,
                contract,
                runs,
                workers=min(workers, runs.slots),
                threads=threads,
                retries=retries,
                other_backend=other_backend,
                emit=emit,
            )
            if not agree(folder, contract, extend=extend):
                contract["renderer"] = run.describe()
                write_contract(folder, contract)
            found = survey(folder, frames=frames, outputs=contract["outputs"], hashes=hashes)
            report_survey(found, folder, emit)
            missing = [index for index in range(frames) if index not in found.done]
            chunks = plan_chunks(params, missing, chunk_frames=chunk_frames, workers=workers)
            done = run.draw(chunks, found.done)
            write_journal(folder, done)
            shutil.rmtree(folder / CHUNKS, ignore_errors=True)
    return {
        "split": str(folder),
        "frames": len(done),
        "drawn": len(missing),
        "broken": found.broken,
        "extra": found.extra,
        "renderer": contract["renderer"],
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@contextlib.contextmanager
def room(folder: Path) -> Iterator[None]:
    """Turn a full or read-only disk into bad input; what is on disk stays and counts."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise InputError("out", str(folder), f"a folder with room for the frames ({error.strerror})") from None


def report_survey(found: Survey, folder: Path, emit: Emit) -> None:
    """Note what a look at the folder brought up."""

    def listed(names: list[Any]) -> str:
        return ", ".join(str(name) for name in names[:5]) + (", …" if len(names) > 5 else "")

    if found.damaged_lines:
        emit({"event": "note", "message": f"{folder}: {found.damaged_lines} damaged journal lines; redrawing"})
    if found.broken:
        emit({"event": "note", "message": f"{folder}: redrawing broken frames {listed(found.broken)}"})
    if found.extra:
        emit({"event": "note", "message": f"{folder}: not of this split, left alone: {listed(found.extra)}"})


@dataclasses.dataclass
class _Active:
    """A chunk under way."""

    running: Running
    tries: int
    offset: int = 0
    """Bytes of its part journal that were read."""
    waiting: set[int] = dataclasses.field(default_factory=set)
    """Frames that are not journaled yet."""


class _Run:
    """One run over a split: starts chunks, journals what they finish, starts again what died."""

    def __init__(
        self, folder: Path, contract: dict[str, Any], executor: Executor, *, workers: int, threads: int, retries: int,
        other_backend: bool, emit: Emit,
    ) -> None:  # fmt: skip
        self.folder, self.contract, self.executor = folder, contract, executor
        self.workers, self.threads, self.retries, self.emit = workers, threads, retries, emit
        self.other_backend = other_backend
        self.need = _measured_need(folder / LOG)
        """Memory of a worker [bytes]."""
        self._started = 0
        self._held_back = False
        self._done: dict[int, FrameRecord] = {}
        self._total = 0

    def describe(self) -> dict[str, Any]:
        """Ask a fresh process which renderer it draws with."""
        self._check_memory([])
        running = self._start("describe", ())
        try:
            while (how := running.poll()) is None:
                time.sleep(self.executor.pause_s)
            return read_result(running.task, how)["renderer"]
        finally:
            running.kill()
            running.task.path.unlink(missing_ok=True)
            running.task.result.unlink(missing_ok=True)

    def draw(self, chunks: list[tuple[int, ...]], done: dict[int, FrameRecord]) -> dict[int, FrameRecord]:
        """Draw chunks and journal their frames as they come to lie on disk.

        Returns:
            Every frame of the split by index.
        """
        self._done = dict(done)
        self._total = len(done) + sum(map(len, chunks))
        self._progress()
        queue = deque((indices, 0) for indices in chunks)
        active: list[_Active] = []
        with _stop_on_signal() as stop:
            try:
                while queue or active:
                    if stop.is_set():
                        queue.clear()
                        self._stop_file.touch()
                    while queue and len(active) < self.workers and self._check_memory(active):
                        indices, tries = queue.popleft()
                        self._started += 1
                        running = self._start(f"{self._started:05d}", indices)
                        active.append(_Active(running, tries, waiting=set(indices)))
                    for chunk in list(active):
                        ended = self._look(chunk)
                        if ended is not None:
                            active.remove(chunk)
                            queue.extend(ended)
                    time.sleep(self.executor.pause_s)
            finally:
                for chunk in active:
                    chunk.running.kill()
            if stop.is_set():
                raise KeyboardInterrupt
        return self._done

    @property
    def _stop_file(self) -> Path:
        return self.folder / CHUNKS / "stop"

    def _start(self, name: str, indices: tuple[int, ...]) -> Running:
        path = self.folder.resolve() / CHUNKS / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        task = Task(path, path.parent.parent, self.contract, indices, self.threads, self.other_backend)
        return self.executor.start(task)

    def _progress(self) -> None:
        self.emit({"event": "progress", "done": len(self._done), "total": self._total})

    def _look(self, chunk: _Active) -> list[tuple[tuple[int, ...], int]] | None:
        """Journal what a chunk finished; None while it runs, then what is left of it to draw again."""
        how = chunk.running.poll()  # before its journal is read, so that nothing written until then is missed
        records, chunk.offset = read_part(chunk.running.task, chunk.offset)
        fresh = [record for record in records if record.index in chunk.waiting]
        if fresh:
            lost = [record.index for record in fresh if not present(self.folder, record)]
            if lost:
                raise InputError("out", str(self.folder), f"a folder every worker shares: frame {lost[0]} is not in it")
            append_records(self.folder, fresh)
            self._done |= {record.index: record for record in fresh}
            chunk.waiting -= {record.index for record in fresh}
            self._progress()
        if how is None:
            return None
        return self._end(chunk, how)

    def _end(self, chunk: _Active, how: str) -> list[tuple[tuple[int, ...], int]]:
        """Log a chunk that ended; return what is left of it, where it ended before its time."""
        task = chunk.running.task
        if task.result.exists():
            result = read_result(task, how)
            self.need = max(self.need, result["peak_rss"]) if self.executor.shares_memory else self.need
            append_lines(self.folder / LOG, [json.dumps({"event": "chunk", "time": time.time(), **log_fields(result)})])
            how = result["status"]
        left = tuple(sorted(chunk.waiting))
        if not left or self._stop_file.exists():
            return []
        message = f"a chunk ended ({how}) with frames {left[0]} … {left[-1]} to draw"
        if chunk.tries >= self.retries:
            raise RuntimeError(f"{message}; out of memory? Run the same command again to go on")
        self.emit({"event": "note", "message": f"{message}; starting again"})
        return [(left, chunk.tries + 1)]

    def _check_memory(self, active: list[_Active]) -> bool:
        """Whether there is memory for one more worker beside those that have yet to grow.

        Raises:
            InputError: There is not even for the first.
        """
        if not self.executor.shares_memory:
            return True
        growing = sum(max(self.need - (chunk.running.resident_bytes() or 0), 0) for chunk in active)
        free = available_bytes() - growing
        if free >= self.need:
            return True
        text = f"{self.need / 1e9:.2f} GB of free memory for a worker; {max(free, 0) / 1e9:.2f} GB are"
        if not active:
            raise InputError("workers", self.workers, text)
        if not self._held_back:
            self._held_back = True
            self.emit({"event": "note", "message": f"{len(active)} of {self.workers} workers: it takes {text} left"})
        return False


def read_result(task: Task, how: str) -> dict[str, Any]:
    """Result of a chunk that ended.

    Raises:
        InputError: It refused its task.
        OSError: The disk did.
        RuntimeError: It failed, or left no result.
    """
    try:
        result = json.loads(task.result.read_text("utf-8"))
    except (OSError, ValueError):
        raise RuntimeError(f"a worker left no result ({how})") from None
    error = result["error"]
    if error is None:
        return result
    if "field" in error:
        raise InputError(error["field"], error["value"], error["allowed"])
    if error["errno"] in NO_SPACE:
        raise OSError(error["errno"], os.strerror(error["errno"]))
    raise RuntimeError(error["message"])


def _measured_need(log: Path) -> int:
    """Memory a worker of this split took so far, or takes on preset v3 [bytes]."""
    try:
        peaks = [json.loads(line)["peak_rss"] for line in log.read_text("utf-8").splitlines()]
    except (OSError, ValueError, KeyError):
        peaks = []
    return max(peaks, default=WORKER_BYTES)


def log_fields(result: dict[str, Any]) -> dict[str, Any]:
    """What of a result a split's log keeps."""
    return {name: result[name] for name in ("status", "frames", "seconds", "peak_rss", "host")}


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event, so that the frames being written are finished."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
