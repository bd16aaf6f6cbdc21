"""Splits with rocks of every awkward shape, written from arrays by the same code as a generated one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage
from small_split import spec

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import append_records
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.labels import IGNORE, ROCK, SKY
from regolith.lunar.params import load_preset

WIDTH, HEIGHT = 150, 110
EXTRAS = ("depth", "normals", "instance", "right", "disparity", "shadow", "crater", "slope", "hazard")


def rocky(seed: int) -> dict[str, np.ndarray]:
    """All outputs of one frame: rocks that touch, hide each other, have holes, lie in pieces, at borders."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rocks = np.zeros((HEIGHT, WIDTH), np.int64)
    for _ in range(14):
        cx, cy, r = draw.uniform(0, WIDTH), draw.uniform(30, HEIGHT), draw.uniform(1, 22)
        rocks[np.hypot((x - cx) / draw.uniform(0.8, 2), y - cy) < r] = draw.integers(1, 65536)
    holes = ndimage.gaussian_filter(draw.normal(size=rocks.shape), 1.5) > 0.25
    rocks[holes & (x > WIDTH / 2)] = 0
    rocks[100, 3], rocks[101, 4], rocks[109, 149] = 65535, 65535, 300  # touching at a corner; in the last pixel
    sky = y < 20 + 4 * np.sin(x / 9)
    mask = np.where(sky, SKY, np.where(rocks > 0, ROCK, 0)).astype(np.uint8)
    mask[HEIGHT - 12 :, 60:90] = IGNORE
    normals = draw.normal(size=(HEIGHT, WIDTH, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    unseen = (mask == SKY) | (mask == IGNORE)
    return {
        "rgb": draw.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
        "mask": mask,
        "depth": np.where(sky, np.inf, 2 + draw.random(sky.shape)).astype(np.float32),
        "normals": np.where(sky[..., None], 0, normals),
        "instance": np.where(mask == ROCK, rocks, 0).astype(np.uint16),
        "right": draw.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
        "disparity": np.where(sky, 0.0, 9 + draw.random(sky.shape)).astype(np.float32),
        "shadow": np.where(unseen, IGNORE, draw.integers(0, 3, sky.shape)).astype(np.uint8),
        "crater": np.where(unseen, 0, draw.integers(0, 65536, sky.shape)).astype(np.uint16),
        "slope": np.where(unseen, np.nan, 40 * draw.random(sky.shape)).astype(np.float32),
        "hazard": np.where(unseen, IGNORE, draw.integers(0, 4, sky.shape)).astype(np.uint8),
    }


def write_rocky(
    folder: Path, frames: int, *, seed: int, extras: tuple[str, ...] = EXTRAS
) -> list[dict[str, np.ndarray]]:
    """Write a split and return what is in its frames."""
    params = load_preset("v1")
    switches = params.dataset.model_copy(update=dict.fromkeys(extras, True))
    contract = Contract.of(
        params.model_copy(update={"dataset": switches}), split=folder.name, frames=frames, seed=0, width=WIDTH,
        height=HEIGHT, renderer={"name": "arrays"},
    )  # fmt: skip
    folder.mkdir(parents=True)
    contract.write(folder)
    written = []
    for index in range(frames):
        arrays = {name: array for name, array in rocky(seed + index).items() if name in contract.outputs}
        drawn = spec(index, split="val")
        append_records(folder, [write_frame(folder, index, arrays, seed=drawn.seed, spec=drawn.to_dict())])
        written.append(arrays)
    return written


def rock_sets(numbers: np.ndarray) -> set[bytes]:
    """The rocks of a frame as sets of pixels, whatever their numbers are."""
    return {np.packbits(numbers == number).tobytes() for number in np.unique(numbers[numbers > 0])}
