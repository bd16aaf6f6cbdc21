"""Windows, as far as Python code can tell, over the Linux this runs on.

What Windows lacks is gone: modules (`GONE`), names of `os` and `signal`, `/proc`; `os.uname` and the like stay, for
libraries built for Linux ask them. What Windows does otherwise is done so:

- `msvcrt.locking` locks bytes, for good: nobody else can read or write them (LockFile);
- a file that is open or mapped can be neither removed nor replaced, a folder cannot be opened, and only what may be
  written to is flushed;
- `os.kill` sends Ctrl+C and CTRL_BREAK to a process group of the same console, and with any other number ends one
  process at once; `Popen` takes creation flags and no session;
- text is written with CR LF, and in cp1252 unless somebody says otherwise.

Paths, `os.name` and `sys.platform` stay those of Linux. A Python that is started here by `sys.executable` runs so too.
"""

# typeshed has only the names of the system that the check runs on
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import errno
import fcntl
import io
import os
import runpy
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import types
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
"""Checkout whose packages a Python finds, unless it is started isolated."""
GONE = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline")
GONE_OS = """
chown chroot confstr ctermid fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs getegid geteuid getgid
getgrouplist getgroups getloadavg getpgid getpgrp getpriority getresgid getresuid getsid getuid initgroups killpg
lchown lockf major minor makedev mkfifo mknod nice openpty pathconf posix_fadvise posix_fallocate posix_spawn
posix_spawnp pread preadv pwrite pwritev readv sched_getaffinity sched_setaffinity sched_yield
sendfile setegid seteuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setsid setuid
statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname wait wait3 wait4 waitid writev O_CLOEXEC O_DIRECTORY O_DSYNC O_NOCTTY
O_NOFOLLOW O_NONBLOCK O_SYNC ST_RDONLY ST_NOSUID
""".split()  # noqa: SIM905
KEPT_SIGNALS = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
GONE_SIGNAL = "alarm getitimer pause pthread_kill pthread_sigmask setitimer sigpending sigwait sigtimedwait".split()  # noqa: SIM905

BREAK = signal.SIGUSR1
"""Signal of this system that stands for CTRL_BREAK."""
LAUNCHER = "python.exe"
"""Name of a program that stands for `python.exe`."""
CONSOLE = "WINDOWS_CONSOLE"
"""Variable that tells a process's console; without it, the first one."""
ENDED = {-BREAK: 0xC000013A, -signal.SIGKILL: signal.SIGTERM.value}
"""Exit status of a process that CTRL_BREAK ended, and of one that was ended at once, as psutil does."""

_kill, _killpg, _stat, _os_open, _fsync = os.kill, os.killpg, os.stat, os.open, os.fsync
_unlink, _replace, _rename, _io_open, _signal = os.unlink, os.replace, os.rename, io.open, signal.signal
_Popen, _cmdline, _memory = subprocess.Popen, psutil.Process.cmdline, psutil.Process.memory_info


# locks


def _ask_lock(descriptor: int, command: int, kind: int, start: int, length: int) -> int:
    """Ask for a lock of an open file description (fcntl(2), F_OFD_SETLK); returns the kind that is in the way."""
    found = fcntl.fcntl(descriptor, command, struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0))
    return struct.unpack("hhqqi4x", found)[0]


def _locking(descriptor: int, mode: int, length: int) -> None:
    """`msvcrt.locking`: lock or unlock bytes from where the file is at."""
    start, tries = os.lseek(descriptor, 0, os.SEEK_CUR), 10 if mode == 1 else 1
    kind = fcntl.F_UNLCK if mode == 0 else fcntl.F_WRLCK
    for number in range(tries):
        try:
            _ask_lock(descriptor, fcntl.F_OFD_SETLK, kind, start, length)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        time.sleep(1.0 if number + 1 < tries else 0.0)
    code = errno.EACCES if tries == 1 else errno.EDEADLK
    raise OSError(code, os.strerror(code))


MSVCRT = types.ModuleType("msvcrt")
for _name, _value in {"locking": _locking, "LK_UNLCK": 0, "LK_LOCK": 1, "LK_NBLCK": 2}.items():
    setattr(MSVCRT, _name, _value)


