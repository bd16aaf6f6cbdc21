"""Runs: companions that outlive the program that started them, each with a folder where it is found again.

    RUN/run.json      what runs: kind, process id and its birth, start time, details of the launcher
    RUN/events.jsonl  what it said: the events of `jobs.events`, and any other line it printed
    RUN/log.txt       its standard error
    RUN/status        its exit status, written when it has ended
    RUN/stop          there once it was asked to stop

Output goes to files rather than pipes, so that a run goes on undisturbed when its launcher ends. A shell that waits for
it, on Windows a Python (`jobs.waiter`), writes the exit status down, so that whoever comes later knows how it ended.

A folder may come from somebody else. So a record holds no command, no environment and no working folder, and nobody
takes its word for which process the run is: see `Run.alive`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from regolith.lunar import system
from regolith.lunar.files import write_json
from regolith.lunar.jobs.companion import clean_environment
from regolith.lunar.jobs.events import Event, parse_event
from regolith.lunar.reading import read_bytes, read_json
from regolith.lunar.system import birth

RunState = Literal["running", "finished", "interrupted", "failed", "lost"]

RUN, EVENTS, LOG, STATUS, STOP = "run.json", "events.jsonl", "log.txt", "status", "stop"

WAIT = """
send() { if [ -n "$child" ] && [ -z "$sent" ]; then sent=1; sleep 0.1; kill -TERM "$child" 2>/dev/null; fi; }
stop=; child=; sent=
trap "stop=1; send" TERM INT
"$@" & child=$!
[ -z "$stop" ] || send
wait "$child"; status=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
echo $status >"$0.part" && mv "$0.part" "$0"
"""
"""Shell script that runs its arguments and writes their exit status to the file `$0`. SIGTERM goes to the shell alone,
which hands it on once, a moment later: a signal that meets the command between fork and exec would be lost."""
WAITER = (
    ["/bin/sh", "-c", WAIT]
    if system.POSIX
    else [str(system.python()), "-I", str(Path(__file__).with_name("waiter.py").absolute())]
)
"""What waits for a run, before the file of the exit status and the run's own words."""

INTERRUPTED = frozenset({130, 128 + signal.SIGINT, 128 + signal.SIGTERM, system.BREAK_STATUS})
"""Exit statuses of a run that was asked to stop: by our own verbs, or before they could say so."""

READ_BYTES = 32_768
"""Most that one look reads of a file: a look of a panel may not take longer than a frame allows."""
LOG_BYTES = 16_384
"""What is read of the log of a run that was found again: its end."""
SETTLE_LOOKS = 100
"""Looks, a millisecond apart, at whether the system tells a new process's command yet."""
RECORD_BYTES = 2**20
"""Largest record [bytes]."""


