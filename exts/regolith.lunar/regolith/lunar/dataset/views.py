"""Frames that were chosen instead of drawn, as those along a drive: `views.jsonl`, one `FrameSpec` a line.

A split has the file where its contract's `views` says so, by the SHA-256 of its bytes, beside what they were chosen by.
Line i is frame i; its scene need not be that which `dataset.frames_per_scene` gives, and frames of a scene follow each
other. Where `views` names a stage file, that is the one scene there is; otherwise scenes are those of the split.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.files import file_digest, write_bytes
from regolith.lunar.params import InputError, Params
from regolith.lunar.randomize import scene_number
from regolith.lunar.reading import JSON_BYTES, parse_json, read_bytes
from regolith.lunar.stage.spec import FrameSpec

VIEWS = "views.jsonl"


@dataclasses.dataclass(frozen=True)
class Views:
    """The frames of a split, by number."""

    specs: tuple[FrameSpec, ...]
    about: Mapping[str, Any]
    """Plain values: what they were chosen by, with `stage`, the path of a stage file, and its `stage_sha256`, where
    that is the scene, and `chosen`, names of the values that are not the scene's, where it is more than the heading."""

    def __len__(self) -> int:
        return len(self.specs)

    def to_bytes(self) -> bytes:
        """Bytes of the file."""
        return b"".join(_lines(self.specs))

    @property
    def note(self) -> dict[str, Any]:
        """What a contract says of them."""
        return {**self.about, "sha256": hashlib.sha256(self.to_bytes()).hexdigest()}

    def first(self, frames: int) -> Views:
        """Those of the first frames."""
        return Views(self.specs[:frames], self.about)

    def restore(self, split: Path) -> None:
        """Write the file, unless it is there.

        Raises:
            OSError: It cannot be written.
        """
        try:
            there = read_bytes(split / VIEWS, JSON_BYTES) == self.to_bytes()
        except OSError:
            there = False
        if not there:
            write_bytes(split / VIEWS, self.to_bytes())

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of the values that each frame has for itself: a rover's heading, or all that a film moves."""
        return tuple(self.about.get("chosen", ("heading_deg",)))

    @property
    def stage(self) -> Path | None:
        """The stage file that is the scene; None where scenes are the split's.

        Raises:
            InputError: It is not there, or not the one the frames were chosen on.
        """
        path, wanted = self.about.get("stage"), self.about.get("stage_sha256")
        if path is None:
            return None
        try:
            found = file_digest(Path(path))
        except OSError as error:
            raise InputError("stage", path, f"a file that can be read ({error.strerror})") from None
        if found != wanted:
            raise InputError("stage", path, "the stage as it was when the frames along the drive were chosen")
        return Path(path)


def _lines(specs: Sequence[FrameSpec]) -> Iterator[bytes]:
    for spec in specs:
        yield json.dumps(spec.to_dict(), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def read_views(split: Path, contract: Contract) -> Views | None:
    """Read the frames that were chosen for a split; None for one whose frames are drawn.

    Raises:
        InputError: The file is missing, or not the one the contract was written with.
    """
    if not contract.views:
        return None
    try:
        data = read_bytes(split / VIEWS, JSON_BYTES)
    except OSError as error:
        raise InputError("split", str(split), f"a folder whose {VIEWS} can be read ({error.strerror})") from None
    about = dict(contract.views)
    if hashlib.sha256(data).hexdigest() != about.pop("sha256", None):
        raise InputError("split", str(split), f"a folder whose {VIEWS} is as it was written")
    try:
        specs = tuple(FrameSpec.from_dict(parse_json(line)) for line in data.decode().splitlines())
    except (TypeError, ValueError) as error:
        raise InputError("split", str(split), f"a folder whose {VIEWS} has frames ({error})") from None
    if len(specs) != contract.frames:
        raise InputError("split", str(split), f"a folder whose {VIEWS} has {contract.frames} lines")
    return Views(specs, about)


def scene_of(params: Params, views: Views | None, index: int) -> int:
    """Number of the scene that serves frame `index`."""
    return scene_number(params, index) if views is None else views.specs[index].scene
