"""Building blocks of the parameter models: `Interval`, `PictureSize`, `Site`, `quantity`, the strict base model."""

from __future__ import annotations

import difflib
import math
import re
import types
import typing
from functools import cache
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from regolith.lunar.params.errors import InputError
from regolith.lunar.params.utc import TIME_MAX, TIME_MIN, UtcSpan

SIDE_MIN_PX, SIDE_MAX_PX = 16, 4096
"""Sides a picture can have [px]."""
NAME_CHARS = 100
"""What is looked at of a name that is no field's, to find the one that was meant."""


class Interval(BaseModel):
    """Closed range [lo, hi] a value is drawn from; written `[lo, hi]`, `"lo,hi"`, or one number for lo = hi."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lo: float
    hi: float

    def __init__(self, /, lo: float = cast(float, None), hi: float | None = None, **extra: Any) -> None:
        super().__init__(lo=lo, hi=lo if hi is None else hi, **extra)  # what a file leaves out is refused there

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = [float(part) for part in value.replace("[", "").replace("]", "").split(",")]
            except ValueError:
                raise PydanticCustomError("interval", "not an interval") from None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = [value, value]
        if isinstance(value, (list, tuple)):
            if len(value) == 1:
                value = [*value, *value]
            if len(value) != 2:
                raise PydanticCustomError("interval", "not an interval")
            value = {"lo": value[0], "hi": value[1]}
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Interval:
        if self.lo > self.hi:
            raise PydanticCustomError("inverted", "inverted interval")
        return self

    @model_serializer
    def _write(self) -> list[float]:
        return [self.lo, self.hi]

    @property
    def center(self) -> float:
        """Midpoint of the range."""
        return 0.5 * (self.lo + self.hi)

    def at(self, u: float) -> float:
        """Value at fraction `u` in [0, 1] of the range."""
        return min(max(self.lo + (self.hi - self.lo) * u, self.lo), self.hi)

    def scaled(self, factor: float) -> Interval:
        """The range shrunk about its centre to `factor` in [0, 1] of its width."""
        if factor == 1.0:
            return self
        half = 0.5 * factor * (self.hi - self.lo)
        return Interval(max(self.center - half, self.lo), min(self.center + half, self.hi))

    def contains(self, value: float) -> bool:
        """Whether `value` lies in the closed range."""
        return self.lo <= value <= self.hi

    def overlaps(self, other: Interval) -> bool:
        """Whether the two closed ranges share a value."""
        return self.lo <= other.hi and other.lo <= self.hi

    def __str__(self) -> str:
        return f"{self.lo:g},{self.hi:g}"


class PictureSize(BaseModel):
    """Width and height of a picture [px]; written `640x480`, or one side of a square."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int
    height: int

    def __init__(self, /, width: int = cast(int, None), height: int | None = None, **extra: Any) -> None:
        super().__init__(width=width, height=width if height is None else height, **extra)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str):
            match = re.fullmatch(r"([0-9]{1,9})(?:x([0-9]{1,9}))?", value)
            if match is None:
                raise PydanticCustomError("size", "not a size")
            value = {"width": int(match[1]), "height": int(match[2] or match[1])}
        return value

    @model_validator(mode="after")
    def _drawable(self) -> PictureSize:
        if not all(SIDE_MIN_PX <= side <= SIDE_MAX_PX for side in (self.width, self.height)):
            raise PydanticCustomError("size", "a side outside the limits")
        return self

    @model_serializer
    def _write(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return str(self.width) if self.width == self.height else f"{self.width}x{self.height}"


class Site(BaseModel):
    """A place on the Moon, planetocentric, longitude to the east; written `"lat,lon"` in degrees."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lat_deg: float
    lon_deg: float

    def __init__(self, /, lat_deg: float = cast(float, None), lon_deg: float = cast(float, None), **extra: Any) -> None:
        super().__init__(lat_deg=lat_deg, lon_deg=lon_deg, **extra)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = [float(part) for part in value.split(",")]
            except ValueError:
                raise PydanticCustomError("site", "not a place") from None
        if isinstance(value, (list, tuple)):
            if len(value) != 2:
                raise PydanticCustomError("site", "not a place")
            value = {"lat_deg": value[0], "lon_deg": value[1]}
        return value

    @model_validator(mode="after")
    def _on_the_moon(self) -> Site:
        if not (-90.0 <= self.lat_deg <= 90.0 and -180.0 <= self.lon_deg <= 360.0):
            raise PydanticCustomError("site", "outside the limits")
        return self

    @model_serializer
    def _write(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.lat_deg!r},{self.lon_deg!r}"


def as_text(value: Any) -> str:
    """Write a value as it is typed on the command line, to the last bit; None is empty, a list's values have commas."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(as_text(part) for part in value)
    if isinstance(value, Interval):
        return f"{value.lo!r},{value.hi!r}"
    if isinstance(value, float):
        return repr(float(value))
    return "" if value is None else str(value)


def quantity(
    default: Any,
    help: str,
    *,
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    step: float | None = None,
    randomizer: str = "",
    per: Literal["", "frame", "scene", "item", "traverse"] = "",
    appearance: bool = False,
    positional: bool = False,
    flag: str = "",
    later: bool = False,
) -> Any:
    """Declare a parameter: default, one sentence of help, unit, limits and slider step.

    Args:
        default: Default value, `...` where there is none.
        help: One sentence for the command line, the panels and the docs.
        unit: Unit of the value; empty for dimensionless values.
        ge: Smallest allowed value; for an `Interval` the limit of both ends.
        le: Largest allowed value.
        step: Step of a slider; left out, 1 for whole numbers.
        randomizer: Switch of `RandomizeParams` that lets the `Interval` vary; off, it is its centre.
        per: How often a value is drawn from the `Interval`: per frame, scene, item (rock, crater), or traverse.
        appearance: Whether `train_nodr` freezes the value at the centre of its interval.
        positional: Whether the command line takes the value without its name.
        flag: Name on the command line where it differs from the field's.
        later: Whether it came after datasets and stages whose bytes stay as they are: at its default nothing is written
            of it.
    """
    if step is None and isinstance(default, int) and not isinstance(default, bool):
        step = 1
    extra = {
        "unit": unit,
        "ge": ge,
        "le": le,
        "step": step,
        "randomizer": randomizer,
        "per": per,
        "appearance": appearance,
        "positional": positional,
        "flag": flag,
        "later": later,
    }
    return Field(default, description=help, json_schema_extra=extra)


def drawn(
    lo: float,
    hi: float,
    help: str,
    *,
    randomizer: str,
    per: Literal["frame", "scene", "item", "traverse"] = "frame",
    appearance: bool = False,
    **extra: Any,
) -> Any:
    """Declare an `Interval` values are drawn from: `quantity` with a randomizer.

    Args:
        lo: Lower end of the default range.
        hi: Upper end of the default range.
        help: One sentence.
        randomizer: Switch of `RandomizeParams` that lets it vary.
        per: How often a value is drawn.
        appearance: Whether `train_nodr` freezes the value at the centre of its interval.
        extra: unit, ge, le, step as in `quantity`.
    """
    return quantity(Interval(lo, hi), help, randomizer=randomizer, per=per, appearance=appearance, **extra)


def field_extra(field: FieldInfo) -> dict[str, Any]:
    """Return what `quantity` recorded: unit, ge, le, step, randomizer, per, appearance, positional, flag, later."""
    extra = field.json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}


