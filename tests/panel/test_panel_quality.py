"""The panel's table of verbs behind its buttons: what they need, where they may write, what they answer."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panel_host import Bench
from PIL import Image

from regolith.lunar.cli import parse_verb
from regolith.lunar.dataset.contract import CONTRACT
from regolith.lunar.flythrough.keyframes import Key
from regolith.lunar.panel.camera_path import write_keys
from regolith.lunar.panel.forms import FILES, OUTPUTS
from regolith.lunar.panel.presentation import BUTTONS, WORKS
from regolith.lunar.panel.row_work import RowWork
from regolith.lunar.panel.settings import KEYS
from regolith.lunar.panel.verb_row import VerbRow
from regolith.lunar.panel.verb_rows import ROWS
from regolith.lunar.params import Verb
from regolith.lunar.perception.apollo_masks import APOLLO
from regolith.lunar.verbs import VERBS


def program(bench: Bench, script: str, *, training: bool = False) -> None:
    """Make a shell script the interpreter of companions, or of training."""
    path = bench.host.runs_folder.parent / f"program-{training:d}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    if training:
        bench.model.commit("companion.python", path)
    else:
        bench.host.python = path


def photographs(folder: Path, grey: int, noise: float) -> Path:
    """Eight pictures of a grain."""
    folder.mkdir(parents=True)
    for number in range(8):
        rgb = np.random.default_rng((grey, number)).normal(grey, noise, (64, 64, 3)).clip(0, 255)
        Image.fromarray(rgb.astype(np.uint8)).save(folder / f"{number}.png")
    return folder


def command(row: VerbRow) -> type[Verb]:
    """The verb as the command line runs it."""
    module, attribute, _ = VERBS[row.verb]
    return getattr(importlib.import_module(module), attribute)


def work_of(bench: Bench, key: str) -> RowWork:
    (found,) = (work for work in bench.model._rows if work.row.key == key)
    return found


def enter_all(bench: Bench, row: VerbRow, split: Path) -> None:
    """Enter everything a verb cannot do without, all of it there."""
    data = bench.host.data_folder
    (data / "training").mkdir(parents=True, exist_ok=True)
    (data / "training" / "best.pt").touch()
    if not (data / "dataset" / "train_dr").exists():
        shutil.copytree(split, data / "dataset" / "train_dr")
    if row.key == "calibrate_camera" and not (data / "photographs").exists():
        shutil.copytree(split / "rgb", data / "photographs")
    for name in ("measured", "scans"):
        (data / name).mkdir(exist_ok=True)
    for name in ("real", "new", "pool"):
        if name in row.model.model_fields:
            bench.model.commit(f"{row.key}.{name}", split)


def test_rows_are_verbs_of_the_command_line(bench: Bench) -> None:
    for row in ROWS:
        assert issubclass(command(row), row.model), row.key
        named = {*row.places, *row.values, *row.splits, *row.files, *row.marks[0], *filter(None, row.marks[1:])}
        assert "columns" in row.marks[0] or "columns" not in row.model.model_fields, row.key
        assert named <= set(row.model.model_fields) and "out" in row.places, row.key
        assert bool(row.unit) == ("events" in row.model.model_fields), row.key
        assert row.takes_model == ("model" in row.hidden), row.key
        assert f"{row.key}.out" in OUTPUTS and all(f"{row.key}.{name}" in FILES for name in row.files)
        assert row.buttons in BUTTONS[row.section] and row.key in WORKS[row.section]
        assert (row.report in bench.model.actions) == bool(row.page), row.key
        assert (row.take in bench.model.actions) == (row.ranges is not None), row.key


def test_the_exported_split_is_judged_where_no_other_is_entered(bench: Bench) -> None:
    value = {path: bench.model.field(path).value for path in ("gate.synth", "generate.out", "generate.split")}
    assert value["gate.synth"] == value["generate.out"] / value["generate.split"]
    assert bench.model.field("select.model").value == bench.model.field("training.out").value / "best.pt"


def test_a_companion_reads_what_was_entered(bench: Bench, toys: Path) -> None:
    """Arguments are parsed into the same values: in their order, paths in full, what ships by its name."""
    bench.model.commit("model.path", "nets/own.onnx")
    context, data = bench.model._context, bench.host.data_folder
    assert context.model == str(data / "nets" / "own.onnx")
    for row in ROWS:
        enter_all(bench, row, toys / "val")
        if "masks" in row.model.model_fields:
            bench.model.commit(f"{row.key}.masks", APOLLO)
        bench.model.commit(f"{row.key}.out", "relative.json")
        verb = context.values.models[row.key]
        assert isinstance(verb, Verb)
        model = {"model": context.model} if row.takes_model else {}
        read = parse_verb(command(row), row.verb, context.arguments(verb, **model))
        assert read is not None
        wanted = dict(verb) | {"out": data / "relative.json"} | model
        assert {name: getattr(read, name) for name in row.model.model_fields} == wanted, row.key


def test_every_verb_says_what_it_lacks_and_is_ended_by_its_button(bench: Bench, toys: Path) -> None:
    data = bench.host.data_folder
    program(bench, "exec sleep 60")
    program(bench, "exec sleep 60", training=True)
    views = [Key(time_s=t, x_m=t, y_m=0.0, height_m=2.0, heading_deg=0.0, pitch_deg=0.0) for t in (0.0, 2.0)]
    bench.model.commit(KEYS, write_keys(views))
    for row in ROWS:
        action = bench.model.actions[row.key]
        action.refresh()
        assert action.enabled == (not row.places.keys() - {"out"}), row.key
        enter_all(bench, row, toys / "val")
        bench.model.commit(f"{row.key}.out", data / "found.json")
        bench.run(row.key)
        assert action.label == f"Stop {row.verb}"
        bench.run(row.key)
        assert action.reason == "it is stopping"
        bench.rest(row.key)
        assert bench.model.works[row.key].state == "interrupted" and action.label == row.label and action.enabled
        for name in ("dataset", "training", "photographs", "measured", "scans"):
            shutil.rmtree(data / name, ignore_errors=name == "photographs")
        action.refresh()
        read = "model" if row.key == "select" else next((name for name in row.places if name != "out"), "")
        assert action.reason.startswith(f"{read}: " if read else "")
        assert (CONTRACT in action.reason) == (read in row.splits), row.key


def test_what_ships_needs_no_file(bench: Bench, toys: Path) -> None:
    row = work_of(bench, "select").row
    enter_all(bench, row, toys / "val")
    select = bench.model.actions["select"]
    for model, found in (("default", True), ("defaults", False)):
        bench.model.commit("select.model", model)
        assert select.enabled == found, select.reason
    enter_all(bench, work_of(bench, "gate").row, toys / "val")
    bench.model.commit("gate.masks", APOLLO)
    assert bench.model.actions["gate"].enabled
    bench.model.commit("gate.masks", "apollos")
    assert bench.model.actions["gate"].reason.startswith("masks: 'apollos' is not allowed")


def test_what_needs_torch_is_run_by_the_interpreter_of_training(bench: Bench, toys: Path, tmp_path: Path) -> None:
    program(bench, f"touch {tmp_path}/plain")
    program(bench, f"touch {tmp_path}/torch", training=True)
    for key, ran in (("select", "torch"), ("mix", "plain")):
        enter_all(bench, work_of(bench, key).row, toys / "val")
        bench.run(key)
        bench.rest(key)
        assert (tmp_path / ran).exists()
        (tmp_path / ran).unlink()
        assert not list(tmp_path.glob("torch")) + list(tmp_path.glob("plain"))


def test_drift_is_an_answer_and_no_failure(bench: Bench, tmp_path: Path) -> None:
    """By the real verb, which exits with 1: its table is in the log."""
    bench.model.commit("drift.reference", photographs(tmp_path / "then", 60, 3))
    bench.model.commit("drift.new", photographs(tmp_path / "now", 150, 60))
    bench.model.commit("drift.size", 64)
    bench.run("drift")
    bench.rest("drift", 120)
    work, out = bench.model.works["drift"], bench.host.data_folder / "quality" / "drift"
    assert work.state == "finished" and work.text.startswith("drift: features p 0.00"), (work.text, work.log)
    assert work.fraction == 1.0 and work.folder == out
    assert [line.split()[0] for line in work.log][:3] == ["of", "features", "entropy"]
    assert work.log[-1] == str(out / "drift.html") and Path(work.log[-1]).is_file()
    assert bench.host.notes[-1] == ("info", f"Drift finished: {work.text}")


def test_frames_are_mixed(bench: Bench, toys: Path) -> None:
    """By the real verb, which tells of no progress."""
    enter_all(bench, work_of(bench, "mix").row, toys / "val")
    bench.run("mix")
    bench.rest("mix", 120)
    work = bench.model.works["mix"]
    assert (work.state, work.text) == ("finished", "4 synthetic frames, 4 real frames"), list(work.log)
    manifest = bench.host.data_folder / "quality" / "mix.json"
    assert manifest.is_file() and work.log[0] == f"{manifest}: {work.text}"


GOOD, BROKEN = '{"verdict": "reject", "reasons": ["a", "b", "c"]}', '{"verdict": 3}'


@pytest.mark.parametrize(
    ("code", "result", "state", "text"),
    [
        (1, GOOD, "finished", "rejected: a; b; and 1 more"),
        (1, "", "failed", "something broke"),
        (2, "", "failed", "something broke"),
        (3, GOOD, "failed", "rejected: a; b; and 1 more"),
        (1, BROKEN, "finished", "finished"),
    ],
)
def test_what_a_verb_exits_with(
    bench: Bench, toys: Path, tmp_path: Path, code: int, result: str, state: str, text: str
) -> None:
    """Exit code 1 is an answer where there is a result, and a failure where there is none."""
    enter_all(bench, work_of(bench, "gate").row, toys / "val")
    (tmp_path / "result").write_text(result)
    write = f'for last in "$@"; do case $last in --json=*) cp {tmp_path}/result "${{last#--json=}}";; esac; done'
    program(bench, f"echo 'regolith: something broke' >&2\n{write if result else ''}\nexit {code}")
    bench.run("gate")
    bench.rest("gate")
    work = bench.model.works["gate"]
    assert (work.state, work.text, list(work.log)) == (state, text, ["regolith: something broke"])
    assert bench.host.notes[-1] == ("info" if state == "finished" else "error", f"Gate {state}: {text}")


def test_a_page_is_opened_once_it_is_there(bench: Bench) -> None:
    action = bench.model.actions["tail_report"]
    assert action.reason == "no tail.html in its folder yet"
    page = bench.host.data_folder / "quality" / "tail" / "tail.html"
    page.parent.mkdir(parents=True)
    page.touch()
    action.refresh()
    bench.run("tail_report")
    assert bench.host.opened == [page]
    bench.model.commit("tail.out", "elsewhere")
    assert not action.enabled


@pytest.mark.parametrize("switch", ["quarantine", "columns"])
def test_a_split_that_is_marked_has_to_lie_where_the_host_writes(
    bench: Bench, toys: Path, tmp_path: Path, switch: str
) -> None:
    """The gate writes into what it judges where it sets frames aside; what is only read may lie anywhere."""
    row, gate = work_of(bench, "gate").row, bench.model.actions["gate"]
    enter_all(bench, row, toys / "val")
    bench.host.confine = bench.host.data_folder
    inside, outside = bench.host.data_folder / "dataset" / "train_dr", tmp_path / "outside"
    shutil.copytree(toys / "val", outside)
    (bench.host.data_folder / "link").symlink_to(outside)
    refused: list[tuple[Any, bool]] = []
    for place in (inside, outside, "link", "dataset/../../outside"):
        bench.model.commit("gate.synth", place)
        bench.model.commit(f"gate.{switch}", False)
        assert gate.enabled, gate.reason
        bench.model.commit(f"gate.{switch}", True)
        refused.append((place, gate.reason.startswith("synth: ") and "a path inside" in gate.reason))
    assert [no for _, no in refused] == [False, True, True, True]
    program(bench, f"touch {tmp_path}/ran")
    work_of(bench, "gate").begin_entered()  # as where a link was made after it was asked
    assert bench.model.works["gate"].state == "failed" and "a path inside" in bench.model.works["gate"].text
    assert work_of(bench, "gate").run is None and not bench.host.runs_folder.exists()
