"""Verification: whatever is damaged, missing, drawn elsewhere or shown twice is found, and named where it is."""

import dataclasses
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_split import PARAMS, SIZE, arrays, write_split
from verify_split import change_contract, change_record, checks, found, read_rgb, rewrite

from regolith.lunar import cli
from regolith.lunar.dataset.contract import CONTRACT, COPY, Contract
from regolith.lunar.dataset.layout import JOURNAL, read_journal, write_journal
from regolith.lunar.dataset.outputs import OUTPUTS, file_name
from regolith.lunar.dataset.verify import verify
from regolith.lunar.params import Interval
from regolith.lunar.randomize import draw_values, frame_seed


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An undamaged split of three frames; tests that damage one damage a copy."""
    return write_split(tmp_path_factory.mktemp("whole") / "val")


@pytest.fixture
def split(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "val"))


def test_whole_split_passes_every_check(whole) -> None:
    result = verify(whole)
    assert result["problems"] == [] and result["notes"] == [] and result["frames"] == 3
    assert checks(result) == {
        "contract": 2, "journal": 3, "indices": 3, "files": 3, "pictures": 33, "mask values": 3, "class counts": 3,
        "instances": 3, "depth": 3, "normals": 3, "disparity": 3, "triangulation": 3, "parameters": 3, "draws": 3,
        "shadows": 3, "craters": 3, "slopes": 3, "hazards": 3, "steepness": 3, "quarantine": None, "columns": None,
        "splits": None, "domains": None, "duplicates": 3,
    }  # fmt: skip


FILES = [CONTRACT, COPY, JOURNAL, *(file_name(output, 1) for output in OUTPUTS)]


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_every_flipped_bit_is_found(whole, tmp_path_factory, name: str, position: float, bit: int) -> None:
    """One bit anywhere in any file of a dataset; the other files and the file's neighbours are not blamed."""
    folder = tmp_path_factory.mktemp("flipped") / "val"
    shutil.copytree(whole, folder, copy_function=lambda source, to: Path(to).hardlink_to(source))
    data = bytearray((whole / name).read_bytes())
    data[int(position * len(data))] ^= 1 << bit
    (folder / name).unlink()
    (folder / name).write_bytes(data)
    problems = verify(folder)["problems"]
    if name == JOURNAL:
        assert problems[0]["where"].startswith(JOURNAL)
        assert {problem["check"] for problem in problems} == {"journal", "indices"}
    else:
        assert [problem["where"] for problem in problems] == [name]
    shutil.rmtree(folder)


def test_every_bit_of_the_contract_and_of_a_line_counts(split) -> None:
    """The same over all bytes where a flip may leave the values as they are: white space, the case of an exponent."""
    contract = Contract.read(split)
    rocks = contract.parameters["rocks"] | {"diameter_min_m": 1e-05}
    dataclasses.replace(contract, parameters=contract.parameters | {"rocks": rocks}).write(split)
    text = (split / CONTRACT).read_text()
    assert "1e-05" in text
    (split / CONTRACT).write_text(text.replace("1e-05", "1E-05"))
    assert ("contract", CONTRACT) in found(split)
    (split / CONTRACT).write_text(text + " ")
    assert ("contract", CONTRACT) in found(split)
    (split / CONTRACT).unlink()
    assert ("contract", CONTRACT) in found(split)


def test_lost_and_shortened_files_are_found(split) -> None:
    (split / file_name("depth", 1)).unlink()
    data = (split / file_name("rgb", 2)).read_bytes()
    (split / file_name("rgb", 2)).write_bytes(data[:-1])
    assert found(split) == [("files", file_name("depth", 1)), ("files", file_name("rgb", 2))]


def test_gaps_surplus_frames_and_unlisted_outputs_are_found(split) -> None:
    records = read_journal(split)
    short = dataclasses.replace(records[2], sha256={k: v for k, v in records[2].sha256.items() if "depth" not in k})
    write_journal(split, {2: short})
    assert found(split) == [("indices", "frames 0–1"), ("files", file_name("depth", 2))]
    write_journal(split, records)
    change_contract(split, frames=2)
    assert found(split) == [("indices", "frame 2")]


