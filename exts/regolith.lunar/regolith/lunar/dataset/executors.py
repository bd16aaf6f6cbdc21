"""Where the chunks of a plan run: in this process, in local processes, by a command, or on a Ray cluster.

An executor starts tasks; what they draw and how they end lies in files beside each task (see `chunk`), so all that is
left to an executor is whether a chunk still runs.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import Any, Literal, Protocol, get_args

import psutil

from regolith.lunar.dataset.chunk import ChunkTask, open_embedded, run_task
from regolith.lunar.jobs.companion import Companion
from regolith.lunar.params import InputError, quantity
from regolith.lunar.params.models import BACKENDS
from regolith.lunar.render.backend import describe_ahead
from regolith.lunar.system import split_command

ExecutorName = Literal["processes", "in-process", "ray", "isaac"]

EXECUTOR = quantity(
    "processes",
    "Where chunks run: a local process each, this process, tasks of a Ray cluster whose nodes share OUT, or a "
    "command each that starts Isaac Sim.",
)
ADDRESS = quantity(None, "Address of the Ray cluster; left out, one on this machine.")
COMMAND = quantity(None, "Command line of an Isaac Sim chunk; {task} stands for its task file.")
"""Arguments of the verbs that draw: `executor`, `address` and `command` of `open_executor`."""


class Running(Protocol):
    """A chunk that was started."""

    task: ChunkTask

    def poll(self) -> str | None:
        """None while it runs, then how it ended as far as the executor knows; its result file says more."""
        ...

    def resident_bytes(self) -> int | None:
        """Memory it holds now, where that is known."""
        ...

    def kill(self) -> None:
        """End it at once; what it was writing does not count."""
        ...


class Executor(Protocol):
    """Starts chunks."""

    shares_memory: bool
    """Whether its chunks take this machine's memory, which the generator then watches."""
    slots: int
    """Most chunks at once."""
    pause_s: float
    """Time between two looks at the chunks [s]."""

    def start(self, task: ChunkTask) -> Running:
        """Start a chunk, whose task file is in place."""
        ...

    def held_bytes(self) -> int:
        """Memory this process holds for its chunks, which the next may use again."""
        ...

    def check_nodes(self, backend: str, begun: dict[str, Any] | None) -> None:
        """Refuse machines that would draw other bytes than the rest, before anything is drawn.

        Args:
            backend: As `RenderParams.backend`.
            begun: Renderer the split was begun with; None for a new one.

        Raises:
            InputError: The first such machine.
        """
        ...

    def describe(self, backend: str) -> dict[str, Any] | None:
        """What its chunks draw with (`Renderer.describe`), where that is known without starting one.

        Args:
            backend: As `RenderParams.backend`.

        Raises:
            InputError: There is no such back end here.
        """
        ...

    def close(self) -> None:
        """Let go of what the executor holds."""
        ...


class InProcess:
    """Draws in this process, a frame a poll: for debuggers, and hosts that own the renderer."""

    shares_memory = True
    slots = 1
    pause_s = 0.0

    def start(self, task: ChunkTask) -> Running:
        """Start a chunk."""
        return _Inline(task)

    def held_bytes(self) -> int:
        """Memory of this process."""
        return psutil.Process().memory_info().rss

    def check_nodes(self, backend: str, begun: dict[str, Any] | None) -> None:
        """There is but this machine, whose chunks look for themselves."""

    def describe(self, backend: str) -> None:
        """Not known: the first chunk loads the renderer into this process."""

    def close(self) -> None:
        """Nothing is held."""


class _Inline:
    def __init__(self, task: ChunkTask) -> None:
        self.task = task
        self._frames = run_task(task, open_embedded)

    def poll(self) -> str | None:
        return None if next(self._frames, None) is not None else "ended"

    def resident_bytes(self) -> int | None:
        return None

    def kill(self) -> None:
        self._frames.close()


class Processes:
    """A local process a chunk: leaks, crashes and the memory of one chunk end with it.

    Args:
        command: Command line, `{task}` standing for the task's file; none for our own interpreter and the embedded
            renderer.
    """

    shares_memory = True
    slots = 256
    pause_s = 0.05

    def __init__(self, command: str | None = None) -> None:
        try:
            words = split_command(command or "")
        except ValueError as error:
            raise InputError("command", command, f"a command line ({error})") from None
        self._embedded = not words
        self._words = words or [sys.executable, "-m", "regolith.lunar.dataset.chunk", "{task}"]
        if not any("{task}" in word for word in self._words):
            raise InputError("command", command, "a command line with {task} where the task's file goes")

    def start(self, task: ChunkTask) -> Running:
        """Start a chunk.

        Raises:
            InputError: The command's program cannot be started.
        """
        task = dataclasses.replace(task, parent=os.getpid())
        task.write()
        words = [word.replace("{task}", str(task.path)) for word in self._words]
        threads = {"OMP_NUM_THREADS": str(task.threads)} if task.threads else {}  # for numpy's libraries
        try:
            return _Process(task, Companion(words, env=threads, tethered=True))
        except OSError as error:
            raise InputError("command", words[0], f"a program that can be started ({error.strerror})") from None

    def held_bytes(self) -> int:
        """None: a chunk's memory ends with it."""
        return 0

    def check_nodes(self, backend: str, begun: dict[str, Any] | None) -> None:
        """There is but this machine, whose chunks look for themselves."""

    def describe(self, backend: str) -> dict[str, Any] | None:
        """What our own interpreter draws with; of a command, and of another package's renderer, it is not known."""
        return describe_ahead(backend) if self._embedded and backend in BACKENDS else None

    def close(self) -> None:
        """Nothing is held; a chunk ends with this process."""


class _Process:
    def __init__(self, task: ChunkTask, companion: Companion) -> None:
        self.task = task
        self._companion = companion

    def poll(self) -> str | None:
        status = self._companion.returncode
        self._companion.poll_events()
        if status is None:
            return None
        last = next((line for line in reversed(self._companion.tail) if line.strip()), "")
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"{how}: {last}" if last else how

    def resident_bytes(self) -> int | None:
        try:
            process = psutil.Process(self._companion.pid)
            return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
        except psutil.Error:
            return None

    def kill(self) -> None:
        self._companion.cancel(grace_s=0.0)


def open_executor(name: str, *, address: str | None = None, command: str | None = None) -> Executor:
    """Open an executor.

    Args:
        name: `processes`, `in-process`, `ray` or `isaac`.
        address: Of the Ray cluster; None for one on this machine.
        command: Command line of an Isaac Sim chunk, with `{task}` where the task's file goes.

    Raises:
        InputError: There is no such executor, or it needs something it was not given, or was given what it does not
            take.
    """
    if name not in get_args(ExecutorName):
        raise InputError("executor", name, ", ".join(get_args(ExecutorName)))
    if address is not None and name != "ray":
        raise InputError("address", address, "only with --executor ray")
    if command is not None and name != "isaac":
        raise InputError("command", command, "only with --executor isaac")
    if name == "in-process":
        return InProcess()
    if name == "isaac":
        if command is None:
            text = "the command line of a chunk, such as './python.sh -m regolith.lunar.dataset.isaac_worker {task}'"
            raise InputError("command", None, text)
        return Processes(command)
    if name == "ray":
        from regolith.lunar.dataset.ray_executor import RayCluster

        return RayCluster(address)
    return Processes()
