"""Where the camera may stand: on its mast above the ground, clear of every surface, its view not walled off."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from regolith.lunar.params.errors import InputError
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage.point_mesh import point_in_mesh, point_to_mesh
from regolith.lunar.stage.pose import camera_matrix, rover_matrix
from regolith.lunar.stage.rover_stance import DRAWS, fits, stand
from regolith.lunar.stage.spec import FrameSpec, Stance
from regolith.lunar.stage.stereo import baseline_m

if TYPE_CHECKING:
    from regolith.lunar.stage.scene import Scene, Surroundings

VIEW = ("height_m", "pitch_deg", "roll_deg", "heading_deg", "fov_deg")
"""Values of a frame that its place depends on."""

WALL_SHARE = 0.75
"""Share of the horizontal field of view a single rock may fill."""


def seat_camera(
    scene: Scene,
    *,
    rng: np.random.Generator,
    height_m: float,
    pitch_deg: float,
    heading_deg: float,
    fov_deg: float,
    roll_deg: float = 0.0,
) -> tuple[tuple[float, float, float], Stance | None]:
    """Draw a place for the camera, on its mast or on the rover that carries it.

    A rover is put where its lens, were the ground level, would be over the place drawn: within `camera.roam_m` of the
    origin. It stands on the ground (`rover_stance.stand`), in no rock (`rover_stance.fits`), and the lens is where its
    rig then has it. What `place_camera` asks of the lens holds against ground and rocks; the rover itself is no nearer
    to what the lens sees of it than it is built.

    Args:
        scene: Scene to stand in.
        rng: Stream to draw places from.
        height_m: Lens above the local ground [m]; a rover's rig has its own.
        pitch_deg: Optical axis above the horizon [deg].
        heading_deg: Optical axis in the XY plane, anticlockwise from +X [deg].
        fov_deg: Horizontal field of view [deg].
        roll_deg: Clockwise roll seen from behind the camera [deg].

    Returns:
        Lens position (x, y, z) in the world frame [m], and the rover's stance where there is a rover.

    Raises:
        InputError: No place was found; the scene is too full of rocks.
    """
    camera = scene.params.camera
    attitude = {"heading_deg": heading_deg, "pitch_deg": pitch_deg, "roll_deg": roll_deg}
    if camera.rig == "mast":
        view = {"height_m": height_m, "fov_deg": fov_deg} | attitude
        return place_camera(scene, rng=rng, **view), scene.rover
    for _ in range(DRAWS):
        radius, angle = camera.roam_m * math.sqrt(rng.random()), 2.0 * math.pi * rng.random()
        lens, stance = mount_camera(scene, radius * math.cos(angle), radius * math.sin(angle), heading_deg)
        axis = -camera_matrix((0.0, 0.0, 0.0), **attitude, stance=stance)[2, :3]
        right = right_offset(scene, **attitude, stance=stance)
        if fits(scene.terrain, scene.rocks, stance) and _pair_sees_freely(scene, lens, right, axis, fov_deg):
            return (float(lens[0]), float(lens[1]), float(lens[2])), stance
    share = scene.spec.rock_abundance
    allowed = f"fewer rocks: no room for the rover in {DRAWS} draws, or smoother ground"
    raise InputError("rocks.abundance", share, allowed)


def mount_camera(
    scene: Scene, x_m: float, y_m: float, heading_deg: float, *, passes: int = 1
) -> tuple[np.ndarray, Stance]:
    """Stand the rover so that the lens of its camera is over a place.

    Args:
        scene: Scene to stand in.
        x_m: Place in the world frame [m].
        y_m: Place in the world frame [m].
        heading_deg: Optical axis in the XY plane, anticlockwise from +X [deg].
        passes: Times the rover is put there. After the first the lens is off by what the ground's tilt moves it,
            decimetres on a mast; each further one takes that away as far as the tilt stays the same.

    Returns:
        Lens position in the world frame [m], float64, shape [3], and the rover's stance.
    """
    view = scene.params.camera.view
    heading = viper.heading_of(view, heading_deg)
    cos, sin = math.cos(math.radians(heading)), math.sin(math.radians(heading))
    x, y, _ = viper.MOUNTS[view].place_m
    lens = np.array([x_m, y_m, 0.0])
    at = np.array([x_m - cos * x + sin * y, y_m - sin * x - cos * y])
    for _ in range(passes):
        at += (x_m, y_m) - lens[:2]
        stance = stand(scene.terrain, float(at[0]), float(at[1]), heading, carries=True)
        lens = mounted_lens(view, stance)
    return lens, stance


def mounted_lens(view: str, stance: Stance) -> np.ndarray:
    """Lens of a camera on the rover in the world frame [m], float64, shape [3].

    Args:
        view: Name in `rover_viper.MOUNTS`.
        stance: How the rover stands.
    """
    matrix = rover_matrix(stance)
    return np.array(viper.MOUNTS[view].place_m) @ matrix[:3, :3] + matrix[3, :3]


def mounted(spec: FrameSpec, view: str, stance: Stance) -> FrameSpec:
    """The frame that a camera of a rover sees where that stands: light, ground and sensor stay.

    Args:
        spec: A frame of the scene.
        view: Name in `rover_viper.MOUNTS`.
        stance: How the rover stands.
    """
    mount = viper.MOUNTS[view]
    x, y, z = mounted_lens(view, stance).tolist()
    rig = {
        "heading_deg": (stance.heading_deg + mount.yaw_deg) % 360.0, "pitch_deg": mount.pitch_deg, "roll_deg": 0.0,
        "height_m": mount.place_m[2], "fov_deg": mount.fov_deg,
    }  # fmt: skip
    return dataclasses.replace(
        spec, camera_x_m=x, camera_y_m=y, camera_z_m=z, values=spec.values | rig, rover=stance
    )  # fmt: skip


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
        if _pair_sees_freely(scene, lens, right, axis, fov_deg):
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


def right_offset(
    scene: Scene, *, heading_deg: float, pitch_deg: float, roll_deg: float, stance: Stance | None = None
) -> np.ndarray | None:
    """Right lens of the stereo pair from the left one.

    Args:
        scene: Scene with the pair's baseline.
        heading_deg: Optical axis in the XY plane, anticlockwise from +X [deg].
        pitch_deg: Optical axis above the horizon [deg].
        roll_deg: Clockwise roll seen from behind the camera [deg].
        stance: Rover that carries the pair (`pose.camera_matrix`).

    Returns:
        Vector in the world frame [m], float64, shape [3]; None where there is no right camera.
    """
    baseline = baseline_m(scene.params)
    matrix = camera_matrix((0.0, 0.0, 0.0), heading_deg, pitch_deg, roll_deg, stance=stance)
    return baseline * matrix[0, :3] if baseline > 0.0 else None


def check_lens(scene: Surroundings, lens: np.ndarray) -> None:
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


def check_right(scene: Scene, spec: FrameSpec) -> None:
    """Refuse a frame whose right lens, where it has one, cannot be where it is (`check_lens`).

    Raises:
        InputError: It cannot be there.
    """
    attitude = {name: spec[name] for name in ("heading_deg", "pitch_deg", "roll_deg")}
    right = right_offset(scene, **attitude, stance=spec.carrier)
    if right is not None:
        lens = np.array([spec.camera_x_m, spec.camera_y_m, spec.camera_z_m]) + right
        check_lens(scene, np.array([lens[0], lens[1], np.inf]))  # beyond the working area there may be no ground
        check_lens(scene, lens)


def _pair_sees_freely(
    scene: Scene, lens: np.ndarray, right: np.ndarray | None, axis: np.ndarray, fov_deg: float
) -> bool:
    """`_sees_freely` of a lens and, by its offset where there is one, of the right lens, over the working area."""
    if not _sees_freely(scene, lens, axis, fov_deg):
        return False
    return right is None or (_has_ground(scene, lens + right) and _sees_freely(scene, lens + right, axis, fov_deg))


def _sees_freely(scene: Scene, lens: np.ndarray, axis: np.ndarray, fov_deg: float) -> bool:
    """Whether a lens is clear of ground, rocks and a rover that stands by, and none of these walls off its view."""
    clearance = scene.params.camera.clearance_m
    if not _clear_of_ground(scene, lens, clearance) or not _clear_of_rocks(scene, lens, clearance):
        return False
    return not _walled_off(scene, lens, axis, fov_deg) and _clear_of_rover(scene, lens, axis, fov_deg)


def _has_ground(scene: Scene, lens: np.ndarray) -> bool:
    """Whether a lens is over the working area."""
    grid, clearance = scene.terrain.grid, scene.params.camera.clearance_m
    return abs(lens[0]) <= grid.half_x - clearance and abs(lens[1]) <= grid.half_y - clearance


def _clear_of_ground(scene: Surroundings, lens: np.ndarray, clearance: float) -> bool:
    offset = np.linspace(-clearance, clearance, 9)
    dx, dy = (part.ravel() for part in np.meshgrid(offset, offset))
    ground = scene.terrain.height(lens[0] + dx, lens[1] + dy)
    if (ground >= lens[2])[dx**2 + dy**2 <= clearance**2].any():
        return False
    return bool((dx**2 + dy**2 + (lens[2] - ground) ** 2 >= clearance**2).all())


def _clear_of_rocks(scene: Surroundings, lens: np.ndarray, clearance: float) -> bool:
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


def _clear_of_rover(scene: Scene, lens: np.ndarray, axis: np.ndarray, fov_deg: float) -> bool:
    """Whether the lens keeps its distance from a rover that does not carry it, and does not look at it alone."""
    if scene.rover is None:
        return True
    if rover_gap(scene.rover, lens) < scene.params.camera.clearance_m:
        return False
    matrix = rover_matrix(scene.rover)
    toward = matrix[3, :3] + 0.5 * viper.HEIGHT_M * matrix[2, :3] - lens
    distance = float(np.linalg.norm(toward))
    span = 2.0 * math.asin(min(0.5 * viper.LENGTH_M / distance, 1.0))
    ahead = toward @ axis > math.cos(math.radians(0.5 * fov_deg)) * distance
    return not (ahead and span > WALL_SHARE * math.radians(fov_deg))


def rover_gap(stance: Stance, place: np.ndarray) -> float:
    """Distance of a place from the box around a rover [m], 0 inside it.

    Args:
        stance: How the rover stands.
        place: In the world frame [m], shape [3].
    """
    matrix, half = rover_matrix(stance), 0.5 * np.array([viper.LENGTH_M, viper.WIDTH_M, viper.HEIGHT_M])
    toward = matrix[3, :3] + half[2] * matrix[2, :3] - place
    return float(np.linalg.norm(np.maximum(np.abs(matrix[:3, :3] @ toward) - half, 0.0)))
