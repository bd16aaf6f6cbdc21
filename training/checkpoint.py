"""Files of a run: written whole or not at all, read without executing anything in them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from regolith.lunar.files import write_bytes
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError


def write_torch(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all."""
    buffer = io.BytesIO()  # torch's own writer hides what the disk says
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def read_checkpoint(path: Path, field: str = "checkpoint") -> dict[str, Any]:
    """Read best.pt or last.pt; nothing in the file is executed.

    Args:
        path: The file.
        field: Parameter that named it, for an error.

    Raises:
        InputError: The file is missing or no checkpoint of a training run.
    """
    allowed = "best.pt or last.pt of a training run"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(field, str(path), f"{allowed} ({error.strerror})") from None
    except Exception as error:  # torch raises pickle, zip and runtime errors for a file that is none of its own
        raise InputError(field, str(path), f"{allowed} ({type(error).__name__})") from None
    if not isinstance(state, dict) or state.get("classes") != CLASSES:
        raise InputError(field, str(path), f"{allowed}, with the classes {CLASSES}")
    if not all(isinstance(state.get(key), dict) for key in ("model", "recipe", "fingerprints")):
        raise InputError(field, str(path), f"{allowed} (it lacks weights or what they were made from)")
    state.setdefault("network", {"arch": "segformer-b0", "config": {}, "start": _older_start(state)})
    return state


def _older_start(state: dict[str, Any]) -> dict[str, str]:
    """What a checkpoint that is older than the table of networks started from: it names no licence."""
    return {"weights": str(state["recipe"].get("init", "")), "source": "", "licence": ""}
