"""Exports behind the panel's buttons: paused, resumed, cancelled, found again, in the host or by a companion."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from panel_host import Bench, Waiting
from panel_jobs import enter_generate, hashes

from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.verify import verify
from regolith.lunar.jobs.runs import find_runs
from regolith.lunar.panel.host import OpenStage


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


def test_export_by_a_companion_can_be_verified_scored_and_shown(bench: Bench) -> None:
    split, work = enter_generate(bench, 3, "processes"), bench.model.works["generate"]
    bench.run("generate")
    assert work.state == "running" and bench.model.actions["generate"].reason == "an export is under way"
    bench.rest("generate")
    assert work.state == "finished", (work.text, work.log)
    assert work.text == f"3 frames in {split.relative_to(bench.host.data_folder)}, 3 drawn now" and work.fraction == 1.0
    assert bench.host.notes[-1] == ("info", f"Export finished: {work.text}")
    assert verify(split)["problems"] == []
    assert (split / "dataset.json").exists() and bench.host.generated[-1].out == split.parent
    bench.run("open_folder")
    assert bench.host.opened == [split]

    bench.run("report")
    bench.rest("report")
    assert bench.host.opened[-1] == split / "card.html" and (split / "card.html").stat().st_size > 10_000
    written = (split / "card.html").stat().st_mtime_ns
    bench.run("report")  # as new as the frames: opened at once, before a tick
    assert bench.host.opened[-2:] == [split / "card.html"] * 2
    assert (split / "card.html").stat().st_mtime_ns == written

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
    split, work = enter_generate(bench, 10), bench.model.works["generate"]
    wanted = undisturbed(bench)
    bench.run("generate")
    bench.until(lambda: work.done >= 1 or not work.active)
    assert re.match(r"\d+ / 10 frames", work.text)
    bench.run("pause")
    assert work.state == "pausing" and not bench.model.actions["pause"].enabled
    bench.rest("generate")
    assert work.state in ("paused", "finished")
    if work.state == "paused":
        assert 1 <= len(read_journal(split)) < 10 and work.text.startswith("paused at ")
        assert bench.model.actions["pause"].label == "Resume"
        again = bench.restart()
        again.until(lambda: not again.model.works["generate"].active)
        assert again.model.works["generate"].state == "interrupted" and again.model.works["generate"].folder == split
        again.run("pause")
        again.rest("generate")
        assert again.model.works["generate"].state == "finished"
        again.end()
    assert hashes(split) == wanted


def test_cancelled_export_keeps_its_frames(bench: Bench) -> None:
    split, work = enter_generate(bench, 200), bench.model.works["generate"]
    bench.run("generate")
    bench.until(lambda: work.done >= 1 or not work.active)
    bench.run("cancel")
    assert work.state == "stopping"
    bench.rest("generate")
    assert work.state == "interrupted" and work.text.startswith("interrupted at ")
    kept = len(read_journal(split))
    assert 1 <= kept < 200
    bench.model.commit("terrain.hurst", 0.5)
    bench.run("generate")
    bench.rest("generate")
    assert work.state == "failed" and "terrain.hurst" in work.text
    assert bench.host.notes[-1] == ("error", work.text) and len(read_journal(split)) == kept


def test_export_goes_on_while_the_host_is_away(bench: Bench) -> None:
    split, work = enter_generate(bench, 10), bench.model.works["generate"]
    bench.run("generate")
    bench.until(lambda: work.done >= 1 or not work.active)
    again = bench.restart()
    found = again.model.works["generate"]
    assert found.active and found.folder == split
    again.rest("generate")
    assert found.state == "finished" and len(read_journal(split)) == 10
    again.end()


def test_export_in_the_host_draws_the_same_bytes(
    bench: Bench, undisturbed: Callable[[Bench], dict[int, dict[str, str]]]
) -> None:
    """Paused, which ends a task that cannot wait, and gone on with."""
    bench.host.draws_here = True
    split, work = enter_generate(bench, 10), bench.model.works["generate"]
    wanted = undisturbed(bench)
    bench.run("generate")
    bench.until(lambda: work.done >= 2 or not work.active)
    assert "drawing here" in work.text and not find_runs(bench.host.runs_folder)
    bench.run("pause")
    bench.rest("generate")
    assert work.state == "paused" and len(read_journal(split)) < 10
    bench.run("pause")
    bench.rest("generate")
    assert work.state == "finished" and len(bench.host.generated) == 2
    assert hashes(split) == wanted
    bench.model.commit("drawing.headless", True)
    bench.model.commit("generate.frames", 9)
    bench.run("generate")  # left to a companion: fewer frames than there are
    bench.rest("generate")
    assert len(find_runs(bench.host.runs_folder)) == 1


@pytest.mark.parametrize(
    "state", [OpenStage(ours=False, unsaved=False, name="rover.usd"), OpenStage(ours=True, unsaved=True, name="mine")]
)
def test_export_in_the_place_of_a_stage_asks_first(bench: Bench, state: OpenStage) -> None:
    bench.host.draws_here, bench.host.state = True, state
    bench.host.answers["Export dataset"] = "Keep the open one"
    enter_generate(bench, 1)
    bench.run("generate")
    bench.model.tick()
    (question,) = bench.host.questions
    assert state.name in question.text and question.answers[-1] == "Keep the open one"
    assert not bench.host.generated and bench.model.works["generate"].state == "idle"
    bench.host.answers["Export dataset"] = "Export in its place"
    bench.run("generate")
    bench.until(lambda: bench.host.generated)
    bench.rest("generate")
    assert bench.model.works["generate"].state == "finished"


def test_export_elsewhere_asks_nothing(bench: Bench) -> None:
    bench.host.draws_here, bench.host.state = True, OpenStage(ours=False, unsaved=True)
    enter_generate(bench, 1)
    bench.model.commit("drawing.headless", True)
    bench.run("generate")
    assert not bench.host.questions
    bench.rest("generate")


def test_task_that_can_wait_is_held_and_not_ended(bench: Bench) -> None:
    task = bench.host.waiting = Waiting()
    split, work = enter_generate(bench, 4), bench.model.works["generate"]
    bench.run("generate")
    bench.model.tick()
    assert work.state == "running" and work.fraction == 0.25 and work.text == "1 / 4 frames (opening)"
    bench.run("pause")
    assert work.state == "paused" and bench.model.actions["pause"].label == "Resume"
    bench.run("pause")
    assert work.state == "running" and task.calls == ["pause", "resume"] and len(bench.host.generated) == 1
    task.finish({"split": str(split), "frames": 4, "drawn": 4})
    bench.rest("generate")
    assert (
        work.state == "finished"
        and work.text == f"4 frames in {split.relative_to(bench.host.data_folder)}, 4 drawn now"
    )
    task = bench.host.waiting = Waiting()
    bench.run("generate")
    bench.run("pause")
    bench.run("cancel")
    bench.rest("generate")
    assert work.state == "interrupted" and task.done()


def test_export_takes_the_hosts_options(bench: Bench, tmp_path: Path) -> None:
    """A host may have its chunks drawn by a command of its own."""
    enter_generate(bench, 2)
    ran = tmp_path / "ran"
    worker = f"{sys.executable} -m regolith.lunar.dataset.chunk {{task}}"
    bench.host.options = {"executor": "isaac", "command": f"/bin/sh -c 'touch {ran}; exec {worker}'"}
    bench.run("generate")
    bench.rest("generate")
    assert bench.model.works["generate"].state == "finished", bench.model.works["generate"].text
    assert ran.exists()


def test_an_export_found_again_keeps_its_gain(bench: Bench) -> None:
    """Whatever is entered by then; what somebody else noted is held to the field's limits."""
    enter_generate(bench, 200)
    bench.model.commit("drawing.gain", 2.5)
    bench.run("generate")
    assert bench.host.generated[-1].gain == 2.5
    work = bench.model.works["generate"]
    bench.until(lambda: work.done >= 1 or not work.active)
    bench.run("cancel")
    bench.rest("generate")
    again = bench.restart()
    again.until(lambda: not again.model.works["generate"].active)
    assert again.model.field("drawing.gain").value == 1.0
    again.run("pause")
    assert again.host.generated[-1].gain == 2.5
    again.run("cancel")
    again.rest("generate")
    again.end()
    for run in find_runs(bench.host.runs_folder):
        record = json.loads((run.folder / "run.json").read_text("utf-8"))
        record["details"]["gain"] = -1.0
        (run.folder / "run.json").write_text(json.dumps(record), "utf-8")
    other = bench.restart()
    other.until(lambda: not other.model.works["generate"].active)
    other.run("pause")
    assert other.model.works["generate"].state == "failed" and "gain" in other.model.works["generate"].text
    other.end()
