"""Verification: whatever is damaged, missing, drawn elsewhere or shown twice is found, and named where it is."""

import dataclasses
import hashlib
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_split import PARAMS, SIZE, arrays, write, write_split

from regolith.lunar import cli
from regolith.lunar.dataset.duplicates import DISTANCE, HASH_SIDE, earlier_copies, picture_bits
from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import CONTRACT, JOURNAL, file_name, read_contract, read_journal, write_contract
from regolith.lunar.dataset.survey import lock
from regolith.lunar.dataset.verify import repair, verify
from regolith.lunar.dataset.write import encode, write_journal
from regolith.lunar.params import CheckError, InputError, Interval, load_preset
from regolith.lunar.randomize import draw_values, frame_seed


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An undamaged split of three frames; tests that damage one damage a copy."""
    return write_split(tmp_path_factory.mktemp("whole") / "val")


@pytest.fixture
def split(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "val"))


def found(folder: Path) -> list[tuple[str, str]]:
    """Check and place of every problem."""
    return [(problem["check"], problem["where"]) for problem in verify(folder)["problems"]]


def rewrite(split: Path, index: int, **changes: Any) -> None:
    """Write a frame with other arrays, journaled as it is: only what the arrays say can be wrong."""
    write_journal(split, read_journal(split) | {index: write(split, index, **changes)})


def change_record(split: Path, index: int, **changes: Any) -> None:
    records = read_journal(split)
    write_journal(split, records | {index: dataclasses.replace(records[index], **changes)})


def change_contract(split: Path, **changes: Any) -> None:
    write_contract(split, read_contract(split) | changes)


def checks(result: dict[str, Any]) -> dict[str, int | None]:
    """How often each check was made, None where it does not apply."""
    return {row["check"]: row["checked"] if row["applies"] else None for row in result["checks"]}


def test_whole_split_passes_every_check(whole) -> None:
    result = verify(whole)
    assert result["problems"] == [] and result["notes"] == [] and result["frames"] == 3
    assert checks(result) == {
        "contract": 1, "journal": 3, "indices": 3, "files": 3, "pictures": 15, "mask values": 3, "class counts": 3,
        "instances": 3, "depth": 3, "normals": 3, "parameters": 3, "draws": 3, "splits": None, "domains": None,
        "duplicates": 3,
    }  # fmt: skip


FILES = [CONTRACT, JOURNAL, *(file_name(output, 1) for output in ("rgb", "mask", "depth", "normals", "instance"))]


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
    contract = read_contract(split)
    contract["parameters"]["rocks"]["diameter_min_m"] = 1e-05
    write_contract(split, contract)
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
        ("normals", "normals", 1.01 * arrays(1)["normals"]),
        ("normals", "normals", np.where(MASK[..., None] == 2, [0, 0, 1], arrays(1)["normals"])),
    ],
)  # fmt: skip
def test_frames_that_were_written_wrong_are_found(split, check: str, output: str, array: np.ndarray) -> None:
    """Size and hash are as journaled: only what is in the file tells."""
    rewrite(split, 1, **{output: array})
    assert (check, file_name(output, 1)) in found(split)
    assert {where for _, where in found(split)} <= {file_name(name, 1) for name in (output, "instance", "depth")}


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
    other = draw_values(PARAMS, 1, "val", 1)
    record = read_journal(split)[1]
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
    change_record(split, 1, spec=read_journal(split)[1].spec | draw_values(PARAMS, 1, "val", 1))
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
    rewrite(split, 1, mask=mask, depth=depth, instance=instance, normals=normals)
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


@pytest.fixture
def dataset(tmp_path) -> Path:
    """A dataset of three splits."""
    for name in ("train_dr", "val", "test_photoreal"):
        write_split(tmp_path / name, split=name)
    return tmp_path


def test_dataset_is_checked_split_by_split_and_across(dataset) -> None:
    result = verify(dataset)
    assert result["problems"] == [] and result["splits"] == ["test_photoreal", "train_dr", "val"]
    together = checks(result)
    assert together["splits"] == 3 and together["domains"] == 2 and together["duplicates"] == 9
    alone = checks(verify(dataset / "val"))
    assert alone["splits"] == 2 and alone["domains"] == 1 and alone["duplicates"] == 3


def test_frames_of_another_split_are_found_from_either_side(dataset) -> None:
    """A validation frame that was taken from the training split: same seed, same scene, same picture."""
    other = read_journal(dataset / "train_dr")[1]
    change_record(dataset / "val", 1, seed=other.seed)
    assert ("splits", "frame 1") in found(dataset / "val")
    assert found(dataset / "train_dr") == [("splits", "frame 1")]
    assert ("splits", "frame 1") in found(dataset)


def test_scenes_of_another_split_are_found(dataset) -> None:
    """A copy under another name shares every frame, scene and picture; under the split's own it is a part of it."""
    shutil.copytree(dataset / "train_dr", dataset / "extra")
    checked = {check for check, _ in found(dataset)}
    assert checked == {"splits", "duplicates"}
    assert ("splits", "scene 0") in found(dataset)
    (dataset / "extra").rename(dataset / "train_dr_copy")
    assert ("splits", "scene 0") in found(dataset)
    (dataset / "train_dr_copy").rename(dataset / "train_dr_3")
    assert found(dataset) == []


