"""Companions behind the panel's buttons: real exports and trainings, paused, resumed, cancelled, found again."""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from panel_host import Bench, MemoryHost, Waiting

from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import make_contract, read_journal, write_contract
from regolith.lunar.dataset.verify import verify
from regolith.lunar.dataset.write import append_records, write_frame
from regolith.lunar.jobs.runs import find_runs
from regolith.lunar.labels import REGOLITH, ROCK, SKY
from regolith.lunar.panel.desk import find_python
from regolith.lunar.panel.host import OpenStage
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.params import Params
from regolith.lunar.stage.spec import rng

SPEAKER = """
import json, signal, sys, time
if 'export-model' in sys.argv:
    from regolith.lunar.cli import parse_verb
    from training.export import ExportModel
    verb = parse_verb(ExportModel, 'export-model', sys.argv[sys.argv.index('export-model') + 1:])
    verb.out.write_text(str(verb.checkpoint))
    sys.exit(0)
stop = []
signal.signal(signal.SIGTERM, lambda *a: stop.append(1))
def emit(**event):
    print(json.dumps(event), flush=True)
config = json.load(open(sys.argv[sys.argv.index('--config') + 1]))
total = config['epochs']
print('a library says hello', file=sys.stderr, flush=True)
for epoch in range(1, total + 1):
    emit(event='progress', done=epoch, total=total, unit='steps', stage=f'epoch {epoch}/{total}')
    for name in ('train_loss', 'val_loss', 'rock_iou', 'miou', 'lr'):
        emit(event='metric', name=name, value=1 / epoch, step=epoch)
    time.sleep(0.01)
    if stop:
        emit(event='done', status='interrupted', result={})
        sys.exit(130)
emit(event='done', status='finished', result={'best_epoch': 2, 'best_rock_iou': 0.5, 'selected_on': 'val'})
"""


def write_split(folder: Path, frames: int, seed: int) -> Path:
    """Write a split of 32 px frames: a grey ground with bright squares under a black sky."""
    for name in ("rgb", "mask"):
        (folder / name).mkdir(parents=True)
    for index in range(frames):
        random = rng(seed, "squares", index)
        mask = np.full((32, 32), REGOLITH, np.uint8)
        mask[:8] = SKY
        x, y = random.integers(0, 24), random.integers(10, 24)
        mask[y : y + 7, x : x + 7] = ROCK
        grey = np.array([80, 170, 2])[mask] + random.normal(0, 8, mask.shape)
        rgb = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        append_records(folder, [write_frame(folder, index, {"rgb": rgb, "mask": mask}, seed=index, spec={})])
    contract = make_contract(Params(), split="val", frames=frames, seed=seed, width=32, height=32, renderer={})
    write_contract(folder, contract)
    return folder


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training and a validation split."""
    root = tmp_path_factory.mktemp("toys")
    write_split(root / "train_dr", 16, 0)
    write_split(root / "val", 4, 1)
    return root


def enter_export(bench: Bench, frames: int, executor: str = "in-process") -> Path:
    """Enter an export of a few seconds; returns the split's folder."""
    for path, value in {
        "export.split": "val", "export.frames": frames, "export.size": "48", "render.quality": "draft",
        "export.out": bench.host.data_folder / "set", "dataset.frames_per_scene": 5,
        "export.executor": executor, "terrain.cell_m": 0.5,
    }.items():  # fmt: skip
        bench.model.commit(path, value)
    return bench.host.data_folder / "set" / "val"


def enter_training(bench: Bench, toys: Path, epochs: int, python: Path | None = None) -> Path:
    """Enter a training on the toys; returns the run's folder."""
    for path, value in {
        "training.train_split": toys / "train_dr", "training.val_split": toys / "val", "training.epochs": epochs,
        "training.init": "random", "training.batch": 8, "training.amp": "off", "training.threads": 1,
        "training.warmup_steps": 2, "training.workers": 1, "training.out": bench.host.data_folder / "run",
        "companion.python": python or Path(sys.executable),
    }.items():  # fmt: skip
        bench.model.commit(path, value)
    return bench.host.data_folder / "run"


@pytest.fixture
def speaker(tmp_path: Path) -> Path:
    """An interpreter that trains nothing but says what a training says."""
    (tmp_path / "speaker.py").write_text(SPEAKER)
    script = tmp_path / "speaking-python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} "{tmp_path}/speaker.py" "$@"\n')
    script.chmod(0o755)
    return script


