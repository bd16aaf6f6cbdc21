"""What exports and cards read: the complete frames of one split, checked against their journal."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import scipy

from regolith.lunar.dataset.columns import ColumnTable, StaleColumnsError, read_columns, table_files, table_name
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import FrameRecord, OrderedRecords, frame_bytes, read_journal, records_digest
from regolith.lunar.dataset.outputs import OUTPUTS, file_name
from regolith.lunar.dataset.quarantine import Quarantine, read_quarantine
from regolith.lunar.dataset.splits import is_part, split_folders
from regolith.lunar.labels import CLASSES, IGNORE, ROCK
from regolith.lunar.params import InputError

MASK_VALUES = {*CLASSES.values(), IGNORE}
"""What a mask may hold."""

Step = Callable[[], None]
"""Called by a format once a frame is written."""

ROLES = ("train", "val", "test")
"""The split names the field's trainers know."""

PLAYED = {"train_dr": "train", "train_nodr": "train", "test_photoreal": "test"} | {role: role for role in ROLES}
"""Split to the role it plays."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One split to export."""

    folder: Path
    name: str
    """Name of the split's folder; it names the split in every format."""
    contract: Contract
    records: OrderedRecords
    """The complete frames by index."""

    @property
    def width(self) -> int:
        """Picture width [px]."""
        return self.contract.width

    @property
    def height(self) -> int:
        """Picture height [px]."""
        return self.contract.height

    @property
    def extras(self) -> tuple[str, ...]:
        """Outputs beside rgb and mask."""
        return self.contract.extras

    @functools.cached_property
    def quarantine(self) -> Quarantine | None:
        """What of the split shall not be trained on; None where nobody set anything.

        Raises:
            InputError: It is not as it was written, or of other frames than the split has now.
        """
        return read_quarantine(self.folder, self.records)

    @functools.cached_property
    def tables(self) -> list[ColumnTable]:
        """What verbs found of the frames with `--columns`; tables of other frames than the split has now are left out.

        Raises:
            InputError: A table is not as it was written.
        """
        found = []
        for name in self._table_files:
            with contextlib.suppress(StaleColumnsError):
                found.append(self._read_table(name))
        return found

    def table(self, name: str) -> ColumnTable | None:
        """The table of a verb, which alone is read; None where there is none of that name.

        Raises:
            InputError: It is not as it was written, or of other frames than the split has now.
        """
        return self._read_table(name) if name in self._table_files else None

    @functools.cached_property
    def _table_files(self) -> dict[str, Path]:
        return {table_name(path): path for path in table_files(self.folder)}

    @functools.cached_property
    def _tables_read(self) -> dict[str, ColumnTable]:
        return {}

    @functools.cached_property
    def _records_sha256(self) -> str:
        return records_digest(self.records)

    def _read_table(self, name: str) -> ColumnTable:
        if name not in self._tables_read:
            self._tables_read[name] = read_columns(self._table_files[name], self.records, self._records_sha256)
        return self._tables_read[name]

    def has(self, output: str) -> bool:
        """Whether the frames carry an output."""
        return output in self.contract.outputs

    def data(self, output: str, record: FrameRecord) -> bytes:
        """Bytes of one output's file.

        Raises:
            InputError: The file is missing, or not as it was written.
        """
        name = file_name(output, record.index)
        try:
            return frame_bytes(self.folder, record, name)
        except OSError as error:
            found, why = error.strerror, "as it was written"
        except ValueError as error:
            found, why = "changed", f"as it was written ({error})"
        cure = f"`regolith verify --repair {self.folder}` draws frame {record.index} again"
        if self.contract.imported:
            cure = "import the pictures again"
        raise InputError(f"{self.folder / name}", found, f"the file {why}; {cure}")

    def array(self, output: str, record: FrameRecord) -> np.ndarray:
        """One output as the array it was written from.

        Raises:
            InputError: The file is missing, not as it was written, no such array, or not of the split's size.
        """
        data, path = self.data(output, record), f"{self.folder / file_name(output, record.index)}"
        try:
            array = OUTPUTS[output].decode(data)
        except ValueError as error:
            raise InputError(path, str(error), f"a file of {output}") from None
        if array.shape[:2] != (self.height, self.width):
            raise InputError(path, f"{array.shape[1]}×{array.shape[0]} px", f"{self.width}×{self.height} px")
        if output == "mask" and not set(found := np.unique(array).tolist()) <= MASK_VALUES:
            raise InputError(path, found, f"a mask of {', '.join(map(str, sorted(MASK_VALUES)))}")
        return array

    def place(self, output: str, record: FrameRecord, target: Path) -> None:
        """Put a copy of one output's file at `target`.

        Raises:
            InputError: The file is missing, or not as it was written.
            OSError: The target cannot be written.
        """
        target.write_bytes(self.data(output, record))

    def rocks(self, record: FrameRecord, mask: np.ndarray) -> np.ndarray:
        """Number the rocks of a frame.

        A rock is what the instance output says it is; rock pixels without a number, all of them where there is no
        such output, count by 8-connected component.

        Args:
            record: The frame.
            mask: Its mask, uint8, shape [H, W].

        Returns:
            int32 [H, W]: positive on exactly the mask's rock pixels, 0 elsewhere.
        """
        rock = mask == ROCK
        numbers = np.zeros(mask.shape, np.int32)
        if self.has("instance"):
            numbers[rock] = self.array("instance", record)[rock]
        parts, _ = components(rock & (numbers == 0))
        return np.where(parts > 0, parts + numbers.max(initial=0), numbers).astype(np.int32)


