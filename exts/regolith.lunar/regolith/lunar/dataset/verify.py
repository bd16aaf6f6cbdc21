"""Check splits: every frame on disk, whole, as its journal says, inside its intervals, and apart from the rest."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.dataset.across import check_apart, check_duplicates
from regolith.lunar.dataset.checks import CHECKS, SplitCheck, check_frame, open_split
from regolith.lunar.dataset.contract import CONTRACT, Contract
from regolith.lunar.dataset.layout import JOURNAL, write_journal
from regolith.lunar.dataset.record_checks import check_records
from regolith.lunar.dataset.splits import counted, is_split, split_folders, splits_in
from regolith.lunar.dataset.views import VIEWS
from regolith.lunar.files import AnyPath
from regolith.lunar.jobs.events import Emit
from regolith.lunar.machine import cores
from regolith.lunar.params import CheckError, InputError, Verb, quantity, sole_folder

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 20
"""Problems printed; all are in the result."""
NOTES_SHOWN = 5
BAR_FROM = 200
"""Frames above which a progress bar is shown."""
LINE_BYTES = 1400
"""Size of a journal line, about."""
PROGRESS_EVERY = 50
"""Frames between two progress events, and most that are held as more than their lines."""
REDRAWN = ("journal", "indices")
"""Checks whose problems have no frame of their own and yet make a split one to draw again."""


class Verify(Verb):
    """Check every frame of a split, or of all splits of a dataset, and the splits against each other."""

    split: Path = quantity(..., "Folder of a split, or of a dataset: then each of its splits.", positional=True)
    repair: bool = quantity(
        False, "Drop frames with problems from the journal and draw them again; restore dataset.json from its copy."
    )
    workers: int = quantity(1, "Worker processes that draw for --repair.", ge=1, le=256)
    other_backend: bool = quantity(False, "Let --repair draw on another renderer back end than the split's.")
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Check, and repair where asked; raises `CheckError` when there is a problem."""
        from regolith.lunar.jobs.progress import show

        frames = sum(_size(path / JOURNAL) for path in split_folders(self.split)) / LINE_BYTES
        with contextlib.ExitStack() as stack:
            emit: Emit = lambda event: None  # noqa: E731
            if self.repair or self.events or frames > BAR_FROM:
                emit = stack.enter_context(show(self.events, "repair" if self.repair else "verify", "frames"))
            if self.repair:
                result = repair(self.split, workers=self.workers, other_backend=self.other_backend, emit=emit)
            else:
                result = verify(self.split, emit=emit)
        if result["problems"]:
            raise CheckError(f"{self.split}: {counted(len(result['problems']), 'problem')}", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Tabulate the checks and list the problems; without one, say how many frames were checked."""
        drawn = sum(result.get("repaired", {}).values())
        repaired = f", {counted(drawn, 'frame')} drawn again" if "repaired" in result else ""
        repaired += "".join(f", {name} restored" for name in result.get("restored", ()))
        table = _table(result)
        if result["problems"]:
            return table
        return (
            f"{table}\n{result['folder']}: {counted(result['frames'], 'frame')}, no problem{repaired} "
            f"({result['ms_per_frame']:.1f} ms a frame)"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def verify(folder: AnyPath, *, emit: Emit = lambda event: None) -> dict[str, Any]:
    """Check a split, or every split of a dataset.

    Of a single split, the journals of the other splits beside it are read too: it must share nothing with them.

    Args:
        folder: Folder of a split, or of a dataset.
        emit: Receives `progress` events.

    Returns:
        {folder, splits, frames, checks, problems, notes, ms_per_frame}: checks as {check, holds, applies, checked,
        problems}, problems as {check, split, where, problem}, notes on what was found but not judged.

    Raises:
        InputError: There is no split.
    """
    start = time.perf_counter()
    splits = _check_splits(Path(folder), emit)
    frames = sum(len(split.records) for split in splits)
    problems = [problem for split in splits for problem in split.problems]
    checked = sum((split.checked for split in splits), Counter())
    found = Counter(problem.check for problem in problems)
    checks = [
        {
            "check": name,
            "holds": holds,
            "applies": name in checked or name in found,
            "checked": checked[name],
            "problems": found[name],
        }
        for name, holds in CHECKS.items()
    ]
    keys = ("check", "split", "where", "problem")
    return {
        "folder": str(folder),
        "splits": [split.name for split in splits],
        "frames": frames,
        "checks": checks,
        "problems": [{key: getattr(problem, key) for key in keys} for problem in problems],
        "notes": [note for split in splits for note in split.notes],
        "ms_per_frame": 1000 * (time.perf_counter() - start) / max(frames, 1),
    }


def _check_splits(folder: Path, emit: Emit) -> list[SplitCheck]:
    splits = [open_split(path) for path in split_folders(folder)]
    total, done = sum(len(split.records) for split in splits), 0
    for split in splits:
        check_records(split)
        for _ in _check_frames(split):
            done += 1
            if done % PROGRESS_EVERY == 0 or done == total:
                emit({"event": "progress", "done": done, "total": total})
    check_apart(splits, _neighbours(folder, splits))
    check_duplicates(splits)
    return splits


def _check_frames(split: SplitCheck) -> Iterator[int]:
    """Check the files of every frame in threads, and yield the indices in order as they are done."""
    records = split.records.ordered()
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(records), PROGRESS_EVERY):  # a pool takes in all that it is given at once
            for found in pool.map(partial(check_frame, split), records[start : start + PROGRESS_EVERY]):
                split.checked.update(found.checked)
                for check, where, problem in found.problems:
                    split.report(check, where, problem, found.index)
                if found.bits is not None:
                    split.shown.append(found.index)
                    split.bits += found.bits.tobytes()
                yield found.index


def _neighbours(folder: Path, splits: Sequence[SplitCheck]) -> list[SplitCheck]:
    """Open the other splits of the dataset a single split belongs to."""
    if len(splits) != 1 or not splits[0].at_home or not is_split(folder):
        return []
    own = folder.resolve()
    found: list[SplitCheck] = []
    try:
        beside = splits_in(own.parent)
    except OSError as error:
        splits[0].notes.append(f"{own.parent}: splits beside this one not compared ({error.strerror})")
        return []
    for path in beside:
        if path != own:
            other = open_split(path)
            if other.at_home:
                found.append(other)
            else:
                splits[0].notes.append(f"{other.name}: not compared, it cannot be read as a split of this dataset")
    return found


def repair(
    folder: Path, *, workers: int = 1, other_backend: bool = False, emit: Emit = lambda event: None
) -> dict[str, Any]:
    """Drop frames with problems from the journal, draw them again from the contract's own parameters, check again.

    A damaged contract is restored from its copy first, and the copy from it. What no redraw puts right stays as it is:
    duplicates, and splits that are not apart.

    Args:
        folder: Folder of a split, or of a dataset.
        workers: Worker processes that draw.
        other_backend: Whether they may draw on another renderer back end than the split was begun on.
        emit: Receives `progress` events.

    Returns:
        As `verify`, with `repaired`: split to the number of frames drawn; `restored`: files of contracts written again.

    Raises:
        InputError: There is no split, or one with problems was imported, is not named after its split, is in use,
            cannot be written, or was begun on a back end that is not here.
        CheckError: A contract and its copy are damaged: nothing says how to draw the frames.
    """
    damaged: list[tuple[SplitCheck, Contract]] = []
    restored: list[str] = []
    for split in _check_splits(folder, emit):
        if split.contract is None:
            raise CheckError(
                f"{split.folder}: {CONTRACT} and its copy are damaged and cannot be repaired; move the folder away and "
                "run the `regolith generate` command it came from again"
            )
        if any(problem.check == "contract" for problem in split.problems):
            with sole_folder("out", split.folder, "split"):
                restored += [f"{split.name}/{name}" for name in split.contract.restore(split.folder)]
        if not _redrawable(split):
            continue
        if split.contract.views and split.views is None:
            raise CheckError(
                f"{split.folder}: {VIEWS} is damaged and cannot be repaired; run the command that the split came from "
                "again"
            )
        if split.imported:
            raise InputError("repair", str(split.folder), "generated splits; this one was imported: import it again")
        if split.name != split.contract.split:
            raise InputError("repair", str(split.folder), f"a folder named {split.contract.split}, after its split")
        damaged.append((split, split.contract))
    repaired = {split.name: _redraw(split, contract, workers, other_backend, emit) for split, contract in damaged}
    return verify(folder, emit=emit) | {"repaired": repaired, "restored": restored}


def _redrawable(split: SplitCheck) -> bool:
    return any(problem.index is not None or problem.check in REDRAWN for problem in split.problems)


def _redraw(split: SplitCheck, contract: Contract, workers: int, other_backend: bool, emit: Emit) -> int:
    from regolith.lunar.dataset.generate import generate

    bad = {problem.index for problem in split.problems}
    for index in [i for i in split.records if i in bad or i >= contract.frames]:
        del split.records[index]
    with sole_folder("out", split.folder, "split"):
        write_journal(split.folder, split.records)
    result = generate(
        contract.params,
        split.folder.resolve().parent,
        split=contract.split,
        frames=contract.frames,
        width=contract.width,
        height=contract.height,
        seed=contract.seed,
        workers=workers,
        other_backend=other_backend,
        views=split.views,
        emit=emit,
    )
    return result["drawn"]


def _table(result: dict[str, Any]) -> str:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("check", "what holds", box=None, pad_edge=False, header_style="bold")
    for name in ("checked", "problems"):
        table.add_column(name, justify="right")
    for row in result["checks"]:
        if row["applies"]:
            style = "red" if row["problems"] else ""
            table.add_row(row["check"], row["holds"], f"{row['checked']:,}", f"{row['problems']:,}", style=style)
        else:
            table.add_row(row["check"], row["holds"], "not applicable", "", style="dim")
    with console.capture() as capture:
        console.print(table)
        _print_found(console, result)
    return capture.get().rstrip("\n")


def _print_found(console: Console, result: dict[str, Any]) -> None:
    several = len(result["splits"]) > 1
    for problem in result["problems"][:SHOWN]:
        where = f"{problem['split']}/{problem['where']}" if several else problem["where"]
        console.print(f"{where}: {problem['problem']}", style="red", markup=False, highlight=False, soft_wrap=True)
    _print_rest(console, len(result["problems"]) - SHOWN, "problem")
    for note in result["notes"][:NOTES_SHOWN]:
        console.print(f"note: {note}", style="dim", markup=False, highlight=False, soft_wrap=True)
    _print_rest(console, len(result["notes"]) - NOTES_SHOWN, "note")


def _print_rest(console: Console, count: int, word: str) -> None:
    if count > 0:
        console.print(f"… and {counted(count, f'more {word}')} (all with --json FILE)", highlight=False)
