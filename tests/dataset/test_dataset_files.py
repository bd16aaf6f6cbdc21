"""Writing frames: whole or not at all, journal ordered, torn lines dropped, problems found."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regolith.lunar.dataset.layout import (
    CONTRACT,
    JOURNAL,
    FrameRecord,
    file_name,
    first_difference,
    frame_paths,
    make_contract,
    read_contract,
    read_journal,
    write_contract,
)
from regolith.lunar.dataset.verify import verify
from regolith.lunar.dataset.write import append_records, write_frame, write_journal
from regolith.lunar.labels import count_classes
from regolith.lunar.params import InputError, load_preset
from regolith.lunar.randomize import frame_intervals
from regolith.lunar.render.base import Frame
from regolith.lunar.stage.spec import FrameSpec

SIZE = 32


OUTPUTS = ["rgb", "mask", "depth", "instance"]


def spec(index: int) -> FrameSpec:
    values = {name: interval.center for name, interval in frame_intervals(load_preset("v3"), "val").items()}
    return FrameSpec("val", index, 0, index, camera_x_m=0.0, camera_y_m=0.0, camera_z_m=2.0, values=values)


def arrays(index: int, outputs: Sequence[str] = OUTPUTS) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(index)
    found = {
        "rgb": rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8),
        "mask": rng.choice(np.array([0, 1, 2, 255], np.uint8), (SIZE, SIZE)),
        "depth": rng.random((SIZE, SIZE), np.float32),
        "instance": rng.integers(0, 65536, (SIZE, SIZE), np.uint16),
    }
    return {name: found[name] for name in outputs}


def write(split: Path, index: int, outputs: Sequence[str] = OUTPUTS) -> FrameRecord:
    return write_frame(split, index, arrays(index, outputs), seed=index, spec=spec(index).to_dict())


@pytest.fixture
def split(tmp_path):
    """A split of three frames with all outputs."""
    contract = make_contract(load_preset("v3"), split="val", frames=3, seed=0, width=SIZE, height=SIZE, renderer={})
    contract["outputs"] = OUTPUTS
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


@pytest.mark.parametrize("output", ["rgb", "mask", "depth", "instance"])
@settings(max_examples=12, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_every_flipped_bit_is_found(tmp_path_factory, output: str, position: float, bit: int) -> None:
    folder = tmp_path_factory.mktemp("split")
    contract = make_contract(load_preset("v3"), split="val", frames=3, seed=0, width=SIZE, height=SIZE, renderer={})
    contract["outputs"] = OUTPUTS
    write_contract(folder, contract)
    append_records(folder, [write(folder, 0)])
    path = folder / file_name(output, 0)
    data = bytearray(path.read_bytes())
    data[int(position * len(data))] ^= 1 << bit
    path.write_bytes(data)
    assert [name for name, _ in verify(folder)["problems"]] == [file_name(output, 0)]


def test_missing_file_and_gap_are_found(split) -> None:
    (split / file_name("depth", 1)).unlink()
    records = read_journal(split)
    del records[0]
    write_journal(split, records)
    names = [name for name, _ in verify(split)["problems"]]
    assert names == ["frame 0", file_name("depth", 1)]


def test_counts_of_the_journal_are_compared_with_the_mask(split) -> None:
    line = (split / JOURNAL).read_text().splitlines()
    record = json.loads(line[0])
    record["counts"]["rock"] += 1
    (split / JOURNAL).write_text("\n".join([json.dumps(record), *line[1:]]) + "\n")
    assert "class counts" in verify(split)["problems"][0][1]


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
