"""Micro-relief: one watertight mesh from grid, recipe and far relief; its height, blending and pebbles."""

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from regolith.lunar.params import InputError, Params, load_preset
from regolith.lunar.stage.lattice import lattice_faces, strip_faces
from regolith.lunar.stage.mesh import Heightfield, TriMesh
from regolith.lunar.stage.micro import draw_pits
from regolith.lunar.stage.noise import rms_slope_deg
from regolith.lunar.stage.pebbles import BURIAL, PEBBLES_MAX
from regolith.lunar.stage.relief import ReliefRecipe, ground_mesh, pebbles, relief_height, relief_lattices
from regolith.lunar.stage.spec import SceneSpec
from regolith.lunar.stage.terrain import Terrain, build_terrain

SPEC = SceneSpec(seed=11, crater_density=0.5, rock_abundance=0.01, rock_exponent=1.6, relief_strength=1.0)


def params(*, terrain: dict | None = None, rocks: dict | None = None, **relief: object) -> Params:
    """Preset v3 on a coarse grid with small rings; keywords replace relief parameters."""
    base = load_preset("v3")
    rings = {"near_cell_m": 0.03, "near_radius_m": 1.5, "mid_cell_m": 0.06, "mid_radius_m": 4.0}
    return base.model_copy(
        update={
            "terrain": base.terrain.model_copy(update={"cell_m": 0.25, "far_radius_m": 200.0, **(terrain or {})}),
            "relief": base.relief.model_copy(update={**rings, **relief}),
            "rocks": base.rocks.model_copy(update=rocks or {}),
        }
    )


@functools.lru_cache(maxsize=2)
def small(seed: int = 11) -> Terrain:
    """A small terrain with rings."""
    return build_terrain(params(), dataclasses.replace(SPEC, seed=seed))


def recipe_of(terrain: Terrain) -> ReliefRecipe:
    """The terrain's recipe, which must exist."""
    assert terrain.recipe is not None
    return terrain.recipe


