"""Generate the frames of a split: plan, render in worker processes, journal, resume."""

from __future__ import annotations

import contextlib
import fcntl
import json
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.layout import (
    CONTRACT,
    FrameRecord,
    first_difference,
    make_contract,
    read_contract,
    read_journal,
    write_contract,
)
from regolith.lunar.dataset.write import append_records, write_frame, write_journal
from regolith.lunar.files import remove_leftovers
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import InputError, Params, PresetVerb, quantity, validate, writable_folder
from regolith.lunar.randomize import SPLITS, Split, draw_frame, draw_scene, narrowed, scene_number


class Generate(PresetVerb):
    """Generate labelled frames of a split; run again to resume."""

    split: Split = quantity(..., "Split to draw.")
    frames: int = quantity(..., "Frames the split shall have.", ge=1, le=1_000_000)
    out: Path = quantity(..., "Dataset folder; the split lands in OUT/SPLIT.")
    size: str = quantity("256", "Picture size in pixels: SIDE, or WIDTHxHEIGHT.")
    seed: int = quantity(0, "Seed of the dataset.", ge=0)
    workers: int = quantity(1, "Worker processes.", ge=1, le=256)
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
                other_backend=self.other_backend,
                emit=emit,
            )

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the split is and how much of it this run drew."""
        return f"{result['split']}: {result['frames']} frames, {result['drawn']} drawn now"


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
        workers: Worker processes.
        other_backend: Whether a split begun on another renderer back end may be continued.
        emit: Receives `progress` events.

    Returns:
        {split, frames, drawn, renderer}: the folder, the frames it has, how many this run drew.

    Raises:
        InputError: Bad split or size, a folder begun with other parameters, or one in use by another run.
    """
    from regolith.lunar.render import open_renderer

    if split not in SPLITS:
        raise InputError("split", split, ", ".join(SPLITS))
    with contextlib.closing(open_renderer(params.render.backend)) as renderer:
        described = renderer.describe()
    folder = out / split
    contract = make_contract(
        params, split=split, frames=frames, seed=seed, width=width, height=height, renderer=described
    )
    writable_folder("out", folder)
    with _lock(folder):
        _agree(folder, contract, other_backend)
        remove_leftovers(folder)
        done = read_journal(folder)
        missing = [index for index in range(frames) if index not in done or not _present(folder, done[index])]
        total = len(done.keys() | set(missing))
        emit({"event": "progress", "done": total - len(missing), "total": total})
        for drawn, record in enumerate(_draw(contract, folder, missing, workers), start=1):
            append_records(folder, [record])
            done[record.index] = record
            emit({"event": "progress", "done": total - len(missing) + drawn, "total": total})
        write_journal(folder, done)
    return {"split": str(folder), "frames": len(done), "drawn": len(missing), "renderer": described}


def _agree(folder: Path, contract: dict[str, Any], other_backend: bool) -> None:
    """Write the contract of a new split, or refuse to go on with one begun differently."""
    path = folder / CONTRACT
    if not path.exists():
        write_contract(folder, contract)
        return
    begun = read_contract(folder)
    compared = contract | {"renderer": begun.get("renderer")} if other_backend else contract
    begun.pop("digest")
    difference = first_difference(begun, json.loads(json.dumps(compared)))
    if difference is not None:
        field, old, new = difference
        field = "size" if field in ("width", "height") else field.removeprefix("parameters.")
        allowed = f"{old!r}, with which {folder} was begun"
        if field.startswith("renderer"):
            allowed += ", or --other-backend to mix back ends"
        raise InputError(field, new, allowed)


def _present(folder: Path, record: FrameRecord) -> bool:
    """Whether every file of a frame is there and holds something; `regolith verify` reads what is in them."""
    return all((folder / name).is_file() and (folder / name).stat().st_size for name in record.sha256)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the folder for one run; the kernel frees the lock when the process ends, however it ends."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError("out", str(folder), "a split no other run is writing to") from None
        yield


