"""Micro-relief beyond the rings: triangles that grow with the distance, watertight, with what relief they carry."""

import dataclasses
import functools

import numpy as np
import pytest
from test_stage_relief import SPEC, check_ground, params, recipe_of

from regolith.lunar.stage.beyond import EDGE_SHARE, FADE, PIT_CELLS, beyond_height, draw_beyond
from regolith.lunar.stage.far import FAR_CELLS, ring_cell
from regolith.lunar.stage.lattice import split_edges
from regolith.lunar.stage.micro import PIT_REACH
from regolith.lunar.stage.relief import ReliefRecipe, ground_mesh, relief_height
from regolith.lunar.stage.terrain import Terrain, build_terrain

REACH_M = 40.0


@functools.lru_cache(maxsize=1)
def reaching() -> Terrain:
    return build_terrain(params(reach_m=REACH_M), SPEC)


def on_circle(distance: float, count: int = 4000) -> np.ndarray:
    """Places at a distance [m], shape [2, N]."""
    turn = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    return distance * np.stack([np.cos(turn), np.sin(turn)])


@pytest.mark.parametrize("reach", [10.0, REACH_M, 500.0])
def test_refined_ground_is_watertight(reach: float) -> None:
    """Up to inside the square, beyond it, and as far as there is ground."""
    terrain = build_terrain(params(reach_m=reach), SPEC)
    check_ground(terrain.grid, ground_mesh(terrain.grid, terrain.recipe, terrain.far))


def test_edges_grow_with_the_distance() -> None:
    """None is longer than its share where it is to be refined, and the ground beyond is as it was."""
    terrain = reaching()
    mesh, plain = (
        ground_mesh(terrain.grid, recipe, terrain.far)
        for recipe in (terrain.recipe, dataclasses.replace(recipe_of(terrain), reach_m=0.0))
    )
    xyz = mesh.points.astype(np.float64)
    distance = np.hypot(xyz[:, 0], xyz[:, 1])
    ends = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]]])
    ends = ends[
        (distance[ends] < REACH_M).all(axis=1) & (distance[ends] > 1.5 * recipe_of(terrain).mid_radius_m).all(1)
    ]
    a, b = xyz[ends[:, 0], :2], xyz[ends[:, 1], :2]
    assert np.max(np.hypot(*(b - a).T) / np.hypot(*(0.5 * (a + b)).T)) <= EDGE_SHARE * (1.0 + 1e-6)
    beyond = {tuple(point) for point in mesh.points[distance > 1.1 * REACH_M].tolist()}
    before = plain.points[np.hypot(plain.points[:, 0], plain.points[:, 1]) > 1.1 * REACH_M]
    assert beyond == {tuple(point) for point in before.tolist()}


def test_height_of_the_terrain_is_that_of_the_mesh() -> None:
    terrain = reaching()
    mesh = ground_mesh(terrain.grid, terrain.recipe, terrain.far)
    distance = np.hypot(mesh.points[:, 0], mesh.points[:, 1])
    picked = np.random.default_rng(0).choice(np.flatnonzero(distance < REACH_M), 3000)
    x, y, z = mesh.points[picked].astype(np.float64).T
    off = np.abs(terrain.height(x, y) - z)
    assert np.median(off) < 1e-4
    assert off.max() < 0.02  # far triangles, whose halves a crater's height is not read on twice alike


def test_relief_goes_on_beyond_the_rings_and_fades() -> None:
    """As rough on either side of the rings' border, and farther out, less and less at the end."""
    plain = dataclasses.replace(recipe_of(reaching()), pit_density=0.0, crater_density=0.0)

    def rms(distance: float, recipe: ReliefRecipe) -> float:
        x, y = on_circle(distance)
        return float(relief_height(x, y, recipe).std())

    rough = [rms(r, plain) for r in (3.9, 4.6, 6.0, 12.0, 25.0, 34.0, 38.0, 40.1)]
    assert rough[1:5] == pytest.approx(rough[:1] * 4, rel=0.3)
    assert rough[4] > rough[5] > rough[6] > rough[7] == 0.0
    ends = dataclasses.replace(plain, reach_m=0.0)
    assert rms(6.0, ends) == 0.0


