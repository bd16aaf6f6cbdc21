"""One run over a split: starts the chunks of a plan, journals what they finish, starts again what ended too early."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import secrets
import shutil
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.chunk import CHUNKS, Task, read_part
from regolith.lunar.dataset.executors import Executor, Running
from regolith.lunar.dataset.layout import FrameRecord, make_contract, present, write_contract
from regolith.lunar.dataset.survey import LOG, Survey
from regolith.lunar.dataset.write import append_records, write_journal
from regolith.lunar.files import append_lines
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.memory import available_bytes
from regolith.lunar.machine import stop_on_signal
from regolith.lunar.params import InputError, Params
from regolith.lunar.randomize import SPLITS, frame_intervals
from regolith.lunar.stage.lens import check_lens

WORKER_BYTES = 1_200_000_000
"""Memory a worker takes on preset v3 [bytes]: the peak that `benchmarks/bench_generate.py` measures. A split's own log
says more as soon as one of its chunks has ended."""

UNFIT = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM,
    errno.EISDIR, errno.ENOTDIR, errno.EEXIST,
)  # fmt: skip
"""Errors of a folder that cannot take the frames: no room, no permission, something else in a file's place."""


@contextlib.contextmanager
def room(folder: Path) -> Iterator[None]:
    """Turn a folder that cannot take the frames into bad input; what is on disk stays and counts."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNFIT:
            raise
        where = f": {error.filename}" if error.filename else ""
        text = f"a folder with room for the frames ({error.strerror}{where})"
        raise InputError("out", str(folder), text) from None


def begin(
    params: Params, out: Path, *, split: str, frames: int, width: int, height: int, seed: int
) -> tuple[Path, dict[str, Any]]:
    """Check what a run shall draw; nothing is written.

    Returns:
        Folder of the split, and its contract without the renderer.

    Raises:
        InputError: Unknown split, a number of frames or a size that is not allowed, a lens that folds.
    """
    if split not in SPLITS:
        raise InputError("split", split, ", ".join(SPLITS))
    for field, value, least, most in (
        ("frames", frames, 1, 1_000_000), ("width", width, 16, 4096), ("height", height, 16, 4096)
    ):  # fmt: skip
        if not least <= value <= most:
            raise InputError(field, value, f"{least} … {most}")
    check_lens(frame_intervals(params, split), width, height)
    return out / split, make_contract(
        params, split=split, frames=frames, seed=seed, width=width, height=height, renderer={}
    )


def close_split(folder: Path, contract: dict[str, Any], done: dict[int, FrameRecord]) -> None:
    """Order the journal, and leave no chunk beside the split."""
    write_journal(folder, done)
    if contract["other_renderers"]:
        write_contract(folder, contract)
    shutil.rmtree(folder / CHUNKS, ignore_errors=True)


def outcome(folder: Path, contract: dict[str, Any], found: Survey, done: dict[int, FrameRecord]) -> dict[str, Any]:
    """What a run says at its end: {split, frames, drawn, broken, extra, renderer}.

    Args:
        folder: Folder of the split.
        contract: Its contract.
        found: What lay there when the run began.
        done: The frames it has now.
    """
    return {
        "split": str(folder),
        "frames": len(done),
        "drawn": len(done) - len(found.done),
        "broken": found.broken,
        "extra": found.extra,
        "renderer": contract["renderer"],
    }


@dataclasses.dataclass
class _Active:
    """A chunk under way."""

    running: Running
    tries: int
    waiting: set[int]
    """Frames that are not journaled yet."""
    offset: int = 0
    """Bytes of its part journal that were read."""
    moved: float = dataclasses.field(default_factory=time.monotonic)
    """When it last finished a frame, or was started."""
    advanced: bool = False
    """Whether it has finished any frame."""


Left = list[tuple[tuple[int, ...], int]]
"""Frames to draw again, and how often they were tried without any progress."""


class Run:
    """Draws chunks by an executor and journals their frames.

    Args:
        folder: Folder of the split, locked by the caller.
        contract: Contents of `dataset.json`.
        executor: Where the chunks run.
        workers: Chunks drawn at once.
        threads: Threads of each chunk's renderer.
        retries: Times a chunk is started again that ended without drawing a frame.
        stall_s: Time without a new frame after which a chunk is ended [s].
        other_backend: Whether frames of another renderer back end are welcome.
        emit: Receives `progress` and `note` events.
    """

    def __init__(
        self, folder: Path, contract: dict[str, Any], executor: Executor, *, workers: int, threads: int, retries: int,
        stall_s: float, other_backend: bool, emit: Emit,
    ) -> None:  # fmt: skip
        self.folder, self.contract, self.executor = folder, contract, executor
        self.workers, self.threads, self.retries, self.stall_s = workers, threads, retries, stall_s
        self.other_backend, self.emit = other_backend, emit
        self.need = _measured_need(folder / LOG)
        """Memory of a worker [bytes]."""
        self._name = secrets.token_hex(4)  # an orphan of a killed run must not be taken for one of this run's chunks
        self._started = 0
        self._held_back = False
        self._done: dict[int, FrameRecord] = {}
        self._total = 0

    def describe(self) -> dict[str, Any]:
        """Ask a fresh process which renderer it draws with."""
        self._check_memory([])
        try:
            running = self._start(())
            try:
                while (how := running.poll()) is None:
                    time.sleep(self.executor.pause_s)
                return read_result(running.task, how)["renderer"]
            finally:
                running.kill()
                running.task.result.unlink(missing_ok=True)
        finally:
            for path in (self.folder / CHUNKS).glob(f"{self._name}-*"):
                path.unlink()
            with contextlib.suppress(OSError):  # a killed run's chunks may lie there
                (self.folder / CHUNKS).rmdir()

    def draw(self, chunks: list[tuple[int, ...]], done: dict[int, FrameRecord]) -> dict[int, FrameRecord]:
        """Draw chunks and journal their frames as they come to lie on disk.

        Returns:
            Every frame of the split by index.

        Raises:
            InputError: A chunk refused its task, or the folder or memory does not do.
            RuntimeError: A chunk failed, or ended too early again and again.
            KeyboardInterrupt: SIGINT or SIGTERM came; the frames being written were finished first.
        """
        self._done = dict(done)
        self._total = len(done) + sum(map(len, chunks))
        self._progress()
        queue = deque((indices, 0) for indices in chunks)
        active: list[_Active] = []
        with stop_on_signal() as stop:
            try:
                while queue or active:
                    if stop.is_set() and not self._stop_file.exists():
                        queue.clear()
                        self._stop_file.parent.mkdir(exist_ok=True)
                        self._stop_file.touch()
                    while queue and len(active) < self.workers and self._check_memory(active):
                        indices, tries = queue.popleft()
                        active.append(_Active(self._start(indices), tries, set(indices)))
                    for chunk in list(active):
                        left = self._look(chunk)
                        if left is not None:
                            active.remove(chunk)
                            queue.extend(left)
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

    def _start(self, indices: tuple[int, ...]) -> Running:
        self._started += 1
        path = self.folder.resolve() / CHUNKS / f"{self._name}-{self._started:05d}.json"
        path.parent.mkdir(exist_ok=True)
        task = Task(
            path,
            path.parent.parent,
            self.contract,
            indices,
            threads=self.threads,
            memory=self.need,
            other_backend=self.other_backend,
        )
        return self.executor.start(task)

    def _progress(self) -> None:
        self.emit({"event": "progress", "done": len(self._done), "total": self._total})

    def _look(self, chunk: _Active) -> Left | None:
        """Journal what a chunk finished; None while it runs, then what is left of it."""
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
            chunk.moved, chunk.advanced = time.monotonic(), True
            self._progress()
        if how is None and time.monotonic() - chunk.moved > self.stall_s:
            chunk.running.kill()
            how = f"no frame in {self.stall_s:g} s"
        return None if how is None else self._end(chunk, how)

    def _end(self, chunk: _Active, how: str) -> Left:
        """Log a chunk that ended; return what is left of it, where it ended before its time."""
        task = chunk.running.task
        if task.result.exists():
            result = read_result(task, how)
            if result["frames"]:
                self.need = max(self.need, result["peak_rss"])
            note_renderer(self.contract, result["renderer"])
            append_lines(self.folder / LOG, [json.dumps({"event": "chunk", "time": time.time(), **log_fields(result)})])
            how = result["status"]
        left = tuple(sorted(chunk.waiting))
        if not left or self._stop_file.exists():
            return []
        message = f"a chunk ended ({how}) with frames {left[0]} … {left[-1]} to draw"
        tries = 0 if chunk.advanced else chunk.tries + 1
        if tries > self.retries:
            raise RuntimeError(f"{message}; out of memory? Run the same command again to go on")
        self.emit({"event": "note", "message": f"{message}; starting again"})
        return [(left, tries)]

    def _check_memory(self, active: list[_Active]) -> bool:
        """Whether there is memory for one more worker beside those that have yet to grow.

        Raises:
            InputError: There is not even for the first.
        """
        if not self.executor.shares_memory:
            return True
        growing = sum(max(self.need - (chunk.running.resident_bytes() or 0), 0) for chunk in active)
        free = available_bytes() + self.executor.held_bytes() - growing
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

    Args:
        task: Its task.
        how: How it ended, as its executor knows.

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
    if error["errno"] in UNFIT:
        raise OSError(error["errno"], os.strerror(error["errno"]), error["filename"])
    raise RuntimeError(error["message"])


def note_renderer(contract: dict[str, Any], renderer: dict[str, Any]) -> None:
    """Keep in a contract that another renderer than its own has drawn frames of the split."""
    if renderer not in (contract["renderer"], *contract["other_renderers"]):
        contract["other_renderers"].append(renderer)


def log_fields(result: dict[str, Any]) -> dict[str, Any]:
    """What of a result a split's log keeps."""
    return {name: result[name] for name in ("status", "frames", "seconds", "peak_rss", "host")}


def _measured_need(log: Path) -> int:
    """Memory a worker of this split took so far, or takes on preset v3 [bytes]."""
    peaks: list[int] = []
    with contextlib.suppress(OSError):
        for line in log.read_text("utf-8").splitlines():
            with contextlib.suppress(ValueError, KeyError):  # a torn line
                chunk = json.loads(line)
                peaks += [chunk["peak_rss"]] if chunk["frames"] else []
    return max(peaks, default=WORKER_BYTES)
