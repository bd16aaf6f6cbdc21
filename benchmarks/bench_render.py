"""Benchmark of the embedded renderer: every target as demanded, measured, ok.

    python benchmarks/bench_render.py [--json FILE] [--quick] [--rows GROUP …] [--cycles PYTHON] [--embree PROGRAM]

Scenes are built with the product's own parameters and saved as USD; every measurement runs in a process of its own
that opens that file, so that load time, memory and thread counts are honest. Rows that need something not at hand
(Blender's `bpy`, a C++ Embree loop) say so and count as not measured.

`--cycles PYTHON` names an interpreter that can import `bpy` (default: this one). `--embree PROGRAM` names a program
that takes `vertices.f32 faces.u32 camera.json` and prints milliseconds per 4-sample frame (primary and shadow rays,
no shading).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from bench_render_scenes import SIZE, scene_params
from bench_rows import finish, row, say_load
from PIL import Image

from regolith.lunar.labels import SKY
from regolith.lunar.render.backend import PROBED_VARIABLE
from regolith.lunar.stage.spec import FrameSpec, SceneSpec

FRAMES = 12
SCENES = ("S512", "S1024", "RICH")
ROWS = ("speed", "repeat", "oracle", "quality", "cycles", "embree")


def build(name: str, folder: Path) -> None:
    """Author a scene as USD, with the frames every measurement draws."""
    from regolith.lunar.randomize import draw_frame
    from regolith.lunar.stage.author import author_stage, build_scene
    from regolith.lunar.stage.save import save_stage

    params, abundance = scene_params(name)
    scene = build_scene(
        params, SceneSpec(seed=1, crater_density=0.5, rock_abundance=abundance, rock_exponent=1.6, relief_strength=1.0)
    )
    save_stage(author_stage(scene), folder / f"{name}.usdc")
    frames = [draw_frame(params, 7, "train_dr", index, scene).to_dict() for index in range(24)]
    (folder / f"{name}.json").write_text(json.dumps({"frames": frames, "rocks": len(scene.rocks)}))


class Bench:
    """One scene opened in this process."""

    def __init__(self, name: str, folder: Path, *, backend: str = "llvm", threads: int | None = None) -> None:
        from pxr import Usd

        from regolith.lunar.render.mitsuba import MitsubaRenderer

        self.params, _ = scene_params(name)
        facts = json.loads((folder / f"{name}.json").read_text())
        self.rocks = facts["rocks"]
        self.frames = [FrameSpec.from_dict(frame) for frame in facts["frames"]]
        self.renderer = MitsubaRenderer(backend, threads=threads)
        start = time.perf_counter()
        self.stage = Usd.Stage.Open(str(folder / f"{name}.usdc"))
        self.renderer.load(self.stage)
        self.load_s = time.perf_counter() - start

    def aim(self, number: int, width: int = SIZE, height: int = SIZE) -> None:
        """Move camera, sun and materials to a frame."""
        from regolith.lunar.stage.edit import apply_frame

        apply_frame(self.stage, self.params, self.frames[number % len(self.frames)], width, height)

    def median_ms(self, draw: Callable[[], Any], width: int, height: int, count: int = FRAMES) -> float:
        """Median time of `draw`, everything changed between frames [ms]."""
        draw()
        spent = []
        for number in range(count):
            start = time.perf_counter()
            self.aim(number, width, height)
            draw()
            spent.append(time.perf_counter() - start)
        return 1e3 * float(np.median(spent))

    def preview_ms(self, width: int, height: int) -> float:
        """Median time from a moved camera to a preview picture [ms]."""
        return self.median_ms(lambda: self.renderer.preview(width, height), width, height)

    def draft_ms(self, samples: int, count: int) -> float:
        """Median time of a labelled frame in direct light [ms]."""
        return self.median_ms(
            lambda: self.renderer.render(SIZE, SIZE, quality="draft", samples=samples), SIZE, SIZE, count
        )

    def frames_per_s(self, folder: Path, quality: str, *, outputs: bool) -> float:
        """Frames/s end to end: aim, render, and files written by one background thread."""
        options: dict[str, Any] = {"quality": quality}
        if outputs:
            options["outputs"] = frozenset(["depth", "instance"])
        self.renderer.render(SIZE, SIZE, **options)
        with ThreadPoolExecutor(max_workers=1) as writer:
            pending: list[Future[None]] = []
            start = time.perf_counter()
            for number in range(FRAMES):
                self.aim(number)
                frame = self.renderer.render(SIZE, SIZE, **options)
                pending.append(writer.submit(_write, frame, folder / f"{number:03d}"))
            for each in pending:
                each.result()
            return FRAMES / (time.perf_counter() - start)


def _write(frame: Any, stem: Path) -> None:
    Image.fromarray(frame.rgb).save(f"{stem}_rgb.png", compress_level=1)
    if frame.instance is not None:
        Image.fromarray(frame.instance).save(f"{stem}_id.png", compress_level=1)
        np.save(f"{stem}_depth.npy", frame.depth.astype(np.float16))
    else:
        Image.fromarray(frame.mask).save(f"{stem}_mask.png", compress_level=1)


def _rss_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return 10 * math.log10(255**2 / max(error, 1e-9))


# Measurements: each runs in its own process and returns plain values ------------------------------------------------


def measure_speed(name: str, folder: Path) -> dict[str, Any]:
    """Load time, memory, frames/s and preview latency."""
    bench = Bench(name, folder)
    out: dict[str, Any] = {"load_s": bench.load_s, "rocks": bench.rocks, "triangles": bench.renderer.triangles}
    out["default_fps"] = bench.frames_per_s(folder, "default", outputs=True)
    out["draft_fps"] = bench.frames_per_s(folder, "draft", outputs=False)
    out["preview_480_ms"] = bench.preview_ms(480, 360)
    out["preview_320_ms"] = bench.preview_ms(320, 240)
    out["rss_gb"] = _rss_gb()
    return out


def measure_scaling(name: str, folder: Path, *, threads: int) -> dict[str, Any]:
    """Milliseconds of a direct-light frame, and a digest of images and labels, at a number of threads."""
    bench = Bench(name, folder, threads=threads)
    digest = hashlib.sha256()
    for number in (0, 1, 0):
        bench.aim(number, 256, 256)
        frame = bench.renderer.render(256, 256, outputs=frozenset(["depth", "instance", "normals"]))
        if number == 1:
            continue
        digest.update(b"".join(x.tobytes() for x in (frame.rgb, frame.mask, frame.depth, frame.instance, frame.normals)
                               if x is not None))  # fmt: skip
        one = digest.hexdigest()
        digest = hashlib.sha256()
    return {"ms": bench.draft_ms(16, 6), "digest": one}


def measure_quality(name: str, folder: Path, *, views: int, size: int, samples: int) -> dict[str, Any]:
    """PSNR of the default setting against the own converged one-bounce picture, sensor noise off [dB]."""
    from regolith.lunar.stage import schema

    bench = Bench(name, folder)
    values = []
    for number in range(views):
        bench.aim(number, size, size)
        bench.stage.GetAttributeAtPath(f"{schema.CAMERA}.{schema.SENSOR}fullWell").Set(0.0)
        default = bench.renderer.render(size, size).rgb
        seed = bench.stage.GetAttributeAtPath(f"{schema.CAMERA}.{schema.SENSOR}noiseSeed")
        seed.Set(seed.Get() ^ 0x5555)
        reference = bench.renderer.render(size, size, quality="reference", samples=samples).rgb
        values.append(_psnr(default, reference))
    return {"mean": float(np.mean(values)), "worst": float(np.min(values)), "values": values}


def measure_first_frame(name: str, folder: Path) -> dict[str, Any]:
    """Render one frame; the caller times the whole process."""
    bench = Bench(name, folder)
    bench.aim(0)
    frame = bench.renderer.render(SIZE, SIZE)
    return {"pixels": int(frame.mask.size)}


def measure_alignment(name: str, folder: Path, *, views: int = 8) -> dict[str, Any]:
    """Pixels whose label or instance differs between the kernel and Mitsuba's stock pass through the pixel centres."""
    from bench_render_stock import StockPass

    from regolith.lunar.render.compile import compile_stage
    from regolith.lunar.render.view import read_view

    bench = Bench(name, folder)
    tables = compile_stage(bench.stage)
    stock = StockPass(tables)
    sky = other = total = 0
    for number in range(views):
        bench.aim(number)
        ours = bench.renderer.render(SIZE, SIZE, quality="draft", samples=1, outputs=frozenset(["instance"]))
        label, instance = stock.draw(read_view(bench.stage, tables.materials).camera, SIZE, SIZE)
        apart = (ours.mask == SKY) != (label == SKY)
        sky += int(apart.sum())
        other += int((((ours.mask != label) | (ours.instance != instance)) & ~apart).sum())
        total += label.size
    return {"sky": sky, "share": other / total, "pixels": total}


