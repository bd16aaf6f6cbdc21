"""Free look: values held over what was drawn, the camera on the ground, and the exact frame again."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
from panel_host import Bench, Held, Waiting
from pxr import Sdf, Usd

from regolith.lunar.panel.staging import Built
from regolith.lunar.params import InputError
from regolith.lunar.randomize import aim_frame, draw_frame
from regolith.lunar.stage.camera import check_lens


@pytest.fixture
def shown(bench: Bench) -> Bench:
    """A panel with a coarse stage on show."""
    bench.model.commit("terrain.cell_m", 0.5)
    bench.author()
    bench.changes.clear()
    return bench


def text(stage: Usd.Stage | None) -> str:
    assert stage is not None
    layer = Sdf.Layer.CreateAnonymous(".usda")
    layer.TransferContent(stage.GetRootLayer())
    return layer.ExportToString()


def built(bench: Bench) -> Built:
    """What the stage on show was made of."""
    made = bench.model._stage._shown
    assert made is not None
    return made


def test_held_values_are_shown_at_once_and_nothing_is_built(shown: Bench) -> None:
    model, exact = shown.model, text(shown.host.stage)
    drawn = model.spec
    assert model.exact and not model.actions["exact"].enabled
    model.aim({"sun_elevation_deg": 61.0})
    model.aim({"sun_azimuth_deg": 370.0, "fov_deg": 90})
    assert dict(model.aimed) == {"sun_elevation_deg": 61.0, "sun_azimuth_deg": 10.0, "fov_deg": 90.0}
    spec = shown.host.applied[-1]
    assert spec == model.spec and drawn is not None
    assert spec.values == drawn.values | dict(model.aimed) and spec.camera_z_m == drawn.camera_z_m
    assert text(shown.host.stage) != exact and len(shown.host.authored) == 1 and not model.exact
    assert {change.kind for change in shown.changes} >= {"shot", "actions"}
    assert model.works["stage"].text.endswith("aimed by hand")
    shown.run("exact")
    assert model.exact and model.spec == drawn and text(shown.host.stage) == exact
