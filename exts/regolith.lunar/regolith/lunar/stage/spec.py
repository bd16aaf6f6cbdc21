"""What is fixed about one scene and one frame once everything random has been drawn."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class SceneSpec:
    """One scene: the seed of its geometry and the values drawn for it."""

    seed: int
    """Seed of terrain, craters, relief and rocks; every part derives its own stream from it."""
    crater_density: float
    """Share of the lunar equilibrium distribution."""
    rock_abundance: float
    """Share of the working area covered by labelled rocks."""
    rock_exponent: float
    """Slope of their cumulative size–frequency distribution."""
    relief_strength: float
    """Factor on the heights of the micro-relief."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


AHEAD = (0.0, 0.0, 0.0, 0.0)
"""Angles of wheels that were not turned [deg]."""

_CORNERS = ("arms_deg", "steering_deg", "wheels_deg")
"""Values of a stance that are one a wheel."""


@dataclasses.dataclass(frozen=True)
class Stance:
    """How a rover stands: on the ground under its wheels, its arms bent to where each wheel touches it."""

    x_m: float
    y_m: float
    z_m: float
    """The rover's origin in the world frame."""
    heading_deg: float
    """Ahead in the XY plane, anticlockwise from +X."""
    pitch_deg: float
    """Ahead above the horizon."""
    roll_deg: float
    """Clockwise seen from behind: the left side rises."""
    arms_deg: tuple[float, float, float, float]
    """Turn of the suspension joints of fl, fr, rl and rr about +X."""
    carries: bool
    """Whether the frame's camera is on it."""
    steering_deg: tuple[float, float, float, float] = AHEAD
    """Turn of the steering joints about +Z, in the same order."""
    wheels_deg: tuple[float, float, float, float] = AHEAD
    """Turn of the wheels about +Y, which rolls ahead."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; nothing of wheels that point ahead as they were built."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {
            name: value
            for name, value in values.items()
            if name not in ("steering_deg", "wheels_deg") or any(getattr(self, name))
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Stance:
        """Rebuild from `to_dict`.

        Raises:
            TypeError: A value is missing.
        """
        angles = {name: tuple(data[name]) for name in _CORNERS if name in data}
        values: dict[str, Any] = data | angles
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class FrameSpec:
    """One frame: everything that turns a scene into its picture.

    Values drawn from intervals are items by the names of their fields: `spec["sun_elevation_deg"]`, `spec["psf_px"]`.
    """

    split: str
    index: int
    scene: int
    """Number of the scene inside its split."""
    seed: int
    """Seed of the frame's sensor noise and sampling."""
    camera_x_m: float
    camera_y_m: float
    camera_z_m: float
    """Lens position in the world frame."""
    values: dict[str, float]
    """Field name to the value drawn, of every `Interval` drawn per frame."""
    rover: Stance | None = None
    """Where the rover stands, where there is one."""
    time_s: float | None = None
    """Time since the rover set out [s], of a frame along a drive."""
    utc: str | None = None
    """Time the sun is of (ISO 8601), where the domain has one."""

    @property
    def carrier(self) -> Stance | None:
        """The rover that carries the camera; None for a mast."""
        return self.rover if self.rover is not None and self.rover.carries else None

    def __getitem__(self, name: str) -> float:
        """Number the frame is drawn with, by its name: one of `values`, or the lens position's.

        Raises:
            KeyError: There is none of that name.
        """
        place = {"camera_x_m": self.camera_x_m, "camera_y_m": self.camera_y_m, "camera_z_m": self.camera_z_m}
        return place[name] if name in place else self.values[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, drawn ones beside the rest; nothing of a rover or times where there are none."""
        apart = ("values", "rover", *(name for name in ("time_s", "utc") if getattr(self, name) is None))
        fixed = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name not in apart}
        rover = {} if self.rover is None else {"rover": self.rover.to_dict()}
        return fixed | rover | self.values

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FrameSpec:
        """Rebuild from `to_dict`.

        Raises:
            TypeError: A fixed value is missing.
        """
        names = {field.name for field in dataclasses.fields(cls)} - {"values"}
        fixed = {name: value for name, value in data.items() if name in names}
        if "rover" in fixed:
            fixed["rover"] = Stance.from_dict(fixed["rover"])
        return cls(**fixed, values={name: value for name, value in data.items() if name not in names})


def rng(seed: int, *keys: str | int) -> np.random.Generator:
    """Return a numpy Generator for a named stream: the same (seed, keys) always gives the same draws.

    The stream is that of PCG64, seeded with the SHA-256 of the seed and the keys, so that different names and numbers
    never share one.

    Args:
        seed: Any integer.
        keys: Names or numbers that set the stream apart from others of the same seed.
    """
    name = json.dumps([seed, *keys], ensure_ascii=True)
    entropy = int.from_bytes(hashlib.sha256(name.encode()).digest(), "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
