"""Ways round rocks, and what a path and its steering ask of the wheels."""

import itertools
import math

import numpy as np
import pytest
from pxr import Gf
from small_stage import about, add_rover, ground_stage

from regolith.lunar.physics.plan import CELL_M, Clearance
from regolith.lunar.physics.read import read_world
from regolith.lunar.physics.soil import Rim
from regolith.lunar.physics.steering import LOOKAHEAD_M, Follower, Layout, Route, read_layout, turn_about, turn_on_spot
from regolith.lunar.physics.world import Pose, Shape
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema

UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


def block(x: float, y: float, half_x: float, half_y: float) -> Shape:
    """A rock with a rectangular shadow."""
    corners = [(a * half_x, b * half_y, c) for a in (-1, 1) for b in (-1, 1) for c in (0.0, 1.0)]
    return Shape("/World/Rocks/rock", "hull", Pose(np.array([x, y, 0.0]), UPRIGHT), (), np.array(corners))


@pytest.fixture(scope="module", name="layout")
def fixture_layout() -> Layout:
    """Wheels of the rover."""
    stage = ground_stage()
    add_rover(stage)
    return read_layout(read_world(stage))


def test_wheels_are_where_they_are_however_the_rover_stands(layout: Layout) -> None:
    stage = ground_stage()
    add_rover(stage)
    rover = stage.GetPrimAtPath(schema.ROVER)
    rover.GetAttribute("xformOp:translate").Set(Gf.Vec3d(1.3, -2.1, 0.7))
    rover.GetAttribute("xformOp:orient").Set(Gf.Quatd(about((0.2, 0.3, 1.0), 70.0)))
    found = read_layout(read_world(stage))
    assert found.hub == pytest.approx(layout.hub, abs=1e-6)
    assert found.pivot == pytest.approx(layout.pivot, abs=1e-6)
    assert set(found.wheels.rims) == {Rim(viper.WHEEL_RADIUS_M, viper.WHEEL_WIDTH_M)}
    assert found.wheels.axle == pytest.approx(layout.wheels.axle, abs=1e-6)


def test_clearance_is_the_distance_to_the_footprint() -> None:
    field = Clearance.of_rocks([block(1.0, 0.0, 0.5, 2.0)], half=6.0)
    places = np.array([(3.0, 0.0), (-1.0, 1.0), (1.2, 1.5), (1.5 + 3.0, 2.0 + 0.0), (-2.0, 5.0), (7.0, 0.0)])
    expected = [1.5, 1.5, 0.0, 3.0, math.hypot(2.5, 3.0), 0.0]
    assert field.at(places) == pytest.approx(expected, abs=1.5 * CELL_M)


def test_a_way_round_a_wall_is_the_shortest_that_stays_clear() -> None:
    """Round the corner of a wall at a distance: two tangents and an arc, to which a grid comes near."""
    clear = 1.0
    field = Clearance.of_rocks([block(0.0, -3.0, 0.1, 5.0)], half=6.0)  # reaches up to y = 2
    start, goal = np.array([-4.0, 0.0]), np.array([4.0, 0.0])
    way = field.way(start, goal, clear)
    assert way is not None
    assert (way[0] == start).all()
    assert (way[-1] == goal).all()
    assert all(field.clear(a, b, clear) for a, b in itertools.pairwise(way))
    length = np.linalg.norm(np.diff(way, axis=0), axis=1).sum()
    reach, rise = 4.0 - 0.1, 2.0
    span = math.hypot(reach, rise)
    turn = math.atan2(rise, reach) + math.asin(clear / span)  # direction of the tangent, and the arc down to level
    shortest = 2.0 * (math.sqrt(span**2 - clear**2) + clear * turn + 0.1)
    assert shortest - 2.0 * CELL_M < length < 1.05 * shortest
    assert not field.clear(start, goal, clear)


def test_where_there_is_no_way_there_is_none() -> None:
    field = Clearance.of_rocks([block(0.0, 0.0, 0.1, 6.0)], half=6.0)
    assert field.way(np.array([-4.0, 0.0]), np.array([4.0, 0.0]), 0.5) is None
    assert field.way(np.array([-0.2, 0.0]), np.array([-4.0, 0.0]), 0.5) is None  # too near to begin with
    free = Clearance.of_rocks([], half=6.0).way(np.array([-4.0, 0.0]), np.array([4.0, 1.0]), 0.5)
    assert free == pytest.approx(np.array([(-4.0, 0.0), (4.0, 1.0)]))


