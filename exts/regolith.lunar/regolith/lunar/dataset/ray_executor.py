"""Chunks as tasks of a Ray cluster, whose nodes share the dataset's folder."""

from __future__ import annotations

import contextlib
import logging
import platform
import socket
import tempfile
from pathlib import Path
from typing import Any

from regolith.lunar import __version__
from regolith.lunar.dataset.chunk import ChunkTask, open_embedded, run_task
from regolith.lunar.dataset.contract import first_difference
from regolith.lunar.machine import install_command
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
            raise InputError("executor", "ray", f"an installed Ray: {install_command('ray')}") from None
        _check_address(address)
        self._own = not ray.is_initialized()
        self._folder = tempfile.TemporaryDirectory(prefix="regolith_ray_", ignore_cleanup_errors=True)
        if self._own:
            try:
                with contextlib.chdir(self._folder.name):  # Ray puts this folder first on its workers' import path
                    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (OSError, ValueError, RuntimeError) as error:
                line = " ".join(str(error).split())
                if "AF_UNIX" in line:
                    allowed = f"a shorter path: Ray's sockets lie below it ({line})"
                    raise InputError("TMPDIR", tempfile.gettempdir(), allowed) from None
                raise InputError("address", address, f"the address of a Ray cluster ({line})") from None
        self._remote: Any = ray.remote(max_retries=RETRIES, max_calls=1)(_run)

    def start(self, task: ChunkTask) -> _Remote:
        """Start a chunk."""
        task.write()
        remote = self._remote.options(num_cpus=task.threads or 1, memory=task.memory or 0)
        return _Remote(task, remote.remote(str(task.path)))

    def held_bytes(self) -> int:
        """None: a chunk's memory ends with it."""
        return 0

    def describe_nodes(self, backend: str = "auto") -> dict[str, dict[str, Any]]:
        """Ask every node that takes chunks what it draws with.

        Args:
            backend: As `RenderParams.backend`.

        Returns:
            Node, by its host's name, address and number, to {python, regolith, renderer}: two versions, and what
            `Renderer.describe` returns there.

        Raises:
            InputError: A node has no renderer, or went away before it answered.
        """
        import ray
        from ray.exceptions import RayError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        describe: Any = ray.remote(num_cpus=0, max_calls=1)(_describe)
        asked = {
            f"{node['NodeManagerHostname']} {node['NodeManagerAddress']} ({node['NodeID'][:8]})": describe.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(backend)
            for node in ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
        }
        found: dict[str, dict[str, Any]] = {}
        for name, answer in asked.items():
            try:
                found[name] = ray.get(answer)
            except RayError as error:
                line = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                raise InputError("address", name, f"a node with this package and its renderer ({line})") from None
        return found

    def check_nodes(self, backend: str, begun: dict[str, Any] | None) -> None:
        """Refuse nodes that would draw other bytes than the rest, or than the split has."""
        found = self.describe_nodes(backend)
        first = next(iter(found), "")
        if begun is None:
            difference = differing_node(found)
        else:
            renderers = {name: {"renderer": node["renderer"]} for name, node in found.items()}
            first = next((name for name, node in renderers.items() if node["renderer"] == begun), "the split")
            difference = differing_node({first: {"renderer": begun}} | renderers)
        if difference is not None:
            name, field, other, value = difference
            allowed = f"{other!r} as on {first}, or --other-backend to mix back ends"
            raise InputError(f"{field} on {name}", value, allowed)

    def describe(self, backend: str) -> None:
        """Not known before a node was asked."""

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        import ray

        if self._own:
            ray.shutdown()
        self._folder.cleanup()


def differing_node(nodes: dict[str, dict[str, Any]]) -> tuple[str, str, Any, Any] | None:
    """Find the first node whose frames would have other bytes than the first one's.

    Args:
        nodes: What `RayCluster.describe_nodes` returns; the version of Python does not count.

    Returns:
        Node, field, its value on the first node, and its value on this one; None where all agree.
    """
    plain = {name: {key: value for key, value in node.items() if key != "python"} for name, node in nodes.items()}
    first = next(iter(plain.values()), {})
    for name, node in plain.items():
        difference = first_difference(first, node)
        if difference is not None:
            return name, *difference
    return None


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
    def __init__(self, task: ChunkTask, reference: Any) -> None:
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


def _describe(backend: str) -> dict[str, Any]:
    """Say what this node draws with."""
    from regolith.lunar.render import open_renderer

    with contextlib.closing(open_renderer(backend, threads=1)) as renderer:
        return {"python": platform.python_version(), "regolith": __version__, "renderer": renderer.describe()}


def _run(path: str) -> str:
    """Draw a chunk on whatever node this is."""
    for _ in run_task(ChunkTask.read(Path(path)), open_embedded):
        pass
    return f"ended on {platform.node()}"
