"""Evaluation of a model whose answer is known: every figure can be counted by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regolith.lunar import open_split
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import append_records
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.labels import IGNORE, ROCK, SKY
from regolith.lunar.params import CheckError, InputError, Params
from regolith.lunar.perception.evaluate import EvaluateReal, EvaluateSynth
from regolith.lunar.perception.metrics import confusion_matrix, scores
from regolith.lunar.perception.score_photos import spread
from regolith.lunar.report.outcome import write_report
from regolith.lunar.stage.spec import rng

LEVELS = np.array([80, 200, 5], np.uint8)
"""Brightness the threshold model calls regolith, rock, sky."""


def draw_pair(index: int, size: tuple[int, int] = (48, 64)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return picture, truth, and what the threshold model will answer: the truth with a third of it disturbed."""
    random = rng(5, "evaluate", index)
    truth = np.zeros(size, np.uint8)
    truth[:8] = SKY
    truth[20:36, 10 : 26 + index] = ROCK
    answer = truth.copy()
    noisy = random.random(size) < 0.3
    answer[noisy] = random.integers(0, 3, noisy.sum())
    return np.repeat(LEVELS[answer][..., None], 3, axis=2), truth, answer


@pytest.fixture
def split(tmp_path: Path) -> Path:
    folder = tmp_path / "test_photoreal"
    for i in range(4):
        rgb, truth, _ = draw_pair(i)
        truth[40:, 40:] = IGNORE
        spec = {"sun_elevation_deg": 12.0 if i < 3 else 33.0}
        append_records(folder, [write_frame(folder, i, {"rgb": rgb, "mask": truth}, seed=i, spec=spec)])
    height, width = truth.shape
    contract = Contract.of(Params(), split="val", frames=4, seed=0, width=width, height=height, renderer={})
    contract.write(folder)
    return folder


def expected_confusion(frames: range) -> np.ndarray:
    total = np.zeros((3, 3), np.int64)
    for i in frames:
        _, truth, answer = draw_pair(i)
        truth[40:, 40:] = IGNORE
        total += confusion_matrix(truth, answer)
    return total


def test_synth_figures_are_global_counts(model: Path, split: Path, tmp_path: Path) -> None:
    result = EvaluateSynth(model=str(model), split=split, out=tmp_path / "out", worst=2, threads=1).run()
    confusion = expected_confusion(range(4))
    assert result["confusion"] == confusion.tolist()
    figures = scores(confusion)
    assert {key: result[key] for key in figures} == figures
    bins = result["calibration"]["bins"]
    assert sum(row["pixels"] for row in bins) == confusion.sum() and result["calibration"]["temperature"] == 1
    assert sum(row["pixels"] * row["accuracy"] for row in bins) == pytest.approx(np.trace(confusion))
    assert 0 < result["calibration"]["ece"] < 1 and 0 < result["calibration"]["ece_rock"] < 1
    with Image.open(result["reliability"]) as plot:
        assert plot.size == (460, 460) and np.asarray(plot.convert("L")).std() > 10
    low, high = result["by_sun_elevation"]
    assert (low["from_deg"], low["to_deg"], high["from_deg"], high["to_deg"]) == (10, 15, 30, 40)
    assert low["iou"] == scores(expected_confusion(range(3)))["rock"]["iou"]
    sizes = {row["from_px"]: row for row in result["by_size"]}
    assert sizes[16.0]["rocks"] == 4 and sizes[16.0]["recall"] == figures["rock"]["recall"]
    assert sizes[4.0]["recall"] is None
    assert sizes[16.0]["found_touch"] == 1 and sum(row["false_touch"] for row in sizes.values()) > 1  # specks of noise
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == result


