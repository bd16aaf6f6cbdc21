"""Generate the frames of a split: plan, chunks in fresh processes, journal, resume."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.chunked_run import ChunkedRun
from regolith.lunar.dataset.contract import FRAMES_MAX
from regolith.lunar.dataset.executors import ADDRESS, COMMAND, EXECUTOR, ExecutorName, open_executor
from regolith.lunar.dataset.run import begin
from regolith.lunar.dataset.splits import counted
from regolith.lunar.dataset.views import Views
from regolith.lunar.files import AnyPath
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import Params, PictureSize, PresetVerb, check_values, quantity
from regolith.lunar.randomize import Split
from regolith.lunar.render.base import run_through
from regolith.lunar.stage.height_model import stage_model


class Generate(PresetVerb):
    """Generate labelled frames of a split; run again to resume."""

    split: Split = quantity(..., "Split to draw.")
    frames: int = quantity(..., "Frames the split shall have.", ge=1, le=FRAMES_MAX)
    out: Path = quantity(..., "Dataset folder; the split lands in OUT/SPLIT.")
    size: PictureSize = quantity(PictureSize(256), "Size of the pictures.")
    seed: int = quantity(0, "Seed of the dataset.", ge=0)
    workers: int = quantity(1, "Chunks drawn at once.", ge=1, le=256)
    executor: ExecutorName = EXECUTOR
    address: str | None = ADDRESS
    command: str | None = COMMAND
    chunk_frames: int = quantity(200, "Frames of a chunk, rounded to whole scenes.", ge=1, le=100_000)
    retries: int = quantity(
        2, "Times a chunk is started again that ended, or stalled, without drawing a frame.", ge=0, le=100
    )
    stall_s: float = quantity(
        600.0, "Time without a new frame after which a chunk is ended and started again.", unit="s", ge=10, le=86400
    )
    extend: bool = quantity(False, "Grow a split that was begun with fewer frames.")
    verify: bool = quantity(False, "Read the frames already on disk and redraw those whose hash differs.")
    other_backend: bool = quantity(False, "Continue a split that was begun on another renderer back end.")
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Generate and say where the split is."""
        from regolith.lunar.jobs.progress import show

        with show(self.events, f"generate {self.split}", "frames") as emit:
            return generate(
                self.params,
                self.out,
                split=self.split,
                frames=self.frames,
                width=self.size.width,
                height=self.size.height,
                seed=self.seed,
                workers=self.workers,
                executor=self.executor,
                address=self.address,
                command=self.command,
                chunk_frames=self.chunk_frames,
                retries=self.retries,
                stall_s=self.stall_s,
                extend=self.extend,
                hashes=self.verify,
                other_backend=self.other_backend,
                emit=emit,
            )

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the split is and how much of it this run drew."""
        return f"{result['split']}: {counted(result['frames'], 'frame')}, {result['drawn']} drawn now"


def generate(
    params: Params,
    out: AnyPath,
    *,
    split: str,
    frames: int,
    width: int,
    height: int,
    seed: int = 0,
    workers: int = 1,
    executor: str = "processes",
    address: str | None = None,
    command: str | None = None,
    chunk_frames: int = 200,
    retries: int = 2,
    stall_s: float = 600.0,
    extend: bool = False,
    hashes: bool = False,
    other_backend: bool = False,
    views: Views | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Complete a split to `frames` frames; frames already on disk stay as they are.

    Args:
        params: Parameters; they must equal those the folder was begun with.
        out: Dataset folder.
        split: Split to draw.
        frames: Frames the split shall have.
        width: Picture width in pixels.
        height: Picture height in pixels.
        seed: Seed of the dataset.
        workers: Chunks drawn at once.
        executor: Where chunks run (`executors.open_executor`).
        address: Of a Ray cluster.
        command: Of an Isaac Sim chunk.
        chunk_frames: Frames of a chunk.
        retries: Times a chunk is started again that ended without drawing a frame.
        stall_s: Time without a new frame after which a chunk is ended [s].
        extend: Whether a split that was begun with fewer frames may grow.
        hashes: Whether to read the frames on disk and redraw those whose hash differs.
        other_backend: Whether a split begun on another renderer back end may be continued.
        views: Frames that were chosen, as many as `frames`; None for frames that are drawn.
        emit: Receives `progress` and `note` events.

    Returns:
        What the run found and drew (`run.SplitRun.complete`).

    Raises:
        InputError: An argument that does not fit; a folder begun with other parameters, in use by another run, or
            without room; too little memory; nodes that would draw other bytes.
        RuntimeError: A chunk failed, or its process died again and again.
        KeyboardInterrupt: SIGINT or SIGTERM came; the frames being written were finished first.
    """
    check_values(
        Generate, split=split, frames=frames, seed=seed, workers=workers, executor=executor, address=address,
        command=command, chunk_frames=chunk_frames, retries=retries, stall_s=stall_s, extend=extend, verify=hashes,
        other_backend=other_backend,
    )  # fmt: skip
    folder, contract = begin(params, Path(out), split=split, frames=frames, width=width, height=height, seed=seed)
    if contract.params.ground.dem is not None:
        for note in stage_model(contract.params).notes:
            emit({"event": "note", "message": note})
    if views is not None:
        contract = dataclasses.replace(contract, views=views.note)
    with contextlib.closing(open_executor(executor, address=address, command=command)) as runs:
        run = ChunkedRun(
            folder,
            contract,
            runs,
            workers=workers,
            chunk_frames=chunk_frames,
            retries=retries,
            stall_s=stall_s,
            other_backend=other_backend,
            emit=emit,
            views=views,
        )
        return run_through(run.complete(extend=extend, hashes=hashes))
