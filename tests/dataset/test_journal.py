"""The journal while a split is drawn: which frames there are, in memory that hardly grows with them."""

import dataclasses
import hashlib
import json
import os
import random
import shutil
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from small_split import PARAMS, SIZE, spec, write, write_split

from regolith.lunar.dataset.checks import FrameCheck
from regolith.lunar.dataset.chunk import ChunkTask
from regolith.lunar.dataset.chunked_run import ChunkedRun
from regolith.lunar.dataset.contract import CONTRACT, COPY, Contract
from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.journal import ABSENT, OpenJournal
from regolith.lunar.dataset.layout import (
    JOURNAL,
    FrameRecord,
    append_records,
    journal_lines,
    read_journal,
    write_journal,
)
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.dataset.survey import survey
from regolith.lunar.dataset.verify import verify
from regolith.lunar.params import InputError, load_preset
from regolith.lunar.render.base import run_through
from training.data import Frames

SPEC = spec(0).to_dict()
BYTES_A_FRAME = 300
"""What a run may take for a frame more, where a journal line has 1400 bytes and a record 3400."""


class Drawn:
    """An executor whose chunks are drawn at once: links to one picture, and the lines of their frames."""

    shares_memory = False
    slots = 4
    pause_s = 0.0

    def __init__(self, picture: Path) -> None:
        self.picture = picture

    def start(self, task: ChunkTask) -> Any:
        with task.part.open("w") as part:
            for index in task.indices:
                part.write(line_of(task.split, index, self.picture).to_line() + "\n")
        result = {"status": "finished", "error": None, "renderer": {"name": "arrays"}, "seconds": {}, "host": ""}
        task.result.write_text(json.dumps(result | {"frames": len(task.indices), "peak_rss": 1}))
        return Ended(task)

    def check_nodes(self, backend: str, begun: dict[str, Any] | None) -> None: ...

    def describe(self, backend: str) -> None: ...

    def held_bytes(self) -> int:
        return 0

    def close(self) -> None: ...


@dataclasses.dataclass
class Ended:
    """A chunk that has ended."""

    task: ChunkTask

    def poll(self) -> str:
        return "ended"

    def resident_bytes(self) -> None: ...

    def kill(self) -> None: ...


def line_of(split: Path, index: int, picture: Path) -> FrameRecord:
    """Put links in the place of a frame's files, and return its line."""
    names = [f"{output}/{output}_{index:05d}.png" for output in ("rgb", "mask")]
    for name in names:
        (split / name).parent.mkdir(exist_ok=True)
        if not (split / name).exists():
            os.link(picture, split / name)
    counts = {"regolith": SIZE * SIZE, "rock": 0, "sky": 0, "ignore": 0}
    sizes = dict.fromkeys(names, picture.stat().st_size)
    return FrameRecord(index, index, SPEC, dict.fromkeys(names, "0" * 64), sizes, counts)


def complete(folder: Path, frames: int) -> dict[str, Any]:
    """Draw a split of so many frames by `Drawn`."""
    picture = folder / "picture"
    picture.write_bytes(b"picture")
    contract = Contract.of(load_preset("v3"), split="val", frames=frames, seed=0, width=SIZE, height=SIZE)
    run = ChunkedRun(
        folder / "val", contract, Drawn(picture), workers=2, chunk_frames=100, retries=0, stall_s=60.0,
        other_backend=False, emit=lambda event: None,
    )  # fmt: skip
    return run_through(run.complete(extend=True))


def peak(work: Callable[[Path], object], folder: Path) -> int:
    """Most memory some work in a folder takes [bytes].

    It is the lesser of two tries: Python's table of interned names takes 2 MB more in the one during which it grows.
    """
    peaks = []
    for attempt in ("first", "again"):
        (folder / attempt).mkdir(parents=True)
        tracemalloc.start()
        try:
            work(folder / attempt)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)


def complete_twice(folder: Path, frames: int) -> None:
    """Complete a split, and find it complete."""
    assert complete(folder, frames)["drawn"] == frames
    assert complete(folder, frames)["drawn"] == 0


def test_memory_hardly_grows_with_the_frames(tmp_path: Path) -> None:
    complete_twice(tmp_path, 100)  # what is loaded and cached once
    few, many = (peak(partial(complete_twice, frames=n), tmp_path / f"{n}") for n in (200, 500))
    assert (many - few) / 300 < BYTES_A_FRAME, f"{(many - few) / 300:.0f} bytes a frame"


READERS = {
    "read": (lambda split: list(map(type, read_source(split).records)), 1000),
    "verify": (verify, 1000),
    "train": (lambda split: Frames(split, field="split", workers=1).counts, 1200),
}
"""What reads a split, and the most it may take for a frame more [bytes]; every record held would be 3400."""


@pytest.fixture(scope="module")
def alikes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Splits by their number of frames, each with a journal as that of others and the files of one frame."""
    splits = {}
    for frames in (20, 100, 400):
        split = splits[frames] = write_split(tmp_path_factory.mktemp(f"{frames}") / "val", 1)
        dataclasses.replace(Contract.read(split), frames=frames).write(split)
        (record,) = read_journal(split).values()
        write_journal(split, {index: alike(record, index) for index in range(frames)})
    return splits


@pytest.mark.parametrize("name", READERS)
def test_readers_hold_lines_and_not_records(
    alikes: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of frames whose journal is as that of others, and whose pictures nobody looks at."""
    monkeypatch.setattr("regolith.lunar.dataset.verify.check_frame", lambda split, record: FrameCheck(record.index))
    monkeypatch.setattr("training.data.MEMORY_SHARE", 0.0)
    read, most = READERS[name]
    first, few, many = alikes  # the first loads and caches what it does once
    read(alikes[first])
    fewer, more = (peak(lambda folder, n=n: read(alikes[n]), tmp_path / f"{n}") for n in (few, many))
    each = (more - fewer) / (many - few)
    assert each < most, f"{each:.0f} bytes a frame"


