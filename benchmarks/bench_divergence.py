"""Benchmark of divergences of two samples: bias where there is none, what is found of one, and how intervals hold.

    python benchmarks/bench_divergence.py [--json FILE] [--trials 20] [--seed 0]

Normal samples in 8 dimensions, the second moved along the first or widened in all, of one and of unlike numbers of
rows. The estimator that was taken, nearest neighbours, stands beside the two that were not: histograms of norms, which
are published and stay as a second figure, and the mean over random projections (sliced) of histograms of equal counts.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import quad

from regolith.lunar.quality.divergence import (
    bootstrap_interval,
    js_divergence,
    neighbour_divergence,
    norm_divergence,
)

DIMENSIONS = 8
KINDS = (("shift", 0.0), ("shift", 1.0), ("shift", 2.0), ("shift", 4.0), ("scale", 1.3), ("scale", 2.0))
ROWS = ((60, 60), (4096, 60), (200, 200), (4096, 200), (1000, 400))
NEIGHBOURS = (8, 16, 32, None)
"""Neighbours of the density ratio; None for what is taken, by the number of rows."""


def true_divergence(kind: str, by: float) -> float:
    """Return the JSD of the two distributions: by quadrature along the shift, or over the radius."""

    def of(p: float, q: float) -> float:
        return sum(0.5 * d * math.log2(2 * d / (p + q)) for d in (p, q) if d > 0)

    if kind == "shift":
        return quad(lambda t: of(*(math.exp(-((t - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (0, by))), -10, 14)[
            0
        ]

    def radius(r: float, scale: float) -> float:
        power = r ** (DIMENSIONS - 1) * math.exp(-((r / scale) ** 2) / 2)
        return power / (2 ** (DIMENSIONS / 2 - 1) * math.gamma(DIMENSIONS / 2) * scale**DIMENSIONS)

    return quad(lambda r: of(radius(r, 1.0), radius(r, by)), 0, 20, limit=200)[0]


def sliced_divergence(x: np.ndarray, y: np.ndarray, random: np.random.Generator, *, bins: int = 16) -> float:
    """Return the mean over 64 directions of the JSD of histograms whose bins hold equal counts of both samples."""
    directions = random.normal(size=(x.shape[1], 64))
    found = []
    for a, b in zip((x @ directions).T, (y @ directions).T, strict=True):
        edges = np.quantile(np.concatenate([a, b]), np.linspace(0, 1, bins + 1))[1:-1]
        p, q = (np.bincount(np.searchsorted(edges, v), minlength=bins).astype(float) for v in (a, b))
        found.append(js_divergence(p, q))
    return float(np.mean(found))


def estimates(trials: int, seed: int) -> list[dict[str, Any]]:
    """Return mean and deviation of each estimator by kind and numbers of rows, and print them."""
    rows: list[dict[str, Any]] = []
    names = ["norms", *("taken" if k is None else f"k = {k}" for k in NEIGHBOURS), "sliced"]
    print(f"{'rows':>11} {'kind':>10} {'true':>6}  " + "".join(f"{name:>16}" for name in names))
    for n, m in ROWS:
        for kind, by in KINDS:
            random = np.random.default_rng(seed)
            values = []
            for _ in range(trials):
                x, y = random.normal(size=(n, DIMENSIONS)), random.normal(size=(m, DIMENSIONS))
                y = y * by if kind == "scale" else y + by * np.eye(DIMENSIONS)[0]
                ones = np.ones(n), np.ones(m)
                near = [neighbour_divergence(x, y, np.arange(n), np.arange(m), neighbours=k) for k in NEIGHBOURS]
                values.append([f(*ones) for f in (norm_divergence(x, y), *near)] + [sliced_divergence(x, y, random)])
            mean, deviation = np.mean(values, axis=0), np.std(values, axis=0)
            truth = true_divergence(kind, by)
            rows.append(
                {
                    "rows": [n, m],
                    "kind": kind,
                    "by": by,
                    "true": truth,
                    "mean": dict(zip(names, mean.tolist(), strict=True)),
                }
            )
            text = "".join(f"{a:10.3f} ±{b:.3f}" for a, b in zip(mean, deviation, strict=True))
            print(f"{n:>5}/{m:<5} {kind:>5} {by:<4g} {truth:6.3f}  {text}", flush=True)
    return rows


def coverage(trials: int, seed: int) -> list[dict[str, Any]]:
    """Return how often intervals of 95 % hold the truth, groups drawn and rows drawn, and print it.

    24 groups of 8 rows a side in two dimensions; a third of the variance is common to a group.
    """
    found: list[dict[str, Any]] = []
    groups = np.repeat(np.arange(24), 8)
    rows = np.arange(len(groups))
    for shift in (1.0, 2.0, 4.0):
        random = np.random.default_rng(seed)
        truth, held = true_divergence("shift", shift), np.zeros(2)
        for trial in range(trials):
            x, y = (
                random.normal(size=(24, 2))[groups] * math.sqrt(1 / 3)
                + random.normal(size=(len(groups), 2)) * math.sqrt(2 / 3)
                + np.array([by, 0])
                for by in (0, shift)
            )
            statistic = neighbour_divergence(x, y, groups, groups, neighbours=16)
            for place, drawn in enumerate((groups, rows)):
                interval = bootstrap_interval(statistic, drawn, drawn, high=1, seed=trial)
                held[place] += interval is not None and interval[0] <= truth <= interval[1]
        shares = (held / trials).tolist()
        found.append({"shift": shift, "groups": shares[0], "rows": shares[1]})
        print(f"intervals hold {truth:.3f}: groups drawn {shares[0]:.0%}, rows drawn {shares[1]:.0%}", flush=True)
    return found


def main() -> int:
    """Run both measurements, print the tables, write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    result = {"estimates": estimates(args.trials, args.seed), "coverage": coverage(4 * args.trials, args.seed)}
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
