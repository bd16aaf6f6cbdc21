"""A manifest: which frames of which splits, so that a mixture of splits is a small file and not a copy.

It is JSON: `schema`, `parts`, each with the `folder` of a split (relative to the manifest's own folder), the `frames`
by number, ascending, one that is meant twice standing there twice, and the `sha256` of their journal lines; `about`,
what made it; and `digest`, as in `dataset.json`. A trainer takes it wherever it takes a split.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.contract import digest
from regolith.lunar.dataset.formats.source import Source, read_source
from regolith.lunar.dataset.layout import OrderedRecords, records_digest
from regolith.lunar.files import write_bytes
from regolith.lunar.params import InputError
from regolith.lunar.reading import JSON_BYTES, read_json

MANIFEST_SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Part:
    """Frames of one split."""

    source: Source
    records: OrderedRecords
    """Ascending by index; one that is meant twice is there twice."""


def write_manifest(path: Path, parts: Sequence[Part], about: dict[str, Any]) -> None:
    """Write a manifest whole or not at all.

    Args:
        path: File to write, ending in `.json`.
        parts: Frames of each split.
        about: Plain values that say what made it.

    Raises:
        OSError: It cannot be written.
    """
    beside = path.resolve().parent
    data = {
        "schema": MANIFEST_SCHEMA,
        "about": about,
        "parts": [
            {
                "folder": _from(beside, part.source.folder.resolve()),
                "sha256": records_digest(part.records),
                "frames": part.records.numbers.tolist(),
            }
            for part in parts
        ],
    }
    write_bytes(path, (json.dumps(data | {"digest": digest(data)}) + "\n").encode())


def _from(beside: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(folder, beside)).as_posix()
    except ValueError:  # another drive of Windows
        return folder.as_posix()


def read_manifest(path: Path) -> list[Part]:
    """Open the splits of a manifest.

    Raises:
        InputError: It cannot be read, is not as it was written, or a split lacks a frame, or has another in its place.
    """
    try:
        data = read_json(path, JSON_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("split", str(path), f"a split, or a manifest that can be read ({reason})") from None
    if not isinstance(data, dict) or data.get("schema") != MANIFEST_SCHEMA or data.get("digest") != digest(data):
        raise InputError("split", str(path), "a split, or a manifest as `regolith mix` wrote it")
    return list(_parts(path, data))


def _parts(path: Path, data: dict[str, Any]) -> Iterator[Part]:
    parts = data.get("parts")
    if not isinstance(parts, list) or not parts:
        raise InputError("split", str(path), "a manifest with a list of parts")
    for part in parts:
        folder, frames = (part.get("folder"), part.get("frames")) if isinstance(part, dict) else (None, None)
        if not isinstance(folder, str) or not isinstance(frames, list) or not frames:
            raise InputError("split", str(path), "a manifest whose parts have a folder and its frames")
        source = read_source(path.resolve().parent / folder)
        have = set(source.records.numbers.tolist())
        missing = next((index for index in frames if type(index) is not int or index not in have), None)
        if missing is not None:
            raise InputError("split", str(path), f"a manifest of frames that exist; {folder} has no frame {missing}")
        records = source.records[np.searchsorted(source.records.numbers, np.sort(frames))]
        if records_digest(records) != part.get("sha256"):
            raise InputError("split", str(path), f"a manifest of frames as they are; those of {folder} are others now")
        yield Part(source, records)


def read_frames(path: Path) -> list[Part]:
    """Open a split or a manifest: the frames of each split that it names.

    Raises:
        InputError: It is neither, or not as it was written.
    """
    if path.is_file():
        return read_manifest(path)
    source = read_source(path)
    return [Part(source, source.records)]
