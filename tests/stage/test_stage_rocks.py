"""Rocks: sizes, abundance, places, burial and shapes, measured on what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.optimize import minimize_scalar
from scipy.spatial import ConvexHull, KDTree

from regolith.lunar.params import change_params
from regolith.lunar.params.models import RockParams
from regolith.lunar.stage import rocks as rocks_module
from regolith.lunar.stage.author import build_scene
from regolith.lunar.stage.camera import point_in_mesh
from regolith.lunar.stage.relief import ground_mesh
from regolith.lunar.stage.rocks import RockField, SizeLaw, place_rocks
from regolith.lunar.stage.scene import Scene
from regolith.lunar.stage.shapes import LEVELS, detail_level, level_count, prototypes
from regolith.lunar.stage.spacing import space_out
from regolith.lunar.stage.spec import SceneSpec, rng
from regolith.lunar.stage.terrain import build_terrain


def fitted_slope(diameter: np.ndarray, low: float, high: float) -> float:
    """Maximum-likelihood slope of a power law truncated to [low, high]."""
    log = np.log(diameter).sum()

    def loss(b: float) -> float:
        return -(len(diameter) * np.log(b / (low**-b - high**-b)) - (b + 1.0) * log)

    return float(minimize_scalar(loss, bounds=(0.1, 6.0), method="bounded").x)  # type: ignore[attr-defined]


def covered(rocks: RockField, half: float) -> float:
    """Share of the working area covered by rocks as discs."""
    here = np.abs(rocks.position[:, :2]).max(axis=1) <= half
    return float((0.25 * np.pi * rocks.diameter[here] ** 2).sum() / (2.0 * half) ** 2)


def drawn_ground(scene: Scene) -> trimesh.Trimesh:
    """The ground's triangles as a renderer draws them."""
    mesh = ground_mesh(scene.terrain.grid, scene.terrain.recipe, scene.terrain.far)
    return trimesh.Trimesh(mesh.points, mesh.faces, process=False)


def lowest_under(scene: Scene, rocks: list[np.ndarray], *, side: int = 15) -> np.ndarray:
    """Lowest drawn ground under each rock's horizontal hull, by rays on a grid inside it and below its corners."""
    places = []
    for points in rocks:
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        grid = np.stack(np.meshgrid(*np.linspace(low, high, side).T), axis=-1).reshape(-1, 2)
        hull = ConvexHull(points[:, :2])
        under = (grid @ hull.equations[:, :2].T + hull.equations[:, 2] <= 0.0).all(axis=1)
        places.append(np.concatenate([grid[under], points[hull.vertices, :2]]))
    at = np.concatenate(places)
    above, down = np.column_stack([at, np.full(len(at), 500.0)]), np.tile([0.0, 0.0, -1.0], (len(at), 1))
    hits, ray, _ = drawn_ground(scene).ray.intersects_location(above, down, multiple_hits=False)
    height = np.full(len(at), np.inf)
    height[ray] = hits[:, 2]
    starts = np.cumsum([0, *(len(place) for place in places[:-1])])
    return np.minimum.reduceat(height, starts)


@pytest.mark.parametrize("exponent", [1.2, 1.8, 2.0, 2.6])
def test_drawn_slope_is_the_requested_one(exponent):
    """Fitted slope within ±0.1 of the requested one."""
    drawn = SizeLaw(0.05, exponent, 0.05, 5.0).draw(20000.0, rng(1, "t"))
    assert len(drawn) > 1000
    assert fitted_slope(drawn, 0.05, 5.0) == pytest.approx(exponent, abs=0.1)
    assert drawn.min() >= 0.05 and drawn.max() <= 5.0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scene_slope_is_the_requested_one(small_params, seed):
    """The rocks left after spacing still follow the law."""
    params = small_params("v3", diameter_min_m=0.05)
    scene = SceneSpec(seed=seed, crater_density=0.3, rock_abundance=0.02, rock_exponent=1.6, relief_strength=1.0)
    rocks = place_rocks(params, scene, build_terrain(params, scene))
    here = np.abs(rocks.position[:, :2]).max(axis=1) <= 20.0
    law = params.rocks
    slope = fitted_slope(rocks.diameter[here], law.diameter_min_m, law.diameter_max_m)
    assert slope == pytest.approx(scene.rock_exponent, abs=0.1)


@pytest.mark.parametrize("exponent", [1.5, 2.0, 2.5])
def test_mean_square_is_that_of_the_samples(exponent):
    """The analytic expectation of D² agrees with a large sample."""
    law = SizeLaw(0.1, exponent, 0.1, 2.0)
    drawn = law.draw(50000.0, rng(3, "t"))
    assert float((drawn**2).mean()) == pytest.approx(law.sizes.mean_square, rel=0.02)


