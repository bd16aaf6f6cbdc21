"""COCO: instances and panoptic, as `pycocotools.coco.COCO` and panopticapi read them.

```
OUT/SPLIT/rgb_00000.png                   pictures
OUT/annotations/instances_SPLIT.json      one annotation a rock: compressed RLE, bbox, area, iscrowd 0
OUT/annotations/panoptic_SPLIT.json       segments of every picture
OUT/panoptic_SPLIT/rgb_00000.png          segment ids as R + 256 G + 65536 B; 0 is ignored
```
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regolith.lunar.dataset.formats.source import Source, Step, regions
from regolith.lunar.dataset.outputs import PNG_LEVEL
from regolith.lunar.labels import CLASSES, ROCK

CATEGORIES: dict[str, int] = {"rock": 1, "sky": 2, "regolith": 3}
"""Class name to category id: the mask's values, but regolith's 0, which COCO's tools keep for nothing."""

STUFF: dict[str, int] = {"regolith": 1, "sky": 2}
"""Class name to segment id in a panoptic picture; rocks follow."""

_BY_NUMBER = "rocks by the renderer's instance ids; rock pixels without one by 8-connected component of the mask"
_BY_COMPONENT = "rocks are the 8-connected components of the mask: touching rocks are one"


def write(sources: Sequence[Source], out: Path, step: Step) -> None:
    """Write splits as COCO."""
    (out / "annotations").mkdir()
    for source in sources:
        _write_split(source, out, step)


def _write_split(source: Source, out: Path, step: Step) -> None:
    pictures, panoptic = out / source.name, out / f"panoptic_{source.name}"
    pictures.mkdir()
    panoptic.mkdir()
    images: list[dict[str, Any]] = []
    instances: list[dict[str, Any]] = []
    segments: list[dict[str, Any]] = []
    for record in source.records:
        name = f"rgb_{record.index:05d}.png"
        source.place("rgb", record, pictures / name)
        images.append({"id": record.index, "file_name": name, "width": source.width, "height": source.height})
        mask = source.array("mask", record)
        numbers = source.rocks(record, mask)
        found = rock_annotations(numbers, record.index)
        for annotation in found:
            instances.append({"id": len(instances) + 1} | annotation)  # from 1: COCOeval takes id 0 for no match
        picture, info = _panoptic(mask, numbers, found)
        Image.fromarray(picture).save(panoptic / name, compress_level=PNG_LEVEL)
        segments.append({"image_id": record.index, "file_name": name, "segments_info": info})
        step()
    common = {
        "info": {
            "description": f"lunar regolith, split {source.contract.split}",
            "version": source.contract.version,
            "rocks": _BY_NUMBER if source.has("instance") else _BY_COMPONENT,
        },
        "licenses": [],
        "images": images,
    }
    rock = [{"id": CATEGORIES["rock"], "name": "rock", "supercategory": "hazard"}]
    _write_json(
        out / f"annotations/instances_{source.name}.json", common | {"annotations": instances, "categories": rock}
    )
    _write_json(
        out / f"annotations/panoptic_{source.name}.json",
        common | {"annotations": segments, "categories": _panoptic_categories()},
    )


def rock_annotations(numbers: np.ndarray, image: int) -> list[dict[str, Any]]:
    """Return one annotation a rock, without its id, ordered by rock number.

    Args:
        numbers: Rock at each pixel, int32 [H, W]; 0 where there is none.
        image: Id of the picture.
    """
    canvas = np.zeros(numbers.shape, np.uint8, order="F")
    found: list[dict[str, Any]] = []
    for _, (rows, columns), region in regions(numbers):
        canvas[rows, columns] = region
        runs = compressed_runs(canvas)
        canvas[rows, columns] = 0
        height, width = region.shape
        found.append(
            {
                "image_id": image,
                "category_id": CATEGORIES["rock"],
                "segmentation": runs,
                "area": int(region.sum()),
                "bbox": [columns.start, rows.start, width, height],
                "iscrowd": 0,
            }
        )
    return found


def compressed_runs(pixels: np.ndarray) -> dict[str, Any]:
    """Return a mask, [H, W] of 0 and 1, as COCO's compressed run lengths: {size, counts}."""
    from pycocotools import mask as coco_mask

    rle: Any = coco_mask.encode(np.asfortranarray(pixels, np.uint8))
    return {"size": list(pixels.shape), "counts": rle["counts"].decode("ascii")}


def _panoptic(
    mask: np.ndarray, numbers: np.ndarray, rocks: list[dict[str, Any]]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Segment ids of a frame as an RGB picture, uint8 [H, W, 3], and what each id is."""
    first = max(STUFF.values()) + 1
    order = np.zeros(numbers.max(initial=0) + 1, np.int64)
    present = np.unique(numbers[numbers > 0])
    order[present] = first + np.arange(len(present))
    ids = np.where(mask == ROCK, order[numbers], 0)
    info: list[dict[str, Any]] = []
    for name, number in STUFF.items():
        here = mask == CLASSES[name]
        if not here.any():
            continue
        ids[here] = number
        rows, columns = np.flatnonzero(here.any(1)), np.flatnonzero(here.any(0))
        bbox = [int(v) for v in (columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)]
        info.append(
            {"id": number, "category_id": CATEGORIES[name], "area": int(here.sum()), "bbox": bbox, "iscrowd": 0}
        )
    for position, rock in enumerate(rocks):
        info.append({"id": first + position} | {key: rock[key] for key in ("category_id", "area", "bbox", "iscrowd")})
    picture = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
    return picture, info


def _panoptic_categories() -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "name": name,
            "supercategory": "hazard" if name == "rock" else "background",
            "isthing": int(name not in STUFF),
        }
        for name, number in CATEGORIES.items()
    ]


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, separators=(",", ":")), "utf-8")  # json.dump would take ten times as long
