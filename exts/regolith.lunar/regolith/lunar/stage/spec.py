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

    def __getitem__(self, name: str) -> float:
        """Number the frame is drawn with, by its name: one of `values`, or the lens position's.

        Raises:
            KeyError: There is none of that name.
        """
        place = {"camera_x_m": self.camera_x_m, "camera_y_m": self.camera_y_m, "camera_z_m": self.camera_z_m}
        return place[name] if name in place else self.values[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, drawn ones beside the rest."""
        fixed = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "values"}
        return fixed | self.values

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FrameSpec:
        """Rebuild from `to_dict`.

        Raises:
            TypeError: A fixed value is missing.
        """
        names = {field.name for field in dataclasses.fields(cls)} - {"values"}
        fixed = {name: value for name, value in data.items() if name in names}
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
