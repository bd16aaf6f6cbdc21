"""Fixtures of the dataset tests."""

from pathlib import Path

import pytest
from split_drawing import draw


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split drawn by one process without a break; nobody may change it."""
    out = tmp_path_factory.mktemp("undisturbed")
    draw(out)
    return out / "val"