def test_abundance_is_achieved():
    """Covered share over seeds equals the requested one; the v3 range gives 1300 to 2150 rocks."""
    rocks = RockParams()
    area = 40.0**2
    for abundance in (rocks.abundance.lo, rocks.abundance.hi):
        law = SizeLaw(abundance, rocks.exponent.center, rocks.diameter_min_m, rocks.diameter_max_m)
        drawn = [law.draw(area, rng(seed, "t")) for seed in range(60)]
        share = np.mean([(0.25 * np.pi * d**2).sum() / area for d in drawn])
        assert share == pytest.approx(abundance, rel=0.1)
        assert all(1250 <= len(d) <= 2200 for d in drawn)
        assert float(law.areal_density(law.largest_m)) == 0.0


def test_dense_scene_keeps_its_abundance(small_params):
    """At a tenth of the area covered hardly a rock is left out for want of room."""
    params = small_params("v2", diameter_min_m=0.1)
    scene = SceneSpec(seed=4, crater_density=0.0, rock_abundance=0.1, rock_exponent=1.6, relief_strength=1.0)
    rocks = place_rocks(params, scene, build_terrain(params, scene))
    requested = float(SizeLaw.of(params.rocks, scene).areal_density(0.1)) * 1600.0
    assert len(rocks) >= 0.99 * requested
    assert covered(rocks, 20.0) == pytest.approx(0.1, rel=0.35)


@pytest.mark.parametrize("preset", ["v1", "v3"])
@pytest.mark.parametrize("seed", [0, 1])
def test_burial_is_within_its_interval(small_scene, preset, seed):
    """Measured on the placed mesh: share of the height below the lowest ground at its foot; none floats."""
    scene = small_scene(preset, seed)
    rocks, interval = scene.rocks, scene.params.rocks.burial
    chosen = [*range(20), *rng(seed, "pick").permutation(len(rocks))[:120]]
    meshes = [rocks.mesh(int(index)).points for index in chosen]
    for index, points, ground in zip(chosen, meshes, lowest_under(scene, meshes), strict=True):
        low, high = points[:, 2].min(), points[:, 2].max()
        share = (ground - low) / (high - low)
        assert share > 0.0, "floats"
        assert interval.lo - 0.05 <= share <= interval.hi + 0.01
        assert share == pytest.approx(rocks.burial[index], abs=0.06)


def test_diameter_is_the_largest_horizontal_extent(scene):
    """Measured over all directions on the placed mesh."""
    angle = np.linspace(0.0, np.pi, 180)
    for index in range(0, len(scene.rocks), 17):
        across = scene.rocks.mesh(index).points[:, :2] @ np.stack([np.cos(angle), np.sin(angle)])
        assert np.ptp(across, axis=0).max() == pytest.approx(scene.rocks.diameter[index], rel=0.01)


@pytest.mark.parametrize(("preset", "abundance"), [("v1", 0.05), ("v3", 0.02)])
def test_no_rock_is_inside_another(small_scene, preset, abundance):
    """No vertex lies deeper inside another rock than that rock is buried."""
    rocks = small_scene(preset, 2, abundance).rocks
    pairs = KDTree(rocks.position[:, :2]).query_pairs(2.0 * rocks.radius.max(), output_type="ndarray")
    gap = np.linalg.norm(np.diff(rocks.position[pairs][:, :, :2], axis=1)[:, 0], axis=1)
    close = pairs[gap < rocks.radius[pairs].sum(axis=1)]
    for first, second in close:
        for one, other in ((first, second), (second, first)):
            inner, outer = rocks.mesh(int(one)).points, rocks.mesh(int(other))
            depth = rocks.burial[other] * np.ptp(outer.points[:, 2])
            near = np.linalg.norm(inner - rocks.position[other], axis=1) < 0.5 * rocks.diameter[other]
            for point in inner[near]:
                if point_in_mesh(point, outer):
                    assert np.linalg.norm(outer.points - point, axis=1).min() <= depth


def test_discs_do_not_overlap():
    """Spacing keeps discs of many sizes apart, or leaves them out."""
    random = rng(0, "discs")
    radius = np.sort(np.minimum(random.pareto(2.0, 600) * 0.05 + 0.02, 0.5))[::-1]
    xy, kept = space_out(radius, lambda index, attempt: random.uniform(-3.0, 3.0, (len(index), 2)))
    xy, radius = xy[kept], radius[kept]
    gap = np.linalg.norm(xy[:, None] - xy[None], axis=2) - radius[:, None] - radius[None]
    np.fill_diagonal(gap, 1.0)
    assert gap.min() >= 0.0
    assert kept.mean() > 0.95


def test_rocks_gather_around_fresh_craters(small_params):
    """Rocks within three radii of the fresher craters are more where ejecta are asked for."""
    inside = {0.0: 0, 0.8: 0}
    for seed in range(11, 17):
        scene = SceneSpec(seed=seed, crater_density=0.6, rock_abundance=0.01, rock_exponent=1.6, relief_strength=1.0)
        level = change_params(small_params("v3", shape_count=3), {"relief.enabled": False})
        terrain = build_terrain(level, scene)
        craters = terrain.craters
        fresh = craters[(craters["freshness"] > 0.5) & (craters["diameter"] > 2.0)]
        centers = np.stack([fresh["x"], fresh["y"]], axis=1)
        for share in inside:
            changes = {"rocks.ejecta_share": share, "rocks.diameter_min_m": 0.1, "rocks.far_radius_m": 0.0}
            params = change_params(level, changes)
            rocks = place_rocks(params, scene, terrain)
            distance = np.linalg.norm(rocks.position[:, None, :2] - centers[None], axis=2) / (0.5 * fresh["diameter"])
            here = np.abs(rocks.position[:, :2]).max(axis=1) <= 20.0
            inside[share] += int((distance[here] < 3.0).any(axis=1).sum())
    assert inside[0.8] > 1.15 * inside[0.0]


