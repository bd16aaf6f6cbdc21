"""The ground at metre scale: what was asked is what the grid measures; far relief joins it exactly."""

import functools

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from regolith.lunar.params import Params, load_preset
from regolith.lunar.stage.craters import crater_profile, depth_to_diameter, rim_distance
from regolith.lunar.stage.far import MOON_RADIUS_M
from regolith.lunar.stage.lattice import border_ids
from regolith.lunar.stage.mesh import grid_cells
from regolith.lunar.stage.noise import hurst_exponent, rms_slope_deg
from regolith.lunar.stage.relief import relief_height
from regolith.lunar.stage.spec import SceneSpec
from regolith.lunar.stage.terrain import CRATER_CELLS, Terrain, build_terrain, draw_fractal, lay_craters


def params(preset: str = "v3", *, relief: dict | None = None, craters: dict | None = None, **terrain: object) -> Params:
    """A preset with some of its parameters replaced."""
    base = load_preset(preset)
    return base.model_copy(
        update={
            "terrain": base.terrain.model_copy(update=terrain),
            "relief": base.relief.model_copy(update=relief or {}),
            "craters": base.craters.model_copy(update=craters or {}),
        }
    )


def spec(seed: int = 0, density: float = 0.5) -> SceneSpec:
    """A scene of one seed and crater density."""
    return SceneSpec(seed=seed, crater_density=density, rock_abundance=0.01, rock_exponent=1.6, relief_strength=1.0)


@functools.lru_cache(maxsize=4)
def small(seed: int = 0) -> Terrain:
    """A coarse v3 terrain without micro-relief."""
    return build_terrain(params(relief={"enabled": False}, cell_m=0.25, far_radius_m=400.0), spec(seed))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("hurst", "slope", "cell"), [(0.85, 3.0, 0.12), (0.6, 8.0, 0.16), (0.95, 3.0, 0.16)])
def test_grid_has_the_roughness_asked_for(seed: int, hurst: float, slope: float, cell: float) -> None:
    """RMS slope over 1 m within 3 %, Hurst exponent within 0.08, on crater-free ground."""
    asked = params(hurst=hurst, rms_slope_deg=slope, cell_m=cell, far_radius_m=200.0, relief=None)
    asked = asked.model_copy(update={"relief": asked.relief.model_copy(update={"enabled": False})})
    grid = build_terrain(asked, spec(seed, 0.0)).grid
    assert rms_slope_deg(grid.z, grid.cell) == pytest.approx(slope, rel=0.03)
    measured = hurst_exponent(grid.z, grid.cell, tuple(np.geomspace(2 * grid.cell, 20 * grid.cell, 6)))
    assert measured == pytest.approx(hurst, abs=0.08)


def test_flat_ground_is_flat() -> None:
    """RMS slope 0 and no craters leave a level square."""
    asked = params("v1", rms_slope_deg=0.0, far_radius_m=200.0)
    assert np.ptp(build_terrain(asked, spec(0, 0.0)).grid.z) == 0.0


