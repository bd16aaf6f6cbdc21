"""Benchmark of inference: ms per frame of PyTorch eager, the exported model and its variants, side by side in one run.

    python benchmarks/bench_inference.py [--json FILE] [--sizes 256 384 512] [--threads 2] [--calibrate SPLIT]

The models take turns at one frame each, and a ratio is the median over the turns, so that a machine others work on
disturbs all alike; the CPU time beside the wall time tells how much of it was waiting. With more work than cores the
threads of PyTorch wait for each other, and only the CPU time of --threads 1 says something. Between turns it rests
until the threads of the last one have stopped spinning. PyTorch runs the network of `training.networks` in float32
inference mode; its weights are random unless --checkpoint names a run's, which changes no time. int8 is measured where
a model of that name is shipped, or made for this run with --calibrate. CUDA rows appear where both runtimes have it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_rows import finish, row, say_load

from regolith.lunar.perception.model_files import find_model, shipped_models
from regolith.lunar.perception.session import Segmenter
from regolith.lunar.stage.spec import rng
from training.checkpoint import read_checkpoint
from training.export import compare, file_fields
from training.networks import build_network, load_network
from training.networks.base import SegmentationNetwork
from training.variants import write_int8

EAGER_DEMAND = 1.5
INT8_DEMAND = 1.3
REST_S = 0.02
EAGER = "PyTorch eager"

Infer = Callable[[np.ndarray], object]


def eager(model: SegmentationNetwork, device: str) -> Infer:
    """Return PyTorch's inference of one batch, back in host memory."""
    model = model.to(device)

    def infer(image: np.ndarray) -> object:
        with torch.inference_mode():
            return model(torch.from_numpy(image).to(device)).cpu()

    return infer


def measure(models: dict[str, Infer], size: int, turns: int) -> dict[str, np.ndarray]:
    """Return wall and CPU time [ms] of every turn, float [turns, 2], by model."""
    image = rng(0, "bench", size).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for turn in range(turns + 2):
        for name, infer in models.items():
            time.sleep(REST_S)
            wall, cpu = time.perf_counter(), time.process_time()
            infer(image)
            spent = (1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu))
            if turn >= 2:  # the first ones allocate and choose kernels
                times[name].append(spent)
    return {name: np.array(values) for name, values in times.items()}


def rows_of(models: dict[str, Infer], first: str, size: int, turns: int, device: str) -> list[dict[str, Any]]:
    """Return the rows of one size; `first` is the exported float32 model."""
    times = measure(models, size, turns)

    def ratio(slow: str, fast: str) -> tuple[float, str]:
        wall, cpu = np.median(times[slow] / times[fast], axis=0)
        return float(wall), f"{wall:.2f} x, in CPU time {cpu:.2f} x"

    rows = []
    for name, spent in times.items():
        wall, cpu = np.median(spent, axis=0)
        low, high = np.percentile(spent[:, 0], (10, 90))
        words = f"{wall:.1f} ms ({low:.1f} … {high:.1f}), CPU time {cpu:.1f} ms"
        rows.append(row(f"{name}, {size} px, {device}", "", words, None))
    gain, words = ratio(EAGER, first)
    met = gain >= EAGER_DEMAND if device == "cpu" else None
    rows.append(row(f"  {first} against {EAGER}", f">= {EAGER_DEMAND} x" if met is not None else "", words, met))
    for name in models:
        if name not in (EAGER, first):
            gain, words = ratio(first, name)
            demanded = name in shipped_models() and name.endswith("-int8") and device == "cpu"  # else it is left out
            demand = f">= {INT8_DEMAND} x" if demanded else ""
            rows.append(row(f"  {name} against {first}", demand, words,
                            gain >= INT8_DEMAND if demanded else None))  # fmt: skip
    return rows


def main() -> int:
    """Run every measurement, print the table, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--model", default="default", help="exported model, a file or the name of a shipped one")
    parser.add_argument("--checkpoint", type=Path, help="best.pt the model was exported from: checks that both agree")
    parser.add_argument("--arch", default="segformer-b0", help="network PyTorch runs where no checkpoint is given")
    parser.add_argument("--logits-stride", type=int, default=4, help="stride of its logits")
    parser.add_argument("--calibrate", type=Path, help="split to make int8 with, where none is shipped")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 384, 512])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    load = say_load()
    file = find_model(options.model)
    network = (
        load_network(read_checkpoint(options.checkpoint))
        if options.checkpoint
        else build_network(options.arch, "random", logits_stride=options.logits_stride)[0]
    )
    network.eval()
    if options.checkpoint:
        compare(network, file)
    files = {name: path for name, path in shipped_models().items() if name.startswith(f"{file.stem}-")}
    with tempfile.TemporaryDirectory(prefix="regolith-bench-") as folder:
        if options.calibrate:
            made = Path(folder) / f"{file.stem}-int8 (made).onnx"
            write_int8(file, made, options.calibrate)
            card = json.loads(file.with_suffix(".json").read_text("utf-8"))
            card |= file_fields(made, made.read_bytes())
            made.with_suffix(".json").write_text(json.dumps(card), "utf-8")
            files[made.stem] = made
        rows = []
        for cuda in (False, True):
            device = "cuda" if cuda else "cpu"
            sessions = {
                name: Segmenter(path, threads=options.threads, cuda=cuda)
                for name, path in {file.stem: file, **files}.items()
            }
            if cuda and not (torch.cuda.is_available() and sessions[file.stem].provider.startswith("CUDA")):
                rows.append(row("CUDA", "", "not here: onnxruntime or PyTorch has no CUDA device", None))
                break
            models = {EAGER: eager(network, device), **{name: s.logits for name, s in sessions.items()}}
            for size in options.sizes:
                rows += rows_of(models, file.stem, size, options.turns, device)
    return finish(rows, load, options.json)


if __name__ == "__main__":
    sys.exit(main())
