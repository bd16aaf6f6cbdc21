"""The card of a split: what it shows is what the split holds, on one page that needs no network."""

import base64
import dataclasses
import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "dataset"))

from small_split import BASE, PARAMS, SIZE, arrays, write_split  # pyright: ignore[reportMissingImports]

from regolith.lunar import cli
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.layout import read_journal, write_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.survey import LOG
from regolith.lunar.dataset.verify import verify
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.labels import NAMES
from regolith.lunar.params import Interval
from regolith.lunar.randomize import frame_intervals
from regolith.lunar.report.card import outline, write_card
from regolith.lunar.report.split_stats import (
    collect_drawn,
    equivalent_diameter,
    measure_pixels,
    read_timings,
    spread,
)
from regolith.lunar.report.truth import colour_truth

SECTIONS = [
    "Frames",
    "Stereo pairs",
    "Shadow, craters, slope, hazards",
    "Classes",
    "Apparent rock sizes",
    "Light",
    "Parameters",
    "Redraws",
    "Timings",
    "Contract",
]
CHUNK = {"event": "chunk", "frames": 20, "seconds": {"start": 1.0, "render": 4.0, "encode": 0.5, "write": 0.3},
         "peak_rss": 2**30, "host": "a"}  # fmt: skip


off = dict.fromkeys(("ground", "rocks", "craters", "sensor"), False)
FEW = PARAMS.model_copy(update={"randomize": PARAMS.randomize.model_copy(update=off)})
"""Light and camera vary, nothing else: fewer plots to draw."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A split of 30 frames of two scenes, some of them drawn again, with the log of the run and its card."""
    split = write_split(tmp_path_factory.mktemp("whole") / "val", 30, params=FEW)
    records = read_journal(split)
    write_journal(split, {i: dataclasses.replace(record, redraws=i % 3) for i, record in records.items()})
    second = CHUNK | {"frames": 10, "seconds": {"start": 0.5, "render": 3.5}, "peak_rss": 5, "host": "b"}
    lines = [json.dumps(line) for line in ({"event": "start", "frames": 99}, CHUNK, second, CHUNK | {"frames": 0})]
    (split / LOG).write_text("\n".join([*lines, '{"event": "chunk", "fra']))
    result = write_card(read_source(split), split / "card.html")
    (split.parent / "result.json").write_text(json.dumps(result))
    return split


@pytest.fixture(scope="module")
def html(whole) -> str:
    return (whole / "card.html").read_text("utf-8")


@pytest.fixture
def split(tmp_path) -> Path:
    return write_split(tmp_path / "val", 3, params=FEW)


def page(folder: Path) -> str:
    write_card(read_source(folder), folder / "card.html")
    return (folder / "card.html").read_text("utf-8")


def section(html: str, heading: str) -> str:
    """Text of one section, tags and pictures taken out."""
    body = html.split(f"<h2>{heading}</h2>")[1].split("</section>", maxsplit=1)[0]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_page_is_whole_and_needs_no_network(whole, html) -> None:
    assert re.findall(r"<h2>(.*?)</h2>", html) == SECTIONS
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert not re.findall(r"@import|url\(|<script|<link", html)
    pictures = [source for source in sources if source.startswith("data:image/")]
    assert len(pictures) == 24 + 6 + 6 + 7 and len(set(pictures)) == len(pictures)
    for source in pictures:
        kind, data = source.split(";base64,")
        assert base64.b64decode(data, validate=True)[:5] in (b"\xff\xd8\xff\xe0\x00", b"\x89PNG\r", b"<?xml"), kind
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html))
    assert facts["frames"] == "30" and facts["size"] == f"{SIZE} × {SIZE} px" and facts["preset"] == "v3"
    assert facts["digest"] == Contract.read(whole).digest[:12] and facts["scenes"] == "2"


def test_card_is_the_same_for_the_same_split_and_no_problem_of_it(split) -> None:
    assert page(split) == page(split)
    assert verify(split)["problems"] == [] and verify(split)["notes"] == []


