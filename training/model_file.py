"""What a model's card says of its file, and of the one before it."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any

from regolith.lunar.params import InputError
from regolith.lunar.perception.model_files import read_card


def file_fields(out: Path, data: bytes) -> dict[str, Any]:
    """Return what a card says of its file: name, size and digest."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "file": out.name}


def replaced(out: Path) -> dict[str, Any]:
    """Return what a new card holds, as `read_card` takes it, until its file has taken the place of the one before.

    So whatever ends the process, one of the two models is there with its card.
    """
    with contextlib.suppress(InputError, OSError):  # none yet, or a damaged one
        return {"replaces": read_card(out)}
    return {}