@pytest.mark.parametrize("seed", [0, 1])
def test_grid_craters_are_large_enough_and_off_the_centre(seed: int) -> None:
    """Craters span at least four cells; large fresh bowls clear the camera's circle."""
    terrain = small(seed)
    craters = terrain.craters
    assert len(craters) > 50
    assert craters["diameter"].min() >= CRATER_CELLS * terrain.grid.cell
    assert np.abs(craters["x"]).max() > terrain.grid.half_x
    steep = craters[(craters["diameter"] > 3.0) & (craters["freshness"] > 0.3)]
    roam = load_preset("v3").camera.roam_m
    assert np.all(np.hypot(steep["x"], steep["y"]) >= 0.45 * steep["diameter"] + roam - 1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_depth_over_diameter_in_the_grid(seed: int) -> None:
    """A crater laid on level ground measures the depth of its freshness, on the grid's own vertices."""
    random = np.random.default_rng(seed)
    cell, nodes = 0.1, np.arange(401) - 200
    for freshness in (0.0, 0.4, 1.0):
        crater = small().craters[:1].copy()
        crater["x"], crater["y"] = random.uniform(-2, 2, 2)
        crater["diameter"], crater["freshness"] = random.uniform(3, 7), freshness
        z = lay_craters(np.zeros((401, 401)), cell, crater)
        x, y = np.meshgrid(nodes * cell, nodes * cell)
        inside = rim_distance(x - crater["x"], y - crater["y"], crater[0]) < 1.5
        measured = depth_to_diameter(z[inside], float(crater["diameter"][0]))
        assert measured == pytest.approx(0.05 + 0.15 * freshness, abs=0.006)


def test_craters_show_in_the_ground() -> None:
    """The last, undisturbed crater of a terrain can be read off its heights."""
    terrain = small(1)
    young = terrain.craters[np.max(np.abs([terrain.craters["x"], terrain.craters["y"]]), axis=0) < 15.0]
    fresh = young[(young["freshness"] > 0.5) & (young["diameter"] > 2.0)][-1]
    radius = 0.5 * fresh["diameter"]
    angle = np.linspace(0, 2 * np.pi, 60)
    rim = terrain.grid.height(fresh["x"] + radius * np.cos(angle), fresh["y"] + radius * np.sin(angle)).mean()
    floor = terrain.grid.height(np.array([fresh["x"]]), np.array([fresh["y"]]))[0]
    profile = crater_profile(np.array([0.0, 1.0]), float(fresh["diameter"]), float(fresh["freshness"]))
    assert rim - floor == pytest.approx(profile[1] - profile[0], rel=0.35)


@pytest.mark.parametrize("preset", ["v1", "v3"])
def test_far_relief_starts_on_the_border_exactly(preset: str) -> None:
    """The first vertices of the far mesh are the grid's border, bit for bit, and cells grow outwards."""
    asked = params(preset, relief={"enabled": False}, cell_m=0.25, far_radius_m=400.0)
    terrain = build_terrain(asked, spec(2, 0.5 if preset == "v3" else 0.0))
    grid, far = terrain.grid, terrain.far
    n = grid.z.shape[0]
    axis = (np.arange(n) - n // 2) * grid.cell
    x, y = np.meshgrid(axis, axis)
    flat = np.column_stack([x.ravel(), y.ravel(), grid.z.ravel()]).astype(np.float32)
    border = flat[border_ids(np.arange(n * n).reshape(n, n))]
    assert far.points[: len(border)].tobytes() == border.tobytes()
    outside = far.points[len(border) :]
    assert np.abs(outside[:, :2]).max(axis=1).min() > grid.half_x
    assert np.hypot(outside[:, 0], outside[:, 1]).max() == pytest.approx(400.0, rel=1e-5)


def test_far_relief_has_no_overlap() -> None:
    """Seen from above its triangles are all turned up and their areas add up to the disc without the square."""
    far, grid = small().far, small().grid
    a, b, c = (far.points[far.faces[:, k], :2].astype(np.float64) for k in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert area.min() > 0.0
    assert area.sum() == pytest.approx(np.pi * 400.0**2 - (2 * grid.half_x) ** 2, rel=2e-3)


def test_horizon_follows_the_hills_asked_for() -> None:
    """With hills the horizon stands up; without it drops with the Moon's curvature."""
    rugged = build_terrain(params(relief={"enabled": False}, cell_m=0.4, hill_height_m=100.0), spec(1)).far.points
    level = build_terrain(
        params(relief={"enabled": False}, cell_m=0.4, hill_height_m=0.0, rms_slope_deg=0.0), spec(1, 0.0)
    ).far.points
    assert 40.0 < rugged[:, 2].max() < 180.0
    distance = np.hypot(level[:, 0], level[:, 1])
    far = distance > 100.0
    assert np.allclose(level[far, 2], -(distance[far] ** 2) / (2 * MOON_RADIUS_M), atol=1e-3)
    flat = build_terrain(params("v1"), spec(1, 0.0)).far.points
    rim = np.hypot(flat[:, 0], flat[:, 1]) > 350.0
    assert np.abs(flat[rim, 2]).max() / 350.0 < np.tan(np.radians(2.5))


def test_height_is_grid_plus_relief_inside_and_far_mesh_outside() -> None:
    """`height` agrees with its parts, and is continuous across the border."""
    terrain = build_terrain(
        params(relief={"near_radius_m": 2.0, "mid_radius_m": 4.0}, cell_m=0.25, far_radius_m=400.0), spec(4)
    )
    assert terrain.recipe is not None
    random = np.random.default_rng(0)
    x, y = random.uniform(-19, 19, (2, 300))
    expected = terrain.grid.height(x, y) + relief_height(x, y, terrain.recipe)
    assert np.allclose(terrain.height(x, y), expected)
    pick = random.integers(len(terrain.far.points), size=300)
    points = terrain.far.points[pick].astype(np.float64)
    assert np.allclose(terrain.height(points[:, 0] * (1 + 1e-9), points[:, 1] * (1 + 1e-9)), points[:, 2], atol=2e-3)
    corners = terrain.far.points[terrain.far.faces[random.integers(len(terrain.far.faces), size=300)]].astype(float)
    centre = corners.mean(axis=1)
    assert np.allclose(terrain.height(centre[:, 0], centre[:, 1]), centre[:, 2], atol=1e-6)
    side = random.uniform(-19, 19, 200)
    edge = terrain.grid.half_x
    inner, outer = terrain.height(np.full(200, edge - 1e-4), side), terrain.height(np.full(200, edge + 1e-4), side)
    assert np.abs(inner - outer).max() < 0.02


def test_far_height_is_that_of_the_triangle_that_holds_the_point() -> None:
    """The search among neighbours finds what a search through all triangles finds, in needles and at seams too."""
    terrain = small()
    random = np.random.default_rng(3)
    radius, azimuth = random.uniform(29.0, 390.0, 250), random.uniform(0.0, 2.0 * np.pi, 250)
    x, y = radius * np.cos(azimuth), radius * np.sin(azimuth)
    a, b, c = (terrain.far.points.astype(np.float64)[terrain.far.faces[:, k]] for k in range(3))
    turns = np.linalg.inv(np.stack([b - a, c - a], axis=-1)[:, :2])  # offset in the plane -> barycentric (v, w)
    expected = np.empty(len(x))
    for number, at in enumerate(np.column_stack([x, y])):
        v, w = np.einsum("fij,fj->if", turns, at - a[:, :2])
        held = np.argmax(np.minimum(np.minimum(v, w), 1.0 - v - w))
        expected[number] = (1.0 - v[held] - w[held]) * a[held, 2] + v[held] * b[held, 2] + w[held] * c[held, 2]
    assert np.allclose(terrain.height(x, y), expected, rtol=0.0, atol=1e-9)


def test_normals_are_unit_and_match_the_slope() -> None:
    """Normals are unit, point up and lean against the gradient of the grid."""
    terrain = small(3)
    x, y = np.random.default_rng(1).uniform(-15, 15, (2, 50))
    normal = terrain.normal(x, y)
    assert np.allclose(np.linalg.norm(normal, axis=-1), 1.0)
    assert normal[:, 2].min() > 0.5
    step = terrain.grid.cell
    slope = (terrain.grid.height(x + step, y) - terrain.grid.height(x - step, y)) / (2 * step)
    assert np.allclose(-normal[:, 0] / normal[:, 2], slope, atol=1e-9)


def test_same_seed_same_bytes_and_other_seed_other_ground() -> None:
    """Terrain is a function of parameters and seed alone."""
    asked = params(relief={"enabled": False}, cell_m=0.4, far_radius_m=300.0)
    one, two, other = (build_terrain(asked, spec(seed)) for seed in (5, 5, 6))
    for field in ("grid", "far", "craters"):
        a, b = getattr(one, field), getattr(two, field)
        if field == "grid":
            assert a.z.tobytes() == b.z.tobytes()
        elif field == "far":
            assert a.points.tobytes() == b.points.tobytes()
            assert a.faces.tobytes() == b.faces.tobytes()
        else:
            assert a.tobytes() == b.tobytes()
    assert one.grid.z.tobytes() != other.grid.z.tobytes()


@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(
    size=st.sampled_from([40.0, 41.0, 73.3, 120.0]), cell=st.floats(0.3, 0.5), hurst=st.floats(0.3, 1.0),
    slope=st.floats(0.0, 20.0), radius=st.sampled_from([200.0, 777.0, 5000.0]), density=st.floats(0.0, 2.0),
)  # fmt: skip
def test_any_allowed_terrain_builds(
    size: float, cell: float, hurst: float, slope: float, radius: float, density: float
) -> None:
    """Over the whole range of the parameters: even cells, finite heights, the size asked for."""
    asked = params(
        relief={"enabled": False}, size_m=size, cell_m=cell, hurst=hurst, rms_slope_deg=slope, far_radius_m=radius
    )
    terrain = build_terrain(asked, spec(7, density))
    cells, step = grid_cells(asked.terrain.size_m, asked.terrain.cell_m)
    assert cells % 2 == 0
    assert terrain.grid.z.shape == (cells + 1, cells + 1)
    assert 2 * terrain.grid.half_x == pytest.approx(size)
    assert abs(step / cell - 1.0) < 0.02
    assert np.isfinite(terrain.grid.z).all()
    assert np.isfinite(terrain.far.points).all()


def test_fractal_bands_add_up() -> None:
    """The rough band carries only wavelengths below 1.5 m; without craters grid = both bands."""
    asked = params(relief={"enabled": False})
    cells, cell = grid_cells(asked.terrain.size_m, asked.terrain.cell_m)
    fractal = draw_fractal(asked, spec(0))
    power = np.abs(np.fft.fft2(fractal.rough.z.astype(float))) ** 2
    k = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n, cell) for n in fractal.rough.z.shape)))
    assert power[k < 1 / 1.5 * 0.999].sum() < 1e-9 * power.sum()
    grid = build_terrain(asked, spec(0, 0.0)).grid
    assert np.allclose(grid.z, fractal.smooth_grid(cells) + fractal.rough_grid(cells), atol=1e-6)
