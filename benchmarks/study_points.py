"""What the number of points does to the geometric score: sliced distance by exact, and a flat twin in pairs.

python benchmarks/study_points.py

Two tables. Ground of the preset v3 under a 4 m square, that of one seed against another's, and each sample against
another of the same ground: the sliced Earth Mover's Distance as a share of the exact one. Then ground of waves of
±0.3 m on a 12 m square, scanned eight times with 5 mm of noise, against a flat twin: the paired score by `--points`,
how far these lie apart, and the time a pair takes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from regolith.lunar.dataset.formats.pointcloud import save_arrays
from regolith.lunar.params import load_preset
from regolith.lunar.quality.geometry import earth_movers, sliced
from regolith.lunar.quality.score_geometry import score_geometry
from regolith.lunar.quality.sensor import calibrate_sensor
from regolith.lunar.randomize import draw_scene
from regolith.lunar.stage.spec import rng
from regolith.lunar.stage.terrain import Terrain, build_terrain

SQUARE_M, PLACE_M = 4.0, 12.0
SEEDS = range(4)
COUNTS = (500, 1000, 2000)
POINTS = (640, 1500, 3000)
SCANNED = 6000
NOISE_M, WAVE_M = 0.005, 0.3


def sample(ground: Terrain, count: int, generator: np.random.Generator) -> np.ndarray:
    """Points of ground under the square [m], shape [count, 3], about their mean height."""
    x, y = generator.uniform(-SQUARE_M / 2, SQUARE_M / 2, (2, count))
    z = ground.height(x, y)
    return np.stack([x, y, z - z.mean()], axis=1)


def shares(grounds: Sequence[Terrain], count: int) -> tuple[list[float], list[float]]:
    """Sliced by exact of grounds against the next, and of two samples of each."""
    draws = [
        [sample(ground, count, rng(k, "points", count, turn)) for turn in (0, 1)] for k, ground in enumerate(grounds)
    ]
    others = [(one[0], other[0]) for one, other in zip(draws, [*draws[1:], draws[0]], strict=True)]
    return [sliced(*pair) / earth_movers(*pair) for pair in others], [
        sliced(a, b) / earth_movers(a, b) for a, b in draws
    ]


def scan(folder: Path, seeds: range, *, wave_m: float) -> Path:
    """Write clouds of one place, a file for each seed of its points and noise."""
    folder.mkdir()
    for seed in seeds:
        draw = rng(seed, "scan")
        x, y = draw.uniform(0, PLACE_M, (2, SCANNED))
        z = wave_m * np.sin(2 * x) * np.cos(2 * y) + draw.normal(0, NOISE_M, SCANNED) - 2.0
        save_arrays(folder / f"{seed:02d}.npz", {"points": np.stack([x, y, z], axis=1)})
    return folder


def main() -> int:
    """Measure and print both tables."""
    params = load_preset("v3")
    grounds = [build_terrain(params, draw_scene(params, seed, "val", 0)) for seed in SEEDS]
    print("| points | other ground | the same ground |\n|---|---|---|")
    for count in COUNTS:
        cells = [f"{min(found):.2f} … {max(found):.2f}" for found in shares(grounds, count)]
        print(f"| {count:,} | {' | '.join(cells)} |", flush=True)
    print("\n| points | apart | a repeated scan | a flat twin | seconds a pair |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as root:
        sensor = Path(root, "sensor.json")
        calibrate_sensor(scan(Path(root, "scans"), range(8), wave_m=WAVE_M), sensor, most=max(POINTS), pairs=8)
        real = scan(Path(root, "real"), range(10, 11), wave_m=WAVE_M)
        twins = [scan(Path(root, f"twin{wave_m}"), range(20, 21), wave_m=wave_m) for wave_m in (WAVE_M, 0.0)]
        for points in POINTS:
            began = time.perf_counter()
            again, flat = (score_geometry(twin, real, sensor=sensor, points=points)["rows"][0] for twin in twins)
            took = (time.perf_counter() - began) / len(twins)
            cells = f"{again['spacing_m']:.2f} m | {again['score']:.3f} | {flat['score']:.3f} | {took:.1f}"
            print(f"| {points:,} | {cells} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
