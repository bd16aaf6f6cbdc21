"""What of a split is on disk: the contract it was begun with, its whole frames, files that are not ours."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, FiniteFloat

from regolith.lunar.dataset.chunk import CHUNKS
from regolith.lunar.dataset.columns import COLUMNS, NAME
from regolith.lunar.dataset.contract import CONTRACT, COPY, FRAMES_MAX, Contract, first_difference
from regolith.lunar.dataset.croissant import CROISSANT
from regolith.lunar.dataset.journal import ABSENT, OpenJournal
from regolith.lunar.dataset.layout import JOURNAL, FrameRecord, JournalLine, present, read_lines
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.quarantine import QUARANTINE
from regolith.lunar.dataset.views import VIEWS
from regolith.lunar.files import LOCK, file_digest, lock_beside, remove_leftovers
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import InputError
from regolith.lunar.reading import JSON_BYTES, parse_json, read_text

LOG = "generate.log.jsonl"
"""Log of a split's chunks, one JSON object a line; not part of the dataset."""

LINES_AT_ONCE = 256
"""Journal lines in memory while files are looked at."""
CARD = "card.html"
"""Page that shows what a split holds."""
OURS = frozenset(
    {
        CONTRACT, COPY, JOURNAL, VIEWS, QUARANTINE, COLUMNS, LOG, LOCK, CHUNKS, CROISSANT, CARD,
        lock_beside(Path(CARD)).name,
    }
)  # fmt: skip
"""Names beside the outputs' folders in a split's folder."""


def agree(split: Path, contract: Contract, *, extend: bool) -> Contract | None:
    """Hold a new run against the contract a split was begun with.

    Whether this machine has that renderer each chunk sees for itself.

    Args:
        split: Folder of the split.
        contract: The new run's; its renderer is not known yet.
        extend: Whether the split may grow to more frames.

    Returns:
        The contract to go on with, its renderers those of the split; None for a new split.

    Raises:
        InputError: The first field that differs, a contract that was changed by hand, frames without a contract, or a
            split that was imported.
    """
    if not any((split / name).exists() for name in (CONTRACT, COPY)):
        if (split / JOURNAL).exists():
            raise InputError("out", str(split), f"an empty folder, or a split with its {CONTRACT}; it is missing")
        return None
    begun = Contract.read(split)
    if begun.imported:
        raise InputError("out", str(split), "a split that was generated; this one was imported")
    contract = dataclasses.replace(contract, renderer=begun.renderer, other_renderers=begun.other_renderers)
    grown = extend and contract.frames > begun.frames
    difference = first_difference(_comparable(begun, grown=grown), _comparable(contract, grown=grown))
    if difference is not None:
        field, old, new = difference
        allowed = f"{'its default' if old is None else repr(old)}, with which {split} was begun"
        if field == "frames":
            allowed += ", or --extend and a larger number to grow it"
        raise InputError(field.removeprefix("parameters.").removeprefix("views."), new, allowed)
    if grown:
        contract.write(split)
    return contract


def _comparable(contract: Contract, *, grown: bool) -> dict[str, Any]:
    """What of a contract a run asks for, under the names it is asked by; first what decides the number of frames."""
    asked = {"views": contract.views} | contract.to_dict()
    asked["size"] = f"{asked.pop('width')}x{asked.pop('height')}"
    for name in ("outputs", *(["frames"] if grown else [])):  # outputs follow from the parameters
        asked.pop(name)
    return asked


class LoggedChunk(BaseModel):
    """What the log says of a chunk."""

    event: Literal["chunk"]
    frames: Annotated[int, Field(ge=0, le=FRAMES_MAX)]
    """Frames it drew."""
    seconds: Annotated[dict[str, Annotated[FiniteFloat, Field(ge=0.0)]], Field(max_length=32)]
    """Stage of the work to the time it took [s]."""
    peak_rss: Annotated[int, Field(ge=0, le=1 << 50)] = 0
    """Largest resident memory [bytes]; 0 where the log does not say."""
    host: str = ""


def read_log(path: Path) -> list[LoggedChunk]:
    """Read what a split's log says of its chunks; none where there is no log, and no line that a crash tore."""
    try:
        text = read_text(path, JSON_BYTES)
    except (OSError, ValueError):
        return []
    found: list[LoggedChunk] = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found.append(LoggedChunk.model_validate(parse_json(line)))
    return found


