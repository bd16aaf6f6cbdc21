"""A run: what it writes, that it learns, stops, resumes to the same end, and refuses what does not fit."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from toy_split import write_split

from regolith.lunar import cli
from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.layout import read_journal, records_digest, write_journal
from regolith.lunar.jobs.events import check_event, parse_event
from regolith.lunar.params import CheckError, InputError, sole_folder
from regolith.lunar.params.training import TrainParams, load_train_params
from training.checkpoint import read_checkpoint
from training.data import Frames
from training.launch import train as train_in_companion
from training.networks.hub import in_reach
from training.optimization import learning_rate
from training.train import train


def rows(out: Path) -> list[dict]:
    """Epoch records without their times."""
    times = ("seconds", "frames_per_s", "waiting_share")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in times} for line in lines]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path)["model"]


def assert_same_run(a: Path, b: Path) -> None:
    assert rows(a) == rows(b)
    for name in ("best.pt", "last.pt"):
        first, second = weights(a / name), weights(b / name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[k], second[k]) for k in first)


def test_run_writes_its_files(trained: SimpleNamespace) -> None:
    assert {p.name for p in trained.out.iterdir()} == {"best.pt", "last.pt", "metrics.jsonl", "summary.json"}
    assert json.loads((trained.out / "summary.json").read_text()) == json.loads(json.dumps(trained.summary))
    assert [r["epoch"] for r in rows(trained.out)] == [1, 2, 3]
    assert {"train_loss", "val_loss", "iou", "miou", "accuracy", "lr"} <= rows(trained.out)[0].keys()
    best = max(rows(trained.out), key=lambda r: r["iou"]["rock"])
    assert trained.summary["best_epoch"] == best["epoch"] == read_checkpoint(trained.out / "best.pt")["epoch"]
    assert trained.summary["selected_on"] == "val"
    assert trained.summary["machine"]["cores"] >= 1


def test_run_learns(trained: SimpleNamespace) -> None:
    losses = [r["train_loss"] for r in rows(trained.out)]
    assert losses[-1] < 0.75 * losses[0]


def test_run_emits_valid_events(trained: SimpleNamespace) -> None:
    assert [check_event(e) for e in trained.events] == [None] * len(trained.events)
    progress = [e for e in trained.events if e["event"] == "progress"]
    assert progress[-1]["done"] == progress[-1]["total"] == 9
    assert [e["done"] for e in progress] == sorted(e["done"] for e in progress)


def test_class_weights_are_inverse_to_pixels_and_sum_to_three(toy: SimpleNamespace, trained: SimpleNamespace) -> None:
    counts = Frames(toy.train, field="train_split", workers=1).counts
    got = np.array(list(trained.summary["class_weights"].values()))
    assert got.sum() == pytest.approx(3, rel=1e-5)
    assert np.allclose(got * counts, (got * counts)[0], rtol=1e-5)


def test_absent_class_weighs_nothing_and_is_said(toy: SimpleNamespace, tmp_path: Path) -> None:
    events: list[dict] = []
    split = write_split(tmp_path / "nosky", 4, sky=False)
    summary = train(toy.params(tmp_path / "run", train_split=split, epochs=1), events.append)
    assert summary["class_weights"]["sky"] == 0
    assert any("no sky pixel" in e.get("message", "") for e in events)
    assert math.isfinite(summary["best"]["train_loss"])


@pytest.mark.parametrize("batches", [1, 3, 4])
def test_stopped_run_resumes_to_the_same_end(
    toy: SimpleNamespace, trained: SimpleNamespace, tmp_path: Path, batches: int
) -> None:
    """Three batches are an epoch: stop inside one, at its end before evaluation, and in the next."""
    seen = 0

    def stop() -> bool:
        return seen >= batches

    def count(event: dict) -> None:
        nonlocal seen
        seen += event["event"] == "progress"

    first = train(toy.params(tmp_path), count, stop)
    assert first["status"] == "interrupted"
    assert train(toy.params(tmp_path), lambda e: None)["status"] == "finished"
    assert_same_run(trained.out, tmp_path)


def companion(config: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "training.train", "--config", str(config)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_and_terminated_run_ends_like_an_undisturbed_one(
    toy: SimpleNamespace, trained: SimpleNamespace, tmp_path: Path
) -> None:
    config = toy.config(tmp_path / "run")
    out = tmp_path / "run"
    process = companion(config)
    assert process.stdout is not None
    for line in process.stdout:  # first epoch recorded, second under way
        event = parse_event(line)
        assert event is not None
        if event["event"] == "progress" and event["done"] > 3:
            process.kill()
            break
    process.communicate()
    assert read_checkpoint(out / "last.pt")["epoch"] in (1, 2)

    process = companion(config)
    assert process.stdout is not None
    for line in process.stdout:
        if '"progress"' in line:
            process.send_signal(signal.SIGTERM)
            break
    rest, errors = process.communicate(timeout=240)
    last = parse_event(rest.splitlines()[-1])
    assert last is not None and last["event"] == "done", errors
    assert (process.returncode, last["status"]) in ((130, "interrupted"), (0, "finished"))
    assert train(load_train_params(config), lambda e: None)["status"] == "finished"
    (out / "config.json").unlink()
    assert_same_run(trained.out, out)


def test_two_trainings_into_one_folder(toy: SimpleNamespace, tmp_path: Path) -> None:
    """The second is refused and changes nothing, in the library and as a companion."""
    with sole_folder("out", tmp_path / "run"):
        with pytest.raises(InputError, match=rf"^out: '{tmp_path}/run'.*; process {os.getpid()} on "):
            train(toy.params(tmp_path / "run"), lambda e: None)
        process = companion(toy.config(tmp_path / "run"))
        out, errors = process.communicate()
        assert process.returncode == 2 and f"process {os.getpid()} on" in out, errors
        assert {path.name for path in (tmp_path / "run").iterdir()} == {".lock", "config.json"}


def test_terminated_verb_saves_says_so_and_resumes(toy: SimpleNamespace, tmp_path: Path) -> None:
    """`regolith train` on SIGTERM ends as `regolith generate` does, and leaves its run alone in the folder."""
    fields = toy.params(tmp_path / "run", epochs=500).model_dump(mode="json", exclude_defaults=True)
    words = [f"--{name.replace('_', '-')}={value}" for name, value in fields.items()]
    command = [sys.executable, "-m", "regolith.lunar.cli", "train", "--events", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert any('"progress"' in line for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 130 and errors.splitlines() == [
        "regolith: interrupted; run the same command again to go on"
    ]
    assert json.loads((tmp_path / "run/summary.json").read_text())["status"] == "interrupted"
    assert {path.name for path in (tmp_path / "run").iterdir()} <= {
        "best.pt",
        "last.pt",
        "metrics.jsonl",
        "summary.json",
    }
    read_checkpoint(tmp_path / "run/last.pt")


def test_run_without_a_reader_saves_and_stops(toy: SimpleNamespace, tmp_path: Path) -> None:
    process = companion(toy.config(tmp_path, epochs=500))
    assert process.stdout is not None and process.stderr is not None
    assert '"progress"' in process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(240) == 130, errors
    assert "Traceback" not in errors
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "interrupted"


def test_finished_run_returns_at_once(toy: SimpleNamespace, trained: SimpleNamespace) -> None:
    before = (trained.out / "best.pt").stat().st_mtime_ns
    events: list[dict[str, Any]] = []
    summary = train(toy.params(trained.out), events.append)
    assert not [event for event in events if event["event"] == "progress"]
    assert summary["best"] == trained.summary["best"]
    assert (trained.out / "best.pt").stat().st_mtime_ns == before


@pytest.mark.parametrize(("field", "value"), [("lr", 0.5), ("seed", 1), ("epochs", 4), ("flip", False)])
def test_changed_recipe_is_refused(toy: SimpleNamespace, trained: SimpleNamespace, field: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"^{field}: {value!r} is not allowed; allowed: .* or another --out$"):
        train(toy.params(trained.out, **{field: value}), lambda e: None)


def test_changed_data_is_refused(toy: SimpleNamespace, trained: SimpleNamespace, tmp_path: Path) -> None:
    other = write_split(tmp_path / "other", 6, seed=2)
    with pytest.raises(InputError, match=r"^val_split: "):
        train(toy.params(trained.out, val_split=other), lambda e: None)


def test_selection_on_test_is_marked(toy: SimpleNamespace, tmp_path: Path) -> None:
    test = write_split(tmp_path / "test", 3, seed=3)
    summary = train(toy.params(tmp_path / "run", select_on="test", test_split=test, epochs=1), lambda e: None)
    assert summary["selected_on"] == "test"
    assert "optimistic" in summary["selection_note"]
    assert summary["best"]["selection_iou"] == summary["best"]["test"]["iou"]["rock"]


def test_patience_stops_the_run(toy: SimpleNamespace, tmp_path: Path) -> None:
    """A learning rate of nothing never improves on the first epoch."""
    changes = {"lr": 1e-8, "lr_min": 0.0, "patience": 2, "epochs": 30}
    summary = train(toy.params(tmp_path, **changes), lambda e: None)
    best = summary["best_epoch"]
    assert summary["epochs"] == best + 2 < 30


def test_diverging_run_fails_with_one_line(
    toy: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.train.F.cross_entropy", lambda *a, **k: torch.tensor(math.nan, requires_grad=True))
    with pytest.raises(CheckError, match=r"loss is nan in epoch 1: try a smaller --lr than 0.001"):
        train(toy.params(tmp_path), lambda e: None)


def test_split_without_rock_cannot_select(toy: SimpleNamespace, tmp_path: Path) -> None:
    val = write_split(tmp_path / "val", 2)
    records = read_journal(val)
    for index, record in records.items():
        counts = record.counts | {"regolith": record.counts["regolith"] + record.counts["rock"], "rock": 0}
        records[index] = dataclasses.replace(record, counts=counts)
    write_journal(val, records)
    with pytest.raises(InputError, match=r"^val_split: .*some pixel is rock"):
        train(toy.params(tmp_path / "run", val_split=val), lambda e: None)


def test_companion_reports_bad_input_as_event(toy: SimpleNamespace, tmp_path: Path) -> None:
    process = companion(toy.config(tmp_path, train_split=tmp_path / "nowhere"))
    out, _ = process.communicate(timeout=240)
    event = parse_event(out.splitlines()[-1])
    assert process.returncode == 2
    assert event is not None and event["message"].startswith("train_split: ") and event["code"] == 2


def test_companion_is_ours_wherever_we_are(toy: SimpleNamespace, shadowing: Path, tmp_path: Path) -> None:
    """What the verb starts is our `training`, not a folder of that name: it says what is wrong with the split."""
    params = toy.params(tmp_path / "run", train_split=shadowing / "nowhere")
    with pytest.raises(InputError, match=r"^train_split: "):
        train_in_companion(params, lambda event: None)


def test_learning_rate_warms_up_and_ends_at_minimum() -> None:
    params = TrainParams.model_validate(
        {"train_split": "a", "val_split": "b", "out": "c", "init": "random", "lr": 1e-3, "warmup_steps": 10}
    )
    rates = [learning_rate(step, 100, params) for step in range(100)]
    assert rates[:11] == sorted(rates[:11]) and max(rates) == pytest.approx(1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[-1] == pytest.approx(1e-7)


def test_defaults_depend_on_the_encoder() -> None:
    base = {"train_split": "a", "val_split": "b", "out": "c"}
    pretrained = TrainParams.model_validate(base)
    assert (pretrained.start, pretrained.lr_peak, pretrained.warmup) == ("nvidia/mit-b0", 6e-5, 0)
    taught = TrainParams.model_validate(base | {"init": "distilled"})
    assert (taught.lr_peak, taught.warmup) == (5e-4, 100)
    scratch = TrainParams.model_validate(base | {"init": "random"})
    assert scratch.lr_peak > 1e-4 and scratch.warmup > 0


def test_segformer_starts_from_what_ships_where_the_hub_is_in_no_reach(
    toy: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[dict[str, object]] = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr("training.networks.hub.HUB", "https://hub.invalid")
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed}")
    params = toy.params(tmp_path / "run", init=None, epochs=1)
    summary = train(params, notes.append)
    assert (summary["config"]["init"], summary["config"]["lr"]) == ("distilled", 5e-4)
    assert summary["network"]["start"]["licence"] == "apache-2.0"
    assert any("nvidia/mit-b0 is in no reach" in str(note.get("message")) for note in notes)
    # The run stays what it is where the other start is in reach later.
    repo = tmp_path / "empty" / "models--nvidia--mit-b0"
    (repo / "snapshots" / "main").mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (repo / "snapshots" / "main" / name).touch()
    assert in_reach("nvidia/mit-b0")
    assert train(params, notes.append)["config"]["init"] == "distilled"


@pytest.fixture
def start(trained: SimpleNamespace, tmp_path: Path) -> Path:
    """The network of a finished run, as first/best.pt."""
    path = tmp_path / "first" / "best.pt"
    path.parent.mkdir()
    shutil.copy(trained.out / "best.pt", path)
    return path


def test_run_goes_on_from_the_network_of_another(
    toy: SimpleNamespace, trained: SimpleNamespace, start: Path, tmp_path: Path
) -> None:
    summary = train(toy.params(tmp_path / "run", init=str(start), lr=1e-8, warmup_steps=0, epochs=1), lambda e: None)
    old, new = weights(start), weights(tmp_path / "run" / "last.pt")
    names = [name for name in old if not name.split(".")[-1].startswith(("running_", "num_batches"))]  # statistics move
    assert all(torch.allclose(old[name], new[name], atol=1e-5) for name in names)  # decode head and all
    assert summary["config"]["init"] == "first/best.pt"
    assert summary["origin"]["fingerprints"] == read_checkpoint(start)["fingerprints"]
    shutil.copy(trained.out / "last.pt", start)
    with pytest.raises(InputError, match=r"^init: .*was begun with"):  # other weights under the old name
        train(toy.params(tmp_path / "run", init=str(start), lr=1e-8, warmup_steps=0, epochs=1), lambda e: None)


def test_stopped_run_goes_on_without_the_network_it_started_from(
    toy: SimpleNamespace, trained: SimpleNamespace, start: Path, tmp_path: Path
) -> None:
    train(toy.params(tmp_path / "whole", init=str(start), epochs=2), lambda e: None)
    stops = iter([False, False, True])
    part = toy.params(tmp_path / "part", init=str(start), epochs=2)
    assert train(part, lambda e: None, lambda: next(stops, False))["status"] == "interrupted"
    start.unlink()
    summary = train(part, lambda e: None)
    assert summary["status"] == "finished"
    assert_same_run(tmp_path / "whole", tmp_path / "part")
    second = train(toy.params(tmp_path / "again", init=str(part.out / "best.pt"), epochs=1), lambda e: None)
    assert second["origin"]["origin"] == summary["origin"] and summary["origin"]  # where from, all the way


def test_run_does_not_start_from_its_own_folder(toy: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^init: .*outside --out"):
        train(toy.params(tmp_path, init=str(tmp_path / "best.pt")), lambda e: None)


@pytest.mark.parametrize("change", ["model", "classes", "weights", "kind of weights"])
def test_checkpoint_of_something_else_is_refused(
    toy: SimpleNamespace, trained: SimpleNamespace, tmp_path: Path, change: str
) -> None:
    state = read_checkpoint(trained.out / "best.pt")
    if change == "weights":
        state["model"] = {"layer.weight": torch.zeros(3)}
    elif change == "kind of weights":
        state["model"] = {"layer": "none"}
    elif change == "classes":
        state["classes"] = {"road": 0}
    else:
        del state["model"]
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"^init: .*best\.pt or last\.pt of a training run"):
        train(toy.params(tmp_path / "run", init=str(tmp_path / "other.pt")), lambda e: None)


def test_refused_input_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, out = tmp_path / "none", tmp_path / "new/run"
    assert cli.main(f"train --train-split {missing} --val-split {missing} --init random --out {out}".split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("regolith: train_split: ") and not list(tmp_path.iterdir())


def test_start_that_is_no_checkpoint_is_refused(toy: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match=r"^init: .*best.pt or last.pt"):
        train(toy.params(tmp_path / "run", init=str(tmp_path / "best.pt")), lambda e: None)


def test_frames_are_mirrored_with_their_masks(toy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = Frames(toy.train, field="train_split", workers=2)
    order, flips = np.array([3, 1, 2]), np.array([True, False, True])
    plain = list(frames.batches(order, 2))
    flipped = list(frames.batches(order, 2, flips=flips))
    assert [len(rgb) for rgb, _ in plain] == [2, 1]
    for k in (0, 1):  # picture, mask
        a, b = np.concatenate([p[k] for p in plain]), np.concatenate([f[k] for f in flipped])
        assert (
            np.array_equal(b[0], a[0][:, ::-1]) and np.array_equal(b[1], a[1]) and np.array_equal(b[2], a[2][:, ::-1])
        )
    monkeypatch.setattr("training.data.MEMORY_SHARE", 0.0)
    from_disk = list(Frames(toy.train, field="train_split", workers=2).batches(order, 2, flips=flips))
    assert all(np.array_equal(x, y) for a, b in zip(from_disk, flipped, strict=True) for x, y in zip(a, b, strict=True))


def test_fingerprint_ignores_line_order_but_no_value(toy: SimpleNamespace) -> None:
    records = read_source(toy.train).records
    assert records_digest(records) == records_digest(records[::-1])
    assert records_digest(records) != records_digest(records[1:])


def test_broken_frame_is_named(toy: SimpleNamespace, tmp_path: Path) -> None:
    split = write_split(tmp_path / "split", 2)
    (split / "mask" / "mask_00001.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"^train_split: .*mask_00001\.png"):
        Frames(split, field="train_split", workers=1)


def test_config_errors_name_the_field(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"train_split": "a", "val_split": "b", "out": "c", "lr": 7}))
    with pytest.raises(InputError, match=r"^lr: 7 is not allowed; allowed: "):
        load_train_params(path)
    path.write_text(json.dumps({"train_split": "a", "val_split": "b", "out": "c", "select_on": "test"}))
    with pytest.raises(InputError, match=r"test_split"):
        load_train_params(path)
    with pytest.raises(InputError, match=r"^config: "):
        load_train_params(tmp_path / "none.json")
