"""WebDataset: tar shards, a sample a frame.

`SPLIT-000000.tar` holds `00000.rgb.png`, `00000.mask.png`, `00000.json` and, where the split has them,
`00000.depth.npy`, `00000.normals.npy`, `00000.instance.npy`, `00000.right.png`, `00000.disparity.npy`,
`00000.shadow.png`, `00000.crater.npy`, `00000.slope.npy`, `00000.hazard.png`. Ids of rocks and craters travel as
arrays: the stock image decoders would cut their 16 bits to 8. Bytes are deterministic: fixed times, owners and order.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from regolith.lunar.dataset.formats.source import Source, Step
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.outputs import OUTPUTS


def write(sources: Sequence[Source], out: Path, step: Step, *, shard: int) -> None:
    """Write splits as tar shards of at most `shard` samples."""
    from webdataset.writer import ShardWriter

    for source in sources:
        opened: list[BinaryIO] = []

        def open_shard(name: str, opened: list[BinaryIO] = opened) -> BinaryIO:
            opened.append((out / name).open("wb"))
            return opened[-1]

        def close_shard(_: str, opened: list[BinaryIO] = opened) -> None:
            opened.pop().close()

        with ShardWriter(
            f"{source.name}-%06d.tar",
            maxcount=shard,
            maxsize=1e15,
            verbose=0,
            opener=open_shard,
            post=close_shard,
            encoder=False,
            mtime=0.0,
        ) as writer:
            for record in source.records:
                writer.write(sample(source, record))
                step()


def sample(source: Source, record: FrameRecord) -> dict[str, str | bytes]:
    """One frame as a sample: `__key__`, and bytes by ending."""
    description = {
        "split": source.contract.split,
        "index": record.index,
        "seed": record.seed,
        "spec": record.spec,
        "counts": record.counts,
        "classes": source.contract.classes | {"ignore": source.contract.ignore},
    }
    files: dict[str, str | bytes] = {
        "__key__": f"{record.index:05d}",
        "rgb.png": source.data("rgb", record),
        "mask.png": source.data("mask", record),
        "json": json.dumps(description, sort_keys=True).encode(),
    }
    for output in source.extras:
        row = OUTPUTS[output]
        if row.ending == "npy" or row.dtype.itemsize == 1:
            files[f"{output}.{row.ending}"] = source.data(output, record)
        else:
            with io.BytesIO() as stream:
                np.save(stream, source.array(output, record))
                files[f"{output}.npy"] = stream.getvalue()
    return files
