"""Files and folders that appear whole or not at all, and locks on them: every file of ours is written here.

What is no regular file (a device, a pipe, a socket, standard output) is written through and never replaced; of a link
the file it leads to is replaced, and the link stays. A file keeps its mode; of one with several names only the one
written to gets the new content, as git does it. Temporary files lie beside their target as `.NAME.HOST-PROCESS.tmp`;
those of killed processes go with the next run that writes to the folder, and so do their locks.

Some file systems have no locks (Lustre mounted without `flock`, NFS without its lock service), or do not flush a folder
(Windows, its shares and those of virtual machines, some in user space): there things go on without, and a line says so
once.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import socket
import stat
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from regolith.lunar import system

AnyPath = str | os.PathLike[str]
"""A path as callers give it."""

STDOUT = Path("-")
"""Output file that stands for standard output."""
LOCK = ".lock"
"""Name of a folder's lock; that of a file NAME lies beside it as `.NAME.lock`."""
HOLDER = re.compile(r"process \d+ on (.*), since ")
"""What a lock says of who holds it; the host."""
SWEEP_S = 0.05
"""Wait before a lock counts as another run's [s]: a sweep has a free one in its hands for an instant."""
STEM_MAX = 160
"""Bytes of a name above which its temporary file does not repeat it."""
UNSUPPORTED = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})
"""Errors of a file system that has no locks, or does not flush a folder."""
_SAID: set[str] = set()
"""What was said to go on without."""
_SWEPT: set[str] = set()
"""Folders this process has cleared of killed writers' files."""


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits.

    Raises:
        OSError: The file cannot be read.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shown_name(path: Path) -> str:
    r"""Return a file's name as text every terminal and file takes: what is no UTF-8 or no letter appears as \xNN."""
    name = os.fsencode(path.name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def writes_through(path: Path) -> bool:
    """Whether a path is no regular file: standard output (`-`), an open descriptor, a device, a pipe, a socket."""
    if descriptor_of(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def descriptor_of(path: Path) -> int | None:
    """Number of the open file that a path stands for: `-`, /dev/stdout, /dev/fd/3, or a link to one."""
    if path == STDOUT:
        return 1
    for _ in range(40):  # links the kernel follows (path_resolution(7))
        if path.name.isdecimal() and os.path.realpath(path.parent) in ("/dev/fd", f"/proc/{os.getpid()}/fd"):
            return int(path.name)
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
    return None


def _write_through(path: Path, data: bytes) -> None:
    number = descriptor_of(path)
    if number is None and stat.S_ISSOCK(path.stat().st_mode):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            peer.sendall(data)
        return
    if number == 1:
        sys.stdout.flush()
    with os.fdopen(os.open(path, os.O_WRONLY) if number is None else os.dup(number), "wb") as file:
        file.write(data)


def follow_link(path: Path) -> Path:
    """Return the file a path leads to, which need not be there.

    Raises:
        OSError: It is a link that leads back to itself, or through a folder that may not be read.
    """
    if not path.is_symlink():
        return path
    with contextlib.suppress(FileNotFoundError):
        path.stat()
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path of the same ending to write to; on success it is flushed to disk and takes `path`'s name.

    On an exception the old file, if there was one, stays as it was, and the temporary one goes. What is no regular file
    gets the content once all of it is there.

    Raises:
        OSError: The file cannot be written; names `path`.
    """
    if writes_through(path):
        with tempfile.TemporaryDirectory(prefix="regolith-") as folder:
            temporary = Path(folder, f"out{path.suffix}")
            yield temporary
            write_bytes(path, temporary.read_bytes())
        return
    target = follow_link(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    _sweep(target.parent)
    temporary = temporary_beside(target)
    with naming(path, temporary):
        try:
            yield temporary
            with temporary.open("rb+") as file:
                system.copy_mode(target, file.fileno())
                os.fsync(file.fileno())
            system.move(temporary, target)
            sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


def temporary_beside(path: Path) -> Path:
    """Return the name of a temporary file of this process, of the same ending: killed, the next run clears it away."""
    stem = path.stem if len(os.fsencode(path.name)) <= STEM_MAX else f"{zlib.crc32(os.fsencode(path.name)):08x}"
    return path.with_name(f".{stem}.{place()}-{os.getpid()}.tmp{path.suffix[: STEM_MAX // 4]}")


@contextlib.contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an error of the system name a path, where it names nothing or only the temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename is not None and str(error.filename) != str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def place() -> str:
    """What tells this host, and the processes that are numbered together on it, from others on the same file system."""
    numbered = ""
    with contextlib.suppress(OSError):
        numbered = str(Path("/proc/self/ns/pid").readlink())
    return f"{zlib.crc32(f'{platform.node()} {numbered}'.encode()):08x}"


def _sweep(folder: Path) -> None:
    """Delete what killed processes left of files they wrote in a folder, and their locks; once a process."""
    if str(folder.absolute()) in _SWEPT:
        return
    _SWEPT.add(str(folder.absolute()))
    ours = re.compile(rf"\..+\.{place()}-(\d+)\.tmp(\.\w+)?")
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            match = ours.fullmatch(entry.name)
            if match and not system.is_running(int(match[1])) and entry.is_file(follow_symlinks=False):
                Path(entry).unlink(missing_ok=True)
            elif re.fullmatch(rf"\..+\{LOCK}", entry.name) and entry.is_file(follow_symlinks=False):
                _remove_free(Path(entry))


def _remove_free(path: Path) -> None:
    """Take a lock of this host away that nobody holds; of another's the kernel may not tell."""
    with contextlib.suppress(OSError), path.open("rb+") as file:
        left = HOLDER.match(file.read(200).decode("utf-8", "replace"))
        if left and left[1] == platform.node():
            system.lock_file(file.fileno())
            if _is_at(path, file):
                system.remove_locked(file, path)


@contextlib.contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it is flushed to disk and what is in it becomes `folder`'s content.

    A folder that is not there takes the temporary one's place beside it in one step. One that is there and empty (a
    mounted disk, the target of a link, a folder in a place that cannot be written itself) is filled from inside: its
    entries are renamed into place one after the other once all of them are on disk.

    On an exception nothing stays. What a killed run left is cleared by the next one; two runs at once are told apart
    by a lock that the kernel frees with the process.

    Raises:
        BlockingIOError: Another run is writing it; says which.
        OSError: The folder holds something (ENOTEMPTY), it cannot be made, or something in it cannot be written.
    """
    folder = folder.resolve()
    name = f".{folder.name}.tmp"
    there = folder.exists()
    taken = OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(folder))
    if there and (not folder.is_dir() or any(path.name not in (name, LOCK) for path in folder.iterdir())):
        raise taken
    temporary = folder / name if there else folder.with_name(name)
    made = [parent for parent in folder.parents if not parent.exists()]
    temporary.parent.mkdir(parents=True, exist_ok=True)
    done = False
    try:
        with naming(folder), holding(folder / LOCK if there else lock_beside(folder)):
            if folder.exists() != there:  # another run made it in the meantime
                raise taken
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            try:
                yield temporary
                _sync_tree(temporary)
                if there:
                    _move_out(temporary, folder)
                else:
                    system.move(temporary, folder)
                done = True
            finally:
                if not done:
                    shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(folder if there else folder.parent)
    finally:
        if not done:
            with contextlib.suppress(OSError):  # someone else may have put something there meanwhile
                for parent in made:
                    parent.rmdir()


def lock_beside(path: Path) -> Path:
    """Return the lock of a file, or of a folder that is not there yet."""
    return path.with_name(f".{path.name}{LOCK}")


@contextlib.contextmanager
def holding(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock, whose file is there only as long; the kernel frees it with the process, however that ends.

    It is refused where another process has it, or waits for that one.

    Raises:
        BlockingIOError: Another process holds it; says which.
        OSError: The file cannot be written.
    """
    with _open_locked(path, wait) as file:
        words = f"process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S %z')}"
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), words.encode())
        try:
            yield
        finally:
            system.remove_locked(file, path)


