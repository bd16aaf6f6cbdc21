"""Benchmark of the geometric score: time and peak memory of both distances between two large clouds.

    python benchmarks/bench_quality.py [--json FILE] [--points 1000000]

Two samples of one rough ground, in a process of its own: importing the package, drawing the points, Chamfer and sliced
Earth Mover's Distance.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from bench_rows import finish, row, say_load

SECONDS, BYTES = 60.0, 2 << 30
"""What two cores are allowed for a million points against a million."""
SCRIPT = """
import json, sys, time
import numpy as np
from regolith.lunar.quality.geometry import chamfer, sliced
from regolith.lunar.system import peak_bytes
count = int(sys.argv[1])
draw = np.random.default_rng(0)
def ground():
    x, y = draw.uniform(0, 40, (2, count))
    return np.stack([x, y, 0.3 * np.sin(x) * np.cos(y) + draw.normal(0, 0.01, count)], axis=1)
a, b = ground(), ground()
found = {}
for name, metric in (("chamfer", chamfer), ("sliced", sliced)):
    began, used = time.perf_counter(), time.process_time()
    value = metric(a, b)
    found[name] = {"m": value, "seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
print(json.dumps(found | {"peak": peak_bytes()}))
"""


def main() -> int:
    """Measure, print the table, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--points", type=int, default=1_000_000, help="points of each cloud")
    options = parser.parse_args()
    load = say_load()
    command = [sys.executable, "-c", SCRIPT, str(options.points)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    rows = []
    for name, title in (("chamfer", "symmetric Chamfer distance"), ("sliced", "sliced Earth Mover's Distance")):
        got = found[name]
        rows.append(row(title, "", f"{got['seconds']:.1f} s ({got['cpu_seconds']:.1f} s CPU)", None))
    seconds, peak = sum(found[name]["seconds"] for name in ("chamfer", "sliced")), found["peak"]
    rows.append(
        row(f"both, {options.points:,} × {options.points:,} points", "<= 60 s", f"{seconds:.1f} s", seconds <= SECONDS)
    )
    rows.append(row("peak memory of the process", "<= 2 GiB", f"{peak / 2**30:.2f} GiB", peak <= BYTES))
    return finish(rows, load, options.json)


if __name__ == "__main__":
    sys.exit(main())