def check_conforming(mesh: TriMesh) -> np.ndarray:
    """Assert a welded, consistently turned height surface; return its border edges, shape [E, 2]."""
    points, faces = mesh.points.astype(np.float64), mesh.faces.astype(np.int64)
    assert mesh.points.dtype == np.float32
    assert mesh.faces.dtype == np.int32
    assert faces.min() == 0
    assert np.all(np.bincount(faces.ravel()) > 0)  # all indices valid, no stray vertex
    assert faces.max() == len(points) - 1
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    key = np.sort(edges[:, 0] * len(points) + edges[:, 1])
    back = np.sort(edges[:, 1] * len(points) + edges[:, 0])
    assert np.all(np.diff(key) > 0)  # no edge twice in one direction: manifold, turned alike
    at = np.minimum(np.searchsorted(back, key), len(back) - 1)
    alone = key[back[at] != key]
    a, b, c = (points[faces[:, k], :2] for k in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert area.min() > 0.0  # upward, not degenerate
    place = np.sort(points[:, 0] * 2**20 + points[:, 1] * 2**-3)  # distinct places, distinct numbers (1e-4 m apart)
    assert np.all(np.diff(place) > 0.0)  # nothing unwelded
    return np.column_stack(np.divmod(alone, len(points)))


def check_ground(grid: Heightfield, mesh: TriMesh) -> None:
    """Assert a conforming mesh whose only border is the outermost circle, and whose area is that disc's."""
    border = check_conforming(mesh)
    radius = np.hypot(*mesh.points[border].astype(np.float64)[..., :2].reshape(-1, 2).T)
    assert np.ptp(radius) < 1e-3 * radius.max()
    assert radius.min() > 1.5 * grid.half_x
    a, b, c = (mesh.points[mesh.faces[:, k], :2].astype(np.float64) for k in range(3))
    area = 0.5 * np.sum((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    first, second = (mesh.points[border[:, k]].astype(np.float64) for k in range(2))
    outline = 0.5 * np.sum(first[:, 0] * second[:, 1] - second[:, 0] * first[:, 1])
    assert area == pytest.approx(outline, rel=1e-6)


@pytest.mark.parametrize("preset", ["v1", "v3"])
def test_ground_of_the_presets_is_watertight(preset: str) -> None:
    """Every edge is shared by two triangles but those of the horizon."""
    asked = load_preset(preset)
    terrain = build_terrain(asked, SPEC)
    mesh = ground_mesh(terrain.grid, terrain.recipe, terrain.far)
    check_ground(terrain.grid, mesh)
    if preset == "v3":
        assert 0.9e6 < len(mesh.points) < 1.4e6


@settings(max_examples=10, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(
    size=st.sampled_from([40.0, 55.5, 120.0]), cell=st.floats(0.25, 0.5),
    near_cell=st.floats(0.07, 0.1), near=st.floats(1.0, 15.0),
    mid_cell=st.floats(0.08, 0.2), mid=st.floats(2.0, 19.0),
)  # fmt: skip
def test_any_rings_join(size: float, cell: float, near_cell: float, near: float, mid_cell: float, mid: float) -> None:
    """Rings of any radii and cells, even the fine one wider than the middle one, give one watertight ground."""
    asked = params(
        terrain={"size_m": size, "cell_m": cell},
        near_cell_m=near_cell, near_radius_m=near, mid_cell_m=mid_cell, mid_radius_m=mid, pit_density=0.5,
    )  # fmt: skip
    recipe = ReliefRecipe.from_params(asked, SPEC)
    assert recipe is not None
    assert recipe.near_split % recipe.mid_split == 0
    assert 1 <= recipe.near_half <= recipe.mid_half
    grid, far = flat_ground(size, cell)
    assert recipe.mid_half < grid.z.shape[0] // 2
    check_ground(grid, ground_mesh(grid, recipe, far))


@functools.lru_cache(maxsize=4)
def flat_ground(size: float, cell: float) -> tuple[Heightfield, TriMesh]:
    """Level crater-free ground."""
    asked = params(terrain={"size_m": size, "cell_m": cell, "rms_slope_deg": 0.0, "hill_height_m": 0.0}, enabled=False)
    terrain = build_terrain(asked, dataclasses.replace(SPEC, crater_density=0.0))
    return terrain.grid, terrain.far


def test_rings_wider_than_the_square_are_clamped() -> None:
    """Radii beyond the square leave the grid its outermost cells."""
    grid, far = flat_ground(40.0, 0.5)
    recipe = dataclasses.replace(recipe_of(small()), cell_m=grid.cell)
    with pytest.raises(InputError, match="recipe"):
        ground_mesh(grid, dataclasses.replace(recipe, mid_half=40), far)
    check_ground(
        grid, ground_mesh(grid, dataclasses.replace(recipe, near_half=39, mid_half=39, near_split=2, mid_split=1), far)
    )


def test_ring_of_too_many_cells_is_refused() -> None:
    """A ring beyond the limit is refused by its parameter's name."""
    with pytest.raises(InputError, match=r"relief\.near_cell_m"):
        ReliefRecipe.from_params(params(near_cell_m=0.005, near_radius_m=15.0), SPEC)


def test_recipe_is_plain_numbers_and_off_when_disabled() -> None:
    """Each field is an int, a float or a bool; disabled relief has no recipe."""
    for field in dataclasses.fields(ReliefRecipe):
        assert type(getattr(recipe_of(small()), field.name)) in (int, float, bool), field.name
    assert ReliefRecipe.from_params(params(enabled=False), SPEC) is None
    assert recipe_of(small()).baked is False
    assert hash(recipe_of(small())) == hash(dataclasses.replace(recipe_of(small())))


def test_mesh_comes_from_grid_recipe_and_far_alone() -> None:
    """Rebuilt from what a stage stores, in a fresh cache, the mesh is the same to the byte."""
    terrain = small()
    mesh = ground_mesh(terrain.grid, terrain.recipe, terrain.far)
    stones = pebbles(terrain.grid, terrain.recipe)
    relief_lattices.cache_clear()
    grid = Heightfield(np.array(terrain.grid.z, np.float32), float(repr(terrain.grid.cell)))
    recipe = ReliefRecipe(**dataclasses.asdict(recipe_of(terrain)))
    far = TriMesh(terrain.far.points.copy(), terrain.far.faces.copy())
    again = ground_mesh(grid, recipe, far)
    assert again.points.tobytes() == mesh.points.tobytes()
    assert again.faces.tobytes() == mesh.faces.tobytes()
    assert pebbles(grid, recipe).points.tobytes() == stones.points.tobytes()


def test_far_of_another_grid_is_refused() -> None:
    """A far mesh that does not start on the grid's border is named."""
    terrain = small()
    with pytest.raises(InputError, match="far"):
        ground_mesh(Heightfield(terrain.grid.z + np.float32(0.01), terrain.grid.cell), None, terrain.far)
    with pytest.raises(InputError, match="grid"):
        ground_mesh(Heightfield(terrain.grid.z[:-1], terrain.grid.cell), None, terrain.far)


def test_relief_ends_at_the_ring_borders() -> None:
    """Zero on the middle ring's border and beyond; on the fine ring's border the middle ring's bilinear surface."""
    recipe = recipe_of(small())
    near, mid = relief_lattices(recipe)
    for side in (mid[0], mid[-1], mid[:, 0], mid[:, -1]):
        assert np.abs(side).max() == 0.0
    x = np.linspace(-30, 30, 200)
    assert np.all(relief_height(x, np.full(200, recipe.mid_radius_m + 1e-6), recipe) == 0.0)
    assert np.abs(relief_height(x, np.zeros(200), recipe)).max() > 0.002
    ratio = recipe.near_split // recipe.mid_split
    centre, reach = mid.shape[0] // 2, recipe.near_half * recipe.mid_split
    edge = mid[centre - reach, centre - reach : centre + reach + 1]
    at = np.arange(near.shape[0]) / ratio
    assert np.allclose(near[0], np.interp(at, np.arange(edge.size), edge), atol=1e-12)


def test_height_is_what_the_mesh_has() -> None:
    """Unblended vertices of the rings lie at `Terrain.height`; the others, nearly always, within a centimetre."""
    terrain = small()
    recipe = recipe_of(terrain)
    mesh = ground_mesh(terrain.grid, terrain.recipe, terrain.far)
    points = mesh.points.astype(np.float64)
    away = np.abs(points[:, :2]).max(axis=1)
    error = np.abs(terrain.height(points[:, 0], points[:, 1]) - points[:, 2])
    assert error[away < 0.85 * recipe.near_radius_m].max() < 2e-4
    inside = error[away < 0.99 * terrain.grid.half_x]
    assert np.quantile(inside, 0.999) < 0.01 and inside.max() < 0.02


def test_relief_has_the_amplitude_asked_for() -> None:
    """Alone, the fractal part has its RMS height; pits dig, clods rise; centimetre slopes stay regolith-like."""
    quiet = {"pit_density": 0.0, "crater_density": 0.0, "clod_height_m": 0.0}
    plain = dataclasses.replace(recipe_of(small()), **quiet, near_split=16, near_half=10)
    centre = slice(60, -60)
    fractal = relief_lattices(plain)[0][centre, centre]
    assert fractal.std() == pytest.approx(0.006, rel=0.25)
    pitted = relief_lattices(dataclasses.replace(plain, rms_height_m=0.0, pit_density=20.0))[0][centre, centre]
    assert pitted.min() < -0.01
    assert abs(pitted.min()) > 2.0 * pitted.max()
    cloddy = relief_lattices(dataclasses.replace(plain, rms_height_m=0.0, clod_height_m=0.012))[0][centre, centre]
    assert cloddy.min() >= -1e-9
    assert 0.006 < cloddy.max() < 0.03
    full = relief_lattices(dataclasses.replace(recipe_of(small()), near_split=16, near_half=10))[0][centre, centre]
    assert 6.0 < rms_slope_deg(full, plain.cell_m / 16, 0.03) < 16.0
    flat = dataclasses.replace(plain, rms_height_m=0.0)
    assert np.abs(relief_lattices(flat)[0]).max() == 0.0


@pytest.mark.parametrize("exponent", [1.5, 2.0, 3.0])
def test_pits_follow_their_law(exponent: float) -> None:
    """Pits per m² and slope of their sizes are as asked; most are degraded."""
    recipe = dataclasses.replace(
        recipe_of(small()), pit_exponent=exponent, pit_density=20.0, crater_density=0.0, mid_half=40
    )
    pits = draw_pits(recipe)
    inside = np.abs(pits[:, :2]).max(axis=1) < recipe.mid_radius_m
    assert inside.sum() / (2 * recipe.mid_radius_m) ** 2 == pytest.approx(20.0, rel=0.05)
    size = np.sort(pits[:, 2])
    assert size[0] >= 0.025
    assert size[-1] <= 4 * recipe.cell_m
    kept = size[size < 0.25]
    above = [np.sum(size >= d) / size.size for d in (0.025, 0.05, 0.1, 0.2)]
    slope = np.polyfit(np.log([0.025, 0.05, 0.1]), np.log(above[:3]), 1)[0]
    assert kept.size
    assert -slope == pytest.approx(exponent, abs=0.15)
    assert np.median(pits[:, 3]) < 0.35
    assert pits[:, 3].max() > 0.9


def test_grid_too_coarse_hands_its_craters_to_the_relief() -> None:
    """Craters of the law below four cells are drawn by the recipe, at the law's density."""
    asked = params(terrain={"cell_m": 0.5})
    recipe = ReliefRecipe.from_params(asked, SPEC)
    assert recipe is not None
    law = asked.craters
    expected = 0.5 * 10**-1.1 * (law.diameter_min_m**-2.0 - recipe.crater_top_m**-2.0)
    assert recipe.crater_density == pytest.approx(expected)
    assert recipe.crater_top_m == pytest.approx(4 * recipe.cell_m)


def test_pebbles_lie_in_the_ground() -> None:
    """Closed faceted stones of 8–20 triangles, below the smallest rock, cut by the ground they lie on."""
    terrain = small()
    recipe = recipe_of(terrain)
    mesh = pebbles(terrain.grid, recipe)
    assert mesh.points.dtype == np.float32
    assert mesh.faces.dtype == np.int32
    points, faces = mesh.points.astype(np.float64), mesh.faces
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    key = np.sort(edges[:, 0] * len(points) + edges[:, 1])
    assert np.array_equal(key, np.sort(edges[:, 1] * len(points) + edges[:, 0]))  # closed, turned alike
    starts = stones(mesh)
    count = np.diff(np.append(starts, len(points)))
    assert 2 * count.min() - 4 >= 8
    assert 2 * count.max() - 4 <= 20
    assert len(starts) > 300
    low, high = (f.reduceat(points, starts, axis=0) for f in (np.minimum, np.maximum))
    centre = 0.5 * (low + high)
    assert (high - low)[:, :2].max() <= 1.35 * recipe.pebble_max_m
    assert np.abs(centre[:, :2]).max() < recipe.mid_radius_m + 0.03
    ground = terrain.height(centre[:, 0], centre[:, 1])
    buried = (ground - low[:, 2]) / (high - low)[:, 2]
    assert np.quantile(buried, 0.02) > BURIAL[0] - 0.25
    assert np.quantile(buried, 0.98) < BURIAL[1] + 0.25
    volume = np.einsum("ij,ij->i", points[faces[:, 0]], np.cross(points[faces[:, 1]], points[faces[:, 2]])).sum() / 6
    assert volume > 0.0  # outward


def stones(mesh: TriMesh) -> np.ndarray:
    """First vertex of each stone: vertices of a stone are consecutive and joined by its faces."""
    low, high = mesh.faces.min(axis=1), mesh.faces.max(axis=1)
    joined = np.zeros(len(mesh.points) + 1, int)
    np.add.at(joined, low + 1, 1)
    np.add.at(joined, high + 1, -1)
    return np.flatnonzero(np.cumsum(joined)[:-1] == 0)


def test_pebble_count_follows_density_and_is_bounded() -> None:
    """About density times area in the fine ring, none at density 0, never more than the bound."""
    terrain = small()
    recipe = recipe_of(terrain)
    mesh = pebbles(terrain.grid, recipe)
    first = mesh.points[stones(mesh)]
    inside = np.abs(first[:, :2]).max(axis=1) < recipe.near_radius_m
    assert inside.sum() / (2 * recipe.near_radius_m) ** 2 == pytest.approx(recipe.pebble_density, rel=0.12)
    none = pebbles(terrain.grid, dataclasses.replace(recipe, pebble_density=0.0))
    assert none.points.shape == (0, 3)
    assert none.faces.shape == (0, 3)
    assert len(pebbles(terrain.grid, None).points) == 0
    many = pebbles(terrain.grid, dataclasses.replace(recipe, pebble_density=1e4))
    assert 0.5 * PEBBLES_MAX < len(stones(many)) <= PEBBLES_MAX


def test_strip_and_lattice_faces() -> None:
    """A strip of M and N edges has M + N triangles; a lattice two a cell."""
    faces = strip_faces(np.array([10, 11, 12, 13, 14]), np.array([0, 1, 2]))
    assert faces.shape == (6, 3)
    assert faces.tolist()[0] == [10, 0, 11]
    inner, outer = np.arange(15).reshape(3, 5), 20 + np.arange(9).reshape(3, 3)
    strips = [strip_faces(inner[k], outer[k]) for k in range(3)]
    assert np.array_equal(strip_faces(inner, outer), np.concatenate(strips))
    assert lattice_faces(np.arange(6).reshape(2, 3)).tolist() == [[0, 1, 4], [0, 4, 3], [1, 2, 5], [1, 5, 4]]
