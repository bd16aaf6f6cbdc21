"""Free look: values of the frame on show that are held by hand over those drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from regolith.lunar.panel.forms import Field
from regolith.lunar.panel.frame_builder import Built, Shot
from regolith.lunar.params import InputError, Interval
from regolith.lunar.randomize import aim_frame, frame_intervals
from regolith.lunar.stage.spec import FrameSpec

PLACE = ("camera_x_m", "camera_y_m", "height_m")
"""Values that decide where the lens is."""


class Aim:
    """The values that are held, for as long as the frame they were held in is on show."""

    def __init__(self, fields: Iterable[Field]) -> None:
        """Make it, with nothing held.

        Args:
            fields: All of the panel: a held value obeys the limits of the field whose range it is drawn from.
        """
        self._limits = {
            field.path.rpartition(".")[2]: (field.ge, field.le, field.unit)
            for field in fields
            if field.kind == "interval" and not field.path.startswith("test_domain.")
        }
        self._held: dict[str, float] = {}
        self._frame: tuple[Any, ...] = ()
        self._ranges: Mapping[str, Interval] = {}

    @property
    def held(self) -> Mapping[str, float]:
        """Name to value; read only."""
        return MappingProxyType(self._held)

    def hold(self, values: Mapping[str, float], built: Built, *, limited: bool = True) -> None:
        """Hold values beside those already held; one equal to what was drawn is let go.

        Args:
            values: By their names in `FrameSpec.values`, or `camera_x_m`, `camera_y_m` [m].
            built: What is on show.
            limited: Whether they obey the fields' limits; a film's camera need not.

        Raises:
            InputError: A value is not allowed, or the camera cannot be there; then nothing changes.
        """
        held = self._held | {name: self._checked(name, value, limited=limited) for name, value in values.items()}
        aim_frame(built.spec, built.scene, held)
        self._held = {name: value for name, value in held.items() if value != built.spec[name]}

    def _checked(self, name: str, value: float, *, limited: bool) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InputError(name, value, "a finite number")
        ge, le, unit = self._limits.get(name, (None, None, ""))
        if (ge, le) == (0, 360) and not 0 <= value <= 360:  # a direction: any turn of it is the same
            return float(value % 360)
        if not limited:
            return float(value)
        if (ge is not None and value < ge) or (le is not None and value > le):
            raise InputError(name, value, f"{ge:g} … {le:g} {unit}".rstrip())
        return float(value)

    def release(self, names: Iterable[str]) -> bool:
        """Let go of values; whether one of them was held."""
        before = len(self._held)
        for name in names:
            self._held.pop(name, None)
        return len(self._held) < before

    def follow(self, shot: Shot) -> bool:
        """Let go of what belongs to another frame, and of values whose range was edited; whether there was any.

        Raises:
            InputError: The parameters do not go together.
        """
        frame, ranges = (shot.split, shot.frame, shot.seed), frame_intervals(shot.params, shot.split)
        if frame != self._frame:
            gone = list(self._held)
        else:
            gone = [name for name in self._held if ranges.get(name) != self._ranges.get(name)]
        self._frame, self._ranges = frame, ranges
        return self.release(gone)

    def over(self, built: Built) -> FrameSpec:
        """Return the frame with what is held.

        Raises:
            InputError: The camera cannot be where it is held: the ground is another.
        """
        return aim_frame(built.spec, built.scene, self._held)
