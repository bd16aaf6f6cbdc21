"""`dataset.json`: the contract of a split, which says all that decides the bytes of its frames."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import typing
from functools import cache
from pathlib import Path
from typing import Any

from regolith.lunar import __version__
from regolith.lunar.dataset.outputs import ALWAYS, chosen
from regolith.lunar.files import write_bytes
from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import InputError, Params, validate
from regolith.lunar.reading import FILE_BYTES, read_bytes, read_json

SCHEMA_VERSION = 2
"""Version of the layout of a split."""

CONTRACT = "dataset.json"
COPY = "dataset.copy.json"
"""Second copy of the contract, as there is no other source of what it says; either one is enough."""

FRAMES_MAX = 1_000_000
"""Most frames of a split."""
LIMITS = {"frames": (1, FRAMES_MAX), "width": (1, 65_535), "height": (1, 65_535), "ignore": (0, 255)}
"""Least and largest value of the whole numbers something is made of: memory, pixels, loops."""

IMPORT = "import"
"""Renderer name of a split whose frames were not drawn but brought in from elsewhere."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contract:
    """What `dataset.json` says; the order of the fields is that of the file."""

    schema: int = SCHEMA_VERSION
    version: str = __version__
    """Version of this package the split was begun with."""
    classes: dict[str, int] = dataclasses.field(default_factory=lambda: dict(CLASSES))
    """Value of each class in the masks."""
    ignore: int = IGNORE
    """Value of pixels that do not count."""
    split: str
    """What the split is called; a folder `train_dr_750` holds a part of `train_dr`."""
    frames: int
    """Frames the split shall have."""
    seed: int
    width: int
    """Picture width [px]."""
    height: int
    """Picture height [px]."""
    outputs: tuple[str, ...]
    """Names from `outputs.OUTPUTS`."""
    renderer: dict[str, Any]
    """What `Renderer.describe` said where the split was begun; empty while nobody was asked yet."""
    other_renderers: tuple[dict[str, Any], ...] = ()
    """Renderers that drew frames beside it."""
    parameters: dict[str, Any]
    """The parameters as plain values; empty where the frames were imported."""
    views: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What the frames were chosen by, and the hash of `views.jsonl` (`dataset.views`); empty where they are drawn, and
    then not in the file."""

    @classmethod
    def of(
        cls, params: Params, *, split: str, frames: int, seed: int, width: int, height: int,
        renderer: dict[str, Any] | None = None,
    ) -> Contract:  # fmt: skip
        """Make the contract of frames to be drawn; left out, the renderer is not known yet."""
        return cls(
            split=split, frames=frames, seed=seed, width=width, height=height, outputs=chosen(params),
            renderer=renderer or {}, parameters=params.model_dump(mode="json"),
        )  # fmt: skip

    @classmethod
    def of_import(cls, *, split: str, frames: int, width: int, height: int) -> Contract:
        """Make the contract of pictures and masks from elsewhere."""
        return cls(
            split=split, frames=frames, seed=0, width=width, height=height, outputs=ALWAYS,
            renderer={"name": IMPORT}, parameters={},
        )  # fmt: skip

    @property
    def imported(self) -> bool:
        """Whether the frames were not drawn from parameters."""
        return self.renderer.get("name") == IMPORT

    @property
    def params(self) -> Params:
        """The parameters the frames were drawn from.

        Raises:
            InputError: A value is none of this version's, or the frames were imported.
        """
        if self.imported:
            raise InputError("parameters", None, "those of a generated split; this one was imported")
        return validate(Params, self.parameters, stored=True)

    @property
    def extras(self) -> tuple[str, ...]:
        """Outputs beside rgb and mask."""
        return tuple(output for output in self.outputs if output not in ALWAYS)

    @property
    def digest(self) -> str:
        """SHA-256 of the contents."""
        return digest(self.to_dict())

    def drawn_by(self, renderer: dict[str, Any]) -> Contract:
        """Note that a renderer drew frames of the split: its own where none is known yet."""
        if not self.renderer:
            return dataclasses.replace(self, renderer=renderer)
        if renderer in (self.renderer, *self.other_renderers):
            return self
        return dataclasses.replace(self, other_renderers=(*self.other_renderers, renderer))

    def to_dict(self) -> dict[str, Any]:
        """Contents as JSON has them, without the digest."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in dataclasses.fields(self)
            for value in (getattr(self, field.name),)
            if value or field.name != "views"
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], place: str = CONTRACT) -> Contract:
        """Rebuild a contract from `to_dict`.

        Args:
            data: Contents without the digest.
            place: Where they come from, for errors.

        Raises:
            InputError: A field is missing, of another type, outside its limits, or none of these.
        """
        for key, kind in _kinds().items():
            value = data.get(key, {} if key == "views" else None)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise InputError(f"{place}: {key}", value, f"a value of type {kind.__name__}")
        for key, (least, most) in LIMITS.items():
            if not least <= data[key] <= most:
                raise InputError(f"{place}: {key}", data[key], f"{least} … {most}")
        unknown = next((key for key in data if key not in _kinds()), None)
        if unknown is not None:
            raise InputError(f"{place}: field", unknown, ", ".join(_kinds()))
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)

    def to_bytes(self) -> bytes:
        """Return the bytes of the file, digest included."""
        return (json.dumps(self.to_dict() | {"digest": self.digest}, indent=2) + "\n").encode()

    @classmethod
    def read(cls, split: Path) -> Contract:
        """Read a split's contract: its `dataset.json`, or the copy where that is damaged.

        Raises:
            InputError: The folder is not a split of a dataset, or neither file is as it was written.
        """
        try:
            return cls.read_file(split / CONTRACT)
        except InputError:
            with contextlib.suppress(InputError):
                return cls.read_file(split / COPY)
            raise

    @classmethod
    def read_file(cls, path: Path) -> Contract:
        """Read one of the two files of a split's contract.

        Raises:
            InputError: It is missing, or not as it was written.
        """
        try:
            data = read_json(path, FILE_BYTES)
        except FileNotFoundError:
            text = f"a folder with a {CONTRACT}, as `regolith generate` writes"
            raise InputError("split", str(path.parent), text) from None
        except OSError as error:
            text = f"a folder whose {path.name} can be read ({error.strerror})"
            raise InputError("split", str(path.parent), text) from None
        except ValueError as error:
            text = f"a folder whose {path.name} is well-formed JSON ({error})"
            raise InputError("split", str(path.parent), text) from None
        if not isinstance(data, dict) or data.get("schema") != SCHEMA_VERSION:
            found = data.get("schema") if isinstance(data, dict) else type(data).__name__
            raise InputError(f"{path}: schema", str(found), str(SCHEMA_VERSION))
        given = data.pop("digest", None)
        contract = cls.from_dict(data, str(path))
        if given != contract.digest:
            raise InputError(f"{path}: digest", given, "that of the file as `regolith generate` wrote it")
        return contract

    def write(self, split: Path) -> None:
        """Write a split's `dataset.json`, then its copy.

        Raises:
            OSError: A file cannot be written.
        """
        for name in (CONTRACT, COPY):
            write_bytes(split / name, self.to_bytes())

    def restore(self, split: Path) -> list[str]:
        """Write the file of the two that is missing or not as it was written; returns the names of those written.

        Raises:
            OSError: A file cannot be written.
        """
        restored = []
        for name in (CONTRACT, COPY):
            try:
                data = read_bytes(split / name)
            except OSError:
                data = b""
            if data != self.to_bytes():
                write_bytes(split / name, self.to_bytes())
                restored.append(name)
        return restored


@cache
def _kinds() -> dict[str, type]:
    """Field of a contract to the type of its value in JSON."""
    hints = {name: typing.get_origin(hint) or hint for name, hint in typing.get_type_hints(Contract).items()}
    return {
        field.name: list if hints[field.name] is tuple else hints[field.name] for field in dataclasses.fields(Contract)
    }


def digest(data: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of an object without its own `digest`; what makes every flipped bit show."""
    rest = {key: value for key, value in data.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def first_difference(old: Any, new: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Find the first place where two nested values differ: (dotted path, old value, new value)."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            found = first_difference(old.get(key), new.get(key), f"{path}.{key}" if path else key)
            if found is not None:
                return found
        return None
    return None if old == new else (path, old, new)
