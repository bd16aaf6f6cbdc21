"""Pointers, sun and camera: what a drag asks for, and that poses are those of the stage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scene_stage import HEIGHT, WIDTH, small_stage

from regolith.lunar.render.view import read_camera, read_sun
from regolith.lunar.stage.pose import camera_angles, camera_matrix
from regolith.lunar.studio.scene_aim import CameraPose, Turn, angles, direction, limited, on_level, sun_of

elevations, azimuths = st.floats(0.5, 89.5), st.floats(0.0, 359.999)


@given(st.floats(-89.0, 89.9), azimuths, st.floats(0.01, 50.0))
def test_angles_invert_directions(elevation: float, azimuth: float, length: float) -> None:
    vector = direction(elevation, azimuth)
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    assert angles(vector * length) == pytest.approx((elevation, azimuth), abs=1e-6)


@given(azimuths, st.floats(-88.0, 88.0), st.floats(-170.0, 170.0))
def test_a_pose_gives_its_angles_back(heading: float, pitch: float, roll: float) -> None:
    found = camera_angles(camera_matrix((1.0, 2.0, 3.0), heading, pitch, roll))
    assert camera_matrix((1.0, 2.0, 3.0), *found) == pytest.approx(camera_matrix((1.0, 2.0, 3.0), heading, pitch, roll))
    assert found[1:] == (pytest.approx(pitch, abs=1e-6), pytest.approx(roll, abs=1e-6))


@settings(deadline=None)  # the first example builds the stage
@given(elevations, azimuths, st.floats(0.0, 360.0), st.floats(-60.0, 30.0), st.floats(-20.0, 20.0), st.floats(20, 120))
def test_sun_and_camera_are_those_of_the_stage(
    elevation: float, azimuth: float, heading: float, pitch: float, roll: float, fov: float
) -> None:
    small = small_stage()
    spec = small.lit(
        sun_elevation_deg=elevation, sun_azimuth_deg=azimuth, heading_deg=heading, pitch_deg=pitch, roll_deg=roll,
        fov_deg=fov,
    )  # fmt: skip
    stage = small.edited(spec)
    assert np.allclose(sun_of(spec), read_sun(stage).direction, atol=1e-6)
    pinhole, pose = read_camera(stage), CameraPose.of(spec, WIDTH, HEIGHT)
    assert np.array_equal(pose.position, pinhole.origin)
    right, up, forward = pinhole.axes
    assert np.allclose(pose.axes.T, [right, -up, forward], atol=1e-12)
    assert np.linalg.det(pose.axes) == pytest.approx(1.0)
    assert math.tan(0.5 * pose.fov_rad) * pose.aspect == pytest.approx(pinhole.tan_x, rel=1e-6)
    assert pose.aspect == WIDTH / HEIGHT


@given(st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.5, 20)), elevations, azimuths,
       st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
       st.tuples(st.floats(-4, 4), st.floats(-4, 4), st.floats(-4, 4)))  # fmt: skip
def test_a_ball_stays_under_the_pointer(
    eye: tuple[float, ...], elevation: float, azimuth: float, grip: tuple[float, ...], pull: tuple[float, ...]
) -> None:
    at, centre, radius = np.array(eye), np.array([1.0, 2.0, 0.5]), 4.0
    ball = centre + radius * direction(elevation, azimuth)
    grabbed = ball + np.array(grip)
    assume(np.linalg.norm(at - centre) > radius + 0.5 and np.linalg.norm(ball - at) > 1.0)
    edge = abs((ball - at) @ (ball - centre)) / np.linalg.norm(ball - at)
    assume(edge > 0.01)
    turn = Turn(centre, radius, ball, grabbed, at)
    assert turn.to(grabbed, at) == pytest.approx(direction(elevation, azimuth), abs=1e-6)  # no jump when it is taken
    pointer = grabbed + np.array(pull)
    assume(np.linalg.norm(pointer - at) > 0.5)
    found = turn.to(pointer, at)
    assert np.linalg.norm(found) == pytest.approx(1.0)
    ray = pointer + ball - grabbed - at
    assume(np.linalg.norm(ray) > 0.1)
    ray /= np.linalg.norm(ray)
    nearest = np.linalg.norm(np.cross(ray, centre - at))
    if nearest < radius and ray @ (centre - at) > 0.0:  # the line of sight meets the sphere: the ball is on it
        assert np.linalg.norm(np.cross(ray, centre + radius * found - at)) < 1e-6


def test_pulled_over_the_edge_and_back_a_ball_is_on_the_other_side() -> None:
    centre, eye = np.zeros(3), np.array([-10.0, 0.0, 0.0])
    ball = direction(60.0, 0.0) * 4.0  # behind the dome's top
    turn = Turn(centre, 4.0, ball, ball, eye)
    assert turn.to(np.array([0.0, 0.0, 3.0]), eye)[0] > 0.0
    edge = turn.to(np.array([0.0, 0.0, 9.0]), eye)
    assert abs(edge[0]) < 0.5
    assert edge[2] > 0.9
    turn.to(np.array([0.0, 0.0, 8.0]), eye)  # still off it
    assert turn.to(np.array([0.0, 0.0, 3.0]), eye)[0] < 0.0


def test_from_inside_a_sphere_a_ball_follows_the_line_of_sight() -> None:
    turn = Turn(np.zeros(3), 4.0, np.array([4.0, 0.0, 0.0]), np.array([4.0, 0.0, 0.0]), np.zeros(3))
    assert turn.to(np.array([1.0, 1.0, 0.0]), np.zeros(3)) == pytest.approx(direction(0.0, 45.0))


def test_levels() -> None:
    eye = np.array([0.0, 0.0, 4.0])
    assert on_level(eye, np.array([1.0, 0.5, 2.0]), 0.0) == pytest.approx([2.0, 1.0, 0.0])
    assert on_level(eye, np.array([1.0, 0.0, 4.0]), 0.0) is None
    assert on_level(eye, np.array([1.0, 0.0, 5.0]), 0.0) is None  # it looks up


def test_limits_are_those_of_the_parameters() -> None:
    assert limited("sun_elevation_deg", -7.0) == 0.0
    assert limited("sun_elevation_deg", 33.0) == 33.0
    assert limited("pitch_deg", -90.0) == -89.0
    assert limited("pitch_deg", 80.0) == 45.0
