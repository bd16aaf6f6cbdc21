"""Ultralytics YOLO segmentation: pictures, one polygon a rock component, `data.yaml`.

```
OUT/images/SPLIT/rgb_00000.png
OUT/labels/SPLIT/rgb_00000.txt     `0 x1 y1 x2 y2 …` a line, positions over width and height
OUT/data.yaml                      train, val, test: `train_dr` is train, `test_photoreal` is test
```

Of several splits for one role `data.yaml` names `train_dr`, else the first by name; the others lie beside.

A rock in several pieces is one line a piece. Regolith, sky and ignored pixels are all background: the format has
nothing else to call them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from regolith.lunar.dataset.formats.outlines import outline
from regolith.lunar.dataset.formats.source import ROLES, Source, Step, by_role, components, regions

ROCK_CLASS = 0
"""The format counts its classes from 0; rock is the only one."""


def write(sources: Sequence[Source], out: Path, step: Step) -> None:
    """Write splits as Ultralytics YOLO segmentation."""
    for source in sources:
        pictures, labels = out / "images" / source.name, out / "labels" / source.name
        pictures.mkdir(parents=True)
        labels.mkdir(parents=True)
        for record in source.records:
            stem = f"rgb_{record.index:05d}"
            source.place("rgb", record, pictures / f"{stem}.png")
            numbers = source.rocks(record, source.array("mask", record))
            (labels / f"{stem}.txt").write_text(
                "".join(f"{line}\n" for line in label_lines(numbers)), "ascii", newline="\n"
            )
            step()
    roles = by_role(sources)
    data = {role: f"images/{roles[role].name}" for role in ROLES if role in roles} | {"names": {ROCK_CLASS: "rock"}}
    missing = [role for role in ("train", "val") if role not in roles]
    note = f"# no {' and no '.join(missing)} split was exported; Ultralytics needs both\n" if missing else ""
    (out / "data.yaml").write_text(note + yaml.safe_dump(data, sort_keys=False), "utf-8", newline="\n")


def label_lines(numbers: np.ndarray) -> list[str]:
    """Label lines of a frame.

    Args:
        numbers: Rock number of each pixel, 0 for none, int32, shape [H, W].

    Returns:
        A line a component, ordered by rock and then by the component's first row.
    """
    height, width = numbers.shape
    lines: list[str] = []
    for _, (rows, columns), region in regions(numbers):
        corner = np.array([columns.start, rows.start])
        parts, count = components(region)
        for part in range(1, count + 1):
            points = (outline(parts == part) + corner) / (width, height)
            lines.append(f"{ROCK_CLASS} " + " ".join(f"{value:.7f}" for value in points.ravel().tolist()))
    return lines
