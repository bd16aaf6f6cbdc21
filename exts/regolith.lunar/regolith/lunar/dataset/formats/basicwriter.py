"""The files Isaac Sim's Replicator `BasicWriter` writes for one render product, a folder a split.

```
OUT/SPLIT/rgb_0000.png                                       RGBA, alpha 255
OUT/SPLIT/semantic_segmentation_0000.png                     RGBA, a colour a class
OUT/SPLIT/semantic_segmentation_labels_0000.json             {"(r, g, b, a)": {"class": name}}
OUT/SPLIT/instance_segmentation_0000.png                     RGBA, a colour a labelled prim; with instance ids
OUT/SPLIT/instance_segmentation_mapping_0000.json            {"(r, g, b, a)": prim path}
OUT/SPLIT/instance_segmentation_semantics_mapping_0000.json  {"(r, g, b, a)": {"class": name}}
OUT/SPLIT/distance_to_camera_0000.npy                        float32 [m], inf on sky; with depth
OUT/SPLIT/normals_0000.png                                   RGBA, (n · 0.5 + 0.5) · 255 cut down; with normals
```

Names, four digits of padding, keys and shapes are those of omni.replicator.core 1.12 with its defaults (colourised
segmentation, `frame_padding=4`). As there, (0, 0, 0, 0) is BACKGROUND, where nothing is: our sky; (0, 0, 0, 255) is
UNLABELLED: our ignored pixels. Colours of the others are ours: Replicator numbers labels in the order it meets them,
so a reader has to go by the JSON anyway.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regolith.lunar.dataset.formats.source import Source, Step
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.outputs import PNG_LEVEL
from regolith.lunar.labels import IGNORE, NAMES, REGOLITH, ROCK, SKY
from regolith.lunar.stage import schema

BACKGROUND = (0, 0, 0, 0)
UNLABELLED = (0, 0, 0, 255)
COLORS: dict[int, tuple[int, int, int, int]] = {
    REGOLITH: (140, 255, 25, 255),
    ROCK: (140, 25, 255, 255),
    SKY: BACKGROUND,
    IGNORE: UNLABELLED,
}
"""Mask value to colour in the semantic segmentation."""

SPREAD = 0x9E3779
"""Odd factor that takes instance numbers to 24-bit colours: far apart, and never two the same."""


def write(sources: Sequence[Source], out: Path, step: Step) -> None:
    """Write splits as Replicator's BasicWriter does."""
    for source in sources:
        folder = out / source.name
        folder.mkdir()
        for record in source.records:
            _write_frame(source, record, folder)
            step()


def _write_frame(source: Source, record: FrameRecord, folder: Path) -> None:
    number = f"{record.index:04d}"
    mask = source.array("mask", record)
    _save(folder / f"rgb_{number}.png", _opaque(source.array("rgb", record)))
    table = np.zeros((256, 4), np.uint8)
    table[list(COLORS)] = list(COLORS.values())
    _save(folder / f"semantic_segmentation_{number}.png", table[mask])
    labels = {str(BACKGROUND): {"class": "BACKGROUND"}, str(UNLABELLED): {"class": "UNLABELLED"}}
    present = set(np.unique(mask).tolist())
    labels |= {str(COLORS[value]): {"class": NAMES[value]} for value in (REGOLITH, ROCK) if value in present}
    _write_json(folder / f"semantic_segmentation_labels_{number}.json", labels)
    if source.has("instance"):
        _write_instances(source, record, mask, folder)
    if source.has("depth"):
        source.place("depth", record, folder / f"distance_to_camera_{number}.npy")
    if source.has("normals"):
        normals = source.array("normals", record).astype(np.float32)
        _save(folder / f"normals_{number}.png", _opaque(((normals * 0.5 + 0.5) * 255).clip(0, 255).astype(np.uint8)))


def _write_instances(source: Source, record: FrameRecord, mask: np.ndarray, folder: Path) -> None:
    """Prims by colour: the ground is prim 1, rock number k prim k + 1 (`Frame.instance` counts rocks from 1).

    Rock pixels without a number belong to no prim we know: unlabelled.
    """
    number = f"{record.index:04d}"
    numbers = source.array("instance", record).astype(np.int64)
    ids = np.where((mask == ROCK) & (numbers > 0), numbers + 1, mask == REGOLITH)
    colors = instance_colors(ids)
    colors[ids == 0] = UNLABELLED
    colors[mask == SKY] = BACKGROUND
    _save(folder / f"instance_segmentation_{number}.png", colors)
    paths: dict[str, str] = {str(BACKGROUND): "BACKGROUND", str(UNLABELLED): "UNLABELLED"}
    classes = {str(BACKGROUND): {"class": "BACKGROUND"}, str(UNLABELLED): {"class": "UNLABELLED"}}
    for prim in np.unique(ids[ids > 0]).tolist():
        key = str(tuple(instance_colors(np.array(prim)).tolist()))
        paths[key] = schema.GROUND if prim == 1 else f"{schema.ROCKS}/rock_{prim - 2:05d}"
        classes[key] = {"class": NAMES[REGOLITH if prim == 1 else ROCK]}
    _write_json(folder / f"instance_segmentation_mapping_{number}.json", paths)
    _write_json(folder / f"instance_segmentation_semantics_mapping_{number}.json", classes)


def instance_colors(ids: np.ndarray) -> np.ndarray:
    """Colour of each prim number: different numbers below 2^24, different colours.

    Args:
        ids: Numbers, any shape.

    Returns:
        RGBA, uint8, shape of `ids` with 4 appended.
    """
    code = ids * SPREAD & 0xFFFFFF
    return np.stack([code & 255, code >> 8 & 255, code >> 16, np.full_like(code, 255)], axis=-1).astype(np.uint8)


def _opaque(rgb: np.ndarray) -> np.ndarray:
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def _save(path: Path, rgba: np.ndarray) -> None:
    Image.fromarray(rgba).save(path, compress_level=PNG_LEVEL)


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data), "ascii")
