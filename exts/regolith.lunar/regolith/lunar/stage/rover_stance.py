"""How the rover stands: on the ground under its wheels, clear of rocks, and moved there on a stage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pxr import Gf, Usd

from regolith.lunar.params.errors import InputError
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.point_mesh import point_in_mesh
from regolith.lunar.stage.pose import rover_matrix
from regolith.lunar.stage.spec import Stance

if TYPE_CHECKING:
    from regolith.lunar.stage.rocks import RockField
    from regolith.lunar.stage.terrain import Terrain

DRAWS = 256
"""Places tried before giving up."""

SINK_M = 0.01
"""How far a wheel presses into the ground [m]; chosen."""

TILT_MAX_DEG = 15.0
"""Steepest ground the rover is put on [deg]; chosen."""

WARP_MAX_DEG = 0.8 * (viper.DRIVES["suspension"].limit_deg or 0.0)
"""Farthest an arm is bent to reach the ground [deg]."""

SETTLING = 3
"""Times the wheels are put on the ground anew, for the rover's tilt moves them; a twentieth is left after each."""

_TREAD = np.stack(np.meshgrid(np.linspace(-0.9, 0.9, 13), np.linspace(-0.5, 0.5, 5), indexing="ij"), -1).reshape(-1, 2)
"""Where a wheel may touch the ground: along it over its radius, across it over its width, shape [N, 2]."""


def stand(terrain: Terrain, x_m: float, y_m: float, heading_deg: float, *, carries: bool) -> Stance:
    """Put the rover on the ground.

    Each wheel rests on the highest ground under its tread, `SINK_M` deep. The chassis takes the plane through the four
    axles that is nearest to all of them (for a rectangle, mean slopes along and across), and the arms bend to what is
    left: as much up at two opposite corners as down at the others.

    Args:
        terrain: Ground, micro-relief included.
        x_m: The rover's origin in the world frame [m].
        y_m: The same along Y [m].
        heading_deg: Ahead, anticlockwise from +X [deg].
        carries: Whether the frame's camera is on it.
    """
    signs = np.array(list(schema.CORNERS.values()), np.float64)
    level = np.column_stack([signs * (viper.AXLE_X_M, viper.AXLE_Y_M), np.full(4, viper.WHEEL_RADIUS_M)])
    stance = Stance(x_m, y_m, 0.0, heading_deg, 0.0, 0.0, (0.0, 0.0, 0.0, 0.0), carries)
    for _ in range(SETTLING):
        matrix = rover_matrix(stance)
        axles = level @ matrix[:3, :3] + matrix[3, :3]
        height = _axle_heights(terrain, axles[:, :2], heading_deg)
        ahead = float((signs[:, 0] * height).mean()) / viper.AXLE_X_M
        left = float((signs[:, 1] * height).mean()) / viper.AXLE_Y_M
        warp = float((signs[:, 0] * signs[:, 1] * height).mean()) / viper.ARM_M
        pitch = _arcsine(ahead)
        roll = _arcsine(left / math.cos(pitch))
        upright = math.cos(pitch) * math.cos(roll)
        bend = math.degrees(_arcsine(warp / upright))
        front, rear = bend, -bend  # a turn about +X raises a left wheel and lowers a right one
        stance = Stance(
            x_m=x_m,
            y_m=y_m,
            z_m=float(height.mean()) - viper.WHEEL_RADIUS_M * upright,
            heading_deg=heading_deg,
            pitch_deg=math.degrees(pitch),
            roll_deg=math.degrees(roll),
            arms_deg=(front, front, rear, rear),
            carries=carries,
        )
    return stance


def _arcsine(value: float) -> float:
    return math.asin(max(-1.0, min(1.0, value)))


def _axle_heights(terrain: Terrain, axles: np.ndarray, heading_deg: float) -> np.ndarray:
    """Heights [m] of axles over the ground their wheels rest on, shape [4], from their places (x, y), shape [4, 2]."""
    heading = math.radians(heading_deg)
    ahead = np.array([math.cos(heading), math.sin(heading)])
    left = np.array([-ahead[1], ahead[0]])
    along, across = viper.WHEEL_RADIUS_M * _TREAD[:, :1], viper.WHEEL_WIDTH_M * _TREAD[:, 1:]
    places = axles[:, None, :] + along * ahead + across * left
    ground = terrain.height(places[..., 0], places[..., 1])
    drop = np.sqrt(viper.WHEEL_RADIUS_M**2 - along[:, 0] ** 2)
    return (ground + drop).max(axis=1) - SINK_M


def fits(terrain: Terrain, rocks: RockField, stance: Stance) -> bool:
    """Whether the rover can stand so: not too steep, not too uneven, belly and drill off the ground, no rock in it."""
    tilt = math.acos(min(1.0, float(rover_matrix(stance)[2, 2])))
    if math.degrees(tilt) > TILT_MAX_DEG or max(map(abs, stance.arms_deg)) > WARP_MAX_DEG:
        return False
    return _belly_clear(terrain, stance) and not _meets_rocks(rocks, stance)


def check_stance(terrain: Terrain, rocks: RockField, stance: Stance) -> None:
    """Refuse a place where no rover can stand (`fits`).

    Raises:
        InputError: It cannot.
    """
    if not fits(terrain, rocks, stance):
        where = f"({stance.x_m:.2f}, {stance.y_m:.2f}) m"
        raise InputError("rover", where, f"even ground below {TILT_MAX_DEG:g} deg, without rocks under the rover")


