"""Where the camera may stand: on its mast above the ground, clear of every surface, its view not walled off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from regolith.lunar.params.errors import InputError
from regolith.lunar.stage.edit import camera_matrix
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.stereo import baseline_m

if TYPE_CHECKING:
    from regolith.lunar.stage.scene import Scene

DRAWS = 256
"""Places tried before giving up."""

VIEW = ("height_m", "pitch_deg", "roll_deg", "heading_deg", "fov_deg")
"""Values of a frame that its place depends on."""

WALL_SHARE = 0.75
"""Share of the horizontal field of view a single rock may fill."""


def place_camera(
    scene: Scene,
    *,
    rng: np.random.Generator,
    height_m: float,
    pitch_deg: float,
    heading_deg: float,
    fov_deg: float,
    roll_deg: float = 0.0,
) -> tuple[float, float, float]:
    """Draw a place for the lens within `camera.roam_m` of the origin.

    The lens is `height_m` above the ground below it, at least `camera.clearance_m` from every surface, in no rock, and
    no rock fills more than three quarters of its field of view. The same holds for the right lens of a stereo pair, but
    for its height.

    Args:
        scene: Scene to stand in.
        rng: Stream to draw places from.
        height_m: Lens above the local ground [m].
        pitch_deg: Optical axis above the horizon [deg].
        heading_deg: Optical axis in the XY plane, anticlockwise from +X [deg].
        fov_deg: Horizontal field of view [deg].
        roll_deg: Clockwise roll seen from behind the camera [deg].

    Returns:
        Lens position (x, y, z) in the world frame [m].

    Raises:
        InputError: No place was found; the scene is too full of rocks.
    """
    camera = scene.params.camera
    pitch, heading = math.radians(pitch_deg), math.radians(heading_deg)
    axis = np.array([math.cos(pitch) * math.cos(heading), math.cos(pitch) * math.sin(heading), math.sin(pitch)])
    right = right_offset(scene, heading_deg=heading_deg, pitch_deg=pitch_deg, roll_deg=roll_deg)
    for _ in range(DRAWS):
        radius, angle = camera.roam_m * math.sqrt(rng.random()), 2.0 * math.pi * rng.random()
        x, y = radius * math.cos(angle), radius * math.sin(angle)
        lens = lens_above(scene, x, y, height_m)
        if not _sees_freely(scene, lens, axis, fov_deg):
            continue
        if right is None or (_has_ground(scene, lens + right) and _sees_freely(scene, lens + right, axis, fov_deg)):
            return float(lens[0]), float(lens[1]), float(lens[2])
    if height_m <= camera.clearance_m:
        raise InputError("domain.height_m", height_m, f"above camera.clearance_m, {camera.clearance_m:g} m")
    share = scene.spec.rock_abundance
    raise InputError("rocks.abundance", share, f"fewer rocks: no room for the camera in {DRAWS} draws")


def lens_above(scene: Scene, x: float, y: float, height_m: float) -> np.ndarray:
    """Lens `height_m` above the ground below it.

    Args:
        scene: Scene to stand in.
        x: Place in the world frame [m].
        y: Place in the world frame [m].
        height_m: Lens above the local ground [m].

    Returns:
        Position in the world frame [m], float64, shape [3].
    """
    return np.array([x, y, float(scene.terrain.height(np.array([x]), np.array([y]))[0]) + height_m])


def right_offset(scene: Scene, *, heading_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray | None:
    """Right lens of the stereo pair from the left one.

    Args:
        scene: Scene with the pair's baseline.
        heading_deg: Optical axis in the XY plane, anticlockwise from +X [deg].
        pitch_deg: Optical axis above the horizon [deg].
        roll_deg: Clockwise roll seen from behind the camera [deg].

    Returns:
        Vector in the world frame [m], float64, shape [3]; None where there is no right camera.
    """
    baseline = baseline_m(scene.params)
    return baseline * camera_matrix((0.0, 0.0, 0.0), heading_deg, pitch_deg, roll_deg)[0, :3] if baseline else None


def check_lens(scene: Scene, lens: np.ndarray) -> None:
    """Refuse a place where no camera can be: outside the working area, in a rock, too near a surface.

    It is less than `place_camera` asks for: the lens may be further than `camera.roam_m` from the origin, and a rock
    may fill its view.

    Args:
        scene: Scene to stand in.
        lens: Position in the world frame [m], shape [3].

    Raises:
        InputError: It cannot be there.
    """
    clearance, grid = scene.params.camera.clearance_m, scene.terrain.grid
    for name, place, half in (("camera_x_m", lens[0], grid.half_x), ("camera_y_m", lens[1], grid.half_y)):
        limit = half - clearance
        if not abs(place) <= limit:
            raise InputError(name, round(float(place), 3), f"in the working area, {-limit:g} … {limit:g} m")
    if not _clear_of_ground(scene, lens, clearance) or not _clear_of_rocks(scene, lens, clearance):
        where = f"({lens[0]:.2f}, {lens[1]:.2f}, {lens[2]:.2f}) m"
        raise InputError("camera", where, f"a place {clearance:g} m or more from ground and rocks")


def _sees_freely(scene: Scene, lens: np.ndarray, axis: np.ndarray, fov_deg: float) -> bool:
    """Whether a lens is clear of ground and rocks, and none of these walls off its view."""
    clearance = scene.params.camera.clearance_m
    if not _clear_of_ground(scene, lens, clearance):
        return False
    return _clear_of_rocks(scene, lens, clearance) and not _walled_off(scene, lens, axis, fov_deg)


def _has_ground(scene: Scene, lens: np.ndarray) -> bool:
    """Whether a lens is over the working area."""
    grid, clearance = scene.terrain.grid, scene.params.camera.clearance_m
    return abs(lens[0]) <= grid.half_x - clearance and abs(lens[1]) <= grid.half_y - clearance


def _clear_of_ground(scene: Scene, lens: np.ndarray, clearance: float) -> bool:
    offset = np.linspace(-clearance, clearance, 9)
    dx, dy = (part.ravel() for part in np.meshgrid(offset, offset))
    ground = scene.terrain.height(lens[0] + dx, lens[1] + dy)
    if (ground >= lens[2])[dx**2 + dy**2 <= clearance**2].any():
        return False
    return bool((dx**2 + dy**2 + (lens[2] - ground) ** 2 >= clearance**2).all())


def _clear_of_rocks(scene: Scene, lens: np.ndarray, clearance: float) -> bool:
    rocks = scene.rocks
    beside = np.hypot(*(rocks.position[:, :2] - lens[:2]).T) < rocks.radius + clearance
    for index in np.flatnonzero(beside):
        mesh = rocks.mesh(int(index))
        if mesh.points[:, 2].max() + clearance < lens[2]:
            continue
        if point_in_mesh(lens, mesh) or point_to_mesh(lens, mesh) < clearance:
            return False
    return True


def _walled_off(scene: Scene, lens: np.ndarray, axis: np.ndarray, fov_deg: float) -> bool:
    """Whether a rock ahead, taken as a ball, fills more than its share of the field of view."""
    rocks = scene.rocks
    toward = rocks.position - lens
    distance = np.linalg.norm(toward, axis=1)
    ahead = toward @ axis > math.cos(math.radians(0.5 * fov_deg)) * distance
    span = 2.0 * np.arcsin(np.minimum(0.5 * rocks.diameter / np.maximum(distance, 1e-9), 1.0))
    return bool((ahead & (span > WALL_SHARE * math.radians(fov_deg))).any())


def point_to_mesh(point: np.ndarray, mesh: TriMesh) -> float:
    """Distance [m] of a point to the nearest triangle (Ericson 2005, Real-Time Collision Detection, 5.1.5)."""
    a, b, c = mesh.points.astype(np.float64)[mesh.faces].transpose(1, 0, 2)
    ab, ac, ap = b - a, c - a, point - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-300)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    within = (v >= 0) & (w >= 0) & (v + w <= 1)
    foot = a + v[:, None] * ab + w[:, None] * ac
    best = np.where(within, ((point - foot) ** 2).sum(1), np.inf).min()
    for start, edge in ((a, ab), (a, ac), (b, c - b)):
        t = ((point - start) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-300)
        near = start + np.clip(t, 0.0, 1.0)[:, None] * edge
        best = min(best, ((point - near) ** 2).sum(1).min())
    return math.sqrt(best)


def point_in_mesh(point: np.ndarray, mesh: TriMesh) -> bool:
    """Whether a point lies inside a closed mesh: its winding number by solid angles (Van Oosterom & Strackee 1983)."""
    a, b, c = (mesh.points.astype(np.float64)[mesh.faces] - point).transpose(1, 0, 2)
    la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
    triple = (a * np.cross(b, c)).sum(1)
    below = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
    return bool(abs(np.arctan2(triple, below).sum()) > math.pi)
