"""Validators: OpenUSD's own and the Omniverse asset validator report nothing on any preset, text or binary."""

from __future__ import annotations

import dataclasses
import importlib
import logging

import pytest
from pxr import Usd

from regolith.lunar.params import change_params
from regolith.lunar.stage import far
from regolith.lunar.stage.author import author_stage
from regolith.lunar.stage.save import save_stage

VARIANTS = [
    ("v1", "usda", ""), ("v2", "usda", ""), ("v3", "usda", ""), ("v3", "usdc", "baked"), ("boulders", "usdc", ""),
    ("v1", "usda", "rover"),
]  # fmt: skip


COARSER = 3.0
"""Factor on the cells of the far relief: it is thousands of vertices then, where one rule looks at each in turn."""


@pytest.fixture(scope="module", name="path", params=VARIANTS, ids=lambda v: f"{v[0]}-{v[2]}" if v[2] else v[0])
def fixture_path(request, small_scene, tmp_path_factory):
    preset, ending, kind = request.param
    path = tmp_path_factory.mktemp("stage") / f"stage.{ending}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(far, "ring_cell", lambda distance, finer=far.ring_cell: COARSER * finer(distance))
        scene = small_scene.__wrapped__(preset, 0, 0.0003)
    if kind == "rover":
        scene = dataclasses.replace(scene, params=change_params(scene.params, {"rover.model": "viper"}))
    save_stage(author_stage(scene, baked=kind == "baked"), path)
    return path


def test_usd_validators_report_nothing(path):
    """All validators of OpenUSD (what usdchecker runs)."""
    validation = importlib.import_module("pxr.UsdValidation")
    validators = validation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 20
    errors = validation.ValidationContext(validators).Validate(Usd.Stage.Open(str(path)))
    assert [error.GetErrorAsString() for error in errors] == []


def test_asset_validator_reports_nothing(path):
    """All default rules of omniverse-asset-validator."""
    logging.getLogger("omni.asset_validator").setLevel(logging.ERROR)
    omni = importlib.import_module("omni.asset_validator")
    issues = omni.ValidationEngine().validate(Usd.Stage.Open(str(path))).issues()
    assert [f"{issue.severity} {issue.rule}: {issue.message} at {issue.at}" for issue in issues] == []
