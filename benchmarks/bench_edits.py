"""Benchmark of what a slider costs: drawing a frame's values, aiming a stage, and both as the panel does them.

    python benchmarks/bench_edits.py [--json FILE] [--preset v3] [--count 200]

Medians of single calls on one scene, without any rendering; a scene is built once, before the first.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_rows import finish, say_load

from regolith.lunar.panel.frame_builder import Shot, build
from regolith.lunar.params import Interval, Params, load_preset
from regolith.lunar.randomize import draw_values
from regolith.lunar.stage.edit import apply_frame

SIZE = 512
"""Side of the picture the camera is set for [px]."""


def row(name: str, demand_ms: float, work: Callable[[int], object], count: int) -> dict[str, Any]:
    """Time `work(number)`, print and return a row."""
    seconds = []
    for number in range(count):
        began = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - began)
    median = 1e3 * statistics.median(seconds)
    ok = median <= demand_ms
    print(f"{name:<56} <= {demand_ms:<4g} ms  {median:8.3f} ms  {'ok' if ok else 'NOT MET'}", flush=True)
    return {"name": name, "demand_ms": demand_ms, "median_ms": median, "ok": ok}


def sampled(params: Params, how: str) -> Params:
    """The parameters with a way of sampling."""
    return params.model_copy(update={"randomize": params.randomize.model_copy(update={"sampling": how})})


def sunlit(shot: Shot, number: int) -> Shot:
    """The shot with the sun at another elevation."""
    degrees = 10.0 + number % 40
    domain = shot.params.domain.model_copy(update={"sun_elevation_deg": Interval(degrees, degrees)})
    return dataclasses.replace(shot, params=shot.params.model_copy(update={"domain": domain}))


def main() -> int:
    """Run every measurement, print the table, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--preset", default="v3")
    parser.add_argument("--count", type=int, default=200, help="calls of each")
    options = parser.parse_args()
    load = say_load()
    params, count = load_preset(options.preset), options.count
    rows = []
    for how in ("independent", "sobol"):
        drawn = sampled(params, how)
        rows.append(row(f"values of a frame, {how}", 1.0, lambda k, p=drawn: draw_values(p, 0, "train_dr", k), count))
    shot = Shot(params, "train_dr", 0, 0, SIZE, SIZE)
    shown = build(shot, None, baked=False)
    stage, spec = shown.stage, shown.spec
    assert stage is not None
    specs = [dataclasses.replace(spec, values=spec.values | {"sun_elevation_deg": 10.0 + k % 40}) for k in range(count)]
    rows.append(row("edit of a stage", 4.0, lambda k: apply_frame(stage, params, specs[k], SIZE, SIZE), count))

    def slide(number: int) -> None:
        wish = sunlit(shot, number)
        built = build(wish, shown, baked=False)
        apply_frame(stage, wish.params, built.spec, SIZE, SIZE)

    rows.append(row("from a slider to the stage", 33.0, slide, count))
    return finish(rows, load, options.json)


if __name__ == "__main__":
    sys.exit(main())
