"""Hugging Face: Parquet files and a dataset card, the folder `datasets.load_dataset` opens.

```
OUT/README.md                         card: which files are which split, what the mask's values mean
OUT/id2label.json                     mask value to class name, as segmentation models' configurations have it
OUT/data/SPLIT-00000-of-00001.parquet
```

Columns: `image` and `mask` (pictures, the mask single-channel), `instance`, `depth`, `normals`, `right`, `disparity`,
`shadow`, `crater`, `slope`, `hazard` where the splits have them, `index`, `seed`, `pixels_CLASS`, and what each frame
was drawn from, a column a value. Splits keep our names, a `-` in them becoming `_`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from regolith.lunar.dataset.formats.source import Source, Step
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.outputs import OUTPUTS
from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import InputError

if TYPE_CHECKING:
    import datasets

ROW_GROUP = 32
"""Most frames in one row group of the file, and in memory."""

HELD_BYTES = 2**28
"""Most bytes of pixels in memory; frames so large that fewer than `ROW_GROUP` reach it lie fewer to a group."""


def write(sources: Sequence[Source], out: Path, step: Step) -> None:
    """Write splits as Parquet with a dataset card."""
    import datasets
    from pyarrow import parquet

    _check_names(sources)
    extras = _shared_extras(sources)
    features = _features(sources, extras)
    (out / "data").mkdir()
    for source in sources:
        path = out / "data" / f"{split_name(source)}-00000-of-00001.parquet"
        with parquet.ParquetWriter(path, features.arrow_schema) as writer:
            held = frames_held(source)
            for start in range(0, len(source.records), held):
                rows: list[dict[str, Any]] = []
                for record in source.records[start : start + held]:
                    rows.append(_row(source, record, features, extras))
                    step()
                columns = {name: [row[name] for row in rows] for name in features}
                writer.write_table(datasets.Dataset.from_dict(columns, features=features).data.table)
    (out / "README.md").write_text(_card(sources), "utf-8", newline="\n")
    names = {value: name for name, value in CLASSES.items()}
    (out / "id2label.json").write_text(json.dumps(names, indent=2) + "\n", "utf-8", newline="\n")


def frames_held(source: Source) -> int:
    """How many frames of a split go into one row group."""
    rows = [OUTPUTS[output] for output in source.extras]
    pixel = sum((row.channels or 1) * (4 if row.ending == "npy" else row.dtype.itemsize) for row in rows)
    frame = source.width * source.height * (4 + pixel)
    return max(1, min(ROW_GROUP, HELD_BYTES // frame))


def split_name(source: Source) -> str:
    """Name of the split in `datasets`, which allows letters, digits, _ and ."""
    return source.name.replace("-", "_")


def _check_names(sources: Sequence[Source]) -> None:
    """Refuse split names that `datasets` would not take, or not tell apart; `all` it takes for all splits together."""
    names = [split_name(source) for source in sources]
    for name in names:
        if names.count(name) > 1 or name.lower() == "all" or not re.fullmatch(r"\w+(\.\w+)*", name):
            raise InputError("folder", name, "split names of letters, digits and _, each once, none of them all")


def _shared_extras(sources: Sequence[Source]) -> tuple[str, ...]:
    """Optional outputs; all splits of one data set have the same columns.

    Raises:
        InputError: Splits differ in their outputs, or in the size of arrays.
    """
    first = sources[0]
    for source in sources:
        if source.extras != first.extras:
            raise InputError(source.name, ", ".join(source.extras) or "rgb and mask alone", f"outputs as {first.name}")
        arrays = any(OUTPUTS[output].ending == "npy" for output in first.extras)
        if arrays and (source.width, source.height) != (first.width, first.height):
            raise InputError(source.name, f"{source.width}x{source.height}", f"the size of {first.name}'s pictures")
    return first.extras


def _features(sources: Sequence[Source], extras: Iterable[str]) -> datasets.Features:
    """Columns and their types."""
    from datasets import Array2D, Array3D, Features, Image, Value

    columns: dict[str, Any] = {"image": Image(), "mask": Image()}
    for row in (OUTPUTS[output] for output in extras):
        array = Array2D if row.channels is None else Array3D
        shape = row.shape(sources[0].width, sources[0].height)
        columns[row.name] = array(shape, "float32") if row.ending == "npy" else Image()
    columns |= {"index": Value("int64"), "seed": Value("string")}
    columns |= {f"pixels_{name}": Value("int64") for name in (*CLASSES, "ignore")}
    values: dict[str, list[Any]] = {}
    for source in sources:
        for record in source.records:
            for name, value in record.spec.items():
                values.setdefault(name, []).append(value)
    columns |= {name: Value(_type(found)) for name, found in values.items() if name not in columns}
    return Features(columns)


def _type(values: list[Any]) -> str:
    if all(isinstance(value, bool) for value in values):
        return "bool"
    if all(isinstance(value, int) and -(2**63) <= value < 2**63 for value in values):
        return "int64"
    return "float64" if all(isinstance(value, (int, float)) for value in values) else "string"


def _row(source: Source, record: FrameRecord, features: datasets.Features, extras: Iterable[str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in record.spec.items():
        row[name] = str(value) if features[name].dtype == "string" else value
    row |= {f"pixels_{name}": count for name, count in record.counts.items()}
    row |= {"index": record.index, "seed": str(record.seed)}
    for column, output in (("image", "rgb"), ("mask", "mask"), *((output, output) for output in extras)):
        if OUTPUTS[output].ending == "npy":
            row[column] = source.array(output, record).astype(np.float32)
        else:
            row[column] = {"bytes": source.data(output, record), "path": None}
    return {name: row.get(name) for name in features}


def _card(sources: Sequence[Source]) -> str:
    """`README.md`: the card `datasets` reads the splits from."""
    front = {
        "pretty_name": "Lunar regolith",
        "task_categories": ["image-segmentation"],
        "tags": ["moon", "rover", "synthetic"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split_name(source), "path": f"data/{split_name(source)}-*.parquet"} for source in sources
                ],
            }
        ],
    }
    classes = [f"| {value} | {name} |" for name, value in CLASSES.items()] + [f"| {IGNORE} | ignore |"]
    splits = [
        f"| {split_name(source)} | {len(source.records)} | {source.width}×{source.height} "
        f"| {source.contract.renderer.get('name', 'unknown')} |"
        for source in sources
    ]
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False).strip(),
        "---",
        "",
        "# Lunar regolith",
        "",
        "Pictures of lunar ground, and the class of every pixel.",
        "",
        "| mask value | class |",
        "|---|---|",
        *classes,
        "",
        "| split | frames | size | renderer |",
        "|---|---|---|---|",
        *splits,
        "",
    ]
    return "\n".join(lines)
