"""Generation on a Ray cluster of two local nodes, one of which is killed in the middle."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from ray_nodes import add_node, ray_cluster
from split_drawing import digest, draw

from regolith.lunar.doctor import check_nodes, describe_cluster
from regolith.lunar.params import InputError


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head node that takes no work, and two nodes that do."""
    with ray_cluster(0, 1, 1) as cluster:
        yield cluster


@pytest.mark.usefixtures("shadowing")
def test_node_killed_in_the_middle(undisturbed: Path, tmp_path: Path, cluster: Any) -> None:
    """Ray starts the dead node's chunk again elsewhere; the same bytes, nothing lost; our folder is on no path."""
    frames = 24
    done_at_kill: list[int] = []

    def kill_a_busy_node(event: dict[str, Any]) -> None:
        """Called by the run itself, between two looks at its chunks: their folder stays while it looks."""
        parts = tmp_path / "val" / ".chunks"
        if not done_at_kill and event["event"] == "progress" and len(list(parts.glob("*.jsonl"))) == 2:
            node = next(node for node in cluster.list_all_nodes() if node is not cluster.head_node)
            cluster.remove_node(node, allow_graceful=False)
            done_at_kill.append(event["done"])

    result = draw(
        tmp_path, executor="ray", address=cluster.address, workers=2, chunk_frames=12, frames=frames,
        emit=kill_a_busy_node,
    )  # fmt: skip
    assert done_at_kill and done_at_kill[0] < frames, "both nodes had frames on disk, and frames to draw"
    assert result["drawn"] == frames
    draw(tmp_path / "calm", frames=frames)
    assert digest(tmp_path / "val") == digest(tmp_path / "calm" / "val")
    first = {name: value for name, value in digest(tmp_path / "val").items() if name.endswith(("0.png", "4.png"))}
    same = digest(undisturbed)
    assert all(first[name] == same[name] for name in ("rgb/rgb_00000.png", "mask/mask_00004.png"))


@pytest.mark.usefixtures("shadowing")
def test_nodes_that_would_draw_other_bytes_are_refused(undisturbed: Path, tmp_path: Path, cluster: Any) -> None:
    """A node with another version of a package is named beside one of the rest; nothing is drawn or left."""
    record = tmp_path / "site" / "pillow-1.2.3.dist-info" / "METADATA"
    record.parent.mkdir(parents=True)
    record.write_text("Metadata-Version: 2.1\nName: pillow\nVersion: 1.2.3\n")
    node = add_node(cluster, num_cpus=1, env_vars={"PYTHONPATH": str(tmp_path / "site")})
    out = tmp_path / "new"
    try:
        with pytest.raises(InputError) as refused:
            draw(out, executor="ray", address=cluster.address, workers=2)
        named = re.fullmatch(r"renderer\.pillow on (.+) \((\w{8})\)", refused.value.field)
        other = re.fullmatch(r"'([\d.]+)' as on .+ \((\w{8})\), or --other-backend to mix .*", refused.value.allowed)
        assert named and other and named[2] != other[2]
        assert {refused.value.value, other[1]} == {"1.2.3", metadata.version("pillow")}
        assert not (out / "val" / "dataset.json").exists()

        shutil.copytree(undisturbed, tmp_path / "begun/val")
        with pytest.raises(
            InputError, match=r"renderer\.pillow on .*'1\.2\.3' is not allowed; allowed: '[\d.]+' as on"
        ):
            draw(tmp_path / "begun", frames=8, extend=True, executor="ray", address=cluster.address)
        nodes = describe_cluster(cluster.address)
        assert len({node["renderer"]["pillow"] for node in nodes.values()}) == 2
        assert check_nodes(nodes).stops
    finally:
        cluster.remove_node(node)


def test_no_cluster_at_the_address(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"address: '127\.0\.0\.1:1' is not allowed; allowed: the address of a Ray cluster"
    ):
        draw(tmp_path, executor="ray", address="127.0.0.1:1")


def test_temporary_folder_too_long_for_sockets(tmp_path: Path) -> None:
    """The temporary folder leaves no room for the names of Ray's sockets, which a kernel holds to 107 bytes."""
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    code = "from regolith.lunar.dataset.ray_executor import RayCluster; RayCluster()"
    environment = os.environ | {"TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    line = done.stderr.splitlines()[-1]
    assert line.startswith("regolith.lunar.params.errors.InputError: TMPDIR: '")
    assert "' is not allowed; allowed: a shorter " in line, line