def test_shares_and_rocks_are_those_of_the_masks(whole, html) -> None:
    result = json.loads((whole.parent / "result.json").read_text())
    masks = [np.asarray(Image.open(whole / file_name("mask", i))) for i in range(30)]
    ids = [np.asarray(Image.open(whole / file_name("instance", i))) for i in range(30)]
    values = dict(zip(NAMES, (0, 1, 2), strict=True)) | {"ignore": 255}
    assert result["shares"] == {name: np.mean([mask == value for mask in masks]) for name, value in values.items()}
    assert result["rocks"] == sum(len(np.unique(each[each > 0])) for each in ids)
    assert f"{result['rocks']:,} rocks, told apart by their instance ids" in section(html, "Apparent rock sizes")


MASK = np.zeros((12, 12), np.uint8)
MASK[1:3, 1:3] = 1  # 4 px
MASK[3, 3] = 1  # touches it at a corner: 5 px
MASK[8, 2:5] = 1  # 3 px
MASK[10, 10] = 1  # 1 px


def test_regions_are_connected_patches_where_there_are_no_ids(tmp_path) -> None:
    rgb = np.full((12, 12, 3), 90, np.uint8)
    rgb[MASK == 1] = 200
    split = write_split(tmp_path / "val", 1, params=BASE)
    dataclasses.replace(Contract.read(split), width=12, height=12).write(split)
    write_journal(split, {0: write_frame(split, 0, {"rgb": rgb, "mask": MASK}, seed=0, spec={})})
    found = measure_pixels(read_source(split), progress=lambda done, total: None)
    assert sorted(found.regions.tolist()) == [1, 3, 5]
    expected = np.zeros((3, 256), int)
    expected[0, 90], expected[1, 200] = 144 - 9, 9
    assert (found.brightness == expected).all()
    np.testing.assert_allclose(equivalent_diameter(found.regions) ** 2 * np.pi / 4, found.regions)


def test_outline_lies_around_rocks_and_leaves_them_as_they_are() -> None:
    rgb = np.zeros((12, 12, 3), np.uint8)
    drawn = np.asarray(outline(rgb, MASK).any(axis=-1))
    assert not drawn[MASK == 1].any() and drawn[0, 1] and drawn[10, 9] and not drawn[6, 8] and not rgb.any()
    assert outline(rgb, MASK, 3).any(axis=-1).sum() > drawn.sum()


def test_values_are_the_journals_beside_the_range_asked_for(whole, split, html) -> None:
    source = read_source(whole)
    records = source.records
    drawn = {each.name: each for each in collect_drawn(FEW, source)}
    ranges = frame_intervals(FEW, "val")
    assert drawn.keys() > ranges.keys() and {each.name for each in drawn.values() if each.per == "scene"} == {
        "crater_density", "rock_abundance", "rock_exponent", "relief_strength",
    }  # fmt: skip
    assert drawn["pitch_deg"].values.tolist() == [record.spec["pitch_deg"] for record in records]
    assert drawn["pitch_deg"].asked == ranges["pitch_deg"] and drawn["pitch_deg"].unit == "deg"
    assert len(drawn["crater_density"].values) == 2
    assert "Every value lies in the range" in section(html, "Parameters")
    records = read_journal(split)
    strayed = dataclasses.replace(records[0], spec=records[0].spec | {"pitch_deg": -60})
    write_journal(split, dict(records) | {0: strayed})
    assert "Outside their range: 1 values" in section(page(split), "Parameters")


def test_pairs_are_shown_with_the_range_of_their_disparity(whole, tmp_path, html) -> None:
    """Of evenly spread frames; nothing is said of pairs where a split keeps none."""
    values = []
    for index in spread(30, 6):
        disparity, mask = np.load(whole / file_name("disparity", index)), Image.open(whole / file_name("mask", index))
        values.append(disparity[np.asarray(mask) != 2])
    half, most, largest = np.quantile(np.concatenate(values), [0.5, 0.99, 1.0])
    told = section(html, "Stereo pairs")
    assert "6 frames" in told and f"at most {half:.1f} px" in told
    assert f"99 % of it {most:.1f} px and all {largest:.1f} px" in told
    dataset = BASE.dataset.model_copy(update={"depth": True})
    alone = write_split(tmp_path / "val", 2, params=FEW.model_copy(update={"dataset": dataset}))
    assert "Stereo" not in page(alone)


