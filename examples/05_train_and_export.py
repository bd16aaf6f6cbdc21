"""Train a segmentation network on a generated split, export it to ONNX, and score it.

- the training is a process of its own, which sends events; stopped, the same call goes on
- the epoch is chosen on val, never on the split that is reported
- the exported graph takes pixels and gives logits, and is compared with PyTorch before it takes its name

    python examples/05_train_and_export.py --data out/03/data --out out/05
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tyro
from matplotlib.figure import Figure

import regolith.lunar as rl


def main(
    data: Path = Path("out/03/data"), out: Path = Path("out/05"), epochs: int = 12, init: str = "imagenet"
) -> None:
    """Train, export and score.

    Args:
        data: Dataset with the splits train_dr and val, as example 3 makes it.
        out: Folder to write.
        epochs: Passes over train_dr.
        init: What to start from: imagenet (Apache-2.0), or random.
    """
    scores: list[float] = []

    def note(event: dict[str, Any]) -> None:
        if event["event"] == "metric" and event["name"] == "rock_iou":
            scores.append(event["value"] or 0.0)  # None where there is no rock
            print(f"epoch {len(scores)}: rock-IoU {scores[-1]:.3f}")

    summary = rl.train_model(
        data / "train_dr", data / "val", out / "run", emit=note,
        arch="efficientnet-lite0", init=init, epochs=epochs, patience=epochs, class_weight_power=0.5,
    )  # fmt: skip
    print(f"kept epoch {summary['best_epoch']}")

    rl.export_model(out / "run/best.pt", out / "model.onnx")
    result = rl.evaluate_split(data / "val", model=out / "model.onnx", out=out / "scored", worst=2)
    rock = result["rock"]
    print(", ".join(f"rock {key} {rock[key] or 0.0:.3f}" for key in ("iou", "precision", "recall")))

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="rock-IoU on val", ylim=(0, 1))
    axes.plot(range(1, len(scores) + 1), scores, marker="o")
    axes.grid(alpha=0.3)
    figure.savefig(out / "picture.png", dpi=90)
    print(out / "picture.png")


if __name__ == "__main__":
    tyro.cli(main)
