"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits.

    Raises:
        OSError: The file cannot be read.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


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


@contextlib.contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it is flushed to disk and what is in it becomes `folder`'s content.

    A folder that is not there takes the temporary one's place beside it in one step. One that is there and empty (a
    mounted disk, the target of a link, a folder in a place that cannot be written itself) is filled from inside: its
    entries are renamed into place one after the other once all of them are on disk.

    On an exception nothing stays. What a killed run left is cleared by the next one; two runs at once are told apart
    by a lock that the kernel frees with the process.

    Raises:
        OSError: The folder holds something (ENOTEMPTY), another run is writing it (EAGAIN), it cannot be made, or
            something in it cannot be written.
    """
    folder = folder.resolve()
    name = f".{folder.name}.tmp"
    there = folder.exists()
    if there and (not folder.is_dir() or any(path.name != name for path in folder.iterdir())):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(folder))
    temporary = folder / name if there else folder.with_name(name)
    made = [parent for parent in folder.parents if not parent.exists()]
    temporary.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _claim(descriptor, temporary)
        done = False
        try:
            _clear(temporary)
            yield temporary
            _sync_tree(temporary)
            if there:
                _move_out(temporary, folder)
            else:
                temporary.rename(folder)
            done = True
        finally:
            if not done:
                shutil.rmtree(temporary, ignore_errors=True)
                with contextlib.suppress(OSError):  # someone else may have put something there meanwhile
                    for parent in made:
                        parent.rmdir()
        sync_folder(folder if there else folder.parent)
    finally:
        os.close(descriptor)


def _claim(descriptor: int, temporary: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(descriptor), temporary.stat())
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:  # locked by another run, or just renamed by one that ended
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(temporary))


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            with Path(root, name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(root))


def _move_out(inner: Path, folder: Path) -> None:
    """Rename everything in `inner` into the folder around it; on an exception all of it goes back."""

    def put_back(name: str) -> None:
        with contextlib.suppress(OSError):
            (folder / name).rename(inner / name)

    with contextlib.ExitStack() as stack:
        for name in sorted(path.name for path in inner.iterdir()):
            stack.callback(put_back, name)
            (inner / name).rename(folder / name)
        stack.pop_all()
    inner.rmdir()


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


def remove_leftovers(folder: Path, *, stem: str) -> None:
    """Delete the temporary files that killed writers left in a folder nobody writes to now.

    Args:
        folder: Folder; what lies below it is not looked at.
        stem: Pattern of the stems of our files in it; anything else stays.
    """
    if folder.is_dir():
        for path in folder.iterdir():
            if re.fullmatch(rf"\.({stem})\.\d+\.tmp(\.\w+)?", path.name) and path.is_file():
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
