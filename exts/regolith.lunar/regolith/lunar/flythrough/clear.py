"""A camera's way kept off the ground and out of the rocks: it rises over them, smoothly, and is never moved aside."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from regolith.lunar.flythrough.way import Way
from regolith.lunar.params import InputError
from regolith.lunar.stage.camera import check_lens, rover_gap
from regolith.lunar.stage.scene import Surroundings
from regolith.lunar.stage.spec import Stance

T = TypeVar("T")

RISE_S = 0.7
"""Time in which a camera rises before what it has to pass over [s]."""
MARGIN_M = 0.02
"""Height above the least that is allowed [m]: the ground is looked at between the places where it is asked, too."""


def keep_clear(scene: Surroundings, eye_m: np.ndarray, fps: int) -> np.ndarray:
    """Lift lenses over ground and rocks, to `camera.clearance_m` and more.

    Args:
        scene: Scene they are in.
        eye_m: Lenses frame by frame, in the world frame [m], float64 [N, 3].
        fps: Frames a second.

    Returns:
        float64 [N, 3], no lens lower than it was; the lift rises and falls without jumps.

    Raises:
        InputError: A lens is outside the working area; it says when.
    """

    def each(check: Callable[[Surroundings, np.ndarray], T], lenses: np.ndarray) -> list[T]:
        found = []
        for frame, lens in enumerate(lenses):
            try:
                found.append(check(scene, lens))
            except InputError as error:
                raise InputError(error.field, error.value, f"{error.allowed}, at {frame / fps:.2f} s") from None
        return found

    floor = np.array(each(_floor, eye_m))
    lift = np.maximum(floor + MARGIN_M - eye_m[:, 2], 0.0)
    half = max(round(0.5 * RISE_S * fps), 1)
    for _ in range(2):  # a mean over a window of largest values is nowhere below the values themselves
        lift = uniform_filter1d(maximum_filter1d(lift, 2 * half + 1, mode="nearest"), 2 * half + 1, mode="nearest")
    lifted = np.column_stack([eye_m[:, :2], eye_m[:, 2] + lift])
    each(check_lens, lifted)
    return lifted


def clear_way(scene: Surroundings, way: Way, fps: int) -> Way:
    """A way kept clear of ground and rocks, and how high it is above the ground.

    Raises:
        InputError: As `keep_clear`.
    """
    eye = keep_clear(scene, way.eye_m, fps)
    return dataclasses.replace(way, eye_m=eye, height_m=eye[:, 2] - scene.terrain.height(eye[:, 0], eye[:, 1]))


def _floor(scene: Surroundings, eye: np.ndarray) -> float:
    """Lowest height of a lens at its place that is clear of the ground and over every rock beside it [m]."""
    clearance = scene.params.camera.clearance_m
    check_lens(scene, np.array([eye[0], eye[1], np.inf]))  # beyond the working area there may be no ground
    offset = np.linspace(-clearance, clearance, 9)
    dx, dy = (part.ravel() for part in np.meshgrid(offset, offset))
    top = float(scene.terrain.height(eye[0] + dx, eye[1] + dy).max())
    rocks = scene.rocks
    for index in np.flatnonzero(np.hypot(*(rocks.position[:, :2] - eye[:2]).T) < rocks.radius + clearance):
        top = max(top, float(rocks.mesh(int(index)).points[:, 2].max()))
    return top + clearance


def check_off_rover(scene: Surroundings, eye_m: np.ndarray, stances: list[Stance], time_s: np.ndarray) -> None:
    """Refuse a way that comes nearer to a rover than `camera.clearance_m`.

    Args:
        scene: Scene they are in.
        eye_m: Lenses frame by frame, in the world frame [m], float64 [N, 3].
        stances: How the rover stands, N of them.
        time_s: When [s], float64 [N].

    Raises:
        InputError: It does.
    """
    clearance = scene.params.camera.clearance_m
    for eye, stance, time in zip(eye_m, stances, time_s, strict=True):
        if rover_gap(stance, eye) < clearance:
            raise InputError("path", f"{time:.2f} s", f"a camera {clearance:g} m or more from the rover")
