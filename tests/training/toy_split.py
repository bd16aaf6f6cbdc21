"""A tiny split drawn with numpy: bright discs on grey ground under black sky."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import append_records
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.labels import REGOLITH, ROCK, SKY
from regolith.lunar.params import Params, change_params
from regolith.lunar.stage.spec import rng


def draw_frame(seed: int, index: int, size: tuple[int, int], *, sky: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return picture uint8 [H, W, 3] and mask uint8 [H, W]."""
    height, width = size
    random = rng(seed, "toy", index)
    y, x = np.mgrid[:height, :width]
    mask = np.full(size, REGOLITH, np.uint8)
    if sky:
        mask[: height // 4] = SKY
    for _ in range(4):
        cx, cy = random.uniform(0, width), random.uniform(height * 0.35, height)
        disc = (x - cx) ** 2 + (y - cy) ** 2 < random.uniform(3, height / 7) ** 2
        mask[disc & (mask != SKY)] = ROCK
    level = np.array([80.0, 170.0, 2.0])[mask] + random.normal(0, 8, size)
    rgb = np.repeat(np.clip(level, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return rgb, mask


def write_split(
    split: Path,
    frames: int,
    *,
    size: tuple[int, int] = (32, 32),
    seed: int = 0,
    sky: bool = True,
    strength: float | None = 1.0,
) -> Path:
    """Write a split of the dataset layout and return its folder; without a strength of randomization, an import."""
    for folder in ("rgb", "mask"):
        (split / folder).mkdir(parents=True)
    for i in range(frames):
        rgb, mask = draw_frame(seed, i, size, sky=sky)
        spec = {"sun_elevation_deg": 5.0 + 10 * (i % 4)}
        append_records(split, [write_frame(split, i, {"rgb": rgb, "mask": mask}, seed=i, spec=spec)])
    height, width = size
    made = {"split": "val", "frames": frames, "width": width, "height": height}
    if strength is None:
        contract = Contract.of_import(**made)
    else:
        params = change_params(Params(), {"randomize.strength": strength})
        contract = Contract.of(params, seed=seed, renderer={}, **made)
    contract.write(split)
    return split
