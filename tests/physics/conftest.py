"""Fixtures of the physics tests."""

import pytest
from plain_rover import add_rover, ground_stage
from pxr import Usd


@pytest.fixture(name="rover_stage")
def fixture_rover_stage() -> Usd.Stage:
    """The plain rover on flat ground."""
    stage = ground_stage()
    add_rover(stage)
    return stage
