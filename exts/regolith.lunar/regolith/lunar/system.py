"""What Windows does otherwise than POSIX systems: locks, renaming and flushing, processes and what stops them, words.

Every other module asks here. Windows is where `fcntl` is not; there

- a lock is one byte, far behind what the file says of its holder: a locked byte nobody else can read;
- a file that is open can be neither removed nor replaced, so renaming waits for its reader;
- a process has no group to signal: its descendants are looked up, without those whose parent ended before the look, and
  the polite stop is CTRL_BREAK, which reaches the processes of one console.
"""

# typeshed has only the names of the system that the check runs on
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import psutil

POSIX = importlib.util.find_spec("fcntl") is not None
if POSIX:
    import fcntl
else:
    import msvcrt

HELD = frozenset({errno.EAGAIN, errno.EACCES} if POSIX else {errno.EACCES, errno.EDEADLK})
"""Errors of a lock that another process has: which one depends on the file system (flock(2), fcntl(2), `_locking`)."""
LOCKED_BYTE = 2**30
"""Place of the byte that is locked on Windows; the file need not be that long (LockFile)."""
LOOK_S, OPEN_S = 0.05, 2.0
"""Time between two tries at what somebody has open or locked, and how long renaming waits on Windows for whoever has a
file open: a reader of ours, a virus scanner [s]."""
PROC = Path("/proc")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, *((signal.SIGBREAK,) if hasattr(signal, "SIGBREAK") else ()))
"""What asks a process to finish what it writes and end; SIGBREAK is Windows' CTRL_BREAK."""
END_SIGNALS = (*STOP_SIGNALS, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))
"""`STOP_SIGNALS`, and that of a terminal that closes."""
BREAK_STATUS = 0xC000013A
"""Exit status on Windows of a process that Ctrl+C or CTRL_BREAK ended (STATUS_CONTROL_C_EXIT)."""
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl(2): the signal a process gets when its parent is gone."""

PYTHON = "python3" if POSIX else "python"
"""What the Python on the path is called."""
ISAAC_PYTHON = "python.sh" if POSIX else "python.bat"
"""What starts the Python of an Isaac Sim."""


# locks


def lock_file(descriptor: int, *, wait: bool = False) -> None:
    """Lock an open file for this process alone; the system frees it with the process.

    Args:
        descriptor: The file; on POSIX systems a folder will do.
        wait: Wait for whoever has it.

    Raises:
        OSError: Another process has it (`HELD`), or the file system has no locks.
    """
    if POSIX:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return
    while True:
        try:
            _lock_byte(descriptor, msvcrt.LK_NBLCK)
            return
        except OSError as error:
            if not wait or error.errno not in HELD:
                raise
        time.sleep(LOOK_S)


def _lock_byte(descriptor: int, how: int) -> None:
    os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, how, 1)
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)


def remove_locked(file: IO[bytes], path: Path) -> None:
    """Take a locked file away, and with it the lock.

    On Windows it is closed first; one that somebody has opened meanwhile stays, for that one to lock.
    """
    if not POSIX:
        with contextlib.suppress(OSError):  # the file system has no locks
            _lock_byte(file.fileno(), msvcrt.LK_UNLCK)
        file.close()
    with contextlib.suppress(OSError):
        path.unlink()


# files and folders


def move(source: Path, target: Path) -> None:
    """Rename a file or folder; a file takes the place of one that has the name.

    Raises:
        OSError: It cannot; on Windows also where somebody has either open for long.
    """
    end = time.monotonic() + OPEN_S
    while True:
        try:
            source.replace(target)
            return
        except PermissionError:
            if POSIX or time.monotonic() > end:
                raise
        time.sleep(LOOK_S)


def discard(path: Path) -> None:
    """Remove a file that is not wanted any more; on Windows one that a library still has open stays."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        if POSIX:
            raise


def copy_mode(path: Path, descriptor: int) -> None:
    """Give an open file the mode of another, where that is there; on Windows there is none worth it."""
    if POSIX:
        with contextlib.suppress(FileNotFoundError):
            os.fchmod(descriptor, path.stat().st_mode & 0o7777)


