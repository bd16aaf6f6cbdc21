"""Write frames so that a crash at any moment leaves either a whole frame or none."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from regolith.lunar.dataset.layout import JOURNAL, FrameRecord, file_name
from regolith.lunar.files import write_bytes
from regolith.lunar.render.base import Frame

PNG_LEVEL = 4
"""zlib level of the PNG files."""


def encode(output: str, frame: Frame) -> bytes:
    """Encode one output of a frame as the bytes of its file.

    Args:
        output: `rgb`, `mask`, `depth` or `instance`.
        frame: Frame that carries the output.

    Raises:
        ValueError: The frame does not carry the output.
    """
    array = {"rgb": frame.rgb, "mask": frame.label, "depth": frame.depth, "instance": frame.instance}[output]
    if array is None:
        raise ValueError(f"the frame has no {output}")
    buffer = io.BytesIO()
    if output == "depth":
        np.save(buffer, array.astype(np.float32))
    else:
        Image.fromarray(array).save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def write_frame(split: Path, frame: Frame, outputs: Iterable[str]) -> FrameRecord:
    """Write every file of a frame and return the journal line that makes it count.

    Args:
        split: Folder of the split.
        frame: Frame with the outputs asked for and the spec it was drawn from.
        outputs: Names from `layout.FILES`.
    """
    spec = frame.spec
    if spec is None:
        raise ValueError("the frame has no spec")
    hashes: dict[str, str] = {}
    for output in outputs:
        name = file_name(output, spec.index)
        data = encode(output, frame)
        (split / name).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(split / name, data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    return FrameRecord(spec.index, spec.seed, spec.to_dict(), hashes, frame.counts)


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
