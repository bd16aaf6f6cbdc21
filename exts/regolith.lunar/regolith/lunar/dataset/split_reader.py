"""A split as a sequence of frames, whose files are read when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, overload

import numpy as np

from regolith.lunar.dataset.formats.source import Source, read_source
from regolith.lunar.dataset.layout import FrameRecord, OrderedRecords
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.files import AnyPath
from regolith.lunar.params import InputError, Interval

Range = Interval | tuple[float, float] | float
"""What a value of a frame's spec may be: a closed range, or one number."""


class StoredFrame:
    """One frame of a split on disk; height H and width W are the split's, row 0 is at the top.

    Arrays are read and checked against the journal's hash at every access; keep them where they are used again.
    """

    def __init__(self, source: Source, record: FrameRecord) -> None:
        self._source, self._record = source, record

    @property
    def index(self) -> int:
        """Number of the frame inside its split; it names the files."""
        return self._record.index

    @property
    def seed(self) -> int:
        """Seed of what was drawn while the frame was rendered."""
        return self._record.seed

    @property
    def spec(self) -> dict[str, Any]:
        """What it was drawn from, name to value: `sun_elevation_deg`, `camera_x_m`, …; of an import, its files."""
        return self._record.spec

    @property
    def counts(self) -> dict[str, int]:
        """Pixels of each class: regolith, rock, sky, ignore."""
        return self._record.counts

    @property
    def quarantined(self) -> tuple[str, ...]:
        """Why the frame shall not be trained on (`regolith gate --quarantine`); empty where it may be.

        Raises:
            InputError: The quarantine is of other frames than the split has now.
        """
        quarantine = self._source.quarantine
        return () if quarantine is None else quarantine.frames.get(self.index, ())

    @property
    def columns(self) -> dict[str, float]:
        """What verbs found of the frame (`--columns`), `tail.rocks` to a number; what is not known is left out.

        `SplitReader.columns` says what each is, and which are there.

        Raises:
            InputError: A table is not as it was written.
        """
        return {name: value for table in self._source.tables for name, value in table.at(self.index).items()}

    @property
    def rgb(self) -> np.ndarray:
        """Picture as the sensor saves it, uint8, shape [H, W, 3]."""
        return self._source.array("rgb", self._record)

    @property
    def mask(self) -> np.ndarray:
        """Class at each pixel centre (0 regolith, 1 rock, 2 sky, 255 ignore), uint8, shape [H, W]."""
        return self._source.array("mask", self._record)

    @property
    def depth(self) -> np.ndarray | None:
        """Distance from the lens along the ray [m], float32, shape [H, W], inf on sky; None if not kept."""
        return self._optional("depth")

    @property
    def instance(self) -> np.ndarray | None:
        """Rock number + 1 in stage order, 0 elsewhere, uint16, shape [H, W]; None if not kept."""
        return self._optional("instance")

    @property
    def normals(self) -> np.ndarray | None:
        """Geometric normal in the world frame, float16, shape [H, W, 3], 0 on sky; None if not kept."""
        return self._optional("normals")

    @property
    def right(self) -> np.ndarray | None:
        """Picture of the right camera of a stereo pair, uint8, shape [H, W, 3]; None if not kept."""
        return self._optional("right")

    @property
    def disparity(self) -> np.ndarray | None:
        """Disparity of the rectified pair [px], float32, shape [H, W], 0 on sky; None if not kept."""
        return self._optional("disparity")

    @property
    def shadow(self) -> np.ndarray | None:
        """Shadow: 0 lit by the sun's centre, 1 cast, 2 turned away from it, 255 sky and rover, uint8, shape [H, W].

        None if not kept.
        """
        return self._optional("shadow")

    @property
    def crater(self) -> np.ndarray | None:
        """1 + number of the youngest crater a point lies in, 0 elsewhere, uint16, shape [H, W]; None if not kept."""
        return self._optional("crater")

    @property
    def slope(self) -> np.ndarray | None:
        """Slope over a rover's footprint [deg], float32, shape [H, W], NaN on sky and rover; None if not kept."""
        return self._optional("slope")

    @property
    def hazard(self) -> np.ndarray | None:
        """Hazards: bit 0 slope, bit 1 step, 255 sky and rover, uint8, shape [H, W]; None if not kept."""
        return self._optional("hazard")

    def _optional(self, output: str) -> np.ndarray | None:
        return self._source.array(output, self._record) if self._source.has(output) else None

    def path(self, output: str = "rgb") -> Path:
        """Path of the file of an output, by its name (`dataset.outputs.OUTPUTS`): rgb, mask, depth, …."""
        return self._source.folder / file_name(output, self.index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredFrame):
            return NotImplemented
        return (self._source.folder, self._record) == (other._source.folder, other._record)

    def __hash__(self) -> int:
        return hash((self._source.folder, self.index))

    def __repr__(self) -> str:
        return f"StoredFrame({self._source.name}, {self.index})"


