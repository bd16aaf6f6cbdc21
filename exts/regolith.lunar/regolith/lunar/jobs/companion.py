"""Companion processes: long work in an interpreter of its own, seen as a stream of events.

No GUI toolkit and no event loop: a panel polls `Companion.poll_events` once a frame, the command line iterates
`Companion.events`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from regolith.lunar import system
from regolith.lunar.jobs.events import Event, parse_event

DROPPED = frozenset(
    {
        "PYTHONPATH", "PYTHONHOME", "PYTHONEXE", "PYTHONSTARTUP", "OLD_PYTHONPATH",
        "LD_LIBRARY_PATH", "LD_PRELOAD",
        "CARB_APP_PATH", "ISAAC_PATH", "EXP_PATH", "RESOURCE_NAME", "ISAAC_JUPYTER_PYTHON_PACKAGE",
        "ROS_DISTRO", "RMW_IMPLEMENTATION", "AMENT_PREFIX_PATH",
    }
)  # fmt: skip
"""Variables a Kit launcher or a ROS setup script exports for its own interpreter: a child of another Python version
would import binaries built for the wrong one, or clash on libstdc++ and CUDA libraries."""
DROPPED_PREFIXES = ("CARB_", "OMNI_", "COLCON_")
PYTHON = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "PYTHONSAFEPATH": "1"}
"""How every Python we start runs: what it prints is there at once, and the folder it is started in, the user's own, is
not on its import path: a `random.py` or a folder `training` in it is none of ours."""


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: this process's without `DROPPED` and `DROPPED_PREFIXES`, and `PYTHON`.

    Args:
        extra: Variables to set afterwards; the one way to hand on a dropped one on purpose.
    """
    kept = {k: v for k, v in os.environ.items() if k not in DROPPED and not k.startswith(DROPPED_PREFIXES)}
    return kept | PYTHON | dict(extra or {})


class Companion:
    """A child process in a process group of its own that reports by events.

    As a context manager it cancels the child on the way out if it still runs.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        tethered: bool = False,
    ) -> None:
        """Start the child.

        Args:
            arguments: Program and its arguments; no shell is involved.
            env: Variables to add to `clean_environment()`.
            cwd: Working directory; left out, this process's own.
            tethered: Whether its standard input is a pipe that ends when this process does (`jobs.tether`); else the
                child has none.

        Raises:
            OSError: The program cannot be started.
        """
        self.arguments = [str(a) for a in arguments]
        self.tail: deque[str] = deque(maxlen=40)
        """Last lines that were no events: what there is to show when the child dies."""
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            self.arguments,
            env=clean_environment(env),
            cwd=cwd,
            stdin=subprocess.PIPE if tethered else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            **system.popen_options(),
        )
        streams = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        self._readers = [
            threading.Thread(target=self._read, args=(stream, name), daemon=True) for name, stream in streams.items()
        ]
        for reader in self._readers:  # both pipes are drained always, or a chatty child would block on a full one
            reader.start()

    def _read(self, stream: IO[str], name: str) -> None:
        with stream:
            for raw in stream:
                line = raw.rstrip("\r\n")
                event = parse_event(line) if name == "stdout" else None
                if event is None:
                    self.tail.append(line)
                    event = {"event": "log", "line": line, "stream": name}
                self._queue.put(event)

    @property
    def pid(self) -> int:
        """Process id, which is also the id of the child's process group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, minus the signal number where a signal ended it; None while it runs."""
        return self._process.poll()

    def poll_events(self) -> list[Event]:
        """Return the events that have arrived since the last call, without waiting."""
        events: list[Event] = []
        with contextlib.suppress(queue.Empty):
            while True:
                events.append(self._queue.get_nowait())
        return events

    def events(self, *, linger_s: float = 2.0) -> Iterator[Event]:
        """Yield events until the child has exited and its output is read.

        Args:
            linger_s: How long to wait for output a grandchild may still hold open after the child's exit [s].
        """
        deadline: float | None = None
        while True:
            try:
                yield self._queue.get(timeout=0.05)
                continue
            except queue.Empty:
                pass
            if self._process.poll() is None:
                continue
            deadline = deadline or time.monotonic() + linger_s
            if not any(r.is_alive() for r in self._readers) or time.monotonic() > deadline:
                yield from self.poll_events()
                return

    def cancel(self, *, grace_s: float = 60.0) -> int:
        """Ask the group to stop (SIGTERM), and kill it (SIGKILL) if the child is still there after `grace_s`.

        On Windows the group are the child's descendants, and asking is CTRL_BREAK.

        Returns:
            The exit status.
        """
        family = system.descendants(self.pid)
        self.terminate()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            system.kill_group(self.pid, family)
        status = self._process.wait()
        system.kill_group(self.pid, family)  # whatever the child left behind
        return status

    def terminate(self) -> None:
        """Ask it to stop and return at once; a panel goes on polling and calls `cancel` when it loses patience."""
        if self._process.poll() is None:
            system.ask_group(self.pid)

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for the exit status.

        Raises:
            TimeoutError: It still runs after `timeout_s`.
        """
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.arguments[0]} still runs after {timeout_s} s") from None

    def __enter__(self) -> Companion:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.cancel()
