"""Generation on a Ray cluster of two local nodes, one of which is killed in the middle."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from split_drawing import digest, draw

from regolith.lunar.params import InputError


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head node that takes no work, and two nodes that do."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_node_killed_in_the_middle(undisturbed: Path, tmp_path: Path, cluster: Any) -> None:
    """Ray starts the dead node's chunk again elsewhere; the same bytes, nothing lost."""
    killed: list[Any] = []

    def kill_a_busy_node() -> None:
        parts = tmp_path / "val" / ".chunks"
        deadline = time.monotonic() + 120
        while len(list(parts.glob("*.jsonl"))) < 2:  # both nodes have written frames
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)
        node = next(node for node in cluster.list_all_nodes() if node is not cluster.head_node)
        cluster.remove_node(node, allow_graceful=False)
        killed.append(node)

    killer = threading.Thread(target=kill_a_busy_node)
    killer.start()
    frames = 24
    result = draw(tmp_path, executor="ray", address=cluster.address, workers=2, chunk_frames=12, frames=frames)
    killer.join()
    assert killed and result["drawn"] == frames
    draw(tmp_path / "calm", frames=frames)
    assert digest(tmp_path / "val") == digest(tmp_path / "calm" / "val")
    first = {name: value for name, value in digest(tmp_path / "val").items() if name.endswith(("0.png", "4.png"))}
    same = digest(undisturbed)
    assert all(first[name] == same[name] for name in ("rgb/rgb_00000.png", "mask/mask_00004.png"))


def test_no_cluster_at_the_address(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"address: '127\.0\.0\.1:1' is not allowed; allowed: the address of a Ray cluster"
    ):
        draw(tmp_path, executor="ray", address="127.0.0.1:1")