def test_torn_journal_is_found(split) -> None:
    data = (split / JOURNAL).read_bytes()
    (split / JOURNAL).write_bytes(data[:-1])
    assert found(split) == [("journal", JOURNAL)]
    (split / JOURNAL).write_bytes(data[:-40])
    assert found(split) == [("journal", JOURNAL), ("indices", "frame 2")]
    for lost in (lambda: (split / JOURNAL).write_bytes(b""), (split / JOURNAL).unlink):
        lost()
        assert found(split) == [("journal", JOURNAL), ("indices", "frames 0–2")]


MASK = arrays(1)["mask"]


@pytest.mark.parametrize(
    ("check", "output", "array"),
    [
        ("mask values", "mask", np.where(MASK == 0, 7, MASK).astype(np.uint8)),
        ("pictures", "mask", MASK[:, :-1]),
        ("pictures", "mask", MASK.astype(np.uint16)),
        ("pictures", "rgb", MASK),
        ("pictures", "depth", arrays(1)["depth"][:-1]),
        ("pictures", "normals", arrays(1)["normals"][..., 0]),
        ("instances", "instance", np.zeros((SIZE, SIZE), np.uint16)),
        ("instances", "instance", np.ones((SIZE, SIZE), np.uint16)),
        ("depth", "depth", np.ones((SIZE, SIZE), np.float32)),
        ("depth", "depth", np.full((SIZE, SIZE), np.inf, np.float32)),
        ("depth", "depth", np.where(MASK == 2, np.inf, np.nan)),
        ("pictures", "right", arrays(1)["right"][..., 0]),
        ("disparity", "disparity", np.zeros((SIZE, SIZE), np.float32)),
        ("disparity", "disparity", np.ones((SIZE, SIZE), np.float32)),
        ("triangulation", "disparity", np.nextafter(arrays(1)["disparity"], 9e9) * (1 + 2e-6)),
        ("triangulation", "disparity", arrays(1)["disparity"][:, ::-1]),
        ("triangulation", "disparity", 1.5 * arrays(1)["disparity"]),
        ("shadows", "shadow", np.zeros((SIZE, SIZE), np.uint8)),
        ("shadows", "shadow", np.where(MASK < 2, 3, 255).astype(np.uint8)),
        ("craters", "crater", np.ones((SIZE, SIZE), np.uint16)),
        ("slopes", "slope", np.nan_to_num(arrays(1)["slope"])),
        ("slopes", "slope", np.where(MASK < 2, 91, np.nan).astype(np.float32)),
        ("hazards", "hazard", np.zeros((SIZE, SIZE), np.uint8)),
        ("hazards", "hazard", np.where(MASK < 2, 4, 255).astype(np.uint8)),
        ("steepness", "hazard", np.where(MASK < 2, arrays(1)["hazard"] ^ 1, 255).astype(np.uint8)),
        ("normals", "normals", 1.01 * arrays(1)["normals"]),
        ("normals", "normals", np.where(MASK[..., None] == 2, [0, 0, 1], arrays(1)["normals"])),
    ],
)  # fmt: skip
def test_frames_that_were_written_wrong_are_found(split, check: str, output: str, array: np.ndarray) -> None:
    """Size and hash are as journaled: only what is in the file tells."""
    rewrite(split, 1, **{output: array})
    assert (check, file_name(output, 1)) in found(split)
    assert {where for _, where in found(split)} <= {
        file_name(name, 1) for name in (output, "instance", "depth", "disparity", "shadow", "crater", "slope", "hazard")
    }


def test_file_of_another_kind_is_found(split) -> None:
    """A journaled file that is no picture, and a palette picture whose numbers happen to be classes."""
    palette = io.BytesIO()
    Image.fromarray(MASK).convert("P").save(palette, "PNG")
    for data, problem in ((b"GIF89a", "decoded"), (palette.getvalue(), "type P")):
        name = file_name("mask", 1)
        (split / name).write_bytes(data)
        record = read_journal(split)[1]
        sha256 = record.sha256 | {name: hashlib.sha256(data).hexdigest()}
        change_record(split, 1, sha256=sha256, bytes=record.bytes | {name: len(data)})
        (only,) = verify(split)["problems"]
        assert only["check"] == "pictures" and only["where"] == name and problem in only["problem"]


