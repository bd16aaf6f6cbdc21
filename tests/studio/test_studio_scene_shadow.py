"""Shadows of the 3D view against the light itself, ray by ray."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scene_stage import small_stage

from regolith.lunar.stage.mesh import Heightfield, TriMesh
from regolith.lunar.studio.scene_aim import direction
from regolith.lunar.studio.scene_mesh import SceneMesh, StageContent, build_mesh, read_content
from regolith.lunar.studio.scene_shadow import (
    GRAZE_M,
    Casters,
    Sunset,
    cut_shadows,
    make_casters,
    shaded_rocks,
)


@pytest.fixture(scope="module", name="content")
def fixture_content() -> StageContent:
    return read_content(small_stage().stage)


@pytest.fixture(scope="module", name="mesh")
def fixture_mesh(content: StageContent) -> SceneMesh:
    return build_mesh(content, triangles=20_000)


@pytest.fixture(scope="module", name="casters")
def fixture_casters(content: StageContent, mesh: SceneMesh) -> Casters:
    return make_casters(content, mesh)


def wall(height: float) -> Casters:
    """Level ground with a wall along Y at x = 0, 0.2 m wide and with slopes of 0.1 m."""
    top = np.zeros((201, 201), np.float32)
    top[:, 99:102] = height
    return Casters(top, 10.0)


@pytest.mark.parametrize("elevation", [5.0, 20.0, 45.0])
@pytest.mark.parametrize("azimuth", [0.0, 180.0, 30.0, 200.0])
def test_the_shadow_of_a_wall_is_as_long_as_it_should_be(elevation: float, azimuth: float) -> None:
    tall = 0.4
    sunset = Sunset(wall(tall), direction(elevation, azimuth))
    away = -math.copysign(1.0, math.cos(math.radians(azimuth)))
    length = tall / math.tan(math.radians(elevation)) * abs(math.cos(math.radians(azimuth)))
    x = away * np.linspace(0.35, 9.0, 400)
    dark = sunset.height(x, np.zeros_like(x)) > 0.0
    assert np.abs(x[dark]).max(initial=0.35) == pytest.approx(min(max(length + 0.1, 0.35), 9.0), abs=0.1)
    assert dark[np.abs(x) < length].all()
    assert not (sunset.height(-x, np.zeros_like(x)) > 0.0).any()  # towards the sun there is none


def test_under_the_zenith_nothing_lies_in_shadow(mesh: SceneMesh, casters: Casters, content: StageContent) -> None:
    sunset = Sunset(casters, np.array([0.0, 0.0, 1.0]))
    assert not len(cut_shadows(content, mesh, sunset).faces)
    assert not shaded_rocks(content, sunset).any()


@pytest.mark.parametrize(("elevation", "azimuth"), [(8.0, 33.0), (15.0, 251.0)])
def test_shadows_are_where_the_light_does_not_reach(casters: Casters, elevation: float, azimuth: float) -> None:
    sun = direction(elevation, azimuth)
    ground = Heightfield(casters.top, casters.cell_m)
    random = np.random.default_rng(2)
    xy = random.uniform(-9.0, 9.0, (2000, 2))
    z = ground.facet_height(*xy.T)
    depth = Sunset(casters, sun).height(*xy.T) - z
    steps = np.arange(1.5, 700.0, 0.5) * casters.cell_m
    along = xy[:, None] + steps[:, None] * (sun[:2] / np.hypot(*sun[:2]))
    rise = steps * math.tan(math.radians(elevation))
    above = ground.facet_height(along[..., 0], along[..., 1]) - rise
    inside = np.abs(along).max(axis=2) < casters.half_m
    traced = np.where(inside, above, -np.inf).max(axis=1) - z
    assert np.median(np.abs(depth - traced)) < 0.002  # sweep and ray read the heights between nodes a bit differently
    clear = np.abs(traced) > 0.015
    assert ((depth > 0.0) == (traced > 0.0))[clear].mean() > 0.985
    assert 0.02 < (depth > 0.0).mean() < 0.8
    assert (traced[clear] > 0.0).any()


def test_dark_triangles_lie_on_the_ground_and_face_up(content: StageContent, mesh: SceneMesh, casters: Casters) -> None:
    sunset = Sunset(casters, direction(10.0, 100.0))
    dark = cut_shadows(content, mesh, sunset)
    a, b, c = dark.points[dark.faces].astype(np.float64).transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    assert (normal[:, 2] > -1e-9).all()
    ground = Heightfield(mesh.lattice.astype(np.float32), casters.cell_m)
    x, y, z = dark.points.T.astype(np.float64)
    over = z - ground.facet_height(x, y)
    assert over.min() > -0.02 * content.coarseness(x, y).max()
    near = np.hypot(x, y) < content.focus_m
    assert 0.0 < np.median(over[near]) < 0.03
    depth = sunset.height(x, y) - ground.facet_height(x, y) - GRAZE_M
    assert (depth > -0.03).mean() > 0.96


def test_the_dark_part_is_as_large_as_what_lies_in_shadow(
    content: StageContent, mesh: SceneMesh, casters: Casters
) -> None:
    sunset = Sunset(casters, direction(10.0, 100.0))
    x, y = np.meshgrid(*(np.linspace(-content.half_m, content.half_m, len(mesh.lattice)),) * 2)
    share = (sunset.height(x, y) - mesh.lattice > GRAZE_M).mean()
    flat = cut_shadows(content, mesh, sunset)
    flat = TriMesh(flat.points * np.array([1.0, 1.0, 0.0]), flat.faces)
    assert 0.02 < share < 0.6
    assert area(flat) == pytest.approx(share * (2.0 * content.half_m) ** 2, rel=0.1)


def area(mesh: TriMesh) -> float:
    a, b, c = mesh.points[mesh.faces].astype(np.float64).transpose(1, 0, 2)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2.0)


def test_rocks_stand_out_of_the_grid_and_shade_each_other(
    content: StageContent, mesh: SceneMesh, casters: Casters
) -> None:
    rocks = content.rocks
    shallow = small_stage().scene.rocks.burial < 0.4  # the ground beside deeper ones may cover them in part
    large = np.flatnonzero(shallow & (rocks.diameter > 0.5) & (np.abs(rocks.position[:, :2]).max(axis=1) < 15.0))
    assert len(large) > 5
    raised = casters.top - mesh.lattice
    assert raised.min() > -1e-5
    for rock in large:
        column, row = np.rint((rocks.position[rock, :2] + casters.half_m) / casters.cell_m).astype(int)
        reach = int(0.25 * rocks.diameter[rock] / casters.cell_m)
        assert (raised[row - reach : row + reach + 1, column - reach : column + reach + 1] > 1e-3).all()
    low, high = (shaded_rocks(content, Sunset(casters, direction(elevation, 40.0))).mean() for elevation in (3.0, 50.0))
    assert high < 0.01 < 0.05 < low < 0.95
