"""Check splits against each other: no frame, no scene and no picture in two of them, the test domain apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from regolith.lunar.dataset.checks import SplitCheck
from regolith.lunar.dataset.duplicates import HASH_SIDE, earlier_copies
from regolith.lunar.dataset.layout import OrderedRecords
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.params import InputError
from regolith.lunar.randomize import APART, draw_scene, frame_intervals

TEST = "test_photoreal"
"""The split whose domain lies apart from those of the others."""


def check_apart(splits: Sequence[SplitCheck], neighbours: Sequence[SplitCheck]) -> None:
    """Check that splits share no frame seed, no scene and, with the test split, no domain.

    Imported splits have neither. Problems and counts go to the first split of a pair.

    Args:
        splits: Splits under check.
        neighbours: Other splits of the same dataset; pairs among them are not compared.
    """
    pairs = [*combinations(splits, 2), *((split, other) for split in splits for other in neighbours)]
    for one, other in pairs:
        if one.params is None or other.params is None or same_draw(one, other):
            continue
        _check_seeds(one, other)
        _check_domains(one, other)


def same_draw(one: SplitCheck, other: SplitCheck) -> bool:
    """Whether two folders hold one split and say so by their names, as `train_dr` and its part `train_dr_750` do."""
    return _drawn(one) == _drawn(other) and one.at_home and other.at_home


def _drawn(split: SplitCheck) -> tuple[Any, ...] | None:
    contract = split.contract
    return None if contract is None else (contract.split, contract.seed, contract.parameters)


def _check_seeds(one: SplitCheck, other: SplitCheck) -> None:
    one.checked["splits"] += 1
    frames, others = one.records.ordered(), other.records.ordered()
    _, ours, theirs = np.intersect1d(_seeds(frames), _seeds(others), return_indices=True)
    for place, shared in sorted(zip(ours.tolist(), theirs.tolist(), strict=True)):
        text = f"shares its seed with {other.name} {others.numbers[shared]}"
        one.report("splits", f"frame {frames.numbers[place]}", text)
    taken = set(_scenes(other).values())
    for number, scene in _scenes(one).items():
        if scene in taken:
            one.report("splits", f"scene {number}", f"is also a scene of {other.name}")


def _seeds(records: OrderedRecords) -> np.ndarray:
    """Seeds of frames, uint64; ours are below 2^62."""
    return np.fromiter((record.seed % 2**64 for record in records), np.uint64, len(records))


def _scenes(split: SplitCheck) -> dict[int, int]:
    """Number of every scene the split's frames show, to its seed."""
    if split.params is None or split.contract is None:
        return {}
    numbers = {record.spec.get("scene") for record in split.records.values()}
    seed, name = split.contract.seed, split.contract.split
    return {
        number: draw_scene(split.params, seed, name, number).seed
        for number in sorted(number for number in numbers if isinstance(number, int))
    }


def _check_domains(one: SplitCheck, other: SplitCheck) -> None:
    if one.params is None or other.params is None or one.contract is None or other.contract is None:
        return
    names = (one.contract.split, other.contract.split)
    if names.count(TEST) != 1:
        return
    one.checked["domains"] += 1
    try:
        ranges, others = frame_intervals(one.params, names[0]), frame_intervals(other.params, names[1])
    except InputError as error:
        one.report("domains", one.name, str(error))
        return
    for name in APART:
        if ranges[name].overlaps(others[name]):
            one.report("domains", name, f"{ranges[name]} here overlaps {others[name]} of {other.name}")


def _seed(split: SplitCheck) -> tuple[str, int] | None:
    return None if split.contract is None else (split.contract.split, split.contract.seed)


def check_duplicates(splits: Sequence[SplitCheck]) -> None:
    """Find frames that show the picture of another frame, in the same split or in another of these.

    Frames of one drive are as alike as they are near: of those only the same bytes, or the same time, are a copy.
    """
    owners, frames, bits, drives = [], [], [], []
    for number, split in enumerate(splits):
        split.checked["duplicates"] += len(split.shown)
        indices = np.array(split.shown, np.int64)
        alone = np.ones(len(indices), bool)
        for other in splits[:number]:
            if split.at_home and other.at_home and _seed(split) == _seed(other):  # one may be a part of the other
                known, _, places = np.intersect1d(np.array(other.shown, np.int64), indices, return_indices=True)
                unlike = [split.records[i].sha256 != other.records[i].sha256 for i in known.tolist()]
                alone[places] &= np.array(unlike, bool)
        _check_drives(split)
        owners.append(np.full(int(alone.sum()), number))
        frames.append(indices[alone])
        bits.append(np.frombuffer(split.bits, np.uint64).reshape(-1, HASH_SIDE**2 // 64)[alone])
        drives += [(number, _drive(split, index)) for index in frames[-1].tolist()]
    if not any(map(len, frames)):
        return
    owner, frame = np.concatenate(owners), np.concatenate(frames)
    numbers: dict[tuple[int, int | None], int] = {}
    along = np.array([-1 if key[1] is None else numbers.setdefault(key, len(numbers)) for key in drives], np.int64)
    for copy, first, apart in earlier_copies(np.concatenate(bits), series=along if numbers else None):
        (split, index), (other, shown) = ((splits[owner[each]], int(frame[each])) for each in (copy, first))
        where = f"frame {shown}" if other is split else f"{other.name} {shown}"
        split.report("duplicates", f"frame {index}", f"shows the picture of {where} ({apart} of {HASH_SIDE**2} bits)")


def _drive(split: SplitCheck, index: int) -> int | None:
    """Which drive a frame was taken along, by `views.jsonl`; None for a frame that was not."""
    spec = split.views.specs[index] if split.views is not None and index < len(split.views) else None
    return None if spec is None or spec.time_s is None else spec.scene


def _check_drives(split: SplitCheck) -> None:
    """Find frames of a drive that are the same picture to the byte, or were taken at one time."""
    if split.views is None:
        return
    seen: dict[tuple[int, str | float | None], int] = {}
    for index in split.shown:
        if (drive := _drive(split, index)) is None:
            continue
        digest, time_s = split.records[index].sha256[file_name("rgb", index)], split.views.specs[index].time_s
        for key, told in ((digest, "byte by byte"), (time_s, f"{time_s:g} s into the same drive")):
            if (first := seen.setdefault((drive, key), index)) != index:
                split.report("duplicates", f"frame {index}", f"shows the picture of frame {first} ({told})")
                break
