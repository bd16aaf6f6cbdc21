"""A request: which frames shall be drawn, of which parameters, and why, as a file that `regolith generate` fulfils.

regolith generate --request request.json --out DIR

What looks at data and finds something missing (`regolith gate`) writes one; nothing is drawn by that. It is JSON:

| field | |
|---|---|
| `schema` | 1 |
| `made_by` | the command that wrote it |
| `why` | what it found, in words |
| `preset` | name of the preset the parameters start from |
| `params` | dotted name to text, as typed on the command line: `{"domain.sun_elevation_deg": "9.0,20.0"}` |
| `split`, `frames`, `seed` | as `regolith generate` takes them |
| `size` | width and height of the pictures [px] |
| `digest` | SHA-256 of the rest, as in `dataset.json` |
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.contract import digest
from regolith.lunar.dataset.run import begin
from regolith.lunar.files import AnyPath, write_bytes
from regolith.lunar.params import Group, InputError, Params, as_text, change_params, load_preset, preset_names
from regolith.lunar.reading import FILE_BYTES, read_json

REQUEST_SCHEMA = 1
WORDS_MAX = 4000
"""Most characters of what a request says in words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """Frames to draw; one that `regolith generate` would refuse cannot be made.

    Raises:
        InputError: The first field that does not fit, by its name.
    """

    made_by: str
    """The command that asks."""
    why: str
    """What it found."""
    preset: str
    """Preset the parameters start from."""
    params: Mapping[str, str]
    """Dotted name to text, as typed on the command line, of each parameter that differs from the preset's."""
    split: str
    """Split to draw."""
    frames: int
    size: tuple[int, int]
    """Width and height of the pictures [px]."""
    seed: int

    def __post_init__(self) -> None:
        for name in ("made_by", "why"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > WORDS_MAX:
                raise InputError(name, text, f"text of at most {WORDS_MAX} characters")
        if not isinstance(self.preset, str):
            raise InputError("preset", self.preset, ", ".join(preset_names()))
        if not isinstance(self.params, Mapping) or not all(
            isinstance(part, str) for pair in self.params.items() for part in pair
        ):
            raise InputError("params", self.params, "texts by the dotted names of parameters")
        loose = next((name for name in self.params if "." not in name), None)
        if loose is not None:
            raise InputError(f"params.{loose}", self.params[loose], "GROUP.FIELD, as the command line's flags")
        if type(self.seed) is not int or self.seed < 0:
            raise InputError("seed", self.seed, "a whole number at least 0")
        if not isinstance(self.split, str):
            raise InputError("split", self.split, "the name of a split")
        sides = self.size
        if not isinstance(sides, tuple) or len(sides) != 2 or not all(type(side) is int for side in sides):
            raise InputError("size", sides, "width and height [px], two whole numbers")
        begin(
            self.parameters(), Path(), split=self.split, frames=self.frames, width=sides[0], height=sides[1],
            seed=self.seed,
        )  # fmt: skip

    def parameters(self, base: Params | None = None) -> Params:
        """Return what the frames are drawn from: the preset's parameters, or others, with those of `params` in them."""
        try:
            return change_params(load_preset(self.preset) if base is None else base, self.params, named=False)
        except InputError as error:
            where = error.field if error.field == "preset" else f"params.{error.field}"
            raise InputError(where, error.value, error.allowed) from None

    def to_dict(self) -> dict[str, Any]:
        """Contents as the file has them, without the digest."""
        return {
            "schema": REQUEST_SCHEMA, "made_by": self.made_by, "why": self.why, "preset": self.preset,
            "params": dict(self.params), "split": self.split, "frames": self.frames, "size": list(self.size),
            "seed": self.seed,
        }  # fmt: skip


def stated(params: Params) -> tuple[str, dict[str, str]]:
    """Say parameters as a request does.

    Returns:
        Preset, v3 where the parameters name none of ours; and dotted name to text of each that differs from it.
    """
    preset = params.preset if params.preset in preset_names() else "v3"
    base = load_preset(preset)
    return preset, {
        f"{name}.{field}": as_text(value)
        for name, group in params
        if isinstance(group, Group)
        for field, value in group
        if value != getattr(getattr(base, name), field)
    }


def write_request(path: AnyPath, request: Request) -> None:
    """Write a request whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    data = request.to_dict()
    write_bytes(Path(path), (json.dumps(data | {"digest": digest(data)}, indent=2, ensure_ascii=False) + "\n").encode())


def is_request(path: AnyPath) -> bool:
    """Whether a file looks like a request, were it no longer as it was written."""
    try:
        data = read_json(Path(path), FILE_BYTES)
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and "made_by" in data


def read_request(path: AnyPath) -> Request:
    """Read a request.

    Raises:
        InputError: It cannot be read, is not as it was written, or a field does not fit; names the field.
    """
    path = Path(path)
    try:
        data = read_json(path, FILE_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("request", str(path), f"a request that can be read ({reason})") from None
    if not isinstance(data, dict) or data.get("schema") != REQUEST_SCHEMA or data.get("digest") != digest(data):
        raise InputError("request", str(path), "a request as it was written, by `regolith gate` or the like")
    values = {name: value for name, value in data.items() if name not in ("schema", "digest")}
    fields = [field.name for field in dataclasses.fields(Request)]
    for name in (*(name for name in fields if name not in values), *(name for name in values if name not in fields)):
        raise InputError(f"{path}: field", name, f"all of {', '.join(fields)}, and no other")
    if isinstance(values["size"], list):
        values["size"] = tuple(values["size"])
    try:
        return Request(**values)
    except InputError as error:
        raise InputError(f"{path}: {error.field}", error.value, error.allowed) from None
