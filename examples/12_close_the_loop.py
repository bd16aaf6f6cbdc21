"""From new photographs that look unlike what a model knows to a model that has seen more of what it fails on.

- drift → tail → generate → gate → mix → train → compare, each a call whose result is a file
- stopped, the same command goes on: steps that are done stay, drawing and training resume; other inputs are refused
- it ends early where nothing drifted, and with exit code 1 where the new frames are more unlike than --jsd-max

    python examples/12_close_the_loop.py --data out/03/data --run out/05 --photographs DIR --masks DIR --out out/12
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import tyro

import regolith.lunar as rl
from regolith.lunar.dataset.request import read_request
from regolith.lunar.files import file_digest, write_json
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
    """Go around once, from photographs of one size and their masks; at least 8 where the frames are of two scenes."""
    old, val, model, known = data / "train_dr", data / "val", run / "model.onnx", out / "drift.json"
    found = [sorted(folder.iterdir()) for folder in (photographs, masks, old, run)]
    inputs = [frames, *([file_digest(path) for path in paths if path.is_file()] for paths in found)]
    out.mkdir(parents=True, exist_ok=True)
    if step(out / "inputs.json", lambda: write_json(out / "inputs.json", {"of": inputs}))["of"] != inputs:
        raise rl.InputError("out", str(out), "a folder begun with these files and frames, or a new one")
    if not step(known, lambda: write_json(known, measure_drift(old, photographs, model=model)))["alert"]:
        print("nothing drifted: the model is kept")
        return
    own = partial(rl.import_split, photographs, masks, out, classes="regolith=0,rock=1,sky=2,ignore=255", split="new")
    step(out / "new/dataset.json", own)
    find = partial(find_tail, old, out / "tail", real=out / "new", by="error", model=model, buckets=2, frames=frames)
    if step(out / "tail/tail.json", find)["request"] is None:
        raise SystemExit(f"nothing tells which frames would help ({out / 'tail/tail.html'})")
    asked = read_request(out / "tail/request.json")
    rl.generate(asked.parameters(), out, split=asked.split, frames=asked.frames, width=asked.size[0],
                height=asked.size[1], seed=asked.seed, executor="in-process")  # fmt: skip
    verdict = out / f"gate-{jsd_max}"
    judge = partial(gate, out / asked.split, photographs, masks=masks, jsd_max={"regolith": jsd_max}, out=verdict,
                    require=("semantics",))  # fmt: skip # photographs have no points
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
    try:
        tyro.cli(main)
    except (rl.InputError, OSError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