def test_test_domain_that_overlaps_is_found(dataset) -> None:
    """Each split alone fits its own contract; only side by side do they overlap."""
    low = PARAMS.test_domain.model_copy(update={"albedo": Interval(0.05, 0.08)})
    near = PARAMS.domain.model_copy(update={"albedo": Interval(0.17, 0.2)})
    shutil.rmtree(dataset / "val")
    write_split(dataset / "val", split="val", params=PARAMS.model_copy(update={"domain": near, "test_domain": low}))
    assert found(dataset / "val") == [("domains", "albedo")]
    assert found(dataset / "train_dr") == []


def test_neighbour_that_cannot_be_read_is_noted(dataset) -> None:
    (dataset / "train_dr" / CONTRACT).write_text("{")
    result = verify(dataset / "val")
    assert result["problems"] == [] and len(result["notes"]) == 1 and "train_dr" in result["notes"][0]


def smooth_picture(seed: int) -> np.ndarray:
    """A random picture of large and small structure, uint8 [64, 64, 3]."""
    from scipy import ndimage

    draw = np.random.default_rng(seed)
    grey = sum(2.0**k * ndimage.gaussian_filter(draw.normal(size=(64, 64)), 0.5 * 2**k) for k in range(5))
    grey = 128 + 40 * np.asarray(grey) / np.std(grey)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["jpeg", "noise", "brighter", "smaller"]))
def test_copies_are_near_and_others_far(seed: int, how: str) -> None:
    rgb = smooth_picture(seed)
    copy = rgb
    if how == "jpeg":
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "JPEG", quality=75)
        copy = np.asarray(Image.open(buffer))
    elif how == "noise":
        noise = np.random.default_rng(seed + 1).normal(0, 3, rgb.shape)
        copy = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    elif how == "brighter":
        copy = np.clip(rgb * 1.05, 0, 255).astype(np.uint8)
    else:
        copy = np.asarray(Image.fromarray(rgb).resize((48, 48)).resize((64, 64)))
    bits = np.stack([picture_bits(picture) for picture in (rgb, smooth_picture(seed + 1), copy)])
    assert [(copy, first) for copy, first, _ in earlier_copies(bits)] == [(2, 0)]


