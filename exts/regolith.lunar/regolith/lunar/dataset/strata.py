"""Strata of frames: which frames are alike in a few values; frames drawn so that no kind is lost, or to be shown.

Stratified sampling with proportional allocation is Neyman's (Journal of the Royal Statistical Society 97, 1934); that
every stratum gets one frame where there are enough, and else the rare ones do, is ours: rare kinds are the ones a
detector fails on.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from regolith.lunar.dataset.formats.source import components
from regolith.lunar.dataset.manifest import Part
from regolith.lunar.labels import NAMES, ROCK
from regolith.lunar.params import InputError
from regolith.lunar.stage.spec import rng

SHARES = {f"{name}_share": name for name in NAMES}
"""Variables read from a frame's counts: the class's share of its labelled pixels."""
ROCK_SIZE = "rock_size"
"""Variable read from a frame's mask: median equivalent diameter √(4·area/π) of its rock regions, as a share of the
picture's width; unknown where there is no rock."""
SHOWN_BY = ("sun_elevation_deg", "rock_share")
"""Variables that frames on contact sheets are sorted by, those that are known."""
SHOWN_BUCKETS = 3
"""Buckets of each."""
TAIL_SHARE = 0.1
"""Share of the frames that the tail holds where there are too few frames for all strata."""
UNKNOWN = -1
"""Bucket of frames of which a variable is not known."""


def variable(name: str, parts: Sequence[Part]) -> np.ndarray:
    """Value of a variable of every frame, float64 [n], NaN where it is not known.

    Args:
        name: A class's share (`rock_share`), `rock_size`, or a number of the frames' specs, whose unit may be left out
            (`sun_elevation`), or one of their columns (`tail.rocks`).
        parts: The frames, split by split.

    Raises:
        InputError: A mask has to be read and is not as it was written; or the column's table is not, or is of other
            frames than the split has now.
    """
    if name in SHARES:
        return np.array([_share(record, SHARES[name]) for part in parts for record in part.records])
    if name == ROCK_SIZE:
        return np.array([_rock_size(part.source.array("mask", record)) for part in parts for record in part.records])
    if "." in name:
        return np.concatenate([_column(name, part) for part in parts])
    return np.array([_spec_value(record, name) for part in parts for record in part.records])


class Told(Protocol):
    """What tells of a frame: its line of the journal, or the frame that a split has."""

    @property
    def spec(self) -> dict[str, Any]:
        """What it was drawn from."""
        ...

    @property
    def counts(self) -> dict[str, int]:
        """Pixels of each class."""
        ...


def _column(name: str, part: Part) -> np.ndarray:
    """One of a split's columns, NaN for all its frames where it has none of that name."""
    table, _, column = name.partition(".")
    found = part.source.table(table)
    if found is None or column not in found.columns:
        return np.full(len(part.records), math.nan)
    return found.column(column, part.records.numbers)


def _share(record: Told, name: str) -> float:
    labelled = sum(record.counts[key] for key in NAMES)
    return record.counts[name] / labelled if labelled else math.nan


def _rock_size(mask: np.ndarray) -> float:
    regions, _ = components(mask == ROCK)
    areas = np.bincount(regions.ravel())[1:]
    return float(np.median(np.sqrt(4 * areas / math.pi))) / mask.shape[1] if areas.size else math.nan


def _spec_value(record: Told, name: str) -> float:
    for key, value in record.spec.items():
        if key in (name, *(f"{name}_{unit}" for unit in ("deg", "m", "ev", "px"))) and _is_number(value):
            return float(value)
    return math.nan


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def known_variables(parts: Sequence[Part]) -> list[str]:
    """Names `variable` knows of some of the frames; columns of other frames than a split has now are left out."""
    spec = {key for part in parts for record in part.records for key, value in record.spec.items() if _is_number(value)}
    columns = {name for part in parts for table in part.source.tables for name in table.names}
    return [*SHARES, ROCK_SIZE, *sorted(spec), *sorted(columns)]


