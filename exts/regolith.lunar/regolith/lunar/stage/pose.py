"""Poses of the camera and of the rover that may carry it. Pure numpy; row vectors, as USD multiplies."""

from __future__ import annotations

import math

import numpy as np

from regolith.lunar.stage.spec import Stance


def rover_matrix(stance: Stance) -> np.ndarray:
    """Pose of a rover, its axes ahead, left and up.

    Returns:
        Rover to world for row vectors, float64, shape [4, 4].
    """
    h, p, r = (math.radians(angle) for angle in (stance.heading_deg, stance.pitch_deg, stance.roll_deg))
    ahead = np.array([math.cos(p) * math.cos(h), math.cos(p) * math.sin(h), math.sin(p)])
    level = np.array([-math.sin(h), math.cos(h), 0.0])
    upright = np.cross(ahead, level)
    matrix = np.eye(4)
    matrix[0, :3] = ahead
    matrix[1, :3] = math.cos(r) * level + math.sin(r) * upright
    matrix[2, :3] = math.cos(r) * upright - math.sin(r) * level
    matrix[3, :3] = stance.x_m, stance.y_m, stance.z_m
    return matrix


def rover_angles(rotation: np.ndarray) -> tuple[float, float, float]:
    """Heading, pitch and roll of a `Stance` [deg] whose rover's axes are the columns of a matrix, shape [3, 3]."""
    ahead, left, up = rotation.T
    heading = math.atan2(ahead[1], ahead[0])
    pitch = math.asin(max(-1.0, min(1.0, float(ahead[2]))))
    roll = math.atan2(left[2], up[2])
    return math.degrees(heading), math.degrees(pitch), math.degrees(roll)


def camera_angles(matrix: np.ndarray) -> tuple[float, float, float]:
    """Heading, pitch and roll [deg] of a camera of no rover, from its pose as `camera_matrix` has it, shape [4, 4]."""
    right, up, back = (row / np.linalg.norm(row) for row in matrix[:3, :3])
    heading = math.atan2(-back[1], -back[0])
    pitch = math.asin(max(-1.0, min(1.0, -float(back[2]))))
    level = np.array([math.sin(heading), -math.cos(heading), 0.0])
    return math.degrees(heading), math.degrees(pitch), math.degrees(math.atan2(level @ up, level @ right))


def camera_matrix(
    position: tuple[float, float, float],
    heading_deg: float,
    pitch_deg: float,
    roll_deg: float,
    *,
    stance: Stance | None = None,
) -> np.ndarray:
    """Pose of a camera that looks along its -Z with +X to the right and +Y up.

    Args:
        position: Lens in the world frame [m].
        heading_deg: Optical axis in the XY plane, anticlockwise from +X [deg].
        pitch_deg: Optical axis above the horizon [deg].
        roll_deg: Clockwise roll seen from behind the camera [deg].
        stance: Rover that carries the camera: the angles are those it has while the rover stands level, and the
            rover's tilt comes on top.

    Returns:
        Camera to world for row vectors (USD's convention), float64, shape [4, 4].
    """
    if stance is not None:
        heading_deg -= stance.heading_deg
    h, p, r = (math.radians(angle) for angle in (heading_deg, pitch_deg, roll_deg))
    forward = np.array([math.cos(p) * math.cos(h), math.cos(p) * math.sin(h), math.sin(p)])
    level = np.array([math.sin(h), -math.cos(h), 0.0])
    upright = np.cross(level, forward)
    matrix = np.eye(4)
    matrix[0, :3] = math.cos(r) * level - math.sin(r) * upright
    matrix[1, :3] = math.cos(r) * upright + math.sin(r) * level
    matrix[2, :3] = -forward
    if stance is not None:
        matrix[:3, :3] = matrix[:3, :3] @ rover_matrix(stance)[:3, :3]
    matrix[3, :3] = position
    return matrix
