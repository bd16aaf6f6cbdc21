"""Benchmark of the generator: frames/s end to end, where the time goes, scaling, memory, resume, PNG levels.

    python benchmarks/bench_generate.py [--json FILE] [--size 512] [--frames 120] [--preset v3] [--rows GROUP …]

Every row runs the command line as a user would. Scaling compares one worker held to one core with two workers on two.
The share outside the renderer is that of the workers' wall time (their own logs) in which they neither load a scene
into the renderer nor render: start, building scenes, aiming, waiting for the writer. Encoding and writing go on beside
that, in threads; the row after it counts their seconds as well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from bench_rows import finish, row, say_load
from PIL import Image

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import write_journal
from regolith.lunar.dataset.outputs import OUTPUTS, PNG_LEVEL
from regolith.lunar.dataset.survey import LOG
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.params import load_preset
from regolith.lunar.randomize import draw_values

ROWS = ("speed", "resume", "png")
RENDERER = ("load", "render")
WRITER = ("encode", "write")
RESUMED = 10_000


def run(out: Path, options: argparse.Namespace, *, workers: int, cores: int) -> tuple[float, list[dict[str, Any]]]:
    """Generate a split with the command line; returns seconds and the log of its chunks."""
    available = sorted(os.sched_getaffinity(0))[:cores]
    command = [sys.executable, "-m", "regolith.lunar.cli", "generate", "--preset", options.preset,
               "--split", "train_dr", "--frames", str(options.frames), "--size", str(options.size),
               "--workers", str(workers), "--out", str(out), "--events"]  # fmt: skip
    started = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, available)
    )
    seconds = time.perf_counter() - started
    return seconds, [json.loads(line) for line in (out / "train_dr" / LOG).read_text().splitlines()]


def speed_rows(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of two workers on two cores, and one on one."""
    two, log = run(folder / "two", options, workers=2, cores=2)
    one, _ = run(folder / "one", options, workers=1, cores=1)
    stages = {stage: sum(chunk["seconds"][stage] for chunk in log) for stage in log[0]["seconds"]}
    within = sum(stages[stage] for stage in RENDERER)
    wall = sum(seconds for stage, seconds in stages.items() if stage not in WRITER)
    share = 1.0 - within / wall
    peak = max(chunk["peak_rss"] for chunk in log) / 1e9
    what = f"{options.preset}, {options.frames} frames, {options.size} px, rgb + mask"
    each = ", ".join(f"{stage} {1000 * seconds / options.frames:.0f}" for stage, seconds in stages.items())
    return [
        row(f"2 workers, {what}", "", f"{options.frames / two:.2f} frames/s", None),
        row("wall time outside the renderer", "<= 15 %", f"{100 * share:.1f} %", share <= 0.15),
        row("the same, the writer's threads counted", "", f"{100 - 100 * within / sum(stages.values()):.1f} %", None),
        row("ms a frame and worker", "", each, None),
        row("1 worker on 1 core -> 2 on 2", ">= 1.7 x", f"{one / two:.2f} x", one / two >= 1.7),
        row("memory a worker, peak", "", f"{peak:.2f} GB", None),
    ]


def resume_rows(folder: Path) -> list[dict[str, Any]]:
    """Row of a finished split of 10,000 simulated small frames."""
    params = load_preset("v1")
    split = folder / "train_dr"
    contract = Contract.of(
        params, split="train_dr", frames=RESUMED, seed=0, width=16, height=16, renderer={"name": "simulated"}
    )
    split.mkdir(parents=True)
    contract.write(split)

    def write(index: int) -> Any:
        pixels = np.random.default_rng(index).integers(0, 255, (16, 16, 3), np.uint8)
        spec = {"split": "train_dr", "index": index, **draw_values(params, 0, "train_dr", index)}
        arrays = {"rgb": pixels, "mask": pixels[..., 0] % 3}
        return write_frame(split, index, arrays, seed=index, spec=spec)

    with ThreadPoolExecutor(4) as pool:
        write_journal(split, {record.index: record for record in pool.map(write, range(RESUMED))})
    command = [sys.executable, "-m", "regolith.lunar.cli", "generate", "--preset", "v1", "--split", "train_dr",
               "--frames", str(RESUMED), "--size", "16", "--out", str(folder), "--events"]  # fmt: skip
    times: list[float] = []
    for more in ([], ["--verify"]):
        started = time.perf_counter()
        done = subprocess.run([*command, *more], check=True, capture_output=True, text=True)
        times.append(time.perf_counter() - started)
        assert f'"done":{RESUMED},"total":{RESUMED}' in done.stdout, done.stdout
    return [
        row(
            f"resume of a finished split of {RESUMED} frames, whole command",
            "< 5 s",
            f"{times[0]:.2f} s",
            times[0] < 5.0,
        ),
        row("the same with --verify (every file read)", "", f"{times[1]:.2f} s", None),
    ]


def png_rows(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of zlib levels: time and size of frames already drawn."""
    pictures = sorted((folder / "two" / "train_dr" / "rgb").glob("*.png"))[::4]
    arrays = [np.asarray(Image.open(path)) for path in pictures]
    if not arrays:
        return []
    rows = []
    for level in (0, 1, 2, 3, 4, 6, 9):
        started = time.perf_counter()
        size = sum(len(OUTPUTS["rgb"].encode(array, level=level)) for array in arrays)
        each = (time.perf_counter() - started) / len(arrays)
        chosen = " (used)" if level == PNG_LEVEL else ""
        rows.append(row(f"PNG level {level}{chosen}, rgb {options.size} px", "",
                        f"{1000 * each:.1f} ms, {size / len(arrays) / 1e3:.0f} kB", None))  # fmt: skip
    return rows


def main() -> int:
    """Run every measurement, print the table, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--preset", default="v3")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="groups of rows to measure")
    options = parser.parse_args()
    load = say_load()
    folder = Path(tempfile.mkdtemp(prefix="regolith-bench-"))
    try:
        rows = speed_rows(folder, options) if "speed" in options.rows else []
        rows += resume_rows(folder / "resume") if "resume" in options.rows else []
        rows += png_rows(folder, options) if "png" in options.rows else []
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return finish(rows, load, options.json)


if __name__ == "__main__":
    sys.exit(main())
