"""NVIDIA's own `isaacsim.core.experimental.utils.semantics` (wheel isaacsim-core) reads the labels we write."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT, Kit
from panel import Panel

ISAAC = ROOT / ".venv-kit" / "isaac" / "isaacsim" / "exts"


@pytest.fixture
def semantics(kit: Kit):
    if not ISAAC.is_dir():
        pytest.skip("isaacsim-core is not installed (make test-kit installs it where it can)")
    for folder in (ISAAC, Path(__file__).parent / "doubles_isaac"):
        kit.extensions.add_path(str(folder))
    kit.pump(3)
    kit.logs.clear()
    kit.enable("isaacsim.core.experimental.utils")
    import isaacsim.core.experimental.utils.semantics as module

    yield module
    kit.disable("isaacsim.core.experimental.utils")
    kit.logs.clear()


def test_isaac_sim_reads_our_labels(semantics, lunar: Kit) -> None:
    panel = Panel(lunar)
    stage = panel.author()
    assert semantics.get_labels("/World/Ground") == {"class": ["regolith"]}
    assert semantics.get_labels("/World/Rocks/rock_00000") == {"class": ["rock"]}
    found = semantics.get_labels("/World", include_descendants=True)
    rocks = len(stage.GetPrimAtPath("/World/Rocks").GetChildren())
    assert rocks > 10 and sorted(found["class"]) == sorted(["regolith"] + ["rock"] * rocks)
    assert set(found) == {"class"}


def test_isaac_sim_can_take_a_label_away(semantics, lunar: Kit) -> None:
    """The check above can fail: what NVIDIA's own code removes is no longer read."""
    Panel(lunar).author()
    semantics.remove_labels("/World/Rocks/rock_00000", labels="rock")
    assert "rock" not in semantics.get_labels("/World/Rocks/rock_00000").get("class", [])
