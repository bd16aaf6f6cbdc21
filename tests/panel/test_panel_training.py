"""Trainings behind the panel's buttons: real ones, stopped, found again, and what comes of their models."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from panel_host import Bench, MemoryHost
from panel_jobs import enter_training

from regolith.lunar.panel.context import find_python
from regolith.lunar.panel.model import PanelModel


def test_real_training_moves_the_plots_and_stops(bench: Bench, toys: Path) -> None:
    out, work = enter_training(bench, toys, epochs=40), bench.model.works["training"]
    bench.run("train")
    assert bench.model.actions["train"].label == "Stop training"
    bench.until(lambda: len(work.metrics.get("lr", [])) >= 2)
    assert [step for step, _ in work.metrics["train_loss"]][:2] == [1.0, 2.0]
    assert set(work.metrics) == {"train_loss", "val_loss", "rock_iou", "miou", "lr"}
    assert re.match(r"\d+ / 80 steps", work.text)
    bench.run("train")
    assert work.state == "stopping" and bench.model.actions["train"].reason == "it is stopping"
    bench.rest("training")
    assert work.state == "interrupted" and (out / "last.pt").exists() and not bench.host.questions
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(float(row["epoch"]), row["train_loss"]) for row in rows] == work.metrics["train_loss"]


def test_trained_model_is_written_and_taken(bench: Bench, toys: Path, speaker: Path) -> None:
    """The command is read by the real command line; what it writes is none, for an export takes half a minute."""
    out = enter_training(bench, toys, 2, speaker)
    out.mkdir(parents=True)
    (out / "best.pt").write_bytes(b"weights")
    bench.run("train")
    bench.rest("training")
    bench.run("use_model")
    assert bench.model.actions["use_model"].label == "Stop writing the model"
    bench.rest("model")
    assert bench.model.works["model"].state == "finished", bench.model.works["model"].text
    assert bench.model.field("model.path").value == str(out / "model.onnx")
    assert (out / "model.onnx").read_text() == str(out / "best.pt")
    bench.model.undo()
    assert bench.model.field("model.path").value == "default"
    bench.run("use_model")  # written already: taken at once
    assert bench.model.field("model.path").value == str(out / "model.onnx")


def test_training_in_stages_takes_the_splits_of_all(bench: Bench, toys: Path, speaker: Path) -> None:
    """One field, and several folders in another, wherever the companion is started."""
    out = enter_training(bench, toys, 1, speaker)
    bench.model.commit("training.curriculum", "progressive")
    bench.model.commit("training.train_split", f"{toys / 'train_dr'}, {toys / 'none'}")
    reason = bench.model.actions["train"].reason
    assert reason.startswith("train_split: ") and "none' is not allowed" in reason
    bench.model.commit("training.train_split", f"{toys / 'train_dr'}, {toys / 'val'}")
    bench.run("train")
    bench.rest("training")
    run = bench.model.works["training"]
    assert run.state == "finished"
    (config,) = (json.loads(path.read_text()) for path in bench.host.runs_folder.rglob("config.json"))
    assert config["curriculum"] == "progressive" and config["out"] == str(out)
    assert config["train_split"] == f"{toys / 'train_dr'},{toys / 'val'}"
    shown = {field.path for section in bench.model.sections for field in section.fields}
    assert not [path for path in shown if path.startswith("training.curriculum_")], "the table is taken as it is"


def test_training_that_goes_on_shows_its_earlier_epochs(bench: Bench, toys: Path, speaker: Path) -> None:
    out = enter_training(bench, toys, 4, speaker)
    out.mkdir(parents=True)
    row = {"train_loss": 9.0, "val_loss": None, "miou": 0.3, "lr": 1e-3, "iou": {"rock": 0.1}}
    lines = [json.dumps(row | {"epoch": epoch}) for epoch in (-1, 0, 1)]
    (out / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    bench.run("train")
    work = bench.model.works["training"]
    assert work.metrics["rock_iou"] == [(-1.0, 0.1), (0.0, 0.1), (1.0, 0.1)] and "val_loss" not in work.metrics
    bench.rest("training")
    assert work.metrics["train_loss"] == [(-1.0, 9.0), (0.0, 9.0), *((float(n), 1 / n) for n in range(1, 5))]


def test_finished_training_asks_whether_to_use_its_model(bench: Bench, toys: Path, speaker: Path) -> None:
    out = enter_training(bench, toys, 5, speaker)
    out.mkdir(parents=True)
    (out / "best.pt").write_bytes(b"weights")
    (out / "model.onnx").write_bytes(b"newer")
    bench.host.answers["Training finished"] = "Use this model"
    bench.run("train")
    bench.rest("training")
    work = bench.model.works["training"]
    assert work.state == "finished" and work.text == "rock-IoU 0.500 on val at epoch 2" and work.fraction == 1.0
    assert work.metrics["val_loss"] == [(float(n), 1 / n) for n in range(1, 6)]
    assert "a library says hello" in work.log
    assert bench.host.questions[-1].text.startswith(work.text)
    bench.until(lambda: bench.model.field("model.path").value == str(out / "model.onnx"))
    bench.run("open_run")
    assert bench.host.opened == [out]


def test_training_goes_on_while_the_host_is_away(bench: Bench, toys: Path, speaker: Path) -> None:
    enter_training(bench, toys, 2000, speaker)
    bench.run("train")
    bench.until(lambda: bench.model.works["training"].done > 3)
    again = bench.restart()
    work = again.model.works["training"]
    assert again.model.actions["train"].label == "Stop training"
    again.until(lambda: work.done > 20)
    assert [step for step, _ in work.metrics["rock_iou"]][:20] == [float(n) for n in range(1, 21)]
    again.run("train")
    again.rest("training")
    assert work.state == "interrupted" and not again.host.questions
    third = again.restart()  # what ended while nobody looked is not asked about
    third.rest("training")
    assert third.model.works["training"].state == "interrupted" and not third.host.notes
    third.end()


def test_python_without_torch_says_what_to_do(bench: Bench, toys: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    enter_training(bench, toys, 1, bare)
    bench.run("train")
    bench.rest("training")
    work = bench.model.works["training"]
    assert work.state == "failed"
    assert work.text.startswith(f"{bare} has no ") and "choose another Python" in work.text
    assert bench.host.notes[-1] == ("error", work.text)


def test_python_that_is_not_there_says_so(bench: Bench, toys: Path, tmp_path: Path) -> None:
    enter_training(bench, toys, 1, tmp_path / "none")
    bench.run("train")
    assert bench.model.works["training"].state == "failed"
    assert "no such program" in bench.host.notes[-1][1]


def test_training_that_does_not_listen_is_killed(
    bench: Bench, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = tmp_path / "deaf"
    deaf.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import signal, time; signal.signal(15, 1); time.sleep(90)"\n'
    )
    deaf.chmod(0o755)
    enter_training(bench, toys, 1, deaf)
    monkeypatch.setattr("regolith.lunar.panel.run_work.GRACE_S", 0.3)
    bench.run("train")
    time.sleep(0.3)
    bench.run("train")
    bench.rest("training", 20)
    assert bench.model.works["training"].state == "interrupted"


def test_interpreter_is_found_where_none_was_picked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGOLITH_PYTHON", "/a/python")
    assert find_python(Path("/b/python")) == Path("/a/python")
    monkeypatch.delenv("REGOLITH_PYTHON")
    assert find_python(Path("/b/python")) == Path("/b/python")
    assert find_python(None) == Path(sys.executable)
    monkeypatch.setattr(sys, "executable", "/opt/kit/kit")
    assert find_python(None) != Path("/opt/kit/kit")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_python(None) is None


@pytest.fixture
def busy(bench: Bench, toys: Path, speaker: Path) -> Iterator[Bench]:
    """A panel with a job that says six lines every ten milliseconds."""
    enter_training(bench, toys, 10_000, speaker)
    bench.run("train")
    bench.until(lambda: bench.model.works["training"].done > 0)
    yield bench


def test_ticks_with_a_running_job_tell_of_that_job_alone(busy: Bench) -> None:
    """However much it says, nothing else of the panel is drawn anew."""
    busy.changes.clear()
    done = busy.model.works["training"].done
    busy.until(lambda: busy.model.works["training"].done > done + 20)
    assert busy.model.works["training"].active
    assert {(change.kind, change.keys) for change in busy.changes} == {("work", frozenset({"training"}))}


def test_panel_of_a_host_without_runs_makes_no_folder(host: MemoryHost) -> None:
    model = PanelModel(host)
    model.tick()
    model.close()
    assert not host.runs_folder.exists() and not host.data_folder.exists()
