from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from panel_host import Bench, MemoryHost
from panel_jobs import SPEAKER, write_split

from regolith.lunar.panel.model import PanelModel


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


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training and a validation split."""
    root = tmp_path_factory.mktemp("toys")
    write_split(root / "train_dr", 16, 0)
    write_split(root / "val", 4, 1)
    return root


@pytest.fixture
def speaker(tmp_path: Path) -> Path:
    """An interpreter that trains nothing but says what a training says."""
    (tmp_path / "speaker.py").write_text(SPEAKER)
    script = tmp_path / "speaking-python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} "{tmp_path}/speaker.py" "$@"\n')
    script.chmod(0o755)
    return script
