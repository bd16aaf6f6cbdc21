"""Keyframes of a camera as a plain file, YAML or JSON, that a person or an editor writes.

```yaml
keys:
- {time_s: 0, x_m: -4, y_m: 2, height_m: 1.2, heading_deg: 20, pitch_deg: -8, fov_deg: 55}
- {time_s: 6, x_m: 3, y_m: 1, height_m: 2.0, heading_deg: -35, pitch_deg: -12}
```

A key says when, where the lens is and how it looks: by its angles, or by a place it looks at (`target_x_m`,
`target_y_m`, `target_height_m`; all keys or none). With `aim: rover` the lens looks at the rover instead. Heights are
above the ground below. A field of view that is left out is that of the key before; so is the sun, which is the scene's
where no key names one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from regolith.lunar.params import Group, InputError, quantity, validate
from regolith.lunar.params.fields import cross_field
from regolith.lunar.params.io import read_plain, write_plain

FOV_DEG = 60.0
"""Horizontal field of view where no key names one [deg]."""
KEYS_MIN, KEYS_MAX = 2, 1000
"""Fewest and most keys of a file."""
TARGET = ("target_x_m", "target_y_m", "target_height_m")
SUN = ("sun_elevation_deg", "sun_azimuth_deg")


class Key(Group):
    """The camera at one time of the film."""

    time_s: float = quantity(..., "Time in the film.", unit="s", ge=0, le=3600)
    x_m: float = quantity(..., "Lens in the world frame.", unit="m", ge=-60, le=60)
    y_m: float = quantity(..., "Lens in the world frame.", unit="m", ge=-60, le=60)
    height_m: float = quantity(..., "Lens above the ground below it.", unit="m", ge=0.05, le=50)
    heading_deg: float | None = quantity(
        None, "Optical axis in the XY plane, anticlockwise from +X.", unit="deg", ge=-3600, le=3600
    )
    pitch_deg: float | None = quantity(None, "Optical axis above the horizon.", unit="deg", ge=-89, le=89)
    roll_deg: float = quantity(0.0, "Clockwise roll seen from behind the camera.", unit="deg", ge=-180, le=180)
    target_x_m: float | None = quantity(None, "Place looked at, in the world frame.", unit="m", ge=-2000, le=2000)
    target_y_m: float | None = quantity(None, "Place looked at, in the world frame.", unit="m", ge=-2000, le=2000)
    target_height_m: float | None = quantity(None, "Place looked at, above the ground.", unit="m", ge=-50, le=500)
    fov_deg: float | None = quantity(None, "Horizontal field of view.", unit="deg", ge=5, le=140)
    sun_elevation_deg: float | None = quantity(None, "Sun above the horizon.", unit="deg", ge=0, le=90)
    sun_azimuth_deg: float | None = quantity(None, "Sun azimuth, anticlockwise from +X.", unit="deg", ge=-3600, le=3600)

    def all_of(self, names: tuple[str, ...]) -> bool:
        """Whether each of some values is given."""
        return all(getattr(self, name) is not None for name in names)

    @model_validator(mode="after")
    def _whole(self) -> Key:
        for names in (TARGET, SUN, ("heading_deg", "pitch_deg")):
            given = [name for name in names if getattr(self, name) is not None]
            if given and len(given) < len(names):
                missing = next(name for name in names if name not in given)
                raise cross_field(missing, None, f"a number, as {given[0]} has one")
        return self


class Keyframes(Group):
    """A camera's way: its keys in the order of their times, the first at 0."""

    aim: Literal["keys", "rover"] = quantity("keys", "What the lens looks at: what the keys say, or the rover.")
    keys: list[Key] = quantity(..., "Keys in the order of their times.")

    @model_validator(mode="after")
    def _ordered(self) -> Keyframes:
        if not KEYS_MIN <= len(self.keys) <= KEYS_MAX:
            raise cross_field("keys", len(self.keys), f"{KEYS_MIN} … {KEYS_MAX} of them")
        if self.keys[0].time_s != 0.0:
            raise cross_field("keys.0.time_s", self.keys[0].time_s, "0, where the film begins")
        for number, (before, key) in enumerate(itertools.pairwise(self.keys), 1):
            if key.time_s <= before.time_s:
                raise cross_field(f"keys.{number}.time_s", key.time_s, f"above {before.time_s:g} s, the key before")
        if self.aim == "keys":
            first = TARGET if self.keys[0].all_of(TARGET) else ("heading_deg", "pitch_deg")
            for number, key in enumerate(self.keys):
                if not key.all_of(first):
                    raise cross_field(f"keys.{number}.{first[0]}", None, f"a number; each key has {', '.join(first)}")
        return self

    @property
    def seconds(self) -> float:
        """Time of the last key [s]."""
        return self.keys[-1].time_s

    @property
    def targeted(self) -> bool:
        """Whether the keys say what is looked at, rather than angles."""
        return self.aim == "keys" and self.keys[0].all_of(TARGET)


def read_keyframes(path: Path) -> Keyframes:
    """Read keyframes from a `.yaml`, `.yml` or `.json` file.

    Raises:
        InputError: The file is missing, is neither, or a value does not fit.
    """
    data = read_plain("path", path)
    if not isinstance(data, dict):
        raise InputError("path", str(path), "a file of keys (`regolith.lunar.flythrough.keyframes`)")
    return validate(Keyframes, data)


def plain_keys(keys: Iterable[Key]) -> list[dict[str, float]]:
    """Keys as a file has them: what is left out of one is not there."""
    return [key.model_dump(exclude_defaults=True) for key in keys]


def save_keyframes(keyframes: Keyframes, path: Path) -> None:
    """Write keyframes as `read_keyframes` reads them, by the file's ending, whole or not at all.

    Raises:
        InputError: Another ending than `.yaml`, `.yml` or `.json`.
        OSError: The file cannot be written.
    """
    aim = keyframes.model_dump(exclude_defaults=True, include={"aim"})
    write_plain("path", path, aim | {"keys": plain_keys(keyframes.keys)}, rows=True)