def _belly_clear(terrain: Terrain, stance: Stance) -> bool:
    """Whether the ground under the frame stays below it, and below the drill."""
    length, width, belly, _ = viper.FRAME_M
    along, across = np.linspace(-0.5 * length, 0.5 * length, 9), np.linspace(-0.5 * width, 0.5 * width, 5)
    level = np.array([(x, y, 0.0) for x in along for y in across] + [viper.DRILL_M])
    matrix = rover_matrix(stance)
    places = level @ matrix[:3, :3] + matrix[3, :3]
    above = (terrain.height(places[:, 0], places[:, 1]) - places[:, 2]) * matrix[2, 2]
    return bool((above[:-1] < belly).all() and above[-1] < 0.0)


def _meets_rocks(rocks: RockField, stance: Stance) -> bool:
    """Whether a rock reaches into a box of the rover or a wheel, or holds one of the boxes."""
    matrix = rover_matrix(stance)
    near = np.hypot(*(rocks.position[:, :2] - matrix[3, :2]).T) < rocks.radius + viper.REACH_OUT_M
    for index in np.flatnonzero(near):
        points = (rocks.points(int(index)) - matrix[3, :3]) @ matrix[:3, :3].T
        if _in_wheels(points):
            return True
        low, high = points.min(axis=0), points.max(axis=0)
        for centre, size in viper.solid_boxes():
            away = np.abs(points - centre)
            if (away < 0.5 * np.array(size)).all(axis=1).any():
                return True
            if (low < centre).all() and (centre < high).all():  # no corner of the rock is in the box: in all or nothing
                local = TriMesh(points, rocks.mesh(int(index)).faces)
                if point_in_mesh(np.array(centre), local):
                    return True
    return False


def _in_wheels(points: np.ndarray) -> bool:
    """Whether points of the rover's frame, shape [V, 3], lie in a wheel; arms are taken as straight."""
    half = 0.5 * viper.WHEEL_WIDTH_M
    for sx, sy in schema.CORNERS.values():
        away = points - (sx * viper.AXLE_X_M, sy * viper.AXLE_Y_M, viper.WHEEL_RADIUS_M)
        round_ = away[:, 0] ** 2 + away[:, 2] ** 2 < viper.WHEEL_RADIUS_M**2
        if (round_ & (np.abs(away[:, 1]) < half)).any():
            return True
    return False


def park(terrain: Terrain, rocks: RockField, *, roam_m: float, random: np.random.Generator) -> Stance:
    """Draw where a rover stands that carries no camera: within `roam_m` of the origin, where it fits.

    Raises:
        InputError: No place was found.
    """
    for _ in range(DRAWS):
        radius, angle, heading = roam_m * math.sqrt(random.random()), 2.0 * math.pi * random.random(), random.random()
        x, y = radius * math.cos(angle), radius * math.sin(angle)
        stance = stand(terrain, x, y, 360.0 * heading, carries=False)
        if fits(terrain, rocks, stance):
            return stance
    raise InputError("rover.model", "viper", f"none here: no room between the rocks in {DRAWS} draws")


def move_rover(stage: Usd.Stage, stance: Stance) -> None:
    """Put the rover of a stage where and as it stands, its steering and its wheels turned.

    Raises:
        InputError: The stage has no rover.
    """
    for path, (place, turn) in rover_places(stance).items():
        _place(stage, path, place, turn)


def rover_places(stance: Stance) -> dict[str, tuple[tuple[float, float, float], Gf.Quatd]]:
    """Where a rover is that stands so, and where its arms, uprights and wheels are on it.

    Returns:
        Path of the rover and of each of these bodies to place [m] and turn: of the rover in the world frame, of the
        bodies in the rover's.
    """
    turn = Gf.Matrix4d(*rover_matrix(stance).ravel().tolist()).ExtractRotationQuat()
    found = {schema.ROVER: ((stance.x_m, stance.y_m, stance.z_m), turn)}
    angles = zip(schema.CORNERS, stance.arms_deg, stance.steering_deg, stance.wheels_deg, strict=True)
    for corner, *degrees in angles:
        bend, steering, rolled = map(math.radians, degrees)
        own = {"suspension": (bend, 1), "steering": (steering, 3), "wheel": (rolled, 2)}
        places = viper.corner_places(corner)
        x, pivot, z = places["suspension"]
        turn = Gf.Quatd(1.0)
        for part, (_, y, _) in places.items():  # all as high as the pivot
            beyond = max(abs(y) - viper.STEERING_Y_M, 0.0) * math.copysign(1.0, y)  # of the steering axis
            aside = math.sin(steering) * beyond
            out = y - pivot - (1.0 - math.cos(steering)) * beyond
            place = (x - aside, pivot + math.cos(bend) * out, z + math.sin(bend) * out)
            angle, axis = own[part]
            turn = turn * _about(angle, axis) if angle else turn
            found[schema.rover_body(part, corner)] = place, turn
    return found


def _about(radians: float, axis: int) -> Gf.Quatd:
    """Turn about X (1), Y (2) or Z (3)."""
    parts = [math.cos(0.5 * radians), 0.0, 0.0, 0.0]
    parts[axis] = math.sin(0.5 * radians)
    return Gf.Quatd(*parts)


def _place(stage: Usd.Stage, path: str, place: tuple[float, float, float], turn: Gf.Quatd) -> None:
    prim = stage.GetPrimAtPath(path)
    if not prim:
        raise InputError(path, "nothing", "a stage authored with a rover")
    prim.GetAttribute("xformOp:translate").Set(Gf.Vec3d(*place))
    prim.GetAttribute("xformOp:orient").Set(turn)
