"""`regolith train`: run `training/train.py` as a companion process and show its progress."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from regolith.lunar.jobs.companion import Companion
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import CheckError, InputError, quantity
from regolith.lunar.params.training import TrainParams


class Train(TrainParams):
    """Train SegFormer-B0 on a labelled split; the same command again resumes a stopped run."""

    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Train and say where the model is."""
        with show(self.events, "train", "steps") as emit:
            return train(TrainParams(**self.model_dump(exclude={"events"})), emit)

    def summary(self, result: dict[str, Any]) -> str:
        """Say which epoch was kept and how good it is where it was selected."""
        kept = f"epoch {result['best_epoch']}, rock-IoU {result['best_rock_iou']:.4f} on {result['selected_on']}"
        return f"{self.out / 'best.pt'}: {kept}"


def train(params: TrainParams, emit: Emit, python: str = sys.executable) -> dict[str, Any]:
    """Train in a process of its own.

    Args:
        params: Parameters of the run.
        emit: Receives the companion's progress and metric events.
        python: Interpreter that has torch.

    Returns:
        The run's summary.

    Raises:
        InputError: torch is not installed there, or the companion refused its parameters.
        CheckError: The run ended with an error.
        KeyboardInterrupt: It was interrupted and can be resumed.
    """
    if python == sys.executable and importlib.util.find_spec("torch") is None:
        raise InputError("train", python, "an interpreter with torch: pip install 'regolith-lunar[train]'")
    descriptor, name = tempfile.mkstemp(suffix=".json", prefix="regolith_train_")
    config = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(params.model_dump(mode="json"), file)
        return _watch(Companion([python, "-m", "training.train", "--config", config]), emit)
    finally:
        config.unlink()


def _watch(companion: Companion, emit: Emit) -> dict[str, Any]:
    failure: dict[str, Any] = {}
    done: dict[str, Any] = {}
    with companion:
        for event in companion.events():
            if event["event"] == "error":
                failure = event
            elif event["event"] == "done":
                done = event
            elif event["event"] != "log":
                emit(event)
    if done.get("status") == "interrupted":
        raise KeyboardInterrupt
    if companion.returncode or not done:
        message = (
            failure.get("message")
            or (companion.tail[-1] if companion.tail else "")
            or f"exit status {companion.returncode}"
        )
        raise CheckError(message) if companion.returncode != 2 else InputError.from_line(message)
    return done["result"]
