"""Folders, file names and records of a dataset split: the contract every reader and writer shares."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from regolith.lunar.params import InputError

SCHEMA_VERSION = 1
"""Version of this layout, in `dataset.json`."""

CONTRACT = "dataset.json"
JOURNAL = "frames.jsonl"

FILES: dict[str, tuple[str, str]] = {
    "rgb": ("rgb", "png"),
    "mask": ("mask", "png"),
    "depth": ("depth", "npy"),
    "instance": ("instance", "png"),
}
"""Output name to (folder, file ending)."""


CONTRACT_FIELDS: dict[str, type] = {
    "classes": dict,
    "split": str,
    "seed": int,
    "width": int,
    "height": int,
    "outputs": list,
    "renderer": dict,
    "parameters": dict,
}
"""Fields of `dataset.json` beside `schema`, and their types."""


def file_name(output: str, index: int) -> str:
    """Path of one output of frame `index`, relative to the split: `rgb/rgb_00000.png`."""
    folder, ending = FILES[output]
    return f"{folder}/{folder}_{index:05d}.{ending}"


@dataclasses.dataclass(frozen=True)
class FrameRecord:
    """One line of `frames.jsonl`: a frame that is complete on disk."""

    index: int
    seed: int
    spec: dict[str, Any]
    """The `FrameSpec` it was drawn from."""
    sha256: dict[str, str]
    """Relative path to the hash of the file."""
    counts: dict[str, int]
    """Pixels per class, ignored ones under `ignore`."""

    def to_line(self) -> str:
        """Canonical JSON line, without the newline."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str) -> FrameRecord:
        """Parse a line of the journal.

        Raises:
            ValueError: The line is torn or not a record.
        """
        return _record_adapter().validate_json(line, strict=True)


@cache
def _record_adapter() -> TypeAdapter[FrameRecord]:
    return TypeAdapter(FrameRecord)


def read_journal(split: Path) -> dict[int, FrameRecord]:
    """Read the complete frames of a split by index; a torn last line, left by a crash, does not count.

    Raises:
        InputError: A line before the last is not a record.
    """
    path = split / JOURNAL
    if not path.exists():
        return {}
    records: dict[int, FrameRecord] = {}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            record = FrameRecord.from_line(line.decode("utf-8"))
        except ValueError:
            if number == len(lines) - 1:
                break
            raise InputError(f"{path}:{number + 1}", line[:60], "one frame record as JSON") from None
        records[record.index] = record
    return records


def read_contract(split: Path) -> dict[str, Any]:
    """Read a split's `dataset.json`.

    Raises:
        InputError: The folder is not a split of a dataset.
    """
    path = split / CONTRACT
    try:
        contract = json.loads(path.read_text("utf-8"))
    except OSError:
        raise InputError("split", str(split), f"a folder with a {CONTRACT}, as `regolith generate` writes") from None
    except ValueError:
        raise InputError("split", str(split), f"a folder whose {CONTRACT} is well-formed JSON") from None
    if not isinstance(contract, dict) or contract.get("schema") != SCHEMA_VERSION:
        found = contract.get("schema") if isinstance(contract, dict) else contract
        raise InputError(f"{path}: schema", str(found), str(SCHEMA_VERSION))
    for key, kind in CONTRACT_FIELDS.items():
        if not isinstance(contract.get(key), kind):
            raise InputError(f"{path}: {key}", contract.get(key), f"a value of type {kind.__name__}")
    return contract


def frame_paths(split: Path) -> Iterator[tuple[FrameRecord, Path, Path]]:
    """Yield (record, picture path, mask path) of every complete frame, by index.

    Raises:
        InputError: The folder is not a split of a dataset, or it holds no frame.
    """
    read_contract(split)
    records = read_journal(split)
    if not records:
        raise InputError("split", str(split), "a split with at least one frame")
    for index in sorted(records):
        yield records[index], split / file_name("rgb", index), split / file_name("mask", index)