@given(st.integers(0, 2**32), st.integers(1, 1200))
@settings(max_examples=20, deadline=None)
def test_copies_are_those_of_the_plain_comparison(seed: int, count: int) -> None:
    """In blocks or pair by pair, over more hashes than one block holds."""
    draw = np.random.default_rng(seed)
    bits = draw.integers(0, 2**64, (count, HASH_SIDE**2 // 64), np.uint64)
    for copy in draw.integers(0, count, 5):
        bits[copy] = bits[draw.integers(0, count)] ^ np.uint64(2 ** draw.integers(0, 64, dtype=np.uint64) - 1)
    expected = []
    for j in range(count):
        apart = np.bitwise_count(bits[:j] ^ bits[j]).sum(axis=1)
        near = np.flatnonzero(apart <= DISTANCE)
        expected += [(j, int(near[0]), int(apart[near[0]]))] if len(near) else []
    assert earlier_copies(bits) == expected


def test_copied_frame_is_found_once(split) -> None:
    rewrite(split, 2, rgb=read_rgb(split, 0))
    (only,) = verify(split)["problems"]
    assert (only["check"], only["where"]) == ("duplicates", "frame 2") and "frame 0 (0 of 256" in only["problem"]


def read_rgb(split: Path, index: int) -> np.ndarray:
    return np.asarray(Image.open(split / file_name("rgb", index)))


def test_other_files_are_noted_and_not_judged(split) -> None:
    (split / "notes.txt").write_text("mine")
    (split / "rgb" / "rgb_00099.png").write_bytes(encode("rgb", read_rgb(split, 0)))
    (split / ".lock").touch()
    (split / "generate.log.jsonl").touch()
    result = verify(split)
    assert result["problems"] == []
    assert [note.split(":")[0] for note in result["notes"]] == ["val/notes.txt", "val/rgb/rgb_00099.png"]


def imported(split: Path) -> Path:
    """Turn a split into one whose frames were brought in from elsewhere."""
    change_contract(split, renderer={"name": "import"}, parameters={})
    records = read_journal(split)
    write_journal(split, {i: dataclasses.replace(record, spec={}) for i, record in records.items()})
    return split


def test_imported_split_has_no_intervals_and_no_domain(dataset) -> None:
    result = verify(imported(dataset / "val"))
    assert result["problems"] == []
    assert [name for name in ("parameters", "draws", "splits", "domains") if checks(result)[name] is not None] == []
    assert checks(result)["class counts"] == 3


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


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    """A real split: six frames of two scenes."""
    base = load_preset("v1")
    dataset = base.dataset.model_copy(update={"frames_per_scene": 3, "instance": True})
    out = tmp_path_factory.mktemp("generated")
    generate(base.model_copy(update={"dataset": dataset}), out, split="val", frames=6, width=48, height=48, seed=3)
    return out / "val"


def files(split: Path) -> dict[str, bytes]:
    """Every frame's files, the journal and the contract."""
    keep = [*split.glob("*/*.*"), split / JOURNAL, split / CONTRACT]
    return {str(path.relative_to(split)): path.read_bytes() for path in sorted(keep)}


def test_repair_restores_the_same_bytes(generated, tmp_path) -> None:
    """A flipped bit, a lost file, a damaged line and a frame of other values: drawn again, and nothing else."""
    split = Path(shutil.copytree(generated, tmp_path / "val"))
    before = files(split)
    kept = (split / file_name("rgb", 5)).stat().st_mtime_ns
    change_record(split, 4, spec=read_journal(split)[4].spec | {"albedo": 0.9})
    (split / file_name("mask", 0)).unlink()
    data = bytearray((split / file_name("rgb", 1)).read_bytes())
    data[len(data) // 2] ^= 1
    (split / file_name("rgb", 1)).write_bytes(data)
    journal = bytearray((split / JOURNAL).read_bytes())
    journal[journal.index(b'"index":3') + 8] ^= 1
    (split / JOURNAL).write_bytes(journal)
    assert len(verify(split)["problems"]) == 5
    result = repair(split)
    assert result["problems"] == [] and result["repaired"] == {"val": 4}
    assert files(split) == before
    assert (split / file_name("rgb", 5)).stat().st_mtime_ns == kept
    assert repair(split)["repaired"] == {}


def test_repair_refuses_what_it_cannot_restore(split, tmp_path) -> None:
    (split / file_name("rgb", 0)).unlink()
    journal = (split / JOURNAL).read_bytes()
    with lock(split), pytest.raises(InputError, match="no other run"):
        repair(split)
    assert (split / JOURNAL).read_bytes() == journal
    aside = Path(shutil.copytree(split, tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="a folder named val"):
        repair(aside)
    with pytest.raises(InputError, match="imported"):
        repair(imported(aside))
    (split / CONTRACT).write_text("{")
    with pytest.raises(CheckError, match=r"dataset\.json is damaged and cannot be repaired"):
        repair(split)
    assert (split / JOURNAL).read_bytes() == journal


def test_repair_of_a_disk_that_cannot_be_written_is_refused(generated, tmp_path, capsys) -> None:
    split = Path(shutil.copytree(generated, tmp_path / "val"))
    (split / file_name("mask", 0)).unlink()
    mount = ["mount", "--bind", str(split), str(split)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting takes root")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(split)], check=True)
        assert cli.main(["verify", str(split), "--repair"]) == 2
    finally:
        subprocess.run(["umount", str(split)], check=True)
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"regolith: out: '{split}' is not allowed") and "Read-only file system" in line


def test_repair_on_another_back_end_has_to_be_asked_for(generated, tmp_path) -> None:
    split = Path(shutil.copytree(generated, tmp_path / "val"))
    renderer = read_contract(split)["renderer"]
    change_contract(split, renderer=renderer | {"backend": "another"})
    (split / file_name("mask", 0)).unlink()
    with pytest.raises(InputError, match=r"renderer\.backend.*other-backend"):
        repair(split)
    assert cli.main(["verify", str(split), "--repair", "--other-backend"]) == 0


def test_duplicates_are_not_repaired(generated, tmp_path) -> None:
    split = Path(shutil.copytree(generated, tmp_path / "val"))
    records = read_journal(split)
    name, copied = file_name("rgb", 2), file_name("rgb", 0)
    shutil.copyfile(split / copied, split / name)
    sha256, size = records[0].sha256[copied], records[0].bytes[copied]
    change_record(split, 2, sha256=records[2].sha256 | {name: sha256}, bytes=records[2].bytes | {name: size})
    result = repair(split)
    assert [problem["check"] for problem in result["problems"]] == ["duplicates"] and result["repaired"] == {}
