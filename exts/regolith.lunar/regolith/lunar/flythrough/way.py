"""Smooth ways of a camera: through keyframes, over waypoints, about a rover. Numpy and scipy; nothing is rendered.

Splines are cubic Hermite ones with the tangents of Catmull & Rom (1974, A class of local interpolating splines) for
unequal steps: they meet every key and have a continuous velocity. Fields of view and the sun take those of Fritsch &
Butland (1984, SIAM J. Sci. Stat. Comput. 5, 300), which never leave the range of neighbouring keys. Angles are
interpolated as heading, pitch and roll, and not as rotations, so that a level horizon stays level.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from regolith.lunar.flythrough.keyframes import FOV_DEG, SUN, TARGET, Keyframes

Ground = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Height of the ground [m] at x and y [m], each of shape [N]."""

RAMP = 0.2
"""Share of a film in which a glide comes up to speed, and in which it comes to rest."""
SMOOTH_S = 0.8
"""Standard deviation over which the rover's way is smoothed for a camera that follows it, in time of the film [s]."""
SAMPLES = 4096
"""Places along a way by which its length is measured."""


@dataclasses.dataclass(frozen=True)
class Way:
    """A camera frame by frame; every array has N rows."""

    eye_m: np.ndarray
    """Lens in the world frame [m], float64 [N, 3]."""
    heading_deg: np.ndarray
    """Anticlockwise from +X [deg], without jumps, float64 [N]."""
    pitch_deg: np.ndarray
    """Above the horizon [deg], float64 [N]."""
    roll_deg: np.ndarray
    """Clockwise seen from behind [deg], float64 [N]."""
    fov_deg: np.ndarray
    """Horizontal field of view [deg], float64 [N]."""
    sun_deg: np.ndarray | None = None
    """Elevation and azimuth of the sun [deg], float64 [N, 2]; None for the scene's."""
    height_m: np.ndarray | None = None
    """Lens above the ground below it [m], float64 [N], once the way is clear of that."""


def spline(at_keys: np.ndarray, values: np.ndarray, at: np.ndarray, *, ease: bool) -> np.ndarray:
    """Interpolate by Catmull and Rom's spline.

    Args:
        at_keys: Where the keys are, rising, float64 [K], K ≥ 2.
        values: Values there, float64 [K] or [K, D].
        at: Where values are wanted, within the keys, float64 [N].
        ease: Whether it begins and ends at rest.

    Returns:
        float64 [N] or [N, D].
    """
    steps = np.diff(values, axis=0) / np.diff(at_keys).reshape(-1, *[1] * (values.ndim - 1))
    tangents = np.empty_like(values)
    tangents[1:-1] = (values[2:] - values[:-2]) / (at_keys[2:] - at_keys[:-2]).reshape(-1, *[1] * (values.ndim - 1))
    tangents[0], tangents[-1] = (0.0, 0.0) if ease else (steps[0], steps[-1])
    return CubicHermiteSpline(at_keys, values, tangents)(at)


def unwrapped(angles_deg: np.ndarray) -> np.ndarray:
    """Angles [deg] without jumps of a turn, the short way from each to the next."""
    return np.unwrap(angles_deg, period=360.0)


def eased(u: np.ndarray, *, ramp: float = RAMP) -> np.ndarray:
    """Share of a glide that is behind at a share of its time: at rest at both ends, even in between.

    The speed rises and falls as (1 − cos)/2 over a share `ramp` of the time.
    """

    def risen(t: np.ndarray) -> np.ndarray:  # integral of the rising speed
        t = np.clip(t, 0.0, ramp)
        return 0.5 * t - ramp / (2.0 * math.pi) * np.sin(math.pi * t / ramp)

    middle = np.clip(u - ramp, 0.0, 1.0 - 2.0 * ramp)
    falling = risen(np.full_like(u, ramp)) - risen(np.clip(1.0 - u, 0.0, ramp))
    return (risen(u) + middle + falling) / (1.0 - ramp)