def test_larger_rocks_go_on_beyond_the_square(small_scene):
    """The areal law holds beyond the working area, from 0.3 m up."""
    scene = small_scene("v3", 0)
    rocks, law = scene.rocks, scene.params.rocks
    out = np.abs(rocks.position[:, :2]).max(axis=1) > 20.0
    assert rocks.diameter[out].min() >= rocks_module.FAR_DIAMETER_MIN_M
    assert np.hypot(*rocks.position[out, :2].T).max() <= law.far_radius_m
    expected = float(SizeLaw.of(law, scene.spec).areal_density(0.3)) * (np.pi * law.far_radius_m**2 - 1600.0)
    assert int(out.sum()) == pytest.approx(expected, rel=0.05)


def test_same_seed_same_rocks(small_params):
    """Placement is a function of parameters and seed."""
    params, spec = (
        small_params("v3"),
        SceneSpec(seed=3, crater_density=0.4, rock_abundance=0.003, rock_exponent=1.6, relief_strength=1.0),
    )
    one, two = build_scene(params, spec).rocks, build_scene(params, spec).rocks
    for name in ("position", "orientation", "scale", "diameter", "shape", "lod", "burial"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def test_no_rocks_where_none_are_asked_for(small_params):
    """Zero abundance is an empty field."""
    params, spec = (
        small_params("v3"),
        SceneSpec(seed=3, crater_density=0.0, rock_abundance=0.0, rock_exponent=1.6, relief_strength=1.0),
    )
    assert len(build_scene(params, spec).rocks) == 0


@pytest.mark.parametrize("family", ["blob", "basalt"])
def test_prototypes_are_closed_unit_meshes(family):
    """Every level is watertight, outward, centred, its longest horizontal side 1, with the triangles it promises."""
    params = RockParams(shape=family, shape_count=3)
    for levels in prototypes(params, 5):
        assert [len(mesh.faces) for mesh in levels] == [20 * 4**level for level in LEVELS[family]][
            : level_count(params)
        ]
        for mesh in levels:
            solid = trimesh.Trimesh(mesh.points, mesh.faces, process=False)
            assert solid.is_watertight and solid.is_winding_consistent and solid.volume > 0.05
            assert np.allclose(solid.bounds.sum(axis=0), 0.0, atol=1e-5)
            assert solid.extents[:2].max() == pytest.approx(1.0, abs=1e-5)


def test_basalt_shapes_are_distinct_and_angular():
    """At least 12 shapes differ from each other; their axes are lunar; their facets meet in edges, unlike blobs'."""
    shapes = prototypes(RockParams(shape_count=16), 0, finest=np.full(16, 1))
    outline = np.array([np.linalg.norm(levels[1].points, axis=1) for levels in shapes])
    apart = np.sqrt(((outline[:, None] - outline[None]) ** 2).mean(axis=2))
    np.fill_diagonal(apart, 1.0)
    assert (apart.min(axis=1) > 0.03).sum() >= 12
    extents = np.array([np.sort(np.ptp(levels[1].points, axis=0))[::-1] for levels in shapes])
    assert np.median(extents[:, 1] / extents[:, 0]) == pytest.approx(0.8, abs=0.1)
    assert np.median(extents[:, 2] / extents[:, 0]) == pytest.approx(0.6, abs=0.12)

    def edge(levels, level) -> float:
        mesh = levels[level]
        angles = trimesh.Trimesh(mesh.points, mesh.faces, process=False).face_adjacency_angles
        return float(np.percentile(angles, 95) / np.median(angles))

    blobs = prototypes(RockParams(shape="blob", shape_count=6), 0)
    assert np.median([edge(levels, 1) for levels in shapes]) > 1.2 * np.median([edge(levels, 1) for levels in blobs])


def test_levels_look_alike_whatever_else_is_built():
    """A level does not depend on how fine the others are."""
    coarse = prototypes(RockParams(shape_count=2), 9, finest=np.array([0, 2]))
    fine = prototypes(RockParams(shape_count=2), 9, finest=np.array([3, 3]))
    assert np.array_equal(coarse[0][0].points, fine[0][0].points)
    assert np.array_equal(coarse[1][2].points, fine[1][2].points)


def test_detail_follows_apparent_size():
    """A 1 m rock at 5 m gets at least 20480 triangles, a 3 cm one 320."""
    pixels = np.array([512.0 * 1.0 / 5.0, 512.0 * 0.03 / 1.6])
    levels = [20 * 4 ** LEVELS["basalt"][index] for index in detail_level(RockParams(), pixels)]
    assert levels[0] >= 20480 and levels[1] == 320
