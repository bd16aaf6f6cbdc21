"""Folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from regolith.lunar.params import InputError


@contextlib.contextmanager
def appearing(folder: Path, field: str = "out") -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; on success it is flushed to disk and takes `folder`'s name.

    On an exception nothing stays. What a killed run left is cleared by the next one; two runs at once are told apart
    by a lock that the kernel frees with the process.

    Args:
        folder: Folder to make: absent, or empty.
        field: Name of the argument it came from, for errors.

    Raises:
        InputError: The folder is there and holds something, another run is writing it, or it cannot be made.
        OSError: Something in it cannot be written.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(field, str(folder), "a folder that is not there yet, or empty")
    temporary = folder.with_name(f".{folder.name}.tmp")
    made = [parent for parent in folder.parents if not parent.exists()]
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError(field, str(folder), f"a path that can be written ({error.strerror})") from None
    try:
        _claim(descriptor, temporary, folder, field)
        done = False
        try:
            _clear(temporary)
            yield temporary
            _flush(temporary)
            temporary.rename(folder)  # an empty folder of that name gives way
            done = True
        finally:
            if not done:
                shutil.rmtree(temporary, ignore_errors=True)
                with contextlib.suppress(OSError):  # someone else may have put something there meanwhile
                    for parent in made:
                        parent.rmdir()
        _flush_folder(folder.parent)
    finally:
        os.close(descriptor)


def _claim(descriptor: int, temporary: Path, folder: Path, field: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(descriptor), temporary.stat())
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:  # locked by another run, or just renamed by one that ended
        raise InputError(field, str(folder), "a folder no other run is writing to")


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _flush(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path.stat().st_nlink == 1:  # a hard link's content lay on disk before
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        _flush_folder(Path(root))


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
