"""The rows of a geometric score: clouds of one place in pairs, or patches of any places as sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy

from regolith.lunar.labels import ROCK
from regolith.lunar.params import InputError
from regolith.lunar.quality.clouds import Cloud
from regolith.lunar.quality.density import draw, match_elevation
from regolith.lunar.quality.geometry import (
    EXACT_MAX,
    Distances,
    closeness,
    distances,
    method_of,
    nearest,
    sliced_all,
    variety,
)
from regolith.lunar.quality.patches import FILLED, Grid, Patch, level, samples
from regolith.lunar.quality.sensor import ALL, ROW_CLASSES, SMALLEST, Sensor
from regolith.lunar.stage.spec import rng

DISTANCE = "distance_m"
"""Name of a metric's value in a row."""
EXPECTED = {"patches": "expected_distance_m", "paired": "max_expected_distance_m"}
"""Name of what it is held against, by what was compared."""
PATCHES_MAX = 48
"""Patches of each side that are compared, spread over the places."""
PATCHES_MIN = 6
"""Fewest patches of each side that are compared."""
CLASS_POINTS_MIN = 16
"""Fewest points of a class that a patch is compared by."""
REDRAWS = 200
"""Draws of the places behind a spread."""

Sides = tuple[Sequence[Cloud], Sequence[Cloud]]
"""Synthetic and real clouds."""
Row = dict[str, Any]


def rows(sides: Sides, compare: Callable[[str, int | None], Row]) -> list[Row]:
    """The row of all points, and where both sides say classes, one for each class that either has.

    A class that one side lacks is maximally far: its score is 0.

    Args:
        sides: Clouds of both.
        compare: Makes the row of a class that both have, of its name and value.
    """
    found = [compare(ALL, None)]
    if any(cloud.classes is None for side in sides for cloud in side):
        return found
    for name, number in ROW_CLASSES.items():
        there = [any(len(cloud.of(number)) for cloud in side) for side in sides]
        if number is not None and all(there):
            found.append(compare(name, number))
        elif number is not None and any(there):
            found.append(row(name, score=0.0, note=f"none in {'REAL' if there[0] else 'SYNTH'}"))
    return found


def row(
    name: str,
    *,
    score: float | None = None,
    spread: float | None = None,
    points: int = 0,
    samples: int = 0,
    metrics: dict[str, dict[str, float]] | None = None,
    relief: dict[str, Any] | None = None,
    spacing: float | None = None,
    note: str = "",
) -> Row:
    """A row as `geometry.json` holds it (`quality.score_geometry`)."""
    return {
        "class": name, "score": score, "spread": spread, "points": points,
        "method": method_of(points) if points else None, "samples": samples, "note": note,
        **{which: (metrics or {}).get(which) for which in Distances._fields}, "relief": relief,
        "spacing_m": spacing,
    }  # fmt: skip


def _metrics(
    found: Distances, expected: Distances, own: Distances | None = None, **parts: Distances
) -> dict[str, dict[str, float]]:
    """Both metrics of a row by name.

    Args:
        found: Synthetic against real [m].
        expected: Real against real [m].
        own: Synthetic against synthetic [m], where sets are compared.
        parts: Further distances of each [m] by name.
    """
    metrics = {}
    for which in Distances._fields:
        near = closeness(getattr(found, which), getattr(expected, which))
        various = 1.0 if own is None else variety(getattr(own, which), getattr(expected, which))
        metrics[which] = {
            DISTANCE: getattr(found, which),
            EXPECTED["paired" if own is None else "patches"]: getattr(expected, which),
            **{name: getattr(part, which) for name, part in parts.items()},
            "closeness": near, "variety": various, "score": near * various,
        }  # fmt: skip
    return metrics


def _mean(metrics: dict[str, dict[str, float]]) -> float:
    """Score of a row: the mean of both metrics'."""
    return sum(metric["score"] for metric in metrics.values()) / len(metrics)