def _draw(contract: dict[str, Any], folder: Path, missing: list[int], workers: int) -> Iterator[FrameRecord]:
    """Draw the missing frames, a scene a chunk, and yield each as it comes to lie on disk.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came; the frames being written were finished first.
    """
    params = validate(Params, contract["parameters"])
    chunks: dict[int, list[int]] = {}
    for index in missing:
        chunks.setdefault(scene_number(params, index), []).append(index)
    workers = max(1, min(workers, len(chunks)))
    threads = max(1, (os.cpu_count() or 1) // workers)
    with _stop_on_signal() as stop:
        if workers == 1:
            for indices in chunks.values():
                yield from _draw_scene(contract, folder, indices, threads, stop.is_set)
        else:
            yield from _draw_parallel(contract, folder, list(chunks.values()), stop, workers=workers, threads=threads)
        if stop.is_set():
            raise KeyboardInterrupt


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event, so that the frame being written is finished."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _draw_parallel(
    contract: dict[str, Any],
    folder: Path,
    chunks: list[list[int]],
    stop: threading.Event,
    *,
    workers: int,
    threads: int,
) -> Iterator[FrameRecord]:
    context = multiprocessing.get_context("spawn")
    halt, records = context.Event(), context.SimpleQueue()
    with ProcessPoolExecutor(workers, context, _start_worker, (halt, records)) as pool:
        pending = {pool.submit(_work, contract, folder, indices, threads) for indices in chunks}
        try:
            while pending or not records.empty():
                while not records.empty():
                    yield FrameRecord.from_line(records.get())
                finished, pending = wait(pending, timeout=0.05, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                if stop.is_set() and not halt.is_set():
                    halt.set()
        except BrokenProcessPool:
            raise RuntimeError("a worker died (out of memory?); run the same command again to go on") from None
        finally:
            halt.set()
            pool.shutdown(cancel_futures=True)


_worker: dict[str, Any] = {}
"""Of a worker process: the stop event, the queue of records, the renderer kept between scenes."""


def _start_worker(halt: Any, records: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; Ctrl-C reaches the whole process group
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker.update(halt=halt, records=records)


def _end_with_parent() -> None:
    """End this worker when its parent is gone, however it went; what was being written does not count."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(contract: dict[str, Any], folder: Path, indices: list[int], threads: int) -> None:
    for record in _draw_scene(contract, folder, indices, threads, _worker["halt"].is_set):
        _worker["records"].put(record.to_line())


def _draw_scene(
    contract: dict[str, Any], folder: Path, indices: list[int], threads: int, stopped: Callable[[], bool]
) -> Iterator[FrameRecord]:
    """Draw frames of one scene and yield each once its files are in place."""
    from regolith.lunar.render import open_renderer
    from regolith.lunar.stage.author import author_stage, build_scene
    from regolith.lunar.stage.edit import apply_frame

    if stopped():
        return
    params = validate(Params, contract["parameters"])
    seed, split, width, height = (contract[key] for key in ("seed", "split", "width", "height"))
    outputs = contract["outputs"]
    extra = frozenset(output for output in outputs if output not in ("rgb", "mask"))
    scene = build_scene(narrowed(params, split), draw_scene(params, seed, split, scene_number(params, indices[0])))
    stage = author_stage(scene)
    renderer = _worker.get("renderer") or open_renderer(params.render.backend, threads=threads)
    if "halt" in _worker:
        _worker["renderer"] = renderer
    renderer.load(stage)
    for index in indices:
        if stopped():
            return
        spec = draw_frame(params, seed, split, index, scene)
        apply_frame(stage, params, spec, width, height)
        frame = renderer.render(width, height, quality=params.render.quality, outputs=extra)
        yield write_frame(folder, index, frame.arrays(outputs), seed=spec.seed, spec=spec.to_dict())
