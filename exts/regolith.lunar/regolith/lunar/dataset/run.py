"""One run over a split, wherever its frames are drawn: lock, contract, what is missing, journal, end."""

from __future__ import annotations

import abc
import json
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from regolith.lunar.dataset.chunk import CHUNKS, ChunkTask
from regolith.lunar.dataset.contract import FRAMES_MAX, Contract
from regolith.lunar.dataset.croissant import write_croissant
from regolith.lunar.dataset.journal import OpenJournal
from regolith.lunar.dataset.survey import LOG, agree, report_survey, survey, tidy
from regolith.lunar.dataset.views import Views
from regolith.lunar.files import append_lines
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import InputError, Params, sole_folder
from regolith.lunar.params.errors import UNFIT
from regolith.lunar.params.fields import SIDE_MAX_PX, SIDE_MIN_PX
from regolith.lunar.randomize import SPLITS, frame_intervals
from regolith.lunar.reading import read_json
from regolith.lunar.stage.height_model import pinned
from regolith.lunar.stage.lens import check_lens
from regolith.lunar.stage.stereo import check_pair

_T = TypeVar("_T")


def begin(
    params: Params, out: Path, *, split: str, frames: int, width: int, height: int, seed: int
) -> tuple[Path, Contract]:
    """Check what a run shall draw; nothing is written.

    Returns:
        Folder of the split, and its contract without the renderer.

    Raises:
        InputError: Unknown split, a number of frames or a size that is not allowed, a lens that folds, outputs of a
            stereo pair without one, a height model that cannot be used.
    """
    if split not in SPLITS:
        raise InputError("split", split, ", ".join(SPLITS))
    for field, value, least, most in (
        ("frames", frames, 1, FRAMES_MAX), ("width", width, SIDE_MIN_PX, SIDE_MAX_PX),
        ("height", height, SIDE_MIN_PX, SIDE_MAX_PX),
    ):  # fmt: skip
        if type(value) is not int or not least <= value <= most:
            raise InputError(field, value, f"a whole number {least} … {most}")
    check_lens(frame_intervals(params, split), width, height)
    check_pair(params)
    params = pinned(params)
    contract = Contract.of(params, split=split, frames=frames, seed=seed, width=width, height=height)
    return out / split, contract


class SplitRun(abc.ABC):
    """Completes a split; what draws its frames are the subclasses.

    Args:
        folder: Folder of the split.
        contract: What is asked for (`begin`).
        emit: Receives `progress` and `note` events.
        views: Frames that were chosen, of which the contract has the note; None where frames are drawn.
    """

    def __init__(self, folder: Path, contract: Contract, emit: Emit, views: Views | None = None) -> None:
        self.folder, self.contract, self.emit, self.views = folder, contract, emit, views

    async def complete(self, *, extend: bool = False, hashes: bool = False) -> dict[str, Any]:
        """Draw what is missing; frames already on disk stay as they are.

        Args:
            extend: Whether a split that was begun with fewer frames may grow.
            hashes: Whether to read the frames on disk and redraw those whose hash differs.

        Returns:
            {split, frames, drawn, broken, extra, renderer, outside_rock_share}: the folder, the frames it has, how
            many this run drew, which of those were on disk but broken, files in the folder that are not the split's,
            the renderer, how many frames have another share of rock than asked for.

        Raises:
            InputError: A folder begun with other parameters, in use by another run, or without room.
            RuntimeError: Drawing failed.
        """
        folder = self.folder
        with sole_folder("out", folder, "split"):
            known = agree(folder, self.contract, extend=extend)
            self.check_nodes(known)
            self.contract = known or self.contract.drawn_by(await self.describe())
            if self.views is not None:
                self.views.restore(folder)
            for name in self.contract.restore(folder):
                if known is not None:
                    self.emit({"event": "note", "message": f"{folder}: {name} was missing or damaged; written again"})
            frames, outputs = self.contract.frames, self.contract.outputs
            found = await self.aside(partial(survey, folder, frames=frames, outputs=outputs, hashes=hashes))
            report_survey(found, folder, self.emit)
            journal, had = found.journal, len(found.journal)
            await self.draw(journal)
            journal.sort()
            if self.contract.other_renderers:
                self.contract.write(folder)
            shutil.rmtree(folder / CHUNKS, ignore_errors=True)
            write_croissant(folder, self.contract, next(iter(journal.records())))
            tidy(folder, outputs)
        result = {
            "split": str(folder),
            "frames": len(journal),
            "drawn": len(journal) - had,
            "broken": found.broken,
            "extra": found.extra,
            "renderer": self.contract.renderer,
            "outside_rock_share": _outside_share(self.contract, journal),
        }
        if result["outside_rock_share"]:
            text = f"{result['outside_rock_share']} of {len(journal)} frames lie outside randomize.rock_share"
            self.emit({"event": "note", "message": f"{folder}: {text} after their redraws"})
        return result

    @abc.abstractmethod
    def check_nodes(self, known: Contract | None) -> None:
        """Look for machines that would draw other bytes than each other, or than the split that is known.

        Raises:
            InputError: There are such; both are named.
        """

    @abc.abstractmethod
    async def describe(self) -> dict[str, Any]:
        """Ask what will draw for its description (`Renderer.describe`)."""

    @abc.abstractmethod
    async def aside(self, work: Callable[[], _T]) -> _T:
        """Do slow work that touches nothing of the host."""

    @abc.abstractmethod
    async def draw(self, journal: OpenJournal) -> None:
        """Draw the frames that are missing, and journal them as they come to lie on disk."""

    def take_result(self, task: ChunkTask, how: str) -> dict[str, Any]:
        """Read the result of a chunk that ended (`read_result`), and log it."""
        try:
            result = read_result(task, how)
        except RuntimeError as error:
            told = {"message": str(error), "traceback": str(error.__cause__ or "")}
            append_lines(self.folder / LOG, [json.dumps({"event": "failed", "time": time.time(), **told})])
            raise
        self.contract = self.contract.drawn_by(result["renderer"])
        kept = {name: result[name] for name in ("status", "frames", "seconds", "peak_rss", "host")}
        append_lines(self.folder / LOG, [json.dumps({"event": "chunk", "time": time.time(), **kept})])
        return result


def _outside_share(contract: Contract, journal: OpenJournal) -> int:
    """Number of frames whose share of rock is outside the range asked for; chosen ones are asked for none."""
    wanted, pixels = contract.params.randomize.rock_share, contract.width * contract.height
    if contract.views or (wanted.lo <= 0.0 and wanted.hi >= 1.0):
        return 0
    return sum(not wanted.contains(record.counts["rock"] / pixels) for record in journal.records())


class WorkerTraceback(Exception):  # noqa: N818
    """What a worker's own traceback said: the cause of the error that its launcher raises."""


def read_result(task: ChunkTask, how: str) -> dict[str, Any]:
    """Result of a chunk that ended.

    Args:
        task: Its task.
        how: How it ended, as its executor knows.

    Raises:
        InputError: It refused its task.
        OSError: The disk did.
        RuntimeError: It failed, or left no result.
    """
    try:
        result = read_json(task.result)
    except (OSError, ValueError):
        raise RuntimeError(f"a worker left no result ({how})") from None
    error = result["error"]
    if error is None:
        return result
    if "field" in error:
        raise InputError(error["field"], error["value"], error["allowed"])
    if error["errno"] in UNFIT:
        raise OSError(error["errno"], os.strerror(error["errno"]), error["filename"])
    raise RuntimeError(error["message"]) from WorkerTraceback(error["traceback"])
