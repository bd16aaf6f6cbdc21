"""What the steps of a check look with: the stage they draw, pictures, and what the app, the GPU and an export hold."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.files import write_bytes
from regolith.lunar.params import Params, load_preset
from regolith.lunar.rtx_check.checklist import Context, StepFailed

if TYPE_CHECKING:
    import numpy as np
    from pxr import Usd

    from regolith.lunar.render.replicator import ReplicatorRenderer
    from regolith.lunar.stage.spec import FrameSpec

SPLIT, SEED, FRAMES = "val", 1, 3
"""Split, seed and frames of the exports."""
BASELINE_M = 0.3
"""Baseline of the stereo pair [m]."""
SHOWN = ("/app/viewport/grid/enabled", "/app/viewport/outline/enabled")
"""Settings that Replicator changes while it runs, beside those that rendering sets."""


def check_params() -> Params:
    """Parameters of the scenes: preset v1 with every output, in scenes of two frames."""
    base = load_preset("v1")
    outputs = dict.fromkeys(("depth", "normals", "instance", "right", "disparity"), True)
    camera = base.camera.model_copy(update={"baseline_m": BASELINE_M})
    dataset = base.dataset.model_copy(update={"frames_per_scene": 2, **outputs})
    return base.model_copy(update={"camera": camera, "dataset": dataset})


def author(context: Context) -> tuple[Usd.Stage, FrameSpec]:
    """The stage that is drawn and the frame it is, built where they are not there yet; touches nothing of the app."""
    if context.scene is None or context.spec is None:
        from regolith.lunar.dataset.chunk import author_scene
        from regolith.lunar.randomize import draw_frame
        from regolith.lunar.stage.edit import apply_frame

        scene, stage = author_scene(context.params, seed=SEED, split=SPLIT, number=0, baked=True)
        context.spec = draw_frame(context.params, SEED, SPLIT, 0, scene)
        apply_frame(stage, context.params, context.spec, context.size, context.size)
        context.scene = stage
    return context.scene, context.spec


@contextlib.asynccontextmanager
async def drawing(context: Context, **options: Any) -> AsyncIterator[tuple[ReplicatorRenderer, Usd.Stage]]:
    """A renderer with the stage loaded, closed afterwards.

    Args:
        context: Whose stage it is.
        options: Of `ReplicatorRenderer`.

    Yields:
        The renderer, and the stage as it is open in the app.
    """
    from regolith.lunar.render.base import closed_after
    from regolith.lunar.render.replicator import ReplicatorRenderer

    renderer = ReplicatorRenderer(**options)
    async with closed_after(renderer):
        stage, _ = await renderer.aside(lambda: author(context))
        yield renderer, await renderer.load_async(stage)


def save_picture(path: Path, rgb: np.ndarray) -> None:
    """Write a picture, uint8 [H, W, 3], as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())


def read_gpus() -> list[dict[str, Any]]:
    """GPUs by the word of NVIDIA's driver: name, driver, used_mib, total_mib.

    Raises:
        StepFailed: `nvidia-smi` is not there, or does not answer.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        raise StepFailed("nvidia-smi is not on the path: no driver of NVIDIA's, or a container without its tools")
    query = ["--query-gpu=name,driver_version,memory.used,memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run([program, *query], capture_output=True, text=True, check=False, timeout=10.0)
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
    if done.returncode or not rows or any(len(row) != 4 for row in rows):
        raise StepFailed(f"nvidia-smi: {done.stdout} {done.stderr}")
    return [
        {"name": name, "driver": driver, "used_mib": _whole(used), "total_mib": _whole(total)}
        for name, driver, used, total in rows
    ]


def _whole(text: str) -> int | None:
    """A number of nvidia-smi, None where it has none: `[N/A]`."""
    return int(text) if text.isdigit() else None


def shining_lights(stage: Usd.Stage) -> list[str]:
    """Paths of the lights that are not hidden."""
    from pxr import UsdGeom, UsdLux

    lights = [prim for prim in stage.Traverse() if UsdLux.LightAPI(prim)]
    return [str(p.GetPath()) for p in lights if UsdGeom.Imageable(p).ComputeVisibility() != "invisible"]


def watched_settings() -> dict[str, Any]:
    """Settings that rendering or Replicator changes, as they are now."""
    import carb.settings  # type: ignore[import-not-found]

    from regolith.lunar.render import rtx
    from regolith.lunar.render.replicator import PATH_TRACING

    settings = carb.settings.get_settings()
    return {path: settings.get(path) for path in (*rtx.capture_settings(), *PATH_TRACING, *SHOWN)}


def exported_masks(context: Context, name: str) -> list[np.ndarray]:
    """Masks of an export, each uint8 [H, W].

    Raises:
        StepFailed: There are not as many as were asked for.
    """
    from regolith.lunar.dataset.outputs import OUTPUTS

    paths = [context.scratch / name / SPLIT / OUTPUTS["mask"].file_name(index) for index in range(FRAMES)]
    there = [path for path in paths if path.is_file()]
    if len(there) != FRAMES:
        raise StepFailed(f"the export left {len(there)} of {FRAMES} masks")
    return [OUTPUTS["mask"].decode(path.read_bytes()) for path in paths]
