"""What of a split is on disk: the lock, the contract it was begun with, its whole frames, files that are not ours."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

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
from regolith.lunar.files import remove_leftovers
from regolith.lunar.params import InputError

LOG = "generate.log.jsonl"
"""Log of a split's chunks, one JSON object a line; not part of the dataset."""

LOCK = ".lock"
OURS = frozenset({CONTRACT, JOURNAL, LOG, LOCK, CHUNKS, "card.html"})
"""Names beside the outputs' folders in a split's folder."""


@contextlib.contextmanager
def lock(split: Path) -> Iterator[None]:
    """Hold a split's folder for one run; the kernel frees the lock when the process ends, however it ends.

    Raises:
        InputError: Another run holds it; says which.
    """
    with (split / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise InputError("out", str(split), f"a split no other run is writing to; {holder} is") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S %z')}")
        file.flush()
        yield
        file.truncate(0)


def agree(split: Path, contract: dict[str, Any], *, extend: bool) -> bool:
    """Hold a new run against the contract a split was begun with, and take over its renderer.

    Whether this machine has that renderer each chunk sees for itself.

    Args:
        split: Folder of the split.
        contract: The new run's, from `make_contract`; its renderer is filled in.
        extend: Whether the split may grow to more frames.

    Returns:
        Whether there is a contract; a new split has none.

    Raises:
        InputError: The first field that differs, or a contract that was changed by hand.
    """
    if not (split / CONTRACT).exists():
        return False
    begun = read_contract(split)
    begun.pop("digest")
    contract["renderer"] = begun["renderer"]
    wanted = json.loads(json.dumps(contract))
    grown = extend and wanted["frames"] > begun["frames"]
    difference = first_difference(begun | {"frames": wanted["frames"]} if grown else begun, wanted)
    if difference is not None:
        field, old, new = difference
        field = "size" if field in ("width", "height") else field.removeprefix("parameters.")
        allowed = f"{old!r}, with which {split} was begun"
        if field == "frames":
            allowed += ", or --extend and a larger number to grow it"
        raise InputError(field, new, allowed)
    if grown:
        write_contract(split, contract)
    return True


@dataclasses.dataclass
class Survey:
    """What was found of a split."""

    done: dict[int, FrameRecord]
    """Whole frames by index."""
    broken: list[int]
    """Frames the journal has whose files are missing, of another size, or, where hashes were read, of other bytes."""
    extra: list[str]
    """Files that are not the split's, relative to it; nobody touches them."""
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
    remove_leftovers(split)
    records, damaged = scan_journal(split / JOURNAL)
    late = _take_parts(split, records)
    sizes = _sizes(split, outputs)
    broken = {index for index, record in records.items() if not _fits(record, sizes, outputs)}
    if hashes:
        with ThreadPoolExecutor() as pool:
            whole = [record for index, record in records.items() if index not in broken]
            same = pool.map(partial(_same, split), whole)
            broken |= {record.index for record, unchanged in zip(whole, same, strict=True) if not unchanged}
    done = {index: record for index, record in records.items() if index not in broken}
    if damaged or late or broken:
        write_journal(split, done)
    expected = {file_name(output, index) for output in outputs for index in range(frames)}
    extra = sorted(name for name in sizes if name not in expected)
    return Survey(done=done, broken=sorted(broken), extra=extra, damaged_lines=len(damaged))


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
    return all(hashlib.sha256((split / name).read_bytes()).hexdigest() == h for name, h in record.sha256.items())


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
