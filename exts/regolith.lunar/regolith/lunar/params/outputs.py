"""Where verbs write: files and folders that can be written, by one run at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from regolith.lunar.files import LOCK, follow_link, holding, lock_beside, writes_through
from regolith.lunar.params.errors import UNFIT, InputError, system_words
from regolith.lunar.system import is_read_only


def check_name(field: str, path: Path) -> None:
    """Refuse a path of no file system under the name of its field, before it is looked for.

    Args:
        field: Parameter that has it.
        path: The path, or several with commas between them.

    Raises:
        InputError: One of them is too long, or a name in it is.
    """
    for part in str(path).split(","):
        try:
            Path(part).lstat()
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise InputError(field, part, f"a path this system takes ({error.strerror})") from None


def check_writable(field: str, path: Path) -> None:
    """Refuse a file that cannot be written before the work whose result it shall hold; leaves no trace.

    Raises:
        InputError: As `refusing`; or a folder has its name.
    """
    if writes_through(path):
        return
    with refusing(field, path, "file"):
        target = follow_link(path)
        if target.is_dir():
            raise InputError(field, str(path), "a file; this is a folder")
        folder = next(parent for parent in target.absolute().parents if parent.exists())
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None


def writable_folder(field: str, path: Path) -> Path:
    """Make a folder, so that a path nobody can write to is refused before the work that would be lost.

    Raises:
        InputError: It cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(field, str(path), f"a folder that can be written ({error.strerror})") from None
    if not os.access(path, os.W_OK):
        reason = os.strerror(errno.EROFS if is_read_only(path) else errno.EACCES)
        raise InputError(field, str(path), f"a folder that can be written ({reason})")
    return path


@contextlib.contextmanager
def refusing(field: str, path: Path, kind: str = "folder") -> Iterator[None]:
    """Turn what keeps a place from being written into bad input; what is on disk stays and counts.

    Args:
        field: Parameter that named the place.
        path: The place; errors of files elsewhere pass.
        kind: What it is, for the error.

    Raises:
        InputError: Another run writes to it, it has no room, may not be written, or something else lies there.
    """
    try:
        yield
    except BlockingIOError as error:
        allowed = f"a {kind} no other run is writing to; {error.strerror} is"
        raise InputError(field, str(path), allowed) from None
    except OSError as error:
        named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | os.PathLike) else path
        if error.errno not in UNFIT or not named.absolute().is_relative_to(path.parent.absolute()):
            raise
        where = "" if named == path else f" for {named.name}"
        raise InputError(field, str(path), f"a {kind} that can be written{where} {system_words(error)}") from None


@contextlib.contextmanager
def swept(path: Path) -> Iterator[None]:
    """Take away the folders down to a path that are made meanwhile and are empty, where input is refused after that."""
    made = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        yield
    except InputError:
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise


@contextlib.contextmanager
def sole_folder(field: str, path: Path, kind: str = "folder") -> Iterator[Path]:
    """Hold a folder for one run, making it where it is not there yet; input that is refused leaves no empty one.

    Raises:
        InputError: As `refusing`.
    """
    with swept(path):
        writable_folder(field, path)
        with refusing(field, path, kind), holding(path / LOCK):
            yield path


@contextlib.contextmanager
def sole_file(field: str, path: Path) -> Iterator[Path]:
    """Hold a file that is to be written for one run, making its folder; what is no regular file is held by nobody.

    Input that is refused leaves no empty folder.

    Raises:
        InputError: As `refusing`; or a folder has its name.
    """
    if writes_through(path):
        with refusing(field, path, "file"):
            yield path
        return
    with refusing(field, path, "file"):
        target = follow_link(path)
        if target.is_dir():
            raise InputError(field, str(path), "a file; this is a folder")
        with swept(target.parent):
            writable_folder(field, target.parent)
            with holding(lock_beside(target)):
                yield path