def look_at(eye_m: np.ndarray, target_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heading, without jumps, and pitch [deg] of lenses, float64 [N, 3], that look at places, float64 [N, 3]."""
    to = target_m - eye_m
    heading = np.degrees(np.arctan2(to[:, 1], to[:, 0]))
    return unwrapped(heading), np.degrees(np.arctan2(to[:, 2], np.hypot(to[:, 0], to[:, 1])))


def through_keys(
    keyframes: Keyframes, time_s: np.ndarray, ground: Ground, *, ease: bool, rover_m: np.ndarray | None = None
) -> Way:
    """The way through keyframes.

    Args:
        keyframes: The keys.
        time_s: Times of the frames, float64 [N].
        ground: The ground that heights are above.
        ease: Whether the camera begins and ends at rest.
        rover_m: What is looked at where the lens is aimed at the rover, float64 [N, 3].
    """
    keys, at_keys = keyframes.keys, np.array([key.time_s for key in keyframes.keys])

    def column(*names: str) -> np.ndarray:
        return np.array([[getattr(key, name) for name in names] for key in keys], np.float64)

    def places(names: tuple[str, ...]) -> np.ndarray:
        place = column(*names)
        place[:, 2] += ground(place[:, 0], place[:, 1])
        return spline(at_keys, place, time_s, ease=ease)

    eye = places(("x_m", "y_m", "height_m"))
    if keyframes.aim == "rover" and rover_m is not None:
        heading, pitch = look_at(eye, rover_m)
    elif keyframes.targeted:
        heading, pitch = look_at(eye, places(TARGET))
    else:
        heading = spline(at_keys, unwrapped(column("heading_deg")[:, 0]), time_s, ease=ease)
        pitch = np.clip(spline(at_keys, column("pitch_deg")[:, 0], time_s, ease=ease), -89.0, 89.0)
    roll = spline(at_keys, unwrapped(column("roll_deg")[:, 0]), time_s, ease=ease)
    fov = PchipInterpolator(at_keys, _held([key.fov_deg for key in keys], FOV_DEG))(time_s)
    sun = None
    if any(key.all_of(SUN) for key in keys):
        elevation, azimuth = (_held([getattr(key, name) for key in keys]) for name in SUN)
        sun = PchipInterpolator(at_keys, np.stack([elevation, unwrapped(azimuth)], axis=1))(time_s)
    return Way(eye, heading, pitch, roll, fov, sun)


def _held(values: list[float | None], first: float | None = None) -> np.ndarray:
    """Values of keys, each that is missing that of the key before, or else `first` or the first that is there."""
    last = first if first is not None else next(value for value in values if value is not None)
    held = []
    for value in values:
        last = last if value is None else value
        held.append(last)
    return np.array(held, np.float64)


def over_waypoints(
    places: np.ndarray, frames: int, ground: Ground, *, height_m: float, pitch_deg: float, fov_deg: float, fps: int
) -> Way:
    """A glide over waypoints at a height, looking ahead.

    The way is a spline over the square roots of the distances, which neither overshoots nor loops (Yuksel et al. 2011,
    Computer-Aided Design 43, 747); speed is even but for the ends, and the heading is that of the way, smoothed.

    Args:
        places: Waypoints [m], float64 [K, 2], K ≥ 2, each unlike the one before.
        frames: Frames, N.
        ground: The ground.
        height_m: Lens above the ground, which is smoothed along the way [m].
        pitch_deg: Optical axis above the horizon [deg].
        fov_deg: Horizontal field of view [deg].
        fps: Frames a second.
    """
    at_keys = np.concatenate([[0.0], np.cumsum(np.sqrt(np.linalg.norm(np.diff(places, axis=0), axis=1)))])
    fine = spline(at_keys, places, np.linspace(0.0, at_keys[-1], SAMPLES), ease=False)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    at = eased(np.linspace(0.0, 1.0, frames)) * length[-1]
    xy = np.stack([np.interp(at, length, fine[:, axis]) for axis in (0, 1)], axis=1)
    ahead = np.stack([np.interp(at, length, part) for part in np.gradient(fine, axis=0).T], axis=1)
    heading = _smooth(unwrapped(np.degrees(np.arctan2(ahead[:, 1], ahead[:, 0]))), fps)
    z = _smooth(ground(xy[:, 0], xy[:, 1]), fps) + height_m
    same = np.ones(frames)
    return Way(np.column_stack([xy, z]), heading, pitch_deg * same, 0.0 * same, fov_deg * same)


def about_rover(
    rover_m: np.ndarray,
    rover_heading_deg: np.ndarray,
    ground: Ground,
    *,
    distance_m: float,
    height_m: float,
    bearing_deg: float,
    sweep_deg: float,
    turning: bool,
    fov_deg: float,
    fps: int,
) -> Way:
    """A camera that keeps its distance from a rover and looks at it.

    Args:
        rover_m: What is looked at, float64 [N, 3].
        rover_heading_deg: Where the rover heads, without jumps [deg], float64 [N].
        ground: The ground.
        distance_m: From the rover, seen from above [m].
        height_m: Lens above the ground, which is smoothed along the way [m].
        bearing_deg: Where the camera is seen from the rover at first, anticlockwise from ahead: 180 is behind it [deg].
        sweep_deg: By how much it goes round the rover over the film [deg].
        turning: Whether it turns with the rover, or keeps to the heading the rover has at first.
        fov_deg: Horizontal field of view [deg].
        fps: Frames a second.
    """
    seen = np.stack([_smooth(column, fps) for column in rover_m.T], axis=1)
    heading = _smooth(rover_heading_deg, fps) if turning else np.full(len(seen), rover_heading_deg[0])
    angle = np.radians(heading + bearing_deg + sweep_deg * eased(np.linspace(0.0, 1.0, len(seen))))
    xy = seen[:, :2] + distance_m * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    z = _smooth(ground(xy[:, 0], xy[:, 1]), fps) + height_m
    eye = np.column_stack([xy, z])
    toward, pitch = look_at(eye, seen)
    same = np.ones(len(seen))
    return Way(eye, toward, pitch, 0.0 * same, fov_deg * same)


def _smooth(values: np.ndarray, fps: int) -> np.ndarray:
    """Values of frames, float64 [N], smoothed over `SMOOTH_S`; the ends are held."""
    return gaussian_filter1d(values, SMOOTH_S * fps, mode="nearest")