def edges(sides: Sequence[np.ndarray], buckets: int) -> np.ndarray:
    """Edges between the buckets of a variable, float64 [at most buckets − 1], ascending, no two alike.

    They are the mean of the sides' own quantiles, so that a side of ten frames says as much as one of ten thousand.
    Where many values are alike, as counts that are mostly 0, quantiles fall together, or on the least value where they
    part nothing; values themselves are then the edges if they part more.

    Args:
        sides: Values of each side, float64 [n], NaN where not known.
        buckets: How many buckets.
    """
    shares = np.arange(1, buckets) / buckets
    known = [side for values in sides if (side := values[~np.isnan(values)]).size]
    if not known:
        return np.empty(0)
    found = np.unique(np.mean([np.quantile(side, shares) for side in known], axis=0))
    parting = np.count_nonzero(found > min(side.min() for side in known))
    if parting == buckets - 1:
        return found
    of_values = _value_edges(known, buckets)
    return of_values if of_values.size > parting else found


def _value_edges(sides: Sequence[np.ndarray], buckets: int) -> np.ndarray:
    """Edges that are values of the sides: each bucket ends where it is nearest to its part of what is left."""
    weights = np.concatenate([np.full(side.size, 1 / side.size) for side in sides])
    values, which = np.unique(np.concatenate(sides), return_inverse=True)
    if values.size <= buckets:
        return values[1:]
    held = np.cumsum(np.bincount(which, weights))
    first, found = 0, []
    for left in range(buckets, 1, -1):
        if first == values.size - 1:
            break
        before = held[first - 1] if first else 0.0
        wanted = before + (held[-1] - before) / left
        first += 1 + int(np.abs(held[first:-1] - wanted).argmin())
        found.append(values[first])
    return np.array(found)


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


@dataclasses.dataclass(frozen=True)
class Stratum:
    """Frames that are alike."""

    words: dict[str, str]
    """Variable to its range of values."""
    places: tuple[list[int], ...]
    """Of its frames on each side, ascending."""

    def shown(self, side: int, most: int) -> list[int]:
        """Places of its frames that stand for the others, evenly spread."""
        return evenly(self.places[side], most)


def frame_strata(sides: Sequence[Sequence[Told]]) -> list[Stratum]:
    """Sort frames into strata for contact sheets, by those of `SHOWN_BY` that every side knows and that vary.

    Args:
        sides: Frames of each side.

    Returns:
        Those that have frames, in order.
    """
    values = {
        "sun_elevation_deg": [np.array([_spec_value(frame, "sun_elevation_deg") for frame in side]) for side in sides],
        "rock_share": [np.array([_share(frame, "rock") for frame in side]) for side in sides],
    }
    known = [name for name in SHOWN_BY if _varies(values[name])]
    return value_strata({name: values[name] for name in known}, [len(side) for side in sides])


def _varies(sides: Sequence[np.ndarray]) -> bool:
    """Whether values are known on every side that has any, and not all of them one."""
    known = [side[np.isfinite(side)] for side in sides if side.size]
    return all(side.size for side in known) and np.unique(np.concatenate(known)).size > 1


def value_strata(values: Mapping[str, Sequence[np.ndarray]], counts: Sequence[int]) -> list[Stratum]:
    """Sort things into strata by `SHOWN_BUCKETS` buckets of equal frequency of each variable.

    Args:
        values: Variable to its values on each side, float64 [n], NaN where not known.
        counts: Things on each side.

    Returns:
        Strata that have any, in order.
    """
    borders = {name: edges(of, SHOWN_BUCKETS) for name, of in values.items()}
    found: dict[tuple[int, ...], tuple[list[int], ...]] = {}
    for side, count in enumerate(counts):
        kinds = strata({name: of[side] for name, of in values.items()}, borders) if values else [()] * count
        for place, kind in enumerate(kinds):
            found.setdefault(kind, tuple([] for _ in counts))[side].append(place)
    return [Stratum(stratum_words(kind, borders), found[kind]) for kind in sorted(found)]


