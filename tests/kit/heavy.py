"""Enable the extension on a kernel of its own and author a stage: neither torch nor Mitsuba may be loaded by it."""

import sys
import tempfile
from pathlib import Path

import conftest

kit = conftest.Kit(Path(tempfile.mkdtemp()))
try:
    kit.enable("regolith.lunar")
    kit.screen.frames(5)
    from regolith.lunar.params import load_preset
    from regolith.lunar.randomize import draw_scene
    from regolith.lunar.stage.author import author_stage, build_scene

    params = load_preset("v1")
    author_stage(build_scene(params, draw_scene(params, 0, "train_dr", 0)), baked=True)
    found = {"torch", "mitsuba", "drjit", "onnxruntime", "viser", "transformers", "matplotlib"} & set(sys.modules)
    loaded_by_double = {"mitsuba", "drjit"} if "omni.replicator.core._picture" in sys.modules else set()
    assert not found - loaded_by_double, found
    kit.disable("regolith.lunar")
finally:
    kit.close()
