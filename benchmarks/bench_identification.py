"""Benchmark of `regolith calibrate dynamics`: what is recovered of known dynamics, and how its intervals hold.

    python benchmarks/bench_identification.py [--json FILE] [--runs 100] [--seed 0] [--only steps]

Each run has dynamics of its own, drawn evenly from `TRUTH`; it is simulated, sampled at 50 Hz with normal noise
(`NOISE`), and fitted from neutral values by one start. An interval that says 95 % should hold the truth in 95 of 100
runs; the simulation that measures is the one that fits, so this says nothing of what it leaves out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.physics.experiments import Bench
from regolith.lunar.physics.identify import DELAY, identify
from regolith.lunar.physics.measured import EXPERIMENTS, Run
from regolith.lunar.stage.spec import rng

NOISE = {"height": 0.003, "distance": 0.003, "speed": 0.002, "spin": 0.01}
"""Standard deviations of what is measured: m, m, m/s, rad/s."""

DELAY_MAX = 3
"""Longest delay drawn and tried [steps of 20 ms]."""

TRUTH: dict[str, dict[str, tuple[float, float]]] = {
    "drop": {"restitution": (0.3, 0.8)},
    "rolling": {"inertia_scale": (0.7, 1.6), "friction_scale": (0.6, 1.2)},
    "coast": {"joint_damping_scale": (0.6, 1.6), "friction_scale": (0.6, 1.2)},
    "steps": {"friction_scale": (0.6, 1.2), "joint_damping_scale": (0.6, 1.6), "action_gain": (0.85, 1.1)},
}
"""Experiment to the ranges its dynamics are drawn from; of steps also a delay, evenly from 0 to `DELAY_MAX`."""

SETTINGS: dict[str, list[dict[str, float]]] = {
    "drop": [{"release": 0.8}],
    "rolling": [{"slope": math.radians(12.0)}, {"slope": math.radians(60.0)}],
    "coast": [{"start": 0.15}],
    "steps": [{}],
}
"""Experiment to the settings of its files, fitted together."""

SECONDS = {"drop": 1.8, "rolling": 1.4, "coast": 1.0, "steps": 1.3}


def measure(experiment: str, truth: dict[str, float], random: np.random.Generator) -> list[Run]:
    """Simulate the files of one run of an experiment, with noise."""
    found = []
    for settings in SETTINGS[experiment]:
        at = np.arange(0.0, SECONDS[experiment], 0.02)
        recipe = EXPERIMENTS[experiment]
        columns = {name: np.zeros(len(at)) for name in recipe.outputs}
        if recipe.inputs:  # a step that grips and one that slips
            columns["command"] = np.select([at < 0.1, at < 0.5, at < 0.7, at < 1.1], [0.0, 0.2, 0.0, 0.8], 0.0)
        run = Run(experiment, experiment, settings, at, columns)
        exact = Bench().simulate(run, truth)
        noisy = {name: values + random.normal(0.0, NOISE[name], len(at)) for name, values in exact.items()}
        found.append(dataclasses.replace(run, columns=columns | noisy))
    return found


def recover(experiment: str, seed: int, number: int) -> dict[str, Any]:
    """Draw dynamics, measure and fit; returns error, half-width and whether the interval holds, by parameter."""
    random = rng(seed, "identification", experiment, number)
    truth = {name: float(random.uniform(lo, hi)) for name, (lo, hi) in TRUTH[experiment].items()}
    if experiment == "steps":
        truth[DELAY] = float(random.integers(DELAY_MAX + 1))
    fit = identify(measure(experiment, truth, random), delay_max=DELAY_MAX, starts=1)
    return {
        name: {
            "error": each.value - truth[name],
            "half": 0.5 * (each.hi - each.lo),
            "holds": each.lo <= truth[name] <= each.hi,
            "told": each.told,
        }
        for name, each in fit.estimates.items()
    }


def bench(experiment: str, runs: int, seed: int) -> dict[str, Any]:
    """Recover many runs and sum up each parameter."""
    began = time.process_time()
    rows = [recover(experiment, seed, number) for number in range(runs)]
    result: dict[str, Any] = {"cpu_s": time.process_time() - began}
    for name in rows[0]:
        each = [row[name] for row in rows]
        errors = np.array([one["error"] for one in each])
        result[name] = {
            "runs": runs,
            "told": sum(one["told"] for one in each),
            "bias": float(errors.mean()),
            "rms": float(np.sqrt(np.mean(errors**2))),
            "half": float(np.median([one["half"] for one in each])),
            "covered": float(np.mean([one["holds"] for one in each])),
        }
    return result


def main() -> None:
    """Measure, print a table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=tuple(TRUTH))
    args = parser.parse_args()
    results: dict[str, Any] = {}
    print("| experiment | parameter | bias | RMS error | half-width | 95 % intervals that hold |")
    print("|---|---|---|---|---|---|")
    for experiment in [args.only] if args.only else TRUTH:
        results[experiment] = found = bench(experiment, args.runs, args.seed)
        for name, row in found.items():
            if name != "cpu_s":
                figures = " | ".join(f"{row[key]:.3g}" for key in ("bias", "rms", "half"))
                print(f"| {experiment} | `{name}` | {figures} | {100.0 * row['covered']:.0f} % of {row['runs']} |")
        print(f"{experiment}: {found['cpu_s']:.0f} s of processor time", file=sys.stderr, flush=True)
    if args.json is not None:
        args.json.write_text(json.dumps({"seed": args.seed, "results": results}, indent=1))


if __name__ == "__main__":
    main()