def paired_rows(sides: Sides, sensor: Sensor, points: int, seed: int) -> list[Row]:
    """Compare clouds of the same places, in order, after both are thinned to one density over elevation.

    Each is taken about its own sensor, with its axes as they are: a twin was seen from where the real sensor stood,
    with the same z and x axes, whatever origin its coordinates have.

    Args:
        sides: As many clouds on both.
        sensor: What repeated real scans differ by.
        points: Most points of a sample.
        seed: Seed of what is drawn.

    Raises:
        InputError: Clouds that do not pair, have too few points in common, or a sensor that was measured at other
            numbers of points.
    """
    synth, real = sides
    if len(synth) != len(real):
        raise InputError("real", f"{len(real)} clouds", f"{len(synth)}, one for each of SYNTH, of the same place")
    one, other = ([cloud.from_sensor() for cloud in side] for side in sides)
    matched = match_elevation(one, other, rng(seed, "match"))

    def compare(name: str, number: int | None) -> Row:
        pairs = [(one.of(number), other.of(number)) for one, other in zip(*matched, strict=True)]
        pairs = [pair for pair in pairs if min(map(len, pair)) >= SMALLEST]
        if not pairs:
            if number is None:
                raise InputError(
                    "real", "too few points", f"clouds with {SMALLEST} points at the same elevations as SYNTH's"
                )
            return row(name, note=f"no pair with {SMALLEST} points in both")
        count = min(points, *(len(cloud) for pair in pairs for cloud in pair))
        expected = sensor.most_expected(name, count)
        if expected is None:
            if number is None:
                allowed = f"{sensor.measured(name)}, where {sensor.sensor} was measured; --most of calibrate sensor"
                raise InputError("points", count, allowed)
            return row(name, points=count, samples=len(pairs), note=f"sensor was measured at {sensor.measured(name)}")
        drawn = [
            [draw(cloud, count, rng(seed, name, place, side)) for side, cloud in enumerate(pair)]  # as scans are drawn
            for place, pair in enumerate(pairs)
        ]
        found = Distances(*np.mean([distances(*pair) for pair in drawn], axis=0).tolist())
        metrics = _metrics(found, expected)
        apart = float(np.mean([spacing(other) for _, other in drawn]))
        heights = [float(np.mean([relief_of(pair[side]) for pair in drawn])) for side in (0, 1)]
        note = ""
        if number != ROCK and heights[1] < apart:
            note = _say_low(apart, heights[1], "more --points see")
        return row(
            name, score=_mean(metrics), points=count, samples=len(pairs), metrics=metrics, spacing=apart, note=note,
            relief=None if number == ROCK else {"synth_m": heights[0], "real_m": heights[1]},
        )  # fmt: skip

    return rows(sides, compare)


def spacing(points: np.ndarray) -> float:
    """Mean distance of points [m], shape [N, 3], to the nearest of the others [m]; N at least 2."""
    return float(scipy.spatial.KDTree(points).query(points, k=2)[0][:, 1].mean())


def relief_of(points: np.ndarray) -> float:
    """RMS height of points [m], shape [N, 3], over the plane through them (least squares) [m]."""
    return float(np.sqrt(np.mean(level(points, points[:, :2].mean(axis=0), np.ones(len(points), bool))[:, 2] ** 2)))


def patch_rows(sides: Sides, grid: Grid, points: int, seed: int) -> list[Row]:
    """Compare patches of both sides as sets; what is expected are real patches against those of other places.

    Args:
        sides: Clouds of both.
        grid: Patches of both at one density.
        points: Most points of a sample; above `EXACT_MAX` so many, for samples that differ in size are not sliced.
        seed: Seed of what is drawn.
    """
    points, apart = min(points, EXACT_MAX), grid.spacing_m

    def compare(name: str, number: int | None) -> Row:
        both: list[list[Patch]] = []
        most, places = 0, [0, 0]
        for least in (FILLED * grid.voxels**2, CLASS_POINTS_MIN):  # patches full of the class, else with some of it
            both = [[patch for patch in side if len(patch.of(number)) >= least] for side in (grid.synth, grid.real)]
            most = min(PATCHES_MAX, *map(len, both))
            places = [len({patch.place for patch in side}) for side in both]
            if most >= PATCHES_MIN and min(places) >= 2:
                break
        else:
            what = "" if number is None else f" with {CLASS_POINTS_MIN} points of {name}"
            have = f"here {len(both[0])} of {places[0]} and {len(both[1])} of {places[1]}"
            note = f"{PATCHES_MIN} or more filled patches{what} of two or more places on both sides ({have})"
            return row(name, samples=most, note=note)
        chosen = [spread_over(side, most, rng(seed, "patches", name)) for side in both]
        drawn = [samples(side, number, points, rng(seed, "points", name)) for side in chosen]
        found = _sets(name, chosen, drawn, seed)
        if number != ROCK and found["relief"] and found["relief"]["real_m"] < apart:
            found["note"] = _say_low(apart, found["relief"]["real_m"], "a smaller --patch-m sees")
        return found

    return rows(sides, compare)


