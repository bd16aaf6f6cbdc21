"""What a renderer does to its process: kernels, other packages, the same bytes in every one."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pxr import Usd
from render_stage import aim_camera, aim_sun, make_stage

from regolith.lunar.render.mitsuba import MitsubaRenderer
from regolith.lunar.stage import schema

EVERYTHING: frozenset[str] = frozenset(["depth", "instance", "normals"])


def test_moving_light_camera_and_materials_compiles_nothing(fused: MitsubaRenderer, stage: Usd.Stage) -> None:
    """After a warm-up, frames with another sun, camera, size and albedo only reuse kernels."""
    fused.load(stage)
    for quality in ("draft", "default"):
        fused.render(64, 48, quality=quality)

    def move(step: int) -> None:
        aim_sun(stage, elevation=10.0 + 5 * step, azimuth=100.0 * step)
        aim_camera(stage, heading=50.0 * step, position=(0.1 * step, 0.2, 1.7), exposure=1.0 + step)
        stage.GetAttributeAtPath(f"{schema.LOOK_ROCK}.{schema.PHOTOMETRY}albedo").Set(0.1 + 0.05 * step)
        stage.GetAttributeAtPath(f"{schema.LOOK_GROUND}.{schema.PHOTOMETRY}bump").Set(0.1 * step)
        fused.render(64 + 16 * step, 48, quality="draft")
        fused.render(64, 48, quality="default")

    assert_reuses_kernels(move)


def test_bending_the_lens_compiles_nothing(fused: MitsubaRenderer, stage: Usd.Stage) -> None:
    """After a first bent frame, other coefficients only reuse its kernels."""
    fused.load(stage)
    aim_camera(stage, k1=-0.1)
    fused.render(64, 48, quality="default")

    def bend(step: int) -> None:
        aim_camera(stage, k1=-0.1 + 0.02 * step, k2=0.01 * step + 0.01, fov=50.0 + 2 * step)
        fused.render(64, 48, quality="default")

    assert_reuses_kernels(bend)


def assert_reuses_kernels(draw: Callable[[int], None]) -> None:
    """Drawing with other values compiles nothing in one of three rounds.

    Dr.Jit may now and then order equal operations another way and compile a twin; a kernel that held a value would be
    compiled in every round, since no round repeats another's values.
    """
    import drjit as dr

    missed: list[Any] = []
    for first in (0, 3, 6):
        with dr.scoped_set_flag(dr.JitFlag.KernelHistory, True):
            dr.kernel_history_clear()
            for step in range(first, first + 3):
                draw(step)
            launches = [k for k in dr.kernel_history() if k["type"] == dr.KernelType.JIT]
        assert launches
        missed = _missed(launches)
        if not missed:
            return
    raise AssertionError(missed)


def _missed(launches: list[Any]) -> list[Any]:
    """Kernels that were compiled, or loaded, for a launch."""
    return [(k["size"], k["operation_count"], k["cache_disk"]) for k in launches if not k["cache_hit"]]


_DIGEST = """
import sys, hashlib
sys.path.insert(0, {folder!r})
from render_stage import make_stage
from regolith.lunar.render import open_renderer
from regolith.lunar.render.mitsuba import MitsubaRenderer
renderer = MitsubaRenderer({backend!r}, threads={threads})
renderer.load(make_stage(model="hapke", bump=0.5))
frame = renderer.render(96, 64, quality="default", outputs=frozenset(["depth", "instance", "normals"]))
print(hashlib.sha256(b"".join(x.tobytes() for x in (
      frame.rgb, frame.mask, frame.depth, frame.instance, frame.normals)))
      .hexdigest())
renderer = open_renderer({backend!r})
renderer.load(make_stage())
renderer.render(32, 24)
import pyoidn
from importlib.util import find_spec
print("torch" in sys.modules, find_spec("torch") is not None)
"""


@pytest.fixture(scope="module", params=["llvm", "scalar"])
def drawn(request: pytest.FixtureRequest) -> tuple[Any, list[list[str]]]:
    """A back end, and what two fresh processes with one and two threads print of the frames they draw with it."""
    printed = []
    for threads in (1, 2):
        code = _DIGEST.format(folder=str(Path(__file__).parent), backend=request.param, threads=threads)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        printed.append(done.stdout.split())
    return request.param, printed


def test_a_default_frame_leaves_torch_out_of_the_process(drawn: tuple[Any, list[list[str]]]) -> None:
    """`pyoidn` would import it; afterwards it can still be found by who wants it."""
    assert [words[1:] for words in drawn[1]] == [["False", "True"]] * 2


def test_frames_are_byte_identical_across_processes_and_threads(drawn: tuple[Any, list[list[str]]]) -> None:
    """Two fresh processes with one and two threads, and this process: the same bytes."""
    backend, printed = drawn
    digests = {words[0] for words in printed}
    renderer = MitsubaRenderer(backend)
    renderer.load(make_stage(model="hapke", bump=0.5))
    renderer.render(64, 32, quality="draft")
    frame = renderer.render(96, 64, quality="default", outputs=EVERYTHING)
    parts = (frame.rgb, frame.mask, frame.depth, frame.instance, frame.normals)
    digests.add(hashlib.sha256(b"".join(x.tobytes() for x in parts if x is not None)).hexdigest())
    assert len(digests) == 1