def is_group(annotation: Any) -> bool:
    """Whether a field holds a nested group of parameters rather than a value."""
    return isinstance(annotation, type) and issubclass(annotation, Group)


def describe_allowed(field: FieldInfo) -> str:
    """Say in words which values a field allows, unit included."""
    annotation = field.annotation
    extra = field_extra(field)
    origin = get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in get_args(annotation) if a is not type(None)]
        if all(get_origin(a) is Literal for a in inner):
            return ", ".join(str(choice) for a in inner for choice in get_args(a))
        annotation = inner[0] if len(inner) == 1 else annotation
        origin = get_origin(annotation)
    if origin is Literal:
        return ", ".join(str(choice) for choice in get_args(annotation))
    if is_group(annotation):
        return "a group with " + ", ".join(cast("type[Group]", annotation).model_fields)
    ge, le = extra.get("ge"), extra.get("le")
    limits = f"{ge:.9g} … {le:.9g}" if ge is not None and le is not None else ""
    if not limits and ge is not None:
        limits = f"at least {ge:.9g}"
    if not limits and le is not None:
        limits = f"at most {le:.9g}"
    words: dict[Any, str] = {
        Interval: "lo,hi with lo ≤ hi" + (" within" if limits else ""),
        PictureSize: f"SIDE or WIDTHxHEIGHT in pixels, each {SIDE_MIN_PX} … {SIDE_MAX_PX}",
        Site: "LAT,LON in degrees, latitude -90 … 90, longitude east -180 … 360",
        UtcSpan: f"UTC as ISO 8601, TIME or START/END, {TIME_MIN.year} … {TIME_MAX.year}",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
    }
    kind = words.get(annotation) or getattr(annotation, "__name__", str(annotation)).lower()
    unit = extra.get("unit") or ""
    return " ".join(part for part in (kind, limits, unit) if part)