class SplitReader(Sequence[StoredFrame]):
    """The complete frames of a split in the order of their numbers.

    `len(split)`, `split[3]`, `split[-1]`, `split[:10]` and iteration work as on a list; a slice, like `filter`, is a
    reader of fewer frames.
    """

    def __init__(self, source: Source, records: OrderedRecords) -> None:
        self._source, self._records = source, records

    @property
    def folder(self) -> Path:
        """Folder of the split."""
        return self._source.folder

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self._source.name

    @property
    def width(self) -> int:
        """Picture width [px]."""
        return self._source.width

    @property
    def height(self) -> int:
        """Picture height [px]."""
        return self._source.height

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs every frame has: rgb, mask, and those of the optional ones that are kept."""
        return ("rgb", "mask", *self._source.extras)

    @property
    def quarantined_classes(self) -> dict[str, tuple[str, ...]]:
        """Names of classes whose pixels shall not be trained on (`regolith gate --quarantine`), and why.

        `StoredFrame.quarantined` says it of frames.

        Raises:
            InputError: The quarantine is of other frames than the split has now.
        """
        return dict(self._source.quarantine.classes) if self._source.quarantine else {}

    @property
    def columns(self) -> dict[str, str]:
        """What verbs found of frames (`--columns`): `tail.rocks`, … to what its values are, in a line.

        Tables of other frames than the split has now are left out; asking for a `column` of one says so.

        Raises:
            InputError: A table is not as it was written.
        """
        tables = self._source.tables
        return {name: what for table in tables for name, what in zip(table.names, table.columns.values(), strict=True)}

    def column(self, name: str) -> np.ndarray:
        """One of `columns` for every frame, float64, shape [frames], NaN where it is not known; no other table is read.

        Raises:
            InputError: There is no such column, or its table is not as it was written, or of other frames than the
                split has now.
        """
        verb, _, column = name.partition(".")
        table = self._source.table(verb)
        if table is None or column not in table.columns:
            raise InputError("column", name, ", ".join(self.columns) or "nothing: no verb wrote --columns here")
        return table.column(column, self._records.numbers)

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> StoredFrame: ...

    @overload
    def __getitem__(self, index: slice) -> SplitReader: ...

    def __getitem__(self, index: int | slice) -> StoredFrame | SplitReader:
        if isinstance(index, slice):
            return SplitReader(self._source, self._records[index])
        return StoredFrame(self._source, self._records[index])

    def __iter__(self) -> Iterator[StoredFrame]:
        return (StoredFrame(self._source, record) for record in self._records)

    def filter(
        self, keep: Callable[[StoredFrame], bool] | None = None, *, columns: Mapping[str, Range] | None = None,
        **ranges: Range,
    ) -> SplitReader:  # fmt: skip
        """Return the frames that pass: `split.filter(sun_elevation_deg=(10, 15), scene=3)`.

        Args:
            keep: Whether to keep a frame; left out, all.
            columns: One of `columns` to the closed range its value has to lie in, or to the value; a frame of which it
                is not known does not pass: `split.filter(columns={"evaluate.rock_iou": (0, 0.5)})`.
            ranges: The same of names in `StoredFrame.spec`.

        Raises:
            InputError: No frame's spec has a number of that name, no column is called so, or a range is none.
        """
        wanted = {name: _interval(name, value) for name, value in ranges.items()}
        for name in wanted:
            self._check(name)
        passes = np.ones(len(self), bool)
        for name, value in (columns or {}).items():
            values, interval = self.column(name), _interval(name, value)
            passes &= (values >= interval.lo) & (values <= interval.hi)
        kept = (
            passed
            and all(_inside(record.spec.get(name), wanted[name]) for name in wanted)
            and (keep is None or bool(keep(StoredFrame(self._source, record))))
            for passed, record in zip(passes.tolist(), self._records, strict=True)
        )
        return SplitReader(self._source, self._records[np.fromiter(kept, bool, len(self))])

    def _check(self, name: str) -> None:
        known = {key for record in self._records for key, value in record.spec.items() if _is_number(value)}
        if self._records and name not in known:
            raise InputError(
                name, "no value of a frame", ", ".join(sorted(known)) or "nothing: imported frames have none"
            )

    def __repr__(self) -> str:
        return f"SplitReader({str(self.folder)!r}, {len(self)} frames of {self.width}x{self.height})"


def _interval(name: str, value: Range) -> Interval:
    if isinstance(value, Interval):
        return value
    ends = value if isinstance(value, tuple) else (value, value)
    numbers = all(isinstance(end, Real) and math.isfinite(end) for end in ends)
    if len(ends) != 2 or not numbers or ends[0] > ends[1]:
        raise InputError(name, value, "a finite number, or (lo, hi) with lo ≤ hi")
    return Interval(*map(float, ends))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _inside(value: Any, wanted: Interval) -> bool:
    return _is_number(value) and wanted.contains(value)


def open_split(folder: AnyPath) -> SplitReader:
    """Open a split that was generated or imported; no picture is read yet.

    A split that is still being drawn has the frames that were complete when it was opened.

    Args:
        folder: Folder of the split, `data/train_dr`.

    Returns:
        A sequence of frames.

    Raises:
        InputError: The folder is no split, is damaged, or has no frame.
    """
    source = read_source(Path(folder))
    return SplitReader(source, source.records)
