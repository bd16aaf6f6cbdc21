"""A training in stages: what each is made from, that it goes on from the last and after a stop, what does not fit."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toy_split import write_split

from regolith.lunar.dataset.manifest import read_manifest
from regolith.lunar.files import file_digest
from regolith.lunar.jobs.events import check_event, parse_event
from regolith.lunar.params import InputError, validate_text
from regolith.lunar.params.curriculum import PROGRESSIVE, CurriculumParams
from training.checkpoint import read_checkpoint
from training.curriculum import SETTINGS, plan_stages, train_as_asked
from training.train import train

STAGES = ("1-sim-only", "2-strong", "3-mixed", "4-real-focused")
STRENGTHS = {"0.5": 8, "1": 8, "0.8": 10, "0.3": 10}
"""Strength of randomization to the frames that were drawn at it."""


@pytest.fixture(scope="module")
def data(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A split for each strength, fewer real frames, and frames to choose the epoch by."""

    def fill(root: Path) -> None:
        for seed, (strength, frames) in enumerate(STRENGTHS.items()):
            write_split(root / strength, frames, seed=seed, strength=float(strength))
        write_split(root / "real", 4, seed=8, strength=None)
        write_split(root / "val", 3, seed=9)

    return made_once("curriculum", fill)


def words(data: Path, out: Path, **changes: str) -> dict[str, str]:
    """Flag to value of a small run: two epochs of the first stage, one of each other."""
    splits = ",".join(str(data / name) for name in (*STRENGTHS, "real"))
    recipe = {
        "train_split": splits, "val_split": str(data / "val"), "out": str(out), "init": "random", "epochs": "4",
        "batch": "4", "warmup_steps": "1", "amp": "off", "threads": "1", "workers": "1", "lr": "0.001",
        "curriculum": "progressive", "curriculum_epochs": "0.5,0.25,0.25,0.25",
    }  # fmt: skip
    return recipe | changes


def asked(data: Path, out: Path, **changes: str) -> CurriculumParams:
    return validate_text(CurriculumParams, words(data, out, **changes))


def go_on(data: Path, out: Path, **changes: str) -> SimpleNamespace:
    """Train in this process; returns the summary and the events."""
    events: list[dict[str, Any]] = []
    summary = train_as_asked(asked(data, out, **changes), train, events.append, lambda: False)
    return SimpleNamespace(summary=summary, events=events)


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A curriculum that nobody disturbed, in the companion process that `regolith train` starts."""
    root = tmp_path_factory.mktemp("stages")
    config, out = root / "config.json", root / "run"
    config.write_text(json.dumps(asked(data, out).model_dump(mode="json")))
    command = [sys.executable, "-m", "training.train", "--config", str(config)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    event = parse_event(said[-1])
    assert event is not None and (event["event"], event["status"]) == ("done", "finished")
    return SimpleNamespace(out=out, summary=event["result"])


def epochs_of(out: Path) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl without their times."""
    times = {"seconds", "frames_per_s", "waiting_share"}
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in times} for line in lines]


def test_each_stage_goes_on_from_the_weights_of_the_one_before(done: SimpleNamespace) -> None:
    assert sorted(path.name for path in done.out.iterdir() if path.is_dir()) == list(STAGES)
    assert read_checkpoint(done.out / STAGES[0] / "best.pt")["origin"] is None
    for before, after in itertools.pairwise(STAGES):
        origin = read_checkpoint(done.out / after / "best.pt")["origin"]
        assert origin["sha256"] == file_digest(done.out / before / "best.pt")
        assert origin["recipe"]["init"] == (
            "random" if before == STAGES[0] else f"{STAGES[STAGES.index(before) - 1]}/best.pt"
        )
        assert origin["recipe"] == read_checkpoint(done.out / before / "best.pt")["recipe"]
    assert (done.out / "best.pt").read_bytes() == (done.out / STAGES[-1] / "best.pt").read_bytes()


def test_stages_have_their_share_of_real_frames_and_their_own_recipe(done: SimpleNamespace) -> None:
    summaries = [json.loads((done.out / stage / "summary.json").read_text()) for stage in STAGES]
    assert [summary["splits"]["train_split"]["frames"] for summary in summaries] == [8, 8, 10, 10]
    assert [Path(summary["splits"]["train_split"]["path"]).name for summary in summaries] == [
        "0.5", "1", "mix.json", "mix.json",
    ]  # fmt: skip
    for stage, strength, synth in ((STAGES[2], "0.8", 7), (STAGES[3], "0.3", 2)):
        parts = read_manifest(done.out / stage / "mix.json")
        assert {part.source.name: len(part.records) for part in parts} == {strength: synth, "real": 10 - synth}
    assert [summary["config"]["lr"] for summary in summaries] == pytest.approx(
        [1e-3 * stage.lr for stage in PROGRESSIVE]
    )
    assert [summary["epochs"] for summary in summaries] == [2, 1, 1, 1]
    assert [summary["config"]["warmup_steps"] for summary in summaries] == [1, 0, 0, 0]


def test_the_whole_reads_as_one_run(done: SimpleNamespace) -> None:
    assert [(row["epoch"], row["stage"]) for row in epochs_of(done.out)] == [
        (1, "sim-only"), (2, "sim-only"), (3, "strong"), (4, "mixed"), (5, "real-focused"),
    ]  # fmt: skip
    summary = done.summary
    assert (summary["status"], summary["epochs"], summary["best_epoch"]) == ("finished", 5, 5)
    assert summary["best_rock_iou"] == epochs_of(done.out)[-1]["selection_iou"]
    assert [stage["name"] for stage in summary["stages"]] == [stage.name for stage in PROGRESSIVE]