class _Raw(io.FileIO):
    """A file whose bytes that somebody else has locked can be neither read nor written."""

    def _check(self, length: int) -> None:
        if length > 0 and self.seekable():
            kind = _ask_lock(self.fileno(), fcntl.F_OFD_GETLK, fcntl.F_WRLCK, self.tell(), length)
            if kind != fcntl.F_UNLCK:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def readinto(self, buffer: Any) -> int | None:
        self._check(min(len(buffer), os.fstat(self.fileno()).st_size - self.tell()))
        return super().readinto(buffer)

    def readall(self) -> bytes:
        self._check(os.fstat(self.fileno()).st_size - self.tell())
        return super().readall()

    def write(self, data: Any) -> int | None:
        self._check(len(data))
        return super().write(data)


# files


def _hidden(path: Any) -> bool:
    return not isinstance(path, int) and os.fsdecode(path).startswith("/proc/")


def _missing(path: Any) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(path))


def _denied(path: Any) -> PermissionError:
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fsdecode(path))


def _check_idle(path: Any) -> None:
    """Refuse a file that this process has open, or mapped as OpenUSD has what it reads."""
    try:
        there = _stat(path)
    except OSError:
        return
    for number in os.listdir("/proc/self/fd"):
        try:
            held = _stat(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino):
            raise _denied(path)
    with _io_open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        if any(line.rstrip().endswith(os.path.realpath(path)) for line in maps):
            raise _denied(path)


def _moved(move: Callable[..., None]) -> Callable[..., None]:
    def moving(source: Any, target: Any, **options: Any) -> None:
        _check_idle(source)
        _check_idle(target)
        if move is _rename and os.path.exists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(target))
        move(source, target, **options)

    return moving


def _removed(path: Any, **options: Any) -> None:
    _check_idle(path)
    _unlink(path, **options)


def _stated(path: Any, **options: Any) -> os.stat_result:
    if _hidden(path):
        raise _missing(path)
    return _stat(path, **options)


def _opened(path: Any, flags: int, *more: Any, **options: Any) -> int:
    if os.path.isdir(path):
        raise _denied(path)
    return _os_open(path, flags, *more, **options)


def _flushed(file: Any) -> None:
    number = file if isinstance(file, int) else file.fileno()
    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    _fsync(number)


def _open(
    file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
    newline: str | None = None, closefd: bool = True, opener: Any = None,
) -> Any:  # fmt: skip
    """`io.open` of pathlib, and `open`."""
    if isinstance(file, int) or buffering == 0 or opener is not None:
        return _io_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    if _hidden(file):
        raise _missing(file)
    if os.path.isdir(file):
        raise _denied(file)
    raw = _Raw(file, mode.replace("b", "").replace("t", ""))
    kind = io.BufferedRandom if "+" in mode else io.BufferedReader if "r" in mode else io.BufferedWriter
    binary: Any = kind(raw)
    if "b" in mode:
        return binary
    ends = "\r\n" if newline is None and "r" not in mode else newline
    return io.TextIOWrapper(binary, encoding or "cp1252", errors, ends)


# processes


class _WindowsPopen(_Popen):
    def __init__(self, args: Any, *more: Any, creationflags: int = 0, **options: Any) -> None:
        for name in ("start_new_session", "process_group", "preexec_fn"):
            assert not options.pop(name, None), f"Windows has no {name}"
        env = dict(os.environ if options.get("env") is None else options["env"])
        env[CONSOLE] = str(uuid.uuid4()) if creationflags & subprocess.CREATE_NO_WINDOW else os.environ.get(CONSOLE, "")
        group = 0 if creationflags & subprocess.CREATE_NEW_PROCESS_GROUP else None
        super().__init__(args, *more, **(options | {"env": env, "process_group": group}))

    def _handle_exitstatus(self, *arguments: Any, **options: Any) -> None:
        super()._handle_exitstatus(*arguments, **options)
        self.returncode = ENDED.get(self.returncode, self.returncode)

    def kill(self) -> None:
        _end(self.pid)

    terminate = kill


def _end(pid: int) -> None:
    try:
        _kill(pid, 9)
    except ProcessLookupError:
        raise _denied(str(pid)) from None


