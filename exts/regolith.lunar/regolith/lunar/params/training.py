"""The parameters of a training run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, model_validator

from regolith.lunar.params.errors import InputError
from regolith.lunar.params.fields import cross_field, input_error, quantity
from regolith.lunar.params.verb import Verb

RUNTIME_FIELDS = frozenset(
    {"train_split", "val_split", "test_split", "out", "workers", "threads", "json_file", "debug"}
)
"""Fields a resumed run may change: where things are (the splits' fingerprints must stay) and how fast it runs."""


class TrainParams(Verb):
    """Train SegFormer-B0 on a labelled split; the same command again resumes a stopped run."""

    train_split: Path = quantity(..., "Split to train on, a folder written by `regolith generate`.")
    val_split: Path = quantity(..., "Split that selects the best epoch and stops the run early.")
    test_split: Path | None = quantity(None, "Split that selects instead of val_split where select_on is test.")
    out: Path = quantity(..., "Folder of the run: best.pt, last.pt, metrics.jsonl, summary.json.")
    init: str = quantity(
        "nvidia/mit-b0",
        "Encoder to start from: a Hugging Face hub id, a local folder of one, or `random`, which needs no network.",
    )
    lr: float | None = quantity(
        None,
        "Peak learning rate; left out, 6e-5 for a pretrained encoder and 1e-3 for random.",
        step=1e-5,
        ge=1e-8,
        le=1,
    )
    lr_min: float = quantity(1e-7, "Learning rate the cosine ends at.", ge=0, le=1, step=1e-7)
    warmup_steps: int | None = quantity(
        None,
        "Steps of linear warm-up; left out, 0 for a pretrained encoder and 100 for random.",
        ge=0,
        le=100000,
        step=10,
    )
    weight_decay: float = quantity(0.01, "Weight decay of AdamW.", ge=0, le=1, step=0.005)
    class_weight_power: float = quantity(
        1.0,
        "Power of the inverse pixel counts that weight the classes: 1 is the published recipe, 0 weights all alike.",
        ge=0,
        le=2,
        step=0.1,
    )
    batch: int = quantity(8, "Frames per step.", unit="frames", ge=1, le=256)
    epochs: int = quantity(40, "Most passes over the training split.", ge=1, le=10000)
    patience: int = quantity(8, "Epochs without a better rock-IoU after which the run stops.", ge=1, le=10000)
    flip: bool = quantity(True, "Mirror half of the training frames left to right.")
    seed: int = quantity(0, "Seed of weights, order, flips and dropout.", ge=0, le=2**63 - 1)
    select_on: Literal["val", "test"] = quantity(
        "val", "Split whose rock-IoU selects the epoch; test is the published protocol and marks the summary so."
    )
    amp: Literal["auto", "bf16", "off"] = quantity(
        "auto", "Mixed precision; auto is bf16 on CUDA and on CPUs with bf16 arithmetic, and off elsewhere."
    )
    workers: int = quantity(2, "Threads that decode frames.", ge=1, le=64)
    threads: int | None = quantity(
        None,
        "Threads of the CPU arithmetic; left out, one per core. Leave a core free where others work on the machine.",
        ge=1,
        le=1024,
        step=1,
    )

    @model_validator(mode="after")
    def _selection(self) -> TrainParams:
        if (self.select_on == "test") != (self.test_split is not None):
            raise cross_field("select_on", self.select_on, "test together with a test_split, val without one")
        return self

    @property
    def lr_peak(self) -> float:
        """Peak learning rate, defaults resolved."""
        return self.lr if self.lr is not None else (1e-3 if self.init == "random" else 6e-5)

    @property
    def warmup(self) -> int:
        """Warm-up steps, defaults resolved."""
        return self.warmup_steps if self.warmup_steps is not None else (100 if self.init == "random" else 0)

    @property
    def selection_split(self) -> Path:
        """The split whose rock-IoU selects the best epoch."""
        return self.test_split if self.test_split is not None else self.val_split

    def recipe(self) -> dict[str, Any]:
        """What decides the result beside the data: every field but `RUNTIME_FIELDS`, defaults resolved."""
        recipe = self.model_dump(mode="json", exclude=set(RUNTIME_FIELDS))
        return recipe | {"lr": self.lr_peak, "warmup_steps": self.warmup}


def load_train_params(path: Path) -> TrainParams:
    """Read the parameters of a run from a JSON file.

    Raises:
        InputError: The file is missing or not JSON, or a field does not fit.
    """
    try:
        text = path.read_text("utf-8")
        data = json.loads(text)
    except OSError as error:
        raise InputError("config", str(path), f"a readable file ({error.strerror})") from None
    except ValueError as error:
        raise InputError("config", str(path), f"well-formed JSON ({error})") from None
    try:
        return TrainParams.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise input_error(TrainParams, data, error) from None
