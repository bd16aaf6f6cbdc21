"""A tiny split drawn with numpy: bright discs on grey ground under black sky."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from regolith.lunar.dataset.generate import make_contract
from regolith.lunar.dataset.layout import CONTRACT, JOURNAL, FrameRecord, file_name
from regolith.lunar.files import write_json
from regolith.lunar.labels import CLASSES, REGOLITH, ROCK, SKY
from regolith.lunar.params import Params
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


def write_split(split: Path, frames: int, *, size: tuple[int, int] = (32, 32), seed: int = 0, sky: bool = True) -> Path:
    """Write a split of the dataset layout and return its folder."""
    for folder in ("rgb", "mask"):
        (split / folder).mkdir(parents=True)
    lines = []
    for i in range(frames):
        rgb, mask = draw_frame(seed, i, size, sky=sky)
        hashes = {}
        for name, array in (("rgb", rgb), ("mask", mask)):
            path = split / file_name(name, i)
            Image.fromarray(array).save(path)
            hashes[file_name(name, i)] = hashlib.sha256(path.read_bytes()).hexdigest()
        counts = {name: int((mask == value).sum()) for name, value in CLASSES.items()} | {"ignore": 0}
        spec = {"sun_elevation_deg": 5.0 + 10 * (i % 4)}
        lines.append(FrameRecord(i, i, spec, hashes, counts).to_line() + "\n")
    (split / JOURNAL).write_text("".join(lines))
    height, width = size
    contract = make_contract(Params(), split="val", seed=seed, width=width, height=height, renderer={})
    write_json(split / CONTRACT, contract)
    return split
