"""`regolith isaac-check` starts an Isaac Sim of doubles, and has its report whatever becomes of that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit_doubles import PATHS

from regolith.lunar import cli
from regolith.lunar.rtx_check import verb
from regolith.lunar.rtx_check.report import REPORT, START
from regolith.lunar.rtx_check.steps import HEADLESS

NAMES = [START[0], *(step.name for step in HEADLESS)]


@pytest.fixture
def isaac(tmp_path: Path) -> Path:
    """Folder of an Isaac Sim whose Python has the doubles."""
    folder = tmp_path / "isaac"
    (folder / "kit/kernel/config").mkdir(parents=True)
    (folder / "VERSION").write_text("6.2.0-rc.1+main\n")
    (folder / "kit/kernel/config/kit-core.json").write_text('{"kit_version": "110.4.0+x"}')
    script = f'#!/bin/sh\nexport PYTHONPATH="{os.pathsep.join(PATHS)}:$PYTHONPATH"\n{sys.executable} "$@"\nexit $?\n'
    (folder / "python.sh").write_text(script)
    (folder / "python.sh").chmod(0o755)
    return folder


def checked(isaac: Path, out: Path) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Exit code, steps by name and status of a check."""
    code = cli.main(["isaac-check", "--isaac", str(isaac), "--out", str(out), "--size", "48"])
    report = json.loads((out / REPORT).read_text("utf-8"))
    assert [step["name"] for step in report["steps"]] == NAMES
    assert report["isaac_sim"] == "6.2.0-rc.1+main, Kit 110.4.0" and report["host"] == "headless"
    return code, {step["name"]: step for step in report["steps"]}, report["status"]


def states(steps: dict[str, dict[str, Any]]) -> list[str]:
    """State of every step."""
    return [step["state"] for step in steps.values()]


def test_one_command_checks_the_machine(
    isaac: Path, smi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, steps, status = checked(isaac, out)
    said = capsys.readouterr()
    assert (code, status) == (0, "finished") and set(states(steps)) == {"ok"}, said.err
    assert all(f"ok       {name}: " in said.out and f"ok       {name}: " in said.err for name in NAMES)
    assert said.out.endswith(f"{out}: zip this folder and send it back\n")
    pictures = ["mask_overlay.png", "prediction_overlay.png", "rgb.png"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*pictures, REPORT])


@pytest.fixture(params=["released", "installed by pip"])
def either(request: pytest.FixtureRequest, isaac: Path, tmp_path: Path) -> Path:
    """Isaac Sim's folder: as it is released, or among the packages of an environment."""
    if request.param == "released":
        return isaac
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").touch()
    (isaac / "python.sh").rename(environment / "bin/python")
    package = environment / "lib/python3.11/site-packages/isaacsim"
    package.parent.mkdir(parents=True)
    return isaac.rename(package)


def test_an_isaac_sim_that_does_not_start(
    either: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOUBLE_NO_GPU", "1")
    code, steps, status = checked(either, tmp_path / "out")
    assert (code, status) == (1, "ended early") and states(steps) == ["failed"] + ["not run"] * (len(NAMES) - 1)
    assert "no RTX device was found" in steps[START[0]]["seen"]
    assert capsys.readouterr().err.endswith(f"{len(NAMES)} of {len(NAMES)} steps do not hold: {', '.join(NAMES)}\n")


def test_a_python_that_lacks_a_package(isaac: Path, tmp_path: Path) -> None:
    """What it printed last is what there is to say."""
    text = (isaac / "python.sh").read_text("utf-8")
    (isaac / "python.sh").write_text(text.replace('"$@"', '-c "import no_such_package"'))
    code, steps, _ = checked(isaac, tmp_path / "out")
    assert code == 1 and "No module named 'no_such_package'" in steps[START[0]]["seen"]


def test_an_isaac_sim_that_dies(isaac: Path, smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step it died in failed; what was seen before stays, what comes after was not come to."""
    monkeypatch.setenv("DOUBLE_DIES_AFTER", "4")
    code, steps, status = checked(isaac, tmp_path / "out")
    assert (code, status) == (1, "ended early")
    assert states(steps) == ["ok"] * 3 + ["failed"] + ["not run"] * (len(NAMES) - 4)
    assert "Isaac Sim ended with status 137" in steps["black sky"]["seen"]


def test_an_isaac_sim_that_hangs_is_ended(
    isaac: Path, smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose main thread stands still answers to nothing; nobody waits longer than the limit."""
    monkeypatch.setenv("DOUBLE_HANGS_AFTER", "4")
    timers: list[Callable[[], None]] = []

    class Timer:
        """A limit that is over once the step that hangs has begun."""

        def __init__(self, seconds: float, then: Callable[[], None]) -> None:
            assert seconds == verb.LIMIT_S
            timers.append(then)

        def start(self) -> None:
            """Nothing yet."""

        def cancel(self) -> None:
            """Nothing any more."""

    read = verb.Companion.events

    def events(companion: verb.Companion) -> Any:
        for event in read(companion):
            yield event
            if event.get("stage") == "black sky":
                timers[0]()

    monkeypatch.setattr(verb.threading, "Timer", Timer)
    monkeypatch.setattr(verb.Companion, "events", events)
    code, steps, status = checked(isaac, tmp_path / "out")
    assert (code, status) == (1, "ended early") and steps["black sky"]["state"] == "failed"
    assert "had not come to its end after 590 s" in steps["black sky"]["seen"]


def test_interrupted(isaac: Path, smi: Path, tmp_path: Path) -> None:
    """Ctrl+C ends Isaac Sim with all it started, and the report says so."""
    out = tmp_path / "out"
    code = f"import sys; from regolith.lunar import cli; sys.exit(cli.main(['isaac-check', '--isaac', {str(isaac)!r}, '--out', {str(out)!r}, '--size', '48']))"  # noqa: E501
    env = os.environ | {"DOUBLE_HANGS_AFTER": "0"}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, text=True) as process:
        while "running" not in _black_sky(out):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130 and "interrupted" in err
    assert "interrupted" in _black_sky(out)
    left = subprocess.run(["pgrep", "-f", str(out)], capture_output=True, text=True, check=False).stdout
    assert left == ""


def _black_sky(out: Path) -> list[str]:
    """State of the step, and what was seen; empty while there is no report."""
    if not (out / REPORT).is_file():
        return []
    step = next(s for s in json.loads((out / REPORT).read_text("utf-8"))["steps"] if s["name"] == "black sky")
    return [step["state"], step["seen"]]


@pytest.mark.parametrize("case", ["no folder", "no Isaac Sim", "no python.sh", "out is a file"])
def test_bad_input(isaac: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    folder, out = isaac, tmp_path / "out"
    if case == "no folder":
        folder = tmp_path / "nowhere"
    elif case == "no Isaac Sim":
        (isaac / "VERSION").unlink()
    elif case == "no python.sh":
        (isaac / "python.sh").unlink()
    else:
        out.write_text("mine")
    assert cli.main(["isaac-check", "--isaac", str(folder), "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("regolith: out: " if case == "out is a file" else "regolith: isaac: ")
    assert len(err.splitlines()) == 1
    assert not out.is_dir()