def sync_file(path: Path) -> None:
    """Flush a file to disk; Windows flushes only what may be written to."""
    with path.open("rb" if POSIX else "rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to disk.

    Raises:
        OSError: The file system does not do that, or Windows (ENOTSUP).
    """
    if not POSIX:
        raise OSError(errno.ENOTSUP, "Windows cannot", str(folder))
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def is_read_only(path: Path) -> bool:
    """Whether a path's file system is mounted for reading alone; Windows says so where something is written."""
    return POSIX and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def foreign_owner(path: Path, status: Callable[[Path], os.stat_result] = os.lstat) -> str:
    """Name of another user whom a file or folder belongs to; empty where it is ours, not there, or nobody's.

    As git does: to root, what belongs to whoever called `sudo` is its own too. Not told on Windows.

    Args:
        path: The file or folder; of a link, the link itself.
        status: Looks at it.
    """
    if not POSIX:
        return ""
    try:
        owner = status(path).st_uid
    except OSError:
        return ""
    ours = {os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        ours.add(int(os.environ["SUDO_UID"]))
    if owner in ours:
        return ""
    import pwd

    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"user {owner}"


# processes


class PopenOptions(TypedDict, total=False):
    """Arguments of `subprocess.Popen`."""

    start_new_session: bool
    creationflags: int


def popen_options(*, lasting: bool = False) -> PopenOptions:
    """Arguments of `subprocess.Popen` that give a child a group of its own: Ctrl+C in our terminal does not reach it.

    Args:
        lasting: Whether it goes on without us: on Windows it gets a console of its own, hidden, for when ours closes.
            From outside that console no CTRL_BREAK reaches it.
    """
    if POSIX:
        return {"start_new_session": True}
    return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | (subprocess.CREATE_NO_WINDOW if lasting else 0)}


def descendants(pid: int) -> list[psutil.Process]:
    """Processes below one, on Windows; none on POSIX systems, where its group holds them."""
    if POSIX:
        return []
    import psutil

    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def ask_group(pid: int) -> None:
    """Ask a child that leads a group, and all in it, to stop: SIGTERM, or CTRL_BREAK.

    Where Windows has no console to send that by, as in a program of windows, they are killed.
    """
    if POSIX:
        _signal_group(pid, signal.SIGTERM)
        return
    try:
        os.kill(pid, signal.CTRL_BREAK_EVENT)
    except OSError:
        kill_group(pid)


def kill_group(pid: int, also: Iterable[psutil.Process] = ()) -> None:
    """Kill a process that leads a group, and all in it; on Windows, it and its descendants.

    Args:
        pid: Its id.
        also: Descendants seen before (`descendants`): once it has ended, nothing leads to them.
    """
    if POSIX:
        _signal_group(pid, signal.SIGKILL)
        return
    import psutil

    found = [*descendants(pid), *also]
    with contextlib.suppress(psutil.Error):
        found.insert(0, psutil.Process(pid))
    for process in found:
        with contextlib.suppress(psutil.Error):  # ended meanwhile
            process.kill()


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def is_running(pid: int) -> bool:
    """Whether a process has an id: any, whoever's it is."""
    if not POSIX:  # there a signal of 0 is Ctrl+C
        import psutil

        return psutil.pid_exists(pid)
    try:
        with contextlib.suppress(PermissionError):
            os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    return True


def is_parent(pid: int) -> bool:
    """Whether a process that started this one is still there; on Windows a venv's `python.exe` stands between them."""
    return os.getppid() == pid if POSIX else is_running(pid)


def end_with_parent(*, politely: bool) -> bool:
    """Let the kernel end this process when the one that started it is gone; only Linux can.

    Args:
        politely: Whether by SIGTERM; else by SIGKILL.

    Returns:
        Whether it will.
    """
    if not POSIX or sys.platform != "linux":
        return False
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM if politely else signal.SIGKILL, 0, 0, 0)
    return True


def birth(pid: int) -> str | None:
    """Return what tells a process from every other that had or will have its id; None where there is none.

    On Linux the boot and the clock ticks from it to the process's start (proc(5), `stat` field 22), which no change of
    the system's clock moves; elsewhere the start time. A zombie has ended.
    """
    try:
        told = (PROC / str(pid) / "stat").read_text("utf-8", "replace")
        boot = (PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None if (PROC / "self/stat").exists() else _birth_elsewhere(pid)
    fields = told.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _birth_elsewhere(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except (psutil.Error, OverflowError):
        return None


def own_command(pid: int) -> list[str]:
    """Words that a process of this user was started with.

    Raises:
        OSError: There is none, or it is another user's.
    """
    if (PROC / "self/cmdline").exists():
        ours = (PROC / str(pid)).stat().st_uid == os.geteuid()
        command = os.fsdecode((PROC / str(pid) / "cmdline").read_bytes()).split("\0")
    else:
        import psutil

        try:
            process, own = psutil.Process(pid), psutil.Process()
            ours = process.uids().effective == os.geteuid() if POSIX else process.username() == own.username()
            command = process.cmdline()
        except (psutil.Error, OverflowError) as error:
            raise OSError(str(error)) from None
    if not ours:
        raise PermissionError(errno.EPERM, "another user's process", str(pid))
    return command


def peak_bytes() -> int:
    """Largest resident memory of this process so far [bytes].

    `getrusage` would tell that of the process it was forked from, where that was larger: Linux carries `ru_maxrss` over
    `execve`; the mark in `/proc` starts anew (proc_pid_status(5), VmHWM).
    """
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB", (PROC / "self/status").read_text("ascii"), re.MULTILINE)
        if found:
            return 1024 * int(found[1])
    if not POSIX:
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def python() -> Path:
    """The Python this runs in; where a program has it built in, as Kit may, the one beside its library."""
    running, library = Path(sys.executable or ""), Path(os.__file__).parents
    return running if running.name[:6] == "python" else library[1 + POSIX] / ("bin/python3" if POSIX else "python.exe")


# command lines


def split_command(text: str) -> list[str]:
    r"""Split a command line into words, as a shell does; on Windows `"` quotes alone, and `\` is a letter of paths.

    Raises:
        ValueError: A quotation without end.
    """
    if POSIX:
        return shlex.split(text)
    words = shlex.shlex(text, posix=True, punctuation_chars=False)
    words.whitespace_split, words.commenters, words.quotes, words.escape = True, "", '"', ""
    return list(words)


def join_command(words: Sequence[str | Path]) -> str:
    """Make a command line of words for this system's shell; on Windows of words without quotation marks."""
    if POSIX:
        return shlex.join(map(str, words))
    return " ".join(f'"{word}"' if re.search(r"[\s<>|&^()]|^$", str(word)) else str(word) for word in words)