@dataclasses.dataclass
class Survey:
    """What was found of a split."""

    journal: OpenJournal
    """The whole frames."""
    broken: list[int]
    """Frames the journal has whose files are missing, of another size, or, where hashes were read, of other bytes."""
    extra: list[str]
    """Files that are not the split's, relative to it."""
    damaged_lines: int
    """Journal lines that are not as they were written."""


def survey(split: Path, *, frames: int, outputs: Sequence[str], hashes: bool = False) -> Survey:
    """Look at a split nobody writes to, and tidy up what a killed run left: temporary files, part journals.

    Args:
        split: Folder of the split.
        frames: Frames the split shall have.
        outputs: Outputs each frame shall have.
        hashes: Whether to read every file and compare its hash.
    """
    tidy(split, outputs)
    journal, broken, damaged, stale = OpenJournal(split, frames), set[int](), 0, False
    for line, whole in _checked_lines(split, outputs, hashes=hashes):
        if line.record is None:
            damaged += 1
            continue
        stale = stale or not line.whole
        index = line.record.index
        if index >= frames:
            stale = True
        elif whole:
            journal.note(index, line.start)
            broken.discard(index)
        else:
            journal.note(index, ABSENT)
            broken.add(index)
    if damaged or stale or broken:
        journal.sort()
    if _take_parts(split, journal, broken):
        journal.sort()
    extra = sorted(_extra_files(split, frames=frames, outputs=outputs))
    return Survey(journal=journal, broken=sorted(broken), extra=extra, damaged_lines=damaged)


def _checked_lines(split: Path, outputs: Sequence[str], *, hashes: bool) -> Iterator[tuple[JournalLine, bool]]:
    """Lines of the journal, and whether the frame of each is whole on disk; some in memory at a time."""
    lines = read_lines(split / JOURNAL)
    with ThreadPoolExecutor() as pool:
        while batch := list(islice(lines, LINES_AT_ONCE)):
            yield from zip(batch, pool.map(partial(_is_whole, split, outputs, hashes), batch), strict=True)


def _is_whole(split: Path, outputs: Sequence[str], hashes: bool, line: JournalLine) -> bool:
    record = line.record
    if record is None or set(record.bytes) != {file_name(output, record.index) for output in outputs}:
        return False
    return present(split, record) and (not hashes or _same(split, record))


def tidy(split: Path, outputs: Sequence[str]) -> None:
    """Delete the temporary files of writers that were killed."""
    remove_leftovers(split, stem=r"dataset(\.copy)?|frames|views|quarantine|croissant|generate\.log")
    remove_leftovers(split / COLUMNS, stem=NAME.pattern)
    for output in outputs:
        remove_leftovers(split / output, stem=rf"{output}_\d+")


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


def _extra_files(split: Path, *, frames: int, outputs: Sequence[str]) -> Iterator[str]:
    """Files below a split that are not its own, relative to it; our own folders are looked at one level deep."""
    for entry in os.scandir(split):
        if entry.name in outputs and entry.is_dir():
            for file in os.scandir(entry):
                number = re.search(r"\d+", file.name)
                index = int(number[0]) if number and len(number[0]) < 10 else frames
                if index >= frames or file_name(entry.name, index) != f"{entry.name}/{file.name}":
                    yield f"{entry.name}/{file.name}"
        elif entry.name not in OURS:
            yield entry.name + "/" * entry.is_dir()


def _same(split: Path, record: FrameRecord) -> bool:
    return all(file_digest(split / name) == h for name, h in record.sha256.items())


def _take_parts(split: Path, journal: OpenJournal, broken: set[int]) -> bool:
    """Take over frames that a killed run's chunks finished and nobody journaled; whether there were any."""
    had = len(journal)
    for part in sorted((split / CHUNKS).glob("*.jsonl")):
        found = (line.record for line in read_lines(part) if line.record is not None)
        late = {record.index: record for record in found if record.index < journal.frames}
        journal.append(
            record
            for index, record in late.items()
            if index not in journal and index not in broken and present(split, record)
        )
    shutil.rmtree(split / CHUNKS, ignore_errors=True)
    return len(journal) > had
