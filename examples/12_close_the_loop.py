"""From new photographs that look unlike what a model knows to a model that has seen more of what it fails on.

- drift → tail → generate → gate → mix → train → compare, each a verb of the command line
- stopped, the same command goes on: what is finished is kept, drawing and training resume
- it ends early where nothing drifted, and with exit code 1 where the new frames are too unlike the photographs

    python examples/12_close_the_loop.py --data out/03/data --run out/05 --photographs DIR --masks DIR --out out/12
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import tyro
from matplotlib.figure import Figure

from regolith.lunar.cli import main as regolith


def step(result: Path, *words: object, checks: bool = False) -> dict[str, Any]:
    """Run a verb unless its result is there, and return that; exit code 1 is an answer of a verb that checks."""
    if not result.is_file():
        code = regolith([str(word) for word in words])
        if code not in ((0, 1) if checks else (0,)):
            sys.exit(code)
    return json.loads(result.read_text("utf-8")) if result.suffix == ".json" else {}


def main(
    photographs: Path, masks: Path, data: Path = Path("out/03/data"), run: Path = Path("out/05"),
    out: Path = Path("out/12"), frames: int = 24, epochs: int = 12, level: float = 0.05, jsd_max: str = "0.15",
) -> None:  # fmt: skip
    """Go around once.

    Args:
        photographs: New photographs.
        masks: Their classes, for the gate and the comparison.
        data: Dataset with the splits train_dr and val, as example 3 makes it.
        run: A training and its model.onnx, as example 5 makes them.
        out: Folder to write.
        frames: New frames.
        epochs: Passes over old and new frames.
        level: Of the test for drift.
        jsd_max: Largest divergence the gate accepts, as `regolith gate --jsd-max` takes it.
    """
    old, model = data / "train_dr", run / "model.onnx"
    drift = step(out / "drift/drift.json", "drift", old, photographs, "--model", model, "--level", level,
                 "--out", out / "drift", checks=True)  # fmt: skip
    if not drift["alert"]:
        print("nothing drifted: the model is kept")
        return
    step(out / "tail/tail.json", "tail", old, "--by", "error", "--model", model, "--buckets", 2, "--out", out / "tail")
    regolith(["generate", "--request", f"{out / 'tail/request.json'}", "--frames", f"{frames}", "--out", f"{out}"])
    gate = step(out / "gate/gate.json", "gate", out / "train_dr", "--real", photographs, "--masks", masks,
                "--jsd-max", jsd_max, "--out", out / "gate", checks=True)  # fmt: skip
    if gate["verdict"] == "reject":
        sys.exit(1)
    step(out / "mix.json", "mix", "--synth", f"{old},{out / 'train_dr'}", "--real", data / "val", "--ratio", "100:0",
         "--stratify", "", "--out", out / "mix.json")  # fmt: skip
    step(out / "run/summary.json", "train", "--train-split", out / "mix.json", "--val-split", data / "val",
         "--arch", "efficientnet-lite0", "--logits-stride", 2, "--init", run / "run/best.pt", "--epochs", epochs,
         "--out", out / "run")  # fmt: skip
    step(out / "model.onnx", "export-model", out / "run/best.pt", "--out", out / "model.onnx")
    scores = {
        name: step(out / name / "results.json", "evaluate", "real", "--images", photographs, "--masks", masks,
                   "--model", path, "--out", out / name)["rock"]["iou"] or 0.0
        for name, path in {"before": model, "after": out / "model.onnx"}.items()
    }  # fmt: skip
    print(", ".join(f"rock-IoU {name} {score:.3f}" for name, score in scores.items()))
    figure = Figure(figsize=(4, 2.5), layout="constrained")
    figure.add_subplot(ylabel="rock-IoU on the photographs", ylim=(0, 1)).bar(list(scores), list(scores.values()))
    figure.savefig(out / "picture.png", dpi=90)
    print(out / "picture.png")


if __name__ == "__main__":
    tyro.cli(main)
