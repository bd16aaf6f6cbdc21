"""From a pointer over the 3D view to where sun and rover camera are put. Plain geometry."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from regolith.lunar.panel.host import Eye
from regolith.lunar.params import Domain, field_extra
from regolith.lunar.stage.lens import TO_USD
from regolith.lunar.stage.pose import camera_matrix
from regolith.lunar.stage.spec import FrameSpec


def direction(elevation_deg: float, azimuth_deg: float) -> np.ndarray:
    """Unit vector at an elevation above the horizon and an azimuth anticlockwise from +X, float64, shape [3]."""
    elevation, azimuth = math.radians(elevation_deg), math.radians(azimuth_deg)
    level = math.cos(elevation)
    return np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])


def angles(vector: np.ndarray) -> tuple[float, float]:
    """Elevation in [-90, 90] and azimuth in [0, 360) [deg] of a vector of any length."""
    x, y, z = (float(value) for value in vector)
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x)) % 360.0


def limited(name: str, value: float) -> float:
    """Hold a value of a frame inside the limits of its parameter."""
    extra = field_extra(Domain.model_fields[name])
    return min(max(value, extra["ge"]), extra["le"])


def sun_of(spec: FrameSpec) -> np.ndarray:
    """Unit vector towards a frame's sun, float64, shape [3]."""
    return direction(spec["sun_elevation_deg"], spec["sun_azimuth_deg"])


@dataclasses.dataclass(frozen=True)
class CameraPose:
    """A rover camera as the page's renderer describes one: it looks along +Z, +X is right and +Y down."""

    position: np.ndarray
    """Lens in the world frame [m], float64, shape [3]."""
    axes: np.ndarray
    """Right, down and forward as columns, float64, shape [3, 3]."""
    fov_rad: float
    """Vertical field of view [rad]."""
    aspect: float
    """Width over height."""

    @classmethod
    def of(cls, spec: FrameSpec, width: int, height: int) -> CameraPose:
        """Pose of a frame's camera.

        Args:
            spec: The frame.
            width: Picture width [px].
            height: Picture height [px]; pixels are square.
        """
        position = (spec.camera_x_m, spec.camera_y_m, spec.camera_z_m)
        matrix = camera_matrix(position, spec["heading_deg"], spec["pitch_deg"], spec["roll_deg"], stance=spec.carrier)
        return cls._posed(matrix, spec["fov_deg"], width / height)

    @classmethod
    def at(cls, eye: Eye, aspect: float) -> CameraPose:
        """Pose of a camera that nobody carries; `aspect` is its width over its height."""
        return cls._posed(camera_matrix(eye.place_m, eye.heading_deg, eye.pitch_deg, eye.roll_deg), eye.fov_deg, aspect)

    @classmethod
    def _posed(cls, matrix: np.ndarray, fov_deg: float, aspect: float) -> CameraPose:
        upright = math.tan(math.radians(0.5 * fov_deg)) / aspect
        return cls(matrix[3, :3], (matrix[:3, :3] * TO_USD[:, None]).T, 2.0 * math.atan(upright), aspect)

    @property
    def forward(self) -> np.ndarray:
        """Optical axis, float64, shape [3]."""
        return self.axes[:, 2]


def on_level(eye: np.ndarray, toward: np.ndarray, z: float) -> np.ndarray | None:
    """Where the line of sight from an eye through a place meets a level [m], shape [3]; None where it does not."""
    ray = toward - eye
    if abs(ray[2]) < 1e-9 or (z - eye[2]) / ray[2] <= 0.0:
        return None
    return eye + ray * ((z - eye[2]) / ray[2])


class Turn:
    """A ball pulled over a sphere by a pointer.

    It stays on the side of the sphere it was taken on, seen from the eye; pulled off the edge and back, it is on the
    other side.
    """

    def __init__(
        self, centre: np.ndarray, radius: float, ball: np.ndarray, grabbed: np.ndarray, eye: np.ndarray
    ) -> None:
        """Take the ball.

        Args:
            centre: Centre of the sphere [m], shape [3].
            radius: Its radius [m].
            ball: Where the ball is [m].
            grabbed: Where the pointer took it [m].
            eye: Where it is looked at from [m].
        """
        self._centre, self._radius, self._shift = centre, radius, ball - grabbed
        self._front = bool((ball - eye) @ (ball - centre) < 0.0)
        self._off = False

    def to(self, pointer: np.ndarray, eye: np.ndarray) -> np.ndarray:
        """Pull it to a place the pointer is in front of or behind.

        Args:
            pointer: A place on the line of sight [m], shape [3].
            eye: Where it is looked at from [m].

        Returns:
            Unit vector from the centre, float64, shape [3].
        """
        ray = pointer + self._shift - eye
        ray /= max(float(np.linalg.norm(ray)), 1e-12)
        out = eye - self._centre
        b, c = float(ray @ out), float(out @ out) - self._radius**2
        inside = b * b - c
        if c > 0.0 and (inside < 0.0 or b > 0.0):
            self._front ^= not self._off
            self._off = True
            return self._edge(out, ray)
        self._off = False
        front = self._front and c > 0.0  # an eye inside the sphere sees one side only
        place = out + ray * (-b - math.sqrt(inside) if front else -b + math.sqrt(inside))
        return place / self._radius

    def _edge(self, out: np.ndarray, ray: np.ndarray) -> np.ndarray:
        """Where the sphere's outline, seen from `out` off its centre, is nearest to a line of sight beside it."""
        distance = float(np.linalg.norm(out))
        toward = out / distance
        side = ray - (ray @ toward) * toward
        share = self._radius / distance
        return share * toward + math.sqrt(1.0 - share**2) * side / max(float(np.linalg.norm(side)), 1e-12)