def test_truths_are_told_by_their_shares(whole, tmp_path, html) -> None:
    """Of evenly spread frames; nothing is said where a split keeps none, and only of what it keeps."""
    told = section(html, "Shadow, craters, slope, hazards")
    frames = spread(30, 6)
    shadow, crater, hazard = (
        np.stack([np.asarray(Image.open(whole / file_name(name, index))) for index in frames])
        for name in ("shadow", "crater", "hazard")
    )
    slope = np.stack([np.load(whole / file_name("slope", index)) for index in frames])
    assert "the picture, then shadow, crater, slope, hazard" in told
    assert f"{np.mean(shadow[shadow < 255] == 1):.0%} in cast shadow" in told
    assert f"{np.mean(crater > 0):.0%} of the pixels lie in a crater" in told
    assert f"at most {np.nanquantile(slope, 0.5):.1f}°, 95 % of it {np.nanquantile(slope, 0.95):.1f}°" in told
    assert f"{np.mean(hazard[hazard < 255] == 3):.0%} both (red)" in told
    for kept, heading in (("depth", False), ("crater", True)):
        dataset = BASE.dataset.model_copy(update={kept: True})
        html = page(write_split(tmp_path / kept, 2, params=FEW.model_copy(update={"dataset": dataset})))
        assert ("<h2>Shadow" in html) == heading and "in cast shadow" not in html


def test_colours_leave_sky_and_rover_black() -> None:
    rgb = np.full((2, 2, 3), 90, np.uint8)
    shadow = colour_truth("shadow", np.array([[0, 1], [2, 255]], np.uint8), rgb)
    hazard = colour_truth("hazard", np.array([[0, 1], [3, 255]], np.uint8), rgb)
    slope = colour_truth("slope", np.array([[0, 10], [45, np.nan]], np.float32), rgb)
    for picture in (shadow, hazard, slope):
        assert not picture[1, 1].any() and len(np.unique(picture.reshape(-1, 3), axis=0)) == 4
    crater = colour_truth("crater", np.array([[0, 1], [2, 0]], np.uint16), rgb)
    assert (crater[0, 0] == 90).all() and (crater[0, 1] != crater[1, 0]).any()


def test_redraws_are_counted(whole, html) -> None:
    assert Counter(record.redraws for record in read_journal(whole).values()) == {0: 10, 1: 10, 2: 10}
    text = section(html, "Redraws")
    assert "20 of 30 frames were drawn again" in text and "1.5 times in the mean" in text
    assert json.loads((whole.parent / "result.json").read_text())["redrawn"] == 20


def test_redrawn_frames_that_reached_the_share_asked_for_are_counted(tmp_path) -> None:
    """Frames hold about a quarter of rock; three have been drawn again, one of them still lies outside."""
    asked = FEW.randomize.model_copy(update={"rock_share": Interval(0.1, 0.4)})
    split = write_split(tmp_path / "val", 4, params=FEW.model_copy(update={"randomize": asked}))
    records = read_journal(split)
    assert all(0.1 < record.counts["rock"] / SIZE**2 < 0.4 for record in records.values())
    assert "No frame was drawn again: each had between 10.0% and 40.0%" in section(page(split), "Redraws")
    counts = {"regolith": SIZE**2, "rock": 0, "sky": 0, "ignore": 0}
    records = {i: dataclasses.replace(record, redraws=i) for i, record in records.items()}
    write_journal(split, dict(records) | {2: dataclasses.replace(records[2], counts=counts)})
    text = section(page(split), "Redraws")
    assert "3 of 4 frames were drawn again, 2.0 times in the mean." in text
    assert "between 10.0% and 40.0% of rock: 2 of the 3 came to lie there, and 3 of all 4 do." in text


