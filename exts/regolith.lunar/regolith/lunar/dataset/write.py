"""Write frames so that a crash at any moment leaves either a whole frame or none."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.outputs import OUTPUTS
from regolith.lunar.files import append_lines, write_bytes
from regolith.lunar.labels import count_classes


def write_frame(
    split: Path, index: int, arrays: Mapping[str, np.ndarray], *, seed: int, spec: dict[str, Any], redraws: int = 0
) -> FrameRecord:
    """Write every file of a frame and return the journal line that makes it count.

    Args:
        split: Folder of the split.
        index: Number of the frame.
        arrays: Arrays by names from `outputs.OUTPUTS`, rgb and mask among them.
        seed: Seed of the frame.
        spec: What it was drawn from.
        redraws: How often it was drawn again.
    """
    data = _encode(index, arrays)
    _place(split, data)
    return _record(index, data, arrays["mask"], seed=seed, spec=spec, redraws=redraws)


def _encode(index: int, arrays: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    return {OUTPUTS[name].file_name(index): OUTPUTS[name].encode(array) for name, array in arrays.items()}


def _place(split: Path, data: Mapping[str, bytes]) -> None:
    for name, content in data.items():
        (split / name).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(split / name, content)


def _record(
    index: int, data: Mapping[str, bytes], mask: np.ndarray, *, seed: int, spec: dict[str, Any], redraws: int
) -> FrameRecord:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in data.items()}
    sizes = {name: len(content) for name, content in data.items()}
    return FrameRecord(index, seed, spec, hashes, sizes, count_classes(mask), redraws)


class FrameWriter:
    """Writes frames in threads, off the path of the renderer, and notes each in a part journal once it is on disk.

    At most `backlog` frames wait; after that `put` waits for the oldest. As a context manager it finishes what it was
    given, also when the renderer failed.
    """

    def __init__(self, split: Path, part: Path, *, threads: int = 2, backlog: int = 4) -> None:
        """Open the writer.

        Args:
            split: Folder of the split.
            part: Journal of the frames this writer wrote, one line a frame.
            threads: Frames encoded and written at once.
            backlog: Frames that may wait.
        """
        self.encode_s = 0.0
        """CPU time spent encoding, over all threads [s]."""
        self.write_s = 0.0
        """Time spent writing and flushing, over all threads [s]."""
        self._split, self._part, self._backlog = split, part, backlog
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="writer")
        self._pending: deque[Future[tuple[FrameRecord, float, float]]] = deque()

    def put(
        self, index: int, arrays: Mapping[str, np.ndarray], *, seed: int, spec: dict[str, Any], redraws: int = 0
    ) -> None:
        """Hand over a frame (arguments as `write_frame`).

        Raises:
            OSError: An earlier frame could not be written.
        """
        if self._pending and (self._pending[0].done() or len(self._pending) >= self._backlog):
            self._settle()
        self._pending.append(self._pool.submit(self._write, index, arrays, seed=seed, spec=spec, redraws=redraws))

    @property
    def full(self) -> bool:
        """Whether `put` would wait for the oldest frame."""
        return len(self._pending) >= self._backlog and not self._pending[0].done()

    @property
    def busy(self) -> bool:
        """Whether frames are still being written."""
        return any(not frame.done() for frame in self._pending)

    def _write(self, index: int, arrays: Mapping[str, np.ndarray], **about: Any) -> tuple[FrameRecord, float, float]:
        started = time.thread_time()
        data = _encode(index, arrays)
        encoded = time.thread_time() - started
        started = time.monotonic()
        _place(self._split, data)
        return _record(index, data, arrays["mask"], **about), encoded, time.monotonic() - started

    def _settle(self) -> None:
        """Wait for the oldest frame, and note it with those behind it that are on disk as well."""
        done = [self._pending.popleft().result()]
        while self._pending and self._pending[0].done() and self._pending[0].exception() is None:
            done.append(self._pending.popleft().result())
        append_lines(self._part, (record.to_line() for record, _, _ in done))
        self.encode_s += sum(encode for _, encode, _ in done)
        self.write_s += sum(write for _, _, write in done)

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, *failure: object) -> None:
        error: OSError | None = None
        with self._pool:
            while self._pending:
                try:
                    self._settle()
                except OSError as found:  # the frames behind it may be whole
                    error = error or found
        if error is not None:
            raise error
