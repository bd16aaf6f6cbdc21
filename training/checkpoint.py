"""Files of a run: written whole or not at all, read without executing anything in them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, Field, JsonValue, ValidationError

from regolith.lunar.files import file_digest, write_bytes
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError
from regolith.lunar.params.training import Architecture, TrainParams

Plain = dict[str, JsonValue]
COUNT_MAX = 10**9
"""Most epochs, steps or frames a checkpoint may speak of."""


class _Start(BaseModel, strict=True, extra="forbid"):
    weights: str
    source: str = ""
    licence: str = ""


class _Network(BaseModel, strict=True):
    arch: Architecture
    config: dict[str, Any]
    start: _Start


class _Made(BaseModel, strict=True):
    """What both files of a run carry: weights, and what they were made from."""

    model: dict[str, Any]
    network: _Network
    recipe: Plain
    fingerprints: Plain
    origin: Plain | None = None
    metrics: Plain | None = None
    epoch: int = Field(ge=0, le=COUNT_MAX)


class _Epoch(BaseModel, strict=True):
    """What a run needs of a line of metrics.jsonl to go on."""

    epoch: int
    selection_iou: float
    seconds: float


class Progress(BaseModel, strict=True):
    """How far a run is, as last.pt carries it beside weights, optimizer and random state."""

    epoch: int = Field(ge=0, le=COUNT_MAX)
    """Epochs done."""
    batch: int = Field(ge=0, le=COUNT_MAX)
    """Batches of the running epoch done."""
    micro_batch: int = Field(0, ge=0, le=COUNT_MAX)
    """Frames computed at once; 0 where that is not settled."""
    loss_sum: float = Field(allow_inf_nan=False)
    """Sum of the running epoch's losses over its frames."""
    seconds: float = Field(ge=0, allow_inf_nan=False)
    """Time of the running epoch so far [s]."""
    waited: float = Field(ge=0, allow_inf_nan=False)
    """Of that, what went by waiting for frames [s]."""
    history: list[_Epoch]
    """Lines of metrics.jsonl so far."""


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
    state.setdefault("network", {"arch": "segformer-b0", "config": {}, "start": _older_start(state)})
    try:
        _Made.model_validate(state)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise InputError(field, str(path), f"{allowed} ({place} in it is not what a run writes)") from None
    return state


def _older_start(state: dict[str, Any]) -> dict[str, str]:
    """What a checkpoint that is older than the table of networks started from: it names no licence."""
    recipe = state.get("recipe")
    weights = str(recipe.get("init", "")) if isinstance(recipe, dict) else ""
    return {"weights": weights, "source": "", "licence": ""}


def read_origin(params: TrainParams) -> dict[str, Any] | None:
    """Return what the checkpoint a run starts from was made of, and its digest; None where it starts from none.

    Raises:
        InputError: The checkpoint cannot be read, or the run would write over it.
    """
    if not params.from_checkpoint:
        return None
    path = Path(params.start)
    if path.resolve().parent == params.out.resolve():
        raise InputError("init", str(path), "a checkpoint outside --out, where the run writes its own")
    state = read_checkpoint(path, field="init")
    made = {key: state.get(key) for key in ("recipe", "fingerprints", "epoch", "origin")}
    return made | {"sha256": file_digest(path)}