def read_sources(folder: Path, *, partial: bool = False) -> list[Source]:
    """Open a split, or every split of a dataset.

    Args:
        folder: Folder of a split, or of a dataset.
        partial: Whether splits may lack frames of their contract.

    Raises:
        InputError: There is no split, one is damaged, lacks frames, has none at all, or a name that formats cannot
            carry.
    """
    sources = [read_source(split) for split in split_folders(folder, field="folder")]
    for source in sources:
        if not re.fullmatch(r"\w[\w.-]*", source.name, re.ASCII):
            raise InputError("folder", source.name, "a split named with letters, digits, _, - and .")
        wanted = source.contract.frames
        have = len(source.records)
        if have < wanted and not partial:
            found = f"{source.folder}, {have} of {wanted} frames"
            raise InputError("split", found, "a finished split; run its generate command again, or --partial")
    return sources


def read_source(split: Path) -> Source:
    """Open one split as it is now: frames that a run adds meanwhile, or a larger contract it begins, are not in it.

    Raises:
        InputError: It is damaged, or has no frame.
    """
    contract = Contract.read(split)
    records = read_journal(split).ordered()
    records = records[records.numbers < contract.frames]
    if not records:
        raise InputError("split", str(split), "a split with at least one frame")
    return Source(split, split.resolve().name, contract, records)


def role(source: Source) -> str:
    """Which of `ROLES` a split plays, by the split it says it is; its own name where none."""
    split = source.contract.split
    return next((PLAYED[known] for known in PLAYED if is_part(split, known)), source.name)


def by_role(sources: Iterable[Source]) -> dict[str, Source]:
    """One split a role: where several would do, `train_dr` before others, then by name."""
    ordered = sorted(sources, key=lambda source: (source.name not in ("train", "train_dr"), source.name))
    found: dict[str, Source] = {}
    for source in ordered:
        found.setdefault(role(source), source)
    return found


def components(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the 8-connected components of pixels, bool [H, W]: int32 [H, W] from 1, and how many there are."""
    numbers = np.zeros(pixels.shape, np.int32)
    count = scipy.ndimage.label(pixels, np.ones((3, 3)), output=numbers)
    return numbers, cast(int, count)


def regions(numbers: np.ndarray) -> Iterator[tuple[int, tuple[slice, slice], np.ndarray]]:
    """Yield (number, crop, pixels) of every positive number.

    Args:
        numbers: int32 [H, W].

    Yields:
        The number, the (rows, columns) of its bounding box, and bool [h, w], true on its pixels in the box.
    """
    for number, crop in enumerate(scipy.ndimage.find_objects(numbers), start=1):
        if crop is not None:
            rows, columns = crop
            yield number, (rows, columns), numbers[rows, columns] == number
