"""Benchmark of training: frames/s, time spent waiting for frames and checking their hashes, memory against the guard's.

    python benchmarks/bench_train.py [--json FILE] [--train-split DIR] [--size 256] [--frames 48] [--batch 8]
                                     [--threads 1] [--epochs 2] [--rows NAME …]

Every row is a run of `training.train` in a process of its own, from random weights; its last epoch is measured. Without
a split, frames of preset v3 are generated first. `recipe` cuts, magnifies and changes every frame and adds all losses;
`from disk` is the same with nothing kept in memory. Hashing is the
CPU time of sha256 over every file an epoch reads, as a share of that epoch: once a run where frames stay in memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench_rows import finish, say_load

from regolith.lunar.params.training import TrainParams

RECIPE: dict[str, Any] = {
    "scale": [0.7, 2], "rock_bias": 0.5, "photo_gamma": [0.6, 1.7], "photo_contrast": [0.6, 1.5],
    "photo_brightness": [-0.1, 0.15], "photo_tint": [0, 0.1], "photo_gray": 0.3, "photo_vignette": [0, 0.6],
    "photo_blur_px": [0, 1.5], "photo_noise": [0, 0.05], "photo_jpeg": [30, 95], "loss_dice": 0.5,
    "loss_lovasz": 0.5, "ema_decay": 0.99, "grad_clip": 1.0,
}  # fmt: skip
ROWS: dict[str, dict[str, Any]] = {
    "float32": {"amp": "off"},
    "bf16": {"amp": "bf16"},
    "recipe": {"amp": "bf16"} | RECIPE,
    "from disk": {"amp": "bf16"} | RECIPE,
}
WAITING = 0.05
"""Largest share of the time that may go by waiting for frames."""
HASHING = 0.03
"""Largest share of an epoch that hashing its files may be."""
SCRIPT = """
import hashlib, json, resource, sys, time
from pathlib import Path
import training.data
if sys.argv[2] == "disk":
    training.data.MEMORY_SHARE = 0.0
from regolith.lunar.params.training import load_train_params
from training.train import TrainingRun
run = TrainingRun(load_train_params(Path(sys.argv[1])), lambda event: None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
while not run.finished:
    run.train_epoch(lambda: False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run.close_epoch(lambda: False)
row = run.history[-1]
need = run.memory.of(run.micro_batch)
files = [s.data(kind, r) for s, r in map(run.data.record, range(len(run.data))) for kind in ("rgb", "mask")]
began = time.process_time()
for data in files:
    hashlib.sha256(data).digest()
hashing = (time.process_time() - began) / row["seconds"]
print(json.dumps({"frames_per_s": row["frames_per_s"], "waiting_share": row["waiting_share"],
                  "peak": 1024 * peak, "grown": 1024 * (peak - before), "need": need, "hashing_share": hashing}))
"""


def generate(folder: Path, options: argparse.Namespace) -> Path:
    """Generate the frames to train on with the command line and return their split."""
    command = [sys.executable, "-m", "regolith.lunar.cli", "generate", "--preset", "v3", "--split", "train_dr",
               "--frames", str(options.frames), "--size", str(options.size), "--workers", "1",
               "--out", str(folder)]  # fmt: skip
    subprocess.run(command, check=True)
    return folder / "train_dr"


def run(name: str, split: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train and return what the row measured."""
    fields = {
        "train_split": str(split), "val_split": str(split), "out": str(folder / "run"), "init": "random",
        "epochs": options.epochs, "batch": options.batch, "threads": options.threads, "workers": options.workers,
    }  # fmt: skip
    changes = ROWS[name] | ({"crop_px": options.crop or options.size} if "scale" in ROWS[name] else {})
    config = folder / "config.json"
    config.write_text(json.dumps(fields | changes))
    TrainParams.model_validate(fields | changes)
    command = [sys.executable, "-c", SCRIPT, str(config), "disk" if name == "from disk" else "memory"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Run the rows asked for; 1 where the loader is waited for too long or the guard foresaw too little."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--train-split", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--crop", type=int, help="side of the crops of the recipe rows; left out, the frames' size")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS))
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    load = say_load()
    print(f"{options.threads} threads, batch {options.batch}")
    with tempfile.TemporaryDirectory() as name:
        split = options.train_split or generate(Path(name) / "data", options)
        for row in options.rows:
            with tempfile.TemporaryDirectory() as out:
                got = run(row, split, Path(out), options)
            ok = got["waiting_share"] <= WAITING and got["grown"] <= got["need"] and got["hashing_share"] <= HASHING
            rows.append({"name": row, "ok": ok} | got)
            print(
                f"{row:<10} {got['frames_per_s']:6.2f} frames/s  waiting {100 * got['waiting_share']:5.2f} % "
                f"(<= {100 * WAITING:.0f})  hashing {100 * got['hashing_share']:5.2f} % "
                f"(<= {100 * HASHING:.0f})  peak {got['peak'] / 1e9:.2f} GB, steps {got['grown'] / 1e9:.2f} "
                f"of {got['need'] / 1e9:.2f} GB foreseen  {'ok' if ok else 'NOT MET'}",
                flush=True,
            )
    return finish(rows, load, options.json)


if __name__ == "__main__":
    sys.exit(main())
