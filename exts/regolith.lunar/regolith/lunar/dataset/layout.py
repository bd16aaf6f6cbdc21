"""The frames of a split on disk: its journal, `frames.jsonl`, and the files of each frame."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple, overload

import numpy as np
from pydantic import Field, TypeAdapter

from regolith.lunar.dataset.contract import FRAMES_MAX, digest
from regolith.lunar.files import append_lines, replacing
from regolith.lunar.labels import NAMES
from regolith.lunar.params import InputError
from regolith.lunar.params.capture import REDRAWS_MAX
from regolith.lunar.reading import open_regular

JOURNAL = "frames.jsonl"
COUNTED = frozenset({*NAMES, "ignore"})
"""What the pixels of a frame are counted by."""


@dataclasses.dataclass(frozen=True)
class FrameRecord:
    """One line of `frames.jsonl`: a frame that is complete on disk."""

    index: Annotated[int, Field(ge=0, lt=FRAMES_MAX)]
    seed: int
    spec: dict[str, Any]
    """The `FrameSpec` it was drawn from."""
    sha256: dict[str, str]
    """Relative path to the hash of the file."""
    bytes: dict[str, int]
    """Relative path to the size of the file."""
    counts: dict[str, Annotated[int, Field(ge=0)]]
    """Pixels per class, ignored ones under `ignore`."""
    redraws: Annotated[int, Field(ge=0, le=REDRAWS_MAX)] = 0
    """How often the frame was drawn again for its share of rock."""

    def to_line(self) -> str:
        """Canonical JSON line with its `digest`, without the newline."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps(data | {"digest": digest(data)}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str) -> FrameRecord:
        """Parse a line of the journal.

        Raises:
            ValueError: The line is torn, not a record, or not as it was written.
        """
        record = _record_adapter().validate_json(line, strict=True)
        if record.to_line() != line:
            raise ValueError("not as it was written")
        if record.counts.keys() != COUNTED:
            raise ValueError("not the counts of a frame")
        return record


@cache
def _record_adapter() -> TypeAdapter[FrameRecord]:
    return TypeAdapter(FrameRecord)


class Records(MutableMapping[int, FrameRecord]):
    """Frames by index, each held as its line, compressed: half a kilobyte of memory and not four."""

    def __init__(self) -> None:
        self._lines: dict[int, bytes] = {}
        self._alike = b""
        """A line, which others repeat most of (zlib's preset dictionary)."""

    def __setitem__(self, index: int, record: FrameRecord) -> None:
        self.hold(index, record.to_line().encode())

    def hold(self, index: int, line: bytes) -> None:
        """Hold a frame by its line, as `FrameRecord.to_line` has it."""
        self._alike = self._alike or line
        packer = zlib.compressobj(1, wbits=-15, zdict=self._alike)
        self._lines[index] = packer.compress(line) + packer.flush()

    def __getitem__(self, index: int) -> FrameRecord:
        line = zlib.decompressobj(-15, zdict=self._alike).decompress(self._lines[index])
        return _record_adapter().validate_json(line, strict=True)

    def __delitem__(self, index: int) -> None:
        del self._lines[index]

    def __contains__(self, index: object) -> bool:
        return index in self._lines

    def __iter__(self) -> Iterator[int]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def ordered(self) -> OrderedRecords:
        """The frames by index, as they are now."""
        return OrderedRecords(self, np.array(sorted(self._lines), np.int64))


class OrderedRecords(Sequence[FrameRecord]):
    """Frames in the order of their numbers.

    Args:
        records: Where they are held.
        numbers: Which of them, int64, ascending.
    """

    def __init__(self, records: Records, numbers: np.ndarray) -> None:
        self._records, self.numbers = records, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> FrameRecord: ...

    @overload
    def __getitem__(self, index: slice | np.ndarray) -> OrderedRecords: ...

    def __getitem__(self, index: int | slice | np.ndarray) -> FrameRecord | OrderedRecords:
        """A frame by its place, or those of a slice, of places or where a mask is true."""
        found = self.numbers[index]
        return OrderedRecords(self._records, found) if found.ndim else self._records[int(found)]

    def __iter__(self) -> Iterator[FrameRecord]:
        return (self._records[index] for index in self.numbers.tolist())