def test_synth_has_a_contact_sheet_and_figures_of_each_stratum(model: Path, split: Path, tmp_path: Path) -> None:
    result = EvaluateSynth(model=str(model), split=split, out=tmp_path / "out", worst=0, threads=1).run()
    rows = result["strata"]
    assert [row["frames"] for row in rows] == [1, 1, 1, 1] and len({str(row["stratum"]) for row in rows}) == 4
    assert all(list(row["stratum"]) == ["sun_elevation_deg", "rock_share"] for row in rows)
    assert sum(row["tp"] for row in rows) == result["rock"]["tp"]
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    (moved / "stratum_02.png").unlink()
    write_report(moved, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "Rock by stratum" in html and html.count("1 of 1 frame") == 3 * 2  # caption and alternative text


def test_columns_are_the_figures_of_each_frame_and_only_where_asked(model: Path, split: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in split.rglob("*") if path.is_file()}
    verb = EvaluateSynth(model=str(model), split=split, out=tmp_path / "out", worst=0, threads=1)
    rows = verb.run()["per_frame"]
    assert {path: path.read_bytes() for path in split.rglob("*") if path.is_file()} == before
    verb.model_copy(update={"columns": True}).run()
    frames = open_split(split)
    assert frames.column("evaluate.rock_iou").tolist() == [row["iou"] for row in rows]
    assert len(frames.filter(columns={"evaluate.rock_recall": (0, 1)})) == 4
    assert {path for path in split.rglob("*") if path.is_file()} - set(before) == {split / "columns/evaluate.jsonl"}


def test_synth_draws_the_worst_frames(model: Path, split: Path, tmp_path: Path) -> None:
    result = EvaluateSynth(model=str(model), split=split, out=tmp_path / "out", worst=2, threads=1).run()
    worst = sorted(result["per_frame"], key=lambda r: r["iou"])[:2]
    assert [Path(p).name for p in result["pictures"]] == [
        f"worst_{rank:02d}_frame_{row['index']:05d}.png" for rank, row in enumerate(worst)
    ]
    assert all(np.asarray(Image.open(p)).shape[1] > 3 * 64 for p in result["pictures"])


@pytest.mark.parametrize("seed", range(8))
def test_synth_never_scores_a_flipped_bit(model: Path, split: Path, tmp_path: Path, seed: int) -> None:
    """Whether or not the file still decodes: it is named, with what puts it right."""
    random = rng(seed, "flip", 0)
    path = split / file_name("mask" if seed % 2 else "rgb", int(random.integers(4)))
    data = bytearray(path.read_bytes())
    data[random.integers(len(data))] ^= 1 << int(random.integers(8))
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"{path.name}: 'changed' is not allowed.*verify --repair .*` draws"):
        EvaluateSynth(model=str(model), split=split, out=tmp_path / "out", threads=1).run()
    assert not (tmp_path / "out" / "results.json").exists()


def test_synth_never_scores_swapped_masks(model: Path, split: Path, tmp_path: Path) -> None:
    one, two = (split / file_name("mask", index) for index in (0, 2))
    other = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(other)
    with pytest.raises(InputError, match=r"mask_00000\.png: 'changed'"):
        EvaluateSynth(model=str(model), split=split, out=tmp_path / "out", threads=1).run()


