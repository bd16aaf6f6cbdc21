"""Files of a run: written whole or not at all, read without executing anything in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part."""
    scratch = path.with_name(f".{path.name}.tmp")
    with scratch.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def write_torch(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint like `write_bytes`."""
    scratch = path.with_name(f".{path.name}.tmp")
    with scratch.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read best.pt or last.pt; nothing in the file is executed.

    Raises:
        InputError: The file is missing or no checkpoint of a training run.
    """
    allowed = "best.pt or last.pt of a training run"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError("checkpoint", str(path), f"{allowed} ({error.strerror})") from None
    except Exception as error:  # torch raises pickle, zip and runtime errors for a file that is none of its own
        raise InputError("checkpoint", str(path), f"{allowed} ({type(error).__name__})") from None
    if not isinstance(state, dict) or state.get("classes") != CLASSES:
        raise InputError("checkpoint", str(path), f"{allowed}, with the classes {CLASSES}")
    return state
