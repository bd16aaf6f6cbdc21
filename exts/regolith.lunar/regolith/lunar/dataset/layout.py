"""Folders, file names and records of a dataset split: the contract every reader and writer shares."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from regolith.lunar import __version__
from regolith.lunar.files import write_json
from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import InputError, Params

SCHEMA_VERSION = 2
"""Version of this layout, in `dataset.json`."""

CONTRACT = "dataset.json"
JOURNAL = "frames.jsonl"

FILES: dict[str, tuple[str, str]] = {
    "rgb": ("rgb", "png"),
    "mask": ("mask", "png"),
    "depth": ("depth", "npy"),
    "normals": ("normals", "npy"),
    "instance": ("instance", "png"),
}
"""Output name to (folder, file ending)."""


CONTRACT_FIELDS: dict[str, type] = {
    "classes": dict,
    "split": str,
    "seed": int,
    "width": int,
    "height": int,
    "frames": int,
    "outputs": list,
    "renderer": dict,
    "other_renderers": list,
    "parameters": dict,
}
"""Fields of `dataset.json` beside `schema` and `digest`, and their types; `frames` is what the split shall have."""


def digest(data: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of an object without its own `digest`; what makes every flipped bit show."""
    rest = {key: value for key, value in data.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def make_contract(
    params: Params, *, split: str, frames: int, seed: int, width: int, height: int, renderer: dict[str, Any]
) -> dict[str, Any]:
    """Return the contents of `dataset.json`: everything that decides the bytes of the split's frames."""
    outputs = ["rgb", "mask"] + [name for name in ("depth", "normals", "instance") if getattr(params.dataset, name)]
    return {
        "schema": SCHEMA_VERSION,
        "version": __version__,
        "classes": CLASSES,
        "ignore": IGNORE,
        "split": split,
        "frames": frames,
        "seed": seed,
        "width": width,
        "height": height,
        "outputs": outputs,
        "renderer": renderer,
        "other_renderers": [],
        "parameters": params.model_dump(mode="json"),
    }


def first_difference(old: Any, new: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Find the first place where two nested values differ: (dotted path, old value, new value)."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            found = first_difference(old.get(key), new.get(key), f"{path}.{key}" if path else key)
            if found is not None:
                return found
        return None
    return None if old == new else (path, old, new)


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
    bytes: dict[str, int]
    """Relative path to the size of the file."""
    counts: dict[str, int]
    """Pixels per class, ignored ones under `ignore`."""
    redraws: int = 0
    """How often the frame was drawn again for its share of rock."""

    def to_line(self) -> str:
        """Canonical JSON line with its `digest`, without the newline."""
        data = dataclasses.asdict(self)
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
        return record


@cache
def _record_adapter() -> TypeAdapter[FrameRecord]:
    return TypeAdapter(FrameRecord)


def read_journal(split: Path) -> dict[int, FrameRecord]:
    """Read the complete frames of a split by index; a torn last line, left by a crash, does not count.

    Raises:
        InputError: A line before the last is not a record.
    """
    records, broken = scan_journal(split / JOURNAL)
    if broken:
        raise InputError(f"{split / JOURNAL}:{broken[0]}", "changed", "a line as `regolith generate` wrote it")
    return records


def scan_journal(path: Path) -> tuple[dict[int, FrameRecord], list[int]]:
    """Read a journal as far as it is whole.

    Returns:
        Records by index, the last of several with one index; and the numbers, from 1, of lines that are no records,
        a torn last line not among them.
    """
    records: dict[int, FrameRecord] = {}
    broken: list[int] = []
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            record = FrameRecord.from_line(line.decode("utf-8")) if line else None
        except ValueError:
            if number < len(lines):
                broken.append(number)
            continue
        if record is not None:
            records[record.index] = record
    return records, broken


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
    if contract.get("digest") != digest(contract):
        raise InputError(f"{path}: digest", contract.get("digest"), "that of the file as `regolith generate` wrote it")
    return contract


def write_contract(split: Path, contract: dict[str, Any]) -> None:
    """Write a split's `dataset.json` with its digest.

    Raises:
        OSError: The file cannot be written.
    """
    write_json(split / CONTRACT, contract | {"digest": digest(contract)})


def present(split: Path, record: FrameRecord) -> bool:
    """Whether every file of a frame is there and has its size; `regolith verify` reads what is in them."""
    try:
        return all((split / name).stat().st_size == size for name, size in record.bytes.items())
    except OSError:
        return False


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
