"""Benchmark of the physics: how much faster than real time a rover drives over an authored stage, on one core.

    python benchmarks/bench_physics.py [--json FILE] [--preset v3] [--seed 0]

Twenty metres of straight way over a stage of the preset at its full size, without pictures, until it ends or a minute
is simulated: engine, control and trajectory, by the processor time of this process, which has one thread. Each is
driven `ROUNDS` times, and the fastest counts: others' work on the machine only slows.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from bench_rows import finish, row, say_load

from regolith.lunar.params import load_preset
from regolith.lunar.physics.course import author
from regolith.lunar.physics.drive import drive_route, place_rover
from regolith.lunar.physics.engines import open_engine
from regolith.lunar.physics.read import read_terrain, read_world
from regolith.lunar.physics.soil import Soil
from regolith.lunar.physics.steering import read_layout
from regolith.lunar.physics.wheel_soil import WheelSoil

DEMANDED = 30.0
"""Simulated time over processor time."""
ROUNDS = 3
LOAD_MAX_N = 700.0


def main() -> int:
    """Measure, print the table, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--preset", default="v3", help="preset of the stage")
    parser.add_argument("--seed", type=int, default=0, help="seed of the stage")
    options = parser.parse_args()
    load = say_load()
    stage = author(load_preset(options.preset), options.seed, "train_dr", 0)
    began = time.process_time()
    world = read_world(stage)
    layout = read_layout(world)
    engines = {"hard ground": open_engine(world), "lunar soil": open_engine(world, gripping=layout.wheels.bodies)}
    taken = time.process_time() - began
    rows = [row(f"{options.preset} into two engines, {len(world.fixed)} rocks", "", f"{taken:.1f} s CPU", None)]
    route = np.array([(-10.0, 0.0), (10.0, 0.0)])
    start = place_rover(read_terrain(stage), layout, route[0], 0.0)
    for name, engine in engines.items():
        soil = WheelSoil(engine, layout.wheels, Soil(), load_max=LOAD_MAX_N) if name == "lunar soil" else None
        factors = []
        for _ in range(ROUNDS):
            drive = drive_route(
                engine, layout, route, start=start, speed=0.2, mode="ackermann", time_max_s=60.0, soil=soil
            )
            factors.append(drive.time_s / drive.cpu_s)
        told = f"{max(factors):.0f} × ({min(factors):.0f} … {max(factors):.0f})"
        rows.append(
            row(f"traverse on {name}, {drive.time_s:.0f} s", f">= {DEMANDED:g} ×", told, max(factors) >= DEMANDED)
        )
    return finish(rows, load, options.json)


if __name__ == "__main__":
    sys.exit(main())