def stratum_words(kind: tuple[int, ...], borders: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Variable to its range of values in a stratum."""
    return {name: bucket_words(k, border) for (name, border), k in zip(borders.items(), kind, strict=True)}


def say_stratum(words: Mapping[str, str]) -> str:
    """A stratum's ranges in a line; empty where there is one stratum of all."""
    return ", ".join(f"{name} {text}" for name, text in words.items())


def evenly(places: Sequence[int], most: int) -> list[int]:
    """At most so many of some places, evenly spread from the first to the last."""
    chosen = np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)
    return [places[k] for k in chosen]


def allocate(sizes: Sequence[int], number: int, generator: np.random.Generator) -> list[int]:
    """Share a number of frames among strata in proportion to their sizes; never more than a stratum has.

    Each stratum gets at least one where `number` is at least the number of strata. Of fewer the tail, the `rarest`
    strata that hold `TAIL_SHARE` of the frames, get one each before the others do; among equals chance decides.

    Args:
        sizes: Frames of each stratum, each at least 1.
        number: At most their sum.
        generator: Draws where there are fewer frames than strata.

    Raises:
        ValueError: `number` is more than the strata have.
    """
    have = np.asarray(sizes, np.int64)
    total = int(have.sum())
    if number > total:
        raise ValueError(f"{number} of {total} frames")
    if number < len(have):
        tail = {k for (k,) in rarest({(k,): size / total for k, size in enumerate(sizes)}, TAIL_SHARE)}
        taken = np.zeros_like(have)
        order = generator.permutation(len(have)).tolist()
        taken[sorted(order, key=lambda k: k not in tail)[:number]] = 1
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
    sizes = [len(places[kind]) for kind in kinds]
    for kind, take in zip(kinds, allocate(sizes, rest, rng(seed, "strata", side, "few")), strict=True):
        order = rng(seed, "strata", side, *kind).permutation(len(places[kind]))
        chosen += [places[kind][int(k)] for k in order[:take]]
    return sorted(chosen)


def rarest(shares: Mapping[tuple[int, ...], float], most: float) -> list[tuple[int, ...]]:
    """The rarest strata that together hold at most a share of all, at least one; the rarest first.

    Strata of one share are in or out together: those that tie at the cut are all out, but for the very rarest, which
    are all in, whatever they hold.

    Args:
        shares: Stratum to its share; one that is empty is no rare one.
        most: The share.
    """
    found: list[tuple[int, ...]] = []
    held = 0.0
    for share, kinds in _by_share(shares):
        held += share * len(kinds)
        if found and held > most + 1e-9:
            break
        found += kinds
    return found


def say_ties(shares: Mapping[tuple[int, ...], float], most: float) -> str:
    """Say what a tie did to the `rarest` strata: those that are in or out together; empty where there was none."""
    held = 0.0
    for place, (share, kinds) in enumerate(_by_share(shares)):
        before, held = held, held + share * len(kinds)
        if held > most + 1e-9 and len(kinds) > 1:
            tied = f"{len(kinds)} strata of {share:.1%} each are equally rare"
            if not place:
                return f"{tied}: all are in the tail, which so holds {held:.1%}"
            return f"{tied}: none is in the tail, as some might" if before + share <= most + 1e-9 else ""
        if held > most + 1e-9:
            break
    return ""


def _by_share(shares: Mapping[tuple[int, ...], float]) -> list[tuple[float, list[tuple[int, ...]]]]:
    """Shares of strata that are not empty, ascending, with the strata of each."""
    found: dict[float, list[tuple[int, ...]]] = {}
    for kind, share in sorted(shares.items(), key=lambda pair: pair[1]):
        if share:
            found.setdefault(share, []).append(kind)
    return list(found.items())


def checked_variables(names: Sequence[str], sides: Sequence[Sequence[Part]]) -> tuple[str, ...]:
    """Return the names if each is known of some frame.

    Raises:
        InputError: One is known of no frame, or stands twice; or a table of columns that is asked for cannot be read.
    """
    for name in names:
        if name in SHARES or name == ROCK_SIZE:
            continue
        if not any(np.isfinite(variable(name, side)).any() for side in sides):
            known = dict.fromkeys(key for side in sides for key in known_variables(side))
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
