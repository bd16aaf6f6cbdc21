"""`regolith train`: run `training/train.py` as a companion process and show its progress."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regolith.lunar.files import AnyPath, temporary_beside
from regolith.lunar.jobs.companion import Companion
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.machine import install_command, stop_on_signal
from regolith.lunar.params import CheckError, InputError, as_text, quantity, validate_text, writable_folder
from regolith.lunar.params.curriculum import CurriculumParams
from regolith.lunar.params.outputs import refusing, swept
from regolith.lunar.params.training import TrainParams


class Train(CurriculumParams):
    """Train a segmentation network on a labelled split; the same command again resumes a stopped run."""

    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Train and say where the model is."""
        with show(self.events, "train", "steps") as emit:
            return train(CurriculumParams(**self.model_dump(exclude={"events"})), emit)

    def summary(self, result: dict[str, Any]) -> str:
        """Say which epoch was kept and how good it is where it was selected."""
        kept = f"epoch {result['best_epoch']}, rock-IoU {result['best_rock_iou']:.4f} on {result['selected_on']}"
        return f"{self.out / 'best.pt'}: {kept}"


def train_model(
    train_split: AnyPath | Sequence[AnyPath],
    val_split: AnyPath | Sequence[AnyPath],
    out: AnyPath,
    *,
    python: str = sys.executable,
    emit: Emit = lambda event: None,
    **options: Any,
) -> dict[str, Any]:
    """Train a segmentation network in a process of its own; the same call again resumes a stopped run.

    Args:
        train_split: Folder of the split to train on, or of several.
        val_split: Folder of the split that selects the best epoch, or of several.
        out: Folder of the run: `best.pt`, `last.pt`, `metrics.jsonl`, `summary.json`.
        python: Interpreter that has torch.
        emit: Receives the training's progress and metric events, dictionaries.
        options: Parameters of `regolith train` by name: `arch="efficientnet-lite0"`, `epochs=20`, `scale=(0.7, 1.4)`.

    Returns:
        The run's summary, as in `summary.json`: `best_epoch`, `best_rock_iou`, `selected_on`, …

    Raises:
        InputError: torch is not installed there, a parameter that is none or does not fit, or a split that is none.
        CheckError: The run ended with an error.
        KeyboardInterrupt: It was interrupted and can be resumed.
    """
    given = {"train_split": train_split, "val_split": val_split, "out": out} | options
    texts = {name: as_text(value) for name, value in given.items() if value is not None}
    return train(validate_text(CurriculumParams, texts), emit, python)


def train(params: TrainParams, emit: Emit, python: str = sys.executable) -> dict[str, Any]:
    """Train in a process of its own.

    Args:
        params: Parameters of the run, `CurriculumParams` of one in stages.
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
        raise InputError("train", Path(python).name, f"an interpreter with torch: {install_command('train')}")
    with swept(params.out):
        writable_folder("out", params.out)
        config = temporary_beside(params.out / "config.json")
        try:
            with refusing("out", params.out):
                config.write_text(json.dumps(params.model_dump(mode="json")), "utf-8")
            return _watch(Companion([python, "-m", "training.train", "--config", config]), emit)
        finally:
            config.unlink(missing_ok=True)


def _watch(companion: Companion, emit: Emit) -> dict[str, Any]:
    failure: dict[str, Any] = {}
    done: dict[str, Any] = {}
    with companion, stop_on_signal(companion.terminate) as stop:
        for event in companion.events():
            if event["event"] == "error":
                failure = event
            elif event["event"] == "done":
                done = event
            elif event["event"] != "log":
                emit(event)
    if done.get("status") == "interrupted" or (stop.is_set() and not done and not failure):
        raise KeyboardInterrupt
    if companion.returncode or not done:
        message = (
            failure.get("message")
            or (companion.tail[-1] if companion.tail else "")
            or f"exit status {companion.returncode}"
        )
        raise CheckError(message) if companion.returncode != 2 else InputError.from_line(message)
    return done["result"]
