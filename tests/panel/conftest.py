from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from panel_host import Bench, MemoryHost

from regolith.lunar.panel.model import PanelModel

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture
def host(tmp_path: Path) -> MemoryHost:
    """A host without a window over a real stage in memory."""
    return MemoryHost(tmp_path)


@pytest.fixture
def bench(host: MemoryHost) -> Iterator[Bench]:
    """A panel of preset v1 on that host, whose scenes build in a fraction of a second."""
    made = Bench(host, PanelModel(host, preset="v1"))
    yield made
    made.end()