class Group(BaseModel):
    """Base of every parameter model: immutable, no unknown keys, limits from `quantity`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _limits(cls, value: Any, info: ValidationInfo) -> Any:
        extra = field_extra(cls.model_fields[info.field_name or ""])
        ends = (value.lo, value.hi) if isinstance(value, Interval) else (value,)
        for end in ends:
            if not isinstance(end, (int, float)) or isinstance(end, bool):
                continue
            ge, le = extra.get("ge"), extra.get("le")
            endless = isinstance(end, float) and not math.isfinite(end)  # a whole number may be too large to ask
            if (ge is not None and end < ge) or (le is not None and end > le) or endless:
                raise PydanticCustomError("limits", "outside the limits")
        return value


class GrownGroup(Group):
    """A group that has got fields since datasets were drawn with it: those that are `later` (`quantity`)."""

    @field_validator("*", mode="before")
    @classmethod
    def _left_out(cls, value: Any, info: ValidationInfo) -> Any:
        """Take an empty text for a field without a value, as `as_text` writes it."""
        return None if value == "" and cls.model_fields[info.field_name or ""].default is None else value

    @model_serializer(mode="wrap")
    def _without_later(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Say nothing of later fields at their defaults."""
        data = write(self)
        for name, default in _later(type(self)).items():
            if getattr(self, name) == default:
                data.pop(name, None)
        return data


@cache
def _later(model: type[Group]) -> dict[str, Any]:
    """Name to default of the fields of a model that are `later`."""
    return {name: field.default for name, field in model.model_fields.items() if field_extra(field).get("later")}


def find_field(model: type[BaseModel], path: tuple[str | int, ...]) -> FieldInfo | None:
    """Find the field a validation error location points at; None for an unknown key."""
    field: FieldInfo | None = None
    for key in path:
        if not isinstance(model, type) or not issubclass(model, Group):
            break
        field = model.model_fields.get(str(key))
        if field is None:
            return None
        if not is_group(field.annotation):
            break
        model = cast("type[BaseModel]", field.annotation)
    return field


def _lookup(data: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        if isinstance(data, dict) and key in data:
            data = data[key]
        else:
            break
    return data


def input_error(model: type[BaseModel], data: Any, error: ValidationError) -> InputError:
    """Turn the first problem of a pydantic error into one line: field path, value, what is allowed."""
    first = error.errors()[0]
    loc = first["loc"]
    path: list[str | int] = []
    field: FieldInfo | None = None
    for key in loc:  # stop at the parameter: pydantic goes on into Interval.lo and union members
        here = find_field(model, (*path, key))
        if here is None and first["type"] != "extra_forbidden":
            break
        path.append(key)
        field = here
        if here is None or not is_group(here.annotation):
            break
    name = ".".join(str(key) for key in path)
    if first["type"] == "extra_forbidden" and field is None:
        parent = find_field(model, tuple(path[:-1]))
        group = parent.annotation if parent is not None else model
        known = list(getattr(group, "model_fields", {}))
        close = difflib.get_close_matches(str(path[-1])[:NAME_CHARS], known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return InputError(name, _lookup(data, tuple(path)), f"no such field; fields here are {', '.join(known)}{hint}")
    allowed = describe_allowed(field) if field is not None else first["msg"]
    if first["type"] == "missing":
        return InputError(name, None, allowed)
    value = _lookup(data, tuple(path))
    if first["type"] == "cross_field":  # the rule names the field that gives way
        name = ".".join(part for part in (name, first.get("ctx", {})["field"]) if part)
        return InputError(name, first.get("ctx", {})["value"], first["msg"])
    if first["type"] == "model_type":
        return InputError(name or "parameters", value, "a group of named fields")
    return InputError(name, value, allowed)


def words_of(text: str) -> tuple[str, ...]:
    """Words of a text that has commas between them, without the blanks around each; empty ones are none."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def cross_field(field: str, value: Any, allowed: str) -> PydanticCustomError:
    """Say, out of a model validator, that one field does not go with the others.

    Args:
        field: Name of the field that has to change.
        value: Its value.
        allowed: What is allowed beside the other fields.
    """
    return PydanticCustomError("cross_field", "{allowed}", {"field": field, "value": value, "allowed": allowed})
