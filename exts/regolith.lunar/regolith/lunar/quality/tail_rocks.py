"""Rocks one by one, by what makes them easy or hard to see: apparent size, distance, the sun's elevation, contrast."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy

from regolith.lunar.dataset.formats.source import components
from regolith.lunar.dataset.split_reader import StoredFrame
from regolith.lunar.labels import REGOLITH, ROCK
from regolith.lunar.perception.rocks import NEIGHBOURS, match_rocks
from regolith.lunar.stage.colour import LUMINANCE

VARIABLES = ("size", "distance_m", "sun_elevation_deg", "contrast")
"""What rocks are sorted by. Size is the equivalent diameter √(4·area/π) of the rock's region as a share of the
picture's width; distance the median of its depth; contrast Weber's, |rock − ground| / ground, of mean luminance as
displayed, the ground being the regolith within a quarter of the diameter, and at least `RING_PX`."""
RING_PX = 2
LEAST_PX = 4.0
"""Equivalent diameter from which a region counts [px]: smaller ones are noise of the labels as much as rocks."""

Predict = Callable[[np.ndarray], np.ndarray]
"""Picture uint8 [H, W, 3] to classes uint8 [H, W]."""


@dataclasses.dataclass(frozen=True)
class Rocks:
    """The rocks of some frames, in order."""

    frame: np.ndarray
    """Position of each rock's frame among those looked at, int64 [n]."""
    box: np.ndarray
    """Rows and columns of its region, first and past the last: int64 [n, 4] [px]."""
    values: dict[str, np.ndarray]
    """Variable to its value of each rock, float64 [n]; NaN where it is not known."""
    iou: np.ndarray
    """IoU with the predicted rock that fits best, float64 [n]; NaN without a model."""

    def __len__(self) -> int:
        return len(self.frame)


def collect_rocks(frames: Sequence[StoredFrame], predict: Predict | None = None) -> Iterator[Rocks]:
    """Yield the rocks of each frame.

    Args:
        frames: The frames, read one by one.
        predict: A model; None for none.

    Raises:
        InputError: A file is not as it was written.
    """
    for position, frame in enumerate(frames):
        rgb, mask = frame.rgb, frame.mask
        found = measure_rocks(rgb, mask, frame.depth, frame.spec.get("sun_elevation_deg"))
        iou = match_rocks(mask, predict(rgb)).iou if predict is not None else np.full(found["all"], np.nan)
        kept = found["kept"]
        yield Rocks(
            np.full(int(kept.sum()), position),
            found["box"][kept],
            {name: found[name][kept] for name in VARIABLES},
            iou[kept],
        )


def joined(parts: Sequence[Rocks]) -> Rocks:
    """Put the rocks of several frames together."""
    return Rocks(
        np.concatenate([part.frame for part in parts]),
        np.concatenate([part.box for part in parts]),
        {name: np.concatenate([part.values[name] for part in parts]) for name in VARIABLES},
        np.concatenate([part.iou for part in parts]),
    )


def measure_rocks(
    rgb: np.ndarray, mask: np.ndarray, depth: np.ndarray | None, sun_elevation_deg: object
) -> dict[str, Any]:
    """Measure every rock region of a picture.

    Args:
        rgb: uint8 [H, W, 3].
        mask: Classes uint8 [H, W].
        depth: Distance [m] [H, W]; None where not known.
        sun_elevation_deg: A number; anything else for not known.

    Returns:
        `all`, how many regions; `kept`, whether each counts, bool [all]; `box` as in `Rocks` [all, 4]; and each of
        `VARIABLES`, float64 [all].
    """
    numbers, count = components(mask == ROCK)
    light = rgb.astype(np.float32) @ LUMINANCE.astype(np.float32)
    boxes = np.zeros((count, 4), np.int64)
    values = {name: np.full(count, np.nan) for name in VARIABLES}
    area = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    diameter = np.sqrt(4 * area / math.pi)
    values["size"][:] = diameter / mask.shape[1]
    if isinstance(sun_elevation_deg, int | float) and not isinstance(sun_elevation_deg, bool):
        values["sun_elevation_deg"][:] = sun_elevation_deg
    kept = diameter >= LEAST_PX
    for k, box in enumerate(scipy.ndimage.find_objects(numbers)):
        boxes[k] = box[0].start, box[0].stop, box[1].start, box[1].stop
        if not kept[k]:
            continue
        reach = max(RING_PX, round(diameter[k] / 4))
        near = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)
        rock = numbers[near] == k + 1
        ring = scipy.ndimage.binary_dilation(rock, NEIGHBOURS, iterations=reach) & (mask[near] == REGOLITH)
        ground = float(light[near][ring].mean()) if ring.any() else 0.0
        if ground > 0:
            values["contrast"][k] = abs(float(light[near][rock].mean()) - ground) / ground
        if depth is not None:
            values["distance_m"][k] = float(np.median(depth[near][rock]))
    return {"all": count, "kept": kept, "box": boxes} | values
