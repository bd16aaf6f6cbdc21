"""Bring a split, or a whole dataset, into the formats other tools read."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from regolith.lunar.dataset.formats.source import Source, Step, read_sources
from regolith.lunar.dataset.formats.target import Write, new_folder
from regolith.lunar.dataset.splits import counted
from regolith.lunar.files import AnyPath
from regolith.lunar.jobs.events import Emit
from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError, Verb, quantity
from regolith.lunar.params.plugins import load_plugin, not_working, plugin_names

MODULES: dict[str, str] = {
    "coco": "coco",
    "yolo-seg": "yolo",
    "webdataset": "webdataset",
    "hf": "huggingface",
    "basicwriter": "basicwriter",
    "voc": "voc",
    "pointcloud": "pointcloud",
    "rerun": "rerun",
}
"""Format to its module in `dataset.formats`; each has `write(sources, out, step)`."""

FORMATS = (*MODULES, *plugin_names("regolith.lunar.formats", tuple(MODULES)))
"""Formats by name: ours, then those of installed packages."""

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[FORMATS]

SHARD = 1000
"""Samples of a WebDataset shard unless asked otherwise."""


class Export(Verb):
    """Export a split or a dataset to a format other tools read."""

    folder: Path = quantity(..., "Folder of a split, or of a dataset: all splits in it.", positional=True)
    to: FormatName = quantity(
        ..., "Format to write; yolo-seg and voc call train_dr train and test_photoreal test, others keep the names."
    )
    out: Path = quantity(..., "Folder to write; it must not be there yet, or be empty.")
    partial: bool = quantity(False, "Export also splits that lack frames of their contract: those they have.")
    shard: int = quantity(SHARD, "Samples a WebDataset shard holds at most.", ge=1, le=1_000_000)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Export and say what was written."""
        from regolith.lunar.jobs.progress import show

        with show(self.events, f"export {self.to}", "frames") as emit:
            return export(self.folder, self.out, to=self.to, partial=self.partial, shard=self.shard, emit=emit)

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the export is and what is in it."""
        splits = ", ".join(f"{counted(frames, 'frame')} of {name}" for name, frames in result["splits"].items())
        return f"{result['out']}: {result['format']}, {splits}"


def export(
    folder: AnyPath,
    out: AnyPath,
    *,
    to: str | Write,
    partial: bool = False,
    shard: int = SHARD,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Write the frames of a split, or of every split of a dataset, in another format; whole or not at all.

    Args:
        folder: A split, or a dataset holding some.
        out: Folder to make.
        to: `coco`, `yolo-seg`, `webdataset`, `hf`, `basicwriter`, `voc`, `pointcloud`, `rerun`, the name of a format an
            installed package adds (entry points `regolith.lunar.formats`), or a function that writes one.
        partial: Whether splits may lack frames of their contract.
        shard: Samples a WebDataset shard holds at most.
        emit: Receives `progress` events.

    Returns:
        {out, format, splits}: splits as name to number of frames.

    Raises:
        InputError: No split, one that is not finished, a format this is not, a package that is not installed, a target
            that is taken, cannot be written or has no room, a file that is not as it was written, or a split that
            lacks what the format needs.
    """
    name = to if isinstance(to, str) else getattr(to, "__name__", type(to).__name__)
    write = _writer(to) if isinstance(to, str) else to
    sources = read_sources(Path(folder), partial=partial)
    total = sum(len(source.records) for source in sources)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        emit({"event": "progress", "done": done, "total": total})

    options = {"shard": shard} if to == "webdataset" else {}
    installed = _installed(name) if name in MODULES else contextlib.nullcontext()
    with installed, new_folder(Path(out)) as temporary:
        emit({"event": "progress", "done": 0, "total": total})
        write(sources, temporary, step, **options)
    return {"out": str(out), "format": name, "splits": {source.name: len(source.records) for source in sources}}


def _writer(to: str) -> Callable[..., Any]:
    """Find the function that writes a format."""
    if to not in FORMATS:
        raise InputError("to", to, ", ".join(FORMATS))
    if to not in MODULES:
        return _guarded(load_plugin("regolith.lunar.formats", to, field="to"), to)
    return importlib.import_module(f"regolith.lunar.dataset.formats.{MODULES[to]}").write


def _guarded(plugin: Write, to: str) -> Write:
    """Let a plug-in's own errors name it."""

    def write(sources: Sequence[Source], out: Path, step: Step) -> None:
        try:
            plugin(sources, out, step)
        except (InputError, OSError):
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise not_working("to", to, getattr(plugin, "__module__", to), why) from error

    return write


@contextlib.contextmanager
def _installed(to: str) -> Iterator[None]:
    """Turn a missing package into the line that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = "rerun" if to == "rerun" else "export"
        allowed = f"a format whose packages are installed: {package} is not; {install_command(extra)}"
        raise InputError("to", to, allowed) from None
