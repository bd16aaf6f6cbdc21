"""Whether the texture of the ground breaks off with the distance, with and without relief beyond the rings.

    python benchmarks/study_reach.py [--preset v3] [--reach-m 60] [--frames 6] [--json FILE]

Pictures of level stages without rocks, 640 x 360 px, from 1.6 m up, sun 14° high: in the rows of each distance, the RMS
along the rows of what has wavelengths of 3 to 12 pixels, over the mean. `break` is the largest fall from a distance to
the next.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.files import write_json
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import change_params, load_preset
from regolith.lunar.randomize import draw_scene
from regolith.lunar.stage.relief import ground_mesh
from regolith.lunar.stage.terrain import build_terrain

EDGES_M = (4.0, 5.0, 6.3, 8.0, 10.0, 12.6, 16.0, 20.0, 25.0)
"""Borders of the distances along the ground [m]."""
SCENE = {
    "rocks.abundance": 0.0, "craters.density": 0.0, "terrain.rms_slope_deg": 1.0, "dataset.frames_per_scene": 1,
    "dataset.depth": True, "camera.roam_m": 0.0, "domain.height_m": 1.6, "domain.pitch_deg": -12.0,
    "domain.roll_deg": 0.0, "domain.sun_elevation_deg": 14.0, "domain.fov_deg": 55.0, "domain.exposure_ev": -0.7,
}  # fmt: skip
BAND_PX = (3.0, 12.0)
"""Wavelengths along a row."""


def main() -> int:
    """Draw, measure, print the table, write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="v3")
    parser.add_argument("--reach-m", type=float, default=60.0)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    for reach in (0.0, options.reach_m):
        with tempfile.TemporaryDirectory() as folder:
            params = change_params(load_preset(options.preset), SCENE | {"relief.reach_m": reach})
            generate(
                params, Path(folder), split="val", frames=options.frames, width=640, height=360, seed=1,
                executor="in-process",
            )  # fmt: skip
            found[reach] = measure(Path(folder) / "val")
    print("distance [m]  " + "  ".join(f"reach {reach:g} m" for reach in found))
    for number, (lo, hi) in enumerate(itertools.pairwise(EDGES_M)):
        print(f"{lo:4g} - {hi:<6g}  " + "  ".join(f"{row[number]:9.3f}" for row in found.values()))
    breaks = {reach: float(np.max(row[:-1] / row[1:])) for reach, row in found.items()}
    print("break         " + "  ".join(f"{value:9.2f}" for value in breaks.values()))
    made = {reach: build(options.preset, reach) for reach in found}
    print("vertices      " + "  ".join(f"{count / 1e6:8.2f}M" for count, _ in made.values()))
    print("ground [s]    " + "  ".join(f"{seconds:9.1f}" for _, seconds in made.values()))
    if options.json:
        rows = [{"reach_m": reach, "contrast": row.tolist(), "break": breaks[reach]} for reach, row in found.items()]
        write_json(options.json, {"edges_m": EDGES_M, "rows": rows})
    return 0


def build(preset: str, reach: float) -> tuple[int, float]:
    """Build the ground of a scene of the preset; returns its vertices, and the processor time of the mesh [s]."""
    params = change_params(load_preset(preset), {"relief.reach_m": reach})
    terrain = build_terrain(params, draw_scene(params, 1, "val", 0))
    began = time.process_time()
    mesh = ground_mesh(terrain.grid, terrain.recipe, terrain.far)
    return len(mesh.points), time.process_time() - began


def measure(folder: Path) -> np.ndarray:
    """Contrast at each distance, mean over the frames of a split, shape [distances]."""
    return np.mean([contrast(frame.rgb, frame.depth, frame.mask) for frame in open_split(folder)], axis=0)


def contrast(rgb: np.ndarray, depth: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
    """RMS along rows of what has wavelengths of `BAND_PX`, over the mean, by distance, shape [distances]."""
    assert depth is not None
    linear = (rgb[..., 1] / 255.0) ** 2.2
    low, high = (ndimage.gaussian_filter1d(linear, wave / (2.0 * np.pi), axis=1) for wave in BAND_PX)
    ground = mask == CLASSES["regolith"]
    found = []
    for lo, hi in itertools.pairwise(EDGES_M):
        there = ground & (depth >= lo) & (depth < hi)
        found.append(float((low - high)[there].std() / linear[there].mean()))
    return np.array(found)


if __name__ == "__main__":
    sys.exit(main())
