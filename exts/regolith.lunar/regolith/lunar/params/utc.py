"""Times: `UtcSpan`, one in UTC or a span of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator, model_serializer, model_validator
from pydantic_core import PydanticCustomError

TIME_MIN, TIME_MAX = datetime(1900, 1, 1, tzinfo=UTC), datetime(2053, 10, 1, tzinfo=UTC)
"""Times the ephemeris DE421 knows of."""


class UtcSpan(BaseModel):
    """A time in UTC, or a span of it; written as ISO 8601, `1969-07-21T03:15` or `START/END`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: datetime
    end: datetime

    def __init__(self, /, start: datetime = TIME_MIN, end: datetime | None = None, **extra: Any) -> None:
        super().__init__(start=start, end=start if end is None else end, **extra)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            parts = value.split("/")
            if len(parts) > 2:
                raise PydanticCustomError("time", "not a time")
            try:
                start, end = (datetime.fromisoformat(part.strip()) for part in (parts[0], parts[-1]))
            except ValueError:
                raise PydanticCustomError("time", "not a time") from None
            value = {"start": start, "end": end}
        if isinstance(value, datetime):  # YAML has times of its own
            value = {"start": value, "end": value}
        return value

    @field_validator("start", "end", mode="after")
    @classmethod
    def _in_utc(cls, value: datetime) -> datetime:
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if not TIME_MIN <= value <= TIME_MAX:
            raise PydanticCustomError("time", "outside the ephemeris")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> UtcSpan:
        if self.start > self.end:
            raise PydanticCustomError("inverted", "an end before its start")
        return self

    @model_serializer
    def _write(self) -> str:
        return str(self)

    @property
    def center(self) -> datetime:
        """Middle of the span."""
        return self.at(0.5)

    def at(self, u: float) -> datetime:
        """Time at fraction `u` in [0, 1] of the span."""
        return self.start + (self.end - self.start) * u

    def scaled(self, factor: float) -> UtcSpan:
        """The span shrunk about its centre to `factor` in [0, 1] of its length."""
        return UtcSpan(self.at(0.5 - 0.5 * factor), self.at(0.5 + 0.5 * factor))

    def __str__(self) -> str:
        start, end = (time.isoformat().replace("+00:00", "Z") for time in (self.start, self.end))
        return start if start == end else f"{start}/{end}"
