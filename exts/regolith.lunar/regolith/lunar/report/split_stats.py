"""Measure a split for its card: class shares, rock sizes, brightness, values drawn, redraws and timings."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from regolith.lunar.dataset.layout import FrameRecord, file_name
from regolith.lunar.labels import NAMES, ROCK
from regolith.lunar.params import Group, Interval, Params, field_extra
from regolith.lunar.randomize import draw_scene, frame_intervals
from regolith.lunar.randomize.draw import SCENE_VALUES, scene_intervals

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
class Drawn:
    """One parameter: the range asked for and the values the split has of it."""

    name: str
    unit: str
    per: str
    """`frame` or `scene`."""
    asked: Interval
    values: np.ndarray
    """Shape [N]."""


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


def measure_pixels(
    folder: Path, records: Sequence[FrameRecord], *, by_instance: bool, progress: Callable[[int, int], None]
) -> Pixels:
    """Read pictures and masks in threads.

    Args:
        folder: Folder of the split.
        records: Its frames.
        by_instance: Whether to tell rocks apart by the instance output.
        progress: Receives frames read, and all to read.

    Raises:
        OSError: A file cannot be read.
    """
    chosen = [records[number] for number in spread(len(records), MEASURED)]
    regions: list[np.ndarray] = []
    brightness = np.zeros((len(NAMES), 256), np.int64)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(partial(_measure_frame, folder, by_instance), chosen)
        for number, (areas, grey) in enumerate(found, start=1):
            regions.append(areas)
            brightness += grey
            progress(number, len(chosen))
    return Pixels(len(chosen), np.concatenate([np.zeros(0, np.int64), *regions]), by_instance, brightness)


def _measure_frame(folder: Path, by_instance: bool, record: FrameRecord) -> tuple[np.ndarray, np.ndarray]:
    mask = _load(folder, "mask", record.index)
    grey = np.asarray(Image.open(folder / file_name("rgb", record.index)).convert("L"))
    counts = np.bincount(mask.ravel().astype(np.int64) * 256 + grey.ravel(), minlength=256 * 256)
    ids = _load(folder, "instance", record.index) if by_instance else label_regions(mask)
    areas = np.bincount(ids.ravel())[1:]
    return areas[areas > 0], counts.reshape(256, 256)[: len(NAMES)]


def label_regions(mask: np.ndarray) -> np.ndarray:
    """Number the connected rock regions of a mask, pixels touching at a corner connected; 0 elsewhere.

    Args:
        mask: Classes, uint8 [H, W].

    Returns:
        int32 [H, W].
    """
    labelled: Any = ndimage.label(mask == ROCK, structure=np.ones((3, 3)))
    return labelled[0]


def _load(folder: Path, output: str, index: int) -> np.ndarray:
    return np.asarray(Image.open(folder / file_name(output, index)))


def equivalent_diameter(areas: np.ndarray) -> np.ndarray:
    """Diameter of the circle of the same area [px]."""
    return 2 * np.sqrt(areas / np.pi)


def collect_drawn(params: Params, contract: dict[str, Any], records: Sequence[FrameRecord]) -> list[Drawn]:
    """Collect every value of the journal's frames, then of their scenes, beside the range it was drawn from.

    A value a frame lacks is NaN.

    Raises:
        InputError: The parameters' ranges do not fit the split.
    """
    split, seed = contract["split"], contract["seed"]
    found = [
        Drawn(name, _unit(params, name), "frame", asked, np.array([record.spec.get(name) for record in records], float))
        for name, asked in frame_intervals(params, split).items()
    ]
    numbers = sorted({record.spec["scene"] for record in records if "scene" in record.spec})
    scenes = [draw_scene(params, seed, split, number).to_dict() for number in numbers]
    for name, asked in scene_intervals(params, split).items():
        group, field = SCENE_VALUES[name]
        unit = field_extra(type(getattr(params, group)).model_fields[field])["unit"]
        found.append(Drawn(name, unit, "scene", asked, np.array([scene[name] for scene in scenes], float)))
    return found


def _unit(params: Params, name: str) -> str:
    """Unit of a value drawn per frame, by the name of its field."""
    for group_name in type(params).model_fields:
        group = getattr(params, group_name)
        field = type(group).model_fields.get(name) if isinstance(group, Group) else None
        if field is not None and field_extra(field)["per"] == "frame":
            return field_extra(field)["unit"]
    return ""


def read_timings(log: Path) -> Timings | None:
    """Add up the chunks of a generator's log; None where there is no log, or no frame in it.

    Lines a crash tore do not count.
    """
    if not log.is_file():
        return None
    seconds: dict[str, float] = {}
    frames, peak, hosts = 0, 0, set()
    for line in log.read_text("utf-8", "replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if not isinstance(event, dict) or event.get("event") != "chunk" or not event.get("frames"):
            continue
        frames += event["frames"]
        peak = max(peak, event.get("peak_rss") or 0)
        hosts.add(event.get("host"))
        for stage, value in event["seconds"].items():
            seconds[stage] = seconds.get(stage, 0.0) + value
    return Timings(frames, seconds, peak, len(hosts)) if frames else None
