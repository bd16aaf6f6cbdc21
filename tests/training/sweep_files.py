"""What the processes of a sweep leave, written without running them."""

from __future__ import annotations

from regolith.lunar.files import write_json
from regolith.lunar.perception.metrics import rock_scores
from training.ablate.steps import Synth, Train


def write_training(step: Train) -> None:
    """The summary of a training."""
    step.out.mkdir(parents=True, exist_ok=True)
    machine = {"cpu": "a CPU", "cores": 2, "threads": 1, "device": "cpu", "arithmetic": "fp32", "torch": "2"}
    write_json(step.out / "summary.json", {
        "best_epoch": 3, "epochs": 10, "best_rock_iou": 0.5, "seconds": 1.0, "config": step.params.recipe(),
        "splits": {}, "git": None, "machine": machine,
    })  # fmt: skip


def write_synth(step: Synth, iou: float) -> None:
    """The result of an evaluation with a rock-IoU."""
    rock = rock_scores(500, 300, 500) | {"iou": iou}
    write_json(step.result_file, {"frames": 75, "miou": 0.5, "accuracy": 0.5, "rock": rock})
