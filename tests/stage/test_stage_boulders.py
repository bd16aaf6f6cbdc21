"""Boulders that fill the picture: relief, fractures, pits, shapes, inclusions and dust."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import trimesh
from pxr import Usd, UsdGeom, UsdShade
from scipy.spatial.transform import Rotation

from regolith.lunar.params import load_preset
from regolith.lunar.params.fields import Interval
from regolith.lunar.params.scene import RockParams
from regolith.lunar.render.compile import compile_stage
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.layer import face_normals
from regolith.lunar.stage.patches import COARSEST, rock_patches
from regolith.lunar.stage.scene import Scene
from regolith.lunar.stage.shapes import prototypes
from regolith.lunar.stage.spec import SceneSpec
from regolith.lunar.stage.weathering import weather

ALL = {"fractures": 0.03, "relief": 0.01, "pits": 120, "angularity": Interval(0.8), "slab_share": 0.5}


def weathered(seed: int, **rocks) -> np.ndarray:
    """Distance of a shape's vertices from its origin over what it was before weathering, less 1, shape [V]."""
    points = 2.0 * prototypes(RockParams(shape_count=1), seed, finest=np.array([4]))[0][4].points.astype(np.float64)
    changed = weather(points, RockParams(**rocks), np.random.default_rng(seed))
    ratio = (changed * points).sum(axis=1) / (points * points).sum(axis=1)
    assert np.allclose(changed, points * ratio[:, None], atol=1e-9)  # along the rays from the origin: star-shaped
    return ratio - 1.0


@pytest.fixture(name="boulders", scope="module")
def fixture_boulders() -> Scene:
    """A small field of coarse boulders with inclusions, bare to dusty."""
    params = load_preset("boulders")
    rocks = {"shape_count": 2, "subdivision": 5, "far_radius_m": 0.0, "diameter_min_m": 0.3, "diameter_max_m": 3.0}
    relief = {"near_cell_m": 0.05, "near_radius_m": 2.0, "mid_cell_m": 0.1, "mid_radius_m": 4.0, "pebble_density": 20.0}
    params = params.model_copy(update={
        "terrain": params.terrain.model_copy(update={"cell_m": 0.4, "far_radius_m": 200.0}),
        "relief": params.relief.model_copy(update=relief),
        "rocks": params.rocks.model_copy(update=rocks),
    })  # fmt: skip
    spec = SceneSpec(3, crater_density=0.3, rock_abundance=0.05, rock_exponent=1.2, relief_strength=1.0)
    return build_scene(params, spec)


@pytest.fixture(name="stage", scope="module")
def fixture_stage(boulders: Scene) -> Usd.Stage:
    return author_stage(boulders)


def test_weathered_prototypes_are_closed_unit_meshes():
    """Also with everything on and at the finest level: watertight, outward, star-shaped, longest side 1."""
    for levels in prototypes(RockParams(shape_count=1, subdivision=7, **ALL), 5):
        assert len(levels[-1].faces) == 327680
        for mesh in levels:
            solid = trimesh.Trimesh(mesh.points, mesh.faces, process=False)
            assert solid.is_watertight and solid.is_winding_consistent and solid.volume > 0.03
            assert solid.extents[:2].max() == pytest.approx(1.0, abs=1e-5)


def test_weathered_levels_do_not_depend_on_the_finest():
    """Up to the last digits of the scale: each is the same surface at other vertices."""
    params = RockParams(shape_count=1, subdivision=7, **ALL)
    coarse = prototypes(params, 9, finest=np.array([3]))[0]
    fine = prototypes(params, 9, finest=np.array([5]))[0]
    assert np.array_equal(coarse[3].points, fine[3].points)


@pytest.mark.parametrize("relief", [0.005, 0.02])
def test_relief_has_the_height_asked_for(relief):
    """Its RMS over the diameter, which is twice the radius it is measured against, on average over shapes."""
    rms = [0.5 * float(np.std(weathered(seed, relief=relief))) for seed in range(4)]
    assert np.mean(rms) == pytest.approx(relief, rel=0.15)
    assert max(rms) < 1.4 * min(rms)


def test_pits_only_take_away():
    """More of them take more, to a few per cent of the diameter."""
    few, many = weathered(2, pits=60), weathered(2, pits=400)
    assert few.max() <= 0.0 and many.max() <= 0.0
    assert -0.06 < many.min() < few.min() + 0.01
    assert 0.003 < (few < -0.004).mean() < (many < -0.004).mean() < 0.5


def test_fractures_leave_planes_and_edges():
    """Between sharp edges there is more plane rock than before: the quartiles of the bend go apart."""

    def bends(**rocks) -> np.ndarray:
        units = prototypes(RockParams(shape_count=3, **rocks), 7, finest=np.full(3, 4))
        return np.concatenate([
            trimesh.Trimesh(levels[4].points, levels[4].faces, process=False).face_adjacency_angles for levels in units
        ])  # fmt: skip

    plain, broken = bends(), bends(fractures=0.03)
    assert np.percentile(broken, 99) > 1.2 * np.percentile(plain, 99)
    assert np.percentile(broken, 40) < 1.1 * np.percentile(plain, 40)