def hashes(split: Path) -> dict[int, dict[str, str]]:
    return {index: record.sha256 for index, record in read_journal(split).items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Bench], dict[int, dict[str, str]]]:
    """Hashes of the entered export, drawn without the panel."""
    kept: dict[int, dict[str, str]] = {}

    def draw(bench: Bench) -> dict[int, dict[str, str]]:
        if not kept:
            out = tmp_path_factory.mktemp("plain")
            generate(bench.model.params, out, split="val", frames=10, width=48, height=48, executor="in-process")
            kept.update(hashes(out / "val"))
        return kept

    return draw


# -- export -----------------------------------------------------------------------------------------------------------


def test_export_by_a_companion_can_be_verified_scored_and_shown(bench: Bench) -> None:
    split, work = enter_export(bench, 3, "processes"), bench.model.works["export"]
    bench.run("export")
    assert work.state == "running" and bench.model.actions["export"].reason == "an export is under way"
    bench.rest("export")
    assert work.state == "finished", (work.text, work.log)
    assert work.text == f"3 frames in {split}, 3 drawn now" and work.fraction == 1.0
    assert bench.host.notes[-1] == ("info", f"Export finished: {work.text}")
    assert verify(split)["problems"] == []
    assert (split / "dataset.json").exists() and bench.host.exports[-1].out == split.parent
    bench.run("open_folder")
    assert bench.host.opened == [split]

    bench.run("report")
    bench.rest("report")
    assert bench.host.opened[-1] == split / "card.html" and (split / "card.html").stat().st_size > 10_000
    began = time.monotonic()
    bench.run("report")  # as new as the frames: opened at once
    assert time.monotonic() - began < 0.5 and bench.host.opened[-2:] == [split / "card.html"] * 2

    bench.model.commit("evaluate.split", split)
    bench.run("evaluate")
    assert bench.model.actions["evaluate"].label == "Stop evaluation"
    assert bench.model.actions["evaluate_photos"].reason == "an evaluation is under way"
    bench.rest("evaluate")
    assert bench.model.works["evaluate"].state == "finished", bench.model.works["evaluate"].text
    assert re.fullmatch(r"(rock-IoU 0\.\d+, )?3 pictures", bench.model.works["evaluate"].text)
    results = json.loads((bench.host.data_folder / "evaluation" / "results.json").read_text())
    assert results["frames"] == 3


def test_paused_export_goes_on_after_a_restart_of_the_host(
    bench: Bench, undisturbed: Callable[[Bench], dict[int, dict[str, str]]]
) -> None:
    split, work = enter_export(bench, 10), bench.model.works["export"]
    wanted = undisturbed(bench)
    bench.run("export")
    bench.until(lambda: work.done >= 1 or not work.active)
    assert re.match(r"\d+ / 10 frames", work.text)
    bench.run("pause")
    assert work.state == "pausing" and not bench.model.actions["pause"].enabled
    bench.rest("export")
    assert work.state in ("paused", "finished")
    if work.state == "paused":
        assert 1 <= len(read_journal(split)) < 10 and work.text.startswith("paused at ")
        assert bench.model.actions["pause"].label == "Resume"
        again = bench.restart()
        again.until(lambda: not again.model.works["export"].active)
        assert again.model.works["export"].state == "interrupted" and again.model.works["export"].folder == split
        again.run("pause")
        again.rest("export")
        assert again.model.works["export"].state == "finished"
        again.end()
    assert hashes(split) == wanted


def test_cancelled_export_keeps_its_frames(bench: Bench) -> None:
    split, work = enter_export(bench, 200), bench.model.works["export"]
    bench.run("export")
    bench.until(lambda: work.done >= 1 or not work.active)
    bench.run("cancel")
    assert work.state == "stopping"
    bench.rest("export")
    assert work.state == "interrupted" and work.text.startswith("interrupted at ")
    kept = len(read_journal(split))
    assert 1 <= kept < 200
    bench.model.commit("terrain.hurst", 0.5)
    bench.run("export")
    bench.rest("export")
    assert work.state == "failed" and "terrain.hurst" in work.text
    assert bench.host.notes[-1] == ("error", work.text) and len(read_journal(split)) == kept


def test_export_goes_on_while_the_host_is_away(bench: Bench) -> None:
    split, work = enter_export(bench, 10), bench.model.works["export"]
    bench.run("export")
    bench.until(lambda: work.done >= 1 or not work.active)
    again = bench.restart()
    found = again.model.works["export"]
    assert found.active and found.folder == split
    again.rest("export")
    assert found.state == "finished" and len(read_journal(split)) == 10
    again.end()