def test_counts_of_the_journal_are_compared_with_the_mask(split) -> None:
    counts = read_journal(split)[0].counts
    change_record(split, 0, counts=counts | {"rock": counts["rock"] + 1})
    assert found(split) == [("class counts", file_name("mask", 0))]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"sun_elevation_deg": 60.0}, "sun_elevation_deg 60 outside"),
        ({"albedo": None}, "albedo nan outside"),
        ({"invented": 1.0}, "invented 1 is no value"),
        ({"split": "train_dr"}, "split train_dr"),
        ({"scene": 3}, "scene 3"),
        ({"index": 7}, "index 7"),
        ({"seed": 7}, "seed 7"),
    ],
)
def test_frames_drawn_elsewhere_are_found(split, changes: dict[str, Any], text: str) -> None:
    change_record(split, 1, spec=read_journal(split)[1].spec | changes)
    (only,) = verify(split)["problems"]
    assert only["check"] == "parameters" and only["where"] == "frame 1" and text in only["problem"]


def test_frames_of_another_seed_are_found(split) -> None:
    """Inside every interval, but not what the split's seed gives."""
    record = read_journal(split)[1]
    other = draw_values(PARAMS, 1, "val", 1) | {"fov_deg": record.spec["fov_deg"]}  # the lens is the disparity's
    change_record(split, 1, spec=record.spec | other)
    (only,) = verify(split)["problems"]
    assert (only["check"], only["where"]) == ("draws", "frame 1")
    assert "sun_" in only["problem"] and "the dataset's seed gives" in only["problem"] and "more" in only["problem"]
    change_record(split, 1, spec=record.spec | {"albedo": float(np.nextafter(record.spec["albedo"], 1))})
    assert found(split) == [("draws", "frame 1")]
    seed = frame_seed(1, "val", 1)
    change_record(split, 1, spec=record.spec | {"seed": seed}, seed=seed)
    assert found(split) == [("draws", "frame 1")]
    change_contract(split, seed=1)
    assert found(split) == [("draws", f"frame {index}") for index in range(3)]


def test_a_frame_of_another_lens_or_pair_is_found(split) -> None:
    """The disparity tells, whatever the journal and the contract say of camera and baseline."""
    spec, where = read_journal(split)[1].spec, ("triangulation", file_name("disparity", 1))
    change_record(split, 1, spec=spec | {"fov_deg": 0.5 * (spec["fov_deg"] + 60.0)})
    assert where in found(split)
    change_record(split, 1, spec=spec)
    contract = Contract.read(split)
    camera = contract.parameters["camera"] | {"baseline_m": 0.31}
    change_contract(split, parameters=contract.parameters | {"camera": camera})
    assert found(split) == [("triangulation", file_name("disparity", index)) for index in range(3)]


def test_a_redrawn_frame_may_look_another_way(split) -> None:
    record = read_journal(split)[1]
    turned = record.spec | {"heading_deg": (record.spec["heading_deg"] + 90) % 360}
    change_record(split, 1, spec=turned)
    assert found(split) == [("draws", "frame 1")]
    change_record(split, 1, redraws=2)
    assert found(split) == []
    change_record(split, 1, spec=turned | {"albedo": 0.5 * (record.spec["albedo"] + 0.1)})
    assert found(split) == [("draws", "frame 1")]


def test_draws_of_another_version_are_not_judged(split) -> None:
    spec = read_journal(split)[1].spec
    change_record(split, 1, spec=spec | draw_values(PARAMS, 1, "val", 1) | {"fov_deg": spec["fov_deg"]})
    change_contract(split, version="0.0.9")
    result = verify(split)
    assert result["problems"] == [] and checks(result)["draws"] is None
    assert any("version 0.0.9" in note for note in result["notes"])


