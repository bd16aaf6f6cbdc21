"""A small split with every output, written from arrays by the same code as a generated one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import FrameRecord, append_records, read_journal, write_journal
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.labels import IGNORE, ROCK, SKY
from regolith.lunar.params import Params, load_preset
from regolith.lunar.randomize import draw_values, scene_number
from regolith.lunar.stage.lens import Lens
from regolith.lunar.stage.spec import FrameSpec, rng
from regolith.lunar.stage.stereo import baseline_m, disparity

SIZE = 32
OUTPUTS = [
    "rgb", "mask", "depth", "normals", "instance", "right", "disparity", "shadow", "crater", "slope", "hazard",
]  # fmt: skip
BASE = load_preset("v3")
PARAMS: Params = BASE.model_copy(
    update={
        "camera": BASE.camera.model_copy(update={"baseline_m": 0.3}),
        "dataset": BASE.dataset.model_copy(update=dict.fromkeys(OUTPUTS[2:], True)),
    }
)


def spec(index: int, *, split: str = "val", params: Params = PARAMS) -> FrameSpec:
    """Draw the values of a frame; its camera is nowhere in particular."""
    values = draw_values(params, 0, split, index)
    seed = int(rng(0, split, "frame", index, "seed").integers(2**62))
    return FrameSpec(
        split, index, scene_number(params, index), seed, camera_x_m=0.0, camera_y_m=0.0, camera_z_m=2.0, values=values
    )


def seen_apart(depth: np.ndarray, drawn: FrameSpec) -> np.ndarray:
    """Disparity of a frame of `PARAMS` with that depth."""
    k1, k2 = drawn["lens_k1"], drawn["lens_k2"]
    return disparity(depth, Lens.from_fov(drawn["fov_deg"], *depth.shape[::-1], k1=k1, k2=k2), baseline_m(PARAMS))


def arrays(index: int, outputs: Sequence[str] = OUTPUTS) -> dict[str, np.ndarray]:
    """Random outputs of one frame that agree with each other; another index gives another picture."""
    draw = np.random.default_rng(index)
    mask = draw.choice(np.array([0, 1, 2, 255], np.uint8), (SIZE, SIZE))
    normals = draw.normal(size=(SIZE, SIZE, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    found = {
        "rgb": draw.integers(0, 256, (SIZE, SIZE, 3), np.uint8),
        "mask": mask,
        "depth": np.where(mask == SKY, np.inf, 1 + draw.random((SIZE, SIZE))).astype(np.float32),
        "normals": np.where(mask[..., None] == SKY, 0, normals),
        "instance": np.where(mask == ROCK, draw.integers(1, 65536, (SIZE, SIZE)), 0).astype(np.uint16),
        "right": draw.integers(0, 256, (SIZE, SIZE, 3), np.uint8),
    }
    found["disparity"] = seen_apart(found["depth"], spec(index))
    unseen, slope = (mask == SKY) | (mask == IGNORE), 30 * draw.random(mask.shape, np.float32)
    hazard = (slope > 15) + 2 * draw.integers(0, 2, mask.shape)
    found["shadow"] = np.where(unseen, IGNORE, draw.integers(0, 3, mask.shape)).astype(np.uint8)
    found["crater"] = np.where(unseen, 0, draw.integers(0, 65536, mask.shape)).astype(np.uint16)
    found["slope"] = np.where(unseen, np.float32(np.nan), slope)
    found["hazard"] = np.where(unseen, IGNORE, hazard).astype(np.uint8)
    return {name: found[name] for name in outputs}


def write(split: Path, index: int, outputs: Sequence[str] = OUTPUTS, **changes: Any) -> FrameRecord:
    """Write one frame, with changes to its arrays, and return its journal line."""
    drawn, pixels = spec(index), arrays(index, outputs) | changes
    if "disparity" in pixels and "disparity" not in changes:
        with np.errstate(all="ignore"):  # a changed depth may be none
            pixels["disparity"] = seen_apart(pixels["depth"], drawn)
    return write_frame(split, index, pixels, seed=drawn.seed, spec=drawn.to_dict())


def write_split(folder: Path, frames: int = 3, *, split: str = "val", params: Params = PARAMS) -> Path:
    """Write a whole split; its pictures are none of another split's."""
    contract = Contract.of(
        params, split=split, frames=frames, seed=0, width=SIZE, height=SIZE, renderer={"name": "arrays"}
    )
    folder.mkdir(parents=True, exist_ok=True)
    contract.write(folder)
    records = {}
    for index in range(frames):
        drawn = spec(index, split=split, params=params)
        pixels = arrays(sum(split.encode()) * 1000 + index, contract.outputs)
        if "disparity" in pixels:
            pixels["disparity"] = seen_apart(pixels["depth"], drawn)
        records[index] = write_frame(folder, index, pixels, seed=drawn.seed, spec=drawn.to_dict())
    write_journal(folder, records)
    return folder


def redraw(split: Path, index: int) -> None:
    """Draw a frame anew, with another picture."""
    records = read_journal(split)
    records[index] = write(split, index, rgb=np.zeros((SIZE, SIZE, 3), np.uint8))
    write_journal(split, records)


def grow(split: Path) -> None:
    """Let a split of four frames have a fifth."""
    append_records(split, [write(split, 4)])
    contract = Contract.read(split).to_dict()
    Contract.from_dict(contract | {"frames": 5}).write(split)
