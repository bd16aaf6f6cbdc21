"""What the panel holds beside `Params`: the frame on show, the preview's looks, the interpreter of companions."""

from __future__ import annotations

import functools
from pathlib import Path

from pydantic import model_validator

from regolith.lunar.flythrough.keyframes import KEYS_MIN, Key, Keyframes
from regolith.lunar.params import Group, InputError, quantity, validate
from regolith.lunar.params.fields import cross_field
from regolith.lunar.randomize import Split
from regolith.lunar.reading import parse_json

KEYS = "way.keys"
"""Path of the field that holds the keys of a camera's path."""


class ShotSettings(Group):
    """The frame the stage shows; seed and picture size are those of the export."""

    split: Split = quantity("train_dr", "Split whose frame the stage shows.")
    frame: int = quantity(0, "Frame of the split the stage shows, exactly as it is exported.", ge=0, le=999_999)


class ModelSettings(Group):
    """The model that segments the live preview, and how its classes are drawn."""

    path: str = quantity("default", "Model: an .onnx file, or a shipped one by name, such as `default`.")
    opacity: float = quantity(0.45, "Opacity of the classes over the picture.", ge=0, le=1, step=0.05)
    rock: bool = quantity(True, "Show rock, red.")
    outline: bool = quantity(True, "Draw an outline around rock.")
    regolith: bool = quantity(True, "Show regolith, faint green.")
    legend: bool = quantity(True, "Show legend, rock share, model name and speed.")
    rate_hz: float = quantity(10.0, "Most frames segmented per second.", unit="Hz", ge=0.2, le=60, step=0.5)


class CompanionSettings(Group):
    """Where companion processes run."""

    python: Path | None = quantity(
        None, "Python with torch that training runs in; left out, the one found on this machine. Remembered."
    )


class GenerateSettings(Group):
    """Where a dataset is drawn, and what RTX's light is worth there."""

    headless: bool = quantity(
        False, "Draw in chunks of a process of its own instead of here: longer to start, the window stays free."
    )
    gain: float = quantity(
        1.0,
        "Radiance over RTX's `HdrColor`: 1 where RTX keeps to UsdLux. A split goes on with the one it was begun with.",
        ge=0.001,
        le=1000,
    )


class WaySettings(Group):
    """The camera's path of a film."""

    keys: str = quantity("", "Keys of the camera's path; between them it moves smoothly, at rest at both ends.")
    sun_in_keys: bool = quantity(True, "Let a key that is added take the sun along, as it stands then.")

    @model_validator(mode="after")
    def _path(self) -> WaySettings:
        """Refuse keys that make no path, but not that there are too few yet."""
        try:
            keys = read_keys(self.keys)
            if len(keys) >= KEYS_MIN:
                validate(Keyframes, {"keys": list(keys)})
        except InputError as error:
            _, number, name = f"{error.field}..".split(".")[:3]
            where = f"key {int(number) + 1}, {name} {error.value}" if number.isdecimal() else error.value
            raise cross_field("keys", where, error.allowed) from None
        return self


@functools.lru_cache(maxsize=8)
def read_keys(text: str) -> tuple[Key, ...]:
    """The keys that a field holds.

    Raises:
        InputError: They are none.
    """
    try:
        rows = parse_json(text) if text else []
    except ValueError as error:
        raise InputError("keys", text, f"keys as a path file has them ({error})") from None
    if not isinstance(rows, list):
        raise InputError("keys", text, "a list of keys, as a path file has them")
    return tuple(validate(Key, row) for row in rows)
