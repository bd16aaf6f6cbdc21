"""Small splits and folders of photographs with a texture for each class."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import append_records
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.labels import ROCK, SKY
from regolith.lunar.panel.verb_rows import ROWS
from regolith.lunar.params import Params, change_params, load_preset
from regolith.lunar.perception.model_files import find_model
from regolith.lunar.randomize import draw_values, frame_seed, scene_number
from regolith.lunar.stage.spec import FrameSpec, rng

SAYS = {row.key: row.describe for row in ROWS}
"""Verb to what says its result in a line."""
PARAMS = change_params(load_preset("v3"), {"dataset.frames_per_scene": 1})


def draw(seed: int, size: tuple[int, int], *, grain: float = 20, rock: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture uint8 [H, W, 3] and its classes uint8 [H, W]: dark sky, grainy ground, one bright square."""
    random = rng(seed, "quality", 0)
    height, width = size
    classes = np.zeros(size, np.uint8)
    classes[: height // 4] = SKY
    if rock:
        top, left = int(random.integers(height // 4, height // 2)), int(random.integers(0, width // 2))
        classes[top : top + height // 2, left : left + height // 2] = ROCK
    grey = np.choose(classes, (90.0, 170.0, 6.0)) + random.normal(0, grain, size) * (classes != SKY)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2), classes


def write_set(
    folder: Path, frames: int, *, seed: int = 0, grain: float = 20, rock: bool = True, scenes: int | None = None
) -> Path:
    """Write a split of 64 × 64 px; frame i is of scene i % scenes, or of its own where there are no scenes."""
    for i in range(frames):
        rgb, classes = draw(1000 * seed + i, (64, 64), grain=grain, rock=rock)
        spec = {} if scenes is None else {"scene": i % scenes}
        append_records(folder, [write_frame(folder, i, {"rgb": rgb, "mask": classes}, seed=i, spec=spec)])
    Contract.of(Params(), split="val", frames=frames, seed=0, width=64, height=64, renderer={}).write(folder)
    return folder


def write_drawn(folder: Path, frames: int, grain: Callable[[FrameSpec], float], *, params: Params = PARAMS) -> Path:
    """Write a split of 64 × 64 px whose frames have drawn values, and a grain that follows from them."""
    for i in range(frames):
        values = draw_values(params, 0, "val", i)
        spec = FrameSpec("val", i, scene_number(params, i), frame_seed(0, "val", i), 0.0, 0.0, 2.0, values)
        rgb, classes = draw(7000 + i, (64, 64), grain=grain(spec))
        append_records(
            folder, [write_frame(folder, i, {"rgb": rgb, "mask": classes}, seed=spec.seed, spec=spec.to_dict())]
        )
    Contract.of(params, split="val", frames=frames, seed=0, width=64, height=64, renderer={"name": "arrays"}).write(
        folder
    )
    return folder


def photo_folder(
    folder: Path, count: int, *, size: tuple[int, int] = (64, 64), seed: int = 9, grain: float = 20
) -> tuple[Path, Path]:
    """Write photographs and their masks; return both folders."""
    images, masks = folder / "images", folder / "masks"
    images.mkdir(parents=True)
    masks.mkdir()
    for i in range(count):
        rgb, classes = draw(1000 * seed + i, size, grain=grain)
        Image.fromarray(rgb).save(images / f"picture{i}.png")
        Image.fromarray(classes).save(masks / f"picture{i}.png")
    return images, masks


def one_view(folder: Path) -> Path:
    """Copy the default model with a card that looks at photographs once, at 64 px."""
    folder.mkdir(exist_ok=True)
    model = Path(shutil.copy(find_model("default"), folder / "one_view.onnx"))
    card = json.loads(find_model("default").with_suffix(".json").read_text("utf-8"))
    model.with_suffix(".json").write_text(json.dumps(card | {"photo_px": 64, "photo_tta": "none"}))
    return model
