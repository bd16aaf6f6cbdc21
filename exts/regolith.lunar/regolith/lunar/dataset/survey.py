"""What of a split is on disk: the lock, the contract it was begun with, its whole frames, files that are not ours."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any

from regolith.lunar.dataset.chunk import CHUNKS
from regolith.lunar.dataset.layout import (
    CONTRACT,
    FILES,
    JOURNAL,
    FrameRecord,
    file_name,
    first_difference,
    present,
    read_contract,
    scan_journal,
    write_contract,
)
from regolith.lunar.dataset.write import write_journal
from regolith.lunar.files import file_digest, remove_leftovers
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import InputError

LOG = "generate.log.jsonl"
"""Log of a split's chunks, one JSON object a line; not part of the dataset."""

LOCK = ".lock"
OURS = frozenset({CONTRACT, JOURNAL, LOG, LOCK, CHUNKS, "card.html"})
"""Names beside the outputs' folders in a split's folder."""


@contextlib.contextmanager
def lock(split: Path) -> Iterator[None]:
    """Hold a split's folder for one run; the kernel frees the lock when the process ends, however it ends.

    A folder in which nothing was begun is left without the lock's file.

    Raises:
        InputError: Another run holds it; says which.
    """
    path = split / LOCK
    with _open_locked(path) as file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S %z')}")
        file.flush()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.truncate(0)
                if not (split / CONTRACT).exists():
                    path.unlink()


def _open_locked(path: Path) -> IO[str]:
    while True:
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            allowed = f"a split no other run is writing to; {holder} is"
            raise InputError("out", str(path.parent), allowed) from None
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()  # its holder took the file away in the meantime


def agree(split: Path, contract: dict[str, Any], *, extend: bool) -> bool:
    """Hold a new run against the contract a split was begun with, and take over its renderer.

    Whether this machine has that renderer each chunk sees for itself.

    Args:
        split: Folder of the split.
        contract: The new run's, from `make_contract`; its renderers are filled in.
        extend: Whether the split may grow to more frames.

    Returns:
        Whether there is a contract; a new split has none.

    Raises:
        InputError: The first field that differs, a contract that was changed by hand, frames without a contract, or a
            split that was imported.
    """
    if not (split / CONTRACT).exists():
        if (split / JOURNAL).exists():
            raise InputError("out", str(split), f"an empty folder, or a split with its {CONTRACT}; it is missing")
        return False
    begun = read_contract(split)
    if begun["renderer"].get("name") == "import":
        raise InputError("out", str(split), "a split that was generated; this one was imported")
    contract |= {name: begun[name] for name in ("renderer", "other_renderers")}
    grown = extend and contract["frames"] > begun["frames"]
    difference = first_difference(_comparable(begun, grown=grown), _comparable(contract, grown=grown))
    if difference is not None:
        field, old, new = difference
        allowed = f"{old!r}, with which {split} was begun"
        if field == "frames":
            allowed += ", or --extend and a larger number to grow it"
        raise InputError(field.removeprefix("parameters."), new, allowed)
    if grown:
        write_contract(split, contract)
    return True


def _comparable(contract: dict[str, Any], *, grown: bool) -> dict[str, Any]:
    """What of a contract a run asks for, under the names it is asked by."""
    asked = json.loads(json.dumps(contract))
    asked["size"] = f"{asked.pop('width')}x{asked.pop('height')}"
    for name in ("digest", "outputs", *(["frames"] if grown else [])):  # outputs follow from the parameters
        asked.pop(name, None)
    return asked


@dataclasses.dataclass
class Survey:
    """What was found of a split."""

    done: dict[int, FrameRecord]
    """Whole frames by index."""
    broken: list[int]
    """Frames the journal has whose files are missing, of another size, or, where hashes were read, of other bytes."""
    extra: list[str]
    """Files that are not the split's, relative to it."""
    damaged_lines: int
    """Journal lines that are not as they were written."""


def survey(split: Path, *, frames: int, outputs: list[str], hashes: bool = False) -> Survey:
    """Look at a split nobody writes to, and tidy up what a killed run left: temporary files, part journals.

    Args:
        split: Folder of the split.
        frames: Frames the split shall have.
        outputs: Outputs each frame shall have.
        hashes: Whether to read every file and compare its hash.
    """
    tidy(split, outputs)
    records, damaged = scan_journal(split / JOURNAL)
    late = _take_parts(split, records)
    sizes = _sizes(split, outputs)
    beyond = [index for index in records if index >= frames]
    for index in beyond:
        del records[index]
    broken = {index for index, record in records.items() if not _fits(record, sizes, outputs)}
    if hashes:
        with ThreadPoolExecutor() as pool:
            whole = [record for index, record in records.items() if index not in broken]
            same = pool.map(partial(_same, split), whole)
            broken |= {record.index for record, unchanged in zip(whole, same, strict=True) if not unchanged}
    done = {index: record for index, record in records.items() if index not in broken}
    if damaged or late or broken or beyond:
        write_journal(split, done)
    expected = {file_name(output, index) for output in outputs for index in range(frames)}
    extra = sorted(name for name in sizes if name not in expected)
    return Survey(done=done, broken=sorted(broken), extra=extra, damaged_lines=len(damaged))


def tidy(split: Path, outputs: list[str]) -> None:
    """Delete the temporary files of writers that were killed."""
    remove_leftovers(split, stem=r"dataset|frames|generate\.log")
    for output in outputs:
        folder = FILES[output][0]
        remove_leftovers(split / folder, stem=rf"{folder}_\d+")


def report_survey(found: Survey, folder: Path, emit: Emit) -> None:
    """Note what a look at the folder brought up."""

    def listed(names: list[Any]) -> str:
        return ", ".join(str(name) for name in names[:5]) + (", …" if len(names) > 5 else "")

    if found.damaged_lines:
        emit({"event": "note", "message": f"{folder}: {found.damaged_lines} damaged journal lines; redrawing"})
    if found.broken:
        emit({"event": "note", "message": f"{folder}: redrawing broken frames {listed(found.broken)}"})
    if found.extra:
        emit({"event": "note", "message": f"{folder}: not of this split, left alone: {listed(found.extra)}"})


def _fits(record: FrameRecord, sizes: dict[str, int], outputs: list[str]) -> bool:
    names = {file_name(output, record.index) for output in outputs}
    return names == set(record.bytes) and all(sizes.get(name) == size for name, size in record.bytes.items())


def _sizes(split: Path, outputs: list[str]) -> dict[str, int]:
    """Size of every file below a split, by its name relative to it; of our own folders one level deep."""
    folders = {FILES[output][0] for output in outputs}
    found: list[tuple[str, os.DirEntry[str]]] = []
    for entry in os.scandir(split):
        if entry.name in folders and entry.is_dir():
            found += [(f"{entry.name}/{file.name}", file) for file in os.scandir(entry)]
        elif entry.name not in OURS:
            found.append((entry.name + "/" * entry.is_dir(), entry))
    return {name: _size(entry) for name, entry in found}


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # a link to nowhere
        return -1


def _same(split: Path, record: FrameRecord) -> bool:
    return all(file_digest(split / name) == h for name, h in record.sha256.items())


def _take_parts(split: Path, records: dict[int, FrameRecord]) -> bool:
    """Take over frames that a killed run's chunks finished and nobody journaled; whether there were any."""
    found = False
    for part in sorted((split / CHUNKS).glob("*.jsonl")):
        for index, record in scan_journal(part)[0].items():
            if index not in records and present(split, record):
                records[index] = record
                found = True
    shutil.rmtree(split / CHUNKS, ignore_errors=True)
    return found
