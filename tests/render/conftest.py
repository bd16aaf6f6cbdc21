"""The renderers and the small stage every test of this room runs on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kit_doubles import KitApp, running_app
from pxr import Usd
from render_stage import make_stage

from regolith.lunar.render.mitsuba import MitsubaRenderer


@pytest.fixture
def stage() -> Usd.Stage:
    """The small stage, Lambert."""
    return make_stage()


@pytest.fixture(params=["llvm", "scalar"])
def renderer(request: pytest.FixtureRequest) -> Iterator[MitsubaRenderer]:
    """A renderer on each back end of the CPU."""
    made = MitsubaRenderer(request.param)
    yield made
    made.close()


@pytest.fixture
def fused() -> Iterator[MitsubaRenderer]:
    """A renderer on the LLVM back end."""
    made = MitsubaRenderer("llvm")
    yield made
    made.close()


@pytest.fixture
def kit() -> Iterator[KitApp]:
    """An app with Replicator, by doubles; whoever leaves something attached or changed fails."""
    with running_app() as app:
        yield app
