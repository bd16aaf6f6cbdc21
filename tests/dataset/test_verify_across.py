"""Verification across splits: scenes, frames and domains that are not apart, copies, imported splits."""

import dataclasses
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_split import PARAMS, write_split
from verify_split import change_contract, change_record, checks, found, imported, read_rgb, rewrite

from regolith.lunar.dataset.contract import CONTRACT, COPY
from regolith.lunar.dataset.duplicates import DISTANCE, HASH_SIDE, earlier_copies, picture_bits
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.verify import verify
from regolith.lunar.dataset.views import Views
from regolith.lunar.params import Interval
from regolith.lunar.stage.spec import FrameSpec


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An undamaged split of three frames; tests that damage one damage a copy."""
    return write_split(tmp_path_factory.mktemp("whole") / "val")


@pytest.fixture
def split(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "val"))


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


def test_a_part_without_a_whole_frame_of_the_split_is_checked(dataset) -> None:
    """Its only frame is torn, so it shares none with the split; what is wrong is told all the same."""
    shutil.copytree(dataset / "train_dr", dataset / "train_dr_3")
    for index in range(3):
        (dataset / f"train_dr_3/rgb/rgb_{index:05d}.png").write_bytes(b"torn")
    problems = found(dataset)
    assert problems and {check for check, _ in problems} == {"files"}


def test_test_domain_that_overlaps_is_found(dataset) -> None:
    """Each split alone fits its own contract; only side by side do they overlap."""
    low = PARAMS.test_domain.model_copy(update={"albedo": Interval(0.05, 0.08)})
    near = PARAMS.domain.model_copy(update={"albedo": Interval(0.17, 0.2)})
    shutil.rmtree(dataset / "val")
    write_split(dataset / "val", split="val", params=PARAMS.model_copy(update={"domain": near, "test_domain": low}))
    assert found(dataset / "val") == [("domains", "albedo")]
    assert found(dataset / "train_dr") == []


def test_neighbour_that_cannot_be_read_is_noted(dataset) -> None:
    for name in (CONTRACT, COPY):
        (dataset / "train_dr" / name).write_text("{")
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
@given(st.integers(0, 2**32), st.tuples(st.integers(8, 200), st.integers(8, 200)), st.sampled_from([1, 3, 8, 200]))
def test_hash_is_that_of_imagehash(seed: int, size: tuple[int, int], coarseness: int) -> None:
    """Of noise, of blots and of plain grey."""
    imagehash = pytest.importorskip("imagehash", reason="Isaac Sim has no imagehash")
    noise = np.random.default_rng(seed).integers(0, 256, (200 // coarseness, 200 // coarseness, 3), np.uint8)
    picture = Image.fromarray(noise).resize(size)
    expected = np.packbits(imagehash.phash(picture, hash_size=HASH_SIDE).hash)
    assert np.array_equal(picture_bits(np.asarray(picture)).view(np.uint8), expected)


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
        apart = np.unpackbits((bits[:j] ^ bits[j]).view(np.uint8), axis=1).sum(axis=1)
        near = np.flatnonzero(apart <= DISTANCE)
        expected += [(j, int(near[0]), int(apart[near[0]]))] if len(near) else []
    assert earlier_copies(bits) == expected


def test_copied_frame_is_found_once(split) -> None:
    rewrite(split, 2, rgb=read_rgb(split, 0))
    (only,) = verify(split)["problems"]
    assert (only["check"], only["where"]) == ("duplicates", "frame 2") and "frame 0 (0 of 256" in only["problem"]


def test_hashes_of_one_series_are_not_compared() -> None:
    """One of it that is near to another series is told of all the same, though one of its own is nearer."""
    bits = np.zeros((5, HASH_SIDE**2 // 64), np.uint64)
    bits[1:3, 0], bits[4, 0] = 7, 1
    series = np.array([3, -1, 3, 3, -1])
    assert earlier_copies(bits, series=series) == [(1, 0, 3), (2, 1, 0), (3, 1, 3), (4, 0, 1)]
    assert earlier_copies(bits, series=np.zeros(5, np.int64)) == []


def drive(split: Path, pictures: list[np.ndarray], *, scenes: list[int], times: list[float]) -> list[dict]:
    """Turn a split into pictures along drives; what `verify` then says of copies."""
    drawn = [FrameSpec.from_dict(read_journal(split)[index].spec) for index in range(len(pictures))]
    specs = tuple(
        dataclasses.replace(spec, scene=scene, time_s=time_s, values=drawn[scene].values)
        for spec, scene, time_s in zip(drawn, scenes, times, strict=True)
    )
    views = Views(specs, {"made_by": "traverse"})
    views.restore(split)
    change_contract(split, views=views.note)
    for index, (rgb, spec) in enumerate(zip(pictures, specs, strict=True)):
        rewrite(split, index, rgb=rgb)
        change_record(split, index, spec=spec.to_dict())
    result = verify(split)
    assert checks(result)["duplicates"] == len(pictures)
    assert not [problem for problem in result["problems"] if problem["check"] == "contract"]
    return [problem for problem in result["problems"] if problem["check"] == "duplicates"]


def test_frames_along_a_drive_may_be_alike(split) -> None:
    """What shows the same to the byte, or at one time, or is alike on another drive, is a copy all the same."""
    near = [np.clip(smooth_picture(0)[:32, :32].astype(np.int16) + k, 0, 255).astype(np.uint8) for k in (0, 3, 6)]
    assert len(earlier_copies(np.stack([picture_bits(rgb) for rgb in near]))) == 2
    assert drive(split, near, scenes=[0, 0, 0], times=[0.0, 0.2, 0.4]) == []
    (only,) = drive(split, near, scenes=[0, 0, 0], times=[0.0, 0.0, 0.4])
    assert only["where"] == "frame 1" and "frame 0 (0 s into the same drive)" in only["problem"]
    (only,) = drive(split, [near[0], near[1], near[0]], scenes=[0, 0, 0], times=[0.0, 0.2, 0.4])
    assert only["where"] == "frame 2" and "frame 0 (byte by byte)" in only["problem"]
    elsewhere = drive(split, near, scenes=[0, 1, 1], times=[0.0, 0.0, 0.4])
    assert [problem["where"] for problem in elsewhere] == ["frame 1", "frame 2"]


def test_imported_split_has_no_intervals_and_no_domain(dataset) -> None:
    result = verify(imported(dataset / "val"))
    assert result["problems"] == []
    assert [name for name in ("parameters", "draws", "splits", "domains") if checks(result)[name] is not None] == []
    assert checks(result)["class counts"] == 3
