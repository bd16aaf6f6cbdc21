"""Lunar stages, labelled frames and measured transfer for rover hazard perception.

From Python::

    import regolith.lunar as rl

    params = rl.change_params(rl.load_preset("v3"), {"rocks.abundance": 0.08})
    rl.generate(params, "data", split="train_dr", frames=64, width=256, height=256)
    for frame in rl.open_split("data/train_dr"):
        print(frame.index, frame.spec["sun_elevation_deg"], frame.rgb.shape, frame.mask.shape)

Every name of `__all__` is loaded when it is first used: importing this package loads neither numpy nor OpenUSD. The
verbs of the command line call the same functions.

Lengths are metres, angles degrees, azimuths anticlockwise from +X; the world is Z up. Pictures are arrays [H, W, …],
row 0 at the top. What cannot be used raises `InputError`, whose text is the command line's one line: field, value, what
is allowed.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regolith.lunar.api import apply_frame, build_scene, draw_frame, open_torch_split
    from regolith.lunar.dataset.export import export
    from regolith.lunar.dataset.generate import generate
    from regolith.lunar.dataset.split_reader import open_split
    from regolith.lunar.dataset.verify import verify
    from regolith.lunar.params.errors import CheckError, InputError
    from regolith.lunar.params.fields import Interval
    from regolith.lunar.params.io import change_params, load_params, load_preset, save_params
    from regolith.lunar.params.models import Params
    from regolith.lunar.perception.importing import import_split
    from regolith.lunar.perception.score_photos import evaluate_photos
    from regolith.lunar.perception.score_split import evaluate_split
    from regolith.lunar.perception.session import load_model
    from regolith.lunar.render import open_renderer
    from regolith.lunar.stage.author import author_stage
    from regolith.lunar.stage.save import save_stage
    from training.export import export_model
    from training.launch import train_model

__version__ = "0.2.0"

__all__ = [
    "CheckError",
    "InputError",
    "Interval",
    "Params",
    "apply_frame",
    "author_stage",
    "build_scene",
    "change_params",
    "draw_frame",
    "evaluate_photos",
    "evaluate_split",
    "export",
    "export_model",
    "generate",
    "import_split",
    "load_model",
    "load_params",
    "load_preset",
    "open_renderer",
    "open_split",
    "open_torch_split",
    "save_params",
    "save_stage",
    "train_model",
    "verify",
]

_MODULES = {
    "CheckError": "regolith.lunar.params.errors",
    "InputError": "regolith.lunar.params.errors",
    "Interval": "regolith.lunar.params.fields",
    "Params": "regolith.lunar.params.models",
    "apply_frame": "regolith.lunar.api",
    "author_stage": "regolith.lunar.stage.author",
    "build_scene": "regolith.lunar.api",
    "change_params": "regolith.lunar.params.io",
    "draw_frame": "regolith.lunar.api",
    "evaluate_photos": "regolith.lunar.perception.score_photos",
    "evaluate_split": "regolith.lunar.perception.score_split",
    "export": "regolith.lunar.dataset.export",
    "export_model": "training.export",
    "generate": "regolith.lunar.dataset.generate",
    "import_split": "regolith.lunar.perception.importing",
    "load_model": "regolith.lunar.perception.session",
    "load_params": "regolith.lunar.params.io",
    "load_preset": "regolith.lunar.params.io",
    "open_renderer": "regolith.lunar.render",
    "open_split": "regolith.lunar.dataset.split_reader",
    "open_torch_split": "regolith.lunar.api",
    "save_params": "regolith.lunar.params.io",
    "save_stage": "regolith.lunar.stage.save",
    "train_model": "training.launch",
    "verify": "regolith.lunar.dataset.verify",
}
"""Public name to the module that defines it (PEP 562); type checkers read the imports above."""

SILENCED = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime from 1.29 on
    "HF_HUB_DISABLE_TELEMETRY": "1",  # datasets, transformers
    "DISABLE_SAFETENSORS_CONVERSION": "1",  # transformers asks a service to convert weights it has loaded
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Variables by which packages that would tell their makers of their use are told not to; each reads its own when it is
imported, so they are set before any is, for our children too. What a user has set stays."""
for _name, _value in SILENCED.items():
    os.environ.setdefault(_name, _value)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
