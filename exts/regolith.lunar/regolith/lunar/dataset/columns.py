"""Columns beside the journal of a split: what verbs found of its frames, a table a verb.

`gate`, `tail`, `select` and `evaluate synth` write theirs with `--columns`, into the split that they looked at; nothing
else of it changes. `columns/TABLE.jsonl` is a line that says what follows,

| field | |
|---|---|
| `schema` | 1 |
| `set_by` | the command that wrote it |
| `about` | what the frames were held against, name to text: `real`, `model`, … |
| `columns` | name of each column to what its values are, in a line; what is yes or no is 1 or 0 |
| `frames` | how many lines follow |
| `rows` | SHA-256 of them |
| `sha256` | of the journal lines of all the split's frames when it was written |
| `digest` | SHA-256 of the rest, as in `dataset.json` |

and a line for each frame that was looked at, by number: `[number, value, value, …]`, a value a column, null where it is
not known. A table is about one set of frames. In a split that has grown, or of which a frame was drawn anew with other
bytes, it is stale until it is written again or the file is removed: lists of columns leave it out, whoever asks for one
of its columns is refused, and `verify` notes it. Other tables are read as before. Frames that `verify --repair` draws
again to the same bytes change nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.contract import digest
from regolith.lunar.dataset.layout import OrderedRecords, records_digest
from regolith.lunar.dataset.splits import is_split
from regolith.lunar.files import replacing
from regolith.lunar.params import InputError, sole_folder
from regolith.lunar.reading import open_regular, parse_json

COLUMNS = "columns"
"""Folder of the tables in a split."""
COLUMNS_SCHEMA = 1
SUFFIX = ".jsonl"
NAME = re.compile(r"[a-z][a-z0-9_]*")
"""What tables and columns are called."""
TABLE_BYTES = 256 << 20
"""Largest table that is read; one of four columns of a million frames has about 60 MB."""


class StaleColumnsError(InputError):
    """A table is whole, and of other frames than the split has now."""


@dataclasses.dataclass(frozen=True, eq=False)
class ColumnTable:
    """What a verb found of frames."""

    name: str
    """Of the verb; that of the file."""
    set_by: str
    """The command that wrote it."""
    about: Mapping[str, str]
    """What the frames were held against."""
    columns: Mapping[str, str]
    """Name of each column to what its values are."""
    numbers: np.ndarray
    """Numbers of the frames that were looked at, ascending, int64 [n]."""
    values: np.ndarray
    """float64 [n, columns], NaN where it is not known."""

    @classmethod
    def of(
        cls, name: str, set_by: str, about: Mapping[str, object], numbers: Sequence[int],
        columns: Mapping[str, tuple[str, Sequence[float] | np.ndarray]],
    ) -> ColumnTable:  # fmt: skip
        """Make a table.

        Args:
            name: Of the verb.
            set_by: The command.
            about: What the frames were held against; what is None is left out.
            numbers: Of the frames that were looked at, ascending, [n].
            columns: Name of each to what its values are, and the values, [n]; NaN where not known.
        """
        values = np.array([values for _, values in columns.values()], np.float64).reshape(len(columns), len(numbers)).T
        texts = {key: str(value) for key, value in about.items() if value is not None}
        return cls(
            name, set_by, texts, {k: what for k, (what, _) in columns.items()}, np.array(numbers, np.int64), values
        )

    @property
    def names(self) -> list[str]:
        """Names of the columns as the API has them: `tail.rocks`."""
        return [f"{self.name}.{column}" for column in self.columns]

    def at(self, number: int) -> dict[str, float]:
        """What is known of a frame, by `names`; nothing of one that was not looked at."""
        place = int(np.searchsorted(self.numbers, number))
        if place == len(self.numbers) or self.numbers[place] != number:
            return {}
        found = zip(self.names, self.values[place].tolist(), strict=True)
        return {name: value for name, value in found if not math.isnan(value)}

    def column(self, name: str, numbers: np.ndarray) -> np.ndarray:
        """A column, by its name in `columns`, of frames by number, float64 [numbers]; NaN where it is not known."""
        values = np.full(len(numbers), np.nan)
        places = np.searchsorted(self.numbers, numbers)
        known = places < len(self.numbers)
        known[known] = self.numbers[places[known]] == numbers[known]
        values[known] = self.values[places[known], list(self.columns).index(name)]
        return values


@contextlib.contextmanager
def sole_split(field: str, split: Path, out: Path | None) -> Iterator[None]:
    """Hold a split for a run that writes columns, or a quarantine, into it.

    Args:
        field: Parameter that named it, for errors.
        split: Its folder.
        out: Folder of what else the run writes, held by the caller; None where there is none.

    Raises:
        InputError: It is no split, `out` is the split itself, or as `sole_folder`.
    """
    if not is_split(split):
        raise InputError(field, str(split), "a split, whose frames have columns")
    if out is not None and out.resolve() == split.resolve():
        raise InputError("out", str(out), f"another folder than the split of `{field}`, which is written into")
    with sole_folder(field, split, "split"):
        yield


def write_columns(split: Path, table: ColumnTable, records: OrderedRecords) -> None:
    """Write a table into a split whole or not at all; one of its name that is there already goes.

    Args:
        split: Folder of the split, held by the caller.
        table: What was found.
        records: All frames of the split, which it was found of.

    Raises:
        OSError: It cannot be written.
    """
    rows = [
        _line([number, *map(_plain, row)])
        for number, row in zip(table.numbers.tolist(), table.values.tolist(), strict=True)
    ]
    head = {
        "schema": COLUMNS_SCHEMA, "set_by": table.set_by, "about": dict(table.about), "columns": dict(table.columns),
        "frames": len(rows), "rows": hashlib.sha256(b"".join(rows)).hexdigest(), "sha256": records_digest(records),
    }  # fmt: skip
    path = split / COLUMNS / f"{table.name}{SUFFIX}"
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines([_line(head | {"digest": digest(head)}), *rows])


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: float) -> float | int | None:
    return None if math.isnan(value) else int(value) if value.is_integer() else value


def table_files(split: Path) -> list[Path]:
    """Files of a split's tables, by name."""
    return sorted((split / COLUMNS).glob(f"[!.]*{SUFFIX}"))


