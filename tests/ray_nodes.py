"""A Ray cluster on this machine: what the tests of clusters share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

SETTINGS = {
    "RAY_agent_register_timeout_ms": "300000",  # an agent imports for long on a busy machine
    "RAY_enable_metrics_collection": "false",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "200",  # a dead node refuses five times, a busy one is given a minute for each answer
    "RAY_health_check_timeout_ms": "60000",
    "RAY_prestart_worker_first_driver": "false",  # a worker on each node, whether or not a task comes
    "RAY_worker_niceness": "0",  # left alone, 15: beside two busy cores it would take minutes to import a module
}
"""What Ray's processes are started with. Settings of its own code, which it takes from the environment."""


@contextlib.contextmanager
def ray_cluster(*cpus: int) -> Iterator[Any]:
    """Start a cluster of nodes with so many CPUs each, the first of which is its head, and end it."""
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        cluster = Cluster()
        try:
            add_node(cluster, num_cpus=cpus[0], include_dashboard=False, include_log_monitor=False, no_monitor=True)
            for number in cpus[1:]:
                add_node(cluster, num_cpus=number)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def add_node(cluster: Any, **settings: Any) -> Any:
    """Add a node; Ray gives one half a minute to start, which on a busy machine takes more than one try."""
    for attempt in range(1, 7):
        try:
            node = cluster.add_node(**settings)
            cluster.wait_for_nodes()
            return node
        except Exception as error:
            if attempt == 6 or "timed out during startup" not in str(error):
                raise
    return None