def _killed(pid: int, number: int) -> None:
    """`os.kill`: 0 and 1 are events of the console, for a process group on it."""
    if number not in (0, 1):
        _end(pid)
        return
    try:
        with _io_open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except FileNotFoundError:
        variables = []
    if f"{CONSOLE}={os.environ.get(CONSOLE, '')}".encode() not in variables:
        raise OSError(errno.EINVAL, "The parameter is incorrect")
    _killpg(pid, BREAK if number else signal.SIGINT)


def _handled(number: int, handler: Any) -> Any:
    if number not in {*(getattr(signal, name) for name in KEPT_SIGNALS), BREAK}:
        raise ValueError("invalid signal value")
    return _signal(number, handler)


def _exists(pid: int) -> bool:
    return str(pid) in os.listdir("/proc")


def _memory_info(process: psutil.Process) -> Any:
    told = _memory(process)
    return types.SimpleNamespace(**told._asdict(), peak_wset=told.rss)


def _words(process: psutil.Process) -> list[str]:
    words = _cmdline(process)  # a script's begin with its interpreter
    return words[1:] if [Path(word).name for word in words[1:2]] == [LAUNCHER] else words


# all of it


def make_launcher(folder: Path, python: str | Path = sys.executable) -> Path:
    """Make the program that stands for the `python.exe` of an interpreter, in a folder."""
    path = folder / LAUNCHER
    code = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport windows\nwindows.main(sys.argv)\n"
    path.write_text(f"#!{python}\n{code}", "utf-8", newline="\n")
    path.chmod(0o755)
    return path


def become_windows(launcher: Path) -> None:
    """Make this process one of Windows from here on.

    Args:
        launcher: Program that stands for `python.exe` (`make_launcher`).
    """
    sys.executable = str(launcher)
    for name in GONE:
        sys.modules[name] = None  # type: ignore[assignment]
    sys.modules["msvcrt"] = MSVCRT
    for name in (name for name in GONE_OS if hasattr(os, name)):
        delattr(os, name)
    signals = [n for n in vars(signal) if n.startswith("SIG") and not n.startswith("SIG_") and n not in KEPT_SIGNALS]
    for name in (*(name for name in signals if name.isupper()), *GONE_SIGNAL):
        delattr(signal, name)
    changed: list[tuple[Any, dict[str, Any]]] = [
        (io, {"open": _open}),
        (os, {
            "kill": _killed, "unlink": _removed, "remove": _removed, "replace": _moved(_replace),
            "rename": _moved(_rename), "stat": _stated, "open": _opened, "fsync": _flushed,
        }),
        (psutil, {"pid_exists": _exists}),
        (psutil.Process, {
            "kill": lambda process: _end(process.pid), "username": lambda process: "HOST\\user", "cmdline": _words,
            "memory_info": _memory_info,
        }),
        (shutil, {"_use_fd_functions": False}),
        (signal, {"SIGBREAK": BREAK, "CTRL_C_EVENT": 0, "CTRL_BREAK_EVENT": 1, "signal": _handled}),
        (tempfile, {"TemporaryFile": tempfile.NamedTemporaryFile}),
        (subprocess, {"CREATE_NEW_PROCESS_GROUP": 0x200, "CREATE_NO_WINDOW": 0x8000000, "Popen": _WindowsPopen}),
    ]  # fmt: skip
    for place, names in changed:
        for name, value in names.items():
            setattr(place, name, value)


def main(arguments: list[str]) -> None:
    """Run Python as its command line asks for: `-I` or nothing, then `-m`, `-c` or a file.

    Args:
        arguments: The command line, with the program itself.
    """
    words, outside = arguments[1:], [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    sys.path[:] = [place for place in sys.path if place not in outside]
    if words[0] == "-I":
        words.pop(0)
    else:
        sys.path[:0] = [str(ROOT / "exts" / "regolith.lunar"), str(ROOT)]
    kind, *rest = words
    sys.argv = ["-c", *rest[1:]] if kind == "-c" else rest if kind == "-m" else words
    become_windows(Path(arguments[0]))
    if kind == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_path(kind, run_name="__main__")


def run_on_windows(folder: Path, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python so, in a process of its own.

    Args:
        folder: Where it is started, and where the program lies that stands for `python.exe`.
        arguments: Its command line.
        options: Of `subprocess.run`.
    """
    command = [make_launcher(folder), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False, **options)
