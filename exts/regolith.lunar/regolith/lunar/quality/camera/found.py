"""What was found of one parameter: an estimate, its interval, and whether photographs can tell it at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import scipy

CONFIDENCE = 0.95
"""Share of runs whose interval is meant to hold the true value."""

Status = Literal["identified", "bound", "unknown"]
"""Told by the photographs; told from one side only; not told."""


@dataclasses.dataclass(frozen=True)
class Found:
    """One parameter."""

    status: Status
    note: str
    """In words: what it rests on, or what is missing."""
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    """Confidence interval; of a bound that lies below or above the value the other end is infinite. Of what varies
    from picture to picture, the range it varies in."""
    samples: int = 0
    """Independent things it was measured on: blocks, edges, pictures, files."""

    def words(self) -> dict[str, Any]:
        """Return it as plain values; an infinite end is None."""
        ends = None if self.interval is None else [end if np.isfinite(end) else None for end in self.interval]
        return dataclasses.asdict(self) | {"interval": ends}


def unknown(note: str) -> Found:
    """Say why a parameter is left as it is."""
    return Found("unknown", note)


def hull(found: Iterable[Found]) -> Found:
    """Join what was found of one parameter under several assumptions, the first being the likeliest.

    Returns:
        The first's estimate, the interval that holds all of theirs, and the worst of their statuses.
    """
    rows = list(found)
    order = ("identified", "bound", "unknown")
    worst = max(rows, key=lambda row: order.index(row.status))
    if worst.status == "unknown" or len(rows) == 1:
        return worst
    ends = np.array([row.interval for row in rows])
    interval = (float(ends[:, 0].min()), float(ends[:, 1].max()))
    return dataclasses.replace(rows[0], status=worst.status, note=worst.note, interval=interval)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Student's interval of the mean of independent values, float [n], n ≥ 2."""
    half = scipy.stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)