def read_journal(split: Path) -> Records:
    """Read the complete frames of a split by index; a torn last line, left by a crash, does not count.

    Raises:
        InputError: It cannot be read, or a line before the last is not a record.
    """
    try:
        records, broken = scan_lines(read_lines(split / JOURNAL))
    except OSError as error:
        raise InputError("split", str(split), f"a folder whose {JOURNAL} can be read ({error.strerror})") from None
    if broken:
        raise InputError(f"{split / JOURNAL}:{broken[0]}", "changed", "a line as `regolith generate` wrote it")
    return records


def scan_lines(lines: Iterable[JournalLine]) -> tuple[Records, list[int]]:
    """Read the lines of a journal as far as they are whole.

    Returns:
        Records by index, the last of several with one index; and the numbers, from 1, of lines that are no records.
    """
    records = Records()
    broken: list[int] = []
    for line in lines:
        if line.record is None:
            broken.append(line.number)
        else:
            records.hold(line.record.index, line.text)
    return records, broken


class JournalLine(NamedTuple):
    """A line of a journal."""

    number: int
    """Number from 1."""
    start: int
    """Where it begins [bytes]."""
    text: bytes
    """Without its end."""
    whole: bool
    """Whether it has its end; the last line of a run that was killed may lack it."""
    record: FrameRecord | None
    """None where the line is no record."""


def read_lines(path: Path) -> Iterator[JournalLine]:
    """Go through the lines of a journal, one in memory at a time; blank ones and a torn last one are left out.

    Raises:
        OSError: The file cannot be read, or is no regular file.
    """
    if path.exists():
        with open_regular(path) as file:
            yield from parse_lines(file)


def parse_lines(file: Iterable[bytes]) -> Iterator[JournalLine]:
    """Parse the lines of a journal, as `read_lines` gives them."""
    start = 0
    for number, line in enumerate(file, start=1):
        whole, text = line.endswith(b"\n"), line.removesuffix(b"\n")
        try:
            record = FrameRecord.from_line(text.decode("utf-8"))
        except ValueError:
            record = None
        if record is not None or (whole and line != b"\n"):
            yield JournalLine(number, start, text, whole, record)
        start += len(line)


def journal_lines(records: Mapping[int, FrameRecord]) -> Iterator[bytes]:
    """Lines of the journal of a finished split: ordered by index, so that they do not tell in which order it was drawn.

    Args:
        records: Frames by index.

    Yields:
        Each with its end.
    """
    return (records[index].to_line().encode() + b"\n" for index in sorted(records))


def records_digest(records: OrderedRecords) -> str:
    """SHA-256 over the canonical lines of frames by index: equal for equal frames, wherever they lie."""
    digest = hashlib.sha256()
    _, places, times = np.unique(records.numbers, return_index=True, return_counts=True)
    for place, count in zip(places.tolist(), times.tolist(), strict=True):
        line = records[place].to_line().encode() + b"\n"
        for _ in range(count):
            digest.update(line)
    return digest.hexdigest()


def write_journal(split: Path, records: Mapping[int, FrameRecord]) -> None:
    """Rewrite the journal as that of a finished split.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(split / JOURNAL) as temporary, temporary.open("wb") as file:
        file.writelines(journal_lines(records))


def append_records(split: Path, records: Iterable[FrameRecord]) -> None:
    """Append journal lines and flush them to disk; the frames count from here on.

    Raises:
        OSError: The file cannot be written.
    """
    append_lines(split / JOURNAL, (record.to_line() for record in records))


def present(split: Path, record: FrameRecord) -> bool:
    """Whether every file of a frame is there and has its size; `regolith verify` reads what is in them."""
    try:
        return all((split / name).stat().st_size == size for name, size in record.bytes.items())
    except OSError:
        return False


def frame_bytes(split: Path, record: FrameRecord, name: str) -> bytes:
    """Read one file of a frame, once, and hold these bytes to the journal.

    Args:
        split: Folder of the split.
        record: The frame's line.
        name: The file, relative to the split.

    Raises:
        OSError: It cannot be read, or is no regular file.
        ValueError: It is not as the journal has it; says how.
    """
    size, expected = record.bytes.get(name), record.sha256.get(name)
    if size is None or expected is None:
        raise ValueError("the journal has no sha256 of it")
    with open_regular(split / name) as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            raise ValueError(f"{found} bytes, the journal has {size}")
        data = file.read(size)
    if hashlib.sha256(data).hexdigest() != expected:
        raise ValueError("sha256 differs from the journal's")
    return data
