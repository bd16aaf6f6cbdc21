"""Work on files nobody vouches for, in a process of its own that may take so much memory and time and no more."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import psutil

from regolith.lunar.jobs.companion import Companion
from regolith.lunar.jobs.events import emit
from regolith.lunar.jobs.tether import end_with
from regolith.lunar.system import python

POLL_S = 0.01
"""Time between two looks at what the process takes [s], in which a core fills some 20 MB."""
WALL_S = 120.0
"""Most it may take by the clock, also where it only waits [s]."""


class LimitError(Exception):
    """A confined process took more than it may, and was ended."""


def begin(launcher: int) -> None:
    """Say from inside a confined process that its modules are loaded: the time it takes counts from here on.

    Args:
        launcher: Process id of whoever started it, with whom it ends.
    """
    end_with(launcher)
    emit({"event": "metric", "name": "cpu_s", "value": time.process_time()})


def run_confined(module: str, arguments: Sequence[str], *, most_bytes: int, most_cpu_s: float) -> None:
    """Run a module in a process of its own until it sends `done`.

    Args:
        module: Its name; it calls `begin` with the last of its arguments, this process's id.
        arguments: The others.
        most_bytes: Most memory the process may hold, modules included [bytes].
        most_cpu_s: Most processor time it may take after `begin` [s].

    Raises:
        LimitError: It took more.
        ChildProcessError: It ended without `done`; its first argument is the last line it said, its second whether it
            had come to `begin`.
        OSError: It cannot be started.
    """
    places = os.pathsep.join(place for place in sys.path if place)
    command = [python(), "-m", module, *arguments, str(os.getpid())]
    most_s = float("inf")
    end = time.monotonic() + WALL_S
    with Companion(command, env={"PYTHONPATH": places}, tethered=True) as companion:
        process = psutil.Process(companion.pid)
        while True:
            running = companion.returncode is None
            for event in companion.poll_events() if running else companion.events():
                if event["event"] == "done":
                    return
                if event["event"] == "metric":
                    most_s = event["value"] + most_cpu_s
            if not running:
                last = next((line for line in reversed(companion.tail) if line.strip()), "")
                raise ChildProcessError(last, most_s < float("inf"))
            if _takes_more(process, most_bytes, most_s) or time.monotonic() > end:
                companion.cancel(grace_s=0.0)
                raise LimitError
            time.sleep(POLL_S)


def _takes_more(process: psutil.Process, most_bytes: int, most_s: float) -> bool:
    try:
        spent = process.cpu_times()
        return process.memory_info().rss > most_bytes or spent.user + spent.system > most_s
    except psutil.Error:  # it has just ended
        return False