class Run:
    """A run, started here or found again."""

    def __init__(self, folder: Path, info: dict[str, Any], process: subprocess.Popen[bytes] | None = None) -> None:
        self.folder = folder
        self.info = info
        self._process = process
        self._offsets = {EVENTS: 0, LOG: max(_size(folder / LOG) - LOG_BYTES, 0)}

    @classmethod
    def start(
        cls,
        folder: Path,
        arguments: Sequence[str | Path],
        *,
        kind: str,
        details: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Run:
        """Start a run.

        Args:
            folder: Folder of the run; it may hold files the arguments name, but no run.
            arguments: Program and its arguments; not written down.
            kind: What it is, for whoever finds it again.
            details: What else they need to know; plain JSON, nothing of which is to be executed.
            env: Variables to add to `clean_environment()`.
            cwd: Working directory; left out, this process's own.

        Raises:
            OSError: The program is not there, or the folder cannot be written.
        """
        program, *others = map(str, arguments)
        if shutil.which(program) is None:
            raise FileNotFoundError(2, "no such program", program)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / EVENTS).open("ab") as events, (folder / LOG).open("ab") as log:
            process = subprocess.Popen(
                [*WAITER, str((folder / STATUS).absolute()), program, *others],
                env=clean_environment(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=events,
                stderr=log,
                **system.popen_options(lasting=True),
            )
        pid = process.pid
        for _ in range(SETTLE_LOOKS):
            if process.poll() is not None or _waits_for(pid, folder):
                break
            time.sleep(1e-3)
        started = {"pid": pid, "birth": birth(pid) or "", "started": time.time()}
        info = {"kind": kind, "details": dict(details or {}), **started}
        write_json(folder / RUN, info)
        return cls(folder, info, process)

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Find a run again.

        Raises:
            ValueError: The folder holds none.
        """
        try:
            info = read_json(folder / RUN, RECORD_BYTES)
        except (OSError, ValueError):
            raise ValueError(f"{folder} holds no run") from None
        known = {"kind": str, "details": dict, "pid": int, "birth": str, "started": (int, float)}
        if not isinstance(info, dict) or not all(isinstance(info.get(key), kind) for key, kind in known.items()):
            raise ValueError(f"{folder / RUN} is no run's")
        return cls(folder, info)

    @property
    def kind(self) -> str:
        """What it is."""
        return self.info["kind"]

    @property
    def details(self) -> dict[str, Any]:
        """What its launcher noted."""
        return self.info["details"]

    @property
    def started(self) -> float:
        """When it was started last [s since the epoch]."""
        return self.info["started"]

    @property
    def pid(self) -> int:
        """Process id of what waits for it, also the id of its process group."""
        return self.info["pid"]

    # -- how it goes --------------------------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether it runs: our child, or the process of its id, born when it was, that waits for this folder's."""
        if self._process is not None:
            return self._process.poll() is None
        pid, born = self.info["pid"], self.info["birth"]
        return pid > 1 and bool(born) and birth(pid) == born and _waits_for(pid, self.folder)

    @property
    def status(self) -> int | None:
        """Exit status, 128 plus the number of the signal that ended it; None while it runs, or where it is lost."""
        try:
            return int(read_bytes(self.folder / STATUS, 64))
        except (OSError, ValueError):
            return None

    @property
    def state(self) -> RunState:
        """How it stands; `lost` is a run that was killed, or whose machine went down, before it could say more."""
        if self.alive:
            return "running"
        status = self.status
        if status is None:  # the shell was killed: after its grace, or before it had set its trap
            return "interrupted" if (self.folder / STOP).exists() else "lost"
        return "finished" if status == 0 else "interrupted" if status in INTERRUPTED else "failed"

    def poll(self) -> list[Event]:
        """Return events that are new since the last call, some at a time, without waiting.

        An ended run has said all once the list is empty. Lines that are no events come as `log` events, as those of a
        `Companion` do.
        """
        events: list[Event] = []
        for line in self._lines(EVENTS):
            events.append(parse_event(line) or {"event": "log", "line": line, "stream": "stdout"})
        events += [{"event": "log", "line": line, "stream": "stderr"} for line in self._lines(LOG)]
        return events

    def _lines(self, name: str) -> list[str]:
        """Whole lines a file gained, and what follows the last of them once nobody writes any more."""
        path, offset = self.folder / name, self._offsets[name]
        ended = not self.alive  # looked at before the file is, so that the last words are not missed
        if _size(path) <= offset:
            return []
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(READ_BYTES)
        whole = data.rfind(b"\n") + 1
        if whole == 0 and (ended or len(data) == READ_BYTES):
            whole = len(data)
        self._offsets[name] += whole
        return [line.rstrip("\r") for line in data[:whole].decode("utf-8", "replace").split("\n") if line.strip()]

    # -- its end ------------------------------------------------------------------------------------------------------

    def terminate(self) -> None:
        """Ask it to stop in a state it can resume from; returns at once."""
        if self.alive:
            with contextlib.suppress(FileExistsError):
                (self.folder / STOP).open("x").close()  # through no link
            if system.POSIX:  # elsewhere the file is what the waiter looks for
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(self.info["pid"], signal.SIGTERM)

    def kill(self) -> None:
        """End it and its process group at once."""
        if self.alive:  # never a process that only has its number
            system.kill_group(self.info["pid"])

    def detach(self) -> None:
        """Let go of it: it runs on, and is found again by its folder."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of a child that still runs, as it shall
            self._process = None

    def remove(self) -> None:
        """Delete the folder of a run that has ended.

        Raises:
            RuntimeError: It still runs.
        """
        if self.alive:
            raise RuntimeError(f"{self.folder} still runs")
        shutil.rmtree(self.folder, ignore_errors=True)


def new_folder(root: Path, kind: str) -> Path:
    """Make the folder of a new run, named by the time so that names sort.

    Raises:
        OSError: It cannot be made.
    """
    root.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(10_000):
        folder = root / f"{stamp}-{number:02d}-{kind}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise FileExistsError(17, "too many runs within a second", str(root))


def find_runs(root: Path) -> list[Run]:
    """Runs whose folders lie in `root`, by the time they were started last."""
    runs: list[Run] = []
    for path in root.glob(f"*/{RUN}"):
        with contextlib.suppress(ValueError):
            if not path.parent.is_symlink():  # the run of another folder
                runs.append(Run.open(path.parent))
    return sorted(runs, key=lambda run: run.started)


def prune_runs(root: Path, *, keep: int = 20) -> None:
    """Delete the folders of ended runs but the latest `keep` of each kind; what they made lies elsewhere."""
    seen: dict[str, int] = {}
    for run in reversed(find_runs(root)):
        seen[run.kind] = seen.get(run.kind, 0) + 1
        if seen[run.kind] > keep and not run.alive:
            run.remove()


def _waits_for(pid: int, folder: Path) -> bool:
    """Whether a process is this user's that waits for the run of a folder, by the command it was started with."""
    try:
        command = system.own_command(pid)
        return (
            command[1:2] == WAITER[1:2] and Path(command[3]).name == STATUS and Path(command[3]).parent.samefile(folder)
        )
    except (OSError, ValueError, IndexError):
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
