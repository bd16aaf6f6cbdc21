"""From new photographs that look unlike what a model knows to a model that has seen more of what it fails on.

- drift → tail → generate → gate → mix → train → compare, each a call whose result is a file
- stopped, the same command goes on: steps that are done stay, drawing and training resume
- it ends early where nothing drifted, and with exit code 1 where the new frames are more unlike than --jsd-max

    python examples/12_close_the_loop.py --data out/03/data --run out/05 --photographs DIR --masks DIR --out out/12
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import tyro

import regolith.lunar as rl
from regolith.lunar.dataset.request import read_request
from regolith.lunar.files import write_json
from regolith.lunar.params.training import TrainParams
from regolith.lunar.quality.drift import measure_drift
from regolith.lunar.quality.gate_judge import gate
from regolith.lunar.quality.mix import Mix
from regolith.lunar.quality.tail import find_tail
from training.train import train


def step(result: Path, make: Callable[[], object]) -> dict[str, Any]:
    """Take a step unless its result is there, and return that."""
    if not result.is_file():
        print(result)
        make()
    return json.loads(result.read_text("utf-8"))


def main(photographs: Path, masks: Path, data: Path = Path("out/03/data"), run: Path = Path("out/05"),
         out: Path = Path("out/12"), frames: int = 24, epochs: int = 12, jsd_max: float = 0.15) -> None:  # fmt: skip
    """Go around once.

    Args:
        photographs: New photographs, at least 8 where the frames are of two scenes.
        masks: Folder of their masks.
        data: Dataset with the splits train_dr and val, as example 3 makes it.
        run: A training and its model.onnx, as example 5 makes them.
        out: Folder to write.
        frames: New frames.
        epochs: Passes over old and new frames.
        jsd_max: Largest divergence of the ground that the gate accepts.
    """
    old, val, model, known = data / "train_dr", data / "val", run / "model.onnx", out / "drift.json"
    out.mkdir(parents=True, exist_ok=True)
    if not step(known, lambda: write_json(known, measure_drift(old, photographs, model=model)))["alert"]:
        print("nothing drifted: the model is kept")
        return
    find = partial(find_tail, old, out / "tail", by="error", model=model, buckets=2, frames=frames)
    step(out / "tail/tail.json", find)
    asked = read_request(out / "tail/request.json")
    rl.generate(asked.parameters(), out, split=asked.split, frames=asked.frames, width=asked.size[0],
                height=asked.size[1], seed=asked.seed, executor="in-process")  # fmt: skip
    verdict = out / f"gate-{jsd_max}"
    judge = partial(gate, out / asked.split, photographs, masks=masks, jsd_max={"regolith": jsd_max}, out=verdict)
    if (judged := step(verdict / "gate.json", judge))["verdict"] == "reject":
        raise SystemExit(f"rejected: {'; '.join(judged['reasons'])} ({verdict})")
    mix = Mix(synth=Path(f"{old},{out / asked.split}"), real=val, ratio="100:0", stratify="", out=out / "mix.json")
    step(mix.out, mix.run)
    recipe = TrainParams(train_split=mix.out, val_split=val, out=out / "run", init=f"{run}/run/best.pt",
                         arch="efficientnet-lite0", epochs=epochs, class_weight_power=0.5)  # fmt: skip
    step(out / "run/summary.json", lambda: train(recipe, lambda event: None))
    step(out / "model.json", lambda: rl.export_model(out / "run/best.pt", out / "model.onnx"))
    for name, path in {"before": model, "after": out / "model.onnx"}.items():
        look = partial(rl.evaluate_photos, photographs, model=path, masks=masks, out=out / name)
        print(f"rock-IoU {name} {step(out / name / 'results.json', look)['rock']['iou'] or 0.0:.3f}")
    print(out / "after/contact_sheet.png")


if __name__ == "__main__":
    tyro.cli(main)