def test_synth_wants_a_split(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^split: "):
        EvaluateSynth(model=str(model), split=tmp_path, out=tmp_path / "out").run()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(draw_pair(i, (48, 96))[0]).save(folder / f"photo_{i}.png")
    (folder / "README.txt").write_text("no photograph")
    return folder


def write_masks(folder: Path, indices: range) -> Path:
    folder.mkdir()
    for i in indices:
        truth = draw_pair(i, (48, 96))[1]
        truth[truth == SKY] = 0  # masks of real photographs know no sky
        truth[:4] = IGNORE
        Image.fromarray(truth).save(folder / f"photo_{i}.png")
    return folder


def test_flood_counts_own_pixels_and_carries_its_note(model: Path, photos: Path, tmp_path: Path) -> None:
    result = EvaluateReal(model=str(model), images=photos, out=tmp_path / "out", size=96, threads=1).run()
    answers = [draw_pair(i, (48, 96))[2] for i in range(3)]
    floods = [float((a == ROCK).mean()) for a in answers]
    assert [r["flood"] for r in result["per_image"]] == pytest.approx(floods)
    assert [r["sky"] for r in result["per_image"]] == pytest.approx([float((a == SKY).mean()) for a in answers])
    assert result["flood"] == pytest.approx(spread(floods))
    assert result["flood"]["worst"] == pytest.approx(max(floods))
    assert "never predicts rock" in result["note"] and "rock" not in result and result["baseline"] is None
    assert sorted(p.name for p in (tmp_path / "out" / "overlays").iterdir()) == [f"photo_{i}.png.png" for i in range(3)]
    assert (tmp_path / "out" / "contact_sheet.png").exists()


def test_photographs_are_looked_at_as_the_card_says_where_nothing_is_asked_for(
    write_model: Callable[..., Path], photos: Path, tmp_path: Path
) -> None:
    one = write_model(tmp_path / "one.onnx", photo_px=64)
    left_out = EvaluateReal(model=str(one), images=photos, out=tmp_path / "a", threads=1).run()
    asked = EvaluateReal(model=str(one), images=photos, out=tmp_path / "b", size=64, threads=1).run()
    assert left_out["size"] == 64 and left_out["flood"] == asked["flood"]
    other = EvaluateReal(model=str(one), images=photos, out=tmp_path / "c", size=96, threads=1).run()
    assert other["flood"] != asked["flood"]
    two = write_model(tmp_path / "two.onnx", photo_px=64, photo_tta="flip-scale")
    averaged = EvaluateReal(model=str(two), images=photos, out=tmp_path / "d", threads=1).run()
    assert averaged["tta"] == "flip-scale" and averaged["flood"] != left_out["flood"]
    plain = EvaluateReal(model=str(two), images=photos, out=tmp_path / "e", tta="none", threads=1).run()
    assert plain["flood"] == left_out["flood"]


def test_published_protocol_counts_the_bars(model: Path, tmp_path: Path) -> None:
    """All rock, 2 : 1: own pixels 100 %, and half of the letterboxed square."""
    Image.fromarray(np.full((128, 256, 3), 200, np.uint8)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    result = EvaluateReal(model=str(model), images=tmp_path / "a.png", out=out, seed_protocol=True, threads=1).run()
    assert result["flood"]["mean"] == 1.0
    assert result["flood_seed_protocol"] == {"mean": 0.5, "median": 0.5, "worst": 0.5}


def test_masks_give_rock_figures_per_image_and_pooled(model: Path, photos: Path, tmp_path: Path) -> None:
    masks = write_masks(tmp_path / "masks", range(3))
    verb = EvaluateReal(model=str(model), images=photos, masks=masks, out=tmp_path / "out", size=96, threads=1)
    result = verb.run()
    tp = fp = fn = 0
    for i, row in enumerate(result["per_image"]):
        _, truth, answer = draw_pair(i, (48, 96))
        counted = np.ones(truth.shape, bool)
        counted[:4] = False
        t, p = (truth == ROCK) & counted, (answer == ROCK) & counted
        assert row["rock"]["iou"] == pytest.approx((t & p).sum() / (t | p).sum())
        tp, fp, fn = tp + (t & p).sum(), fp + (~t & p).sum(), fn + (t & ~p).sum()
    assert result["rock"]["iou"] == pytest.approx(tp / (tp + fp + fn))
    assert result["rock"]["precision"] == pytest.approx(tp / (tp + fp))
    assert result["rock"]["recall"] == pytest.approx(tp / (tp + fn))
    assert result["labelled"] == 3 and "note" not in result
    assert 0 < result["baseline"]["iou"] < 1
    assert result["baseline"]["tp"] + result["baseline"]["fn"] == tp + fn
    sizes = {row["from_px"]: row for row in result["by_size"]}
    assert sizes[16.0]["rocks"] == 3 and sizes[16.0]["found_touch"] == 1 and "groups" not in result
    counted = 3 * 44 * 96  # of which the model is sure, so that errors are what it gets wrong
    assert result["calibration"]["ece"] == pytest.approx((fp + fn) / counted, abs=1e-5)
    assert result["calibration"]["ece_rock"] == pytest.approx(fp / (tp + fp), abs=1e-5)
    assert [(row["to"], row["pixels"]) for row in result["calibration"]["bins"]] == [(1.0, counted)]
    assert result["reliability"] == str(tmp_path / "out/reliability.png") and Path(result["reliability"]).is_file()
    write_report(tmp_path / "out", tmp_path / "report.html")
    assert "Confidence against accuracy, rock or not: all" in (tmp_path / "report.html").read_text("utf-8")
    assert [row["photographs"] for row in result["strata"]] == [1, 1, 1]  # more and more rock
    assert sum(row["rock"]["tp"] for row in result["strata"]) == tp
    assert all(Path(row["sheet"]).is_file() for row in result["strata"])
    words = verb.summary(result)
    assert "expected calibration error 0." in words
    assert "local contrast, tuned on these photographs: iou 0." in words and "16–32 px: 3 rocks, found " in words


def test_bad_files_are_listed_at_the_end(model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    masks = write_masks(tmp_path / "masks", range(2))
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(masks / "photo_1.png")
    verb = EvaluateReal(model=str(model), images=photos, masks=masks, out=tmp_path / "out", size=96, threads=1)
    with pytest.raises(CheckError) as caught:
        verb.run()
    lines = str(caught.value).splitlines()
    assert lines[0] == "problems: 3 in 4 photographs"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "broken.jpg",
        "mask of photo_1.png",
        "mask of photo_2.png",
    ]
    result = caught.value.result
    assert result is not None
    assert result["photographs"] == 3 and result["labelled"] == 1 and len(result["problems"]) == 3
    assert json.loads((tmp_path / "out" / "results.json").read_text())["problems"] == result["problems"]


def test_nothing_but_bad_files_still_writes_results(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    verb = EvaluateReal(model=str(model), images=tmp_path / "a.png", out=tmp_path / "out", seed_protocol=True)
    with pytest.raises(CheckError) as caught:
        verb.run()
    assert caught.value.result is not None
    assert caught.value.result["flood"] == {"mean": None, "median": None, "worst": None}


def test_printed_flood_never_stands_alone(model: Path, photos: Path, tmp_path: Path) -> None:
    verb = EvaluateReal(model=str(model), images=photos, out=tmp_path / "out", size=96, threads=1)
    text = verb.summary(verb.run())
    assert "flood: mean " in text and "never predicts rock scores 0" in text


def test_wrong_folders_are_refused(model: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^images: "):
        EvaluateReal(model=str(model), images=tmp_path / "none", out=tmp_path / "out").run()
    with pytest.raises(InputError, match=r"^masks: "):
        EvaluateReal(model=str(model), images=photos, masks=tmp_path / "none", out=tmp_path / "out").run()
