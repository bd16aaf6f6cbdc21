"""Fixtures of the physics tests."""

import pytest
from pxr import Usd
from small_stage import add_rover, ground_stage


@pytest.fixture(name="rover_stage")
def fixture_rover_stage() -> Usd.Stage:
    """The rover on flat ground."""
    stage = ground_stage()
    add_rover(stage)
    return stage
