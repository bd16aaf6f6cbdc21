"""A stage that is open serves what is asked of it, or another is built."""

from __future__ import annotations

from regolith.lunar.panel.frame_builder import Shot, scene_key
from regolith.lunar.params import Params, change_params, load_preset

PARAMS = load_preset("v1")


def shot(params: Params) -> Shot:
    return Shot(params, split="val", seed=0, frame=0, width=64, height=48)


def test_craters_need_a_stage_that_keeps_them_and_a_footprint_none() -> None:
    plain = scene_key(shot(PARAMS))
    assert scene_key(shot(change_params(PARAMS, {"dataset.crater": True}))) != plain
    asked = {"dataset.slope": True, "dataset.hazard": True, "dataset.footprint_m": 1.0, "dataset.shadow": True}
    assert scene_key(shot(change_params(PARAMS, asked))) == plain
