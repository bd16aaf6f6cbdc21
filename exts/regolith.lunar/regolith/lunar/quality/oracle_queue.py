"""A queue for people who label: pictures, and what is known of them already.

```
OUT/images/NAME.png                          a unit each
OUT/annotations/instances_default.json       COCO, laid out as CVAT's "COCO 1.0": rock by rock, ground and sky as one
OUT/label_studio.json                        where asked for: tasks of Label Studio with brush strokes
OUT/select.json                              scores of every unit, and why these were chosen
```
`regolith import --images OUT/images --coco ANSWERS.json` takes what comes back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regolith.lunar.dataset.formats.coco import CATEGORIES, STUFF, compressed_runs, rock_annotations
from regolith.lunar.dataset.formats.source import components
from regolith.lunar.dataset.outputs import PNG_LEVEL
from regolith.lunar.files import write_json
from regolith.lunar.labels import CLASSES, ROCK
from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError

IMAGES = "images"
ANNOTATIONS = "annotations/instances_default.json"
TASKS = "label_studio.json"


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A unit's picture of height H and width W, and what is proposed for it."""

    file: str
    rgb: np.ndarray
    """uint8 [H, W, 3]."""
    classes: np.ndarray
    """uint8 [H, W]; `labels.IGNORE` is left to people."""
    confidence: np.ndarray
    """Probability of that class, float [H, W]."""


class OracleQueue:
    """Writes a queue into an empty folder, unit by unit."""

    def __init__(self, folder: Path, *, label_studio: bool = False) -> None:
        """Begin a queue.

        Args:
            folder: Folder, empty.
            label_studio: Whether to write tasks of Label Studio too.

        Raises:
            InputError: A package that is needed is not installed.
        """
        self._folder = folder
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._tasks: list[dict[str, Any]] = []
        self._encode = brush_encoder() if label_studio else None
        (folder / IMAGES).mkdir()
        (folder / ANNOTATIONS).parent.mkdir()

    def add(self, unit: Proposal) -> None:
        """Add a unit."""
        Image.fromarray(unit.rgb).save(self._folder / IMAGES / unit.file, compress_level=PNG_LEVEL)
        height, width = unit.classes.shape
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": unit.file, "width": width, "height": height})
        numbers, _ = components(unit.classes == ROCK)
        found = rock_annotations(numbers, number)
        for annotation, region in zip(found, range(1, len(found) + 1), strict=True):
            annotation["score"] = round(float(unit.confidence[numbers == region].mean()), 4)
        for name in STUFF:
            here = unit.classes == CLASSES[name]
            if here.any():
                found.append(_stuff_annotation(here, name, number, unit.confidence))
        for annotation in found:
            self._annotations.append({"id": len(self._annotations) + 1} | annotation)
        if self._encode is not None:
            self._tasks.append(self._task(unit))

    def _task(self, unit: Proposal) -> dict[str, Any]:
        """One task of Label Studio, whose labelling has `<Image name="image">` and `<BrushLabels name="classes">`."""
        assert self._encode is not None
        height, width = unit.classes.shape
        strokes = [
            {
                "id": f"{len(self._tasks) + 1}-{name}", "type": "brushlabels", "from_name": "classes",
                "to_name": "image", "original_width": width, "original_height": height, "image_rotation": 0,
                "value": {
                    "format": "rle", "brushlabels": [name],
                    "rle": self._encode(np.where(unit.classes == value, 255, 0).astype(np.uint8)),
                },
            }
            for name, value in CLASSES.items()
            if (unit.classes == value).any()
        ]  # fmt: skip
        data = {"image": f"/data/local-files/?d={IMAGES}/{unit.file}"}
        return {"data": data, "predictions": [{"model_version": "regolith select", "result": strokes}]}

    def finish(self, result: dict[str, Any]) -> None:
        """Write the annotations and the result."""
        categories = [
            {"id": number, "name": name, "supercategory": "hazard" if name == "rock" else "background"}
            for name, number in CATEGORIES.items()
        ]
        data = {
            "info": {"description": "queue of regolith select: proposals, to be corrected"}, "licenses": [],
            "images": self._images, "annotations": self._annotations, "categories": categories,
        }  # fmt: skip
        (self._folder / ANNOTATIONS).write_text(json.dumps(data, separators=(",", ":")), "utf-8")
        if self._encode is not None:
            (self._folder / TASKS).write_text(json.dumps(self._tasks, separators=(",", ":")), "utf-8")
        write_json(self._folder / "select.json", result)


def _stuff_annotation(here: np.ndarray, name: str, image: int, confidence: np.ndarray) -> dict[str, Any]:
    """The pixels of a class that is not counted by things, bool [H, W], as one annotation without its id."""
    rows, columns = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "image_id": image,
        "category_id": CATEGORIES[name],
        "segmentation": compressed_runs(here),
        "area": int(here.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "iscrowd": 1,
        "score": round(float(confidence[here].mean()), 4),
    }


def brush_encoder() -> Any:
    """Return Label Studio's own encoder of brush strokes, uint8 [H, W] of 0 and 255 to a list of bytes.

    Raises:
        InputError: Its package is not installed.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it prints what it lacks
            from label_studio_sdk.converter.brush import mask2rle  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        allowed = f"label_studio_sdk, in an environment of its own ({error.name} is missing): "
        raise InputError("label_studio", "true", allowed + install_command("label-studio")) from None
    return mask2rle


def check_coco() -> None:
    """Refuse to begin without the package that writes COCO's run lengths.

    Raises:
        InputError: It is not installed.
    """
    try:
        import pycocotools.mask  # noqa: F401
    except ModuleNotFoundError:
        raise InputError("select", "COCO", f"pycocotools: {install_command('export')}") from None
