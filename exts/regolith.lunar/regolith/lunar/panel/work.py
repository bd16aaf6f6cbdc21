"""What the panel shows of long work: state, progress, metrics, last lines."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Table = Sequence[Sequence[str]]
"""Lines of texts, the first of them their headings; empty for no table."""

WorkState = Literal["idle", "running", "pausing", "paused", "stopping", "finished", "failed", "interrupted"]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of what is being done."""

    title: str
    data: bytes
    """A PNG, as the companion wrote it."""


@dataclasses.dataclass(eq=False)
class Work:
    """One line of work: `stage`, `export`, `training`, `evaluate`, `model`."""

    key: str
    title: str
    state: WorkState = "idle"
    """`interrupted` work goes on where it stopped when it is started again, as `paused` work does."""
    done: float = 0.0
    total: float = 0.0
    """0 where it is not known."""
    text: str = ""
    """Progress, `42 / 100 frames, 3.1 frames/s, 19 s left`; after the end, what came of it or why it failed."""
    metrics: dict[str, list[tuple[float, float]]] = dataclasses.field(default_factory=dict)
    """Name to (step, value) of every report, for plots: `train_loss`, `val_loss`, `rock_iou`, `miou`, `lr`."""
    log: deque[str] = dataclasses.field(default_factory=lambda: deque(maxlen=200))
    """Last lines it printed or noted."""
    folder: Path | None = None
    """Where what it makes lies."""
    pictures: dict[str, Picture] = dataclasses.field(default_factory=dict)
    """Kind to the newest picture of it: `map`, `view`."""
    table: Table = ()
    """What came of it."""

    @property
    def fraction(self) -> float:
        """Share done in [0, 1]."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0

    @property
    def active(self) -> bool:
        """Whether something of it is under way."""
        return self.state in ("running", "pausing", "stopping")


def counted(done: float, total: float, unit: str) -> str:
    """`1,200 / 1,500,000 steps`: whole numbers, with separators.

    Args:
        done: Units done.
        total: Units in all.
        unit: What is counted; may be empty.
    """
    return f"{done:,.0f} / {total:,.0f} {unit}".rstrip()
