"""The quarantine of a split: which frames and classes shall not be trained on, and why, in a file beside its journal.

It moves nothing and changes no byte of the dataset; `regolith gate --quarantine` writes it, or takes it away where the
split passes. Training and `regolith mix` refuse what is quarantined unless told otherwise. `quarantine.json` is JSON:

| field | |
|---|---|
| `schema` | 1 |
| `set_by` | the command that set it |
| `gate` | `digest` of the `gate.json` it follows from |
| `frames` | number of a frame to reasons, a list of texts |
| `classes` | name of a class to reasons: its pixels in every frame |
| `sha256` | of the journal lines of all the split's frames when it was set |
| `digest` | SHA-256 of the rest, as in `dataset.json` |

A verdict is about one set of frames. A split that has grown, or of which a frame was drawn anew with other bytes, has
frames nobody judged: its quarantine is stale, and reading it is refused, until it is set again or the file is removed.
Frames that `verify --repair` draws again to the same bytes change nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.contract import digest
from regolith.lunar.dataset.layout import OrderedRecords, records_digest
from regolith.lunar.files import write_bytes
from regolith.lunar.labels import NAMES
from regolith.lunar.params import InputError
from regolith.lunar.reading import JSON_BYTES, read_json

QUARANTINE = "quarantine.json"
QUARANTINE_SCHEMA = 1

Reasons = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Quarantine:
    """What of a split shall not be trained on."""

    set_by: str
    """The command that set it."""
    gate: str
    """`digest` of the `gate.json` it follows from."""
    frames: Mapping[int, Reasons]
    """Number of a frame to why."""
    classes: Mapping[str, Reasons]
    """Name of a class to why: its pixels in every frame."""

    def of(self, numbers: Iterable[int]) -> Quarantine:
        """Return that of some frames; that of the classes stays."""
        return dataclasses.replace(self, frames={n: self.frames[n] for n in numbers if n in self.frames})

    def words(self) -> str:
        """Say how much it is."""
        frames = f"{len(self.frames):,} frame{'' if len(self.frames) == 1 else 's'}" if self.frames else ""
        classes = f"class {', '.join(self.classes)}" if self.classes else ""
        return " and ".join(part for part in (frames, classes) if part)

    def __bool__(self) -> bool:
        return bool(self.frames or self.classes)


def write_quarantine(split: Path, quarantine: Quarantine, records: OrderedRecords) -> None:
    """Write the quarantine of a split whole or not at all; one that holds nothing takes the file away.

    Args:
        split: Folder of the split.
        quarantine: What shall not be trained on.
        records: All frames of the split, which it was judged by.

    Raises:
        OSError: It cannot be written.
    """
    if not quarantine:
        (split / QUARANTINE).unlink(missing_ok=True)
        return
    data = {
        "schema": QUARANTINE_SCHEMA,
        "set_by": quarantine.set_by,
        "gate": quarantine.gate,
        "frames": {str(number): list(quarantine.frames[number]) for number in sorted(quarantine.frames)},
        "classes": {name: list(reasons) for name, reasons in quarantine.classes.items()},
        "sha256": records_digest(records),
    }
    write_bytes(split / QUARANTINE, (json.dumps(data | {"digest": digest(data)}, ensure_ascii=False) + "\n").encode())


def read_quarantine(split: Path, records: OrderedRecords) -> Quarantine | None:
    """Read the quarantine of a split; None where there is none.

    Args:
        split: Folder of the split.
        records: All frames of the split as they are now.

    Raises:
        InputError: It cannot be read, is not as it was written, or is of other frames than these.
    """
    path = split / QUARANTINE
    try:
        data = read_json(path, JSON_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("quarantine", str(path), f"a file that can be read ({reason})") from None
    if not isinstance(data, dict) or data.get("schema") != QUARANTINE_SCHEMA or data.get("digest") != digest(data):
        raise InputError("quarantine", str(path), "a quarantine as `regolith gate` wrote it")
    if data.get("sha256") != records_digest(records):
        allowed = "that of the split's frames as they are now; `regolith gate --quarantine` judges them, or remove it"
        raise InputError("quarantine", str(path), allowed)
    return _parsed(path, data, set(records.numbers.tolist()))


def _parsed(path: Path, data: dict[str, Any], numbers: set[int]) -> Quarantine:
    frames, classes = ({k: _reasons(v) for k, v in _dict(data.get(key)).items()} for key in ("frames", "classes"))
    by_number = {int(key): reasons for key, reasons in frames.items() if key.isdecimal() and int(key) in numbers}
    texts = [data.get(key) for key in ("set_by", "gate")]
    if len(by_number) < len(frames) or not classes.keys() <= set(NAMES) or not all(isinstance(t, str) for t in texts):
        raise InputError("quarantine", str(path), "a quarantine of frames of this split and of its classes")
    return Quarantine(str(texts[0]), str(texts[1]), by_number, classes)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"": value}


def _reasons(value: object) -> Reasons:
    return tuple(map(str, value)) if isinstance(value, list) else ()
