"""Measure a split for its card: class shares, rock sizes, brightness, values drawn, redraws and timings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from regolith.lunar.dataset.formats.source import Source, components
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.survey import read_log
from regolith.lunar.labels import NAMES, ROCK
from regolith.lunar.machine import cores
from regolith.lunar.params import Params
from regolith.lunar.randomize.draws import Draws
from regolith.lunar.randomize.show import draw_scenes, tabulate

MEASURED = 2000
"""Most frames whose pixels are read, evenly spread over the split."""
WRITER_STAGES = ("encode", "write")
"""Stages of `generate.log.jsonl` that run in threads beside the drawing."""


@dataclasses.dataclass(frozen=True)
class Pixels:
    """What the pictures and masks of a split hold."""

    frames: int
    """Frames that were read."""
    regions: np.ndarray
    """Pixels of every rock region of every frame, int64, shape [N]."""
    by_instance: bool
    """Whether a region is a rock by its instance id, else a connected patch of rock pixels."""
    brightness: np.ndarray
    """Pixels by class (row, `labels.NAMES`) and 8-bit grey value (column), int64, shape [3, 256]."""


@dataclasses.dataclass(frozen=True)
class Timings:
    """What drawing took, from the generator's log."""

    frames: int
    """Frames the log knows of."""
    seconds: dict[str, float]
    """Stage to its total [s]."""
    peak_rss: int
    """Most memory a worker held [bytes], 0 where the log does not say."""
    hosts: int

    @property
    def drawing_s(self) -> float:
        """Time of the drawing threads; the writer's run beside them [s]."""
        return sum(value for stage, value in self.seconds.items() if stage not in WRITER_STAGES)


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` of the numbers below `count`, evenly spread."""
    return sorted({round(number) for number in np.linspace(0, count - 1, min(count, most))}) if count else []


def measure_pixels(source: Source, *, progress: Callable[[int, int], None]) -> Pixels:
    """Read pictures and masks in threads; rocks are told apart by the instance output where there is one.

    Args:
        source: The split.
        progress: Receives frames read, and all to read.

    Raises:
        InputError: A file is missing, or not as it was written.
    """
    records = source.records
    chosen = [records[number] for number in spread(len(records), MEASURED)]
    regions: list[np.ndarray] = []
    brightness = np.zeros((len(NAMES), 256), np.int64)
    with ThreadPoolExecutor(cores()) as pool:
        found = pool.map(partial(_measure_frame, source), chosen)
        for number, (areas, grey) in enumerate(found, start=1):
            regions.append(areas)
            brightness += grey
            progress(number, len(chosen))
    areas = np.concatenate([np.zeros(0, np.int64), *regions])
    return Pixels(len(chosen), areas, source.has("instance"), brightness)


def _measure_frame(source: Source, record: FrameRecord) -> tuple[np.ndarray, np.ndarray]:
    mask = source.array("mask", record)
    grey = np.asarray(Image.fromarray(source.array("rgb", record)).convert("L"))
    counts = np.bincount(mask.ravel().astype(np.int64) * 256 + grey.ravel(), minlength=256 * 256)
    ids = source.array("instance", record) if source.has("instance") else components(mask == ROCK)[0]
    areas = np.bincount(ids.ravel())[1:]
    return areas[areas > 0], counts.reshape(256, 256)[: len(NAMES)]


def equivalent_diameter(areas: np.ndarray) -> np.ndarray:
    """Diameter of the circle of the same area [px]."""
    return 2 * np.sqrt(areas / np.pi)


def collect_drawn(params: Params, source: Source) -> list[Draws]:
    """Collect every value of the journal's frames and of their scenes, beside the range it was drawn from.

    A value a frame lacks is NaN.

    Raises:
        InputError: The parameters' ranges do not fit the split.
    """
    split, seed = source.contract.split, source.contract.seed
    rows = [record.spec for record in source.records]
    numbers = sorted({spec["scene"] for spec in rows if "scene" in spec})
    drawn = tabulate(params, split, rows, draw_scenes(params, seed, split, numbers))
    return [each for each in drawn if each.per != "item"]


def read_timings(log: Path) -> Timings | None:
    """Add up the chunks of a generator's log; None where there is no log, or no time in it."""
    seconds: dict[str, float] = {}
    chunks = [chunk for chunk in read_log(log) if chunk.frames]
    for chunk in chunks:
        for stage, value in chunk.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + value
    frames, peak = sum(chunk.frames for chunk in chunks), max((chunk.peak_rss for chunk in chunks), default=0)
    timings = Timings(frames, seconds, peak, len({chunk.host for chunk in chunks}))
    return timings if frames and timings.drawing_s else None
