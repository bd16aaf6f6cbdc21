"""Differences between trainings, and how sure they are: over seeds, and over the scenes photographed."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from regolith.lunar.stage.spec import rng
from training.ablate.collect import Cell, Results

LEVEL = 0.95
DRAWS = 4000
"""Bootstrap samples of scenes."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over seeds; spread and interval only where there are two seeds or more."""

    mean: float
    seeds: int
    sd: float | None = None
    lo: float | None = None
    hi: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Fields as JSON has them."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Difference:
    """A weighted sum of figures of several cells, most often one minus another, seed by seed."""

    metric: str
    weights: Mapping[Cell, float]
    estimate: Estimate
    scenes: tuple[float, float] | None
    """Interval over the scenes photographed, the trainings as they are; None where the figure has no scenes."""

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """The intervals there are: over seeds, over scenes."""
        found = [] if self.estimate.lo is None or self.estimate.hi is None else [(self.estimate.lo, self.estimate.hi)]
        return found + ([] if self.scenes is None else [self.scenes])

    def to_dict(self) -> dict[str, Any]:
        """Fields as JSON has them."""
        weights = [{"preset": preset, "run": run, "weight": weight} for (preset, run), weight in self.weights.items()]
        return {"metric": self.metric, "weights": weights, **self.estimate.to_dict(), "scenes": self.scenes}


def estimate(values: Sequence[float]) -> Estimate | None:
    """Return mean, standard deviation and the t-interval of the mean at `LEVEL`; None of nothing."""
    if not values:
        return None
    mean, n = statistics.fmean(values), len(values)
    if n < 2:
        return Estimate(mean, n)
    sd = statistics.stdev(values)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)
    return Estimate(mean, n, sd, mean - half, mean + half)


def minus(one: Cell, other: Cell) -> dict[Cell, float]:
    """Weights of `one` minus `other`."""
    return {one: 1.0, other: -1.0}


def compare(results: Results, metric: str, weights: Mapping[Cell, float]) -> Difference | None:
    """Return a weighted sum of figures, paired by seed: equal seeds begin with equal weights.

    Args:
        results: The study's.
        metric: Key of `METRICS`.
        weights: Cell to its weight.

    Returns:
        None where no seed has all of them.
    """
    values = {cell: results.values(cell, metric) for cell in weights}
    seeds = [seed for seed in results.study.seeds if all(seed in found for found in values.values())]
    found = estimate([sum(weights[cell] * values[cell][seed] for cell in weights) for seed in seeds])
    if found is None:
        return None
    return Difference(metric, weights, found, _over_scenes(results, metric, weights, seeds))


def _over_scenes(
    results: Results, metric: str, weights: Mapping[Cell, float], seeds: Sequence[int]
) -> tuple[float, float] | None:
    """Bootstrap interval of a difference over the scenes: frames of one scene come and go together."""
    fields = {"flood_mean": "real", "polar_iou": "polar", "polar_precision": "polar", "polar_recall": "polar"}
    if metric not in fields:
        return None
    tables = {cell: results.photographs(cell, fields[metric]) for cell in weights}
    names = sorted(set.intersection(*(set(tables[cell][seed]) for cell in weights for seed in seeds)))
    if metric != "flood_mean":
        names = [name for name in names if all(tables[c][s][name]["rock"] for c in weights for s in seeds)]
    scenes: list[str] = sorted({results.scene(name) for name in names})
    if len(scenes) < 2:
        return None
    member = np.array([[results.scene(name) == scene for name in names] for scene in scenes], float)
    picks = rng(0, "scenes", metric).integers(0, len(scenes), (DRAWS, len(scenes)))
    counts = np.stack([np.bincount(pick, minlength=len(scenes)) for pick in picks]) @ member  # (draws, photographs)
    total = np.zeros(DRAWS)
    for cell, weight in weights.items():
        for seed in seeds:
            total += weight / len(seeds) * _figure(metric, counts, [tables[cell][seed][name] for name in names])
    total = total[np.isfinite(total)]
    if len(total) < DRAWS / 2:
        return None
    lo, hi = np.quantile(total, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(lo), float(hi)


def _figure(metric: str, counts: np.ndarray, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return a figure of resampled photographs, shape [draws].

    Args:
        metric: Key of `METRICS`.
        counts: How often each draw has each photograph, shape [draws, photographs].
        rows: What is known of each photograph.
    """
    if metric == "flood_mean":
        return counts @ np.array([row["flood"] for row in rows]) / counts.sum(axis=1)
    tp, fp, fn = (counts @ np.array([row["rock"][key] for row in rows], float) for key in ("tp", "fp", "fn"))
    whole = {"polar_iou": tp + fp + fn, "polar_precision": tp + fp, "polar_recall": tp + fn}[metric]
    return np.divide(tp, whole, out=np.full(len(tp), np.nan), where=whole > 0)


def effects(results: Results) -> list[dict[str, Any]]:
    """Return the pairs of runs that differ in one thing: randomization at equal size, size at equal randomization.

    Returns:
        {preset, effect, from, to, weights} each; `effect` is `randomization` or `size`.
    """
    runs = results.study.runs
    found: list[dict[str, Any]] = []
    for preset in results.study.presets:
        for one in runs:
            for other in runs:
                if not one.randomized and other.randomized and one.frames == other.frames:
                    effect = "randomization"
                elif one.randomized and other.randomized and one.frames < other.frames:
                    effect = "size"
                else:
                    continue
                weights = minus((preset, other.name), (preset, one.name))
                found.append(
                    {"preset": preset, "effect": effect, "from": one.name, "to": other.name, "weights": weights}
                )
    return sorted(found, key=lambda each: each["effect"])
