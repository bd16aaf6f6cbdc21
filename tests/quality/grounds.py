"""Ground and rocks of known shape, as clouds and as files, for the tests of the geometric score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from regolith.lunar.dataset.formats.pointcloud import save_arrays
from regolith.lunar.labels import REGOLITH, ROCK

SIDE_M = 12.0
CELL_M = 0.15


def heights(seed: int, rough_m: float) -> np.ndarray:
    """Ground of one roughness [m] at a scale of 0.45 m, heights at the nodes of a lattice of `CELL_M` [m]."""
    count = int(SIDE_M / CELL_M)
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(count, count)), 3, mode="wrap")
    return rough_m * noise / noise.std()


def ground(
    seed: int, *, rough_m: float, rocks: int = 0, rock_m: float = 0.9, noise_m: float = 0.0
) -> dict[str, np.ndarray]:
    """A place seen from above: points [N, 3] [m] and class [N]; half-spheres of a diameter stand on rough ground."""
    draw = np.random.default_rng([seed, 1])
    z = heights(seed, rough_m)
    at = (np.arange(len(z)) + 0.5) * CELL_M
    x, y = np.meshgrid(at, at, indexing="ij")
    classes = np.full(z.shape, REGOLITH, np.uint8)
    for centre in draw.uniform(0, SIDE_M, (rocks, 2)):
        inside = (rock_m / 2) ** 2 - (x - centre[0]) ** 2 - (y - centre[1]) ** 2
        z = np.where(inside > 0, z + np.sqrt(np.maximum(inside, 0)), z)
        classes[inside > 0] = ROCK
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    return {"points": points + draw.normal(0, noise_m, points.shape), "class": classes.ravel()}


def write_places(folder: Path, seeds: range, *, unlabelled: bool = False, **kwargs: Any) -> Path:
    """Write a place for each seed as `.npz`."""
    folder.mkdir(parents=True)
    for seed in seeds:
        arrays = ground(seed, **kwargs)
        if unlabelled:
            del arrays["class"]
        save_arrays(folder / f"place_{seed:03d}.npz", arrays)
    return folder


def scanner(seed: int, beams: int, *, power: float = 1.0, height_m: float = 2.0, columns: int = 360) -> np.ndarray:
    """Points [N, 3] [m] that a scanner in the origin sees of wavy ground: beams spread over -40 … -5 degrees.

    Args:
        seed: Seed of its noise.
        beams: How many.
        power: 1 for beams that lie apart equally, more for beams crowded below the horizon.
        height_m: Height over the ground [m].
        columns: Directions around.
    """
    draw = np.random.default_rng(seed)
    elevation, azimuth = np.meshgrid(
        np.radians(-5 - 35 * np.linspace(0, 1, beams) ** power),
        np.radians(np.arange(columns) * 360 / columns),
        indexing="ij",
    )
    wave = 0.1 * np.sin(2 * azimuth + 1) + draw.normal(0, 0.002, azimuth.shape)  # ground that depends on azimuth alone
    reach = (height_m - wave) / np.tan(-elevation)
    return np.stack([reach * np.cos(azimuth), reach * np.sin(azimuth), wave - height_m], axis=-1).reshape(-1, 3)
