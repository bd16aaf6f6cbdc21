"""Boulders that rolled: a furrow down the slope, and the boulder at its end."""

import dataclasses

import numpy as np
import pytest

from regolith.lunar.params import Params, change_params, load_preset
from regolith.lunar.stage.author import build_scene
from regolith.lunar.stage.boulder_tracks import DIAMETER_MIN_M, WIDTH, roll_boulders
from regolith.lunar.stage.mesh import Heightfield
from regolith.lunar.stage.spec import SceneSpec

SPEC = SceneSpec(seed=4, crater_density=0.0, rock_abundance=0.003, rock_exponent=1.6, relief_strength=1.0)
CELL = 0.12


@pytest.fixture(scope="module")
def params() -> Params:
    """Three tracks a scene."""
    return change_params(load_preset("v3"), {"rocks.tracks": 3.0})


@pytest.fixture(scope="module")
def slope() -> Heightfield:
    """A plane that rises to the east by 20 %."""
    axis = (np.arange(333) - 166) * CELL
    return Heightfield(np.tile(0.2 * axis, (333, 1)).astype(np.float32), CELL)


def test_nothing_rolled_by_default(slope: Heightfield) -> None:
    grid, rolled = roll_boulders(slope, load_preset("v3"), SPEC)
    assert grid is slope and rolled.shape == (0, 3)


def test_a_furrow_runs_up_the_slope_from_each_boulder(params: Params, slope: Heightfield) -> None:
    """On a plane it can be nothing else: below it, uphill of the boulder, as wide as said, with a rim."""
    grid, rolled = roll_boulders(slope, params, SPEC)
    change = grid.z.astype(float) - slope.z
    assert len(rolled) and np.all(rolled[:, 2] >= DIAMETER_MIN_M)
    assert not change[[0, -1]].any() and not change[:, [0, -1]].any(), "the far relief begins at the border"
    axis = (np.arange(333) - 166) * CELL
    x, y = np.meshgrid(axis, axis)
    away = np.min([np.hypot(x - bx, y - by) for bx, by, _ in rolled], axis=0)
    low, high = x[change < -0.02], x[change > 0.005]
    assert len(low) and len(high), "a furrow and its rims"
    assert low.min() > rolled[:, 0].min() - 1.0, "none goes downhill of where its boulder lies"
    assert away[change < -0.02].max() > 4.0
    for bx, by, size in rolled[:1]:
        column = np.argmin(np.abs(axis - bx - 1.0))
        near = np.abs(axis - by) < 3.0 * size
        wide = CELL * np.count_nonzero(change[near, column] < -0.005)
        assert wide == pytest.approx(WIDTH * size, abs=3 * CELL)


def test_as_many_as_asked_for_and_always_the_same(params: Params, slope: Heightfield) -> None:
    found = [roll_boulders(slope, params, dataclasses.replace(SPEC, seed=seed)) for seed in range(60)]
    assert np.mean([len(rolled) for _, rolled in found]) == pytest.approx(3.0, abs=4 * (3 / 60) ** 0.5)
    again = roll_boulders(slope, params, dataclasses.replace(SPEC, seed=7))
    assert np.array_equal(again[0].z, found[7][0].z) and np.array_equal(again[1], found[7][1])


def test_the_boulders_are_rocks_where_they_came_to_rest(params: Params) -> None:
    scene = build_scene(params, SPEC)
    rolled, rocks = scene.terrain.rolled, scene.rocks
    assert len(rolled)
    for x, y, size in rolled:
        gap = np.hypot(*(rocks.position[:, :2] - (x, y)).T)
        assert gap.min() < 1e-6 and rocks.diameter[gap.argmin()] == pytest.approx(size)
    plain = build_scene(load_preset("v3"), SPEC)
    assert len(plain.rocks) + len(rolled) == pytest.approx(len(rocks), abs=3)