def test_export_in_the_host_draws_the_same_bytes(
    bench: Bench, undisturbed: Callable[[Bench], dict[int, dict[str, str]]]
) -> None:
    """Paused, which ends a task that cannot wait, and gone on with."""
    bench.host.draws_here = True
    split, work = enter_export(bench, 10), bench.model.works["export"]
    wanted = undisturbed(bench)
    bench.run("export")
    bench.until(lambda: work.done >= 2 or not work.active)
    assert "drawing here" in work.text and not find_runs(bench.host.runs_folder)
    bench.run("pause")
    bench.rest("export")
    assert work.state == "paused" and len(read_journal(split)) < 10
    bench.run("pause")
    bench.rest("export")
    assert work.state == "finished" and len(bench.host.exports) == 2
    assert hashes(split) == wanted
    bench.model.commit("drawing.headless", True)
    bench.model.commit("export.frames", 9)
    bench.run("export")  # left to a companion: fewer frames than there are
    bench.rest("export")
    assert len(find_runs(bench.host.runs_folder)) == 1


@pytest.mark.parametrize(
    "state", [OpenStage(ours=False, unsaved=False, name="rover.usd"), OpenStage(ours=True, unsaved=True, name="mine")]
)
def test_export_in_the_place_of_a_stage_asks_first(bench: Bench, state: OpenStage) -> None:
    bench.host.draws_here, bench.host.state = True, state
    bench.host.answers["Export dataset"] = "Keep the open one"
    enter_export(bench, 1)
    bench.run("export")
    bench.model.tick()
    (question,) = bench.host.questions
    assert state.name in question.text and question.answers[-1] == "Keep the open one"
    assert not bench.host.exports and bench.model.works["export"].state == "idle"
    bench.host.answers["Export dataset"] = "Export in its place"
    bench.run("export")
    bench.until(lambda: bench.host.exports)
    bench.rest("export")
    assert bench.model.works["export"].state == "finished"


def test_export_elsewhere_asks_nothing(bench: Bench) -> None:
    bench.host.draws_here, bench.host.state = True, OpenStage(ours=False, unsaved=True)
    enter_export(bench, 1)
    bench.model.commit("drawing.headless", True)
    bench.run("export")
    assert not bench.host.questions
    bench.rest("export")


def test_task_that_can_wait_is_held_and_not_ended(bench: Bench) -> None:
    task = bench.host.waiting = Waiting()
    split, work = enter_export(bench, 4), bench.model.works["export"]
    bench.run("export")
    bench.model.tick()
    assert work.state == "running" and work.fraction == 0.25 and work.text == "1 / 4 frames (opening)"
    bench.run("pause")
    assert work.state == "paused" and bench.model.actions["pause"].label == "Resume"
    bench.run("pause")
    assert work.state == "running" and task.calls == ["pause", "resume"] and len(bench.host.exports) == 1
    task.finish({"split": str(split), "frames": 4, "drawn": 4})
    bench.rest("export")
    assert work.state == "finished" and work.text == f"4 frames in {split}, 4 drawn now"
    task = bench.host.waiting = Waiting()
    bench.run("export")
    bench.run("pause")
    bench.run("cancel")
    bench.rest("export")
    assert work.state == "interrupted" and task.done()


def test_export_takes_the_hosts_options(bench: Bench, tmp_path: Path) -> None:
    """A host may have its chunks drawn by a command of its own."""
    enter_export(bench, 2)
    ran = tmp_path / "ran"
    worker = f"{sys.executable} -m regolith.lunar.dataset.chunk {{task}}"
    bench.host.options = {"executor": "isaac", "command": f"/bin/sh -c 'touch {ran}; exec {worker}'"}
    bench.run("export")
    bench.rest("export")
    assert bench.model.works["export"].state == "finished", bench.model.works["export"].text
    assert ran.exists()


# -- training ---------------------------------------------------------------------------------------------------------


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


# -- cost -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy(bench: Bench, toys: Path, speaker: Path) -> Iterator[Bench]:
    """A panel with a job that says six lines every ten milliseconds."""
    enter_training(bench, toys, 10_000, speaker)
    bench.run("train")
    bench.until(lambda: bench.model.works["training"].done > 0)
    yield bench


def test_tick_with_a_running_job_costs_at_most_two_milliseconds(busy: Bench) -> None:
    fields = sum(len(section.fields) for section in busy.model.sections)
    times = []
    for _ in range(120):
        time.sleep(1 / 120)
        began = time.perf_counter()
        busy.model.tick()
        times.append(time.perf_counter() - began)
    assert fields >= 100 and busy.model.works["training"].active
    assert statistics.median(times) <= 0.002


def test_panel_of_a_host_without_runs_makes_no_folder(host: MemoryHost) -> None:
    model = PanelModel(host)
    model.tick()
    model.close()
    assert not host.runs_folder.exists() and not host.data_folder.exists()
