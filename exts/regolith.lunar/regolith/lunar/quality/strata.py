"""Strata of frames: which frames are alike in a few values, and frames drawn so that no kind is lost.

Stratified sampling with proportional allocation is Neyman's (Journal of the Royal Statistical Society 97, 1934); that
every stratum gets one frame where there are enough is ours: rare kinds are the ones a detector fails on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from regolith.lunar.dataset.formats.source import components
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.manifest import Part
from regolith.lunar.labels import NAMES, ROCK
from regolith.lunar.params import InputError
from regolith.lunar.stage.spec import rng

SHARES = {f"{name}_share": name for name in NAMES}
"""Variables read from a frame's counts: the class's share of its labelled pixels."""
ROCK_SIZE = "rock_size"
"""Variable read from a frame's mask: median equivalent diameter √(4·area/π) of its rock regions, as a share of the
picture's width; unknown where there is no rock."""
UNKNOWN = -1
"""Bucket of frames of which a variable is not known."""


def variable(name: str, parts: Sequence[Part]) -> np.ndarray:
    """Value of a variable of every frame, float64 [n], NaN where it is not known.

    Args:
        name: A class's share (`rock_share`), `rock_size`, or a number of the frames' specs, whose unit may be left out
            (`sun_elevation`).
        parts: The frames, split by split.

    Raises:
        InputError: A mask has to be read and is not as it was written.
    """
    if name in SHARES:
        return np.array([_share(record, SHARES[name]) for part in parts for record in part.records])
    if name == ROCK_SIZE:
        return np.array([_rock_size(part.source.array("mask", record)) for part in parts for record in part.records])
    return np.array([_spec_value(record, name) for part in parts for record in part.records])


def _share(record: FrameRecord, name: str) -> float:
    labelled = sum(record.counts[key] for key in NAMES)
    return record.counts[name] / labelled if labelled else math.nan


def _rock_size(mask: np.ndarray) -> float:
    regions, _ = components(mask == ROCK)
    areas = np.bincount(regions.ravel())[1:]
    return float(np.median(np.sqrt(4 * areas / math.pi))) / mask.shape[1] if areas.size else math.nan


def _spec_value(record: FrameRecord, name: str) -> float:
    for key, value in record.spec.items():
        if key in (name, *(f"{name}_{unit}" for unit in ("deg", "m", "ev", "px"))) and _is_number(value):
            return float(value)
    return math.nan


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def known_variables(parts: Sequence[Part]) -> list[str]:
    """Names `variable` knows of some of the frames."""
    spec = {key for part in parts for record in part.records for key, value in record.spec.items() if _is_number(value)}
    return [*SHARES, ROCK_SIZE, *sorted(spec)]


def edges(sides: Sequence[np.ndarray], buckets: int) -> np.ndarray:
    """Edges between the buckets of a variable, float64 [at most buckets − 1], ascending, no two alike.

    They are the mean of the sides' own quantiles, so that a side of ten frames says as much as one of ten thousand.

    Args:
        sides: Values of each side, float64 [n], NaN where not known.
        buckets: How many buckets.
    """
    shares = np.arange(1, buckets) / buckets
    known = [side[~np.isnan(side)] for side in sides]
    quantiles = [np.quantile(side, shares) for side in known if side.size]
    return np.unique(np.mean(quantiles, axis=0)) if quantiles else np.empty(0)


def strata(values: Mapping[str, np.ndarray], borders: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
    """Stratum of every frame: the bucket of each variable, from 0, `UNKNOWN` where its value is not known.

    Args:
        values: Variable to its values, float64 [n].
        borders: Variable to the edges between its buckets; a value on an edge belongs to the bucket above.
    """
    columns = [
        np.where(np.isnan(column), UNKNOWN, np.searchsorted(borders[name], column, side="right")).tolist()
        for name, column in values.items()
    ]
    return list(zip(*columns, strict=True))


def allocate(sizes: Sequence[int], number: int) -> list[int]:
    """Share a number of frames among strata in proportion to their sizes; never more than a stratum has.

    Each stratum gets at least one where `number` is at least the number of strata, else the largest ones do.

    Args:
        sizes: Frames of each stratum, each at least 1.
        number: At most their sum.

    Raises:
        ValueError: `number` is more than the strata have.
    """
    have = np.asarray(sizes, np.int64)
    total = int(have.sum())
    if number > total:
        raise ValueError(f"{number} of {total} frames")
    if number < len(have):
        taken = np.zeros_like(have)
        taken[np.argsort(-have, kind="stable")[:number]] = 1
        return taken.tolist()
    wanted = have * (number / max(total, 1))
    taken = np.maximum(np.floor(wanted).astype(np.int64), 1)
    for _ in range(abs(number - int(taken.sum()))):  # at most one a stratum: what was rounded down, or up to one
        over = taken.sum() > number
        room = (taken > 1) if over else (taken < have)
        surplus = np.where(room, taken - wanted if over else wanted - taken, -np.inf)
        taken[int(surplus.argmax())] += -1 if over else 1
    return taken.tolist()


def draw(frames: Sequence[tuple[int, ...]], number: int, *, seed: int, side: str) -> list[int]:
    """Positions of `number` frames, stratified, ascending; in whole rounds of all frames where there are too few.

    Args:
        frames: Stratum of every frame.
        number: How many.
        seed: Of the choice within each stratum; the same seed draws the same frames.
        side: Name that sets the streams of several sides apart.
    """
    rounds, rest = divmod(number, len(frames))
    places: dict[tuple[int, ...], list[int]] = {}
    for position, stratum in enumerate(frames):
        places.setdefault(stratum, []).append(position)
    kinds = sorted(places)
    chosen = list(range(len(frames))) * rounds
    for kind, take in zip(kinds, allocate([len(places[kind]) for kind in kinds], rest), strict=True):
        order = rng(seed, "strata", side, *kind).permutation(len(places[kind]))
        chosen += [places[kind][int(k)] for k in order[:take]]
    return sorted(chosen)


def rarest(shares: Mapping[tuple[int, ...], float], most: float) -> list[tuple[int, ...]]:
    """The rarest strata that together hold at most a share of all, at least one; the rarest first.

    Args:
        shares: Stratum to its share; one that is empty is no rare one.
        most: The share.
    """
    order = sorted((kind for kind, share in shares.items() if share), key=lambda kind: shares[kind])
    held = np.cumsum([shares[kind] for kind in order])
    return order[: max(1, int(np.searchsorted(held, most + 1e-9, side="right")))]


def checked_variables(names: Sequence[str], sides: Sequence[Sequence[Part]]) -> tuple[str, ...]:
    """Return the names if each is known of some frame.

    Raises:
        InputError: One is known of no frame, or stands twice.
    """
    known = dict.fromkeys(key for side in sides for key in known_variables(side))
    for name in names:
        if name in SHARES or name == ROCK_SIZE:
            continue
        if not any(np.isfinite(variable(name, side)).any() for side in sides):
            raise InputError("stratify", name, ", ".join(known))
    if len(set(names)) != len(names):
        raise InputError("stratify", ",".join(names), "each variable once")
    return tuple(names)


def bucket_words(number: int, border: np.ndarray) -> str:
    """A bucket as its range of values."""
    if number == UNKNOWN:
        return "unknown"
    if not border.size:
        return "any"
    low, high = (f"{border[k]:.4g}" if 0 <= k < border.size else "" for k in (number - 1, number))
    return f"{low} … {high}" if low and high else f"below {high}" if high else f"from {low}"
