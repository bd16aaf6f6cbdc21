"""Write frames so that a crash at any moment leaves either a whole frame or none."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regolith.lunar.dataset.layout import JOURNAL, FrameRecord, file_name
from regolith.lunar.files import write_bytes
from regolith.lunar.labels import count_classes

ARRAYS = {"depth": np.float32, "normals": np.float16}
"""Type of the outputs that are `.npy` files."""

PNG_LEVEL = 4
"""zlib level of the PNG files."""


def encode(output: str, array: np.ndarray) -> bytes:
    """Encode one output of a frame as the bytes of its file.

    Args:
        output: Name from `layout.FILES`.
        array: uint8 [H, W, 3] for rgb, uint8 [H, W] for mask, uint16 [H, W] for instance, any float for the rest.
    """
    buffer = io.BytesIO()
    if output in ARRAYS:
        np.save(buffer, array.astype(ARRAYS[output]))
    else:
        Image.fromarray(array).save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def write_frame(
    split: Path, index: int, arrays: Mapping[str, np.ndarray], *, seed: int, spec: dict[str, Any], redraws: int = 0
) -> FrameRecord:
    """Write every file of a frame and return the journal line that makes it count.

    Args:
        split: Folder of the split.
        index: Number of the frame.
        arrays: Arrays by names from `layout.FILES`, rgb and mask among them.
        seed: Seed of the frame.
        spec: What it was drawn from.
        redraws: How often it was drawn again.
    """
    hashes: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for output, array in arrays.items():
        name = file_name(output, index)
        data = encode(output, array)
        (split / name).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(split / name, data)
        hashes[name], sizes[name] = hashlib.sha256(data).hexdigest(), len(data)
    return FrameRecord(index, seed, spec, hashes, sizes, count_classes(arrays["mask"]), redraws)


def append_records(split: Path, records: Iterable[FrameRecord]) -> None:
    """Append journal lines and flush them to disk; the frames count from here on."""
    path = split / JOURNAL
    with path.open("ab+") as file:
        if file.tell() and not _ends_line(path):
            file.truncate(path.read_bytes().rfind(b"\n") + 1)  # a line torn by a crash
        file.write(b"".join(record.to_line().encode() + b"\n" for record in records))
        file.flush()
        os.fsync(file.fileno())


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def write_journal(split: Path, records: dict[int, FrameRecord]) -> None:
    """Rewrite the journal ordered by index, so that a split's bytes do not tell in which order it was drawn."""
    lines = b"".join(records[index].to_line().encode() + b"\n" for index in sorted(records))
    write_bytes(split / JOURNAL, lines)
