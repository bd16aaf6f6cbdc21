"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path of the same ending to write to; on success it is flushed to disk and takes `path`'s name.

    On an exception the old file, if there was one, stays as it was, and the temporary one goes.

    Raises:
        OSError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to disk, so that a renamed or new file is still there after a power cut."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines in one write and flush them to disk; a line torn by an earlier crash is cut off first.

    Raises:
        OSError: The file cannot be written.
    """
    created = not path.exists()
    with path.open("ab+") as file:
        end = file.tell()
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.truncate(path.read_bytes().rfind(b"\n") + 1)
        file.write("".join(line + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())
    if created:
        sync_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that killed writers left anywhere below a folder nobody writes to now."""
    for path in folder.rglob(".*.tmp*"):
        if re.fullmatch(r"\..+\.\d+\.tmp(\.\w+)?", path.name):
            path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    write_bytes(path, (json.dumps(data, indent=2) + "\n").encode())
