"""From what a gate rejected to a request: which parameters, and which ranges of them, frames shall be drawn anew from.

For each class `DRAWN` names the parameters that change how it looks and that are drawn anew for each frame or scene.
Each is held against the frames' own divergence of the class (`gate_frames`) by Spearman's rank correlation, of scenes
by the mean of their frames. Under exchange of the scores among frames, or scenes, the largest absolute correlation over
all of these parameters is the yardstick (P. Westfall, S. Young, "Resampling-based multiple testing", 1993): one that
999 exchanges reach in less than 5 % counts, whatever the number of parameters. Of such a parameter the request asks
for the middle half, first to third quartile, of the values that the best third of the frames or scenes have.

Rank correlation sees no value that is best in the middle, and nothing that was not varied; and what makes frames more
like real ones may make up for a fault elsewhere: flat ground looks rougher under a low sun. Where nothing correlates
the request asks for the same ranges at another seed, and says so.

Of geometry, no frame has a score of its own: how near a patch is to real ones favours flat ground. What is compared
instead is how high ground rises over its plane (`relief` of `score geometry`). Heights are proportional to slopes, so
`terrain.rms_slope_deg` is divided by their ratio where its interval excludes 1: a first approximation, for craters and
micro-relief add heights that it does not scale.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.request import WORDS_MAX, Request, stated
from regolith.lunar.dataset.split_reader import StoredFrame
from regolith.lunar.params import Interval, Params, SensorParams, TerrainParams, as_text, field_extra
from regolith.lunar.quality.gate_frames import ClassVerdict
from regolith.lunar.randomize import draw_scene, frame_intervals, scene_intervals
from regolith.lunar.randomize.draw import SCENE_VALUES
from regolith.lunar.stage.spec import rng

LEVEL = 0.05
"""Level of the test of all correlations of a class together."""
EXCHANGES = 999
UNITS_MIN = 12
"""Fewest frames, or scenes, a correlation is looked for in: a third of them has quartiles."""

_SENSOR = tuple(f"sensor.{name}" for name, field in SensorParams.model_fields.items() if field_extra(field)["per"])
_VIEW = ("domain.sun_elevation_deg", "domain.exposure_ev", "domain.height_m", "domain.pitch_deg", "domain.fov_deg")
_LIGHT = ("light.sun_angle_deg", "light.irradiance", "light.sun_temperature_k")
_PHOTOMETRY = ("domain.albedo", "ground.hapke_b", "ground.hapke_c", "ground.hapke_b0", "ground.hapke_h")
DRAWN: dict[str, tuple[str, ...]] = {
    "regolith": (
        *_VIEW, *_LIGHT, *_PHOTOMETRY, "domain.roughness", "ground.mottling", "craters.density", "relief.strength",
        *_SENSOR,
    ),
    "rock": (
        *_VIEW, *_LIGHT, *_PHOTOMETRY, "domain.rock_albedo_ratio", "rocks.abundance", "rocks.exponent", *_SENSOR
    ),
    "sky": ("domain.sun_elevation_deg", "domain.exposure_ev", "light.irradiance", *_SENSOR),
}  # fmt: skip
"""Class to the parameters drawn per frame or scene that change how it looks; not azimuths, which have no order."""
FIXED: dict[str, tuple[str, ...]] = {
    "regolith": (
        "terrain.rms_slope_deg", "terrain.hurst", "craters.exponent", "relief.rms_height_m", "relief.pit_density",
        "relief.clod_height_m", "relief.pebble_density", "relief.bump", "ground.photometry",
    ),
    "rock": ("rocks.shape", "rocks.burial", "rocks.angularity", "rocks.fractures", "rocks.relief", "rocks.bump",
             "ground.photometry"),
    "sky": ("light.stars", "sensor.encoding"),
}  # fmt: skip
"""Class to the parameters that change how it looks and have one value in a split, or one for each rock: no frame can
tell of them, so where nothing drawn correlates they are named for whoever reads."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A parameter a request asks for, and why."""

    name: str
    """Dotted."""
    was: str
    wanted: str
    why: str


@dataclasses.dataclass(frozen=True)
class Varying:
    """A parameter that varies over a split."""

    name: str
    interval: Interval
    values: np.ndarray
    """Of each frame that was looked at, float64."""
    by_scene: bool


