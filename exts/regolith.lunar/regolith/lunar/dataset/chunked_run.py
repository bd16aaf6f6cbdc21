"""A run in chunks: starts those of a plan, journals what they finish, starts again what ended too early."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from regolith.lunar.dataset.chunk import CHUNKS, ChunkTask, read_part
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.executors import Executor, Running
from regolith.lunar.dataset.journal import OpenJournal
from regolith.lunar.dataset.layout import present
from regolith.lunar.dataset.plan import plan_chunks
from regolith.lunar.dataset.run import SplitRun, read_result
from regolith.lunar.dataset.survey import LOG, read_log
from regolith.lunar.dataset.views import Views
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.memory import available_bytes
from regolith.lunar.machine import cores, stop_on_signal
from regolith.lunar.params import InputError

_T = TypeVar("_T")

WORKER_BYTES = 1_200_000_000
"""Memory a worker takes on preset v3 [bytes]: the peak that `benchmarks/bench_generate.py` measures. A split's own log
says more as soon as one of its chunks has ended."""


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


class ChunkedRun(SplitRun):
    """A run whose chunks an executor draws.

    Args:
        folder: Folder of the split.
        contract: What is asked for.
        executor: Where the chunks run.
        workers: Chunks drawn at once.
        chunk_frames: Most frames of a chunk, a scene more at the most.
        retries: Times a chunk is started again that ended without drawing a frame.
        stall_s: Time without a new frame after which a chunk is ended [s].
        other_backend: Whether frames of another renderer back end are welcome.
        emit: Receives `progress` and `note` events.
        views: Frames that were chosen; None where they are drawn.
    """

    def __init__(
        self, folder: Path, contract: Contract, executor: Executor, *, workers: int, chunk_frames: int, retries: int,
        stall_s: float, other_backend: bool, emit: Emit, views: Views | None = None,
    ) -> None:  # fmt: skip
        super().__init__(folder, contract, emit, views)
        self.executor, self.workers, self.chunk_frames = executor, min(workers, executor.slots), chunk_frames
        self.retries, self.stall_s, self.other_backend = retries, stall_s, other_backend
        self.threads = 1
        """Threads of each chunk's renderer."""
        self.need = measured_need(folder / LOG)
        """Memory of a worker [bytes]."""
        self._name = secrets.token_hex(4)  # an orphan of a killed run must not be taken for one of this run's chunks
        self._started = 0
        self._held_back = False
        self._journal: OpenJournal

    async def aside(self, work: Callable[[], _T]) -> _T:
        """Do slow work: nobody waits."""
        return work()

    def check_nodes(self, known: Contract | None) -> None:
        """Look for nodes of the executor that would draw other bytes, unless those are welcome."""
        if not self.other_backend:
            self.executor.check_nodes(self.contract.params.render.backend, known.renderer if known else None)

    async def describe(self) -> dict[str, Any]:
        """Say what the chunks draw with; where that is not known, ask one, started again if it ends early or stalls.

        Raises:
            InputError: There is no such renderer, or memory does not do.
            RuntimeError: It failed, or ended too early again and again.
            KeyboardInterrupt: SIGINT or SIGTERM came.
        """
        self._check_memory([])
        known = self.executor.describe(self.contract.params.render.backend)
        if known is not None:
            return known
        tries = 0
        try:
            while True:
                asked = _Active(self._start(()), tries, set())
                how = self._wait(asked)
                if asked.running.task.result.exists():
                    return read_result(asked.running.task, how)["renderer"]
                tries = self._next_try(asked, f"the worker that describes the renderer ended ({how})")
        finally:
            for path in (self.folder / CHUNKS).glob(f"{self._name}-*"):
                path.unlink()
            with contextlib.suppress(OSError):  # a killed run's chunks may lie there
                (self.folder / CHUNKS).rmdir()

    def _wait(self, chunk: _Active) -> str:
        """Wait for a chunk without frames; returns how it ended."""
        with stop_on_signal() as stop:
            try:
                while (how := chunk.running.poll()) is None:
                    if stop.is_set():
                        raise KeyboardInterrupt
                    if self._stalls(chunk):
                        return f"no answer in {self.stall_s:g} s"
                    time.sleep(self.executor.pause_s)
                return how
            finally:
                chunk.running.kill()

    async def draw(self, journal: OpenJournal) -> None:
        """Draw the missing frames in chunks and journal them as they come to lie on disk.

        Raises:
            InputError: A chunk refused its task, or the folder or memory does not do.
            RuntimeError: A chunk failed, or ended too early again and again, or frames are missing.
            KeyboardInterrupt: SIGINT or SIGTERM came; the frames being written were finished first.
        """
        params = self.contract.params
        chunks = plan_chunks(
            params, journal.missing(), chunk_frames=self.chunk_frames, workers=self.workers, views=self.views
        )
        first = list(islice(chunks, self.workers))
        if self.executor.shares_memory:  # and so this machine's cores
            self.threads = max(1, cores() // max(1, len(first)))
        self._journal = journal
        self._progress()
        queue = deque((indices, 0) for indices in first)
        active: list[_Active] = []
        with stop_on_signal() as stop:
            try:
                while queue or active:
                    if stop.is_set() and not self._stop_file.exists():
                        chunks = iter(())
                        queue.clear()
                        self._stop_file.parent.mkdir(exist_ok=True)
                        self._stop_file.touch()
                    while queue and len(active) < self.workers and self._check_memory(active):
                        indices, tries = queue.popleft()
                        queue.extend((indices, 0) for indices in islice(chunks, 1))
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
        if len(journal) != journal.frames:
            raise RuntimeError(f"{len(journal)} of {journal.frames} frames; run the same command again to go on")

    @property
    def _stop_file(self) -> Path:
        return self.folder / CHUNKS / "stop"

    def _start(self, indices: tuple[int, ...]) -> Running:
        self._started += 1
        path = self.folder.resolve() / CHUNKS / f"{self._name}-{self._started:05d}.json"
        path.parent.mkdir(exist_ok=True)
        task = ChunkTask(
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
        self.emit({"event": "progress", "done": len(self._journal), "total": self._journal.frames})

    def _look(self, chunk: _Active) -> Left | None:
        """Journal what a chunk finished; None while it runs, then what is left of it."""
        how = chunk.running.poll()  # before its journal is read, so that nothing written until then is missed
        records, chunk.offset = read_part(chunk.running.task, chunk.offset)
        fresh = [record for record in records if record.index in chunk.waiting]
        if fresh:
            lost = [record.index for record in fresh if not present(self.folder, record)]
            if lost:
                raise InputError("out", str(self.folder), f"a folder every worker shares: frame {lost[0]} is not in it")
            self._journal.append(fresh)
            chunk.waiting -= {record.index for record in fresh}
            chunk.moved, chunk.advanced = time.monotonic(), True
            self._progress()
        if how is None and self._stalls(chunk):
            chunk.running.kill()
            how = f"no frame in {self.stall_s:g} s"
        return None if how is None else self._end(chunk, how)

    def _stalls(self, chunk: _Active) -> bool:
        """Whether it does nothing any more, as far as one can see."""
        return time.monotonic() - chunk.moved > self.stall_s

    def _end(self, chunk: _Active, how: str) -> Left:
        """Log a chunk that ended; return what is left of it, where it ended before its time."""
        task, failure = chunk.running.task, None
        if task.result.exists():
            try:
                result = self.take_result(task, how)
            except RuntimeError as error:  # a renderer's moment of weakness ends no run of days
                how, failure = str(error), error
            else:
                if result["frames"]:
                    self.need = max(self.need, result["peak_rss"])
                how = result["status"]
        left = tuple(sorted(chunk.waiting))
        if not left or self._stop_file.exists():
            return []
        message = f"a chunk ended ({how}) with frames {left[0]} … {left[-1]} to draw"
        return [(left, self._next_try(chunk, message, failure))]

    def _next_try(self, chunk: _Active, message: str, failure: Exception | None = None) -> int:
        """Say that a chunk that ended too early is started again, and how often that was tried without any progress.

        Raises:
            RuntimeError: Often enough; what the chunk failed with is its cause.
        """
        tries = 0 if chunk.advanced else chunk.tries + 1
        if tries > self.retries:
            why = "" if failure else "out of memory? "
            raise RuntimeError(f"{message}; {why}Run the same command again to go on") from failure
        self.emit({"event": "note", "message": f"{message}; starting again"})
        return tries

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


def measured_need(log: Path) -> int:
    """Memory a worker of this split took so far, or takes on preset v3 [bytes]."""
    peaks = (chunk.peak_rss for chunk in read_log(log) if chunk.frames)
    return max(peaks, default=WORKER_BYTES)
