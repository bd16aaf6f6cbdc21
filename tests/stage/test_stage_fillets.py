"""Fillets: regolith banked against rocks, out of the ground and under their skin."""

from __future__ import annotations

import numpy as np

from regolith.lunar.stage.author import author_stage
from regolith.lunar.stage.fillets import bank_fillets
from regolith.lunar.stage.schema import FILLETS


def test_fillets_rise_from_the_ground_to_the_rock(scene):
    """Every vertex lies between a little under the ground and half its rock's height over it; triangles face up."""
    mesh = bank_fillets(scene.rocks, scene.terrain, scene.params.rocks, scene.spec.seed)
    points = mesh.points.astype(np.float64)
    lift = points[:, 2] - scene.terrain.height(points[:, 0], points[:, 1])
    assert len(mesh.faces) > 1000
    assert lift.min() > -0.05 and -0.02 < np.median(lift) < 0.1
    assert (lift < -0.002).mean() > 0.02, "rims dip under the ground"
    rocks = scene.rocks
    away = np.linalg.norm(points[:, None, :2] - rocks.position[None, :, :2], axis=2)
    assert ((away < 2.0 * rocks.diameter) & (lift[:, None] < 0.4 * rocks.diameter)).any(axis=1).all()
    a, b, c = points[mesh.faces].transpose(1, 0, 2)
    assert ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0] > -1e-9).mean() > 0.99


def test_no_fillets_without_relief_or_where_switched_off(small_scene, small_params, scene):
    """v1 and v2 have none, and a height of zero switches them off."""
    assert not author_stage(small_scene("v1")).GetPrimAtPath(FILLETS)
    off = small_params("v3", fillet=0.0).rocks
    assert len(bank_fillets(scene.rocks, scene.terrain, off, 0).faces) == 0


def test_fillets_are_a_function_of_the_seed(scene):
    """Same arguments, same mesh; another seed, another one."""
    build = [bank_fillets(scene.rocks, scene.terrain, scene.params.rocks, seed).points for seed in (1, 1, 2)]
    assert np.array_equal(build[0], build[1])
    assert build[0].shape != build[2].shape or not np.array_equal(build[0], build[2])