def ask_for_class(
    verdict: ClassVerdict, frames: Sequence[StoredFrame], contract: Contract, *, seed: int
) -> list[Asked]:
    """Return the ranges in which frames are most like real ones, of the parameters that matter by the test above.

    Args:
        verdict: Of a class that failed.
        frames: The frames that were looked at.
        contract: Of their split.
        seed: Of the exchanges.
    """
    return ask_for(verdict.check.name, verdict.own, frames, contract, seed=seed, what=verdict.check.name)


def ask_for(
    name: str, own: np.ndarray, frames: Sequence[StoredFrame], contract: Contract, *, seed: int, what: str,
    most: bool = False,
) -> list[Asked]:  # fmt: skip
    """Return the ranges in which frames have the least of something, of the parameters that matter by the test above.

    Args:
        name: Class whose parameters are looked at (`DRAWN`).
        own: What each frame has, float64 [n]; NaN where it is not known.
        frames: The frames, [n].
        contract: Of their split.
        seed: Of the exchanges.
        what: What `own` is called where the parameter says why.
        most: The ranges in which they have the most of it instead.
    """
    scenes = _scenes(frames)
    columns = varying(name, frames, contract)
    found: list[Asked] = []
    families = [[c for c in columns if c.by_scene == by_scene] for by_scene in (False, True)]
    for family, word in zip(families, ("frame", "scene"), strict=True):
        units = scenes if word == "scene" else np.arange(len(frames))
        known = np.isfinite(own)
        if not family or len(np.unique(units[known])) < UNITS_MIN:
            continue
        score, values = _per_unit(units[known], own[known], np.stack([c.values[known] for c in family], axis=1))
        generator = rng(seed, "gate", name, word)
        rho, p = correlate(score, values, generator)
        p = np.minimum(p * sum(map(bool, families)), 1)
        bad = -score if most else score
        best = np.argsort(bad, kind="stable")[: len(bad) // 3]
        best = best[bad[best] < np.median(bad)]  # of counts that are mostly 0, those that are not
        for column, r, chance, seen in zip(family, rho, p, values.T, strict=True):
            if chance >= LEVEL or not best.size:
                continue
            lo, hi = (float(f"{end:.4g}") for end in np.quantile(seen[best], (0.25, 0.75)))
            wanted = Interval(max(lo, column.interval.lo), min(hi, column.interval.hi))
            why = f"{what}: rank correlation {r:+.2f} (p {chance:.3f}) over {len(score)} {word}s"
            found.append(Asked(column.name, as_text(column.interval), as_text(wanted), why))
    return found


def _scenes(frames: Sequence[StoredFrame]) -> np.ndarray:
    return np.array([frame.spec.get("scene", frame.index) for frame in frames])


def varying(name: str, frames: Sequence[StoredFrame], contract: Contract) -> list[Varying]:
    """The parameters of `DRAWN` that vary in a split.

    Args:
        name: Class whose parameters are looked at.
        frames: Frames of it.
        contract: Of the split.
    """
    params, split, scenes = contract.params, contract.split, _scenes(frames)
    per_frame, per_scene = frame_intervals(params, split), scene_intervals(params, split)
    by_path = {f"{group}.{field}": key for key, (group, field) in SCENE_VALUES.items()}
    drawn = {int(n): draw_scene(params, contract.seed, split, int(n)).to_dict() for n in np.unique(scenes)}
    columns = []
    for path in DRAWN[name]:
        group, field = path.split(".")
        if path in by_path:
            interval, values = per_scene[by_path[path]], [drawn[int(n)][by_path[path]] for n in scenes]
        else:
            interval, values = per_frame[field], [frame.spec.get(field, np.nan) for frame in frames]
        name_here = f"test_domain.{field}" if group == "domain" and split == "test_photoreal" else path
        if interval.lo < interval.hi and np.isfinite(values).all():
            columns.append(Varying(name_here, interval, np.array(values, np.float64), path in by_path))
    return columns


def _per_unit(units: np.ndarray, score: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over the frames of each unit: scores [units] and values [units, columns]."""
    _, place, count = np.unique(units, return_inverse=True, return_counts=True)
    totals = np.zeros((len(count), values.shape[1]))
    np.add.at(totals, place, values)
    return np.bincount(place, score) / count, totals / count[:, None]


def correlate(score: np.ndarray, values: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rank correlation of a score with several variables, and p-values that hold for all of them together.

    Args:
        score: float [n].
        values: float [n, k].
        generator: Draws the exchanges.

    Returns:
        Spearman's rho, float64 [k]; and the share of exchanges of the score, itself among them, whose largest |rho|
        over the variables is no smaller, float64 [k], in (0, 1].
    """
    ranks = np.stack([_standard(column) for column in values.T], axis=1)
    rank = _standard(score)
    rho = rank @ ranks
    exchanged = np.argsort(generator.random((EXCHANGES, len(rank))), axis=1)
    largest = np.abs(rank[exchanged] @ ranks).max(axis=1)
    p = (1 + (largest[:, None] >= np.abs(rho) - 1e-12).sum(axis=0)) / (1 + EXCHANGES)
    return rho, p


def _standard(column: np.ndarray) -> np.ndarray:
    """Ranks, equal values sharing one, of mean 0 and length 1; all 0 where nothing varies."""
    _, place, count = np.unique(column, return_inverse=True, return_counts=True)
    ranks = np.cumsum(count) - (count - 1) / 2
    centred = ranks[place] - (len(column) + 1) / 2
    length = np.linalg.norm(centred)
    return centred / length if length else centred


def ask_for_relief(params: Params, rows: Sequence[Mapping[str, Any]]) -> list[Asked]:
    """Return the slope whose heights would be the real ones', where heights differ.

    Args:
        params: Of the split.
        rows: Of `score geometry`; ground's is used, or that of all points where there are no classes.
    """
    row = next((row for row in rows if row["class"] == "regolith"), rows[0])
    relief, slope = row["relief"], params.terrain.rms_slope_deg
    if relief is None or not slope or relief["interval"][0] <= 1 <= relief["interval"][1]:
        return []
    most = field_extra(TerrainParams.model_fields["rms_slope_deg"])["le"]
    wanted = min(round(slope / relief["ratio"], 2), most)
    lo, hi = relief["interval"]
    why = (
        f"geometry: synthetic ground rises {relief['synth_m']:.3g} m over its plane, {relief['ratio']:.2f} "
        f"({lo:.2f} … {hi:.2f}) of real ground's {relief['real_m']:.3g} m"
    )
    return [Asked("terrain.rms_slope_deg", as_text(slope), as_text(float(wanted)), why)]


def merged(asked: Sequence[Asked]) -> tuple[list[Asked], list[str]]:
    """Bring what several classes ask of one parameter together: the common part of their ranges.

    Returns:
        One a parameter; and a line for each whose ranges have nothing in common, of which nothing is asked.
    """
    found: dict[str, Asked] = {}
    apart: dict[str, str] = {}
    for each in asked:
        other = found.get(each.name)
        if other is None:
            found[each.name] = each
            continue
        a, b = (Interval.model_validate(one.wanted) for one in (other, each))
        if not a.overlaps(b):
            apart[each.name] = f"{each.name}: classes want ranges that have nothing in common, {a} and {b}"
            continue
        both = Interval(max(a.lo, b.lo), min(a.hi, b.hi))
        found[each.name] = dataclasses.replace(other, wanted=as_text(both), why=f"{other.why}; {each.why}")
    return [each for name, each in found.items() if name not in apart], list(apart.values())


def make_request(
    contract: Contract, asked: Sequence[Asked], why: Sequence[str], *, frames: int, made_by: str = "regolith gate"
) -> Request:
    """Make the request: the split's own parameters, with what is asked for in them, at another seed.

    Args:
        contract: Of the split that was rejected.
        asked: Parameters to change, each once.
        why: What was found, in sentences.
        frames: How many.
        made_by: The command that asks.
    """
    preset, texts = stated(contract.params)
    changes = [f"{each.name} {each.was} → {each.wanted} ({each.why})." for each in asked]
    return Request(
        made_by=made_by, why=" ".join([*why, *changes])[:WORDS_MAX], preset=preset,
        params=texts | {each.name: each.wanted for each in asked}, split=contract.split, frames=frames,
        size=(contract.width, contract.height), seed=contract.seed + 1,
    )  # fmt: skip
