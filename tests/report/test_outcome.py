"""The page on a training or an evaluation: all of both kinds, a folder that was moved, and files that are not ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regolith.lunar.params import InputError
from regolith.lunar.report.outcome import Report, write_report

SCORES = {"iou": 0.5, "precision": None, "recall": 0.75}
SYNTH: dict[str, Any] = {
    "model": {"file": "model.onnx", "sha256": "ab" * 32, "provider": "CPU"},
    "split": "data/val", "frames": 4, "iou": {"regolith": 0.9, "rock": 0.5, "sky": 1.0}, "miou": 0.8, "rock": SCORES,
    "accuracy": 0.95, "confusion": [[90, 5, 0], [3, 6, 0], [0, 0, 40]], "classes": ["regolith", "rock", "sky"],
    "by_size": [{"from_px": 0, "to_px": 4, "rocks": 3, "pixels": 9, "recall": 0.5},
                {"from_px": 4, "to_px": None, "rocks": 0, "pixels": 0, "recall": None}],
    "by_sun_elevation": [{"from_deg": 5, "to_deg": 20, **SCORES}],
    "per_frame": [], "pictures": ["elsewhere/worst_00_frame_00001.png", "elsewhere/gone.png"],
}  # fmt: skip
EPOCH = {"epoch": 1, "train_loss": 0.9, "val_loss": None, "iou": {"regolith": 0.5, "rock": None, "sky": 0.9},
         "miou": None, "accuracy": 0.5, "test": None, "lr": 1e-3, "seconds": 2.0, "selection_iou": None}  # fmt: skip


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """Folder of an evaluation whose results name its pictures where they were once."""
    (tmp_path / "results.json").write_text(json.dumps(SYNTH))
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "worst_00_frame_00001.png")
    return tmp_path


def test_page_of_an_evaluation_that_was_moved(moved: Path) -> None:
    verb = Report(folder=moved)
    result = verb.run()
    page = moved / "report.html"
    assert result == {"report": str(page), "of": ["split"]} and verb.summary(result) == f"{page}: split"
    html = page.read_text("utf-8")
    assert html.count("data:image/") == 2  # the confusion matrix, and the one picture that is there
    assert "4 frames of data/val" in html and "http" not in html.split("<svg")[0].replace("http-equiv", "")
    for words in ("0.750", "4 and more", "model.onnx", f"Scores on a split: {moved.name}"):
        assert words in html


def test_page_shows_calibration_groups_and_rocks_one_by_one(tmp_path: Path) -> None:
    row = {"from_px": 16, "to_px": 32, "rocks": 7, "found_iou": 0.4321, "found_touch": 0.8765, "false_iou": 1.25,
           "false_touch": 0.5, "pixels": 99, "recall": 0.5}  # fmt: skip
    bins = [{"from": k / 15, "to": (k + 1) / 15, "pixels": n, "confidence": (k + 0.5) / 15, "accuracy": a}
            for k, n, a in ((9, 40, 0.5), (14, 9000, 0.99))]  # fmt: skip
    calibration = {"temperature": 1.375, "ece": 0.0123, "ece_rock": None, "bins": bins}
    (tmp_path / "results.json").write_text(json.dumps(SYNTH | {"by_size": [row], "calibration": calibration}))
    write_report(tmp_path, tmp_path / "synth.html")
    html = (tmp_path / "synth.html").read_text("utf-8")
    for words in ("16 … 32", "0.432", "0.876", "1.250", "1.375", "0.012", "false a picture", "Confidence against acc"):
        assert words in html
    pool = {"labelled": 3, "rock": SCORES, "by_size": [row]}
    real = {"model": SYNTH["model"], "images": "photos", "photographs": 3, "size": 512, "tile": False, "tta": "none",
            "flood": {"mean": 0.1, "median": 0.1, "worst": 0.2}, "per_image": [], "problems": [],
            **pool, "groups": {"boulder close-ups": pool | {"labelled": 2}}, "baseline": None}  # fmt: skip
    (tmp_path / "results.json").write_text(json.dumps(real))
    assert write_report(tmp_path, tmp_path / "real.html")["of"] == ["photographs"]
    html = (tmp_path / "real.html").read_text("utf-8")
    assert "boulder close-ups" in html and "0.432" in html and "Pooled over labelled photographs" in html


def test_page_of_a_training_and_its_scores_in_one_folder(moved: Path, tmp_path: Path) -> None:
    """Figures that are not defined are dashes: no epoch has a rock-IoU here."""
    (moved / "metrics.jsonl").write_text(json.dumps(EPOCH) + "\n")
    result = write_report(moved, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text("utf-8")
    assert result["of"] == ["training", "split"] and "Training and Scores on a split" in html
    assert "epoch 1 of 1 is kept" in html and "–" in html


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("", "", "a folder with metrics.jsonl or results.json"),
        ("results.json", "{", "well-formed JSON"),
        ("results.json", "[]", "an evaluation of this version"),
        ("results.json", '{"per_image": [{}]}', "an evaluation of this version"),
        ("metrics.jsonl", "", "a training with an epoch"),
        ("metrics.jsonl", '{"epoch": 1}\n', "a training of this version"),
    ],
)
def test_folder_of_something_else_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    if name:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        write_report(tmp_path, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_no_folder_is_made_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder with metrics"):
        Report(folder=tmp_path / "none").run()
    assert not (tmp_path / "none").exists()


def test_page_that_cannot_be_written_is_refused(moved: Path) -> None:
    with pytest.raises(InputError, match=r"^out: "):
        write_report(moved, moved / "results.json" / "report.html")