@pytest.mark.parametrize("how", ["missing", "cut", "folder", "changed"])
def test_a_broken_picture_is_named_and_leads_to_verify(split, capsys, how: str) -> None:
    path = split / file_name("rgb", 1)
    data = path.read_bytes()
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how != "missing":
        path.write_bytes(data[: len(data) // 2] if how == "cut" else data[:-1] + b"x")
    assert cli.main(["card", str(split)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line and "regolith verify" in line
    assert not (split / "card.html").exists()


def test_one_frame_is_one_frame(tmp_path, capsys) -> None:
    split = write_split(tmp_path / "val", 1, params=FEW)
    assert cli.main(["card", str(split)]) == 0
    assert "card.html: 1 frame of val" in capsys.readouterr().out
    assert "1 of 1 frame, evenly" in section((split / "card.html").read_text("utf-8"), "Frames")


def test_timings_are_added_up_over_the_log(whole, html) -> None:
    timings = read_timings(whole / LOG)
    assert timings is not None and timings.frames == 30 and timings.hosts == 2 and timings.peak_rss == 2**30
    assert timings.seconds == {"start": 1.5, "render": 7.5, "encode": 0.5, "write": 0.3}
    assert json.loads((whole.parent / "result.json").read_text())["ms_per_frame"] == 300
    text = section(html, "Timings")
    assert "300 ms a frame" in text and "render 250.0 83.3% drawing" in text and "write 10.0 3.3% beside" in text


def test_split_without_a_log_says_so(split) -> None:
    assert read_timings(split / LOG) is None
    html = page(split)
    assert "There is no generate.log.jsonl" in section(html, "Timings")
    assert "No frame was drawn again: no range of rock shares" in section(html, "Redraws")


def test_imported_split_has_a_card_without_parameters(split) -> None:
    contract = Contract.read(split)
    dataclasses.replace(contract, renderer={"name": "import"}, parameters={}).write(split)
    records = read_journal(split)
    write_journal(split, {i: dataclasses.replace(record, spec={}) for i, record in records.items()})
    html = page(split)
    assert re.findall(r"<h2>(.*?)</h2>", html) == SECTIONS
    assert section(html, "Parameters") == "The frames were imported: no parameters were drawn."
    assert "Imported pictures" in html and "sun" not in section(html, "Frames")


def test_split_without_rock_and_without_ids_has_a_card(tmp_path) -> None:
    split = write_split(tmp_path / "val", 2, params=BASE)
    records = read_journal(split)
    plain = arrays(0, ["rgb", "mask"])
    plain["mask"] = np.where(plain["mask"] == 1, 0, plain["mask"]).astype(np.uint8)
    written = {i: write_frame(split, i, plain, seed=record.seed, spec=record.spec) for i, record in records.items()}
    write_journal(split, written)
    html = page(split)
    assert section(html, "Apparent rock sizes") == "There is no rock in 2 of 2 frames."
    assert "2 of 2 frames have none" in section(html, "Classes")
    assert write_card(read_source(split), split / "card.html")["small_rock_share"] is None


def test_dataset_gets_one_card_in_each_split(tmp_path, capsys) -> None:
    root = tmp_path / "data"
    for name in ("train_dr", "val"):
        write_split(root / name, 1, split=name, params=FEW)
    before = {path for path in root.rglob("*") if path.is_file()}
    assert cli.main(["card", str(root), "--json", str(tmp_path / "result.json")]) == 0
    made = {path for path in root.rglob("*") if path.is_file()} - before
    assert made == {root / "train_dr" / "card.html", root / "val" / "card.html"}
    assert [card["frames"] for card in json.loads((tmp_path / "result.json").read_text())["cards"]] == [1, 1]
    assert cli.main(["card", str(root), "--out", str(tmp_path / "x.html")]) == 2
    assert "several splits" in capsys.readouterr().err
    assert cli.main(["card", str(root / "val"), "--out", str(tmp_path / "x.html")]) == 0
    assert (tmp_path / "x.html").stat().st_size < 3e6
    assert cli.main(["card", str(tmp_path / "nowhere")]) == 2


def test_numbers_are_spread_evenly() -> None:
    assert spread(3, 24) == [0, 1, 2] and spread(0, 24) == [] and spread(1, 24) == [0]
    chosen = spread(1000, 24)
    assert len(chosen) == 24 and chosen[0] == 0 and chosen[-1] == 999 and set(np.diff(chosen)) <= {43, 44}