def test_pits_beyond_are_what_triangles_carry_and_stay_out_of_the_rings() -> None:
    """Their density is that of the law; craters fill up to those that the far relief has."""
    recipe = dataclasses.replace(recipe_of(reaching()), pit_density=40.0, crater_density=4.0)
    pits = draw_beyond(recipe)
    x, y, diameter, freshness = pits.T
    assert (np.maximum(np.abs(x), np.abs(y)) > recipe.mid_radius_m + 0.5 * PIT_REACH * diameter).all()
    distance = np.hypot(x, y)
    assert (diameter > PIT_CELLS * EDGE_SHARE * distance / 1.3).all() and distance.max() < REACH_M
    assert ((freshness >= 0.0) & (freshness <= 1.0)).all()
    there = (distance > 8.0) & (distance < 10.0) & (diameter > 0.3) & (diameter < recipe.pit_max_m)

    def law(lo: float, hi: float) -> float:
        return lo**-recipe.pit_exponent - hi**-recipe.pit_exponent

    share = {
        density: density * law(max(0.3, least), top) / law(least, top)
        for density, least, top in (
            (recipe.pit_density, recipe.pit_min_m, recipe.pit_max_m),
            (recipe.crater_density, recipe.crater_min_m, recipe.crater_top_m),
        )
    }
    expected = sum(share.values()) * np.pi * (10.0**2 - 8.0**2)
    assert there.sum() == pytest.approx(expected, abs=4.0 * np.sqrt(expected) + 2.0)
    largest = FAR_CELLS * float(ring_cell(np.array(REACH_M)))
    assert recipe.crater_top_m < diameter.max() <= max(largest, recipe.crater_top_m)


def test_pits_are_laid_down() -> None:
    """A pit beyond is as deep as its law says, and a recipe alone makes the same ground again."""
    flat = dataclasses.replace(
        recipe_of(reaching()), rms_height_m=0.0, clod_height_m=0.0, pit_density=2.0, crater_density=0.0
    )
    pits = draw_beyond(flat)
    pits = pits[np.hypot(pits[:, 0], pits[:, 1]) < FADE * REACH_M]
    deepest = pits[np.argmax(pits[:, 2] * pits[:, 3])]
    z = beyond_height(deepest[:1], deepest[1:2], flat)
    assert -0.25 * deepest[2] < z[0] < -0.03 * deepest[2]
    assert (z == beyond_height(deepest[:1], deepest[1:2], ReliefRecipe(**dataclasses.asdict(flat)))).all()


def test_any_edges_may_be_halved() -> None:
    """Each of the eight ways to mark a triangle keeps area and turn, and neighbours agree."""
    xy = np.array([[0.0, 0.0], [2.0, 0.0], [0.5, 1.5], [2.5, 1.7]])
    faces = np.array([[0, 1, 2], [1, 3, 2]], np.int32)
    edges = [(0, 1), (1, 2), (0, 2), (1, 3), (2, 3)]
    for mask in range(32):
        marked = {edge for bit, edge in enumerate(edges) if mask >> bit & 1}

        def long(a: np.ndarray, b: np.ndarray, marked: set[tuple[int, int]] = marked) -> np.ndarray:
            return np.array([pair in marked for pair in zip(a.tolist(), b.tolist(), strict=True)])

        split, ends = split_edges(faces, len(xy), long, xy)
        assert {tuple(pair) for pair in ends.tolist()} == marked
        at = np.concatenate([xy, 0.5 * (xy[ends[:, 0]] + xy[ends[:, 1]])])
        a, b, c = (at[split[:, corner]] for corner in range(3))
        area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
        assert (area > 0.0).all() and area.sum() == pytest.approx(1.5 + 1.65)
        pairs = [(face[k], face[(k + 1) % 3]) for face in split.tolist() for k in range(3)]
        assert len(set(pairs)) == len(pairs)
        border = [pair for pair in pairs if pair[::-1] not in pairs]
        assert len(border) == 4 + len(marked - {(1, 2)})