def test_angularity_goes_from_soft_to_sharp():
    """Edges, the sharpest bends of a coarse level, over what is usual; and the default is what basalt always was."""

    def edges(angularity: float) -> float:
        units = prototypes(RockParams(shape_count=6, angularity=Interval(angularity)), 7, finest=np.full(6, 2))
        meshes = [trimesh.Trimesh(levels[2].points, levels[2].faces, process=False) for levels in units]
        return float(np.median([np.percentile(mesh.face_adjacency_angles, 95) for mesh in meshes]))

    soft, usual, sharp = (edges(angularity) for angularity in (0.0, 0.5, 1.0))
    assert soft < usual < sharp


def test_slabs_are_flat():
    """A slab's height over its width is half of what is usual; their share is the one asked for."""

    def flatness(share: float) -> np.ndarray:
        units = prototypes(RockParams(shape_count=24, slab_share=share), 1, finest=np.zeros(24, int))
        return np.array([np.ptp(levels[0].points[:, 2]) for levels in units])

    usual, all_slabs, some = flatness(0.0), flatness(1.0), flatness(0.5)
    assert np.allclose(all_slabs / usual, 0.45, atol=0.12)
    assert 5 <= (some < 0.75 * usual).sum() <= 19


def test_dust_lies_on_what_faces_up(boulders):
    """No dust on overhangs or on bare rocks; the dustier a rock, the more of what faces up it covers."""
    rocks = boulders.rocks
    assert rocks.dust.min() < 0.2 and rocks.dust.max() > 0.8
    amounts, covered = [], []
    for index, (dust, bright, dark) in rock_patches(rocks, boulders.params.rocks, 3):
        mesh = rocks.prototypes[rocks.shape[index]][rocks.lod[index]]
        turn = Rotation.from_quat(rocks.orientation[index].astype(np.float64), scalar_first=True)
        up = face_normals(mesh.points, mesh.faces) @ turn.as_matrix()[2]
        assert (up[dust] > 0.25).all()
        assert len(np.unique(np.concatenate([dust, bright, dark]))) == len(dust) + len(bright) + len(dark)
        amounts.append(rocks.dust[index])
        covered.append(len(dust) / max((up > 0.7).sum(), 1))
    assert np.corrcoef(amounts, covered)[0, 1] > 0.9
    assert max(c for a, c in zip(amounts, covered, strict=True) if a < 0.1) < 0.05
    assert np.mean([c for a, c in zip(amounts, covered, strict=True) if a > 0.9]) > 0.6


def test_inclusions_crop_out_on_their_share(boulders):
    """Bright and dark alike, about the share of the surface asked for."""
    params = boulders.params.rocks.model_copy(update={"clasts": 0.1})
    bare = dataclasses.replace(boulders.rocks, dust=np.zeros(len(boulders.rocks)))
    counts = np.array([
        [len(bright), len(dark), len(bare.prototypes[bare.shape[i]][bare.lod[i]].faces)]
        for i, (_, bright, dark) in rock_patches(bare, params, 3)
    ])  # fmt: skip
    share = counts[:, :2].sum() / counts[:, 2].sum()
    assert share == pytest.approx(0.1, abs=0.05)
    assert 0.5 < counts[:, 0].sum() / counts[:, 1].sum() < 2.0


def test_patches_bind_materials_and_leave_labels(boulders, stage):
    """Subsets of faces bind the ground's look and those of inclusions; every rock keeps its one label and number."""
    tables = compile_stage(stage)
    rocks = [placed for placed in tables.objects if placed.path.startswith(schema.ROCKS)]
    assert [placed.instance for placed in rocks] == list(range(1, len(boulders.rocks) + 1))
    assert {str(a.GetName()) for p in stage.Traverse() if p.IsA(UsdGeom.Subset) for a in p.GetAttributes()
            if a.GetName().startswith("semantics")} == set()  # fmt: skip
    looks = [schema.LOOK_GROUND, schema.LOOK_ROCK, schema.LOOK_BRIGHT, schema.LOOK_DARK]
    numbers = [tables.materials.index(look) for look in looks]
    patched = 0
    for index, placed in enumerate(rocks):
        if placed.patches is None:
            continue
        patched += 1
        assert boulders.rocks.lod[index] >= COARSEST
        assert set(np.unique(placed.patches)) <= set(numbers)
        dust = UsdGeom.Subset(stage.GetPrimAtPath(f"{placed.path}/Dust"))
        if dust:
            bound, _ = UsdShade.MaterialBindingAPI(dust.GetPrim()).ComputeBoundMaterial()
            assert str(bound.GetPath()) == schema.LOOK_GROUND
            assert (placed.patches[np.array(dust.GetIndicesAttr().Get())] == numbers[0]).all()
    assert patched > 10


def test_inclusions_follow_the_rock(stage):
    """Their albedo is the rock's times and over the contrast, frame by frame."""
    from regolith.lunar.stage.edit import set_ground

    set_ground(stage, 0.1, 0.95, 1.2)
    value = {
        look: stage.GetAttributeAtPath(f"{look}.{schema.PHOTOMETRY}albedo").Get()
        for look in (schema.LOOK_BRIGHT, schema.LOOK_DARK)
    }
    assert value == {schema.LOOK_BRIGHT: pytest.approx(0.12 * 1.45), schema.LOOK_DARK: pytest.approx(0.12 / 1.45)}
