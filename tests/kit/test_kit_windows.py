"""The extension on the real kernel in a stand-in for Windows (`tests/windows.py`); nothing was run on Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import kit_missing
from test_kit_training import PYTHON, no_torch


@pytest.mark.skipif(bool(kit_missing()), reason=kit_missing() or "-")
def test_the_panels_work_on_windows(tmp_path: Path) -> None:
    """In a process of its own: neither `fcntl` nor `resource`, no process groups, open files that stay."""
    trainer = [] if no_torch() else [str(PYTHON)]
    code = Path(__file__).with_name("on_windows.py")
    done = subprocess.run(
        [sys.executable, str(code), str(tmp_path), *trainer], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout[-800:] + done.stderr[-3000:]
    steps = ["authored regolith_v1_2.usdc", "previewed", "exported", *(["trained"] if trainer else []), "left"]
    assert [line for line in done.stdout.splitlines() if line in steps] == steps, done.stdout[-800:]