def wheel_velocity(layout: Layout, steering: np.ndarray, speed: float, rate: float) -> np.ndarray:
    """Velocity of the hubs of a body that moves ahead at a speed and turns at a rate, shape [4, 2]."""
    arm = (layout.hub - layout.pivot)[:, 1]
    hubs = layout.pivot + arm[:, None] * np.column_stack([-np.sin(steering), np.cos(steering)])
    return np.column_stack([speed - rate * hubs[:, 1], rate * hubs[:, 0]])


@pytest.mark.parametrize("curvature", [0.0, 0.1, -0.4, 0.8])
def test_no_wheel_scrubs_in_a_turn(layout: Layout, curvature: float) -> None:
    """Each rolls along the direction it points in, at the speed of the ground there."""
    command = turn_about(layout, speed=0.2, curvature=curvature)
    velocity = wheel_velocity(layout, command.steering, 0.2, 0.2 * curvature)
    along = np.column_stack([np.cos(command.steering), np.sin(command.steering)])
    assert command.rates * layout.radius == pytest.approx((velocity * along).sum(axis=1))
    assert velocity - (velocity * along).sum(axis=1)[:, None] * along == pytest.approx(np.zeros((4, 2)), abs=1e-12)
    assert (np.abs(command.steering) <= layout.limit).all()


@pytest.mark.parametrize("rate", [0.3, -0.3])
def test_no_wheel_scrubs_on_the_spot(layout: Layout, rate: float) -> None:
    command = turn_on_spot(layout, rate=rate)
    velocity = wheel_velocity(layout, command.steering, 0.0, rate)
    along = np.column_stack([np.cos(command.steering), np.sin(command.steering)])
    assert command.rates * layout.radius == pytest.approx((velocity * along).sum(axis=1))
    assert velocity - (velocity * along).sum(axis=1)[:, None] * along == pytest.approx(np.zeros((4, 2)), abs=1e-12)
    assert (np.abs(command.steering) <= layout.limit).all()


def test_the_point_steered_for_lies_ahead_and_never_goes_back() -> None:
    route = Route(np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 3.0)]))
    assert route.length == 7.0
    assert route.ahead(np.array([1.0, 0.3]), LOOKAHEAD_M) == pytest.approx([2.0, 0.0])
    assert route.ahead(np.array([2.8, 0.0]), LOOKAHEAD_M) == pytest.approx([3.8, 0.0])
    assert route.ahead(np.array([1.0, 0.0]), LOOKAHEAD_M) == pytest.approx([3.8, 0.0])
    assert route.ahead(np.array([4.0, 0.5]), LOOKAHEAD_M) == pytest.approx([4.0, 1.5])
    assert route.ahead(np.array([4.0, 2.8]), LOOKAHEAD_M) == pytest.approx([4.0, 3.0])


def test_pursuit_converges_on_the_route_in_a_plane(layout: Layout) -> None:
    """A point that moves as commanded, without any engine: first it turns on the spot, then it closes in."""
    place, heading = np.array([0.0, 1.0]), math.pi
    follower = Follower(layout, Route(np.array([(0.0, 0.0), (12.0, 0.0)])), speed=0.2, mode="ackermann")
    gaps = []
    for _ in range(900):
        command = follower.command(place, heading)
        on_spot = bool(np.sign(command.rates[0]) != np.sign(command.rates[1]))
        if on_spot:
            heading -= float(np.mean(command.rates * [1, -1, 1, -1])) * layout.radius / math.hypot(0.5, 0.62) * 0.1
        else:
            x, y = layout.pivot[0]
            curvature = math.tan(command.steering[0]) / (x + y * math.tan(command.steering[0]))
            place = place + 0.02 * np.array([math.cos(heading), math.sin(heading)])
            heading += 0.02 * curvature
        gaps.append(abs(place[1]))
        if place[0] > 11.0:
            break
    assert gaps[-1] < 0.02
    assert max(gaps) < 1.1
    assert place[0] > 11.0
