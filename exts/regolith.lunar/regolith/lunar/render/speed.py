"""Seconds a small picture takes on each back end that works here: `python -m regolith.lunar.render.speed`.

A process of its own, for a back end that does not work may take its process along. Prints one JSON object:
{renderer, seconds}: what the chosen renderer says of itself, and back end to seconds per picture.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from regolith.lunar.params import Interval, Params, load_preset
from regolith.lunar.render import open_renderer
from regolith.lunar.render.backend import choose_backend

SIZE = 160
"""Side of the picture [px]: large enough that samples take longer than launches."""


def bare_ground() -> Params:
    """Parameters of the least stage: smooth ground in coarse cells, no rocks."""
    base = load_preset("v1")
    return base.model_copy(
        update={
            "terrain": base.terrain.model_copy(update={"cell_m": 0.5}),
            "relief": base.relief.model_copy(update={"enabled": False}),
            "rocks": base.rocks.model_copy(update={"abundance": Interval(0.0)}),
        }
    )


def measure_speed() -> dict[str, Any]:
    """Draw the least stage on the back end that `auto` chooses here, and on the scalar one."""
    from regolith.lunar.randomize import draw_frame, draw_scene, narrowed
    from regolith.lunar.stage.author import author_stage, build_scene
    from regolith.lunar.stage.edit import apply_frame

    chosen = choose_backend()  # before the stage, so that Dr.Jit finds its LLVM
    params = bare_ground()
    scene = build_scene(narrowed(params, "val"), draw_scene(params, 0, "val", 0))
    stage = author_stage(scene)
    apply_frame(stage, params, draw_frame(params, 0, "val", 0, scene), SIZE, SIZE)
    renderers: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for backend in dict.fromkeys((chosen, "scalar")):
        with contextlib.closing(open_renderer(backend)) as renderer:
            renderers[backend] = renderer.describe()
            renderer.load(stage)
            times: list[float] = []
            for _ in range(2):  # the first also compiles the kernel
                started = time.perf_counter()
                renderer.render(SIZE, SIZE)
                times.append(time.perf_counter() - started)
            seconds[backend] = min(times)
    return {"renderer": renderers[chosen], "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(measure_speed()))
