"""Chunks as tasks of a Ray cluster, whose nodes share the dataset's folder."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.chunk import Task, open_embedded, run_task
from regolith.lunar.params import InputError

RETRIES = 3
"""Times Ray starts a task again whose process or node died; it then goes on behind the frames that are on disk."""

ANSWER_S = 5.0
"""How long the cluster may take to answer [s]."""


class RayCluster:
    """A Ray task a chunk, each in a process of its own.

    Args:
        address: Of the cluster, as `ray.init` takes it; None for one on this machine.
    """

    shares_memory = False
    slots = 100_000
    pause_s = 0.25

    def __init__(self, address: str | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise InputError("executor", "ray", "an installed Ray: pip install 'regolith-lunar[ray]'") from None
        _check_address(address)
        self._own = not ray.is_initialized()
        if self._own:
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                line = " ".join(str(error).split())
                raise InputError("address", address, f"the address of a Ray cluster ({line})") from None
        self._remote: Any = ray.remote(max_retries=RETRIES, max_calls=1)(_run)

    def start(self, task: Task) -> _Remote:
        """Start a chunk."""
        task.write()
        remote = self._remote.options(num_cpus=task.threads or 1, memory=task.memory or 0)
        return _Remote(task, remote.remote(str(task.path)))

    def held_bytes(self) -> int:
        """None: a chunk's memory ends with it."""
        return 0

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        import ray

        if self._own:
            ray.shutdown()


def _check_address(address: str | None) -> None:
    """Refuse HOST:PORT where nobody answers, on which Ray itself would try for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if not colon or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        raise InputError("address", address, f"the address of a Ray cluster ({error.strerror or error})") from None


class _Remote:
    def __init__(self, task: Task, reference: Any) -> None:
        self.task = task
        self._reference = reference

    def poll(self) -> str | None:
        import ray
        from ray.exceptions import RayError

        ready, _ = ray.wait([self._reference], timeout=0)
        if not ready:
            return None
        try:
            return str(ray.get(self._reference))
        except RayError as error:
            return " ".join(str(error).split())

    def resident_bytes(self) -> int | None:
        return None

    def kill(self) -> None:
        import ray

        ray.cancel(self._reference, force=True)


def _run(path: str) -> str:
    """Draw a chunk on whatever node this is."""
    import platform

    for _ in run_task(Task.read(Path(path)), open_embedded):
        pass
    return f"ended on {platform.node()}"
