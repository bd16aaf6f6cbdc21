"""The checklist of an RTX machine over the doubles: it holds, and each step fails where the machine is at fault."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from check_scene import smallest_params
from kit_doubles import KitApp, running_app
from PIL import Image

from regolith.lunar.jobs.events import check_event
from regolith.lunar.rtx_check.checklist import TOTAL_S, Checklist, Context, Step
from regolith.lunar.rtx_check.report import REPORT, START, Report
from regolith.lunar.rtx_check.steps import HEADLESS, LAST
from regolith.lunar.rtx_check.worker import take_all

PAGE = Path(__file__).parents[2] / "exts/regolith.lunar/docs/RTX.md"
SIZE = 48
NAMES = [step.name for step in HEADLESS]


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> Iterator[KitApp]:
    """An app with Replicator, in a process that drives it."""
    with running_app() as app:
        monkeypatch.setitem(sys.modules, "isaacsim", types.SimpleNamespace(RUNNING=object()))  # type: ignore[arg-type]
        yield app
        app.rep.quirks.reset()


def checked(
    folder: Path, before: Callable[[str], object] = lambda name: None, steps: tuple[Step, ...] = HEADLESS,
    total_s: float = TOTAL_S,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """The steps of a check by name, as a process of its own takes them.

    Args:
        folder: Folder of the check.
        before: Called with the name of each step before it is taken, and with an empty one at the end.
        steps: What to take.
        total_s: Longest time of all [s].
    """
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir()
    report = Report.begin(out, "headless", [(step.name, step.shows) for step in steps])
    lines: list[str] = []

    def emit(event: dict[str, Any]) -> None:
        assert check_event(event) is None
        there = json.loads((out / REPORT).read_text("utf-8"))  # whole, whenever it is read
        assert [step["name"] for step in there["steps"]] == [step.name for step in steps]
        if event["event"] == "note":
            lines.append(event["message"])
        else:
            before(event.get("stage", ""))

    context = Context(folder=out, scratch=scratch, params=smallest_params(), size=SIZE)
    checklist = Checklist(report, context, emit, total_s=total_s)
    take_all(checklist, steps)
    assert not [path for path in out.iterdir() if path.suffix == ".tmp"]
    found = json.loads((out / REPORT).read_text("utf-8"))
    assert found["status"] == "finished" and len(lines) == len(steps)
    for line, step in zip(lines, found["steps"], strict=True):
        assert line.startswith(step["state"]) and step["seen"] in line and step["seen"]
    return {step["name"]: step for step in found["steps"]}


def failed(steps: dict[str, dict[str, Any]]) -> list[str]:
    """Names of those that failed; all others hold."""
    assert {step["state"] for step in steps.values()} <= {"ok", "failed"}
    return [name for name, step in steps.items() if step["state"] == "failed"]


def test_every_step_holds(kit: KitApp, smi: Path, tmp_path: Path) -> None:
    steps = checked(tmp_path)
    assert failed(steps) == [], steps
    versions = steps["versions"]["values"]
    assert versions["gpus"] == [
        {"name": "NVIDIA RTX 6000 Ada Generation", "driver": "580.65.06", "used_mib": 1024, "total_mib": 49140}
    ]
    assert (versions["app"], versions["kit"], versions["replicator"]) == ("6.2.0", "110.4.0+double", "1.13.27")
    assert steps["inference"]["values"]["provider"] == "CPU"
    assert steps["speed"]["values"]["frames_per_s"] > 0.0
    for name in ("rgb", "mask_overlay", "prediction_overlay"):
        picture = np.asarray(Image.open(tmp_path / "out" / f"{name}.png"))
        assert picture.shape == (SIZE, SIZE, 3) and picture.std() > 1.0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [REPORT, "rgb.png", "mask_overlay.png", "prediction_overlay.png"]
    )


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something wrong with the machine while one step runs."""

    during: str
    begin: Callable[[KitApp], object]
    says: dict[str, str]
    """Steps that fail by it, and words of what each says."""
    limit_s: float | None = None
    """Longest time of the step, where that is not to be waited for [s]."""


def lose_device(kit: KitApp) -> None:
    """Let a step of Replicator fail in the middle of what is under way."""
    kit.rep.quirks.fail_after = len(kit.rep.quirks.steps) + 1


def break_model(kit: KitApp) -> None:
    """Let onnxruntime load no model."""
    import onnxruntime

    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("libcudnn.so.9: cannot open shared object file")

    onnxruntime.InferenceSession = broken  # type: ignore[misc, assignment]


