"""The doubles of Isaac Sim's packages, and an NVIDIA driver's tool that answers."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`nvidia-smi` of one GPU, first on the path."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "NVIDIA RTX 6000 Ada Generation, 580.65.06, 1024, 49140"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program
