"""Which frames make a class unlike real pictures: a frame's own divergence, and what is set aside for it.

A divergence is the mean over both sides of what each cell adds to it (`divergence.Divergence.terms`): 1 where the
other side has nothing of the kind, 0 where both are as dense, below 0 where the other is denser. A frame's *own
divergence* is the mean over its cells of the class: its share of what the class's divergence is made of.

Of a class that fails, the frames of the largest own divergence above the threshold are set aside, as few as bring the
divergence of the others down to the threshold. Where that takes more than half of the frames that show the class, or no
number of them does, it is not these frames that are unlike but the class, and the class is set aside as a whole.
Of a class that no real picture has, nothing is set aside: it is the real side that lacks it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from regolith.lunar.quality.divergence import Divergence
from regolith.lunar.quality.features import Features
from regolith.lunar.quality.semantics import Which, divergence_of

SHARE_MAX = 0.5
"""Largest share of the frames that show a class that are set aside for it; beyond, the class is."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One figure against its threshold."""

    measure: str
    """`geometry` or `semantics`."""
    name: str
    """Class, or `all`."""
    value: float | None
    """None where it could not be scored."""
    interval: list[float] | None
    """95 %."""
    limit: float
    passed: bool
    """Whether the value is on the good side of the limit; also where there is no value."""
    note: str = ""

    @property
    def uncertain(self) -> bool:
        """Whether the interval holds the threshold: another sample might have decided otherwise."""
        return self.interval is not None and self.interval[0] <= self.limit <= self.interval[1]

    @property
    def verdict(self) -> str:
        """In words: the value alone decides."""
        if self.value is None:
            return "not scored"
        return f"{'passes' if self.passed else 'fails'}{', uncertain' if self.uncertain else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as `gate.json` has it."""
        return {
            "measure": self.measure, "class": self.name, "value": self.value, "interval": self.interval,
            "limit": self.limit, "passed": self.passed if self.value is not None else None,
            "uncertain": self.uncertain, "note": self.note,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Check:
        """Rebuild it from a row of `gate.json`."""
        passed = row["passed"] is not False
        return cls(row["measure"], row["class"], row["value"], row["interval"], row["limit"], passed, row["note"])


def say_accepted(checks: Sequence[Check]) -> str:
    """Say that a split is accepted, and by what where that is not all."""
    scored = {check.measure for check in checks if check.value is not None}
    return f"accepted by {''.join(scored)} alone" if len(scored) == 1 else "accepted"


@dataclasses.dataclass(frozen=True)
class ClassVerdict:
    """What was found of a class, and what of it is set aside."""

    check: Check
    own: np.ndarray
    """Own divergence of each frame that was looked at, float64 [frames]; NaN of one without a cell of the class."""
    held: np.ndarray
    """Places of the frames set aside for it, ascending, int64."""
    without: float | None
    """Divergence of the others; None where no frame is set aside."""
    unlabelled: bool = False
    """Whether the frames show the class and no real picture has it: what is wrong then are not the frames."""
    absent: bool = False
    """Whether neither side has the class: there is nothing to score."""

    @property
    def blamed(self) -> bool:
        """Whether the class fails for what the frames show."""
        return not self.check.passed and not self.unlabelled

    @property
    def whole(self) -> bool:
        """Whether the class is set aside as a whole; one that no frame shows cannot be."""
        return self.blamed and not self.held.size and bool(np.isfinite(self.own).any())


def judge_class(
    x: Features, y: Features, row: dict[str, Any], name: str, *, frames: int, limit: float, which: Which
) -> ClassVerdict:
    """Hold a class against its threshold.

    Args:
        x: Its features in the synthetic pictures.
        y: Its features in the real ones.
        row: What `score_semantics` says of it.
        name: Of the class.
        frames: Synthetic pictures that were looked at.
        limit: Largest divergence that passes.
        which: Divergence that is held against it.
    """
    figure = row[which]
    none = np.empty(0, np.int64)
    own = np.full(frames, math.nan)
    if figure is None or not math.isfinite(figure["value"]):
        check = Check("semantics", name, None, None, limit, True, row["note"] or "no divergence can be given")
        return ClassVerdict(check, own, none, None, absent=not len(x) and not len(y))
    value = figure["value"]
    check = Check("semantics", name, value, figure["interval"], limit, value <= limit, row["note"])
    if not len(x) or not len(y):
        return ClassVerdict(check, own, none, None, unlabelled=not len(y))
    divergence = divergence_of(x, y, which)
    shown = np.bincount(x.pictures, minlength=frames)
    added = np.bincount(x.pictures, divergence.terms()[0], minlength=frames)
    own[shown > 0] = added[shown > 0] / shown[shown > 0]
    if check.passed:
        return ClassVerdict(check, own, none, None)
    return ClassVerdict(check, own, *_set_aside(divergence, x, y, own, limit))


def _set_aside(
    divergence: Divergence, x: Features, y: Features, own: np.ndarray, limit: float
) -> tuple[np.ndarray, float | None]:
    """The fewest of the most unlike frames without which a class passes, and its divergence then; else none."""
    worst = np.argsort(-np.nan_to_num(own, nan=-math.inf), kind="stable")
    worst = worst[: min(int((own > limit).sum()), int(SHARE_MAX * np.isfinite(own).sum()))]

    def without(count: int) -> float:
        return divergence((~np.isin(x.pictures, worst[:count])).astype(np.float64), np.ones(len(y)))

    few, many = 0, len(worst)
    if not many or not (found := without(many)) <= limit:
        return np.empty(0, np.int64), None
    while many - few > 1:  # too few fail, so many pass
        middle = (few + many) // 2
        if (now := without(middle)) <= limit:
            many, found = middle, now
        else:
            few = middle
    return np.sort(worst[:many]), found