FAULTS: dict[str, list[Fault]] = {
    "first": [
        Fault("versions", lambda kit: setattr(kit.app, "version", "108.0"), {"versions": "Kit 108.0.0+double"}),
        Fault("black sky", lambda kit: setattr(kit.rep.quirks, "haze", 40), {"black sky": "at most 6"}),
        Fault("export", lambda kit: setattr(kit.rep.quirks, "unlabelled", True), {"labels": "pixels without a class"}),
        Fault("exposure", lambda kit: setattr(kit.rep.quirks, "light", 2.0), {"exposure": "a --gain of 0.5 would"}),
        Fault("settled", lambda kit: setattr(kit.rep.quirks, "noise", 5.0), {"settled": "32, as by default, should"}),
        Fault("closing", lambda kit: setattr(kit.context, "refuses", True), {"closing": "the app is busy"}),
        Fault("speed", lose_device, {"speed": "lost its device"}),
    ],
    "second": [
        Fault(
            "new stage", lambda kit: setattr(kit.context, "refuses", True),
            {"new stage": "the app is busy", "settings": "nobody noted"},
        ),
        Fault("export", lambda kit: setattr(kit.rep.quirks, "long_normals", True), {"verify": "normals at"}),
        Fault("inference", break_model, {"inference": "libcudnn.so.9"}),
        Fault("headless", lose_device, {"headless": "lost its device"}),
    ],
    "third": [
        Fault("export", lambda kit: setattr(kit.rep.quirks, "drift", 5), {"export": "differ in"}),
        Fault("speed", lambda kit: setattr(kit.rep.quirks, "endless", True), {"speed": "not done within 1 s"}, 1.0),
        Fault(
            "headless", lambda kit: setattr(kit.rep.quirks, "keeps", True),
            {"settings": "/rtx/rendermode was 'RaytracedLighting', is 'RealTimePathTracing'"},
        ),
    ],
}  # fmt: skip
"""Faults of one pass each, which have nothing to do with each other."""


@pytest.mark.parametrize("faults", FAULTS.values(), ids=list(FAULTS))
def test_a_step_that_fails_says_what_was_seen_and_the_others_run(
    kit: KitApp, smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: list[Fault]
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "InferenceSession", onnxruntime.InferenceSession)  # given back afterwards

    settings = dict(kit.settings.values)

    def before(name: str) -> None:
        kit.rep.quirks.reset()
        kit.context.refuses, kit.app.version = False, "110.4"
        for fault in faults:
            if fault.during == name:
                fault.begin(kit)

    limits = {fault.during: fault.limit_s for fault in faults if fault.limit_s is not None}
    steps = tuple(dataclasses.replace(s, limit_s=limits.get(s.name, s.limit_s)) for s in HEADLESS)
    found = checked(tmp_path, before, steps)
    wanted = {name: words for fault in faults for name, words in fault.says.items()}
    assert failed(found) == [name for name in NAMES if name in wanted], found
    for name, words in wanted.items():
        assert words in found[name]["seen"]
    kit.settings.values = settings


def test_every_step_was_made_to_fail() -> None:
    assert {name for faults in FAULTS.values() for fault in faults for name in fault.says} == set(NAMES)


def test_without_driver_and_onnxruntime_the_rest_is_checked(
    kit: KitApp, smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stock Isaac Sim lacks onnxruntime: it is said what to install, and that is no failure."""
    smi.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    steps = checked(tmp_path)
    inference = steps.pop("inference")
    assert inference["state"] == "absent" and "-m pip install onnxruntime" in inference["seen"]
    assert failed(steps) == ["versions", "speed"]
    assert "NVIDIA-SMI has failed" in steps["versions"]["seen"]


def test_when_the_time_is_over_what_is_left_says_so(kit: KitApp, tmp_path: Path) -> None:
    steps = checked(tmp_path, total_s=0.0)
    assert failed(steps) == NAMES
    assert {step["seen"] for step in steps.values()} == {"no time was left for it"}


def test_the_page_lists_the_steps_in_order() -> None:
    """Those of an app with windows alone are listed too; a test on the Kit kernel has their names."""
    rows = re.findall(r"(?m)^\| ([a-z ]+) \|", PAGE.read_text("utf-8").split("| step | what holds |")[1])
    assert [name for name in rows if name not in ("viewport", "preview")] == [START[0], *NAMES]
    assert HEADLESS[-1] is LAST and len(set(rows)) == len(rows)
