"""Frames of splits as arrays: read once, kept in memory where they fit, handed out in batches made ahead by threads.

Every read of a file is held to the journal's hash of it, so that the fingerprint of a split tells what was trained on.
"""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from regolith.lunar.dataset.layout import FrameRecord, records_digest
from regolith.lunar.dataset.manifest import Part, read_frames, without_quarantined
from regolith.lunar.jobs.memory import available_bytes
from regolith.lunar.labels import NAMES
from regolith.lunar.params import InputError
from regolith.lunar.params.training import Quarantined

MEMORY_SHARE = 0.4
"""Share of the free memory a run's splits may take; larger ones are read from disk at every pass."""
BATCHES_AHEAD = 3
"""Batches being made while one is computed."""

Change = Callable[[int, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Position in the order, picture and mask to what the network sees of them."""


def joined(prints: Sequence[str]) -> str:
    """Return the fingerprint of several splits, in their order, of theirs; one split's is its own."""
    return prints[0] if len(prints) == 1 else hashlib.sha256("\n".join(prints).encode()).hexdigest()


def _print(part: Part) -> str:
    """Fingerprint of frames of one split, and of what of them does not count."""
    found = records_digest(part.records)
    return joined([found, *part.ignored]) if part.ignored else found


class Frames:
    """The usable frames of splits; one whose every pixel is ignored teaches nothing and is left out."""

    def __init__(
        self, splits: Path | Sequence[Path], *, field: str, workers: int, quarantined: Quarantined = "refuse"
    ) -> None:
        """Read the journals and, where they fit, the pixels.

        Args:
            splits: Folder of a split, or of several, whose frames follow each other.
            field: Parameter that named the folders, for messages.
            workers: Threads that read and change frames.
            quarantined: What to do with frames and classes that are quarantined.

        Raises:
            InputError: No split, no usable frame, one that is refused, or a file that is not as it was written.
        """
        self.splits = (splits,) if isinstance(splits, Path) else tuple(splits)
        self.field, self.workers = field, workers
        self._quarantined: Quarantined = quarantined
        self._usable: list[Part] = []
        self._ends: list[int] = []
        """Number of the first frame after those of each split, or of each part of a manifest."""
        self.shapes: list[tuple[int, int]] = []
        """Height and width of every frame."""
        prints = [self._add(split) for split in self.splits]
        self.fingerprint = joined(prints)
        self._memory: list[tuple[np.ndarray, np.ndarray]] | None = None
        if sum(4 * h * w for h, w in self.shapes) < MEMORY_SHARE * available_bytes():
            with ThreadPoolExecutor(workers) as pool:
                self._memory = list(pool.map(self._read, range(len(self))))

    def _add(self, split: Path) -> str:
        """Take in the usable frames of a split or a manifest; returns the fingerprint of all it has."""
        try:
            parts = without_quarantined(read_frames(split), self._quarantined, field=self.field)
        except InputError as error:
            raise InputError(self.field, error.value, error.allowed) from None
        before = len(self)
        for part in parts:
            labelled = (any(part.pixels(record)) for record in part.records)
            usable = part.records[np.fromiter(labelled, bool, len(part.records))]
            self._usable.append(dataclasses.replace(part, records=usable))
            self._ends.append(len(self) + len(usable))
            self.shapes += [(part.source.height, part.source.width)] * len(usable)
        if len(self) == before:
            raise InputError(self.field, str(split), "a split with at least one labelled frame")
        return joined([_print(part) for part in parts])

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def name(self) -> str:
        """The folders, as the parameter is written."""
        return ",".join(map(str, self.splits))

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The widths and heights [px] that occur."""
        return sorted({(w, h) for h, w in self.shapes})

    @property
    def counts(self) -> np.ndarray:
        """Pixels per class over the splits, int64 [3]."""
        each = (count for part in self._usable for record in part.records for count in part.pixels(record))
        return np.fromiter(each, np.int64, len(self) * len(NAMES)).reshape(-1, len(NAMES)).sum(axis=0)

    def record(self, i: int) -> tuple[Part, FrameRecord]:
        """Return what a frame is part of, and its line in the journal."""
        split = bisect.bisect_right(self._ends, i)
        part = self._usable[split]
        return part, part.records[i - self._ends[split]]

    def _read(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        part, record = self.record(i)
        try:
            return part.source.array("rgb", record), part.mask(record)
        except InputError as error:
            raise InputError(self.field, error.field, error.allowed) from None

    def frame(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the picture uint8 [H, W, 3] and the mask uint8 [H, W] of a frame.

        Raises:
            InputError: A file is not as it was written.
        """
        return self._memory[i] if self._memory is not None else self._read(i)

    def batches(
        self,
        order: np.ndarray,
        size: int,
        *,
        flips: np.ndarray | None = None,
        change: Change | None = None,
        shape: tuple[int, int] | None = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield pictures uint8 [N, H, W, 3] and masks uint8 [N, H, W], the next batches being made meanwhile.

        Args:
            order: Frame numbers to go through.
            size: Frames per batch; the last one may be smaller, and one before a frame of another size.
            flips: Whether to mirror each frame of `order` left to right; left out, none.
            change: What to do to each frame, before it is mirrored.
            shape: Height and width `change` brings every frame to; left out, it keeps them.
        """
        ahead: deque[tuple[np.ndarray, np.ndarray, list[Future[None]]]] = deque()
        pool = ThreadPoolExecutor(self.workers)

        def fill(k: int, rgb_out: np.ndarray, mask_out: np.ndarray) -> None:
            i = int(order[k])
            rgb, mask = self.frame(i)
            if change is not None:
                rgb, mask = change(k, rgb, mask)
            if flips is not None and flips[k]:
                rgb, mask = rgb[:, ::-1], mask[:, ::-1]
            rgb_out[:], mask_out[:] = rgb, mask

        def submit(start: int, stop: int) -> None:
            height, width = shape or self.shapes[int(order[start])]
            rgb = np.empty((stop - start, height, width, 3), np.uint8)
            mask = np.empty((stop - start, height, width), np.uint8)
            tasks = [pool.submit(fill, k, rgb[k - start], mask[k - start]) for k in range(start, stop)]
            ahead.append((rgb, mask, tasks))

        try:
            for start, stop in self._ranges(order, size, split_shapes=shape is None):
                submit(start, stop)
                if len(ahead) > BATCHES_AHEAD:
                    yield _finish(*ahead.popleft())
            while ahead:
                yield _finish(*ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _ranges(self, order: np.ndarray, size: int, *, split_shapes: bool) -> Iterator[tuple[int, int]]:
        """Ranges of positions that make a batch."""
        start = 0
        while start < len(order):
            stop = min(start + size, len(order))
            if split_shapes:
                shapes = [self.shapes[int(i)] for i in order[start:stop]]
                stop = start + next((k for k, s in enumerate(shapes) if s != shapes[0]), len(shapes))
            yield start, stop
            start = stop


def _finish(rgb: np.ndarray, mask: np.ndarray, tasks: list[Future[None]]) -> tuple[np.ndarray, np.ndarray]:
    for task in tasks:
        task.result()
    return rgb, mask
