"""Writing frames: whole or not at all, journal ordered, torn and changed lines dropped."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_split import PARAMS, SIZE, arrays, spec, write

from regolith.lunar.dataset.checks import CHECKS
from regolith.lunar.dataset.contract import CONTRACT, COPY, Contract, digest, first_difference
from regolith.lunar.dataset.formats.source import read_sources
from regolith.lunar.dataset.layout import JOURNAL, FrameRecord, append_records, read_journal, write_journal
from regolith.lunar.dataset.outputs import ALWAYS, OUTPUTS, Output, PixelCheck, chosen
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.dataset.verify import verify
from regolith.lunar.labels import SKY, count_classes
from regolith.lunar.params import InputError, load_preset
from regolith.lunar.params.models import DatasetParams
from regolith.lunar.render.base import Frame
from regolith.lunar.stage.spec import FrameSpec


@pytest.fixture
def split(tmp_path):
    """A split of three frames with all outputs, journaled out of order."""
    contract = Contract.of(PARAMS, split="val", frames=3, seed=0, width=SIZE, height=SIZE, renderer={"name": "arrays"})
    contract.write(tmp_path)
    append_records(tmp_path, [write(tmp_path, i) for i in (2, 0, 1)])
    return tmp_path


def test_frames_are_read_back_as_written(split) -> None:
    found = open_split(split)
    assert [frame.index for frame in found] == [0, 1, 2]
    assert found[1].counts == count_classes(arrays(1)["mask"])
    assert sum(found[1].counts.values()) == SIZE * SIZE
    assert FrameSpec.from_dict(found[2].spec) == spec(2)
    assert found[0].path() == split / "rgb/rgb_00000.png" and found[0].path("mask") == split / "mask/mask_00000.png"
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
        Contract.read(tmp_path)
    (tmp_path / CONTRACT).write_text("{")
    with pytest.raises(InputError, match="well-formed"):
        Contract.read(tmp_path)
    (tmp_path / CONTRACT).write_text('{"schema": 99}')
    with pytest.raises(InputError, match="schema"):
        Contract.read(tmp_path)


def test_output_the_frame_lacks_is_refused() -> None:
    bare = Frame(rgb=arrays(0)["rgb"], mask=arrays(0)["mask"])
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


def test_every_output_but_rgb_and_mask_has_its_switch() -> None:
    switches = [name for name, field in DatasetParams.model_fields.items() if field.annotation is bool]
    assert set(switches) == set(OUTPUTS) - set(ALWAYS)
    assert chosen(load_preset("v1")) == ALWAYS and chosen(PARAMS) == tuple(OUTPUTS)


def test_another_output_is_a_row(tmp_path, monkeypatch) -> None:
    """Written, journaled, checked pixel by pixel, exported: by its row alone."""
    contract = Contract.of(PARAMS, split="val", frames=1, seed=0, width=SIZE, height=SIZE)
    check = PixelCheck("grazing", "no light on the sky", lambda light, mask: (light > 0) & (mask == SKY))
    monkeypatch.setitem(OUTPUTS, "light", Output("light", np.dtype("<f4"), check=check))
    monkeypatch.setitem(CHECKS, check.name, check.holds)
    dataclasses.replace(contract, outputs=("rgb", "mask", "light"), renderer={"name": "arrays"}).write(tmp_path)
    pixels = arrays(0, ["rgb", "mask"])
    light = np.where(pixels["mask"] == SKY, 0.0, 0.5)
    write_journal(tmp_path, {0: write(tmp_path, 0, ["rgb", "mask"], light=light)})
    assert verify(tmp_path)["problems"] == []
    (source,) = read_sources(tmp_path)
    assert (source.array("light", source.records[0]) == light.astype(np.float32)).all()
    write_journal(tmp_path, {0: write(tmp_path, 0, ["rgb", "mask"], light=light + 0.1)})
    (problem,) = verify(tmp_path)["problems"]
    assert (problem["check"], problem["where"]) == ("grazing", "light/light_00000.npy")


def test_contract_is_read_back_and_says_whose_frames_it_is_of(tmp_path) -> None:
    drawn = Contract.of(PARAMS, split="val", frames=3, seed=7, width=64, height=48)
    drawn.write(tmp_path)
    assert Contract.read(tmp_path) == drawn and drawn.params == PARAMS and not drawn.imported
    other = drawn.drawn_by({"name": "one"}).drawn_by({"name": "two"}).drawn_by({"name": "one"})
    assert (other.renderer, other.other_renderers) == ({"name": "one"}, ({"name": "two"},))
    assert other.digest != drawn.digest and drawn.renderer == {}
    found = Contract.of_import(split="real", frames=3, width=64, height=48)
    assert found.imported and found.outputs == ALWAYS
    with pytest.raises(InputError, match="parameters: missing"):
        _ = found.params


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"width": "64"}, r"width: '64' is not allowed; allowed: a value of type int"),
        ({"version": None}, r"version: missing; allowed: a value of type str"),
        ({"outputs": "rgb"}, r"outputs: 'rgb' is not allowed; allowed: a value of type list"),
        ({"weather": "fine"}, r"field: 'weather' is not allowed; allowed: schema, version"),
        ({"frames": 10**12}, r"frames: 1000000000000 is not allowed; allowed: 1 … 1000000$"),
        ({"frames": True}, r"frames: True is not allowed; allowed: a value of type int"),
        ({"height": 0}, r"height: 0 is not allowed; allowed: 1 … 65535"),
    ],
)
def test_contract_with_other_fields_is_refused(split, changes, line) -> None:
    data = Contract.read(split).to_dict() | changes
    (split / COPY).unlink()
    (split / CONTRACT).write_text(json.dumps(data | {"digest": digest(data)}))
    with pytest.raises(InputError, match=line):
        Contract.read(split)