def alike(record: FrameRecord, index: int) -> FrameRecord:
    """A record with the values and the files of another frame."""
    drawn = spec(index)
    files = {name.replace("00000", f"{index:05d}"): name for name in record.sha256}
    return FrameRecord(
        index,
        drawn.seed,
        drawn.to_dict(),
        {name: hashlib.sha256(name.encode()).hexdigest() for name in files},
        {name: record.bytes[first] for name, first in files.items()},
        record.counts,
    )


def test_journal_knows_what_was_appended_dropped_and_sorted(tmp_path: Path) -> None:
    """The file is the one that a rewrite of all records would give."""
    records = {index: write(tmp_path, index, ["rgb", "mask"]) for index in range(8)}
    order = list(records)
    random.Random(1).shuffle(order)
    journal = OpenJournal(tmp_path, 8)
    assert len(journal) == 0 and list(journal.records()) == []
    for index in order[:6]:
        journal.append([records[index]])
    journal.append([])
    journal.note(order[0], ABSENT)
    kept = sorted(order[1:6])
    assert journal.missing().tolist() == sorted({*order} - {*kept}) and order[0] not in journal
    assert len(journal) == 5 and [record.index for record in journal.records()] == kept
    journal.sort()
    assert (tmp_path / JOURNAL).read_bytes() == b"".join(journal_lines({index: records[index] for index in kept}))
    journal.append([records[index] for index in journal.missing().tolist()])
    assert list(journal.records()) == list(records.values()) and read_journal(tmp_path) == records


def test_survey_keeps_the_last_line_of_a_frame_and_drops_the_rest(tmp_path: Path) -> None:
    """Frames beyond the contract, a damaged line, a frame whose files are gone, a line without its end."""
    split = write_split(tmp_path / "val", 6)
    records = read_journal(split)
    append_records(split, [records[1]])
    data = (split / JOURNAL).read_bytes().replace(b'"index":2', b'"index":7', 1)
    (split / JOURNAL).write_bytes(data[:-1])
    (split / "depth/depth_00003.npy").unlink()
    found = survey(split, frames=5, outputs=Contract.read(split).outputs)
    assert found.broken == [3] and found.damaged_lines == 1
    assert found.journal.missing().tolist() == [2, 3] and len(found.journal) == 3
    assert sorted(read_journal(split)) == [0, 1, 4]
    assert found.extra == [f"{name}/{name}_00005.{end}" for name, end in (
        ("crater", "png"), ("depth", "npy"), ("disparity", "npy"), ("hazard", "png"), ("instance", "png"),
        ("mask", "png"), ("normals", "npy"), ("rgb", "png"), ("right", "png"), ("shadow", "png"), ("slope", "npy"),
    )]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"frames": 10**12}, "frames: 1000000000000 is not allowed; allowed: 1 … 1000000"),
        ({"width": 10**9}, "width: 1000000000 is not allowed"),
        ({"parameters": PARAMS.model_dump(mode="json") | {"randomize": {"redraws": 10**30}}}, "randomize.redraws"),
        ({"parameters": {"rocks": "x" * 2_000_000}}, "dataset.json can be read (larger than 1 MiB)"),
    ],
)
def test_contract_that_asks_for_too_much_is_refused_when_it_is_read(tmp_path: Path, changes: Any, line: str) -> None:
    """Its digest is right: whoever wrote it meant it so. Nothing that takes hours is begun."""
    split = write_split(tmp_path / "val")
    dataclasses.replace(Contract.read(split), **changes).write(split)
    problems = verify(split)["problems"]
    assert {problem["where"] for problem in problems} == {CONTRACT, COPY} and line in problems[0]["problem"]
    if "redraws" not in line:
        with pytest.raises(InputError) as caught:
            open_split(split)
        assert line in str(caught.value)


@pytest.mark.parametrize("name", [CONTRACT, JOURNAL, "mask/mask_00001.png"])
def test_pipes_in_a_split_are_not_waited_for(tmp_path: Path, name: str) -> None:
    split = write_split(tmp_path / "val")
    for path in {split / name, split / COPY if name == CONTRACT else split / name}:
        path.unlink()
        os.mkfifo(path)
    assert any("not a regular file" in problem["problem"] for problem in verify(split)["problems"])
    with pytest.raises(InputError, match="not a regular file"):
        [frame.mask for frame in open_split(split)]


def test_redraws_and_counts_no_run_writes_are_no_line(tmp_path: Path) -> None:
    record = write(tmp_path, 0, ["rgb", "mask"])
    for changes in ({"redraws": 10**30}, {"counts": {}}, {"index": -1}, {"index": 10**6}, {"counts": {"rock": 1}}):
        with pytest.raises(ValueError):
            FrameRecord.from_line(dataclasses.replace(record, **changes).to_line())
    assert FrameRecord.from_line(record.to_line()) == record


def test_generation_goes_on_with_either_copy_of_the_contract(tmp_path: Path) -> None:
    """What was damaged is written again; a split of an earlier version gets its copy."""
    complete(tmp_path, 4)
    text = (tmp_path / "val" / CONTRACT).read_bytes()
    for name in (CONTRACT, COPY):
        for damage in (b"{", b"", None):
            (tmp_path / "val" / name).unlink()
            if damage is not None:
                (tmp_path / "val" / name).write_bytes(damage)
            assert complete(tmp_path, 4)["drawn"] == 0
            assert (tmp_path / "val" / CONTRACT).read_bytes() == (tmp_path / "val" / COPY).read_bytes() == text
    shutil.rmtree(tmp_path / "val")
