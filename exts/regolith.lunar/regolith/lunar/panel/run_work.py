"""A line of work done by a companion's run: start, stop, follow, find again."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from regolith.lunar.jobs.events import Event
from regolith.lunar.jobs.runs import Run, find_runs, new_folder, prune_runs
from regolith.lunar.machine import install_command
from regolith.lunar.panel.context import PanelContext, package_environment, say
from regolith.lunar.panel.work import Work, WorkState, counted
from regolith.lunar.reading import read_json

GRACE_S = 60.0
"""How long a companion may take to finish the frame or save the run before it is killed [s]."""
RATE_S = 20.0
"""Span the shown speed is measured over [s]."""
RESULT = "result.json"
"""Where a verb of the command line writes its result, inside its run folder."""
RESULT_BYTES = 16 * 2**20
"""Largest result that is read [bytes]."""
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What comes of reading a result that is not what its verb returns."""


class RunWork:
    """One run after the other."""

    def __init__(
        self, context: PanelContext, key: str, title: str, *, unit: str = "", describe: Callable[[Any], str]
    ) -> None:
        """Make it, with nothing under way.

        Args:
            context: Of the panel.
            key: Of the work, and kind of its runs.
            title: What it is called.
            unit: What progress counts.
            describe: Says in a line what the result is of a run that came to its end.
        """
        self.work = Work(key, title)
        self.run: Run | None = None
        """The run that is followed, or was last."""
        self.result: Any = None
        """What the last run that came to its end reported."""
        self.ended: Callable[[WorkState], None] = lambda state: None
        """Called when a run that was under way while we looked has ended, with its new state."""
        self.judges = False
        """Whether exit code 1 with a result, of a check that does not hold, is an answer and no failure."""
        self._context, self._unit, self._describe = context, unit, describe
        self._watching = self._lived = False
        self._stop_since: float | None = None
        self._then: WorkState = "interrupted"
        self._error = ""
        self._python = ""
        """Program of the last run; empty for one that was found again."""
        self._samples: deque[tuple[float, float]] = deque(maxlen=4096)

    def folder(self) -> Path:
        """Make the folder of the next run, for files its arguments name.

        Raises:
            OSError: It cannot be made.
        """
        return new_folder(self._context.host.runs_folder, self.work.key)

    def start(self, folder: Path, arguments: Sequence[str | Path], details: Mapping[str, Any]) -> None:
        """Start a run.

        Args:
            folder: As `folder` made it.
            arguments: Program and its arguments.
            details: What to note; whoever finds the run may not believe it.

        Raises:
            OSError: Its program is not there.
        """
        data = self._context.host.data_folder
        data.mkdir(parents=True, exist_ok=True)
        env = package_environment()
        run = Run.start(folder, arguments, kind=self.work.key, details=details, env=env, cwd=data)
        for shown in (self.work.log, self.work.metrics, self.work.pictures):
            shown.clear()
        self.work.table = ()
        self._python = str(arguments[0])
        self._follow(run)
        self._say("running", "starting")
        prune_runs(self._context.host.runs_folder)

    def adopt(self, run: Run) -> None:
        """Follow a run that was started before the host was."""
        self._follow(run, lived=run.state == "running")
        self._say("running", "found again")  # one that has ended says so once its events are read

    def _follow(self, run: Run, *, lived: bool = True) -> None:
        self.run, self.result = run, None
        self.work.folder = run.folder
        self.work.done = self.work.total = 0.0
        self._watching, self._lived = True, lived
        self._stop_since, self._then, self._error = None, "interrupted", ""
        self._samples.clear()

    def stop(self, then: WorkState = "interrupted") -> None:
        """Ask the run to end where it can go on later.

        Args:
            then: State to end in: `paused` or `interrupted`.
        """
        if self.run is not None and self.work.state in ("running", "pausing", "stopping"):
            self._then = then
            self._stop_since = self._stop_since if self._stop_since is not None else self._context.clock()
            self.run.terminate()
            self._say("pausing" if then == "paused" else "stopping", self.work.text)

    def tick(self) -> None:
        """Read what the run says; never waits."""
        if not self._watching or self.run is None:
            return
        alive = self.run.alive
        events = self.run.poll()
        before = (self.work.text, self.work.done)
        for event in events:
            self._read(event)
        if alive:
            if self._stop_since is not None and self._context.clock() - self._stop_since > GRACE_S:
                self.run.kill()
            if self.work.state == "running":
                self._tell_progress()
            if events or before != (self.work.text, self.work.done):
                self._context.changed("work", self.work.key)
        elif not events:
            self._watching = False
            self._end()

    def _read(self, event: Event) -> None:
        name = event["event"]
        if name == "progress":
            self.work.done, self.work.total = float(event["done"]), float(event["total"])
            self._samples.append((self._context.clock(), self.work.done))
        elif name == "metric" and event["value"] is not None:
            points = self.work.metrics.setdefault(event["name"], [])
            step = float(event.get("step", len(points) + 1))
            while points and points[-1][0] >= step:  # a resumed run says an epoch again
                points.pop()
            points.append((step, float(event["value"])))
        elif name in ("note", "log"):
            self.work.log.append(event["message"] if name == "note" else event["line"])
        elif name == "error":
            self._error = event["message"]
            self.work.log.append(event["message"])
        elif name == "done":
            self.result = event.get("result")

    def _tell_progress(self) -> None:
        if self.work.total > 0:
            self.work.text = progress_words(
                self.work.done, self.work.total, self._unit, speed(self._samples, self._context.clock())
            )

    def _end(self) -> None:
        assert self.run is not None
        state = self.run.state
        if state == "finished":
            self.result = self.result if self.result is not None else self._file_result()
            self._say("finished", self._described())
        elif state in ("interrupted", "lost"):
            then: WorkState = self._then if state == "interrupted" else "interrupted"
            kept = f" at {counted(self.work.done, self.work.total, self._unit)}" if self.work.total else ""
            self._say(then, ("killed" if state == "lost" else then) + kept)
        else:
            self.result = self._file_result()  # there where it ran to its end, and what it checked does not hold
            answered = self.judges and self.result is not None and self.run.status == 1
            text = self._reason() if self.result is None else self._described()
            self._say("finished" if answered else "failed", text)
        if self._lived:
            self.ended(self.work.state)

    def _described(self) -> str:
        try:
            return self._describe(self.result)
        except UNREADABLE:  # of a record that came with the folder
            return "finished"

    def _file_result(self) -> Any:
        assert self.run is not None
        try:
            return read_json(self.run.folder / RESULT, RESULT_BYTES)
        except (OSError, ValueError):
            return None

    def _reason(self) -> str:
        """Why the run failed, in a line."""
        assert self.run is not None
        last = next((line for line in reversed(self.work.log) if line.strip()), "")
        text = self._error or last.removeprefix("regolith: ") or f"exit status {self.run.status}"
        module = re.search(r"No module named '?([\w.]+)", text)
        if module:
            python = self._python or str(self._context.training_python)
            another = "" if "companion.python" in self._context.host.withheld else "choose another Python, or "
            text = f"{python} has no {module[1]}: {another}{install_command('train', python)}"
        return text

    def _say(self, state: WorkState, text: str) -> None:
        self.work.state, self.work.text = state, text
        self._context.changed("work", self.work.key)

    def fail(self, error: Exception) -> None:
        """Say why a run could not be started."""
        self._say("failed", say(error))
        self._context.host.notify(say(error), "error")

    def close(self) -> None:
        """Let go of the run: it goes on."""
        if self.run is not None:
            self.run.detach()


def latest_runs(root: Path) -> dict[str, Run]:
    """The run of each kind that was started last."""
    return {run.kind: run for run in find_runs(root)}


def speed(samples: deque[tuple[float, float]], now: float) -> float | None:
    """Units per second over the last `RATE_S`; None before there is a measure.

    Args:
        samples: Time [s] and units done, ascending; those too old to count are dropped.
        now: Time [s].
    """
    while len(samples) > 2 and now - samples[0][0] > RATE_S:
        samples.popleft()
    if len(samples) < 2:
        return None
    (began, first), (_, last) = samples[0], samples[-1]
    return (last - first) / (now - began) if now - began >= 1.0 and last > first else None


def progress_words(done: float, total: float, unit: str, rate: float | None) -> str:
    """`42 / 100 frames, 3.1 frames/s, 19 s left`."""
    text = counted(done, total, unit)
    if rate:
        left = (total - done) / rate
        words = f"{left:.0f} s" if left < 90 else f"{left / 60:.0f} min" if left < 5400 else f"{left / 3600:.1f} h"
        text += f", {rate:.3g} {unit}/s, {words} left"
    return text