def spread_over(patches: Sequence[Patch], most: int, generator: np.random.Generator) -> list[Patch]:
    """Choose patches by chance, of each place as many as of the others as far as it has them."""
    turns: dict[str, int] = {}
    keyed = []
    for place in generator.permutation(len(patches)).tolist():
        patch = patches[place]
        turns[patch.place] = turns.get(patch.place, 0) + 1
        keyed.append((turns[patch.place], len(keyed), place))
    return [patches[place] for _, _, place in sorted(keyed)[:most]]


def _say_low(apart: float, height: float, remedy: str) -> str:
    """Say that the real relief is lower than points lie apart [m], and what sees it."""
    words = f"points lie {apart:.2g} m apart and the real relief is {height:.2g} m: shapes this low hardly count"
    return f"{words}; {remedy} them"


def _sets(name: str, chosen: Sequence[Sequence[Patch]], drawn: Sequence[Sequence[np.ndarray]], seed: int) -> Row:
    """The row of two sets of as many patches, each of which is held against the nearest of other places."""
    where = [np.unique([patch.place for patch in side], return_inverse=True)[1] for side in chosen]
    elsewhere = [side[:, None] != side for side in where]
    most = int(min(allowed.sum(axis=1).min() for allowed in elsewhere))

    coarse = sliced_all([*drawn[0], *drawn[1]])
    parts = slice(len(drawn[0])), slice(len(drawn[0]), None)

    def against(one: int, other: int) -> np.ndarray:
        allowed = elsewhere[one] if one == other else np.ones((len(drawn[one]), len(drawn[other])), bool)
        between = coarse[parts[one], parts[other]]
        return nearest(drawn[one], drawn[other], between, allowed, most, rng(seed, "nearest", name))

    there, back, own, expected = against(0, 1), against(1, 0), against(0, 0), against(1, 1)

    def weighed(synth: np.ndarray, real: np.ndarray) -> dict[str, dict[str, float]]:
        def mean(found: np.ndarray, by: np.ndarray) -> Distances:
            return Distances(*np.average(found, axis=0, weights=by).tolist())

        one, other, floor, among = mean(there, synth), mean(back, real), mean(expected, real), mean(own, synth)
        found = {"synth_to_real_m": one, "real_to_synth_m": other, "synth_to_synth_m": among}
        return _metrics(Distances(*map(max, one, other)), floor, among, **found)

    def reliefs(synth: np.ndarray, real: np.ndarray) -> list[float]:
        sides = zip(drawn, (synth, real), strict=True)
        return [float(np.sqrt(np.average([np.mean(p[:, 2] ** 2) for p in side], weights=by))) for side, by in sides]

    even = [np.ones(len(side)) for side in where]
    metrics = weighed(*even)
    generator = rng(seed, "redrawn", name)
    redraws = [[_redrawn(side, generator) for side in where] for _ in range(REDRAWS)]
    redrawn = [_mean(weighed(*by)) for by in redraws]
    relief = _ratio(reliefs(*even), [reliefs(*by) for by in redraws])
    return row(
        name, score=_mean(metrics), spread=float(np.std(redrawn)), relief=relief,
        points=round(np.mean([len(each) for side in drawn for each in side])), samples=len(drawn[0]), metrics=metrics,
    )  # fmt: skip


def _ratio(found: list[float], redrawn: list[list[float]]) -> dict[str, Any] | None:
    """Heights of both sides [m] and synthetic by real, with the interval of 95 % of it; None where real ones are 0."""
    if not found[1] or not all(real for _, real in redrawn):
        return None
    below, above = np.quantile([synth / real for synth, real in redrawn], (0.025, 0.975)).tolist()
    return {"synth_m": found[0], "real_m": found[1], "ratio": found[0] / found[1], "interval": [below, above]}


def _redrawn(places: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """How often each patch counts where as many places are drawn with replacement, int64 [patches]."""
    count = int(places.max()) + 1
    return np.bincount(generator.integers(count, size=count), minlength=count)[places]
