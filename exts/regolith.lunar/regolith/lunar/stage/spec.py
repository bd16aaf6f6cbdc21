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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class FrameSpec:
    """One frame: everything that turns a scene into its picture."""

    split: str
    index: int
    scene: int
    """Number of the scene inside its split."""
    seed: int
    """Seed of the frame's sensor noise and sampling."""
    sun_elevation_deg: float
    sun_azimuth_deg: float
    """Direction to the sun, anticlockwise from +X."""
    albedo: float
    """Normal albedo of the ground."""
    roughness: float
    rock_albedo_ratio: float
    exposure_ev: float
    """Offset from the exposure that puts level ground at `SensorParams.exposure_key`."""
    camera_x_m: float
    camera_y_m: float
    camera_z_m: float
    """Lens position in the world frame."""
    heading_deg: float
    """Optical axis in the XY plane, anticlockwise from +X."""
    pitch_deg: float
    """Optical axis above the horizon; negative looks down."""
    roll_deg: float
    """Clockwise roll of the camera seen from behind it."""
    fov_deg: float
    """Horizontal field of view."""
    height_m: float
    """Lens height above the ground below it."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FrameSpec:
        """Rebuild from `to_dict`."""
        return cls(**data)


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
