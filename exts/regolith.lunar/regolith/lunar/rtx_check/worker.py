"""A check in headless Isaac Sim: `…/python.sh -m regolith.lunar.rtx_check.worker --out FOLDER`.

What `regolith isaac-check` starts, after it has begun the report in FOLDER. What came of it is told by that report
alone: SimulationApp ends the process inside `close`, in Isaac Sim 5.1 always with exit status 0.

Arguments it does not know go to Kit.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from regolith.lunar.dataset.isaac_worker import launch_config
from regolith.lunar.jobs.events import emit_quietly
from regolith.lunar.jobs.tether import end_with
from regolith.lunar.rtx_check.report import START, Report, step_line

if TYPE_CHECKING:
    from regolith.lunar.rtx_check.checklist import Checklist, Step


def main() -> int:
    """Start Isaac Sim and take the steps."""
    parser = argparse.ArgumentParser(prog="python -m regolith.lunar.rtx_check.worker", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the report and the pictures")
    parser.add_argument("--size", type=int, default=512, help="side of the pictures [px]")
    parser.add_argument("--parent", type=int, help="process whose end also ends this one")
    arguments, extra = parser.parse_known_args()
    sys.argv[1:] = []  # SimulationApp reads it; what is Kit's goes by `extra_args`
    if arguments.parent is not None:
        end_with(arguments.parent)
    report, started = Report.read(arguments.out), time.monotonic()
    try:
        from isaacsim import SimulationApp  # type: ignore[import-not-found]  # before anything of OpenUSD

        app = SimulationApp(launch_config(extra))
    except Exception as error:  # nothing else tells the one who waits why
        report.note(START[0], "failed", f"{type(error).__name__}: {error}")
        return 1
    try:
        noted = report.note(START[0], "ok", "Isaac Sim runs", seconds=time.monotonic() - started)
        emit_quietly({"event": "note", "message": step_line(noted)})
        _check(report, arguments.out, arguments.size)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        app.close()  # may not return
    return 0


def _check(report: Report, folder: Path, size: int) -> None:
    """Take the steps in the app that runs."""
    from regolith.lunar.rtx_check.checklist import Checklist, Context
    from regolith.lunar.rtx_check.looking import check_params
    from regolith.lunar.rtx_check.steps import HEADLESS
    from regolith.lunar.scratch import scratch_folder

    with scratch_folder() as scratch:
        context = Context(folder=folder, scratch=scratch, params=check_params(), size=size)
        take_all(Checklist(report, context, emit_quietly), HEADLESS)


def take_all(checklist: Checklist, steps: Iterable[Step]) -> None:
    """Take steps to the end of a check, in a process that drives the app."""
    from regolith.lunar.render import rtx
    from regolith.lunar.render.base import run_through

    for step in steps:
        taking = checklist.take(step)
        if step.drives:
            run_through(taking)
        else:
            rtx.run_in_loop(taking)
    checklist.end()


if __name__ == "__main__":
    sys.exit(main())
