"""PASCAL VOC segmentation, as `torchvision.datasets.VOCSegmentation(OUT, year="2012")` and its like read it.

```
OUT/VOCdevkit/VOC2012/JPEGImages/SPLIT_00000.jpg          picture
OUT/VOCdevkit/VOC2012/SegmentationClass/SPLIT_00000.png   class indices with VOC's palette
OUT/VOCdevkit/VOC2012/ImageSets/Segmentation/NAME.txt     a list a split, and train, val, test
OUT/VOCdevkit/VOC2012/labelmap.txt                        class names and colours, where datumaro and CVAT look for them
```

Indices are our classes: 0 regolith (VOC's background), 1 rock, 2 sky, 255 ignore (VOC's void). VOC readers look for
`.jpg` by name, so pictures are JPEG, at quality 100 without chroma subsampling: a few levels off. Where pictures must
be exact, take another format.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from regolith.lunar.dataset.formats.source import ROLES, Source, Step, by_role
from regolith.lunar.dataset.outputs import PNG_LEVEL
from regolith.lunar.labels import CLASSES, IGNORE

QUALITY = 100
"""JPEG quality of the pictures."""


def write(sources: Sequence[Source], out: Path, step: Step) -> None:
    """Write splits as PASCAL VOC."""
    root = out / "VOCdevkit" / "VOC2012"
    pictures, classes, sets = root / "JPEGImages", root / "SegmentationClass", root / "ImageSets" / "Segmentation"
    for folder in (pictures, classes, sets):
        folder.mkdir(parents=True)
    colors = palette()
    for source in sources:
        names: list[str] = []
        for record in source.records:
            name = f"{source.name}_{record.index:05d}"
            rgb = Image.fromarray(source.array("rgb", record))
            rgb.save(pictures / f"{name}.jpg", quality=QUALITY, subsampling=0)
            mask = Image.fromarray(source.array("mask", record))
            mask.putpalette(colors.ravel().tolist())  # from here on the values are indices
            mask.save(classes / f"{name}.png", compress_level=PNG_LEVEL)
            names.append(name)
            step()
        (sets / f"{source.name}.txt").write_text("\n".join(names) + "\n", "ascii", newline="\n")
    for role, source in by_role(sources).items():
        if role in ROLES and source.name != role:
            (sets / f"{role}.txt").write_bytes((sets / f"{source.name}.txt").read_bytes())
    (root / "labelmap.txt").write_text(_label_map(colors), "utf-8", newline="\n")


def palette() -> np.ndarray:
    """VOC's colours, uint8, shape [256, 3].

    Bit k of a colour's channel c, from the top, is bit 3 k + c of the index (VOCcode's `VOClabelcolormap`, PASCAL VOC
    development kit).
    """
    index = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= ((index >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colors


def _label_map(colors: np.ndarray) -> str:
    lines = ["# label:color_rgb:parts:actions"]
    for name, value in {**CLASSES, "ignore": IGNORE}.items():
        lines.append(f"{name}:{','.join(map(str, colors[value].tolist()))}::")
    return "\n".join(lines) + "\n"
