"""`regolith isaac-check`: try this tool in an Isaac Sim, and write down what was seen, to be sent back."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from regolith.lunar.jobs.companion import Companion
from regolith.lunar.jobs.events import Emit
from regolith.lunar.machine import environment_python, isaac_launcher, stop_on_signal
from regolith.lunar.machine_checks import check_isaac, isaac_home
from regolith.lunar.params import CheckError, InputError, Verb, quantity, sole_folder
from regolith.lunar.rtx_check.report import START, Report, step_line
from regolith.lunar.rtx_check.steps import HEADLESS

LIMIT_S = 590.0
"""Longest time of a check, the start of Isaac Sim with it [s]."""
GRACE_S = 5.0
"""How long Isaac Sim may take to end when it is told to [s]."""
EXTENSION = Path(__file__).parents[3]
"""`exts/regolith.lunar` of a checkout."""


class IsaacCheck(Verb):
    """Try this tool in an Isaac Sim, step by step, in less than ten minutes; exit code 1 where a step does not hold."""

    isaac: Path = quantity(
        ...,
        "Folder of Isaac Sim with python.sh in it (on Windows python.bat); where pip installed it, its folder isaacsim "
        "in site-packages.",
    )
    out: Path = quantity(Path("isaac-check"), "Folder to write: a report and pictures, to be sent back as they are.")
    size: int = quantity(512, "Side of the pictures.", unit="px", ge=16, le=2048)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Run the check; raises `CheckError` where a step does not hold."""
        from regolith.lunar.jobs.progress import show

        found = check_isaac(self.isaac)
        home, _ = isaac_home(self.isaac)
        launcher = isaac_launcher(home) or environment_python(home)
        if launcher is None:
            text = "a folder of Isaac Sim with python.sh (on Windows python.bat), or its package in an environment"
            raise InputError("isaac", str(self.isaac), text)
        if not (EXTENSION / "config" / "extension.toml").is_file():
            raise InputError(
                "regolith", str(EXTENSION), "the one of a checkout: Isaac Sim's Python takes it from there"
            )
        with sole_folder("out", self.out), show(self.events, "isaac-check", "steps") as emit:
            steps = [START, *((step.name, step.shows) for step in HEADLESS)]
            report = Report.begin(self.out, "headless", steps)
            report.data["isaac_sim"] = found.found
            report.note(START[0], "running")
            report = _watch(launcher, self.out, self.size, emit)
        if failed := report.failed():
            line = f"{len(failed)} of {len(report.steps)} steps do not hold: {', '.join(failed)}"
            raise CheckError(line, report.data)
        return report.data

    def summary(self, result: dict[str, Any]) -> str:
        """List the steps, and say what to send."""
        lines = [step_line(step) for step in result["steps"]]
        return "\n".join([*lines, f"{self.out.resolve()}: zip this folder and send it back"])


def _watch(launcher: Path, out: Path, size: int, emit: Emit) -> Report:
    """Run the steps in Isaac Sim, and return its report, in which every step has come to something.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came.
    """
    folder = out.resolve()
    command = [launcher, "-m", "regolith.lunar.rtx_check.worker", "--out", folder, "--size", str(size)]
    companion = Companion([*command, "--parent", str(os.getpid())], env={"PYTHONPATH": str(EXTENSION)}, tethered=True)
    late = threading.Event()

    def end() -> None:  # in a thread of its own: it waits
        threading.Thread(target=companion.cancel, kwargs={"grace_s": GRACE_S}, daemon=True).start()

    def end_late() -> None:
        late.set()
        end()

    timer = threading.Timer(LIMIT_S, end_late)
    timer.start()
    stopped = True  # unless it comes to its end
    try:
        with companion, stop_on_signal(end) as stop:
            for event in companion.events():
                if event["event"] != "log":
                    emit(event)
        stopped = stop.is_set()
    finally:
        timer.cancel()
        report = Report.read(folder)
        said = next((line for line in reversed(companion.tail) if line.strip()), "it said nothing")
        reason = f"Isaac Sim ended with status {companion.returncode}: {said}"
        if late.is_set():
            reason = f"Isaac Sim had not come to its end after {LIMIT_S:.0f} s: {said}"
        report.end("interrupted" if stopped else reason)
    if stopped:
        raise KeyboardInterrupt
    return report
