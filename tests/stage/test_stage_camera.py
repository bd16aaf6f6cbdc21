"""Camera placement: clear of ground and rocks, on its mast, deterministic."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from regolith.lunar.params import InputError
from regolith.lunar.stage import camera
from regolith.lunar.stage.camera import place_camera
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.point_mesh import point_in_mesh, point_to_mesh
from regolith.lunar.stage.rocks import RockField
from regolith.lunar.stage.shapes import icosphere
from regolith.lunar.stage.spec import rng

POSE = {"height_m": 1.7, "pitch_deg": -6.0, "heading_deg": 40.0, "fov_deg": 60.0}


@pytest.mark.parametrize("seed", range(4))
def test_lens_is_clear_of_every_surface(small_scene, seed):
    """Exact distances to rocks and ground are at least the clearance; the lens is in no rock, at mast height."""
    scene = small_scene("v3", seed % 2, 0.02 if seed < 2 else 0.004)
    camera, rocks = scene.params.camera, scene.rocks
    for draw in range(6):
        lens = np.array(place_camera(scene, rng=rng(seed, draw), **POSE))
        ground = scene.terrain.height(lens[:1], lens[1:2])[0]
        assert np.hypot(lens[0], lens[1]) <= camera.roam_m
        assert lens[2] - ground == pytest.approx(1.7)
        near = np.flatnonzero(np.hypot(*(rocks.position[:, :2] - lens[:2]).T) < rocks.radius + 2.0)
        for index in near:
            mesh = rocks.mesh(int(index))
            assert not point_in_mesh(lens, mesh)
            assert point_to_mesh(lens, mesh) >= camera.clearance_m
        angle, radius = np.meshgrid(np.linspace(0, 6.28, 40), np.linspace(0, 3.0, 60))
        x, y = lens[0] + radius * np.cos(angle), lens[1] + radius * np.sin(angle)
        gap = np.sqrt(radius**2 + (lens[2] - scene.terrain.height(x, y)) ** 2)
        assert gap.min() >= camera.clearance_m


def test_placement_is_deterministic(scene):
    """The same stream gives the same place."""
    assert place_camera(scene, rng=rng(5, "c"), **POSE) == place_camera(scene, rng=rng(5, "c"), **POSE)


def _with_boulder(scene, scale: float):
    """The scene under one boulder on the ground at the origin."""
    field = scene.rocks
    points, faces = icosphere(2)
    one = RockField(
        prototypes=[[TriMesh(0.5 * points.astype(np.float32), faces)]],
        position=np.array([[0.0, 0.0, scene.terrain.height(np.zeros(1), np.zeros(1))[0]]]),
        orientation=np.array([[1, 0, 0, 0]], np.float32),
        scale=np.full(1, scale, np.float32),
        diameter=np.full(1, scale),
        shape=np.zeros(1, np.int32),
        lod=np.zeros(1, np.int32),
        burial=np.full(1, 0.5),
        radius=np.full(1, 0.5 * scale),
        dust=np.zeros(1),
        maturity=np.ones(1),
        angularity=np.zeros(1),
    )
    assert len(field) > 0
    return dataclasses.replace(scene, rocks=one)


def test_no_room_names_the_abundance(scene):
    """A boulder over the whole roaming area leaves no place."""
    with pytest.raises(InputError, match=r"rocks\.abundance"):
        place_camera(_with_boulder(scene, 40.0), rng=rng(0, "c"), **POSE)


def test_a_boulder_does_not_wall_off_the_view(scene, monkeypatch):
    """A boulder ahead spans at most three quarters of the field of view, as it would not without that rule."""
    scene, pose = _with_boulder(scene, 2.0), POSE | {"height_m": 0.8}
    axis = np.array([np.cos(np.radians(40.0)), np.sin(np.radians(40.0)), np.tan(np.radians(-6.0))])
    axis /= np.linalg.norm(axis)

    def spans_deg():
        lens = np.array([place_camera(scene, rng=rng(draw, "c"), **pose) for draw in range(60)])
        toward = scene.rocks.position - lens
        distance = np.linalg.norm(toward, axis=1)
        ahead = toward @ axis > np.cos(np.radians(30.0)) * distance
        return np.degrees(2.0 * np.arcsin(1.0 / distance[ahead]))

    spans = spans_deg()
    assert len(spans) and spans.max() <= 0.75 * 60.0
    monkeypatch.setattr(camera, "WALL_SHARE", 10.0)
    assert spans_deg().max() > 0.75 * 60.0


def test_distance_and_inside_of_a_sphere():
    """Point queries agree with a ball."""
    points, faces = icosphere(4)
    ball = TriMesh(points, faces)
    random = rng(1, "points")
    for point in random.normal(size=(40, 3)) * 1.2:
        radius = np.linalg.norm(point)
        assert point_to_mesh(point, ball) == pytest.approx(abs(radius - 1.0), abs=5e-3)
        if abs(radius - 1.0) > 0.01:
            assert point_in_mesh(point, ball) == (radius < 1.0)
