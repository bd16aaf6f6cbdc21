"""Comparison of the embedded renderer with Blender Cycles and with a bare Embree loop, on the same stage."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_render_scenes import SIZE, scene_params
from bench_rows import row

ALBEDO = {"Regolith": 0.12, "Rock": 0.15}
SUN_TURN_DEG = 3.0
"""Turn of the sun between timed frames."""


def lambert_stage(name: str, path: Path) -> Any:
    """Author a benchmark scene as plain meshes with Lambert surfaces; returns the stage, saved at `path`."""
    from regolith.lunar.randomize import draw_frame
    from regolith.lunar.stage import schema
    from regolith.lunar.stage.author import author_stage, build_scene
    from regolith.lunar.stage.edit import apply_frame
    from regolith.lunar.stage.save import save_stage
    from regolith.lunar.stage.spec import SceneSpec

    params, abundance = scene_params(name)
    scene = build_scene(
        params, SceneSpec(seed=1, crater_density=0.5, rock_abundance=abundance, rock_exponent=1.6, relief_strength=1.0)
    )
    stage = author_stage(scene, baked=True)
    apply_frame(stage, params, draw_frame(params, 7, "train_dr", 0, scene), SIZE, SIZE)
    for look, albedo in ALBEDO.items():
        values = {"model": "lambert", "albedo": albedo, "mottling": 0.0, "bump": 0.0}
        for key, value in values.items():
            stage.GetAttributeAtPath(f"{schema.LOOKS}/{look}.{schema.PHOTOMETRY}{key}").Set(value)
    save_stage(stage, path)
    return stage


def cycles(interpreter: str, usd: Path, jobs: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Render jobs with Cycles in a process of its own; None where bpy cannot be imported.

    A job is {samples, bounces, frames}; its result {ms, image}: the median time of the frames after the first, and
    the radiance of the first, float32, shape [SIZE, SIZE].
    """
    program = Path(__file__).with_name("cycles_oracle.py")
    if subprocess.run([interpreter, "-c", "import bpy"], capture_output=True, check=False).returncode:
        return None
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder, "task.json")
        task.write_text(json.dumps({"usd": str(usd), "size": SIZE, "albedo": ALBEDO, "turn": SUN_TURN_DEG,
                                    "threads": 2, "jobs": jobs, "folder": folder}))  # fmt: skip
        done = subprocess.run([interpreter, str(program), str(task)], capture_output=True, text=True, check=False)
        result = Path(folder, "result.json")
        if not result.exists():
            print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
            return None
        times = json.loads(result.read_text())
        return [{"ms": ms, "image": np.load(f"{folder}/{number}.npy")} for number, ms in enumerate(times)]


def _gamma(radiance: np.ndarray, white: float) -> np.ndarray:
    return np.clip(radiance / white, 0, 1) ** (1 / 2.2)


def psnr(a: np.ndarray, b: np.ndarray, white: float) -> float:
    """PSNR of two radiance pictures after gamma 2.2 [dB]."""
    return -10 * math.log10(max(float(np.mean((_gamma(a, white) - _gamma(b, white)) ** 2)), 1e-12))


