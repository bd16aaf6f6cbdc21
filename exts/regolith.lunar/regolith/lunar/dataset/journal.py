"""The journal of a split that a run completes: which frames there are, without holding what is known of them.

A split may have a million frames of 1.4 kB a line; eight bytes of each stay in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from regolith.lunar.dataset.layout import JOURNAL, FrameRecord
from regolith.lunar.files import append_lines, replacing

ABSENT = -1
"""Start of the line of a frame that is not there."""


class OpenJournal:
    """A journal that one process reads and writes, frame by frame.

    Args:
        split: Folder of the split.
        frames: Frames it shall have.
    """

    def __init__(self, split: Path, frames: int) -> None:
        self.split = split
        self._starts = np.full(frames, ABSENT, np.int64)
        self._count = 0

    @property
    def frames(self) -> int:
        """Frames it shall have."""
        return len(self._starts)

    @property
    def path(self) -> Path:
        """The file."""
        return self.split / JOURNAL

    def __len__(self) -> int:
        return self._count

    def __contains__(self, index: int) -> bool:
        return self._starts[index] != ABSENT

    def missing(self) -> np.ndarray:
        """Frames that are not there, ascending, int64."""
        return np.flatnonzero(self._starts == ABSENT)

    def note(self, index: int, start: int) -> None:
        """Note where the line of a frame begins [bytes], or that it is `ABSENT`; an earlier line of it is forgotten."""
        self._count += int(start != ABSENT) - int(index in self)
        self._starts[index] = start

    def append(self, records: Iterable[FrameRecord]) -> None:
        """Append frames and flush them to disk; they count from here on.

        Raises:
            OSError: The file cannot be written.
        """
        lines = {record.index: record.to_line() for record in records}
        if not lines:
            return
        append_lines(self.path, lines.values())
        start = self.path.stat().st_size - sum(len(line) + 1 for line in lines.values())  # JSON is ASCII
        for index, line in lines.items():
            self.note(index, start)
            start += len(line) + 1

    def records(self) -> Iterator[FrameRecord]:
        """Read the frames by index."""
        for line in self._lines():
            yield FrameRecord.from_line(line.decode().rstrip("\n"))

    def sort(self) -> None:
        """Rewrite the file as that of a finished split: by index, each frame once (`layout.journal_lines`).

        Raises:
            OSError: The file cannot be written.
        """
        starts = self._starts.copy()
        present = np.flatnonzero(starts != ABSENT)
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            for index, line in zip(present, self._lines(), strict=True):
                starts[index] = file.tell()
                file.write(line)
        self._starts = starts

    def _lines(self) -> Iterator[bytes]:
        """Lines of the frames by index, each with its end."""
        starts = self._starts[self._starts != ABSENT]
        if starts.size:
            with self.path.open("rb") as file:
                for start in starts.tolist():
                    file.seek(start)
                    yield file.readline().rstrip(b"\n") + b"\n"
