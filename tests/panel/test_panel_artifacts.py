"""Verification, evaluation and reports behind the panel's buttons: real companions, stopped, and what they leave."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from panel_host import Bench
from panel_jobs import enter_generate, enter_training
from PIL import Image

from regolith.lunar.panel.artifact_work import describe_machine


@pytest.fixture
def split(bench: Bench, toys: Path) -> Path:
    """A split in the place the export is entered for."""
    folder = enter_generate(bench, 4)
    shutil.copytree(toys / "val", folder)
    bench.model.tick()
    for action in bench.model.actions.values():
        action.refresh()
    return folder


@pytest.fixture
def waiting(bench: Bench, tmp_path: Path) -> Path:
    """An interpreter whose work never ends by itself."""
    script = tmp_path / "waiting-python"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    bench.host.python = script
    return script


def photographs(folder: Path) -> Path:
    """Two photographs and a file that is none."""
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.full((64, 96, 3), 90, np.uint8)).save(folder / f"{name}.png")
    (folder / "c.jpg").write_bytes(b"no picture")
    return folder


def test_problems_of_a_split_are_listed(bench: Bench, split: Path) -> None:
    (split / "rgb" / "rgb_00002.png").write_bytes(b"broken")
    (split / "mask" / "mask_00001.png").unlink()
    bench.run("verify")
    assert bench.model.actions["verify"].label == "Stop verification"
    bench.rest("verify")
    work = bench.model.works["verify"]
    assert work.state == "failed" and "problems in 4 frames: " in work.text
    assert any("rgb_00002.png" in line for line in work.log) and any("mask_00001.png" in line for line in work.log)
    assert bench.host.notes[-1] == ("error", f"Verification failed: {work.text}")
    assert bench.model.actions["verify"].label == "Verify" and work.fraction == 1.0


def test_the_machine_is_checked(bench: Bench, tmp_path: Path) -> None:
    """By the real verb; what it found is in the log, what there is to do last."""
    bench.run("doctor")
    assert bench.model.actions["doctor"].label == "Stop looking"
    bench.rest("doctor")
    work = bench.model.works["doctor"]
    assert work.state == "finished" and work.text.startswith("all that is needed works")
    lines = list(work.log)
    assert any(line.startswith("cores: ") for line in lines) and "; to do: " in lines[-1]
    assert bench.host.notes[-1] == ("info", f"Machine finished: {work.text}")

    broken = {"name": "memory", "state": "failed", "found": "0.1 GB", "advice": "1.2 GB", "needed": True}
    fine = {"name": "Kit", "state": "absent", "found": "none", "advice": "", "needed": False}
    assert describe_machine({"checks": [fine, broken]}) == "memory: 0.1 GB; to do: 1.2 GB"
    assert describe_machine({"checks": [fine]}) == "all that is needed works; without Kit"


@pytest.mark.parametrize("key", ["verify", "evaluate", "evaluate_photos", "report", "evaluation_report", "use_model"])
def test_every_companion_is_ended_by_its_button(
    bench: Bench, split: Path, toys: Path, waiting: Path, tmp_path: Path, key: str
) -> None:
    bench.model.commit("evaluate.split", split)
    bench.model.commit("photos.images", photographs(tmp_path / "photos"))
    out = bench.host.data_folder / "evaluation"
    out.mkdir()
    (out / "results.json").write_text("{}")
    run = enter_training(bench, toys, 1, waiting)
    run.mkdir(parents=True)
    (run / "best.pt").write_bytes(b"weights")
    bench.run("train")
    bench.run("train")  # ended at once: there is a run, with a checkpoint beside it
    bench.rest("training")
    action, label = bench.model.actions[key], bench.model.actions[key].label
    bench.run(key)
    assert action.enabled and action.label.startswith("Stop")
    (work,) = [work for work in bench.model.works.values() if work.active]
    bench.model.tick()
    bench.run(key)
    assert work.state == "stopping" and action.reason == "it is stopping"
    bench.rest(work.key)
    assert work.state == "interrupted" and action.label == label and action.enabled
    assert not bench.host.opened


def test_one_evaluation_at_a_time_and_only_its_button_stops_it(
    bench: Bench, split: Path, waiting: Path, tmp_path: Path
) -> None:
    bench.model.commit("evaluate.split", split)
    bench.model.commit("photos.images", photographs(tmp_path / "photos"))
    bench.run("evaluate_photos")
    assert bench.model.actions["evaluate_photos"].label == "Stop evaluation"
    assert bench.model.actions["evaluate"].label == "Evaluate"
    assert bench.model.actions["evaluate"].reason == "an evaluation is under way"


def test_photographs_are_scored_and_their_report_opened(bench: Bench, tmp_path: Path) -> None:
    """One of them cannot be read: the rest is scored, and the page says so."""
    assert bench.model.actions["evaluation_report"].reason == "nothing is evaluated yet"
    bench.model.commit("photos.images", photographs(tmp_path / "photos"))
    bench.run("evaluate_photos")
    bench.rest("evaluate")
    work = bench.model.works["evaluate"]
    assert work.state == "failed" and "2 pictures; 1 problem: " in work.text and "c.jpg" in work.text
    assert work.fraction == 1.0
    bench.run("evaluation_report")
    bench.rest("report")
    page = bench.host.data_folder / "photographs" / "report.html"
    assert bench.host.opened == [page], bench.model.works["report"].text
    html = page.read_text("utf-8")
    assert (
        "a.png" in html
        and "c.jpg" in html
        and html.count("data:image/") == 2 + 1  # two overlays, and the sheet of their stratum
        and "Scores on photographs: photographs" in html
    )
    bench.run("evaluation_report")
    assert bench.host.opened == [page, page]  # up to date: opened at once


def test_report_of_a_training_follows_its_epochs(bench: Bench, toys: Path) -> None:
    """The training goes on, without a summary yet: the page shows its course so far, and is written anew later."""
    assert bench.model.actions["training_report"].reason == "nothing is trained yet"
    out = enter_training(bench, toys, 5)
    bench.host.python = None  # the interpreter picked for training does it
    out.mkdir(parents=True)
    row = {"train_loss": 0.9, "val_loss": 0.8, "miou": 0.3, "accuracy": 0.5, "test": None, "lr": 1e-3, "seconds": 2.0}
    row |= {"iou": {"regolith": 0.5, "rock": 0.1, "sky": 0.9}}
    rows = [row | {"epoch": epoch, "selection_iou": iou} for epoch, iou in ((1, 0.1), (2, 0.3), (3, None))]
    (out / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench.until(lambda: bench.model.actions["training_report"].enabled, 5)
    bench.run("training_report")
    bench.rest("report")
    assert bench.host.opened == [out / "report.html"], bench.model.works["report"].text
    html = (out / "report.html").read_text("utf-8")
    assert "epoch 2 of 3 is kept" in html and "goes on" in html and "0.300" in html
    (out / "metrics.jsonl").write_text("not what a training writes\n")
    bench.run("training_report")
    bench.rest("report")
    assert bench.model.works["report"].state == "failed" and "well-formed JSON" in bench.host.notes[-1][1]


@pytest.mark.parametrize(
    ("key", "paths"), [("evaluate_photos", {"photos.images"}), ("generate", {"generate.out", "generate.frames"})]
)
def test_refused_action_marks_the_empty_fields_it_needs(bench: Bench, key: str, paths: set[str]) -> None:
    for path in paths:
        bench.model.commit(path, None)
    shown = {path for path in paths if bench.model.field(path).problem and not bench.model.field(path).changed}
    assert not shown
    bench.changes.clear()
    bench.model.actions[key].run()
    assert bench.host.notes[-1][0] == "warning"
    for path in paths:
        assert bench.model.field(path).asked and ": missing; allowed: " in bench.model.field(path).problem
    assert {path for change in bench.changes if change.kind == "fields" for path in change.keys} == paths
    assert not bench.model.field("training.train_split").problem
    for path in paths:
        bench.model.commit(path, 3 if path == "generate.frames" else "/tmp")
        assert not bench.model.field(path).asked and not bench.model.field(path).problem
