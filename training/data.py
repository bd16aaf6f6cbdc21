"""Frames of a split as arrays: read once, kept in memory where they fit, handed out in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from regolith.lunar.dataset.layout import FrameRecord, frame_paths
from regolith.lunar.labels import NAMES
from regolith.lunar.params import InputError

MEMORY_SHARE = 0.4
"""Share of the free memory a split may take; a larger one is read from disk at every pass."""


def fingerprint(records: list[FrameRecord]) -> str:
    """Return the sha256 over the journal's canonical lines by index: equal for equal frames, wherever they lie."""
    lines = "".join(record.to_line() + "\n" for record in sorted(records, key=lambda r: r.index))
    return hashlib.sha256(lines.encode()).hexdigest()


class Frames:
    """The usable frames of a split; one whose every pixel is ignored teaches nothing and is left out."""

    def __init__(self, split: Path, *, field: str, workers: int) -> None:
        """Read the journal and, where they fit, the pixels.

        Args:
            split: Folder of the split.
            field: Parameter that named the folder, for messages.
            workers: Threads that decode.

        Raises:
            InputError: No split, no usable frame, a file that does not read, or frames of several sizes.
        """
        self.split, self.field, self.workers = split, field, workers
        try:
            rows = list(frame_paths(split))
        except InputError as error:
            raise InputError(field, error.value, error.allowed) from None
        self.fingerprint = fingerprint([record for record, _, _ in rows])
        rows = [row for row in rows if any(row[0].counts.get(name, 0) for name in NAMES)]
        if not rows:
            raise InputError(field, str(split), "a split with at least one labelled frame")
        self.records = [record for record, _, _ in rows]
        self.paths = [(rgb, mask) for _, rgb, mask in rows]
        rgb, _ = self._read(0, None)
        self.shape = rgb.shape[:2]
        """Height and width of every frame."""
        self._rgb: np.ndarray | None = None
        self._mask: np.ndarray | None = None
        if len(rows) * rgb.size // 3 * 4 < MEMORY_SHARE * psutil.virtual_memory().available:
            self._rgb, self._mask = self._read_many(range(len(rows)))

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def counts(self) -> np.ndarray:
        """Pixels per class over the split, int64 [3]."""
        return np.array([sum(r.counts.get(name, 0) for r in self.records) for name in NAMES], np.int64)

    def _read(self, i: int, shape: tuple[int, ...] | None) -> tuple[np.ndarray, np.ndarray]:
        arrays = []
        for path, mode in zip(self.paths[i], ("RGB", "L"), strict=True):
            try:
                with Image.open(path) as image:
                    if image.mode != mode:
                        raise InputError(self.field, str(path), f"a picture of mode {mode}, not {image.mode}")
                    arrays.append(np.asarray(image))
            except OSError as error:
                raise InputError(self.field, str(path), f"a readable PNG ({error})") from None
        rgb, mask = arrays
        expected = shape or rgb.shape[:2]
        if rgb.shape[:2] != expected or mask.shape != expected:
            raise InputError(self.field, str(self.paths[i][0]), f"picture and mask of {expected[1]}×{expected[0]} px")
        return rgb, mask

    def _read_many(self, indices: range | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with ThreadPoolExecutor(self.workers) as pool:
            pairs = list(pool.map(lambda i: self._read(int(i), self.shape), indices))
        return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])

    def batches(
        self, order: np.ndarray, size: int, *, flips: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield pictures uint8 [N, H, W, 3] and masks uint8 [N, H, W], the next batch being read meanwhile.

        Args:
            order: Frame numbers to go through.
            size: Frames per batch; the last one may be smaller.
            flips: Whether to mirror each frame of `order` left to right; left out, none.
        """

        def submit(start: int) -> Future[tuple[np.ndarray, np.ndarray]]:
            flip = None if flips is None else flips[start : start + size]
            return ahead.submit(self._gather, order[start : start + size], flip)

        starts = range(0, len(order), size)
        with ThreadPoolExecutor(1) as ahead:
            following = submit(0) if starts else None
            for start in starts:
                current = following
                following = submit(start + size) if start + size < len(order) else None
                assert current is not None
                yield current.result()

    def _gather(self, indices: np.ndarray, flips: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        if self._rgb is not None and self._mask is not None:
            rgb, mask = self._rgb[indices], self._mask[indices]
        else:
            rgb, mask = self._read_many(indices)
        if flips is not None:
            rgb[flips] = rgb[flips][:, :, ::-1]
            mask[flips] = mask[flips][:, :, ::-1]
        return rgb, mask
