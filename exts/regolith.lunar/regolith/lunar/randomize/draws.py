"""What was drawn of a parameter, beside the range that was asked for."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from regolith.lunar.params import Interval


@dataclasses.dataclass(frozen=True)
class Draws:
    """One parameter: the range asked for and the values drawn from it."""

    name: str
    """Name of the value in `FrameSpec` or `SceneSpec`; for one drawn per item, of its field."""
    group: str
    """Group of parameters the range is set in."""
    randomizer: str
    """Switch of `RandomizeParams` it belongs to."""
    per: Literal["frame", "scene", "item", "traverse"]
    unit: str
    """Unit of the values; empty for dimensionless ones."""
    asked: Interval
    """The range the split draws from, after strength, switches and what the split freezes."""
    values: np.ndarray
    """Values in the order of frames, scenes, items or traverses, shape [N], NaN where a frame lacks one; empty for what
    is drawn per item where no scene was built."""

    @property
    def varies(self) -> bool:
        """Whether the range is more than one value."""
        return self.asked.lo < self.asked.hi

    @property
    def fractions(self) -> np.ndarray:
        """The values as fractions of a range that varies, shape [N]."""
        return (self.values - self.asked.lo) / (self.asked.hi - self.asked.lo)

    @property
    def stray(self) -> np.ndarray:
        """The values outside the range, those that are missing among them, shape [M]."""
        return self.values[~((self.values >= self.asked.lo) & (self.values <= self.asked.hi))]

    def to_dict(self, *, values: bool = False) -> dict[str, Any]:
        """Plain values for JSON; `values` adds every one drawn."""
        drawn = None
        if len(self.values):
            drawn = {
                "min": float(self.values.min()),
                "mean": float(self.values.mean()),
                "max": float(self.values.max()),
            }
        plain = {
            "group": self.group,
            "per": self.per,
            "unit": self.unit,
            "asked": [self.asked.lo, self.asked.hi],
            "count": len(self.values),
            "drawn": drawn,
        }
        return plain | ({"values": self.values.tolist()} if values else {})
