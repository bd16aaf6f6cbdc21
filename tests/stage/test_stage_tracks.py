"""Wheel tracks and bootprints: how deep, how wide, how many, and what keeps out of them."""

import dataclasses

import numpy as np
import pytest

from regolith.lunar.params import Params, change_params, load_preset
from regolith.lunar.stage import tracks
from regolith.lunar.stage.author import build_scene
from regolith.lunar.stage.micro import relief_lattices, ring_height
from regolith.lunar.stage.recipe import ReliefRecipe
from regolith.lunar.stage.relief import relief_height
from regolith.lunar.stage.spec import SceneSpec

SPEC = SceneSpec(seed=5, crater_density=0.0, rock_abundance=0.02, rock_exponent=1.6, relief_strength=1.0)
SMOOTH = {
    "relief.rms_height_m": 0.0, "relief.clod_height_m": 0.0, "relief.pit_density": 0.0, "relief.mid_radius_m": 8.0,
    "relief.near_radius_m": 3.0, "relief.pebble_density": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def params() -> Params:
    """Ground that is smooth below the grid, with two tracks and two trails."""
    return change_params(load_preset("v3"), SMOOTH | {"relief.wheel_tracks": 2.0, "relief.footprint_trails": 2.0})


@pytest.fixture(scope="module")
def recipe(params: Params) -> ReliefRecipe:
    """The first seed with a track and a trail."""
    made = (ReliefRecipe.from_params(params, dataclasses.replace(SPEC, seed=seed)) for seed in range(50))
    return next(one for one in made if one and tracks.draw_ruts(one) and tracks.draw_prints(one))


def test_nobody_was_there_by_default() -> None:
    recipe = ReliefRecipe.from_params(load_preset("v3"), SPEC)
    assert recipe is not None and not recipe.tracked
    assert tracks.draw_ruts(recipe) == tracks.draw_prints(recipe) == []
    assert "wheel_tracks" not in load_preset("v3").model_dump(mode="json")["relief"]


def test_as_many_as_asked_for(params: Params) -> None:
    made = [ReliefRecipe.from_params(params, dataclasses.replace(SPEC, seed=seed)) for seed in range(150)]
    assert np.mean([len(tracks.draw_prints(one)) for one in made if one]) == pytest.approx(
        2.0, abs=4 * (2 / 150) ** 0.5
    )
    assert all(len(tracks.draw_ruts(one)) % 2 == 0 for one in made if one)


def test_a_rut_is_as_deep_and_wide_as_it_was_drawn(recipe: ReliefRecipe) -> None:
    """Alone on smooth ground: the floor lies at its depth, the berms above the ground, and beyond them is nothing."""
    rut = tracks.draw_ruts(recipe)[0]
    middle = len(rut.nodes) // 2 + np.arange(-20, 20)
    aside = np.stack([-np.sin(rut.heading[middle]), np.cos(rut.heading[middle])], axis=1)

    def across(distance: float) -> np.ndarray:
        x, y = (rut.nodes[middle] + distance * rut.half_width_m * aside).T
        z = np.zeros(len(x))
        tracks._press_rut(x, y, z, np.full(len(x), 0.01), rut)
        return z

    assert -across(0.0).mean() == pytest.approx(rut.depth_m, rel=0.25)
    assert across(1.3).mean() > 0.1 * rut.depth_m and across(-1.3).mean() > 0.1 * rut.depth_m
    assert not across(2.2).any()


def test_a_print_is_as_deep_as_it_was_drawn(recipe: ReliefRecipe) -> None:
    prints = tracks.draw_prints(recipe)[0]
    x, y = prints.place.T
    z = np.zeros(len(x))
    tracks._press_prints(x, y, z, np.full(len(x), 0.005), prints)
    assert -z == pytest.approx(prints.depth_m, rel=0.3)
    steps = np.linalg.norm(np.diff(prints.place, axis=0), axis=1)
    assert steps.min() > 0.4 and steps.max() < 1.2


def test_coarse_ground_carries_no_tread(recipe: ReliefRecipe) -> None:
    """What the places are too far apart for would be noise: it is left out, not sampled."""
    rut = tracks.draw_ruts(recipe)[0]
    x, y = rut.nodes.T
    z = np.zeros(len(x))
    tracks._press_rut(x, y, z, np.full(len(x), 2.0 * rut.half_width_m), rut)
    assert not z.any()


def test_relief_gives_way_where_it_is_pressed() -> None:
    changes = {"relief.wheel_tracks": 3.0, "relief.near_radius_m": 3.0, "relief.mid_radius_m": 5.0}
    for seed in range(20):
        spec = dataclasses.replace(SPEC, seed=seed)
        recipe = ReliefRecipe.from_params(change_params(load_preset("v3"), changes), spec)
        assert recipe is not None
        if ruts := tracks.draw_ruts(recipe):
            break
    plain = dataclasses.replace(recipe, wheel_tracks=0.0)
    x, y = ruts[-1].nodes[np.abs(ruts[-1].nodes).max(axis=1) < 2.5].T
    assert np.std(ring_height(x, y, recipe)) < 0.75 * np.std(ring_height(x, y, plain))
    rough, bare = relief_lattices(recipe)[0], relief_lattices(plain)[0]
    assert 0.02 < (rough != bare).mean() < 0.6


def test_tracks_go_on_beyond_the_rings(params: Params) -> None:
    """On either side of the border of the rings a rut is as deep, within what the coarser ground there carries."""
    wide = change_params(params, {"relief.reach_m": 30.0})
    for seed in range(50):
        recipe = ReliefRecipe.from_params(wide, dataclasses.replace(SPEC, seed=seed))
        assert recipe is not None
        ruts = tracks.draw_ruts(recipe)
        if len(ruts) == 2:
            break
    nodes, radius = ruts[0].nodes, recipe.mid_radius_m
    away = np.abs(nodes).max(axis=1)
    inside, outside = (nodes[(away > lo) & (away < hi)] for lo, hi in ((radius - 1, radius), (radius, radius + 1)))
    before, after = (relief_height(part[:, 0], part[:, 1], recipe).mean() for part in (inside, outside))
    assert before < -0.5 * ruts[0].depth_m and after == pytest.approx(before, rel=0.35)


def test_rocks_are_driven_round(params: Params) -> None:
    for seed in range(20):
        scene = build_scene(params, dataclasses.replace(SPEC, seed=seed, rock_abundance=0.05))
        recipe = scene.terrain.recipe
        assert recipe is not None
        if tracks.draw_ruts(recipe):
            break
    rocks = scene.rocks
    hit = tracks.in_ruts(rocks.position[:, :2], 0.5 * rocks.diameter, recipe)
    assert hit.any() and rocks.diameter[hit].max() < tracks.ROCK_MIN_M
