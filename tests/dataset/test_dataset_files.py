"""Writing frames: whole or not at all, journal ordered, torn and changed lines dropped."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_split import PARAMS, SIZE, arrays, spec, write

from regolith.lunar.dataset.layout import (
    CONTRACT,
    JOURNAL,
    FrameRecord,
    first_difference,
    frame_paths,
    make_contract,
    read_contract,
    read_journal,
    write_contract,
)
from regolith.lunar.dataset.verify import verify
from regolith.lunar.dataset.write import append_records, write_journal
from regolith.lunar.labels import count_classes
from regolith.lunar.params import InputError
from regolith.lunar.render.base import Frame
from regolith.lunar.stage.spec import FrameSpec


@pytest.fixture
def split(tmp_path):
    """A split of three frames with all outputs, journaled out of order."""
    contract = make_contract(
        PARAMS, split="val", frames=3, seed=0, width=SIZE, height=SIZE, renderer={"name": "arrays"}
    )
    write_contract(tmp_path, contract)
    append_records(tmp_path, [write(tmp_path, i) for i in (2, 0, 1)])
    return tmp_path


def test_frames_are_read_back_as_written(split) -> None:
    found = list(frame_paths(split))
    assert [record.index for record, _, _ in found] == [0, 1, 2]
    assert found[1][0].counts == count_classes(arrays(1)["mask"])
    assert sum(found[1][0].counts.values()) == SIZE * SIZE
    assert FrameSpec.from_dict(found[2][0].spec) == spec(2)
    assert found[0][1] == split / "rgb/rgb_00000.png" and found[0][2] == split / "mask/mask_00000.png"
    (only,) = verify(split)["problems"]
    assert only["check"] == "journal" and "not in order" in only["problem"]
    write_journal(split, read_journal(split))
    assert verify(split)["problems"] == []


def test_no_temporary_file_stays(split) -> None:
    assert not list(split.rglob("*.tmp"))


def test_journal_order_does_not_tell_who_drew_first(split) -> None:
    write_journal(split, read_journal(split))
    one = (split / JOURNAL).read_bytes()
    (split / JOURNAL).unlink()
    for i in (1, 2, 0):
        append_records(split, [write(split, i)])
    write_journal(split, read_journal(split))
    assert (split / JOURNAL).read_bytes() == one


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400))
def test_torn_last_line_does_not_count(tmp_path_factory, cut: int) -> None:
    """Whatever was cut off the end, complete lines count, the torn one does not, and appending goes on cleanly."""
    folder = tmp_path_factory.mktemp("split")
    records = [write(folder, i, ["rgb", "mask"]) for i in range(3)]
    append_records(folder, records)
    whole = (folder / JOURNAL).read_bytes()
    (folder / JOURNAL).write_bytes(whole[:-cut])
    kept = whole[:-cut].count(b"\n")
    survived = read_journal(folder)
    assert sorted(survived) in (list(range(kept)), list(range(kept + 1)))  # a cut newline alone loses nothing
    append_records(folder, [records[2]])
    assert set(read_journal(folder)) >= set(range(kept)) | {2}


def test_broken_line_in_the_middle_is_named(split) -> None:
    lines = (split / JOURNAL).read_bytes().split(b"\n")
    lines[1] = b"{"
    (split / JOURNAL).write_bytes(b"\n".join(lines))
    with pytest.raises(InputError, match=r"frames\.jsonl:2"):
        read_journal(split)


def test_line_changed_by_hand_is_refused(split) -> None:
    """A line that still parses, with one count changed, is no frame any more."""
    lines = (split / JOURNAL).read_text().splitlines()
    record = json.loads(lines[0])
    record["counts"]["rock"] += 1
    changed = json.dumps(record, sort_keys=True, separators=(",", ":"))
    with pytest.raises(ValueError, match="not as it was written"):
        FrameRecord.from_line(changed)
    assert FrameRecord.from_line(lines[0]).index == 2


def test_folders_that_are_no_split_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"dataset\.json"):
        read_contract(tmp_path)
    (tmp_path / CONTRACT).write_text("{")
    with pytest.raises(InputError, match="well-formed"):
        read_contract(tmp_path)
    (tmp_path / CONTRACT).write_text('{"schema": 99}')
    with pytest.raises(InputError, match="schema"):
        read_contract(tmp_path)


def test_output_the_frame_lacks_is_refused() -> None:
    bare = Frame(rgb=arrays(0)["rgb"], label=arrays(0)["mask"])
    with pytest.raises(ValueError, match="no depth"):
        bare.arrays(["rgb", "mask", "depth"])


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ("a.c", 2, 3)),
        ({"a": 1}, {"a": 1, "b": 2}, ("b", None, 2)),
        ({"a": 1, "b": 2}, {"a": 1}, ("b", 2, None)),
        ([1], [1, 2], ("", [1], [1, 2])),
    ],
)
def test_first_difference(old, new, difference) -> None:
    assert first_difference(old, new) == difference
