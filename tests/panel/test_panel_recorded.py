"""Records of runs that somebody else wrote: nothing of them is executed, and nothing is written outside."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from panel_host import Bench, MemoryHost

from regolith.lunar.dataset.generate import Generate
from regolith.lunar.jobs.runs import RUN, STOP, find_runs
from regolith.lunar.panel.forms import PROGRAMS
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.recorded import LOCAL, read_verb, record_verb
from regolith.lunar.params import InputError, PictureSize, load_preset

VALUES = {"split": "val", "frames": "2", "out": "set", "size": "48x48", "executor": "in-process"}


@pytest.fixture
def host(host: MemoryHost) -> MemoryHost:
    host.withheld = PROGRAMS
    host.confine = host.data_folder
    host.data_folder.mkdir()
    return host


@pytest.fixture
def found(host: MemoryHost) -> Callable[..., Bench]:
    """A panel on a runs folder with one stopped export that somebody else wrote."""

    def make(details: Any, /, **more: Any) -> Bench:
        folder = host.runs_folder / "20260101-000000-00-generate"
        folder.mkdir(parents=True)
        record = {"kind": "generate", "details": details, "pid": 1, "birth": "", "started": 1.0} | more
        (folder / RUN).write_text(json.dumps(record))
        (folder / STOP).touch()
        bench = Bench(host, PanelModel(host, preset="v1"))
        bench.model.tick()
        bench.model.tick()
        return bench

    return make


def params(**groups: Any) -> dict[str, Any]:
    """The parameters of a record."""
    return load_preset("v1").model_dump(mode="json") | groups


def refused(bench: Bench) -> str:
    """Press Resume: nothing is started, one line says why."""
    before = find_runs(bench.host.runs_folder)
    assert bench.model.actions["pause"].label == "Resume"
    bench.run("pause")
    bench.model.tick()
    assert bench.model.works["generate"].state == "failed"
    assert [run.folder for run in find_runs(bench.host.runs_folder)] == [run.folder for run in before]
    level, line = bench.host.notes[-1]
    assert level == "error" and "\n" not in line and line == bench.model.works["generate"].text
    return line


@pytest.mark.parametrize("program", ["/bin/sh", sys.executable])
def test_a_command_of_a_record_is_not_executed(found: Callable[..., Bench], tmp_path: Path, program: str) -> None:
    canary = tmp_path / "canary"
    script = f"touch {canary}" if program == "/bin/sh" else f"open({str(canary)!r}, 'w')"
    bench = found(
        {"split": str(tmp_path / "data" / "set" / "val")}, arguments=[program, "-c", script],
        env={"PYTHONPATH": str(tmp_path), "LD_PRELOAD": str(canary)}, cwd=str(tmp_path),
    )  # fmt: skip
    assert "start anew" in refused(bench)
    bench.end()
    assert not canary.exists()


OUTSIDE = "a path inside "
REFUSED = {
    "another verb": ({"verb": "studio", "values": {}}, "run: verb: 'studio' is not allowed"),
    "no values": ({"values": None}, "run: values"),
    "a command": ({"values": VALUES | {"command": "touch canary {task}", "executor": "isaac"}}, "run: command"),
    "a cluster": ({"values": VALUES | {"address": "ray://evil:1", "executor": "ray"}}, "run: address"),
    "a file of the verb": ({"values": VALUES | {"json_file": "x"}}, "run: json_file"),
    "an unknown field": ({"values": VALUES | {"__class__": "x"}}, "run: __class__"),
    "a wrong value": ({"values": VALUES | {"frames": "0"}}, "frames: '0' is not allowed"),
    "a missing value": ({"values": {"split": "val"}}, "frames: missing"),
    "values of another type": ({"values": VALUES | {"frames": 2}}, "run: values"),
    "a list": ({"values": ["--command=x"]}, "run: values"),
    "out elsewhere": ({"values": VALUES | {"out": "/tmp/elsewhere"}}, OUTSIDE),
    "out above": ({"values": VALUES | {"out": "../../elsewhere"}}, OUTSIDE),
    "no parameters": ({"params": None}, "parameters: missing"),
    "parameters that are none": ({"params": params(terrain={"hurst": "x"})}, "terrain"),
    "an unknown parameter": ({"params": params(exec="touch canary")}, "exec"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_entered_is_not_resumed(found: Callable[..., Bench], case: str) -> None:
    changed, words = REFUSED[case]
    bench = found({"verb": "generate", "values": VALUES, "params": params()} | changed)
    assert words in refused(bench)
    assert not bench.host.generated and bench.host.live is None
    bench.end()


def test_what_a_record_allows_is_drawn_by_our_own_program(found: Callable[..., Bench]) -> None:
    """The same record with nothing wrong is resumed, by the interpreter of this host and in a folder of its own."""
    bench = found({"verb": "generate", "values": VALUES, "params": params()}, arguments=["/bin/false"])
    assert bench.model.works["generate"].folder == bench.host.data_folder / "set" / "val"
    bench.run("pause")
    bench.rest("generate", 240)
    work = bench.model.works["generate"]
    assert work.state == "finished", (work.text, work.log)
    assert (bench.host.data_folder / "set" / "val" / "dataset.json").is_file()
    old, new = find_runs(bench.host.runs_folder)
    assert new.details["values"]["frames"] == "2" and "arguments" in old.info and "arguments" not in new.info
    bench.end()


@pytest.mark.parametrize(
    "more", [{"kind": ["x"]}, {"started": "now"}, {"pid": "1"}, {"details": []}, {"birth": None}, {"kind": "../../x"}]
)
def test_a_record_of_other_types_is_passed_over(found: Callable[..., Bench], more: dict[str, Any]) -> None:
    bench = found({"verb": "generate", "values": VALUES, "params": params()}, **more)
    assert bench.model.works["generate"].state == "idle" and not bench.host.notes
    bench.end()


@pytest.mark.parametrize("out", ["/etc", "../..", 3, ["x"], None, "a\0b"])
def test_a_training_of_a_record_is_not_looked_for_elsewhere(found: Callable[..., Bench], out: Any) -> None:
    bench = found({"out": out}, kind="training")
    assert bench.model._training.out is None and not bench.model.actions["use_model"].enabled
    bench.end()


def test_record_and_verb_are_one(tmp_path: Path) -> None:
    verb = Generate(
        split="val", frames=3, out=tmp_path, size=PictureSize(64, 48), stall_s=12.5, extend=True, executor="ray",
        address="here", command="x {task}",
    )  # fmt: skip
    record = json.loads(json.dumps(record_verb("generate", verb)))
    again = read_verb(record, "generate", Generate)
    assert again == verb.model_copy(update=dict.fromkeys(LOCAL))
    assert all(name.rpartition(".")[2] in LOCAL | {"python"} for name in PROGRAMS)
    with pytest.raises(InputError, match="run: verb"):
        read_verb(record, "train", Generate)