def test_every_stage_has_a_page_and_the_whole_has_one(done: SimpleNamespace) -> None:
    pages = {place: (done.out / place / "report.html").read_text("utf-8") for place in (".", *STAGES)}
    assert "Stages" in pages["."] and all(stage.name in pages["."] for stage in PROGRESSIVE)
    assert "epoch 5 of 5 is kept" in pages["."]
    assert all("Stages" not in pages[stage] for stage in STAGES)


def test_a_curriculum_that_ended_in_a_mixture_goes_on_to_the_same_end(
    data: Path, done: SimpleNamespace, tmp_path: Path
) -> None:
    """Of 12 steps, the first stage has 4, the next 2, those of mixtures 3; a kill leaves nothing of the whole."""
    seen: list[dict[str, Any]] = []

    def count(event: dict[str, Any]) -> None:
        seen.extend([event] if event["event"] == "progress" else [])

    first = train_as_asked(asked(data, tmp_path), train, count, lambda: len(seen) >= 7)
    assert first["status"] == "interrupted" and not (tmp_path / "best.pt").exists()
    for name in (SETTINGS, "summary.json", "metrics.jsonl"):
        (tmp_path / name).unlink()
    weights = [tmp_path / stage / "best.pt" for stage in STAGES[:2]]
    before = [path.stat().st_mtime_ns for path in weights]
    later = go_on(data, tmp_path)
    assert later.summary["status"] == "finished"
    assert [path.stat().st_mtime_ns for path in weights] == before, "a stage that is done is left alone"
    assert epochs_of(tmp_path) == epochs_of(done.out)
    ours, theirs = (read_checkpoint(folder / "best.pt")["model"] for folder in (tmp_path, done.out))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert [check_event(event) for event in later.events] == [None] * len(later.events)
    progress = [event for event in seen + later.events if event["event"] == "progress"]
    assert [event["done"] for event in progress] == list(range(1, 13))
    assert {event["total"] for event in progress} == {12}
    rates = [event["step"] for event in later.events if event["event"] == "metric" and event["name"] == "lr"]
    assert rates == [4, 5], "epochs are counted on over the stages"


def test_what_was_begun_keeps_its_table(data: Path, done: SimpleNamespace, tmp_path: Path) -> None:
    settings = tmp_path / SETTINGS
    settings.write_bytes((done.out / SETTINGS).read_bytes())
    with pytest.raises(
        InputError, match=r"^curriculum_synth: .*0\.5.* allowed: \[1\.0, 1\.0, 0\.7, 0\.2\], with which"
    ):
        go_on(data, tmp_path, curriculum_synth="1,1,0.5,0.2")
    with pytest.raises(InputError, match=r"^curriculum: 'none' is not allowed; allowed: progressive, as .* begun with"):
        go_on(data, tmp_path, curriculum="none")
    settings.unlink()
    (tmp_path / "last.pt").touch()
    with pytest.raises(InputError, match=r"^out: .*this one holds a run without stages"):
        go_on(data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_stage_may_be_all_real_and_go_on_from_the_last_epoch(data: Path, tmp_path: Path) -> None:
    splits = ",".join(str(data / name) for name in ("0.5", "1", "real"))
    planned = plan_stages(
        asked(data, tmp_path, train_split=splits, curriculum_strength="0.5,1,0.5,0", curriculum_synth="1,1,0.5,0",
              curriculum_start="last")
    )  # fmt: skip
    assert [(len(each.synth), len(each.real), each.frames) for each in planned] == [
        (1, 0, 8), (1, 0, 8), (1, 1, 8), (0, 1, 4),
    ]  # fmt: skip
    assert planned[3].run.train_split == data / "real"
    assert planned[3].run.init == str(tmp_path / "3-mixed" / "last.pt")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"train_split": "0.5,1,0.8,real"}, "train_split: missing; allowed: among others a split drawn at strength "
         "0.3, for stage real-focused (regolith generate --split train_dr --randomize.strength 0.3 --out DIR)"),
        ({"train_split": "0.5,1,0.8,0.3"}, "train_split: missing; allowed: among others a split of real frames, for "
         "stage mixed (regolith import --images IMAGES --masks MASKS --classes NAME=VALUE,… --split real --out DIR)"),
        ({"train_split": "0.5,1,0.8,0.3,real", "curriculum_strength": "0.5,1,0.8,0.8"}, "0.3' is not "
         "allowed; allowed: splits drawn at a strength of some stage, 0.5, 0.8, 1; this one's is 0.3"),
        ({"train_split": "0.5,none"}, "none' is not allowed; allowed: a folder with a dataset.json"),
        ({"curriculum_synth": "1,1,2,0.2"}, "curriculum_synth: '1,1,2,0.2' is not allowed; allowed: "
         "4 numbers 0 … 1 with commas between them: sim-only, strong, mixed, real-focused"),
        ({"curriculum_epochs": "1,1"}, "curriculum_epochs: '1,1' is not allowed; allowed: 4 numbers 0.01 … 100"),
        ({"curriculum_lr": "1,1,nan,1"}, "curriculum_lr: '1,1,nan,1' is not allowed"),
        ({"curriculum_lr": "10,1,1,1", "lr": "0.5"}, "lr: 5.0 is not allowed; allowed: a number 1e-08 … 1"),
    ],
)  # fmt: skip
def test_wrong_values(data: Path, tmp_path: Path, changes: dict[str, str], line: str) -> None:
    if "train_split" in changes:
        changes |= {"train_split": ",".join(str(data / name) for name in changes["train_split"].split(","))}
    out = tmp_path / "run"
    with pytest.raises(InputError) as caught:
        go_on(data, out, **changes)
    assert line in str(caught.value)
    assert not out.exists()
