"""A manifest: which frames of which splits, so that a mixture of splits is a small file and not a copy.

It is JSON: `schema`, `parts`, each with the `folder` of a split (relative to the manifest's own folder), the `frames`
by number, ascending, one that is meant twice standing there twice, the `sha256` of their journal lines, and `ignored`,
names of the classes whose pixels do not count there; `about`, what made it; and `digest`, as in `dataset.json`. A
trainer takes it wherever it takes a split.
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
from regolith.lunar.dataset.layout import FrameRecord, OrderedRecords, records_digest
from regolith.lunar.dataset.splits import counted
from regolith.lunar.files import write_bytes
from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import InputError
from regolith.lunar.params.training import Quarantined
from regolith.lunar.reading import JSON_BYTES, read_json

MANIFEST_SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Part:
    """Frames of one split."""

    source: Source
    records: OrderedRecords
    """Ascending by index; one that is meant twice is there twice."""
    ignored: tuple[str, ...] = ()
    """Names of classes whose pixels do not count."""

    def mask(self, record: FrameRecord) -> np.ndarray:
        """Mask of a frame, uint8 [H, W], pixels of ignored classes as `labels.IGNORE`.

        Raises:
            InputError: The file is missing, or not as it was written.
        """
        mask = self.source.array("mask", record)
        out = np.isin(mask, [CLASSES[name] for name in self.ignored])
        return np.where(out, np.uint8(IGNORE), mask) if self.ignored else mask

    def pixels(self, record: FrameRecord) -> list[int]:
        """Pixels of each class of a frame, in the order of `labels.NAMES`; 0 of an ignored one."""
        return [0 if name in self.ignored else record.counts[name] for name in CLASSES]


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
                "ignored": list(part.ignored),
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
        ignored = part.get("ignored")
        if not isinstance(ignored, list) or not all(name in CLASSES for name in ignored):
            raise InputError("split", str(path), "a manifest whose parts say which classes do not count")
        yield Part(source, records, tuple(ignored))


def read_frames(path: Path) -> list[Part]:
    """Open a split or a manifest: the frames of each split that it names.

    Raises:
        InputError: It is neither, or not as it was written.
    """
    if path.is_file():
        return read_manifest(path)
    source = read_source(path)
    return [Part(source, source.records)]


def without_quarantined(parts: Sequence[Part], how: Quarantined, *, field: str) -> list[Part]:
    """Do with quarantined frames and classes as is asked: refuse them, leave them out, or use them.

    Args:
        parts: Frames of splits.
        how: `refuse`; `leave-out`, which drops the frames and ignores the pixels of the classes; or `use`.
        field: Parameter that named the parts, for errors.

    Raises:
        InputError: A part holds what is refused, nothing is left, or a quarantine cannot be used.
    """
    if how == "use":
        return list(parts)
    kept = []
    for part in parts:
        quarantine = part.source.quarantine
        if quarantine is None:
            kept.append(part)
            continue
        held = np.isin(part.records.numbers, list(quarantine.frames))
        classes = [name for name in quarantine.classes if name not in part.ignored]
        if how == "refuse" and (held.any() or classes):
            found = [counted(int(held.sum()), "frame")] * bool(held.any()) + [f"class {name}" for name in classes]
            allowed = f"frames that are not quarantined; here are {', '.join(found)}: --quarantined leave-out, or use"
            raise InputError(field, str(part.source.folder), allowed)
        if not held.all():
            kept.append(Part(part.source, part.records[~held], (*part.ignored, *classes)))
    if not kept:
        names = ", ".join(str(part.source.folder) for part in parts)
        raise InputError(field, names, "splits of which some frame is not quarantined")
    return kept