def test_frames_outside_the_rock_shares_asked_for_are_noted(tmp_path) -> None:
    asked = PARAMS.randomize.model_copy(update={"rock_share": Interval(0.0, 0.05)})
    split = write_split(tmp_path / "val", params=PARAMS.model_copy(update={"randomize": asked}))
    counts = {"regolith": SIZE * SIZE - 20, "rock": 20, "sky": 0, "ignore": 0}
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask.ravel()[:20] = 1
    depth, instance = np.ones((SIZE, SIZE), np.float32), mask.astype(np.uint16)
    normals = np.broadcast_to([0.0, 0.0, 1.0], (SIZE, SIZE, 3))
    plain = {name: np.zeros((SIZE, SIZE), np.uint8) for name in ("shadow", "hazard")}
    rewrite(split, 1, mask=mask, depth=depth, instance=instance, normals=normals, slope=0 * depth, **plain)
    assert read_journal(split)[1].counts == counts
    result = verify(split)
    assert result["problems"] == []
    (note,) = result["notes"]
    assert "2 of 3 frames outside the rock shares asked for, 0,0.05" in note


@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        ([0, None, 1, 2], ["frames.jsonl:2: is blank"]),
        ([0, 1, 2, None], ["frames.jsonl:4: is blank"]),
        ([0, 1, 1, 2], ["frames.jsonl:3: frame 1 again, as in line 2"]),
        ([0, 1, 2, 0], ["frames.jsonl:4: frame 0 again, as in line 1"]),
        ([1, 0, 2], ["frames.jsonl: not in order: the split is unfinished, or was changed"]),
        ([2, None, 1, 1, 0], ["frames.jsonl:2: is blank", "frames.jsonl:4: frame 1 again, as in line 3",
         "frames.jsonl: not in order: the split is unfinished, or was changed"]),
    ],
)  # fmt: skip
def test_lines_that_are_not_as_they_were_written_are_found(split, lines: list[int | None], problems: list[str]) -> None:
    """Every line alone is whole."""
    records = read_journal(split)
    text = "".join("\n" if index is None else records[index].to_line() + "\n" for index in lines)
    (split / JOURNAL).write_text(text)
    result = verify(split)
    assert [f"{problem['where']}: {problem['problem']}" for problem in result["problems"]] == problems
    assert {problem["check"] for problem in result["problems"]} == {"journal"}


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_a_problem(split, name: str) -> None:
    (split / name).unlink()
    (split / name).mkdir()
    problems = verify(split)["problems"]
    assert problems[0]["where"] == name and {problem["check"] for problem in problems} <= {
        "contract", "journal", "indices", "files",
    }  # fmt: skip


def test_a_file_in_the_place_of_a_folder_is_a_problem(split) -> None:
    shutil.rmtree(split / "rgb")
    (split / "rgb").touch()
    assert found(split) == [("files", file_name("rgb", index)) for index in range(3)]


def test_other_files_are_noted_and_not_judged(split) -> None:
    (split / "notes.txt").write_text("mine")
    (split / "rgb" / "rgb_00099.png").write_bytes(OUTPUTS["rgb"].encode(read_rgb(split, 0)))
    (split / ".lock").touch()
    (split / "generate.log.jsonl").touch()
    result = verify(split)
    assert result["problems"] == []
    assert [note.split(":")[0] for note in result["notes"]] == ["val/notes.txt", "val/rgb/rgb_00099.png"]


def test_command_line_says_what_is_wrong(split, tmp_path, capsys) -> None:
    assert cli.main(["verify", str(split)]) == 0
    assert "3 frames, no problem" in capsys.readouterr().out
    for index in range(3):
        for output in ("rgb", "mask", "depth", "normals", "instance"):
            (split / file_name(output, index)).unlink()
    for number in range(10):
        (split / f"mine{number}").touch()
    assert cli.main(["verify", str(split), "--json", str(tmp_path / "result.json")]) == 1
    out, err = capsys.readouterr()
    assert "15 problems" in err and "mask/mask_00002.png: No such file" in out and "and 5 more notes" in out
    assert len(json.loads((tmp_path / "result.json").read_text())["problems"]) == 15
    (split / JOURNAL).write_bytes(b"x\n" * 30)
    assert cli.main(["verify", str(split)]) == 1
    assert "and 11 more problems" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert cli.main(["verify", str(tmp_path / "empty")]) == 2
    assert cli.main(["verify", str(tmp_path / "nowhere")]) == 2