def table_name(path: Path) -> str:
    """What a table is called, by its file."""
    return path.name.removesuffix(SUFFIX)


def read_columns(path: Path, records: OrderedRecords, sha256: str) -> ColumnTable:
    """Read a table of a split.

    Args:
        path: The file, of `table_files`.
        records: All frames of the split as they are now.
        sha256: Their `records_digest`.

    Raises:
        StaleColumnsError: It is of other frames than these.
        InputError: It cannot be read, or is not as it was written.
    """
    try:
        head, rows = _read(path)
        name, columns, about = table_name(path), head["columns"], head["about"]
        named = [*columns, name]
        texts = [head["set_by"], *columns.values(), *about.values()]
        if not all(map(NAME.fullmatch, named)) or not all(isinstance(text, str) for text in texts):
            raise ValueError("names or texts of no table")
        numbers, values = _parsed(rows, len(columns))
    except OSError as error:
        raise InputError("columns", str(path), f"a file that can be read ({error.strerror})") from None
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError("columns", str(path), f"a table as `--columns` wrote it ({error})") from None
    if head["sha256"] != sha256:
        allowed = "one of the split's frames as they are now; `--columns` writes it again, or remove it"
        raise StaleColumnsError("columns", str(path), allowed)
    if not np.isin(numbers, records.numbers).all():
        raise InputError("columns", str(path), "a table of frames of this split")
    return ColumnTable(name, head["set_by"], about, columns, numbers, values)


def _read(path: Path) -> tuple[dict[str, Any], list[bytes]]:
    """The first line of a table, and the others."""
    lines = _lines(path)
    head = parse_json(next(lines, b"").decode("utf-8"))
    if not isinstance(head, dict) or head.get("schema") != COLUMNS_SCHEMA or head.get("digest") != digest(head):
        raise ValueError("its first line")
    rows = list(lines)
    if len(rows) != head["frames"] or hashlib.sha256(b"".join(rows)).hexdigest() != head["rows"]:
        raise ValueError("its rows")
    return head, rows


def _lines(path: Path) -> Iterator[bytes]:
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > TABLE_BYTES:
            raise ValueError(f"larger than {TABLE_BYTES >> 20} MiB")
        yield from file


def _parsed(rows: Sequence[bytes], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers int64 [rows] and values float64 [rows, width]."""
    numbers, values = np.zeros(len(rows), np.int64), np.full((len(rows), width), np.nan)
    for place, line in enumerate(rows):
        number, *row = parse_json(line.decode("utf-8"))
        if type(number) is not int or len(row) != width or not all(v is None or type(v) in (int, float) for v in row):
            raise ValueError(f"row {place}")
        numbers[place], values[place] = number, row
    if (np.diff(numbers) <= 0).any() or np.isinf(values).any():
        raise ValueError("frames out of order, or values that are none")
    return numbers, values
