"""Bring a split, or a whole dataset, into the formats other tools read."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from regolith.lunar.dataset.formats.source import read_sources
from regolith.lunar.dataset.formats.target import appearing
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import InputError, Verb, quantity

Format = Literal["coco", "yolo-seg", "webdataset", "hf", "basicwriter", "voc", "pointcloud"]

MODULES: dict[str, str] = {
    "coco": "coco",
    "yolo-seg": "yolo",
    "webdataset": "webdataset",
    "hf": "huggingface",
    "basicwriter": "basicwriter",
    "voc": "voc",
    "pointcloud": "pointcloud",
}
"""Format to its module in `dataset.formats`; each has `write(sources, out, step)`."""

SHARD = 1000
"""Samples of a WebDataset shard unless asked otherwise."""


class Export(Verb):
    """Export a split or a dataset to a format other tools read."""

    folder: Path = quantity(..., "Folder of a split, or of a dataset: all splits in it.", positional=True)
    to: Format = quantity(
        ..., "Format to write; yolo-seg and voc call train_dr train and test_photoreal test, others keep the names."
    )
    out: Path = quantity(..., "Folder to write; it must not be there yet, or be empty.")
    shard: int = quantity(SHARD, "Samples a WebDataset shard holds at most.", ge=1, le=1_000_000)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Export and say what was written."""
        from regolith.lunar.jobs.progress import show

        with show(self.events, f"export {self.to}", "frames") as emit:
            return export(self.folder, self.out, to=self.to, shard=self.shard, emit=emit)

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the export is and what is in it."""
        splits = ", ".join(f"{name} {frames}" for name, frames in result["splits"].items())
        return f"{result['out']}: {result['format']}, frames: {splits}"


def export(folder: Path, out: Path, *, to: str, shard: int = SHARD, emit: Emit = lambda event: None) -> dict[str, Any]:
    """Write the complete frames of a split, or of every split of a dataset, in another format; whole or not at all.

    Args:
        folder: A split, or a dataset holding some.
        out: Folder to make.
        to: One of `MODULES`.
        shard: Samples a WebDataset shard holds at most.
        emit: Receives `progress` events.

    Returns:
        {out, format, splits}: splits as name to number of frames.

    Raises:
        InputError: No split, a format this is not, a package that is not installed, a target that is taken, a file
            that is not as it was written, or a split that lacks what the format needs.
        OSError: The target cannot be written, for want of room among others.
    """
    if to not in MODULES:
        raise InputError("to", to, ", ".join(MODULES))
    sources = read_sources(folder)
    total = sum(len(source.records) for source in sources)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        emit({"event": "progress", "done": done, "total": total})

    module = importlib.import_module(f"regolith.lunar.dataset.formats.{MODULES[to]}")
    options = {"shard": shard} if to == "webdataset" else {}
    emit({"event": "progress", "done": 0, "total": total})
    with _installed(to), appearing(out) as temporary:
        module.write(sources, temporary, step, **options)
    return {"out": str(out), "format": to, "splits": {source.name: len(source.records) for source in sources}}


@contextlib.contextmanager
def _installed(to: str) -> Iterator[None]:
    """Turn a missing package into the line that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        allowed = f"a format whose packages are installed: {package} is not; pip install regolith-lunar[export]"
        raise InputError("to", to, allowed) from None