def _open_locked(path: Path, wait: bool) -> IO[bytes]:
    again = True
    while True:
        file = path.open("ab+")
        try:
            take_lock(file.fileno(), path.parent, wait=wait)
        except BlockingIOError:
            if again:
                file.close()
                time.sleep(SWEEP_S)
                again = False
                continue
            holder = ""
            with contextlib.suppress(PermissionError):  # on a Windows share a lock also keeps others from reading
                file.seek(0)
                holder = file.read(200).decode("utf-8", "replace").strip()
            file.close()
            raise BlockingIOError(errno.EAGAIN, holder or "another process", str(path.parent)) from None
        except OSError:
            file.close()
            raise
        if _is_at(path, file):
            return file
        file.close()  # its holder took the file away in the meantime


def _is_at(path: Path, file: IO[bytes]) -> bool:
    """Whether an open file is the one of a path, still."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    return False


def take_lock(descriptor: int, folder: Path, *, wait: bool = False) -> None:
    """Lock an open file or folder for this process alone; the kernel frees it with the process.

    Args:
        descriptor: What to lock.
        folder: Folder it is in, to be named where the file system has no locks.
        wait: Wait for whoever has it.

    Raises:
        BlockingIOError: Another process has it.
    """
    try:
        system.lock_file(descriptor, wait=wait)
    except OSError as error:
        if error.errno in system.HELD:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(folder)) from None
        if error.errno not in UNSUPPORTED:
            raise
        _do_without(f"no locks here ({error.strerror}): see that no two runs write to one folder", folder)


def _do_without(what: str, folder: Path) -> None:
    """Say what goes on without, once, of the first folder that asks for it."""
    if what not in _SAID:
        _SAID.add(what)
        print(f"regolith: {folder}: {what}", file=sys.stderr)


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            system.sync_file(Path(root, name))
        sync_folder(Path(root))


def _move_out(inner: Path, folder: Path) -> None:
    """Rename everything in `inner` into the folder around it; on an exception all of it goes back."""

    def put_back(name: str) -> None:
        with contextlib.suppress(OSError):
            system.move(folder / name, inner / name)

    with contextlib.ExitStack() as stack:
        for name in sorted(path.name for path in inner.iterdir()):
            stack.callback(put_back, name)
            system.move(inner / name, folder / name)
        stack.pop_all()
    inner.rmdir()


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to disk, so that a renamed or new file is still there after a power cut."""
    try:
        system.sync_folder(folder)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        _do_without(f"folders are not flushed here ({error.strerror}): a power cut may take the last files", folder)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines in one write and flush them to disk; a line torn by an earlier crash is cut off first.

    Raises:
        OSError: The file cannot be written.
    """
    created = not path.exists()
    with naming(path), path.open("ab+") as file:
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
            if re.fullmatch(rf"\.({stem})\.(\w+-)?\d+\.tmp(\.\w+)?", path.name) and path.is_file():
                path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: The file cannot be written; names it.
    """
    if writes_through(path):
        with naming(path):
            _write_through(path, data)
        return
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    write_bytes(path, (json.dumps(data, indent=2) + "\n").encode())
