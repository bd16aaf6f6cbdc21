"""Generate the frames of a split: plan, chunks in fresh processes, journal, resume."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.executors import ExecutorName, open_executor
from regolith.lunar.dataset.layout import FrameRecord, write_contract
from regolith.lunar.dataset.plan import plan_chunks
from regolith.lunar.dataset.run import Run, begin, close_split, outcome, room
from regolith.lunar.dataset.splits import counted
from regolith.lunar.dataset.survey import agree, lock, report_survey, survey, tidy
from regolith.lunar.jobs.events import Emit
from regolith.lunar.machine import cores
from regolith.lunar.params import InputError, Params, PresetVerb, quantity, writable_folder
from regolith.lunar.randomize import Split


class Generate(PresetVerb):
    """Generate labelled frames of a split; run again to resume."""

    split: Split = quantity(..., "Split to draw.")
    frames: int = quantity(..., "Frames the split shall have.", ge=1, le=1_000_000)
    out: Path = quantity(..., "Dataset folder; the split lands in OUT/SPLIT.")
    size: str = quantity("256", "Picture size in pixels: SIDE, or WIDTHxHEIGHT.")
    seed: int = quantity(0, "Seed of the dataset.", ge=0)
    workers: int = quantity(1, "Chunks drawn at once.", ge=1, le=256)
    executor: ExecutorName = quantity(
        "processes",
        "Where chunks run: a local process each, this process, tasks of a Ray cluster whose nodes share OUT, or a "
        "command each that starts Isaac Sim.",
    )
    address: str | None = quantity(None, "Address of the Ray cluster; left out, one on this machine.")
    command: str | None = quantity(None, "Command line of an Isaac Sim chunk; {task} stands for its task file.")
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

        width, height = parse_size(self.size)
        with show(self.events, f"generate {self.split}", "frames") as emit:
            return generate(
                self.params,
                self.out,
                split=self.split,
                frames=self.frames,
                width=width,
                height=height,
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


def parse_size(text: str) -> tuple[int, int]:
    """Read `256` or `640x480` as (width, height).

    Raises:
        InputError: Not a size, or a side outside 16 … 4096 pixels.
    """
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    sides = [int(side) for side in match.groups() if side] if match else []
    if not sides or not all(16 <= side <= 4096 for side in sides):
        raise InputError("size", text, "SIDE or WIDTHxHEIGHT in pixels, each 16 … 4096")
    return sides[0], sides[-1]


def generate(
    params: Params,
    out: Path,
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
        emit: Receives `progress` and `note` events.

    Returns:
        {split, frames, drawn, broken, extra, renderer, outside_rock_share}: the folder, the frames it has, how many
        this run drew, which of those were on disk but broken, files in the folder that are not the split's, the
        renderer, how many frames have another share of rock than asked for.

    Raises:
        InputError: Bad split or size, a folder begun with other parameters, in use by another run, or without room;
            too little memory.
        RuntimeError: A chunk failed, or its process died again and again.
        KeyboardInterrupt: SIGINT or SIGTERM came; the frames being written were finished first.
    """
    folder, contract = begin(params, out, split=split, frames=frames, width=width, height=height, seed=seed)
    with contextlib.closing(open_executor(executor, address=address, command=command)) as runs:
        writable_folder("out", folder)
        with room(folder), lock(folder):
            known = agree(folder, contract, extend=extend)
            run = Run(
                folder,
                contract,
                runs,
                workers=min(workers, runs.slots),
                threads=1,
                retries=retries,
                stall_s=stall_s,
                other_backend=other_backend,
                emit=emit,
            )
            if not known:
                contract["renderer"] = run.describe()
                write_contract(folder, contract)
            found = survey(folder, frames=frames, outputs=contract["outputs"], hashes=hashes)
            report_survey(found, folder, emit)
            missing = [index for index in range(frames) if index not in found.done]
            chunks = plan_chunks(params, missing, chunk_frames=chunk_frames, workers=run.workers)
            if executor != "ray":
                run.threads = max(1, cores() // max(1, min(run.workers, len(chunks))))
            done = run.draw(chunks, found.done)
            _finish(folder, contract, done)
    result = outcome(folder, contract, found, done)
    result["outside_rock_share"] = _outside_share(params, done, width * height)
    if result["outside_rock_share"]:
        text = f"{result['outside_rock_share']} of {frames} frames lie outside randomize.rock_share after their redraws"
        emit({"event": "note", "message": f"{folder}: {text}"})
    return result


def _finish(folder: Path, contract: dict[str, Any], done: dict[int, FrameRecord]) -> None:
    """Order the journal, and leave nothing of the run beside the split.

    Raises:
        RuntimeError: Frames are missing.
    """
    if len(done) != contract["frames"]:
        raise RuntimeError(f"{len(done)} of {contract['frames']} frames; run the same command again to go on")
    close_split(folder, contract, done)
    tidy(folder, contract["outputs"])


def _outside_share(params: Params, done: dict[int, FrameRecord], pixels: int) -> int:
    """Number of frames whose share of rock is outside the range asked for."""
    wanted = params.randomize.rock_share
    return sum(not wanted.contains(record.counts["rock"] / pixels) for record in done.values())