def measure_fallback(name: str, folder: Path) -> dict[str, Any]:
    """Frames/s of labelled draft frames without LLVM."""
    bench = Bench(name, folder, backend="scalar")
    return {"fps": 1e3 / bench.draft_ms(4, 4)}


MEASUREMENTS = {
    "speed": measure_speed,
    "scaling": measure_scaling,
    "quality": measure_quality,
    "first": measure_first_frame,
    "alignment": measure_alignment,
    "fallback": measure_fallback,
}


def child(measurement: str, scene: str, folder: Path, **options: int) -> dict[str, Any]:
    """Run a measurement in a fresh process."""
    words = [f"{key}={value}" for key, value in options.items()]
    command = [sys.executable, __file__, "--child", measurement, scene, str(folder), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def cold_start(folder: Path) -> float:
    """Seconds from starting a process to its first frame, kernels and LLVM's probe not cached."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            key: value for key, value in os.environ.items() if key not in ("XDG_CACHE_HOME", PROBED_VARIABLE)
        }
        environment["HOME"] = home
        start = time.perf_counter()
        subprocess.run([sys.executable, __file__, "--child", "first", "S512", str(folder)], env=environment,
                       stdout=subprocess.DEVNULL, check=True)  # fmt: skip
        return time.perf_counter() - start


# Rows --------------------------------------------------------------------------------------------------------------


def speed_rows(folder: Path) -> list[dict[str, Any]]:
    """Rows of frames/s, preview, load and memory."""
    plain, rich = child("speed", "S1024", folder), child("speed", "RICH", folder)
    facts = f"S1024: {plain['rocks']} rocks, {plain['triangles'] / 1e6:.2f} M triangles stored; "
    print(facts + f"RICH: {rich['rocks']} rocks, {rich['triangles'] / 1e6:.2f} M", flush=True)

    def pair(key: str, digits: int = 1) -> str:
        return f"{plain[key]:.{digits}f} / {rich[key]:.{digits}f}"

    return [
        row("512², 8 spp + bounce, RGB + instances + depth on disk, S1024", ">= 6 fps", f"{plain['default_fps']:.1f}",
             plain["default_fps"] >= 6),
        row("same, RICH (>= 5.5 M stored triangles)", ">= 4 fps", f"{rich['default_fps']:.1f}",
             rich["default_fps"] >= 4 and rich["triangles"] >= 5.5e6),
        row("512², 4 spp direct + labels, S1024", ">= 12 fps", f"{plain['draft_fps']:.1f}", plain["draft_fps"] >= 12),
        row("preview 480x360, 1 spp, median, S1024 / RICH", "<= 25 / 40 ms", pair("preview_480_ms"),
             plain["preview_480_ms"] <= 25 and rich["preview_480_ms"] <= 40),
        row("preview 320x240, S1024 / RICH", "<= 15 / 25 ms", pair("preview_320_ms"),
             plain["preview_320_ms"] <= 15 and rich["preview_320_ms"] <= 25),
        row("load + BVH from USD, S1024 / RICH", "<= 1.5 / 4 s", pair("load_s", 2),
             plain["load_s"] <= 1.5 and rich["load_s"] <= 4),
        row("memory per process, S1024 / RICH", "<= 1.0 / 2.0 GB", pair("rss_gb", 2),
             plain["rss_gb"] <= 1.0 and rich["rss_gb"] <= 2.0),
    ]  # fmt: skip


def repeat_rows(folder: Path) -> list[dict[str, Any]]:
    """Rows of start-up, scaling, repeatability and fallback."""
    cold = cold_start(folder)
    one, two, again = (child("scaling", "S512", folder, threads=n) for n in (1, 2, 2))
    gain, same = one["ms"] / two["ms"], len({one["digest"], two["digest"], again["digest"]}) == 1
    fallback = child("fallback", "S512", folder)
    return [
        row("new process -> first frame (S512), cold kernel cache", "<= 3 s", f"{cold:.2f} s", cold <= 3),
        row("scaling 1 -> 2 threads", ">= 1.7x", f"{gain:.2f}x", gain >= 1.7),
        row("repeat, process and thread count change", "bit-identical", "yes" if same else "no", same),
        row("fallback without LLVM, labelled 4 spp direct 512² (S512)", ">= 1 fps", f"{fallback['fps']:.2f}",
             fallback["fps"] >= 1),
    ]  # fmt: skip


def oracle_rows(folder: Path) -> list[dict[str, Any]]:
    """Row of agreement with the stock pass."""
    aligned = child("alignment", "S512", folder)
    return [
        row("mask alignment with the stock pixel-centre pass", "0 sky, <= 0.01 % others",
             f"{aligned['sky']} sky of {aligned['pixels'] / 1e6:.1f} M, {100 * aligned['share']:.4f} %",
             aligned["sky"] == 0 and aligned["share"] <= 1e-4),
    ]  # fmt: skip


def quality_rows(folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Row of the default setting's quality."""
    options = {"views": 3, "size": 256, "samples": 256} if quick else {"views": 8, "size": SIZE, "samples": 1024}
    found = child("quality", "RICH", folder, **options)
    text = f"{found['mean']:.1f} mean, {found['worst']:.1f} worst ({options['views']} views)"
    name = f"default quality, RICH, against own {options['samples']}-sample one-bounce reference"
    return [row(name, ">= 31 mean, >= 28 dB worst", text, found["mean"] >= 31 and found["worst"] >= 28)]


def main() -> int:
    """Run every measurement, print the table, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller views for the quality row")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="groups of rows to measure")
    parser.add_argument("--cycles", default=sys.executable, help="interpreter that can import bpy")
    parser.add_argument("--embree", help="C++ Embree loop to compare with")
    parser.add_argument("--keep", type=Path, help="keep the scenes in this folder")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measurement, scene, folder, *words = arguments.child
        options = {key: int(value) for key, value in (word.split("=") for word in words)}
        print(json.dumps(MEASUREMENTS[measurement](scene, Path(folder), **options)))
        return 0
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="regolith-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    load = say_load()
    try:
        for name in SCENES:
            build(name, folder)
        from bench_render_peers import cycles_rows, embree_rows

        samples = 256 if arguments.quick else 1024
        groups: dict[str, Callable[[], list[dict[str, Any]]]] = {
            "speed": lambda: speed_rows(folder),
            "repeat": lambda: repeat_rows(folder),
            "oracle": lambda: oracle_rows(folder),
            "quality": lambda: quality_rows(folder, arguments.quick),
            "cycles": lambda: cycles_rows(folder, arguments.cycles, reference=samples),
            "embree": lambda: embree_rows(folder, arguments.embree),
        }
        rows = [row for name in arguments.rows for row in groups[name]()]
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return finish(rows, load, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