def own(stage: Any, samples: list[int], reference: int) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Reference picture, and (ms, PSNR) of direct light at numbers of samples."""
    from pxr import Gf

    from regolith.lunar.render.mitsuba import MitsubaRenderer
    from regolith.lunar.stage import schema

    renderer = MitsubaRenderer("llvm", threads=2)
    renderer.load(stage)
    best = renderer.radiance(SIZE, SIZE, quality="draft", samples=reference)
    white = float(np.quantile(best, 0.995))
    sun = stage.GetAttributeAtPath(f"{schema.SUN}.xformOp:rotateXYZ")
    seed = stage.GetAttributeAtPath(f"{schema.CAMERA}.{schema.SENSOR}noiseSeed")
    seed.Set(99)
    found, start = [], Gf.Vec3f(sun.Get())
    for count in samples:
        quality = psnr(renderer.radiance(SIZE, SIZE, quality="draft", samples=count), best, white)
        spent = []
        for step in range(1, 8):
            sun.Set(start + Gf.Vec3f(0, 0, SUN_TURN_DEG * step))
            begin = time.perf_counter()
            renderer.radiance(SIZE, SIZE, quality="draft", samples=count)
            spent.append(1e3 * (time.perf_counter() - begin))
        sun.Set(start)
        found.append((float(np.median(spent)), quality))
    renderer.close()
    return best, found


def cycles_rows(folder: Path, interpreter: str, *, reference: int) -> list[dict[str, Any]]:
    """Rows of speed at equal PSNR and of agreement of the converged pictures."""
    names = ("speed ratio to Cycles at equal PSNR, S512 direct", "agreement with converged Cycles, S512 / RICH")
    demands = (">= 8x", ">= 32 / 35 dB")
    agreement, ratio, detail = [], 0.0, ""
    for name in ("S512", "RICH"):
        usd = folder / f"{name}_lambert.usdc"
        stage = lambert_stage(name, usd)
        counts = [4, 8, 16, 32, 64] if name == "S512" else []
        jobs = [{"samples": n, "bounces": 0, "frames": 4} for n in counts]
        theirs = cycles(interpreter, usd, [*jobs, {"samples": reference, "bounces": 0, "frames": 1}])
        if theirs is None:
            return [row(metric, demand, "bpy not at hand", None) for metric, demand in zip(names, demands, strict=True)]
        best, mine = own(stage, [4, 8, 16] if counts else [], reference)
        converged = theirs[-1]["image"]
        white = float(np.quantile(best, 0.995))
        agreement.append(psnr(best, converged, white))
        np.save(folder / f"{name}_own.npy", best)
        np.save(folder / f"{name}_cycles.npy", converged)
        if counts:
            quality = [psnr(one["image"], converged, white) for one in theirs[:-1]]
            spent = np.log([one["ms"] for one in theirs[:-1]])
            equal = [math.exp(np.interp(p, quality, spent)) / ms for ms, p in mine]
            ratio = float(np.exp(np.mean(np.log(equal))))
            detail = (
                ", ".join(f"{ms:.0f} ms {p:.1f} dB" for ms, p in mine)
                + " | "
                + ", ".join(f"{one['ms']:.0f} ms {p:.1f} dB" for one, p in zip(theirs, quality, strict=False))
            )
    print(f"own | Cycles: {detail}")
    return [
        row(names[0], demands[0], f"{ratio:.1f}x", ratio >= 8),
        row(names[1], demands[1], f"{agreement[0]:.1f} / {agreement[1]:.1f}",
             agreement[0] >= 32 and agreement[1] >= 35),
    ]  # fmt: skip


def embree_rows(folder: Path, program: str | None) -> list[dict[str, Any]]:
    """Row of the share of a bare Embree loop's speed."""
    name, demand = "share of the C++ Embree bound (S512 direct, no labels)", ">= 0.7"
    if program is None:
        return [row(name, demand, "C++ Embree loop not at hand", None)]
    from pxr import Usd

    from regolith.lunar.render.compile import compile_stage
    from regolith.lunar.render.tables import flatten, pack_scene
    from regolith.lunar.render.view import read_view

    path = folder / "S512_lambert.usdc"
    stage = Usd.Stage.Open(str(path)) if path.exists() else lambert_stage("S512", path)
    tables = compile_stage(stage)
    packed, view = pack_scene(tables), read_view(stage, tables.materials)
    points, faces, _ = flatten(tables, packed)
    points.astype(np.float32).tofile(folder / "vertices.f32")
    faces.astype(np.uint32).tofile(folder / "faces.u32")
    camera = {"origin": view.camera.origin.tolist(), "axes": view.camera.axes.tolist(), "tan_x": view.camera.tan_x,
              "sun": view.sun.direction.tolist(), "width": SIZE, "height": SIZE}  # fmt: skip
    (folder / "camera.json").write_text(json.dumps(camera))
    files = [str(folder / part) for part in ("vertices.f32", "faces.u32", "camera.json")]
    bound = float(subprocess.run([program, *files], stdout=subprocess.PIPE, text=True, check=True).stdout)
    _, mine = own(stage, [4], 16)
    return [row(name, demand, f"{bound / mine[0][0]:.2f}", bound / mine[0][0] >= 0.7)]
