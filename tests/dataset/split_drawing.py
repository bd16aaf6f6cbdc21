"""A split small enough to draw dozens of times: what the generation tests share."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.survey import OURS
from regolith.lunar.params import Params, load_preset

FRAMES = 5
BASE = load_preset("v1")
PARAMS: Params = BASE.model_copy(
    update={
        "camera": BASE.camera.model_copy(update={"baseline_m": 0.3}),
        "dataset": BASE.dataset.model_copy(
            update={"frames_per_scene": 2, "depth": True, "instance": True, "right": True, "disparity": True}
        ),
        "terrain": BASE.terrain.model_copy(update={"cell_m": 0.4}),
        "rocks": BASE.rocks.model_copy(update={"diameter_min_m": 0.3}),
    }
)
"""Few rocks on a coarse ground: a scene takes a third of the time of the preset's."""
ARGS: dict[str, Any] = {"split": "val", "frames": FRAMES, "width": 64, "height": 48, "seed": 5}


def draw(out: Path, params: Params = PARAMS, **changes: Any) -> dict[str, Any]:
    """Generate the test split in this process, with changes."""
    return generate(params, out, **{"executor": "in-process", **ARGS, **changes})


def digest(folder: Path) -> dict[str, str]:
    """Hash of every file that belongs to a split."""
    beside = OURS - {"dataset.json", "frames.jsonl"}
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path): hashlib.sha256((folder / path).read_bytes()).hexdigest()
        for path in files
        if path.parts[0] not in beside
    }


def command(out: Path, *more: str) -> list[str]:
    """Command line that generates the test split; its parameter file lies beside the folder."""
    params = out.with_suffix(".params.json")
    params.write_text(json.dumps(PARAMS.model_dump(mode="json")))
    return [sys.executable, "-m", "regolith.lunar.cli", "generate", "--params", str(params), "--split", "val",
            "--frames", str(FRAMES), "--size", "64x48", "--seed", "5", "--out", str(out), *more]  # fmt: skip
