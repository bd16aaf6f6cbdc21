"""Write an export format of your own: an HTML page of thumbnails with each frame's sun and share of rock.

- a format is a function (sources, out, step): sources are whole splits, out is an empty folder that appears only if all
  went well, step is called once a frame is written
- arrays are checked against the journal's hashes as they are read

With these lines in the pyproject.toml of a package, `regolith export DATA --to thumbnails --out PAGE` finds it:

    [project.entry-points."regolith.lunar.formats"]
    thumbnails = "my_package.thumbnails:thumbnails"

    python examples/10_new_export_format.py --data out/03/data --out out/10
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

import regolith.lunar as rl
from regolith.lunar.dataset.formats.source import Source
from regolith.lunar.perception.overlay import contact_sheet, draw_overlay

SIDE = 128
"""Long side of a thumbnail [px]."""


def thumbnails(sources: Sequence[Source], out: Path, step: Callable[[], None]) -> None:
    """Write a thumbnail a frame, and index.html."""
    lines = ["<!doctype html><meta charset=utf-8><title>Frames</title>"]
    for source in sources:
        lines.append(f"<h1>{source.name}</h1>")
        for record in source.records:
            picture = Image.fromarray(draw_overlay(source.array("rgb", record), source.array("mask", record)))
            picture.thumbnail((SIDE, SIDE))
            name = f"{source.name}_{record.index:05d}.jpg"
            picture.save(out / name, quality=80)
            share = record.counts["rock"] / sum(record.counts.values())
            lines.append(f'<img src="{name}" title="frame {record.index}, rock {share:.1%}">')
            step()
    (out / "index.html").write_text("\n".join(lines) + "\n", "utf-8")


def main(data: Path = Path("out/03/data"), out: Path = Path("out/10")) -> None:
    """Export a dataset as thumbnails.

    Args:
        data: A split, or a dataset, as example 3 makes it.
        out: Folder to write; what an earlier run left in OUT/page goes.
    """
    shutil.rmtree(out / "page", ignore_errors=True)
    done = rl.export(data, out / "page", to=thumbnails)
    print(f"{out / 'page/index.html'}: {done['splits']}")
    files = sorted((out / "page").glob("*.jpg"))[:12]
    pictures = [(np.asarray(Image.open(path)), path.stem) for path in files]
    contact_sheet(pictures, columns=6, cell=SIDE).convert("RGB").save(out / "picture.jpg", quality=80)


if __name__ == "__main__":
    tyro.cli(main)
